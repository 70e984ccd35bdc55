"""The observer of measured patterns: peaks, lattices, whole-pattern fits and extinction classes, without training."""
