"""The observer of measured patterns: peaks, lattices, whole-pattern fits, extinction classes; untrained."""
