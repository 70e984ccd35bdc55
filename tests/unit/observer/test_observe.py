import json
import warnings
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import gemmi
import numpy as np
import pyarrow.parquet as pq
import pytest
from patterns import K_ALPHA, caesium_chloride, pattern, rock_salt, rutile, yttria
from pymatgen.core import Lattice, Structure

import xtinct
from xtinct.errors import XtinctError
from xtinct.lattices.bravais import bravais, reduced
from xtinct.lattices.metric import direct_tensor
from xtinct.measurements import PeakTable, read_measurement, read_peaks
from xtinct.observer.answer.answer_data import LatticeAnswer, Statement
from xtinct.observer.answer.lattice_answers import on_c_axes
from xtinct.observer.answer.picture import tick_rows
from xtinct.observer.answer.remarks import of_answer, two_phases
from xtinct.observer.asking import asked
from xtinct.observer.indexing.candidates import Candidate, candidates
from xtinct.observer.judging.court import Court
from xtinct.observer.judging.lattice_classes import class_posterior
from xtinct.observer.peaks.peak_lists import ListedLines, from_two_theta
from xtinct.observer.peaks.radiation_found import _companions, find
from xtinct.observer.question import Question, family_of_told
from xtinct.radiation.tubes import doublet_of, radiation_of
from xtinct.symmetry.absences import absent
from xtinct.symmetry.families import space_groups
from xtinct.symmetry.operations import bravais_lattice, hermann_mauguin


def told(observation, kind):
    return [str(s) for s in observation.statements if s.kind == kind]


@pytest.fixture(scope="module")
def measured_yttria():
    return xtinct.index(pattern(yttria()), "Cu")


def test_lattice_class_and_shift_of_a_measured_pattern(measured_yttria):
    lattice = measured_yttria.lattice
    assert lattice.bravais == "cI"
    assert lattice.cell[0] == pytest.approx(10.604, abs=5 * lattice.cell_error[0] + 1e-3)
    assert measured_yttria.classes[0].symbol == "I a - -"
    assert 206 in measured_yttria.classes[0].members
    assert measured_yttria.fit.profile.zero + measured_yttria.fit.profile.displacement == pytest.approx(
        0.03, abs=0.015
    )
    assert told(measured_yttria, "shift")


def test_probabilities_of_one_answer_agree(measured_yttria):
    groups = dict(measured_yttria.groups)
    assert sum(groups.values()) == pytest.approx(1)
    for item in measured_yttria.classes:
        assert item.probability == pytest.approx(sum(groups[g] for g in item.members))
    assert list(measured_yttria.families.values()) == sorted(measured_yttria.families.values(), reverse=True)
    for family, probability in measured_yttria.families.items():
        own = sum(c.probability for c in measured_yttria.classes if c.family == family)
        assert probability == pytest.approx(own)
    lattices = measured_yttria.lattices
    assert sum(x.probability for x in lattices) + measured_yttria.unknown == pytest.approx(1)
    assert all(x.probability <= x.cell_probability + 1e-9 for x in lattices)
    assert lattices[0].cell_probability == max(x.cell_probability for x in lattices)


def test_every_indexed_line_obeys_braggs_law(measured_yttria):
    for line in measured_yttria.lines:
        if line.hkl:
            assert line.d == pytest.approx(10.604 / np.sqrt(np.square(line.hkl).sum()), rel=2e-3)
            assert list(line.hkl) == sorted(line.hkl, reverse=True), "the conventional representative"


def test_figures_of_merit_are_those_of_the_lines_that_are_told(measured_yttria):
    """M20 = Q20 / (2 <|dQ|> N20) and F20 = 20 / (<|d2theta|> N20), of the first 20 indexed lines."""
    lattice = measured_yttria.lattice
    lines = [line for line in measured_yttria.lines if line.hkl][:20]
    q = np.array([1 / line.d**2 for line in lines])
    true = np.square([line.hkl for line in lines]).sum(axis=1) / lattice.cell[0] ** 2
    sums = {sum(x * x for x in hkl) for hkl in np.ndindex(12, 12, 12) if sum(hkl) % 2 == 0} - {0}
    possible = sum(s <= q[-1] * lattice.cell[0] ** 2 + 0.5 for s in sums)
    assert lattice.m20 == pytest.approx(q[-1] / (2 * np.abs(q - true).mean() * possible), rel=0.15)
    error = np.mean([abs(line.two_theta - line.calculated) for line in lines])
    assert lattice.f20 == pytest.approx(len(lines) / (error * possible), rel=0.15)


def test_deciding_lines_are_those_of_the_glide_plane(measured_yttria):
    lines = measured_yttria.deciding["I - - -"]
    assert lines
    for line in lines:
        h, k, zero = sorted(np.abs(line.hkl[0]), reverse=True)
        # hk0 of odd h and k are those that an a glide forbids and I centring does not.
        assert (zero, h % 2, k % 2) == (0, 1, 1)
        assert not line.allowed


