"""One answer of all methods, on simulated measurements of known and unknown crystals."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from patterns import pattern, rutile
from pymatgen.core import Lattice, Structure

import xtinct
from xtinct.cli import cli
from xtinct.errors import XtinctError
from xtinct.joint.identification import SUM, SUM_APART, SURE
from xtinct.joint.identifying import lattices_of, told_by
from xtinct.lattices.bravais import reduced, same
from xtinct.lattices.conventional import conventional_cell
from xtinct.measurements import Measurement, PeakTable
from xtinct.observer.asking import listed
from xtinct.observer.final_fit import fitted_to_the_end
from xtinct.observer.indexing.candidates import Suggestion
from xtinct.observer.judging.court import Court
from xtinct.observer.observe import observe_peaks, peaks_of
from xtinct.observer.question import Question
from xtinct.observer.simulation import Settings, simulate_measurement
from xtinct.observer.weighed_lattices import with_suggestions, worth_fitting
from xtinct.recognition.known_structures import load_table
from xtinct.recognition.recognising import DATABASE, PACKAGED, default_database, recognise
from xtinct.sources.given import standard_of
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import family_of
from xtinct.symmetry.operations import hermann_mauguin

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
    return xtinct.predict(measured, database=table)


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


def test_the_set_of_classes_is_larger_where_absences_and_known_structures_differ(answer):
    """By the sums up to which classes are in it; 0.8 for the best one lies between them."""
    best, *others = answer.classes
    members = {
        name: next(g for g in answer.groups if (family_of(g), class_symbol(g)) == name)
        for name in answer.classes
    }
    shares = [(members[best], 0.8), *((members[name], 0.2 / len(others)) for name in others)]
    observation = replace(answer.observation, groups=shares)
    agreeing = replace(answer, observation=observation)
    assert agreeing.class_set == [best]
    recognition = replace(answer.recognition, groups={members[others[0]]: 1.0})
    apart = replace(agreeing, recognition=recognition)
    assert apart.agreement.startswith("Absences alone show")
    assert apart.agreement.endswith(").")
    total = sum(apart.classes[name] for name in apart.class_set)
    assert SUM_APART <= total < SUM_APART + 0.2 / len(others) + 1e-9
    assert SUM <= 0.8 < SUM_APART


def test_ions_that_scatter_alike_are_told():
    """Cs+ and I- have 54 electrons each: no line breaks the I centring that the structure does not have.

    CsI says itself that these lines are too weak to be seen, so their absence does not speak against it.
    """
    sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    iodide = Structure.from_spacegroup("Pm-3m", Lattice.cubic(4.567), ["Cs", "I"], sites)
    answer = xtinct.predict(pattern(iodide), "CuKa", database=PACKAGED)
    assert answer.similar[0].structure_id == "powders:CsI_221"
    assert len(answer.recognition.known) > 1
    alone = answer.observation.by_absences
    assert max(alone, key=lambda item: item[1])[0] in (229, 204, 197, 211, 217)
    assert next(iter(answer.groups)) == 221
    assert answer.classes["cubic", "P - - -"] > SURE
    told = xtinct.predict(pattern(iodide), "CuKa", database=PACKAGED, prior={229: 1.0})
    assert told.classes["cubic", "I - - -"] > 0.8, "the group of CsI has no weight"
    assert answer.lattice.bravais == "cP"
    assert "CsI, P m -3 m, fits too: lines that need two atoms to scatter differently" in answer.agreement
    # A known structure of another lattice is none of them, if its volume is four times as large.
    first, *others = answer.similar
    longer = 2 ** (1 / 3)
    first = replace(first, cell=first.cell * [longer, longer, longer, 1, 1, 1])
    other = replace(answer, recognition=replace(answer.recognition, known=(first, *others)))
    assert other.agreement.endswith(").")


def test_who_said_what_is_told_apart(answer, simulated):
    crystal, _ = simulated
    symbol = class_symbol(crystal.number)
    assert (
        answer.agreement == f"Absences and known structures agree on {symbol} ({family_of(crystal.number)})."
    )
    assert sum(p for _, p in answer.observation.by_absences) == pytest.approx(1, abs=1e-6)
    assert answer.observation.by_absences != answer.observation.groups
    # Votes count within each lattice: the sum can lead elsewhere than absences and votes do.
    other = list(answer.classes)[1]
    group = next(g for g in answer.groups if (family_of(g), class_symbol(g)) == other)
    elsewhere = replace(answer, observation=replace(answer.observation, groups=[(group, 1.0)]))
    assert elsewhere.agreement.startswith("Absences and known structures each name ")
    assert elsewhere.agreement.endswith(f"{other[1]} ({other[0]}) leads.")


def test_a_class_that_does_not_hold_the_group_is_said(answer):
    """P 4 2 2 and P 4 m m have one class; one more probable group of another class leads alone."""
    observation = replace(answer.observation, groups=[(90, 0.4), (89, 0.3), (99, 0.3)])
    several = replace(answer, observation=observation)
    assert "space group P 4 21 2, no. 90" in several.summary
    assert "extinction class P - - - (0.60)" in several.summary
    assert "They do not belong to one crystal" in several.certainty
    # What is printed as 0.90 is not called above 0.9.
    nearly = replace(answer, observation=replace(answer.observation, groups=[(90, 0.904), (89, 0.096)]))
    assert "space group P 4 21 2, no. 90 (0.90)" in nearly.summary
    assert "Likely (0.5 to 0.9): extinction class, space group." in nearly.certainty


def test_without_a_recognised_structure_the_answer_is_the_observer_s(simulated, table):
    _, pattern = simulated
    measured = Measurement(pattern.two_theta, pattern.intensity, radiation=pattern.radiation, name="sample")
    recognition = recognise(measured, table)
    assert told_by(replace(recognition, known=()), Question()) == Question()
    other = replace(Question(), cell=(4.0, 4.0, 6.0, 90.0, 90.0, 90.0))
    assert told_by(recognition, other) == other


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


@pytest.fixture(scope="module")
def scan(simulated, tmp_path_factory):
    """The measurement as a file, and the command that reads it without naming a database."""
    _, pattern = simulated
    path = tmp_path_factory.mktemp("scan") / "sample.xy"
    np.savetxt(path, np.column_stack([pattern.two_theta, pattern.intensity]))
    return ["predict", str(path), "--wavelength", str(pattern.radiation.wavelength)]


def asked(*arguments):
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


@pytest.fixture
def empty_folder(monkeypatch, tmp_path):
    """No build here, and no database in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(DATABASE, raising=False)


