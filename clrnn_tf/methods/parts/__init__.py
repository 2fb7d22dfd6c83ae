"""What several methods are made of: Fisher information, replay, the variational autoencoder."""
