"""Simulated measurements of known and unknown crystals against a table of embedded prototypes."""

import json
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import xtinct
from xtinct.cli import cli
from xtinct.errors import XtinctError
from xtinct.files.schema import RECOGNITION
from xtinct.lattices.bravais import reduced, same
from xtinct.lattices.conventional import conventional_cell
from xtinct.measurements import Measurement
from xtinct.observer.peaks.radiation_found import find
from xtinct.observer.simulation import Settings, measure, simulate_measurement
from xtinct.radiation.tubes import radiation_of
from xtinct.recognition.known_structures import build_table, common_powders, load_table
from xtinct.recognition.matching import match
from xtinct.recognition.recognising import recognised_cells
from xtinct.recognition.targets import targets_of
from xtinct.sources.given import standard_of
from xtinct.symmetry.families import FAMILIES, family_of
from xtinct.symmetry.operations import centring

#: A good measurement: nothing foreign, no texture, counts enough.
CLEAN = Settings(
    first=(8.0, 10.0),
    last=(78.0, 80.0),
    fwhm=(0.1, 0.12),
    counts=(20_000.0, 20_001.0),
    background=(0.01, 0.02),
    textured=0.0,
    foreign_lines=0.0,
    second_phase=0.0,
    ghosts=0.0,
    processed=0.0,
)


@pytest.fixture(scope="module")
def folder(known_structures):
    """A quarter of the embedded prototypes, their line lists and the table of them."""
    return known_structures


@pytest.fixture(scope="module")
def table(folder):
    return load_table(folder / "table.parquet")


@pytest.fixture(scope="module")
def structures(folder):
    """structure_id -> row of structures."""
    rows = pq.read_table(folder / "structures.parquet").to_pylist()
    return {row["structure_id"]: row for row in rows}


def strained(cif, axes):
    """The crystal with its axes longer by these shares, within its family."""
    standard = standard_of(cif)
    cell = standard.crystal.cell * np.array([*(1 + np.asarray(axes)), 1, 1, 1])
    cell = conventional_cell(family_of(standard.number), cell)
    return replace(standard, crystal=replace(standard.crystal, cell=cell))


def pattern_of(simulation):
    return Measurement(simulation.two_theta, simulation.intensity, radiation=simulation.radiation)


