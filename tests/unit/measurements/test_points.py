"""Order, gaps, repeats, ranges, steps, and lists of peaks."""

import re

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.measurements import Measurement, PeakTable, read_measurement, read_measurements, read_peaks

WAVELENGTH = 1.5406
#: Silicon, a = 5.4311 angstrom: 111, 220, 311, 400, 331, 422.
SILICON = np.array([3, 8, 11, 16, 19, 24])
D = 5.4311 / np.sqrt(SILICON)
ANGLES = 2 * np.degrees(np.arcsin(WAVELENGTH / (2 * D)))


def test_descending_angles_are_sorted(same, rows, profile):
    found = same(rows(profile.x[::-1], profile.y[::-1]))
    assert "the positions were descending and were sorted" in found.notes


def test_a_row_out_of_order_is_sorted(same, rows, profile):
    order = np.arange(profile.n)
    order[[700, 701]] = [701, 700]
    found = same(rows(profile.x[order], profile.y[order]))
    assert "the positions were not in order and were sorted" in found.notes


def test_jittered_steps_are_kept(file, rows, profile):
    x = profile.x + np.random.default_rng(1).uniform(-0.008, 0.008, profile.n)
    found = read_measurement(file(rows(x, profile.y)))
    np.testing.assert_allclose(found.two_theta, x, atol=6e-5)
    assert any(note.startswith("steps are uneven") for note in found.notes)


def test_a_gap_is_kept_and_said(file, rows, profile):
    keep = (profile.x < 22) | (profile.x > 23.5)
    found = read_measurement(file(rows(profile.x[keep], profile.y[keep])))
    np.testing.assert_array_equal(found.two_theta, profile.x[keep])
    assert "nothing was measured between 21.9800 and 23.5200 degrees" in found.notes


def test_steps_that_change_on_the_way(file, rows, profile):
    """Variable counting: finer or coarser steps at higher angles are no list of peaks and no gap."""
    x = np.concatenate([np.arange(10, 30, 0.02), np.arange(30, 80, 0.04)])
    found = read_measurement(file(rows(x, np.ones(len(x)))))
    assert len(found.two_theta) == len(x)
    assert not any("nothing was measured" in note for note in found.notes)


def test_a_point_that_comes_twice_is_averaged(file, rows, profile):
    """Two ranges that were put together share their last and first point."""
    x, y = np.insert(profile.x, 800, profile.x[800]), np.insert(profile.y, 800, profile.y[800] + 4)
    found = read_measurement(file(rows(x, y, np.sqrt(y)), "a.xye"))
    np.testing.assert_array_equal(found.two_theta, profile.x)
    assert found.intensity[800] == profile.y[800] + 2
    # Two equal uncertainties make one smaller by the root of two.
    assert found.sigma[800] == pytest.approx(found.sigma[799] / np.sqrt(2), rel=0.1)
    assert any(note.startswith("1 points were at angles that come twice") for note in found.notes)


def test_ranges_that_overlap_a_little_are_one_measurement(file, rows, profile):
    first, second = profile.x <= 25.4, profile.x >= 25
    x = np.concatenate([profile.x[first], profile.x[second]])
    y = np.concatenate([profile.y[first], profile.y[second]])
    found = read_measurement(file(rows(x, y)))
    np.testing.assert_array_equal(found.two_theta, profile.x)
    np.testing.assert_array_equal(found.intensity, profile.y)


def test_ranges_counted_for_different_times_are_not_put_together(file, rows, profile):
    first, second = profile.x <= 25.4, profile.x >= 25
    x = np.concatenate([profile.x[first], profile.x[second]])
    y = np.concatenate([profile.y[first], 5 * profile.y[second]])
    path = file(rows(x, y))
    with pytest.raises(XtinctError, match=r"holds 2 scans, choose one .*1: .*range 1.*2: .*range 2"):
        read_measurement(path)
    np.testing.assert_array_equal(read_measurement(path, scan=2).two_theta, profile.x[second])
    assert len(read_measurements(path)) == 2


