"""Search of settings by Keras Tuner: spaces, trials, protocols, tables; `trainers.search` is the command."""
