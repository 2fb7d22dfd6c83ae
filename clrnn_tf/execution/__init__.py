"""How things are computed: compilation, blocks, workers. Nothing here decides what is computed."""