def test_json_cif_and_pictures(measured_yttria, tmp_path):
    plain = json.loads(json.dumps(measured_yttria.to_dict()))
    assert plain["lattices"][0]["bravais"] == "cI"
    assert {"number": 206, "symbol": "I a -3"} in plain["classes"][0]["space_groups"]
    document = gemmi.cif.read_string(measured_yttria.to_cif(tmp_path / "cell.cif"))
    small = gemmi.make_small_structure_from_block(document[0])
    assert small.cell.a == pytest.approx(10.604, abs=0.01)
    assert gemmi.find_spacegroup_by_name(small.spacegroup_hm).number == 206
    for name in ("a.svg", "a.png", "a.html"):
        measured_yttria.plot(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000
    assert "I a - -" in (tmp_path / "a.html").read_text()
    with pytest.raises(XtinctError, match="svg"):
        measured_yttria.plot(tmp_path / "a.pdf")


def test_inputs_of_the_next_programs_carry_cell_and_group(measured_yttria, tmp_path):
    for name in ("yttria.inp", "yttria.exp"):
        measured_yttria.to_input(tmp_path / name)
    topas, expo = (tmp_path / "yttria.inp").read_text(), (tmp_path / "yttria.exp").read_text()
    # One free length in a cubic cell; two lines of the doublet, the second half as strong.
    assert [line.split()[0] for line in topas.splitlines() if "= Get(a);" in line] == ["b", "c"]
    assert topas.count(" @ 10.6") == 1
    # A line of the spectrum begins with its area, as in every emission profile that TOPAS comes with.
    assert "la 1.0000 lo 1.54059" in topas
    assert "la 0.5000 lo 1.54443" in topas
    groups = [number for number, _ in measured_yttria.groups][:2]
    assert 206 in groups
    assert 'space_group "I' in topas
    fields = dict(
        line.split(maxsplit=1) for line in expo.splitlines() if line.startswith("  ") and " " in line.strip()
    )
    assert [float(x) for x in fields["cell"].split()] == pytest.approx([10.604] * 3 + [90] * 3, abs=0.01)
    assert fields["spacegroup"].startswith("i ")
    assert gemmi.find_spacegroup_by_name(fields["spacegroup"].upper().replace("A ", "a ")).number in groups
    with pytest.raises(XtinctError, match=r"\.inp for TOPAS, \.pcr for FullProf, \.cif for GSAS-II or \.exp"):
        measured_yttria.to_input(tmp_path / "yttria.res")


#: Lines of FullProf's .pcr of one pattern and one phase without atoms, in the order in which they are read.
PCR = {
    "job": "job npr nph nba nex nsc nor dum iwg ilo ias res ste nre cry uni cor opt aut",
    "output": "ipr ppl ioc mat pcr ls1 ls2 ls3 nli prf ins rpa sym hkl fou sho ana",
    "radiation": "lambda1 lambda2 ratio bkpos wdt cthm mur asylim rpolarz mur2",
    "cycles": "ncy eps r_at r_an r_pr r_gl thmin step thmax psd sent0",
    "background": None,
    "count": "refined",
    "zero": "zero zero_code sycos sycos_code sysin sysin_code slot slot_code more",
    "name": None,
    "phase": "nat dis ang pr1 pr2 pr3 jbt irf isy str furth atz nvk npr more",
    "group": None,
    "scale": "scale shape1 bov str1 str2 str3 strain_model",
    "scale_codes": "scale shape1 bov str1 str2 str3",
    "widths": "u v w x y gausiz lorsiz size_model",
    "width_codes": "u v w x y gausiz lorsiz",
    "cell": "a b c alpha beta gamma",
    "cell_codes": "a b c alpha beta gamma",
    "texture": "pref1 pref2 asy1 asy2 asy3 asy4",
    "texture_codes": "pref1 pref2 asy1 asy2 asy3 asy4",
    "range": "first last pattern",
}


def read_pcr(text):
    """What FullProf takes from a .pcr: the format is positional, and every line has its number of fields."""
    title, *rows = text.splitlines()
    assert title.startswith("COMM ")
    rows = [row.partition("!")[0].partition("<--")[0].strip() for row in rows]
    rows = iter([row for row in rows if row])
    found = {}
    for line, fields in PCR.items():
        if line == "background":
            found[line] = [[float(x) for x in next(rows).split()] for _ in range(int(found["job"]["nba"]))]
        elif fields is None:
            found[line] = next(rows)
        else:
            values = next(rows).split()
            found[line] = dict(zip(fields.split(), map(float, values), strict=True))
    assert next(rows, None) is None
    return found


def test_fullprof_reads_a_le_bail_fit(measured_yttria, tmp_path):
    measured_yttria.to_input(tmp_path / "yttria.pcr")
    found = read_pcr((tmp_path / "yttria.pcr").read_text())
    assert (found["job"]["job"], found["phase"]["jbt"], found["phase"]["nat"]) == (0, 2, 0)
    assert found["job"]["npr"] == found["phase"]["npr"] == 5
    assert found["output"]["ins"] == 10
    radiation, profile = found["radiation"], measured_yttria.fit.profile
    assert [radiation[x] for x in ("lambda1", "lambda2", "ratio")] == pytest.approx(
        [1.5406, 1.5444, 0.5], 1e-4
    )
    assert list(found["cell"].values()) == pytest.approx([10.604] * 3 + [90] * 3, abs=0.01)
    assert gemmi.find_spacegroup_by_name(found["group"]).number == 206
    assert found["zero"]["zero"] + found["zero"]["sycos"] == pytest.approx(0.03, abs=0.015)
    # Widths and shape as FullProf computes them are those of the fit, at two angles.
    for angle in (30.0, 60.0):
        tan, w = np.tan(np.radians(angle / 2)), found["widths"]
        assert w["u"] * tan**2 + w["v"] * tan + w["w"] == pytest.approx(
            profile.U * tan**2 + profile.V * tan + profile.W, abs=1e-5
        )
        eta = profile.eta0 + profile.eta1 * (angle - 40) / 40
        assert found["scale"]["shape1"] + w["x"] * angle == pytest.approx(eta, abs=1e-3)
    measured = measured_yttria.measured
    angles, heights, _ = np.transpose(found["background"])
    assert heights == pytest.approx(np.interp(angles, measured.two_theta, measured.background), abs=0.01)


def test_fullprof_refines_the_free_numbers_of_the_family(measured_yttria, tmp_path):
    measured_yttria.to_input(tmp_path / "yttria.pcr")
    found = read_pcr((tmp_path / "yttria.pcr").read_text())
    cell = list(found["cell_codes"].values())
    assert cell[0] == cell[1] == cell[2] > 0, "one parameter drives a, b and c"
    assert cell[3:] == [0, 0, 0]
    codes = [
        found["zero"]["zero_code"],
        *(row[2] for row in found["background"]),
        *found["scale_codes"].values(),
        *found["width_codes"].values(),
        *cell,
    ]
    numbers = {int(code) // 10 for code in codes if code}
    assert all(code % 10 == 1 for code in codes if code)
    assert numbers == set(range(1, int(found["count"]["refined"]) + 1))
    assert found["scale_codes"]["scale"] == 0, "the scale follows the intensities of a Le Bail fit"


def test_gsas_reads_the_phase(measured_yttria, tmp_path):
    """GSAS-II takes no block of a CIF without positions of atoms: the one here is marked a dummy."""
    measured_yttria.to_input(tmp_path / "yttria.cif")
    (block,) = gemmi.cif.read(str(tmp_path / "yttria.cif"))
    (atom,) = block.find("_atom_site_", ["fract_x", "fract_y", "fract_z", "occupancy", "calc_flag"])
    assert list(atom) == ["0", "0", "0", "0", "dum"]
    small = gemmi.make_small_structure_from_block(block)
    assert small.cell.a == pytest.approx(10.604, abs=0.01)
    assert block.find_value("_space_group_name_H-M_alt") == "'I a -3'"


@pytest.mark.parametrize(
    ("crystal", "fwhm", "bravais", "lengths"),
    [
        (rock_salt, 1.5, "cF", [5.64] * 3),
        (rutile, 0.9, "tP", [4.594, 4.594, 2.959]),
        (yttria, 0.6, "cI", [10.604] * 3),
    ],
)
def test_peaks_of_nanocrystals_are_no_humps(crystal, fwhm, bravais, lengths):
    # 6 to 15 nm by Scherrer's formula: peaks follow each other without a quiet part between them.
    answer = xtinct.index(pattern(crystal(), fwhm=fwhm), "Cu")
    assert answer.lattice.bravais == bravais
    assert answer.lattice.cell[:3] == pytest.approx(lengths, rel=3e-3)
    assert told(answer, "broad")


def test_a_doublet_that_is_called_one_wavelength_is_seen():
    answer = xtinct.index(pattern(yttria(), fwhm=0.07), 1.5406)
    assert answer.radiation.ratio == pytest.approx(0.5)
    assert told(answer, "radiation")
    assert answer.lattice.cell[0] == pytest.approx(10.604, abs=2e-3)


@pytest.mark.parametrize("doublet", [True, False])
def test_pairs_of_lines_are_taken_for_doublets(doublet):
    """Weak lines, whose chi^2 gains little: that most strong ones have companions decides."""
    found = find(
        *pattern(rock_salt(), height=300, background=20, fwhm=0.06, doublet=doublet, step=0.01),
        radiation_of(1.5406),
    )
    assert bool(found.measured.radiation.ratio) == doublet
    assert len([note for note in found.notes if "doublets of Cu K-alpha" in note]) == doublet


def test_k_alpha_2_lines_are_not_asked_for_such_lines_of_their_own():
    """Three pairs and two weak lines: of the six strongest, three are K-alpha2 lines."""
    first = np.array([45.0, 60.0, 75.0])
    second = 2 * np.degrees(np.arcsin(np.sin(np.radians(first / 2)) * K_ALPHA[1] / K_ALPHA[0]))
    two_theta = np.concatenate([first, second, [101.0, 110.0]])
    area = np.array([100.0, 90.0, 80.0, 50.0, 45.0, 40.0, 3.0, 2.0])
    fit = SimpleNamespace(two_theta=two_theta, area=area)
    peaks = from_two_theta(np.sort(two_theta), K_ALPHA[0], ListedLines(area, None))
    peaks = replace(peaks, fwhm=np.full(len(area), 0.05))
    assert _companions((None, peaks, fit), radiation_of("Cu"), (0.25, 0.8))
    area[3:6] = 0.1 * area[:3]
    assert not _companions((None, peaks, fit), radiation_of("Cu"), (0.25, 0.8))


@pytest.mark.parametrize(("anode", "doublet"), [("Cu", True), ("Mo", True), ("Cu", False)])
def test_doublets_of_spacings_without_a_wavelength_are_seen(tmp_path, anode, doublet):
    """The file has d or Q of K-alpha1, and nobody says which tube it was."""
    tube = doublet_of(anode)
    low, high = (5.0, 45.0) if anode == "Mo" else (10.0, 90.0)
    lines = tube.wavelength, tube.second
    angles, y = pattern(yttria(), fwhm=0.06, step=0.01, doublet=doublet, k_alpha=lines, low=low, high=high)
    path = tmp_path / "q.dat"
    q = 4 * np.pi * np.sin(np.radians(angles / 2)) / tube.wavelength
    np.savetxt(path, np.stack([q, y], axis=1), header="Q(1/A) I")
    measurement = read_measurement(path)
    found = find(measurement.two_theta, measurement.intensity, measurement.radiation)
    assert bool(found.measured.radiation.ratio) == doublet
    assert any(f"--wavelength {anode}Ka" in note for note in found.notes) == doublet


def test_an_answer_of_the_lesser_phase_is_said_to_be_of_it(measured_yttria):
    """Two phases, and the strongest lines are those of the other."""
    two = Statement("second phase", "Two phases.")
    strong = sorted(measured_yttria.lines, key=lambda line: -line.area)[:3]
    lines = [replace(line, hkl=None) if line in strong else line for line in measured_yttria.lines]
    for answer, said in (
        (replace(measured_yttria, statements=[two], lines=lines), True),
        (replace(measured_yttria, statements=[two]), False),
    ):
        texts = [str(one) for one in of_answer(answer, None)]
        assert any("of the lesser phase" in text for text in texts) == said


def test_a_lattice_that_explains_the_lines_better_is_said(measured_yttria):
    """The best one in a lower symmetry; or, where lines are left, a larger one that has all its lines."""
    best = measured_yttria.lattice
    shorter = replace(
        best, family="tetragonal", bravais="tI", cell=best.cell * [1, 1, 0.999, 1, 1, 1], m20=1.5 * best.m20
    )
    larger = replace(best, bravais="cP", centring="P", m20=1.1 * best.m20)
    lines = [replace(measured_yttria.lines[0], hkl=None), *measured_yttria.lines[1:]]

    def said(other, lines=measured_yttria.lines):
        answer = replace(measured_yttria, lattices=[best, other], lines=lines)
        texts = [str(one) for one in of_answer(answer, None) if one.kind == "undecided"]
        return [
            ("In a lower symmetry" in x and "tI 10.60" in x, "A larger lattice" in x and "cP 10.60" in x)
            for x in texts
        ]

    assert said(shorter) == [(True, False)]
    assert said(replace(shorter, m20=1.1 * best.m20)) == []
    assert said(replace(shorter, cell=best.cell * [1, 1, 0.9, 1, 1, 1])) == []
    assert said(replace(shorter, family="triclinic")) == []
    assert said(larger, lines) == [(False, True)]
    assert said(larger) == []
    assert said(replace(larger, m20=0.9 * best.m20), lines) == []
    assert said(replace(larger, cell=best.cell * 1.1), lines) == []


def test_radiations_are_weighed_on_common_points():
    """Of few doublets the search goes on to the last point; of single lines, twice as many, it does not."""
    found = find(*pattern(caesium_chloride(), fwhm=0.1, high=140.0), radiation_of(1.5406))
    assert found.measured.radiation.ratio == pytest.approx(0.5)


def test_a_candidate_of_too_many_lines_is_passed_over():
    """At short wavelengths a large cell has more lines than can be fitted: the others are judged."""
    found = find(*pattern(rock_salt()), radiation_of("Cu"))
    best = candidates(found.peaks, ("cubic",))[0]
    court = Court.of(found, [best], Question().of_family)
    assert court.judge(best) is not None
    assert court.judge(replace(best, metric=np.array([1 / 400.0**2]))) is None


def test_patterns_without_noise_are_read_by_the_exact_law():
    two_theta, y = pattern(
        rutile(), noise=False, doublet=False, background=0.0, eta=0.0, shift=0.0, fwhm=0.23548, step=0.01
    )
    answer = xtinct.index((two_theta, y), 1.540593)
    assert answer.classes[0].symbol == "P - n -"
    assert np.allclose(answer.lattice.cell[[0, 2]], [4.594, 2.959], atol=1e-5)


def test_by_the_exact_law_too_lines_stand_where_they_are_seen():
    """At the maxima of the pattern, though its zero is shifted; their spacings are those of the lattice."""
    two_theta, y = pattern(
        rutile(), noise=False, doublet=False, background=0.0, eta=0.0, shift=0.05, fwhm=0.23548, step=0.01
    )
    answer = xtinct.index((two_theta, y), K_ALPHA[0], family="tetragonal")
    assert "zero is shifted by +0.05" in told(answer, "shift")[0]
    strongest = max(answer.lines, key=lambda line: line.area)
    assert strongest.two_theta == pytest.approx(two_theta[y.argmax()], abs=0.006)
    assert strongest.d == pytest.approx(4.594 / 2**0.5, abs=1e-6)
    indexed = [line for line in answer.lines if line.hkl]
    assert all(line.calculated == pytest.approx(line.two_theta, abs=1e-4) for line in indexed)
    # What is calculated comes from the lattice, not from the line.
    assert any(line.calculated != line.two_theta for line in indexed)


def test_a_line_of_one_reflection_stands_once():
    two_theta, y = pattern(
        rock_salt(), noise=False, doublet=False, background=0.0, eta=0.0, shift=0.0, fwhm=0.23548, step=0.01
    )
    for intensity in (y, np.round(y), np.random.default_rng(0).poisson(y + 20).astype(float)):
        answer = xtinct.index((two_theta, intensity), 1.540593, family="cubic")
        hkl = [line.hkl for line in answer.lines if line.hkl]
        assert (2, 2, 2) in hkl
        assert len(hkl) == len(set(hkl))


def test_whole_numbers_and_few_counts_are_no_obstacle():
    two_theta, y = pattern(rock_salt(), height=800, background=20)
    answer = xtinct.index((two_theta, y), "Cu")
    assert answer.lattice.family == "cubic"
    assert any(abs(x.cell[0] - 5.64) < 0.01 and x.bravais == "cF" for x in answer.lattices)


def test_profiles_that_are_not_quite_right_are_no_splitting_of_lines():
    # MnO is cubic above 118 K. A rhombohedral cell splits its lines a little, so it fits their shapes better.
    at = Path(__file__).parents[3] / "data" / "patterns" / "patterns.parquet"
    row = pq.read_table(at, filters=[("pattern_id", "=", "XRD-AutoAnalyzer-MnO")]).to_pylist()[0]
    answer = xtinct.index((np.array(row["two_theta"]), np.array(row["intensity"])), row["wavelength"])
    assert answer.lattice.bravais == "cF"
    assert answer.lattice.cell[0] == pytest.approx(row["a"], abs=0.005)


def test_points_of_zero_have_a_variance():
    two_theta, counts = pattern(rutile(), height=2000.0, background=0.2)
    rounded = np.round(counts / counts.max() * 100, 2)
    answer = xtinct.index((two_theta, rounded), "Cu", cell="4.6,4.6,2.96,90,90,90")
    assert answer.lattice.cell[0] == pytest.approx(4.593, abs=0.01)


def test_too_large_a_background_taken_off_is_no_obstacle():
    two_theta, counts = pattern(rock_salt())
    answer = xtinct.index((two_theta, counts - 150), "Cu", family="cubic")
    assert answer.lattice.bravais == "cF"
    assert answer.lattice.cell[0] == pytest.approx(5.64, abs=0.001)
    # The lowest of the background, of about 60 counts, comes to zero.
    assert answer.measured.raised == pytest.approx(150 - 60, abs=10)
    assert "below zero: 9" in told(answer, "reading")[0]
    # A background that was taken off well scatters about zero.
    well = find(two_theta, counts - 60 * (1 + 3 * np.exp(-two_theta / 15)), doublet_of("Cu"))
    assert well.measured.raised == 0


def test_lines_without_any_height_are_judged(measured_yttria):
    fit = measured_yttria.fit
    nothing = class_posterior(replace(fit, area=np.zeros_like(fit.area), right=np.zeros_like(fit.right)))
    assert np.isfinite(nothing.probability).all()
    # Forbidden lines are those that are not there.
    assert nothing.symbols[0] != "P - - -"


def test_two_phases_are_said():
    pyrite = Structure.from_spacegroup(
        "Pa-3", Lattice.cubic(5.418), ["Fe", "S"], [[0, 0, 0], [0.385, 0.385, 0.385]]
    )
    two_theta, first = pattern(yttria(), noise=False, background=0.0)
    _, second = pattern(pyrite, noise=False, background=60.0)
    counts = np.random.default_rng(2).poisson(first + 0.4 * second).astype(float)
    answer = xtinct.index((two_theta, counts), "Cu")
    assert any("Two phases" in text for text in told(answer, "second phase"))
    assert answer.lattice.bravais == "cI"
    assert answer.lattice.cell[0] == pytest.approx(10.604, abs=0.02)


def test_a_wavelength_that_is_too_short_makes_a_cell_that_no_crystal_has(measured_yttria):
    """Rock salt measured with copper has 44.85 angstrom^3 for each lattice point, with molybdenum's 4.38."""
    answer = xtinct.index(pattern(rock_salt()), "Mo", family="cubic")
    assert answer.lattice.volume / 4 == pytest.approx(4.38, rel=0.02)
    assert any("4.4 angstrom^3 for each lattice point" in text for text in told(answer, "undecided"))
    assert not any("lattice point" in str(text) for text in measured_yttria.statements)


def test_a_lattice_that_comes_twice_is_not_called_two_phases():
    """Two rock salts whose axes differ by 0.4 % look like a doublet told as one wavelength."""
    metric = np.array([1 / 5.64**2])
    first = Candidate("cubic", metric, "F", 0.0, 9.0, *[np.zeros(0)] * 4)
    alike, other = (replace(first, metric=metric / x**2) for x in (1.004, 1.05))
    assert str(two_phases(first, first, alike)).startswith("A lattice comes twice: the lines that the best ")
    assert str(two_phases(first, first, other)).startswith("Two phases: the lines that the best lattice ")
    # What is left is that of the lattice with the best score, which need not become the most probable.
    assert str(two_phases(other, first, other)).startswith("Two phases: the lines that cF 5.6400 ")
    assert "The answer is of the first" not in str(two_phases(other, first, other))


def test_lines_of_something_else_do_not_make_a_right_lattice_improbable():
    """Six lines anywhere, with 5 to 9 % of the height of the strongest."""
    two_theta, counts = pattern(yttria(), noise=False)
    for angle, share in ((24.3, 0.08), (31.5, 0.09), (37.9, 0.06), (45.2, 0.07), (52.6, 0.05), (61.1, 0.06)):
        second = 2 * np.degrees(np.arcsin(np.sin(np.radians(angle / 2)) * K_ALPHA[1] / K_ALPHA[0]))
        for at, height in ((angle, share), (second, share / 2)):
            counts = counts + 10_000 * height * np.exp(-4 * np.log(2) * ((two_theta - at) / 0.12) ** 2)
    answer = xtinct.index((two_theta, np.random.default_rng(3).poisson(counts).astype(float)), "Cu")
    assert answer.lattice.bravais == "cI"
    assert answer.lattice.cell[0] == pytest.approx(10.604, abs=0.01)
    # Counted by number, they made a pseudo-cell of half the axis the first, and "none of these" probable.
    assert answer.lattice.probability > 0.2
    assert answer.unknown < 0.5
    assert sum(line.hkl is None for line in answer.lines) >= 3


def test_one_phase_is_not_called_two(measured_yttria):
    for answer in (measured_yttria, xtinct.index(pattern(rutile()), "Cu")):
        assert not told(answer, "second phase")


#: Baddeleyite and cotunnite, rounded: axes in an order that their lengths do not tell. VO2(B), 5 degrees off:
#: the shortest axes in the plane of a and c give an I lattice, and one of its C cells a beta of 148 degrees.
ZIRCONIA = Structure.from_spacegroup(
    "P2_1/c",
    Lattice.monoclinic(5.1505, 5.2116, 5.3173, 99.23),
    ["Zr", "O", "O"],
    [[0.2754, 0.0395, 0.2083], [0.0700, 0.3317, 0.3447], [0.4496, 0.7569, 0.4792]],
)
LEAD_CHLORIDE = Structure.from_spacegroup(
    "Pnma",
    Lattice.orthorhombic(7.62, 4.534, 9.045),
    ["Pb", "Cl", "Cl"],
    [[0.246, 0.25, 0.088], [0.142, 0.25, 0.428], [0.023, 0.75, 0.163]],
)
VANADIA = Structure.from_spacegroup(
    "C2/m",
    Lattice.monoclinic(12.03, 3.693, 6.42, 111.6),
    ["V", "V", "O", "O", "O", "O"],
    [
        [0.302, 0, 0.726],
        [0.404, 0, 0.296],
        [0.360, 0, 0.986],
        [0.237, 0, 0.339],
        [0.130, 0, 0.655],
        [0.437, 0, 0.639],
    ],
)


@pytest.mark.parametrize(
    ("structure", "symbol", "number"),
    [(ZIRCONIA, "P 1 21/c 1", 14), (LEAD_CHLORIDE, "P n a -", 62), (VANADIA, "C 1 - 1", 12)],
)
def test_the_cell_stands_on_the_axes_that_the_symbol_means(structure, symbol, number):
    answer = xtinct.index(pattern(structure, height=50_000, fwhm=0.08), "Cu")
    assert answer.classes[0].symbol == symbol
    block = next(b for b in gemmi.cif.read_string(answer.to_cif()) if b.name == f"group_{number}")
    cell = gemmi.make_small_structure_from_block(block).cell
    assert np.allclose([cell.a, cell.b, cell.c], structure.lattice.abc, atol=0.01)
    assert cell.beta == pytest.approx(structure.lattice.beta, abs=0.05)
    # On these axes no indexed line breaks the law of the group.
    hkl = np.array([line.hkl for line in answer.lines if line.hkl]) @ answer.axes[number]
    assert not absent(number, hkl).any()


@pytest.mark.parametrize(
    ("structure", "symbol"), [(ZIRCONIA, "P 1 21/c 1"), (LEAD_CHLORIDE, "P n a -")], ids=["mP", "oP"]
)
def test_by_the_exact_law_too_the_cell_stands_on_the_axes_that_the_symbol_means(structure, symbol):
    ideal = {"noise": False, "doublet": False, "background": 0.0, "eta": 0.0, "shift": 0.0}
    family = "monoclinic" if structure is ZIRCONIA else "orthorhombic"
    points = pattern(structure, fwhm=0.1, step=0.01, high=80, **ideal)
    answer = xtinct.index(points, K_ALPHA[0], family=family)
    assert told(answer, "reading")
    assert answer.lattice_class.symbol == symbol
    hkl = np.array([line.hkl for line in answer.lines if line.hkl])
    spacing = 1 / np.sqrt(
        np.einsum("ni,ij,nj->n", hkl, np.linalg.inv(direct_tensor(answer.lattice.cell)), hkl)
    )
    assert np.allclose(spacing, [line.d for line in answer.lines if line.hkl], atol=1e-3)
    for block in gemmi.cif.read_string(answer.to_cif()):
        number = int(block.find_value("_space_group_IT_number"))
        assert not absent(number, hkl @ answer.axes.get(number, np.eye(3, dtype=int))).any()
        if number in (14, 62):  # the group of the structure
            cell = gemmi.make_small_structure_from_block(block).cell
            assert np.allclose(cell.parameters, structure.lattice.parameters, atol=1e-3)
    deciding = next(iter(answer.deciding.values()))
    forbidden = np.array([line.hkl[0] for line in deciding if not line.allowed])
    assert absent(answer.lattice_class.members[0], forbidden).all()


@pytest.mark.parametrize(
    ("family", "letters"), [("monoclinic", ("A", "C", "I")), ("orthorhombic", ("A", "B", "C"))]
)
def test_other_lattices_stand_on_the_axes_on_which_their_centring_is_c(family, letters):
    draws = np.random.default_rng(0)
    for letter in letters:
        for _ in range(50):
            cell = np.array([*draws.uniform(4, 20, 3), 90, 90, 90])
            cell[4] += draws.uniform(1, 30) * (family == "monoclinic")
            lattice = LatticeAnswer(
                family, bravais(family, letter), letter, cell, np.zeros(6), 0.5, 9, 9, 9, float("nan")
            )
            shown = on_c_axes(lattice)
            assert shown.centring == "C"
            assert shown.cell[4] >= 90
            # Both have one Niggli cell, which gemmi makes.
            assert np.allclose(reduced(shown.cell, "C"), reduced(cell, letter), atol=1e-6)


def test_glass_gets_no_lattice():
    two_theta = np.arange(5, 80, 0.02)
    halo = 4000 * np.exp(-((two_theta - 22) ** 2) / (2 * 4.0**2)) + 1500 * np.exp(
        -((two_theta - 44) ** 2) / 60
    )
    answer = xtinct.index((two_theta, np.random.default_rng(0).poisson(halo + 200).astype(float)), "Cu")
    assert answer.lattice is None
    assert told(answer, "amorphous")
    assert answer.classes[0].probability < 0.2


def test_a_cell_that_is_known_is_taken():
    answer = xtinct.index(pattern(rutile()), "Cu", cell="4.6,4.6,2.96,90,90,90")
    assert answer.lattice.bravais == "tP"
    assert answer.lattice.probability == pytest.approx(1)
    assert np.allclose(answer.lattice.cell[[0, 2]], [4.594, 2.959], atol=2e-3)
    assert answer.classes[0].symbol == "P - n -"


def test_the_centring_of_a_cell_that_is_known_has_the_probability_of_its_groups():
    # So few counts that the weak lines hardly tell a primitive lattice from a centred one.
    answer = xtinct.index(pattern(rutile(), height=40.0, background=10.0), "Cu", cell="4.6,4.6,2.96,90,90,90")
    for lattice in answer.lattices:
        groups = sum(p for g, p in answer.groups if bravais_lattice(g) == lattice.bravais)
        assert lattice.probability == pytest.approx(groups, abs=1e-4)
    assert sum(x.probability for x in answer.lattices) == pytest.approx(1, abs=0.01)
    assert answer.lattice.probability < 1
    assert len(answer.lattices) > 1
    assert answer.to_dict()["lattices"][1]["probability"] == answer.lattices[1].probability


def test_a_centring_that_is_known_leaves_no_others():
    answer = xtinct.index(pattern(yttria()), "Cu", centring="I")
    assert answer.lattice.bravais == "cI"
    assert all(hermann_mauguin(g).startswith(("I", "C", "A")) for g, p in answer.groups if p > 0)
    with pytest.raises(XtinctError, match="centring 'X'"):
        xtinct.index(pattern(yttria()), "Cu", centring="X")


def test_a_list_of_peaks_is_indexed(tmp_path):
    d = 10.604 / np.sqrt([6, 8, 12, 14, 16, 18, 20, 22, 24, 26, 30, 32, 34, 36, 38, 40, 42, 44, 46, 48])
    path = tmp_path / "yttria.txt"
    path.write_text("# d (angstrom)\n" + "".join(f"{x:.4f}\n" for x in d))
    answer = xtinct.index(path, peaks=True)
    assert answer.lattice.family == "cubic"
    assert answer.lattice.bravais == "cI"
    assert answer.lattice.cell[0] == pytest.approx(10.604, abs=5e-3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"family": "rhombic"}, "crystal family 'rhombic'"),
        ({"cell": "1,2,3"}, "cell"),
        ({"wavelength": None}, "wavelength is not known"),
        ({"wavelength": 0.15406}, "1.5406"),
        ({"law": "exponential"}, "intensity law 'exponential': expected one of uniform, physical"),
        ({"prior": {136: 1.0, 58: -0.1}}, "space group 58 P n n m is negative"),
        ({"prior": {"P42/mnm": 1}}, "'P42/mnm' is no number of a space group"),
        ({"prior": {136: 0}}, "all weights are zero"),
        ({"family": "cubic", "centring": "C"}, "centring C: no conventional cell of cubic has it.*of P I F"),
    ],
)
def test_what_cannot_be_asked_is_said(options, said):
    with pytest.raises(XtinctError, match=said):
        xtinct.index(pattern(rutile()), **{"wavelength": "Cu", **options})