def test_the_same_range_twice_is_two_scans(file, rows, profile):
    text = rows(profile.x, profile.y) + rows(profile.x, 2 * profile.y)
    found = read_measurements(file(text))
    assert [len(scan.two_theta) for scan in found] == [profile.n, profile.n]
    np.testing.assert_array_equal(found[1].intensity, 2 * profile.y)
    with pytest.raises(XtinctError, match="no scan is 'x'"):
        read_measurement(file(text), scan="x")
    with pytest.raises(XtinctError, match="no scan is 3"):
        read_measurement(file(text), scan=3)


def test_a_saturated_counter_is_said(file, profile, rows):
    whole = read_measurement(file(rows(profile.x, profile.y)))
    cut = read_measurement(file(rows(profile.x, np.minimum(profile.y, 150))))
    once = read_measurement(file(rows(profile.x, np.minimum(profile.y, 500))))
    said = [any("end flat at" in note for note in one.notes) for one in (whole, cut, once)]
    assert said == [False, True, True]


@pytest.mark.parametrize(("factor", "place"), [(3, 30.0), (1 / 4, 21.0), (1, 30.0)])
def test_ranges_joined_without_their_times_are_said(file, profile, rows, factor, place):
    counts = np.random.default_rng(3).poisson(profile.y * np.where(profile.x < place, 4, 4 * factor))
    notes = read_measurement(file(rows(profile.x, counts))).notes
    said = [note for note in notes if "different counting times" in note]
    if factor == 1:
        assert not said
    else:
        assert f"between {place - 0.02:.2f} and {place:.2f} degrees" in said[0]
        assert float(re.search(r"factor of ([\d.]+)", said[0])[1]) == pytest.approx(factor, rel=0.1)


def test_angles_below_zero_are_left_out(file, rows):
    x = np.round(np.arange(-1, 20, 0.02), 4)
    found = read_measurement(file(rows(x, np.ones(len(x)))))
    assert found.two_theta[0] == pytest.approx(0.02)
    assert "51 points at or below zero were left out" in found.notes


def test_one_angle_alone_is_no_profile(file, rows):
    with pytest.raises(XtinctError, match=r"all points are at one position|list of peaks"):
        read_measurement(file(rows(np.full(50, 10.0), np.arange(50))), wavelength=WAVELENGTH)


@pytest.mark.parametrize(
    "header", ["# peak list: 2theta I/Imax\n", "2Theta;I\n", "# 2theta (deg) Height\n", ""]
)
def test_a_peak_list_in_2theta(file, header):
    separator = ";" if ";" in header else " "
    text = header + "".join(f"{a:.4f}{separator}{100 / (k + 1):.2f}\n" for k, a in enumerate(ANGLES))
    for read in (read_measurement, read_peaks):
        found = read(file(text), wavelength=WAVELENGTH)
        assert isinstance(found, PeakTable)
        np.testing.assert_allclose(found.d, D, rtol=2e-5)
        np.testing.assert_allclose(found.two_theta, ANGLES, atol=1e-4)
        np.testing.assert_allclose(found.intensity, 100 / np.arange(1, 7), atol=0.01)
    with pytest.raises(XtinctError, match="does not say its wavelength"):
        read_measurement(file(text))


@pytest.mark.parametrize(
    ("header", "values", "axis"),
    [
        ("# d(A) I\n", D, None),
        ("d-spacing [Å],intensity\n", D, None),
        ("", D, "d"),
        ("# Q (1/A) I\n", 2 * np.pi / D, None),
        ("", 2 * np.pi / D, "q"),
        ("q [nm^-1] I\n", 20 * np.pi / D, None),
        ("", 1 / D, "1/d"),
        ("# sin(theta)/lambda I\n", 1 / (2 * D), None),
    ],
)
def test_a_peak_list_of_spacings_needs_no_wavelength(file, header, values, axis):
    separator = "," if "," in header else " "
    text = header + "".join(f"{v:.7g}{separator}{100 - k}\n" for k, v in enumerate(values))
    found = read_peaks(file(text), axis=axis)
    np.testing.assert_allclose(found.d, D, rtol=1e-6)
    assert found.two_theta is None
    assert found.radiation is None
    np.testing.assert_allclose(
        read_peaks(file(text), axis=axis, wavelength=WAVELENGTH).two_theta, ANGLES, atol=1e-4
    )


