"""Lattices, lines, structure factors, instruments and patterns."""