def test_the_prior_weighs_the_groups_of_a_class(measured_yttria):
    answer = xtinct.index(pattern(yttria()), "Cu", family="cubic", prior={206: 1.0, 199: 3.0, 230: 1.0})
    natural = xtinct.index(pattern(yttria()), "Cu", prior="mp")
    # Of the groups of I - - - the Materials Project has most structures of Im-3m (229).
    rest = {g: p for g, p in natural.groups if g in (197, 204, 211, 217, 229)}
    assert max(rest, key=rest.get) == 229
    groups = dict(answer.groups)
    assert {g for g, p in groups.items() if p > 0.01} <= {206, 199, 230}
    assert groups[206] > 0.8


def test_weights_of_a_prior_are_numbers_of_any_kind():
    told_prior = asked(prior={136: "3/7", 118: np.float32(0.5), 113: np.int64(2)}).prior
    assert told_prior == {136: Fraction(3, 7), 118: Fraction(1, 2), 113: 2}


def test_groups_of_a_class_share_it_by_how_often_they_occur_unless_all_are_alike():
    # Of P42nm, P-4n2 and P42/mnm, which have the same lines, most crystals have the last (rutile's).
    usual, alike = (dict(xtinct.index(pattern(rutile()), "Cu", prior=x).groups) for x in (None, "uniform"))
    assert alike[102] == pytest.approx(alike[118]) == pytest.approx(alike[136])
    assert usual[136] > 1.5 * max(usual[102], usual[118])
    assert usual[136] < 0.9 * (usual[102] + usual[118] + usual[136])


