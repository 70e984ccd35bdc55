"""What lattices, windows, resolution, thresholds and intensities leave of the ceilings.

`xtinct.symmetry.ceilings` counts classes; the modules here look at lines of lattices:

hypotheses    the absence sets of a family on a labelled lattice, and which of them a lattice shows alike
lattices      ceilings of a lattice distribution (mesh or continuous) seen through a window
measurement   ceilings with finite resolution and a detection threshold
patterns      ceilings of given patterns, and the groups that a line list leaves possible
wilson        the ideal observer of intensities that follow Wilson's statistics
tables        result files for the workflow
"""