@pytest.mark.usefixtures("empty_folder")
def test_the_command_answers_anywhere_with_the_table_that_comes_with_it(scan, simulated, row):
    """The answer has one shape, and what was asked is said."""
    plain = json.loads(asked(*scan, "--json").output)
    assert {"lattice", "crystal_systems", "families", "bravais_lattices", "classes", "class_set_90"} <= set(
        plain
    )
    assert {"groups", "similar_structures", "agreement", "asked"} <= set(plain)
    crystal, _ = simulated
    assert plain["groups"][0]["number"] == crystal.number
    assert plain["groups"][0]["symbol"] == hermann_mauguin(crystal.number)
    assert plain["similar_structures"][0]["structure_id"] == row["structure_id"]
    cell, error = plain["lattice"]["cell"], plain["lattice"]["cell_uncertainty"]
    assert cell[0] == pytest.approx(crystal.crystal.cell[0], abs=max(10 * error[0], 2e-3))
    assert plain["asked"].startswith(
        f"{len(load_table(PACKAGED)):,} known structures were asked, those that come"
    )
    assert plain["recognition"]["probability"] <= 1


def test_a_database_is_named_once_for_all_by_the_environment(scan, table, monkeypatch, tmp_path):
    monkeypatch.setenv(DATABASE, str(table))
    assert default_database() == table
    monkeypatch.setenv(DATABASE, str(tmp_path / "none.parquet"))
    with pytest.raises(XtinctError, match=r"none\.parquet \(XTINCT_DATABASE\): no such file"):
        asked(*scan)


def test_without_a_database_lattice_and_absences_answer_and_say_what_one_would_add(scan, simulated):
    text = asked(*scan, "--database", "none").output
    assert "No known structure was asked. If the crystal may be known, name a table" in text
    _, pattern = simulated
    alone = xtinct.predict((pattern.two_theta, pattern.intensity), pattern.radiation, database="none")
    read = xtinct.index((pattern.two_theta, pattern.intensity), pattern.radiation)
    assert alone.groups == dict(read.groups)
    assert (alone.similar, alone.recognition) == ((), None)
    with pytest.raises(XtinctError, match="elements: they choose among known structures"):
        asked(*scan, "--database", "none", "--elements", "Si")


def test_the_best_lattice_has_uncertainties_and_the_lines_that_decide_for_its_class(answer):
    best = answer.observation.lattice
    assert np.isfinite(best.cell_error[[0, 2]]).all()
    own = [c.symbol for c in answer.observation.classes if c.family == best.family]
    assert next(iter(answer.observation.deciding)) == own[1]