def test_known_structures_say_themselves_how_often_a_group_occurs():
    votes = dict.fromkeys(range(1, 231), 1.0)
    assert Question(votes=votes).of_family("tetragonal") is None
    own = Question().of_family("tetragonal")
    assert own[136] > own[118] > 0
    assert set(own) == set(space_groups("tetragonal"))
    told = Question(votes=votes, prior={136: 1.0, 118: 3.0}).of_family("tetragonal")
    assert told == pytest.approx({136: 0.25, 118: 0.75})
    assert set(Question(centring="I").of_family("tetragonal")) < set(own)


def test_no_lattice_of_an_answer_gives_weight_to_a_family_without_any():
    # Some of the lattices that are judged beside the cubic one are of other families.
    answer = xtinct.index(pattern(yttria()), "Cu", prior={206: 1.0, 199: 3.0})
    assert answer.families == pytest.approx({f: float(f == "cubic") for f in answer.families}, abs=1e-12)
    assert {lattice.family for lattice in answer.lattices} == {"cubic"}


def test_lattices_that_are_not_fitted_to_the_end_know_the_prior():
    # The orthorhombic ones beside rutile's lattice; of the groups of their family only Pnma has weight.
    prior = {136: 1.0, 118: 2.0, 84: 1.0, 62: 1.0}
    answer = xtinct.index(pattern(rutile(), height=300.0), "Cu", prior=prior)
    assert all(lattice.family == "tetragonal" for lattice in answer.lattices[:3])
    assert answer.families["orthorhombic"] > 0.03
    # The orthorhombic lattices that were found are C-centred, which Pnma is not. Of what is primitive it has
    # all; without a prior each of the 30 groups would have a thirtieth.
    groups = dict(answer.groups)
    primitive = sum(share for group, share in groups.items() if bravais_lattice(group) == "oP")
    assert groups[62] > 0.95 * primitive > 0.01


