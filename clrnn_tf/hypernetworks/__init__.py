"""The hypernetwork, a layer that generates the main network's weights, and the regulariser of its outputs."""