def test_the_last_fit_keeps_the_order_of_classes_that_the_judging_gave(simulated):
    """Also where that is turned round: it refines, and does not judge again."""
    _, pattern = simulated
    found = peaks_of(Measurement(pattern.two_theta, pattern.intensity, radiation=pattern.radiation))
    pool = worth_fitting(found, Question())
    one = Court.of(found, pool[:1]).judge(pool[0])
    groups = one.posterior.groups
    last = np.arange(len(groups)) == len(groups) - 1
    turned = replace(one, posterior=replace(one.posterior, group_probability=last.astype(float)))
    _, posterior = fitted_to_the_end(found, turned, Question())
    assert posterior.symbols[0] == posterior.class_of(int(groups[-1])) != one.posterior.symbols[0]


def test_settings_of_the_one_method_are_refused_by_the_other(scan, tmp_path):
    for arguments, said in (
        (("--any-width",), "any_width: this is for trained models"),
        (("--coverage", "0"), "coverage: this is for trained models"),
        (("--models", str(tmp_path), "--elements", "Si"), "elements: this is only where no models are named"),
        (("--models", str(tmp_path), "--plot", "a.svg"), "--plot: only where no models are named"),
        (("--models", str(tmp_path)), "holds no trained model"),
    ):
        with pytest.raises(XtinctError, match=said):
            asked(*scan, *arguments)


def test_the_former_name_still_answers_and_says_the_new_one(scan):
    done = asked("identify", *scan[1:], "--database", "none")
    assert done.exit_code == 0
    assert "xtinct identify is now called xtinct predict" in done.stderr
    assert "identify" not in asked("--help").output


def test_a_pattern_beyond_the_reach_of_the_tables_is_answered_by_lattice_and_absences(simulated, table):
    """The same pattern as of a crystal forty times as large: no line is within 25 angstrom."""
    _, pattern = simulated
    far = replace(pattern.radiation, wavelength=40 * pattern.radiation.wavelength, second=None, ratio=0.0)
    measured = Measurement(pattern.two_theta, pattern.intensity, radiation=far)
    answer = xtinct.predict(measured, database=table, family="tetragonal")
    assert answer.recognition is None
    assert answer.asked.startswith("Too few peaks between d = 0.94 and 25 angstrom")
    packaged = replace(answer, database=PACKAGED).asked
    assert packaged.endswith("known structures that come with xtinct.")
    assert sum(answer.groups.values()) == pytest.approx(1)


def test_where_no_lattice_is_found_the_known_structures_are_heard(answer):
    """Two peaks have no lattice: the prior with the votes is all that is known."""
    peaks = listed(PeakTable(np.array([3.2, 2.5]), np.array([100.0, 50.0])))
    assert observe_peaks("two", peaks, Question()).groups[0][1] == pytest.approx(1 / 230)
    heard = observe_peaks("two", peaks, Question(votes=answer.recognition.groups))
    assert heard.lattices == []
    assert heard.groups[0][0] == next(iter(answer.recognition.groups))
    assert sum(p for _, p in heard.groups) == pytest.approx(1)


def test_a_list_of_peaks_is_answered_and_says_that_it_shows_no_absences(answer, table, tmp_path):
    lines = [(line.d, line.area) for line in answer.observation.lines]
    np.savetxt(tmp_path / "lines.txt", lines, header="d intensity")
    found = xtinct.predict(tmp_path / "lines.txt", peaks=True, database=table)
    assert "a list of peaks shows no absences" in found.agreement
    assert "nominal" in str(found)
    assert sum(found.groups.values()) == pytest.approx(1)


def test_what_was_made_of_a_list_is_said_once(answer, table, tmp_path):
    np.savetxt(tmp_path / "lines.txt", [(line.d, line.area) for line in answer.observation.lines])
    found = xtinct.predict(tmp_path / "lines.txt", axis="d", database=table)
    assert str(found).count("rows at uneven distances") == 1
    assert "rows at uneven distances" in str(xtinct.recognise(tmp_path / "lines.txt", table, axis="d"))


def test_a_list_of_spacings_that_does_not_name_them_is_read_where_the_axis_is_told(answer, tmp_path):
    path = tmp_path / "lines.txt"
    np.savetxt(path, [(line.d, line.area) for line in answer.observation.lines])
    with pytest.raises(XtinctError, match=r"tell the axis \(--axis\): 2theta, theta, d"):
        asked("predict", str(path), "--peaks", "--database", "none")
    told = asked("predict", str(path), "--peaks", "--axis", "d", "--database", "none", "--json")
    found = [line["d"] for line in json.loads(told.output)["observation"]["lines"]]
    assert sorted(found) == pytest.approx(sorted(line.d for line in answer.observation.lines), rel=1e-3)