def test_peaks_of_a_list_have_no_lattice_of_a_family_without_weight(tmp_path):
    d = 5.64 / np.sqrt([3.0, 4, 8, 11, 12, 16, 19, 20, 24])
    (tmp_path / "peaks.txt").write_text("# d\n" + "\n".join(f"{x:.5f}" for x in d))
    told = {"wavelength": 1.5406, "peaks": True}
    usual = xtinct.index(tmp_path / "peaks.txt", **told)
    assert usual.lattice.family == "cubic"
    assert len({x.family for x in usual.lattices}) > 1
    answer = xtinct.index(tmp_path / "peaks.txt", **told, prior={139: 1.0, 62: 2.0})
    assert {x.family for x in answer.lattices} <= {"tetragonal", "orthorhombic"}
    assert dict(answer.groups)[139] + dict(answer.groups)[62] == pytest.approx(1)


def test_a_cell_of_a_family_without_weight_is_refused():
    with pytest.raises(XtinctError, match="no conventional cell of tetragonal"):
        xtinct.index(pattern(rutile()), "Cu", cell="4.6,4.7,2.96,90,90,90", prior={136: 1.0})


def test_an_answer_to_a_list_of_peaks_says_what_a_list_cannot_show(tmp_path):
    """Three spacings of rock salt are also those of many other lattices."""
    (tmp_path / "peaks.txt").write_text("# d\n3.256\n2.820\n1.994\n")
    answer = xtinct.index(tmp_path / "peaks.txt", peaks=True)
    said = str(answer)
    assert "* Only 3 lines were found; several lattices explain so few." in said
    assert "* A list of peaks shows no absences" in said
    assert "2theta is that of a nominal 1.54" in said
    (tmp_path / "peaks.txt").write_text("# d\n3.256\n2.820\n")
    nothing = str(xtinct.index(tmp_path / "peaks.txt", 1.5406, peaks=True))
    assert "Only 2 lines were found" in nothing
    assert "No lattice explains" in nothing
    assert "nominal" not in nothing


