"""The audit catches what was done to a good measurement, and passes the measurement itself."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from rutile_patterns import CELL, counted, pattern, profile

from xtinct.auditing.calculated_profiles import is_calculated, turning_share
from xtinct.auditing.pattern_audit import REJECTING, REMARKS, audit, audit_patterns
from xtinct.auditing.pattern_sets import PASS, REJECT, PatternLabel, labelled_measurements
from xtinct.auditing.pattern_sources import collect_patterns
from xtinct.auditing.repeated_patterns import duplicates
from xtinct.files.schema import AUDIT


def labelled(number, cell, system=None, phases=1):
    return PatternLabel(number, system, None if cell is None else np.array(cell), "TiO2", phases, "test")


def told(name, y, label=None, **about):
    (one,) = audit([pattern(name, y, label, **about)])
    return one


@pytest.fixture(scope="module")
def good():
    return counted(profile()[1])


def test_a_good_measurement_passes_with_its_figures(good):
    one = told("good", good)
    assert (one.verdict, one.reasons) == (PASS, [])
    assert one.figures["unexplained"] == 0
    assert one.figures["class_probability"] > 0.5
    assert one.figures["cell_change"] < 1e-3
    assert 3_000 < one.figures["counts"] < 30_000  # 10,100 counts
    assert one.figures["class_ceiling"] > 0.9
    # Three groups have the class of P 42/m n m.
    assert one.figures["group_ceiling"] == pytest.approx(one.figures["class_ceiling"] / 3, abs=0.05)


def test_fewer_counts_allow_less_of_a_class():
    """A count a unit, over a background of 20 counts: only the highest lines stand out."""
    one = told("weak", counted(profile()[1] + 19, 1.0))
    assert one.verdict == PASS
    assert one.figures["class_ceiling"] < 0.85


def test_white_noise_has_two_turning_points_of_three_and_counts_do_not_change_that():
    noise = np.random.default_rng(3).normal(size=200_000)
    assert turning_share(noise) == pytest.approx(1, abs=0.01)
    assert turning_share(7 * noise + 3) == turning_share(noise)


@pytest.mark.parametrize("decimals", [8, 3, 1])
@pytest.mark.parametrize("fwhm", [0.08, 0.3])
def test_a_calculated_profile_is_no_measurement(decimals, fwhm):
    y = profile(fwhm=fwhm)[1].round(decimals)
    assert "calculated" in told("calculated", y).reasons
    assert is_calculated(3.7 * y)


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e5])
def test_counts_at_any_scale_are_a_measurement(scale):
    """Half a million counts at the highest line still scatter; so do counts that were scaled to 100."""
    y = counted(profile()[1], scale)
    assert not is_calculated(y)
    assert not is_calculated(100 * y / y.max())


def test_the_same_measurement_in_other_units_is_a_duplicate(good):
    rounded = (good / good.max() * 100).round(2)
    found = duplicates([pattern("first", good), pattern("second", rounded)])
    assert found == {"set:second": ("set:first", "content")}
    # The same sample measured again is not the same measurement.
    again = counted(profile(fwhm=0.16)[1], seed=2)
    assert duplicates([pattern("first", good), pattern("again", again)]) == {}
    # Of one specimen it is counted once.
    twice = [pattern("first", good, specimen="R1"), pattern("again", again, specimen="R1")]
    assert duplicates(twice) == {"set:again": ("set:first", "specimen")}
    # Another laboratory has its own R1.
    named = [replace(one, laboratory=who) for one, who in zip(twice, ("one", "another"), strict=True)]
    assert duplicates(named) == {}
    # Of sets that name none it is the same as far as anybody knows, where the formula is the same too.
    elsewhere = replace(twice[1], pattern_id="other:again", laboratory="other")
    assert duplicates([elsewhere], twice[:1]) == {"other:again": ("set:first", "specimen")}
    assert duplicates([elsewhere], named[:1]) == {"other:again": ("set:first", "specimen")}
    bare = [replace(one, label=replace(one.label, formula="")) for one in (twice[0], elsewhere)]
    assert duplicates(bare[1:], bare[:1]) == {}
    assert duplicates([pattern("x", rounded)], [pattern("first", good)]) == {
        "set:x": ("set:first", "content")
    }


@pytest.mark.parametrize(
    ("number", "cell"),
    [
        (141, [3.785, 3.785, 9.514, 90, 90, 90]),  # anatase
        (225, [4.446, 4.446, 4.446, 90, 90, 90]),
    ],
)
def test_another_crystal_s_label_is_wrong(good, number, cell):
    one = told("wrong", good, labelled(number, cell))
    assert one.verdict == REJECT
    assert "wrong_label" in one.reasons


def test_a_group_that_forbids_seen_lines_is_wrong(good):
    # I centring forbids h + k + l odd: 210 and 111 of rutile.
    one = told("forbidden", good, labelled(139, CELL))
    assert one.verdict == REJECT
    assert "forbidden_lines" in one.reasons


def test_a_cell_that_is_none_of_its_group_is_inconsistent(good):
    one = told("cell", good, labelled(225, CELL))
    assert "label_inconsistent" in one.reasons
    assert "class_ceiling" not in one.figures


@pytest.mark.parametrize("heights", [[30, 6, 10, 6], [5, 5, 5, 5]])
def test_a_second_phase_is_seen_by_its_lines(heights):
    """By a strong line, or by weak ones that have 6 % of the area together."""
    hkl = [(1, 0, 1), (0, 0, 4), (2, 0, 0), (1, 0, 5)]
    _, anatase = profile([3.785, 3.785, 9.514], hkl, heights)
    one = told("mixture", counted(profile()[1] + anatase - 1))
    assert one.verdict == REJECT
    assert "several_phases" in one.reasons


def test_few_counts_and_a_short_range(good):
    few = told("few", counted(profile()[1], 0.2))
    assert few.verdict == REJECT
    assert set(few.reasons) & {"few_counts", "few_peaks", "unreadable"}
    x, _ = profile()
    one = pattern("short", good)
    m = one.measurement
    cut = type(m)(x[x < 30], good[x < 30], None, m.radiation, name="short")
    (short,) = audit([type(one)(one.pattern_id, "here", cut, one.label)])
    assert "short_range" in short.reasons


def test_labels_alone():
    _, y = profile()
    y = counted(y)
    assert told("none", y, PatternLabel()).reasons == ["no_label"]
    assert told("name", y, labelled(None, None, "hexagonal")).reasons == ["trigonal_or_hexagonal"]
    assert "filed_under_hexagonal" in told("filed", y, labelled(167, None, "hexagonal")).reasons
    assert "several_phases" in told("two", y, labelled(136, CELL, phases=2)).reasons


def test_a_rhombohedral_crystal_is_not_hexagonal():
    """Corundum, R -3 c: labelled P 63/m m c, whose lines it does not show."""
    cell = np.array([4.759, 4.759, 12.992, 90.0, 90.0, 120.0])
    hkl = [(0, 1, 2), (1, 0, 4), (1, 1, 0), (1, 1, 3), (0, 2, 4), (1, 1, 6), (1, 2, 4), (0, 3, 0)]
    # On orthogonal axes of the same lattice: (h, h + 2k, l) with a, a sqrt(3), c.
    orthogonal = [(i, i + 2 * j, k) for i, j, k in hkl]
    y = counted(
        profile([cell[0], cell[0] * np.sqrt(3), cell[2]], orthogonal, [70, 100, 45, 98, 48, 96, 36, 55])[1]
    )
    one = told("corundum", y, PatternLabel(194, "hexagonal", cell, "Al2O3", 1, "test"))
    assert "trigonal_as_hexagonal" in one.reasons
    assert told("right", y, PatternLabel(167, "trigonal", cell, "Al2O3", 1, "test")).verdict == PASS


def test_the_table_of_a_set_has_a_row_for_every_pattern(folder, tmp_path):
    table, quarantine, out = (tmp_path / f"{name}.parquet" for name in ("patterns", "quarantine", "audit"))
    config = {"kind": "files", "path": str(folder), "pattern": "*.xy", "labels": "labels.csv"}
    collect_patterns("mine", config, table, quarantine)
    assert audit_patterns(table, [], out) == {PASS: 0, REJECT: 2}
    found = pq.read_table(out)
    assert found.schema.names == AUDIT.names
    rows = {row["pattern_id"]: row for row in found.to_pylist()}
    assert set(rows["mine:good.xy"]["reasons"]) == {"duplicate_content"}
    assert rows["mine:good.xy"]["duplicate_of"] == "mine:deep/other.xy"
    assert labelled_measurements(table, out) == []
    assert rows["mine:deep/other.xy"]["reasons"] == ["no_label", "no_wavelength"][:1]
    assert all(reason in {**REJECTING, **REMARKS} for row in rows.values() for reason in row["reasons"])
