"""Lattices: metrics, cells, shapes, Bravais lattices, and the distributions that cells are drawn from."""
