"""The packaged tables against a fresh computation by cctbx, in a process of its own."""

import subprocess
import sys

import pyarrow.parquet as pq
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
def test_a_build_fails_where_cctbx_and_the_packaged_tables_differ(tmp_path):
    """The rule's check, on tables of which one lacks a row."""
    for path in DATA.glob("*.parquet"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    check = "import sys; from xtinct.symmetry.cctbx_tables import check_packaged; check_packaged(sys.argv[1])"
    command = [sys.executable, "-c", check, str(tmp_path)]
    subprocess.run(command, check=True)
    wyckoff = pq.read_table(tmp_path / "wyckoff.parquet")
    pq.write_table(wyckoff.slice(1), tmp_path / "wyckoff.parquet")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "wyckoff.parquet: cctbx computes other rows than the library has" in done.stderr


@pytest.mark.cctbx
def test_cctbx_agrees_on_every_absence():
    """cctbx's own test of a reflection, not the operations it gave us, setting by setting."""
    done = subprocess.run([sys.executable, "-c", CHECK_ABSENCES], check=True, capture_output=True, text=True)
    assert int(done.stdout) == 230 + 260
