"""Learning: data streams, networks, training and prediction."""
