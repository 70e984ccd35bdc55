"""Whole-pattern fits of a lattice (Pawley)."""