def test_one_column_of_positions(file):
    text = "".join(f"{d:.5f}\n" for d in D)
    with pytest.raises(XtinctError, match="2theta, d or Q; tell the axis"):
        read_measurement(file(text))
    found = read_peaks(file(text), axis="d")
    np.testing.assert_allclose(found.d, D, atol=1e-5)
    assert found.intensity is None
    named = read_peaks(file("d\n" + text))
    np.testing.assert_allclose(named.d, D, atol=1e-5)


def test_a_profile_is_no_list_of_peaks(file):
    x = np.arange(10, 50, 0.02)
    with pytest.raises(XtinctError, match="2,000 points at even steps are a profile"):
        read_peaks(file("".join(f"{a:.2f} 7\n" for a in x)), wavelength=WAVELENGTH)
    assert len(read_peaks(file("".join(f"{a:.2f} 7\n" for a in x[:100:2])), wavelength=WAVELENGTH).d) == 50


def test_peaks_are_sorted_by_spacing(file):
    text = "# d(A) I\n" + "".join(f"{d:.5f} {k}\n" for k, d in list(enumerate(D))[::-1])
    found = read_peaks(file(text))
    assert (np.diff(found.d) < 0).all()
    np.testing.assert_array_equal(found.intensity, np.arange(6))
    assert "peaks were sorted by descending d" in found.notes


def test_uncertainties_of_positions(file):
    """The error of d follows from that of 2theta: d cot(theta) times that of theta."""
    text = "2theta err(2theta) I\n" + "".join(f"{a:.5f} 0.01 5\n" for a in ANGLES)
    found = read_peaks(file(text), wavelength=WAVELENGTH)
    expected = D / np.tan(np.radians(ANGLES / 2)) * np.radians(0.005)
    np.testing.assert_allclose(found.d_error, expected, rtol=1e-3)
    direct = read_peaks(file("d I esd(d)\n" + "".join(f"{d:.5f} 5 0.002\n" for d in D)))
    np.testing.assert_allclose(direct.d_error, 0.002)


@pytest.mark.parametrize(
    ("names", "even"),
    [
        ("2theta esd(2theta) d I", False),
        ("h k l 2theta esd(2theta) d I", False),
        ("d sigma(d) 2theta I", False),
        ("d sigma(d) 2theta I", True),
        ("2theta d d_esd 2theta_esd I", False),
        ("d-spacing delta_d I", False),
    ],
)
def test_uncertainties_are_those_of_the_column_that_they_name(file, names, even):
    """0.01 degrees are no 0.01 angstrom, whichever of 2theta and d is taken."""
    two_theta = np.array([12.1, 17.3, 19.0, 24.4, 28.7, 29.9, 33.0, 41.2, 47.5, 61.8])
    two_theta = 10 + 6.0 * np.arange(10) if even else two_theta
    d = 1.5406 / (2 * np.sin(np.radians(two_theta / 2)))
    error = d / np.tan(np.radians(two_theta / 2)) * np.radians(0.01) / 2
    columns = {"2theta": two_theta, "d": d, "d-spacing": d, "I": 10 + two_theta, "h": 0 * d + 1}
    columns |= {"k": columns["h"], "l": columns["h"], "sigma(d)": error, "d_esd": error, "delta_d": error}
    columns |= {"esd(2theta)": 0.01 + 0 * d, "2theta_esd": 0.01 + 0 * d}
    rows = zip(*(columns[name] for name in names.split()), strict=True)
    text = names + "\n" + "".join(" ".join(f"{value:.7f}" for value in row) + "\n" for row in rows)
    found = read_peaks(file(text))
    np.testing.assert_allclose(found.d, d, rtol=1e-5)
    np.testing.assert_allclose(found.d_error, error, rtol=1e-2)


def test_a_peak_list_with_indices(file):
    text = "h k l d I\n1 1 1 3.1356 100\n2 2 0 1.9202 60\n3 1 1 1.6375 30\n"
    found = read_measurement(file(text))
    assert isinstance(found, PeakTable)
    np.testing.assert_allclose(found.d, [3.1356, 1.9202, 1.6375])
    np.testing.assert_allclose(found.intensity, [100, 60, 30])