def chosen(structures, n=8):
    """Some structures with cells of middling size, spread over the table."""
    fit = [row for row in structures.values() if row["n_sites"] <= 24 and row["a"] * row["b"] * row["c"] > 90]
    return fit[:: max(1, len(fit) // n)][:n]


def test_measured_crystals_are_recognised_on_other_axes(table, structures):
    right, cells = 0, 0
    for seed, row in enumerate(chosen(structures)):
        crystal = strained(row["cif"], (0.015, 0.005, 0.01))
        answer = xtinct.recognise(pattern_of(simulate_measurement(crystal, seed, CLEAN)), table)
        best = answer.known[0]
        names = {best.structure_id, *(name for name, _, _ in best.also)}
        right += row["structure_id"] in names
        cells += same(
            reduced(best.cell, centring(best.number)),
            reduced(crystal.crystal.cell, centring(crystal.number)),
            0.002,
            0.3,
        )
        assert sum(answer.groups.values()) == pytest.approx(1)
        assert sum(answer.systems.values()) == pytest.approx(1)
    assert right >= 7
    assert cells >= 7


def test_lines_in_a_gap_are_not_missed(folder, table, structures):
    """A range that was not measured says nothing against a structure with its strongest line there."""
    row = chosen(structures)[2]
    simulation = simulate_measurement(row["cif"], 4, CLEAN)
    top = simulation.two_theta[simulation.intensity.argmax()]
    seen = np.abs(simulation.two_theta - top) > 1.0
    found = find(simulation.two_theta[seen], simulation.intensity[seen], simulation.radiation)
    targets = targets_of(found)
    names = pq.read_table(folder / "table.parquet")["structure_id"].to_pylist()
    own = np.array([names.index(row["structure_id"])])
    spared = match(table, targets, own, np.zeros(1))["missing"]
    missed = match(table, replace(targets, gaps=np.empty((0, 2))), own, np.zeros(1))["missing"]
    assert len(targets.gaps) == 1
    assert spared > missed + 1


def test_what_the_table_has_is_more_probable_than_a_stranger(folder, structures, tmp_path):
    """Without the structure's type the best answer is in doubt, with it it is not."""
    inside, outside = [], []
    for seed, row in enumerate(chosen(structures, 6)):
        label = row["protostructure"].partition(":")[0]
        alike = [
            r["structure_id"] for r in structures.values() if (r["protostructure"] or "").startswith(label)
        ]
        rows = pq.read_table(folder / "table.parquet")
        keep = [name not in alike for name in rows["structure_id"].to_pylist()]
        pq.write_table(rows.filter(keep).cast(RECOGNITION), tmp_path / "without.parquet")
        pattern = pattern_of(simulate_measurement(row["cif"], seed, CLEAN))
        inside.append(xtinct.recognise(pattern, folder / "table.parquet").probability)
        outside.append(xtinct.recognise(pattern, tmp_path / "without.parquet").probability)
    assert np.median(inside) > 0.8
    assert np.median(outside) < 0.3
    assert sum(x < 0.5 for x in outside) >= 5


def test_elements_leave_out_all_structures_with_others(table, structures):
    row = next(row for row in chosen(structures) if "O" in row["formula"])
    pattern = pattern_of(simulate_measurement(row["cif"], 3, CLEAN))
    told = xtinct.recognise(pattern, table, elements=["O", "Si", "Al", "Ca"])
    assert told.structures < len(table) / 2
    for one in told.known:
        symbols = {"".join(x) for x in _symbols(one.formula)}
        assert symbols <= {"O", "Si", "Al", "Ca", "H", "D"}
    with pytest.raises(XtinctError, match="'Xx' is no element"):
        xtinct.recognise(pattern, table, elements="O,Xx")
    with pytest.raises(XtinctError, match="no structure of these alone"):
        xtinct.recognise(pattern, table, elements="Rn")
    with pytest.raises(XtinctError, match="phases: 0, expected 1 or more"):
        xtinct.recognise(pattern, table, phases=0)


def _symbols(formula):
    return re.findall(r"[A-Z][a-z]?", formula)


def test_a_primary_beam_that_was_left_out_is_said(table, structures):
    low = replace(CLEAN, first=(0.6, 0.61))
    pattern = pattern_of(simulate_measurement(chosen(structures)[1]["cif"], 5, low))
    beam = 2e6 * np.exp(-pattern.two_theta / 0.35)
    flank = replace(pattern, intensity=pattern.intensity + np.random.default_rng(1).poisson(beam))
    said = [note for one in (pattern, flank) for note in xtinct.recognise(one, table).notes]
    assert [("primary beam" in note, "left out" in note) for note in said] == [(True, True)]


def test_what_was_taken_for_the_wavelength_is_said(table, structures):
    pattern = pattern_of(simulate_measurement(chosen(structures)[1]["cif"], 5, CLEAN))
    said = xtinct.recognise((pattern.two_theta, pattern.intensity), table, 1.5418).notes
    assert said[0] == "1.5418 is the mean of the Cu K-alpha doublet and was taken as the doublet"
    with pytest.raises(XtinctError, match="the wavelength is not known"):
        xtinct.recognise((pattern.two_theta, pattern.intensity), table)


def test_a_mixture_names_both_phases(table, structures):
    """Two cubic salts in one pattern, the second at half the height of the first."""
    cubic = [
        r for r in structures.values() if r["spacegroup_number"] > 194 and r["n_sites"] <= 32 and r["a"] > 5
    ]
    first, second = (standard_of(row["cif"]) for row in (cubic[0], cubic[3]))
    one = simulate_measurement(first, 5, CLEAN)
    mixed = measure(first, replace(one.truth.setup, second_phase=0.5), 5, second=second)
    answer = xtinct.recognise(pattern_of(mixed), table)
    phases = [answer, *answer.others]
    found = {name for phase in phases for name in _names(phase.known[0])}
    assert {cubic[0]["structure_id"], cubic[3]["structure_id"]} <= found
    assert len(phases) == 2
    assert "does not explain" in " ".join(answer.notes)


def _names(known):
    return {known.structure_id, *(name for name, _, _ in known.also)}


def test_a_supercell_is_one_with_its_parent(folder, structures, tmp_path):
    """A structure written once more as a supercell in P 1 is told with its parent, not beside it."""
    row = next(r for r in chosen(structures) if r["spacegroup_number"] > 15)
    entries = pq.read_table(folder / "table.parquet").to_pylist()
    parent = next(x for x in entries if x["structure_id"] == row["structure_id"])
    double = {
        **parent,
        "structure_id": "aflow:double",
        "spacegroup_number": 1,
        "n_sites": 2 * parent["n_sites"],
    }
    double["c"] = 2 * parent["c"]
    rows = pa.Table.from_pylist([*entries, double], schema=RECOGNITION)
    pq.write_table(rows, tmp_path / "more.parquet")
    pattern = pattern_of(simulate_measurement(row["cif"], 2, CLEAN))
    answer = xtinct.recognise(pattern, tmp_path / "more.parquet")
    assert answer.known[0].structure_id == row["structure_id"]
    assert "aflow:double" in _names(answer.known[0])
    assert not any("aflow:double" in _names(other) for other in answer.known[1:])


def test_cells_are_there_for_others(table, structures):
    row = chosen(structures)[1]
    crystal = strained(row["cif"], (0.01, 0.01, -0.005))
    simulation = simulate_measurement(crystal, 4, CLEAN)
    found = find(simulation.two_theta, simulation.intensity, simulation.radiation)
    cells = recognised_cells(found, table)
    true = reduced(crystal.crystal.cell, centring(crystal.number))
    assert len(cells) > 3
    scores = [x.score for x in cells]
    assert scores == sorted(scores, reverse=True)
    letters = {"P": "P", "A": "C", "C": "C", "I": "I", "F": "F", "R": "R"}
    assert same(reduced(cells[0].cell, letters[cells[0].bravais[1]]), true, 0.003, 0.3)


def test_what_is_no_pattern_is_said(table):
    """Three arrays, and a table of columns in one."""
    two_theta = np.arange(10, 80, 0.02)
    for pattern in ((two_theta, two_theta, two_theta), np.stack([two_theta, two_theta], axis=1)):
        with pytest.raises(XtinctError, match="expected a file, two arrays"):
            xtinct.recognise(pattern, table, "Cu")


def test_few_peaks_in_reach_of_the_table_give_no_cell(table):
    """Of four peaks two are below d = 0.94 angstrom."""
    two_theta = np.arange(20, 125, 0.02)
    peaks = [np.exp(-(((two_theta - x) / 0.1) ** 2)) for x in (30, 60, 115, 121)]
    counts = np.random.default_rng(0).poisson(50 + 3000 * sum(peaks)).astype(float)
    found = find(two_theta, counts, radiation_of(1.5406))
    assert len(found.peaks) == 4
    assert recognised_cells(found, table) == []


def test_the_command_answers_and_says_faults_in_one_line(folder, structures, tmp_path):
    row = chosen(structures)[2]
    simulation = simulate_measurement(row["cif"], 1, CLEAN)
    file = tmp_path / "scan.xy"
    np.savetxt(file, np.column_stack([simulation.two_theta, simulation.intensity]))
    run = CliRunner()
    arguments = ["recognise", str(file), "--wavelength", "Cu", "--database"]
    shown = run.invoke(cli, [*arguments, str(folder / "table.parquet")])
    assert shown.exit_code == 0, shown.output
    assert "ecognised" in shown.output or "Perhaps" in shown.output
    assert "xtinct index" in shown.output
    plain = run.invoke(cli, [*arguments, str(folder / "table.parquet"), "--json"])
    answer = json.loads(plain.output)
    assert answer["structures"][0]["spacegroup_number"] == row["spacegroup_number"]
    for database in ("nothing.parquet", folder / "structures.parquet", file):
        failed = run.invoke(cli, [*arguments, str(database)])
        assert isinstance(failed.exception, XtinctError)
        assert str(database) in str(failed.exception)
        assert "\n" not in str(failed.exception)


def test_no_structure_is_lost_and_none_is_invented(folder, table, structures):
    rows = sum(pq.read_metadata(folder / f"{family}.parquet").num_rows for family in FAMILIES)
    assert len(table) == rows == len(structures)
    names = table.names(range(len(table)))
    assert {x["structure_id"] for x in names} == set(structures)
    for at in (0, len(table) // 2, len(table) - 1):
        row = structures[names[at]["structure_id"]]
        d_star, _ = xtinct.line_list(row["cif"], d_star_max=0.93, b_iso=0.5)
        own = 0.04 * np.exp(5e-5 * table.place[table.offsets[at] : table.offsets[at + 1]].astype(float))
        off = np.abs(own[:, None] / d_star[None] - 1).min(axis=1)
        assert off.max() < 3e-5
        assert 1 <= len(own) <= 100


def test_the_table_of_a_build_has_the_common_powders_too(folder, tmp_path):
    """As the workflow makes it: after its own structures, with the lines that they have in the package."""
    out, powders = tmp_path / "out.parquet", common_powders()
    rows = build_table([folder / "triclinic.parquet"], folder / "structures.parquet", out, powders)
    own = pq.read_metadata(folder / "triclinic.parquet").num_rows
    made = pq.read_table(out)
    assert rows == len(made) == own + len(powders)
    assert made.slice(own).to_pylist() == powders.to_pylist()
    named = load_table(out).names([own, rows - 1])
    assert [row["structure_id"] for row in named] == [powders["structure_id"][i].as_py() for i in (0, -1)]


def test_line_lists_of_unknown_structures_are_refused(folder, tmp_path):
    rows = pq.read_table(folder / "structures.parquet")
    pq.write_table(rows.slice(len(rows) // 2), tmp_path / "half.parquet")
    with pytest.raises(XtinctError, match=r"which .*half\.parquet does not have"):
        build_table([folder / "cubic.parquet"], tmp_path / "half.parquet", tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
