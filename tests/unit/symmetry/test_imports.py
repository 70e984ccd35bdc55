"""The symmetry package works from its tables: no symmetry engine and no compiler in the process."""

import subprocess
import sys

CHECK = """
import sys
import xtinct.ceiling.extinction, xtinct.ceiling.priors
from xtinct.symmetry.classes import class_symbol
assert class_symbol(14) == "P 1 21/c 1"
engines = ("cctbx", "gemmi", "spglib", "pymatgen", "numba", "torch", "scipy")
print(*(name for name in engines if name in sys.modules))
"""


def test_no_engine_is_imported():
    done = subprocess.run([sys.executable, "-c", CHECK], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