#: Sums h^2 + k^2 + l^2 of lines of yttria.
YTTRIA_SUMS = [6, 8, 12, 14, 16, 18, 20, 22, 24, 26, 30, 32, 34, 36, 38, 40, 42, 44, 46, 48]
CORUNDUM = Structure.from_spacegroup(
    "R-3c", Lattice.hexagonal(4.759, 12.991), ["Al", "O"], [[0, 0, 0.35216], [0.30624, 0, 0.25]]
)


@pytest.fixture
def spacings(tmp_path):
    """A list of the spacings of yttria."""
    path = tmp_path / "yttria.txt"
    path.write_text("# d\n" + "".join(f"{10.604 / n**0.5:.5f}\n" for n in YTTRIA_SUMS))
    return path


def test_spacings_of_a_list_stay_where_the_mean_of_a_doublet_is_told(spacings):
    """K-alpha1 in place of the mean 1.5418 would make the cell 0.08 % smaller."""
    answers = [xtinct.index(spacings, wavelength, peaks=True) for wavelength in (None, "CuKa", 1.5418)]
    assert [a.lattice.cell[0] for a in answers] == pytest.approx([answers[0].lattice.cell[0]] * 3, rel=2e-4)
    # The radiation of the answer is the doublet, and its angles are those of the mean.
    mean = answers[2]
    assert "2theta is that of the mean, 1.5418 angstrom" in told(mean, "reading")
    assert not any("mean" in text for text in told(answers[1], "reading"))
    line = mean.lines[0]
    assert 1.5418 / (2 * np.sin(np.radians(line.two_theta / 2))) == pytest.approx(line.d, rel=1e-3)


