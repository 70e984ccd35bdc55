"""Data streams, models, training, evaluation and prediction."""
