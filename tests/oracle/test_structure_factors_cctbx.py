"""|F|^2 of real structures against cctbx, which reads the CIFs and sums on its own, in its own process."""

import subprocess
import sys
from pathlib import Path

import pytest

PROTOTYPES = Path(__file__).parents[2] / "data" / "prototypes" / "aflow_prototypes.parquet"

#: cctbx first, alone: every fifth prototype, up to the same 1/d as the comparison below.
WITH_CCTBX = """
import sys
import iotbx.cif
import numpy as np
import pyarrow.parquet as pq

rows = pq.read_table(sys.argv[1], columns=["source_id", "cif"]).to_pylist()[::5]
out = {}
for row in rows:
    (structure,) = iotbx.cif.reader(input_string=row["cif"]).build_crystal_structures().values()
    # Atoms near a special position are moved onto it; the others stay.
    for scatterer in structure.scatterers():
        scatterer.flags.set_use_u_aniso(False)
        scatterer.flags.set_use_u_iso(True)
        scatterer.u_iso = 0.5 / (8 * np.pi**2)
    d_star_max = (150 / (2 * np.pi / 3 * structure.unit_cell().volume())) ** (1 / 3)
    p1 = structure.expand_to_p1(sites_mod_positive=True)
    p1.scattering_type_registry(table="it1992")
    try:
        direct = p1.structure_factors(d_min=1 / d_star_max, anomalous_flag=False, algorithm="direct")
    except RuntimeError as error:
        assert "gaussian not defined" in str(error), error  # a placeholder such as OH
        continue
    calculated = direct.f_calc()
    scatterers = p1.scatterers()
    name = row["source_id"]
    out[name + "/d_star2"] = calculated.unit_cell().d_star_sq(calculated.indices()).as_numpy_array()
    out[name + "/f2"] = 2 * np.abs(calculated.data().as_numpy_array()) ** 2
    out[name + "/cell"] = np.array(p1.unit_cell().parameters())
    out[name + "/frac"] = np.array(scatterers.extract_sites())
    out[name + "/occupancy"] = np.array(scatterers.extract_occupancies())
    out[name + "/elements"] = np.array([s.element_symbol() or "X" for s in scatterers])
    out[name + "/d_star_max"] = np.array(d_star_max)
np.savez(sys.argv[2], **out)
"""

COMPARE = """
import sys
import gemmi
import numpy as np
from xtinct.linelists.structure_factors import structure_lines

stored = np.load(sys.argv[1])
names = sorted({key.split("/")[0] for key in stored})
lines = 0
for name in names:
    of = lambda key: stored[name + "/" + key]
    species = np.array([gemmi.Element(str(e)).atomic_number for e in of("elements")])
    d_star, intensity = structure_lines(
        of("cell"), species, of("frac"), of("occupancy"),
        d_star_max=float(of("d_star_max")), b_iso=0.5, intensity_floor=0,
    )
    order = np.argsort(of("d_star2"))
    d2, f2 = of("d_star2")[order], of("f2")[order]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(d2) > 1e-7 * d2[1:]]))
    expected_d, expected = np.sqrt(d2[starts]), np.add.reduceat(f2, starts)
    found = np.clip(np.searchsorted(d_star, expected_d * (1 - 1e-9)), 0, len(d_star) - 1)
    there = np.abs(d_star[found] / expected_d - 1) < 1e-9
    assert expected[~there].max(initial=0) <= 1e-20 * expected.max(), name
    assert len(d_star) == there.sum(), name
    np.testing.assert_allclose(
        intensity[found[there]], expected[there], rtol=1e-5, atol=1e-8 * expected.max(), err_msg=name
    )
    lines += len(d_star)
print(len(names), lines)
"""


@pytest.mark.cctbx
def test_lines_of_real_structures(tmp_path):
    factors = tmp_path / "cctbx.npz"
    subprocess.run([sys.executable, "-c", WITH_CCTBX, str(PROTOTYPES), str(factors)], check=True)
    done = subprocess.run(
        [sys.executable, "-c", COMPARE, str(factors)], check=True, capture_output=True, text=True
    )
    structures, lines = map(int, done.stdout.split())
    assert structures >= 200
    assert lines > 7000