def test_what_is_written_of_the_best_lattice_is_of_its_own_class(answer):
    """Where another lattice has the most probable class: cubic groups do not have a tetragonal cell."""
    observation = answer.observation
    cubic = next(c for c in observation.classes if (c.family, c.symbol) == ("cubic", "F d - -"))
    first = [replace(cubic, probability=0.9), *(c for c in observation.classes if c is not cubic)]
    mixed = replace(observation, classes=first, groups=[(cubic.members[0], 0.9), *observation.groups])
    groups = {int(row.split()[1]) for row in mixed.to_cif().splitlines() if "IT_number" in row}
    assert groups
    assert {family_of(number) for number in groups} == {"tetragonal"}
    assert mixed.to_cif() == observation.to_cif()
    own = next(c for c in observation.classes if c.family == "tetragonal")
    assert f"The most probable class is not one of the best lattice. On the best lattice {own.symbol}" in str(
        mixed
    )
    assert f"decide for {cubic.symbol} against" not in str(mixed)
    assert mixed.to_dict()["class_of_best_lattice"] == {"family": "tetragonal", "symbol": own.symbol}
    assert "not one of the best lattice" not in str(observation)


def test_at_the_prompt_an_answer_is_what_a_person_reads(answer):
    for said in (answer, answer.observation, answer.recognition):
        assert repr(said) == str(said)


def test_the_answer_says_first_what_is_sure_and_what_is_open(answer, table):
    lines = str(answer).splitlines()
    assert lines[2].startswith("Most probable: crystal system tetragonal")
    assert lines[3] == answer.certainty
    assert "They do not belong" not in answer.certainty
    ((family, symbol),) = answer.class_set
    assert lines[5].startswith(f"Classes to reckon with: {symbol} ({family}). ")
    # The two rankings of one table are no pairs.
    assert str(answer).count("Each column is ranked by itself") == 1
    levels = {"crystal system": answer.systems, "space group": answer.groups}
    for name, ranked in levels.items():
        p = next(iter(ranked.values()))
        word = "Sure" if p > 0.9 else "Likely" if p >= 0.5 else "Open"
        assert name in next(part for part in answer.certainty.split(". ") if part.startswith(word))
    noise = np.random.default_rng(1).poisson(100.0, 3000).astype(float)
    nothing = xtinct.predict((np.linspace(10, 70, 3000), noise), 1.5406, database=table)
    assert nothing.summary == "No lattice was found, so the pattern does not show the symmetry."
    assert "probable" not in str(nothing)


def test_many_classes_to_reckon_with_are_told_family_by_family(answer):
    groups = [(136, 0.3), (62, 0.25), (131, 0.25), (14, 0.2)]
    told = str(replace(answer, observation=replace(answer.observation, groups=groups)))
    assert "Classes to reckon with: P - n -, P - - c (tetragonal); P n a - (orthorhombic)" in told


def test_lattices_of_a_told_cell_have_the_probability_of_their_groups():
    """Of few counts, which hardly tell the centrings apart; the votes sharpen both alike."""
    answer = xtinct.predict(
        pattern(rutile(), height=40.0, background=10.0), "Cu", database=PACKAGED, cell="4.6,4.6,2.96,90,90,90"
    )
    assert answer.observation.by_absences
    for lattice in answer.observation.lattices:
        assert lattice.probability == pytest.approx(answer.bravais_lattices[lattice.bravais], abs=1e-9)


def test_a_missing_database_is_one_line(simulated, tmp_path):
    _, pattern = simulated
    with pytest.raises(XtinctError, match="no such file") as caught:
        xtinct.predict((pattern.two_theta, pattern.intensity), 1.54, database=tmp_path / "none.parquet")
    assert "\n" not in str(caught.value)


def test_known_structures_vote_on_a_told_cell_that_is_theirs_and_else_that_is_said(simulated, table):
    crystal, pattern = simulated
    asked = (pattern.two_theta, pattern.intensity), pattern.radiation
    true = crystal.crystal.cell
    told = xtinct.predict(*asked, database=table, cell=true)
    alone = xtinct.predict(*asked, database="none", cell=true)
    assert told.groups[crystal.number] > alone.groups[crystal.number] + 0.2
    assert dict(told.observation.by_absences)[crystal.number] < told.groups[crystal.number]
    double = xtinct.predict(*asked, database=table, cell=true * [1, 1, 2, 1, 1, 1])
    assert double.recognition.known
    assert double.groups == xtinct.predict(*asked, database="none", cell=true * [1, 1, 2, 1, 1, 1]).groups
    assert double.agreement.startswith("Known structures vote for ")
    assert double.agreement.endswith("none of them has the cell that is told.")
