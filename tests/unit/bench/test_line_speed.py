"""`xtinct bench lines`: every program does the same work, and what it cannot do is said."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xtinct.bench import line_speed
from xtinct.errors import XtinctError

SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.6402), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
SALT = SALT.to(fmt="cif")


@pytest.fixture(scope="module")
def result():
    return line_speed.run({"salt": SALT, "none": "data_none\n_cell_length_a 3\n"}, rounds=1)


def test_every_program_finds_the_lines_of_rock_salt(tmp_path):
    """2theta of the lines of NaCl at 1.5406 angstrom (ICDD 5-628)."""
    (tmp_path / "salt.cif").write_text(SALT)
    crystal = line_speed.CrystalFile("salt", SALT, str(tmp_path / "salt.cif"), line_speed.structure_of(SALT))
    expected = [27.33, 31.69, 45.45, 53.85, 56.47, 66.23, 73.07, 75.30, 83.99]
    for name, program in line_speed.programs().items():
        found = program.work(crystal)
        if name == "gemmi, text":
            assert max(found) == pytest.approx(84.2**2, rel=0.05)  # F of 200, electrons
            continue
        two_theta = found.two_theta if hasattr(found, "two_theta") else getattr(found, "x", found)
        if isinstance(two_theta, tuple):
            two_theta, intensity = (np.asarray(part) for part in two_theta)
            two_theta = two_theta[intensity > 1e-3]
        assert np.allclose(two_theta, expected, atol=0.05), name


def test_ratios_are_those_of_the_times(result):
    seconds = result["seconds"]["salt"]
    assert seconds["sites"] == 8
    by_name = {(one["baseline"], one["ours"]): one for one in result["records"]}
    one = by_name["pymatgen", "xtinct.XRDCalculator"]
    assert one["ratio"] == pytest.approx(seconds["pymatgen"] / seconds["XRDCalculator"])
    assert one["ratio_of_totals"] == pytest.approx(one["ratio"])
    assert one["met"] is (one["ratio"] >= 25)


def test_versions_what_was_left_out_and_what_is_missing_are_said(result, monkeypatch):
    rows = [" ".join(row) for row in line_speed.table(result)]
    for name in ("pymatgen", "gemmi"):
        assert any(f"{name} {result['machine'][name]}" in row for row in rows)
    (left_out,) = result["left_out"]
    assert left_out["name"] == "none"
    assert left_out["reason"].startswith("pymatgen: ")
    monkeypatch.setattr(line_speed, "find_spec", lambda name: None)
    without = line_speed.run({"salt": SALT}, rounds=1)
    said = list(line_speed.remarks(without))
    assert said[-1].startswith(
        "braggcalculator is not installed, so not measured (pip install braggcalculator"
    )
    assert not any(one["baseline"] == "braggcalculator" for one in without["records"])


def test_a_folder_gives_every_cif_in_it(tmp_path):
    (tmp_path / "b.cif").write_text(SALT)
    (tmp_path / "a.cif").write_bytes(SALT.encode().replace(b"pymatgen", "pymatg\u00e9n".encode("latin-1")))
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "empty").mkdir()
    assert list(line_speed.cifs_by_name(tmp_path, 1)) == ["a.cif", "b.cif"]
    with pytest.raises(XtinctError, match=r"no \.cif in this folder"):
        line_speed.cifs_by_name(tmp_path / "empty", 1)
    with pytest.raises(XtinctError, match="no such file"):
        line_speed.cifs_by_name(tmp_path / "none.parquet", 1)
