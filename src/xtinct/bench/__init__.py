"""How fast this package is on this machine, against named baselines: what `xtinct bench` measures.

Studies that take hours, and comparisons with other programs, stand in the folder benchmarks/.
"""
