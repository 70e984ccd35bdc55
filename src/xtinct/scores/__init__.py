"""Scores: how right and how honest a ranking with probabilities is, whatever made it."""
