"""Indexing: from a list of peaks to candidate lattices."""
