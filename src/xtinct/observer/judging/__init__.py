"""How probable lattices and extinction classes are, given the whole pattern."""
