"""`python -m xtinct`, also for `torchrun -m xtinct train ...`."""

from xtinct.cli import main

main()
