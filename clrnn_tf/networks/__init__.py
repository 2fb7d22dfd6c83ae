"""The main network: a function of its weights."""
