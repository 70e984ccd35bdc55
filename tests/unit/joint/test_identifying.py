"""One answer of observer and recognition, on simulated measurements of known and unknown crystals."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import xtinct
from xtinct.cli import cli
from xtinct.errors import XtinctError
from xtinct.joint.identification import SUMS
from xtinct.joint.identifying import lattices_of, told_by
from xtinct.lattices.bravais import reduced, same
from xtinct.lattices.conventional import conventional_cell
from xtinct.measurements import Measurement
from xtinct.observer.indexing.candidates import Suggestion
from xtinct.observer.observe import Question, peaks_of, with_suggestions, worth_fitting
from xtinct.observer.simulation import Settings, simulate_measurement
from xtinct.recognition.recognising import recognise
from xtinct.sources.given import standard_of
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import family_of

#: Good measurements: nothing foreign, no texture, counts enough.
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
def table(known_structures):
    return known_structures / "table.parquet"


@pytest.fixture(scope="module")
def row(known_structures):
    """A tetragonal structure of a few atoms, which is in the table."""
    rows = pq.read_table(known_structures / "structures.parquet").to_pylist()
    return next(r for r in rows if r["crystal_system"] == "tetragonal" and 4 <= r["n_sites"] <= 12)


@pytest.fixture(scope="module")
def simulated(row):
    """A measurement of it, its axes 1 % longer than in the table."""
    standard = standard_of(row["cif"])
    cell = conventional_cell(family_of(standard.number), standard.crystal.cell * [1.01, 1.01, 1.01, 1, 1, 1])
    crystal = replace(standard, crystal=replace(standard.crystal, cell=cell))
    return crystal, simulate_measurement(crystal, 3, CLEAN)


@pytest.fixture(scope="module")
def answer(simulated, table):
    pattern = simulated[1]
    measured = Measurement(pattern.two_theta, pattern.intensity, radiation=pattern.radiation, name="sample")
    return xtinct.identify(measured, database=table)


def test_a_known_crystal_is_named_with_its_lattice_and_group(answer, simulated, row):
    crystal, _ = simulated
    assert next(iter(answer.groups)) == crystal.number
    best = answer.observation.lattice
    assert same(reduced(best.cell, best.centring), reduced(crystal.crystal.cell, best.centring))
    assert answer.recognition.known[0].structure_id == row["structure_id"]
    # The cell is that of the sample, not that of the table.
    assert best.cell[0] / row["a"] == pytest.approx(1.01, abs=1e-3)


def test_all_probabilities_are_sums_of_those_of_the_groups(answer):
    total = sum(answer.groups.values())
    assert total == pytest.approx(1, abs=1e-6)
    for named in (answer.systems, answer.families, answer.bravais_lattices, answer.classes):
        assert sum(named.values()) == pytest.approx(total)
        assert list(named.values()) == sorted(named.values(), reverse=True)
    (family, symbol), probability = next(iter(answer.classes.items()))
    own = [p for g, p in answer.groups.items() if (family_of(g), class_symbol(g)) == (family, symbol)]
    assert probability == pytest.approx(sum(own))
    assert sum(answer.classes[name] for name in answer.class_set) >= SUMS[0.9]


def test_who_said_what_is_told_apart(answer, simulated):
    crystal, _ = simulated
    symbol = class_symbol(crystal.number)
    assert (
        answer.agreement == f"Absences and known structures agree on {symbol} ({family_of(crystal.number)})."
    )
    assert sum(p for _, p in answer.observation.by_absences) == pytest.approx(1, abs=1e-6)
    assert answer.observation.by_absences != answer.observation.groups


def test_without_a_recognised_structure_the_answer_is_the_observer_s(simulated, table):
    _, pattern = simulated
    measured = Measurement(pattern.two_theta, pattern.intensity, radiation=pattern.radiation, name="sample")
    recognition = recognise(measured, table)
    assert told_by(replace(recognition, known=()), Question()) == Question()
    given = replace(Question(), cell=(4.0, 4.0, 6.0, 90.0, 90.0, 90.0))
    assert told_by(recognition, given) == given


def test_a_suggested_lattice_is_judged_beside_those_that_are_found(simulated):
    crystal, pattern = simulated
    measured = Measurement(pattern.two_theta, pattern.intensity, radiation=pattern.radiation, name="sample")
    found = peaks_of(measured)
    own = worth_fitting(found, Question())
    cell = crystal.crystal.cell
    wrong = Suggestion("cubic", np.array([7.7, 7.7, 7.7, 90, 90, 90]), "P", -3.0)
    letter = next(c.centring for c in own if c.family == "tetragonal")
    right = Suggestion("tetragonal", cell * 1.001, letter, 0.0)
    pool = with_suggestions(own, found, Question(suggested=(right, wrong)))
    marked = {c.family: c.suggestion for c in pool if c.suggestion is not None}
    assert marked == {"tetragonal": 0.0, "cubic": -3.0}
    # The right one was found as well, so it is there once; the wrong one is new.
    assert len(pool) == len(own) + 1
    only_hexagonal = Question(families=("trigonal-hexagonal",), suggested=(right, wrong))
    assert all(c.suggestion is None for c in with_suggestions(own, found, only_hexagonal))


def test_every_lattice_of_the_recognised_structures_is_suggested_once(simulated, table):
    _, pattern = simulated
    measured = Measurement(pattern.two_theta, pattern.intensity, radiation=pattern.radiation, name="sample")
    found = lattices_of(recognise(measured, table))
    small = [(x.family, reduced(x.cell, x.centring)) for x in found]
    for i, (family, cell) in enumerate(small):
        assert not any(family == other and same(cell, known) for other, known in small[:i])
    assert [x.score for x in found] == sorted((x.score for x in found), reverse=True)


def test_the_command_prints_both_and_writes_json(simulated, table, tmp_path):
    _, pattern = simulated
    path = tmp_path / "sample.xy"
    np.savetxt(path, np.column_stack([pattern.two_theta, pattern.intensity]))
    told = [
        "identify",
        str(path),
        "--database",
        str(table),
        "--wavelength",
        str(pattern.radiation.wavelength),
    ]
    result = CliRunner().invoke(cli, [*told, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    plain = json.loads(result.output)
    assert {"crystal_systems", "classes", "groups", "class_set_90", "agreement"} <= set(plain)
    assert plain["recognition"]["probability"] <= 1


def test_a_missing_database_is_one_line(simulated, tmp_path):
    _, pattern = simulated
    with pytest.raises(XtinctError, match="no such file") as caught:
        xtinct.identify((pattern.two_theta, pattern.intensity), 1.54, database=tmp_path / "none.parquet")
    assert "\n" not in str(caught.value)
