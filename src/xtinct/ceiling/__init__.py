"""Ceilings: the best top-k accuracy that any classifier can reach on a stated distribution.

extinction        exact ceilings by counting groups and classes, and the tie rule
priors            priors over the space groups
lattice_ranges    ceilings of a lattice distribution (mesh or continuous) seen through a window
measured_lines    ceilings with finite resolution and a detection threshold
single_patterns   ceilings of given patterns, and the groups that a line list leaves possible
counted_patterns  ceiling of one pattern by its counts, widths and range
wilson            the ideal observer of intensities that follow Wilson's statistics
ceiling_files     result files of measurement ceilings and Wilson estimates (`results/limits/`)
"""
