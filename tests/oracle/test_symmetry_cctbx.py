"""The packaged tables against a fresh computation by cctbx, in a process of its own."""

import subprocess
import sys

import pytest

from xtinct.symmetry.operations import DATA

CHECK_ABSENCES = """
from cctbx import sgtbx
import numpy as np
from xtinct.symmetry.absences import absent
from xtinct.symmetry.reflection_conditions import box
from xtinct.symmetry.operations import settings

hkl = box(6)
compared = 0
for number in range(1, 231):
    for setting in settings(number):
        choice = "" if setting.number not in (48, 50, 59, 68, 70) else " :2"
        group = sgtbx.space_group_info(symbol=setting.symbol + choice).group()
        theirs = np.array([group.is_sys_absent(tuple(map(int, h))) for h in hkl])
        ours = absent(number, hkl, setting.symbol)
        assert (ours == theirs).all(), (number, setting.symbol)
        compared += 1
print(compared)
"""


@pytest.mark.cctbx
def test_packaged_tables_are_what_cctbx_computes(tmp_path):
    subprocess.run([sys.executable, "-m", "xtinct.symmetry.cctbx_tables", str(tmp_path)], check=True)
    names = sorted(path.name for path in DATA.glob("*.parquet"))
    assert names == ["operations.parquet", "reflection_conditions.parquet", "wyckoff.parquet"]
    for name in names:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), name


@pytest.mark.cctbx
def test_cctbx_agrees_on_every_absence():
    """cctbx's own test of a reflection, not the operations it gave us, setting by setting."""
    done = subprocess.run([sys.executable, "-c", CHECK_ABSENCES], check=True, capture_output=True, text=True)
    assert int(done.stdout) == 230 + 260
