"""Structures: reading, cleaning, symmetry and labels."""