def test_inputs_of_programs_are_written_of_lists_whose_wavelength_is_told(spacings, tmp_path):
    answer = xtinct.index(spacings, 1.5406, peaks=True)
    assert answer.to_dict()["wavelength"] == 1.5406
    answer.to_input(tmp_path / "a.pcr")
    assert " 1.540600 " in (tmp_path / "a.pcr").read_text()
    with pytest.raises(XtinctError, match="the wavelength is not known"):
        xtinct.index(spacings, peaks=True).to_input(tmp_path / "a.pcr")


def test_the_cell_that_is_told_of_a_list_is_taken(tmp_path):
    """Three lines have many lattices; of the cell that is told they show the centring."""
    path = tmp_path / "salt.txt"
    path.write_text("# d\n" + "".join(f"{5.64 / n**0.5:.4f}\n" for n in (3, 4, 8)))
    told = xtinct.index(path, peaks=True, cell="5.7,5.7,5.7,90,90,90")
    assert told.lattice.bravais == "cF"
    assert told.lattice.cell[:3] == pytest.approx(5.64, abs=0.01)
    assert told.families["cubic"] == pytest.approx(1)
    assert told.unknown == 0
    assert all(lattice.family == "cubic" for lattice in told.lattices)
    # A cell that is wrong is not answered with another one: its foreign lines are said.
    wrong = xtinct.index(path, peaks=True, cell="3.1,3.1,4.2,90,90,90", centring="P")
    assert {lattice.bravais for lattice in wrong.lattices} == {"tP"}
    assert "none of the cell that was told" in str(wrong)


def test_a_cell_that_is_told_leaves_nothing_to_lattices_that_were_not_found():
    """The shares of its centrings add up to 1 but for rounding, which made the rest less than nothing."""
    draws = np.random.default_rng(0)
    for _ in range(20):
        d = 5.64 / np.sqrt([3, 4, 8, 11, 12]) * draws.normal(1, 2e-4, 5)
        answer = xtinct.index(PeakTable(d), cell="5.64,5.65,5.66,90,90,90", family="orthorhombic")
        assert answer.unknown == 0
        assert min(p for _, p in answer.groups) >= 0
        assert "none of these: 0.00" in str(answer)


def test_a_cell_that_no_list_can_show_is_said():
    table = PeakTable([3.19, 2.71, 1.93, 1.64, 1.59])
    answer = xtinct.index(table, "Cu", cell="60,70,80,90,100,90")
    assert "cell that was told has too few lines" in told(answer, "no lattice")[0]
    # Nor is the cell asked for where it was told.
    answer = xtinct.index(PeakTable([3.19, 2.71]), "Cu", cell="5.5,5.5,5.5,90,90,90")
    assert told(answer, "no lattice") == [
        "A cell that is told is refined on 3 lines or more. Measure longer or further."
    ]


def test_a_cell_whose_lines_lie_before_the_pattern_is_refused():
    with pytest.raises(
        XtinctError, match=r"220 of its lines are below 13\.2 degrees, and the pattern begins at 20"
    ):
        xtinct.index(pattern(rutile(), low=20.0), "Cu", cell="30,40,50,90,100,90")


def test_columns_of_a_list_are_taken_in_any_type():
    d = [3.256, 2.82, 1.994, 1.701, 1.628]
    heights = [9, 100, 60, 3, 18]
    plain = xtinct.index(PeakTable(np.array(d), intensity=np.array(heights, dtype=float)), family="cubic")
    assert plain.lattice.bravais == "cF"
    listed_as = xtinct.index(PeakTable(d, intensity=heights), family="cubic")
    assert listed_as.to_dict() == plain.to_dict()
    with pytest.raises(XtinctError, match="at least one line"):
        xtinct.index(PeakTable([]))


@pytest.mark.parametrize(
    ("structure", "cell", "bravais_lattice"),
    [
        (CORUNDUM, "5.128,5.128,5.128,55.28,55.28,55.28", "hR"),
        (rock_salt(), "3.988,3.988,3.988,60,60,60", "cF"),
        (ZIRCONIA, "5.1505,5.3173,5.2116,90,90,99.23", "mP"),
    ],
)
def test_a_cell_on_other_axes_is_no_triclinic_one(structure, cell, bravais_lattice):
    """Rhombohedral axes, a primitive cell of a centred lattice, a unique axis c."""
    answer = xtinct.index(pattern(structure), "Cu", cell=cell)
    assert answer.lattice.bravais == bravais_lattice
    assert answer.lattice.volume == pytest.approx(structure.lattice.volume, rel=0.01)
    assert "the cell was told on other axes" in str(answer)
    triclinic = asked(cell=cell, family="triclinic")
    assert triclinic.cell == tuple(float(x) for x in cell.split(","))
    assert not triclinic.note


