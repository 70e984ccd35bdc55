"""The exact observer: from a pattern to its lattice, and from the lattice to its extinction class."""