def test_many_peaks_at_uneven_distances(file):
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(5, 90, 150))
    found = read_measurement(file("".join(f"{v:.3f} {k}\n" for k, v in enumerate(x))), wavelength=WAVELENGTH)
    assert isinstance(found, PeakTable)
    assert any("list of peaks" in note for note in found.notes)


def test_a_coarse_but_regular_scan_is_a_profile(file):
    x = np.arange(10, 60, 0.5)
    assert isinstance(read_measurement(file("".join(f"{v:.2f} 5\n" for v in x))), Measurement)


def test_positions_that_have_no_angle(file):
    text = "# d(A) I\n" + "".join(f"{d:.5f} 5\n" for d in np.linspace(0.5, 2, 400))
    with pytest.raises(XtinctError, match=r"row 2: d = 0.5 has no angle at 1.5406 angstrom"):
        read_measurement(file(text), wavelength=WAVELENGTH)
    with pytest.raises(XtinctError, match="not positive"):
        read_peaks(file("# d(A) I\n3.1 5\n-2 4\n"))
    with pytest.raises(XtinctError, match="row 3: the position 1e-308 has no spacing d"):
        read_peaks(file("# 2theta I\n31 5\n1e-308 4\n"), wavelength=WAVELENGTH)


@pytest.mark.parametrize("axis", ["x", "s"])
def test_an_axis_that_is_unknown(file, axis):
    """s is 1/d to some (a column's label too), sin(theta)/lambda to others: half of it."""
    with pytest.raises(XtinctError, match=f"axis: '{axis}', expected one of 2theta"):
        read_measurement(file("10 5\n"), axis=axis)


@pytest.mark.parametrize("header", ["# 2theta I\n", "# wavelength 1.5418\n# 2theta I\n"])
def test_angles_belong_to_the_mean_that_was_told(file, header):
    """Who writes 1.5418 has turned d into 2theta with it: K-alpha1 would shift d by 0.08 %."""
    angles = 2 * np.degrees(np.arcsin(1.5418 / (2 * D)))
    path = file(header + "".join(f"{a:.5f} 5\n" for a in angles))
    found = read_peaks(path, wavelength=None if "wavelength" in header else 1.5418)
    np.testing.assert_allclose(found.d, D, rtol=1e-6)
    assert found.radiation.second is not None


def test_peaks_at_even_distances_are_a_list_when_asked_for(file):
    path = file("# d(A) I\n" + "".join(f"{d:.2f} 5\n" for d in np.arange(4, 2, -0.2)))
    assert isinstance(read_measurement(path), Measurement)
    assert len(read_peaks(path).d) == 10


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (([30.0, 20.0], [1, 2]), "two_theta must ascend"),
        (([20.0, 20.0], [1, 2]), "two_theta must ascend"),
        (([20.0, 30.0], [1, np.nan]), "all values must be finite"),
        (([20.0, 30.0], [1, 2, 3]), r"intensity \(3,\) beside two_theta \(2,\)"),
        (([20.0, 30.0], [1, 2], [1]), r"sigma \(1,\) beside two_theta \(2,\)"),
        ((np.ones((2, 2)), np.ones((2, 2))), r"expected \(n,\) each"),
        ((["a", "b"], [1, 2]), "two_theta holds something that is no number"),
        (([20.0, 30.0], None), r"intensity \(\) beside"),
    ],
)
def test_a_measurement_of_ones_own_has_columns_in_order(columns, words):
    """Whoever makes the object need not have read a file: what is no profile is said, not answered."""
    with pytest.raises(XtinctError, match=f"mine: .*{words}"):
        Measurement(*columns, name="mine")


def test_a_measurement_of_ones_own_may_have_whole_numbers():
    found = Measurement([20, 30], np.array([1, 2], dtype=np.uint16), [1, 2])
    assert {column.dtype for column in (found.two_theta, found.intensity, found.sigma)} == {np.dtype(float)}