@pytest.mark.parametrize(
    ("cell", "letter", "usual", "bravais_lattice"),
    [
        ("6.37,6.37,6.37,46.1,46.1,46.1", "R", (4.988, 4.988, 17.045, 90, 90, 120), "hR"),
        ("7.0711,7.0711,6,90,90,90", "C", (5, 5, 6, 90, 90, 90), "tP"),
        ("7.0711,7.0711,6,90,90,90", "F", (5, 5, 6, 90, 90, 90), "tI"),
        ("5,6,7,90,100,90", "B", (3.932, 6, 4.641, 90, 109.19, 90), "mP"),
    ],
)
def test_a_centring_is_that_of_the_cell_it_is_told_with(cell, letter, usual, bravais_lattice):
    """R of a cell on rhombohedral axes; letters that cells of the family have on other axes alone."""
    question = asked(cell=cell, centring=letter)
    assert np.allclose(question.cell, usual, atol=0.01)
    assert bravais_lattice in question.note
    assert question.centring == bravais_lattice[1]


def test_a_tetragonal_cell_is_one_whatever_axis_is_named_first():
    """Reduced cells have their axes by length: c a a, where c is the shortest."""
    for cell in ("2.959,4.594,4.594,90,90,90", "4.594,2.959,4.594,90,90,90"):
        question = asked(cell=cell)
        assert np.allclose(question.cell, (4.594, 4.594, 2.959, 90, 90, 90))
        assert "tetragonal" in question.note
        assert question.centring is None
        # Who tells the family means it.
        assert asked(cell=cell, family="orthorhombic").cell[1] == float(cell.split(",")[1])
    nearly = asked(cell="2.959,4.594,4.604,90,90,90")
    assert family_of_told(nearly) == "orthorhombic"
    assert not nearly.note


def test_a_centred_cell_without_symmetry_has_a_primitive_one():
    told_cell = np.array([5, 6, 7, 80, 95, 100])
    question = asked(cell=told_cell, centring="I")
    assert np.allclose(reduced(question.cell), reduced(told_cell, "I"), atol=1e-4)
    assert family_of_told(question) == "triclinic"
    # On axes of an orthorhombic cell there is no R.
    with pytest.raises(XtinctError, match="no conventional cell of trigonal-hexagonal"):
        family_of_told(asked(cell="5,6,7,90,90,90", centring="R"))


def test_a_cell_with_angles_of_radians_is_refused():
    with pytest.raises(XtinctError, match="angles of radians"):
        asked(cell="5,5,5,1.5708,1.5708,1.5708")


def test_angles_that_span_no_cell_are_refused_before_anything_is_computed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(XtinctError, match="angles that span a cell"):
            asked(cell="5,5,5,10,10,170")


def test_reflections_of_a_rhombohedral_lattice_are_of_the_obverse_setting():
    answer = xtinct.index(pattern(CORUNDUM), "Cu", cell="4.76,4.76,12.99,90,90,120")
    assert answer.lattice.bravais == "hR"
    hkl = np.array([line.hkl for line in answer.lines if line.hkl])
    assert (hkl @ [-1, 1, 1] % 3 == 0).all()
    assert (hkl[0] == [0, 1, 2]).all()
    ticks = {row.kind: row.hkl for row in tick_rows(answer)}
    assert "0 1 2" in ticks["allowed"]
    assert "1 0 2" not in ticks["allowed"]


def test_an_answer_by_the_exact_law_is_json_and_knows_the_centring():
    exact = pattern(
        rutile(), noise=False, doublet=False, background=0.0, eta=0.0, shift=0.0, fwhm=0.23548, step=0.01
    )
    # The page sends what every browser reads, and Infinity is no JSON.
    plain = json.loads(json.dumps(xtinct.index(exact, 1.540593).to_dict(), allow_nan=False))
    assert plain["lattices"][0]["score"] is None
    told = xtinct.index(exact, 1.540593, centring="I")
    assert all(hermann_mauguin(g).startswith(("I", "C", "A")) for g, p in told.groups if p > 0)
    assert told.lattice.centring == "I"


def test_a_short_range_at_high_angles_is_answered():
    two_theta = np.arange(80, 83, 0.02)
    hump = 1000 * np.exp(-(((two_theta - 81.5) / 0.9) ** 2)) + 50
    counts = np.random.default_rng(0).poisson(hump).astype(float)
    assert xtinct.index((two_theta, counts), 1.5406).lattice is None


def test_a_list_is_not_moved_to_another_wavelength(tmp_path):
    """What was read of a list of d has angles too, and these are not what was measured."""
    path = tmp_path / "d.txt"
    path.write_text("# d\n" + "".join(f"{4.05 / n**0.5:.5f}\n" for n in (3, 4, 8, 11, 12, 16, 19, 20)))
    table = read_peaks(path, wavelength="CuKa")
    assert xtinct.index(table, "CuKa", family="cubic").lattice.cell[0] == pytest.approx(4.05, abs=0.003)
    with pytest.raises(XtinctError, match=r"belong to 1\.54059 angstrom, and 0\.709317 is told"):
        xtinct.index(table, "MoKa")


def test_what_was_not_measured_speaks_for_no_class():
    """Without 2 0 0, the strongest line of rock salt, nothing says that F 41 - - has no line there."""
    two_theta, counts = pattern(rock_salt())
    seen = (two_theta < 30.5) | (two_theta > 33)
    whole = xtinct.index((two_theta, counts), "Cu")
    part = xtinct.index((two_theta[seen], counts[seen]), "Cu")
    assert np.allclose(part.measured.gaps, [(30.5, 33.0)], atol=0.03)
    assert not whole.measured.gaps
    for answer in (whole, part):
        probability = {c.symbol: c.probability for c in answer.classes if c.family == "cubic"}
        assert probability["F 41 - -"] < 0.03
        assert probability["F - - -"] > 0.7
    inside = [x for lines in part.deciding.values() for x in lines if 31 < x.two_theta < 32.5]
    # Its tails reach out of the gap a little.
    assert all(abs(line.decibans) < 2 for line in inside)


def test_steps_that_grow_are_no_gaps():
    """Equal steps of d are uneven ones of 2theta."""
    two_theta, counts = pattern(rock_salt())
    d = np.linspace(K_ALPHA[0] / (2 * np.sin(np.radians(5.1))), 1.1, 6000)
    angles = 2 * np.degrees(np.arcsin(K_ALPHA[0] / (2 * d)))
    assert np.diff(angles).max() > 5 * np.median(np.diff(angles))
    assert not find(angles, np.interp(angles, two_theta, counts), radiation_of("Cu")).measured.gaps
