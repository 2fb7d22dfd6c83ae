"""The hypernetwork: a layer that generates the main network's weights, and what keeps them where they were."""
