"""The loop: training, testing, validation, checkpoints."""
