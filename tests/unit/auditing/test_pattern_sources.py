"""Sets of measured patterns: everything received is a pattern or in quarantine with its reason."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xtinct.auditing.pattern_labels import label_of_cif, label_of_mineral_text, label_of_row
from xtinct.auditing.pattern_sets import labelled_measurements
from xtinct.auditing.pattern_sources import collect_patterns
from xtinct.errors import XtinctError


def collected(tmp_path, **config):
    out, quarantine = tmp_path / "out.parquet", tmp_path / "out.quarantine.parquet"
    counts = collect_patterns("mine", config, out, quarantine)
    return counts, labelled_measurements(out), pq.read_table(quarantine).to_pylist()


@pytest.mark.parametrize("where", ["folder", "zipped"])
def test_a_broken_file_is_quarantined_with_its_reason_and_the_others_are_read(
    where, request, tmp_path, rutile
):
    path = request.getfixturevalue(where)
    out = tmp_path / "made"
    out.mkdir()
    counts, patterns, quarantine = collected(
        out, kind="files", path=str(path), pattern="*.xy|*.txt", labels="labels.csv"
    )
    assert counts == {"received": 4, "patterns": 2, "quarantined": 2}
    assert [one.pattern_id for one in patterns] == ["mine:deep/other.xy", "mine:good.xy"]
    reasons = {row["structure_id"]: (row["reason"], row["detail"]) for row in quarantine}
    assert set(reasons) == {"mine:broken.xy", "mine:peaks.txt"}
    assert reasons["mine:broken.xy"][0] == "unreadable"
    assert "broken.xy" in reasons["mine:broken.xy"][1]
    assert "nan" in reasons["mine:broken.xy"][1]
    good = patterns[1]
    np.testing.assert_array_equal(good.measurement.intensity, rutile[1])
    assert (good.label.number, good.label.formula, good.laboratory) == (136, "TiO2", "bench")
    np.testing.assert_array_equal(good.label.cell, [4.594, 4.594, 2.958, 90, 90, 90])
    assert good.measurement.radiation.anode == "Cu"
    # Nobody says anything of the other one.
    assert patterns[0].measurement.radiation is None
    assert patterns[0].label.true_system is None
    assert patterns[0].laboratory == "mine"


def test_labels_of_a_file_that_is_not_there_are_no_labels_in_silence(folder, tmp_path):
    text = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(text.replace("good.xy", "god.xy"))
    with pytest.raises(XtinctError, match=r"patterns\.mine\.labels: labels\.csv names 'god\.xy'"):
        collected(tmp_path, kind="files", path=str(folder), pattern="*.xy", labels="labels.csv")
    again = next(line for line in text.splitlines() if line.startswith("good.xy"))
    (folder / "labels.csv").write_text(f"{text.rstrip()}\n{again}\n")
    with pytest.raises(XtinctError, match=r"'good\.xy' stands in several rows"):
        collected(tmp_path, kind="files", path=str(folder), pattern="*.xy", labels="labels.csv")
    (folder / "labels.csv").write_text(text.replace("spacegroup", "group"))
    with pytest.raises(XtinctError, match="column 'group'"):
        collected(tmp_path, kind="files", path=str(folder), pattern="*.xy", labels="labels.csv")


def test_a_wavelength_that_nobody_told_is_none_after_the_table_either(tmp_path, rutile):
    """Positions in Q have a nominal wavelength, whose doublets of all tubes are looked for."""
    folder = tmp_path / "scans"
    folder.mkdir()
    q = 4 * np.pi / 1.5406 * np.sin(np.radians(rutile[0] / 2))
    for name, head, column in (("q", "# Q (1/A) I", q), ("a", "# wavelength 1.5406\n# 2theta I", rutile[0])):
        rows = "".join(f"{x:.6f} {y:g}\n" for x, y in zip(column, rutile[1], strict=True))
        (folder / f"{name}.xy").write_text(f"{head}\n{rows}")
    _, patterns, _ = collected(tmp_path, kind="files", path=str(folder))
    nominal = {one.pattern_id: one.measurement.radiation.nominal for one in patterns}
    assert nominal == {"mine:a.xy": False, "mine:q.xy": True}
    _, patterns, _ = collected(tmp_path, kind="files", path=str(folder), wavelength=1.5406)
    assert not any(one.measurement.radiation.nominal for one in patterns)


def test_memory_of_a_set_is_that_of_its_points(tmp_path):
    """1,500 patterns of 500 points: 12 MB of points, as numbers of Python 48 MB."""
    x = np.linspace(5.0, 80.0, 500)
    rows = [{"pattern_id": str(i), "two_theta": x, "intensity": np.sqrt(x + i)} for i in range(1500)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "many.parquet")
    tracemalloc.start()
    counts = collect_patterns(
        "many",
        {"kind": "table", "path": str(tmp_path / "many.parquet"), "take": 3},
        tmp_path / "some.parquet",
        tmp_path / "quarantine.parquet",
    )
    assert tracemalloc.get_traced_memory()[1] < 8e6
    assert counts == {"received": 1500, "patterns": 3, "quarantined": 0}
    collect_patterns(
        "many",
        {"kind": "table", "path": str(tmp_path / "many.parquet")},
        tmp_path / "all.parquet",
        tmp_path / "quarantine.parquet",
    )
    tracemalloc.reset_peak()
    patterns = labelled_measurements(tmp_path / "all.parquet")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(patterns) == 1500
    assert [one.pattern_id for one in labelled_measurements(tmp_path / "some.parquet")] == [
        "many:0",
        "many:750",
        "many:1499",
    ]
    assert peak < 30e6


def test_a_label_that_is_none_costs_its_pattern_alone(folder, tmp_path):
    text = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(text.replace("P 42/m n m", "P 42/q"))
    _, patterns, quarantine = collected(
        tmp_path, kind="files", path=str(folder), pattern="*.xy", labels="labels.csv"
    )
    assert [one.pattern_id for one in patterns] == ["mine:deep/other.xy"]
    assert any("spacegroup 'P 42/q'" in row["detail"] for row in quarantine)


def test_a_table_and_the_patterns_of_some_laboratories(tmp_path, rutile):
    x, y = rutile
    given = [
        ("a", "one", x, 1.5406, "x-ray"),
        ("b", "two", x, 1.54, "neutron"),
        ("c", "two", x[:5], 1.54, None),
        ("d", "two", x, None, None),
        ("e", "six", x, 1.5406, None),
    ]
    names = ("id", "source", "two_theta", "wavelength", "radiation")
    rows = [dict(zip(names, row, strict=True)) | {"spacegroup_number": 136.0} for row in given]
    rows = [row | {"two_theta": list(row["two_theta"]), "intensity": list(y)} for row in rows]
    path = tmp_path / "given.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    counts, patterns, quarantine = collected(
        tmp_path, kind="table", path=str(path), laboratories=["one", "two"]
    )
    assert counts == {"received": 4, "patterns": 2, "quarantined": 2}
    assert [(one.pattern_id, one.label.number) for one in patterns] == [("mine:a", 136), ("mine:d", 136)]
    assert {row["structure_id"]: row["reason"] for row in quarantine} == {
        "mine:b": "not_x_rays",
        "mine:c": "unreadable",
    }
    with pytest.raises(XtinctError, match=r"laboratories: .* no row of 'too'; it has one, six, two"):
        collected(tmp_path, kind="table", path=str(path), laboratories=["one", "too"])
    _, few, _ = collected(tmp_path, kind="table", path=str(path), take=2, wavelength="CuKa")
    assert [one.pattern_id for one in few] == ["mine:a", "mine:e"]
    _, told, _ = collected(tmp_path, kind="table", path=str(path), wavelength="CuKa")
    assert told[1].measurement.radiation.second is not None
    assert told[0].measurement.radiation.second is None


def test_uncertainties_stay_with_their_points(tmp_path, rutile):
    x, y = rutile
    sigma = np.sqrt(np.maximum(y, 1.0))
    twice = np.concatenate([x[::-1], x[5:6]])
    rows = [
        {"pattern_id": "turned", "two_theta": twice, "intensity": np.append(y[::-1], 0.0)}
        | {"sigma": np.append(sigma[::-1], 9.0)},
        {"pattern_id": "short", "two_theta": x, "intensity": y, "sigma": sigma[1:]},
    ]
    path = tmp_path / "given.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    _, (one,), (rejected,) = collected(tmp_path, kind="table", path=str(path), wavelength="CuKa")
    np.testing.assert_array_equal(one.measurement.two_theta, x)
    np.testing.assert_array_equal(one.measurement.intensity, y)
    np.testing.assert_array_equal(one.measurement.sigma, sigma)
    assert rejected["structure_id"] == "mine:short"
    assert f"sigma ({len(x) - 1},): expected lists of one length" in rejected["detail"]


def test_uncertainties_that_are_none_are_completed_as_those_of_files(tmp_path, rutile):
    x, y = rutile
    sigma = np.sqrt(np.maximum(y, 1.0))
    sigma[3], sigma[4] = 0.0, np.nan
    rows = [
        {"pattern_id": "some", "two_theta": x, "intensity": y, "sigma": sigma},
        {"pattern_id": "none", "two_theta": x, "intensity": y, "sigma": 0 * x},
    ]
    path = tmp_path / "given.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    _, (some, none), _ = collected(tmp_path, kind="table", path=str(path), wavelength="CuKa")
    assert none.measurement.sigma is None
    assert (some.measurement.sigma > 0).all()
    np.testing.assert_array_equal(some.measurement.sigma[5:], sigma[5:])
    assert any(note.startswith("2 uncertainties were zero") for note in some.measurement.notes)


def test_what_is_written_is_read_again_as_it_was(folder, tmp_path):
    _, first, _ = collected(tmp_path, kind="files", path=str(folder), pattern="*.xy", labels="labels.csv")
    again = tmp_path / "again"
    again.mkdir()
    _, second, _ = collected(again, kind="table", path=str(tmp_path / "out.parquet"))
    assert [one.sha256 for one in first] == [one.sha256 for one in second]
    assert first[1].measurement.radiation == second[1].measurement.radiation
    assert first[1].label.number == second[1].label.number


def test_the_block_of_a_pdcif_labels_its_pattern(tmp_path, rutile):
    x, y = rutile
    head = (
        "data_rutile\n_space_group_IT_number 136\n_chemical_formula_sum 'O2 Ti'\n_cell_length_a 4.594(1)\n"
        "_cell_length_b 4.594(1)\n_cell_length_c 2.958\n_cell_angle_alpha 90\n_cell_angle_beta 90\n"
        "_cell_angle_gamma 90\n_diffrn_radiation_wavelength 1.540598\n"
        "loop_\n_pd_meas_2theta_scan\n_pd_meas_counts_total\n"
    )
    rows = "".join(f"{a:.3f} {b:.0f}\n" for a, b in zip(x, y, strict=True))
    (tmp_path / "rutile.cif").write_text(head + rows)
    _, (one,), _ = collected(tmp_path, kind="files", path=str(tmp_path / "rutile.cif"))
    assert (one.label.number, one.label.formula, one.label.n_phases) == (136, "O2 Ti", 1)
    np.testing.assert_allclose(one.label.cell[:3], [4.594, 4.594, 2.958])
    two = label_of_cif(head + rows + "\ndata_other\n_cell_length_a 5\n")
    assert (two.number, two.n_phases) == (None, 2)


def test_the_text_of_a_mineral_says_cell_system_and_formula():
    label = label_of_mineral_text(
        "##NAMES=Corundum\n##RRUFFID=R000000\n##IDEAL CHEMISTRY=Al_2_O_3_\n"
        "##CELL PARAMETERS=a: 4.7590(1)  b: 4.7590(1)  c: 12.9920(4)  alpha: 90  beta: 90  gamma: 120  "
        "volume: 254.8   crystal system: hexagonal\n"
    )
    assert (label.formula, label.system, label.number) == ("Al2O3", "hexagonal", None)
    np.testing.assert_allclose(label.cell, [4.759, 4.759, 12.992, 90, 90, 120])
    listed = label_of_mineral_text(
        "      Corundum R000000\n"
        "      CELL PARAMETERS:  4.7590   4.7590  12.9920   90.000   90.000  120.000\n"
        "      SPACE GROUP: R-3c\n      X-RAY WAVELENGTH:     1.541838\n"
    )
    assert listed.number == 167
    np.testing.assert_allclose(listed.cell, [4.759, 4.759, 12.992, 90, 90, 120])


CALCITE = (4.9896, 4.9896, 17.061, 90, 90, 120)
ON_RHOMBOHEDRAL_AXES = (6.3750, 6.3750, 6.3750, 46.075, 46.075, 46.075)


@pytest.mark.parametrize(
    ("symbol", "number", "cell", "expected"),
    [
        ("R -3 c:H", 167, CALCITE, CALCITE),
        ("R -3 c:R", 167, ON_RHOMBOHEDRAL_AXES, CALCITE),
        ("R-3c", 167, ON_RHOMBOHEDRAL_AXES, CALCITE),
        (167, 167, ON_RHOMBOHEDRAL_AXES, CALCITE),
        ("Fm3m", 225, (5.64, 5.64, 5.64, 90, 90, 90), (5.64, 5.64, 5.64, 90, 90, 90)),
        ("Cmce", 64, (5, 6, 7, 90, 90, 90), (5, 6, 7, 90, 90, 90)),
        ("P 2(1)/c", 14, (7, 8, 9, 90, 97, 90), (7, 8, 9, 90, 97, 90)),
        # Perovskites: the long axis is c of P b n m and b of P n m a.
        ("Pbnm", 62, (5.38, 5.44, 7.64, 90, 90, 90), (5.44, 7.64, 5.38, 90, 90, 90)),
        ("P 1 1 21/b", 14, (7, 8, 9, 90, 90, 97), (7, 9, 8, 90, 97, 90)),
        # a and c of C 1 2/c 1 are a + c and a of I 1 2/a 1.
        ("I2/a", 15, (7.1, 8.2, 9.3, 90, 97, 90), (10.991175, 8.2, 7.1, 90, 122.878207, 90)),
        # What suits no setting stays, and the audit says so.
        ("Pnma", 62, (5, 6, 7, 80, 90, 90), (5, 6, 7, 80, 90, 90)),
    ],
)
def test_labels_of_any_setting_have_the_cell_of_the_standard_one(symbol, number, cell, expected):
    names = ("a", "b", "c", "alpha", "beta", "gamma")
    label = label_of_row({"spacegroup": symbol, **dict(zip(names, cell, strict=True))}, "table")
    assert label.number == number
    np.testing.assert_allclose(label.cell, expected, rtol=2e-4)
    lengths = "\n".join(f"_cell_length_{x} {value}" for x, value in zip("abc", cell[:3], strict=True))
    angles = "\n".join(f"_cell_angle_{x} {value}" for x, value in zip(names[3:], cell[3:], strict=True))
    tags = f"_symmetry_space_group_name_H-M '{symbol}'\n_space_group_IT_number {number}"
    read = label_of_cif(f"data_x\n{lengths}\n{angles}\n{tags}\n")
    assert read.number == number
    np.testing.assert_array_equal(read.cell, label.cell)


@pytest.mark.parametrize("nothing", [0, 0.0, "0", 231, "-"])
def test_zero_and_other_signs_name_no_space_group(nothing):
    with pytest.raises(XtinctError, match=r"spacegroup .*: expected a number from 1 to 230 or a symbol"):
        label_of_row({"spacegroup": nothing}, "table")
    cell = "".join(f"_cell_length_{x} 5\n" for x in "abc")
    cell += "".join(f"_cell_angle_{x} 90\n" for x in ("alpha", "beta", "gamma"))
    assert label_of_cif(f"data_x\n{cell}_symmetry_space_group_name_H-M '{nothing}'\n").number is None


def test_what_cannot_be_a_set_ends_in_one_line(tmp_path):
    with pytest.raises(XtinctError, match=r"patterns\.mine\.path: .*no such file"):
        collected(tmp_path, kind="files", path=str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(XtinctError, match=r"patterns\.mine: the set holds no pattern"):
        collected(tmp_path, kind="files", path=str(tmp_path / "empty"))
