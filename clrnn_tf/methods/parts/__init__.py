"""Parts that several methods share: Fisher information, replay, the variational autoencoder."""
