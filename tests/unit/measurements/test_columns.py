"""Text in columns: dialects, encodings, columns and axes as laboratories write them."""

import gzip

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.measurements import PeakTable, read_measurement, read_measurements, read_peaks

WAVELENGTH = 1.5406


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [" ", "\t", ",", ", ", ";", "; ", "   ", " | "])
def test_separators_and_ends_of_lines(same, rows, profile, separator, end):
    found = same(rows(profile.x, profile.y, separator=separator, end=end), "a.csv")
    assert found.radiation is None
    assert found.sigma is None


@pytest.mark.parametrize("separator", [" ", "\t", ";", "; ", "   "])
def test_decimal_commas(same, rows, profile, separator):
    same(rows(profile.x, profile.y, separator=separator, decimal=","))


def test_whole_numbers_beside_decimal_commas_do_not_decide(same, profile):
    same("".join(f"{x:g} {y:.0f}\n".replace(".", ",") for x, y in zip(profile.x, profile.y, strict=True)))


def test_thousands_beside_decimal_commas(same, profile):
    y = profile.y * 1000
    numbers = [f"{v:,.1f}".replace(",", "_").replace(".", ",").replace("_", ".") for v in y]
    text = "2Theta;Intensität\n" + "".join(
        f"{x:.2f};{v}\n".replace(".", ",", 1) for x, v in zip(profile.x, numbers, strict=True)
    )
    profile.y, kept = y, profile.y
    try:
        same(text, encoding="latin-1")
    finally:
        profile.y = kept


def test_thousands_beside_decimal_points(same, profile):
    text = "".join(f"{x:.2f};{1000 * y:,.1f}\n" for x, y in zip(profile.x, profile.y, strict=True))
    profile.y, kept = profile.y * 1000, profile.y
    try:
        same(text)
    finally:
        profile.y = kept


def test_commas_for_everything_are_refused(file, profile):
    text = "".join(f"{x:.2f},{y:.1f}\n".replace(".", ",") for x, y in zip(profile.x, profile.y, strict=True))
    with pytest.raises(XtinctError, match=r"row 1: commas stand for decimals and between columns"):
        read_measurement(file(text))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_encodings(same, rows, profile, encoding):
    header = "# 2Theta (°)  I (µA)\n" if encoding != "utf-16-le" else "2Theta I\n"
    same(header + rows(profile.x, profile.y), encoding=encoding)


def test_gzip_and_the_name_do_not_matter(same, rows, profile):
    same(gzip.compress(rows(profile.x, profile.y).encode()), "pattern.xy")
    same(gzip.compress(rows(profile.x, profile.y).encode()), "pattern.xy.gz")
    same(rows(profile.x, profile.y), "pattern.raw")
    same(rows(profile.x, profile.y), "pattern")


@pytest.mark.parametrize(
    ("header", "first", "second"),
    [
        ('Id: "sample 7" Comment: "" Anode: "Cu" Scantype: "Coupled TwoTheta/Theta"\n', 1.5405929, 1.5444274),
        ('\'Id: "" Anode: "Mo" Scantype: "Coupled TwoTheta/Theta"\n', 0.7093172, 0.713607),
        ("1.54060\n", 1.5406, None),
        (
            "[Measurement conditions]\nScan axis,Gonio\nAnode material,Cu\n[Scan points]\nAngle,Intensity\n",
            1.5405929,
            1.5444274,
        ),
        (
            "Anode material,Cu\nK-Alpha1 wavelength,1.54060\nK-Alpha2 wavelength,1.54443\n"
            "Ratio K-Alpha2/K-Alpha1,0.5\nAngle,TimePerStep,Intensity,ESD\n",
            1.5406,
            1.54443,
        ),
        ("##X-RAY WAVELENGTH: 1.541838\n", 1.5405929, 1.5444274),
        ("# Wavelength: 0.413 A\n# 2theta I\n", 0.413, None),
        ("# wavelength = 0.0413 nm\n", 0.413, None),
        ("# Wavelength: 4.13e-11 m\n", 0.413, None),
        ("# lambda=1.494\n", 1.494, None),
        ("# λ = 1.494 Å\n", 1.494, None),
        ("# Wellenlänge: 1,5406 Å\n", 1.5406, None),
        ("# longueur d'onde 1,5406\n", 1.5406, None),
        ("# Energy: 30 keV\n", 12.398419843 / 30, None),
        ("# Cu Ka1 radiation, Ge monochromator\n", 1.5405929, None),
        ("# source: Co tube\n", 1.788996, 1.792835),
        ("# wavelength 1.5406\n", 1.5406, None),
        ("lambda 1.54056 1.54439 0.5\n", 1.54056, 1.54439),
        ("1.54056 1.54439\n", 1.54056, 1.54439),
        (
            "Range 1: 2Theta (begin, end, step) = 10.0, 45.0, 0.02\nRadiation: Mo, Wavelength: 0.7093 A\n",
            0.7093,
            None,
        ),
        ("# CuKα\n", 1.5405929, 1.5444274),
        ("# wavelength of channel 12: 1.54056\n", 1.54056, None),
        ("# wavelength (detector 3) = 0.7093 A\n", 0.7093, None),
        ("# wavelength of bank 2 is 1.066\n", 1.066, None),
        ("# Wavelength[0]: 1.54056\n", 1.54056, None),
        ("# wavelength 1: 1.5406\n# wavelength 2: 1.5444\n", 1.5406, 1.5444),
    ],
)
def test_headers_say_the_wavelength(file, profile, header, first, second):
    columns = [profile.x, profile.y]
    if "ESD" in header:
        columns = [profile.x, np.ones(profile.n), profile.y, np.sqrt(profile.y)]
    separator = "," if "Angle," in header else " "
    text = header + "".join(
        separator.join(f"{v:.4f}" for v in row) + "\n" for row in zip(*columns, strict=True)
    )
    found = read_measurement(file(text))
    np.testing.assert_allclose(found.two_theta, profile.x)
    np.testing.assert_allclose(found.intensity, profile.y)
    assert found.radiation.wavelength == pytest.approx(first, abs=1e-7)
    assert found.radiation.second == (None if second is None else pytest.approx(second, abs=1e-7))


def test_what_a_file_does_not_say_is_not_assumed(same, rows, profile):
    found = same(rows(profile.x, profile.y))
    assert found.radiation is None
    assert found.counting_time is None
    assert found.monochromator is None
    assert found.notes == ("the file does not name its axis: positions were taken as 2theta in degrees",)
    told = same(rows(profile.x, profile.y), wavelength=1.5418)
    assert told.radiation.second == pytest.approx(1.5444274)
    assert "1.5418 is the mean of the Cu K-alpha doublet and was taken as the doublet" in told.notes


def test_the_told_wavelength_goes_before_the_files_and_that_is_said(same, rows, profile):
    found = same("# wavelength 0.7093\n" + rows(profile.x, profile.y), wavelength=1.5406)
    assert found.radiation.wavelength == 1.5406
    assert "the file says 0.7093 angstrom, 1.5406 was told" in found.notes


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ('TimePerStep: "1.5"\n', 1.5),
        ("Scan step time [s],10.16\nAngle,Intensity\n", 10.16),
        ("# Time per step (sec) =   0.1\n", 0.1),
        ("# counting time: 4 s\n", 4),
        ("# Zählzeit: 2,5 s\n", 2.5),
    ],
)
def test_headers_say_the_counting_time(file, rows, profile, header, seconds):
    separator = "," if "Angle," in header else " "
    found = read_measurement(file(header + rows(profile.x, profile.y, separator=separator)))
    assert found.counting_time == seconds


def test_a_graphite_monochromator_has_its_angle(file, rows, profile):
    found = read_measurement(file("# CuKa, monochromator: graphite\n" + rows(profile.x, profile.y)))
    # 2 arcsin(1.5419 / (2 x 3.354)): the 26.6 degrees of every textbook.
    assert found.monochromator == pytest.approx(26.6, abs=0.05)


@pytest.mark.parametrize(
    ("header", "axis"),
    [
        ("# 2Theta I\n", "x"),
        ("# 2-theta intensity\n", "x"),
        ("# 2θ I\n", "x"),
        ("# °2θ I\n", "x"),
        ("# TwoTheta, Counts\n", "x"),
        ("Pos. [°2Th.] Iobs\n", "x"),
        ("# tth I\n", "x"),
        ("# 2th_deg I\n", "x"),
        ("Angle/° Intensity/cps\n", "x"),
        ("# theta-2theta scan\n", "x"),
        ("# d(A)\n", "d"),
        ("' The X-axis unit is: d-Spacing\n", "d"),
        ("2 Theta [deg]   Intensity [counts]\n", "x"),
        ("Winkel Impulse\n", "x"),
        ("2 thêta (deg)  intensité\n", "x"),
        ("# theta I\n", "theta"),
        ("# Theta [°]  I\n", "theta"),
        ("# θ I\n", "theta"),
        ("# d(A) I\n", "d"),
        ("# d [Å] I\n", "d"),
        ("# d-spacing intensity\n", "d"),
        ("# d-Wert Intensität\n", "d"),
        ("# Q (A^-1)  I\n", "q"),
        ("# q_A^-1 I\n", "q"),
        ("# Q (1/Å)  I\n", "q"),
        ("# q(1/A) I\n", "q"),
        ("# Q [Å⁻¹] I\n", "q"),
        ("# q_nm^-1 I\n", "q_nm"),
        ("$Q$_($\\AA^{-1}$) I\n", "q"),
        ("# Q(Å-1) I\n", "q"),
        ("Q I\n1/A counts\n", "q"),
        ("# d (nm) I\n", "d_nm"),
        ("# d [pm] I\n", "d_pm"),
        ("# s (nm^-1) I\n", "s_nm"),
        ("# q (nm^-1) I\n", "q_nm"),
        ("# Q [1/nm]  intensity\n", "q_nm"),
        ("# scattering vector (1/nm)   I\n", "q_nm"),
        ("# sin(theta)/lambda I\n", "stol"),
        ("# sinθ/λ I\n", "stol"),
        ("# 1/d I\n", "d_star"),
    ],
)
def test_axes_that_the_header_names(file, profile, header, axis):
    columns = {
        "x": profile.x,
        "theta": profile.x / 2,
        "d": profile.d,
        "q": profile.q,
        "q_nm": 10 * profile.q,
        "stol": 1 / (2 * profile.d),
        "d_nm": profile.d / 10,
        "d_pm": profile.d * 100,
        "s_nm": 10 / profile.d,
        "d_star": 1 / profile.d,
    }
    x = columns[axis]
    text = header + "".join(f"{a:.9g} {b:.0f}\n" for a, b in zip(x, profile.y, strict=True))
    found = read_measurement(file(text), wavelength=WAVELENGTH)
    np.testing.assert_allclose(found.two_theta, profile.x, atol=2e-6)
    np.testing.assert_allclose(found.intensity, profile.y)
    name = {"stol": "sin(theta)/lambda", "d_star": "1/d"}.get(axis, axis)
    if (axis != "x" and axis[1:] not in ("_nm", "_pm")) or axis == "q_nm":
        assert f"positions were converted from {name} to 2theta" in found.notes
        bare = "".join(text.splitlines(keepends=True)[1:])
        told = read_measurement(file(bare), wavelength=WAVELENGTH, axis=name)
        np.testing.assert_allclose(told.two_theta, profile.x, atol=2e-6)


@pytest.mark.parametrize("axis", ["q", "d"])
def test_spacings_need_no_wavelength(file, profile, axis):
    """With a nominal wavelength angles are others, but every spacing is the file's."""
    x = getattr(profile, axis)
    header = {"q": "# Q (1/A) I\n", "d": "# d(A) I\n"}[axis]
    text = header + "".join(f"{a:.9g} {b:.0f}\n" for a, b in zip(x, profile.y, strict=True))
    found = read_measurement(file(text))
    d = found.radiation.wavelength / (2 * np.sin(np.radians(found.two_theta / 2)))
    np.testing.assert_allclose(d, profile.d, rtol=1e-8)
    assert any("nominal" in note for note in found.notes)
    assert "nominal" in found.radiation.note


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("# time-of-flight (us)  I\n", "time of flight"),
        ("# TOF I\n", "time of flight"),
        ("' The X-axis unit is: Time-of-flight\n", "time of flight"),
        ("# energy (keV)  counts\n", "energy"),
        ("# Energy [keV]  counts\n", "energy"),
        ("# Q I\n", "without its unit"),
        ("# omega I\n", "neither 2theta, d nor Q"),
        ("# channel counts\n", "neither 2theta, d nor Q"),
        ("Temperature  Signal\n", "neither 2theta, d nor Q"),
        ("# Raman shift (cm-1)  I\n", "neither 2theta, d nor Q"),
    ],
)
def test_axes_that_are_refused_by_name(file, rows, profile, header, words):
    with pytest.raises(XtinctError, match=words):
        read_measurement(file(header + rows(profile.x, profile.y)), wavelength=WAVELENGTH)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.linspace(7000, 26000, 200), "reach 26000, which is no 2theta"),
        (np.linspace(100, 200, 200), "reach 200, which is no 2theta"),
    ],
)
def test_positions_that_are_no_angles(file, rows, x, words):
    with pytest.raises(XtinctError, match=words):
        read_measurement(file(rows(x, np.ones(len(x)))))


def test_theta_that_is_likely_2theta_is_asked_for(file, rows):
    x = np.linspace(5, 80, 1000)
    path = file("theta,intensity\n" + rows(x, x, separator=","))
    with pytest.raises(XtinctError, match="says theta but reaches 80"):
        read_measurement(path)
    assert read_measurement(path, axis="2theta").two_theta[-1] == 80
    assert read_measurement(path, axis="theta").two_theta[-1] == 160


@pytest.mark.parametrize(
    ("header", "order"),
    [
        ("# 2-theta d(A) intensity\n", "xdi"),
        ("", "xdi"),
        ("2theta,d,intensity\n", "xdi"),
        ("d;2Theta;I\n", "dxi"),
        ("No.;2Theta;d [A];Counts\n", "nxdi"),
        ("Angle TimePerStep Intensity ESD\n", "xtis"),
        ("2theta I esd\n", "xis"),
        ("2Theta Iobs Icalc Ibkg\n", "xibb"),
        ("2Theta Icalc Iobs\n", "xbi"),
        ("2theta background intensity sigma\n", "xbis"),
        ("2theta cps counts\n", "xri"),
        ("2theta counts cps\n", "xir"),
        ("2theta I weight sigma\n", "xibs"),
        ("h;2Theta;I\n", "nxi"),
    ],
)
def test_columns_are_taken_by_their_names(file, profile, header, order):
    choice = {
        "x": profile.x,
        "d": profile.d,
        "i": profile.y,
        "s": np.sqrt(profile.y) * 1.1,
        "n": np.arange(1, profile.n + 1),
        "t": np.full(profile.n, 2.0),
        "b": np.full(profile.n, 7.0),
        "r": profile.y / 2,
    }
    separator = next((s for s in ";," if s in header), " ")
    columns = [choice[letter] for letter in order]
    text = header + "".join(
        separator.join(f"{v:.7g}" for v in row) + "\n" for row in zip(*columns, strict=True)
    )
    found = read_measurement(file(text))
    np.testing.assert_allclose(found.two_theta, profile.x)
    np.testing.assert_allclose(found.intensity, profile.y)
    if "s" in order:
        np.testing.assert_allclose(found.sigma, choice["s"], rtol=1e-6)
    else:
        assert found.sigma is None
    if "d" in order:
        assert found.radiation.wavelength == pytest.approx(WAVELENGTH, abs=2e-5)


def test_a_third_column_without_a_name_is_judged_by_its_numbers(file, profile, rows):
    counts = file(rows(profile.x, profile.y, np.sqrt(profile.y)))
    np.testing.assert_allclose(read_measurement(counts).sigma, np.sqrt(profile.y), atol=1e-4)
    fixed = file(rows(profile.x, profile.y, np.full(profile.n, 7.0)))
    found = read_measurement(fixed)
    assert found.sigma is None
    assert any("third column" in note for note in found.notes)
    # The name of a format that says x, y, e settles it.
    named = file(rows(profile.x, profile.y, np.full(profile.n, 7.0)), "a.xye")
    np.testing.assert_array_equal(read_measurement(named).sigma, 7.0)


def test_uncertainties_of_uneven_counters_are_known_by_the_scatter(file, profile, rows):
    """Points of a bank of detectors: counts over efficiencies that differ from point to point."""
    random = np.random.default_rng(5)
    efficiency = random.uniform(1, 6, profile.n)
    counts = random.poisson(efficiency * profile.y)
    y, sigma = counts / efficiency, np.sqrt(np.maximum(counts, 1)) / efficiency
    found = read_measurement(file(rows(profile.x, y, sigma)))
    np.testing.assert_allclose(found.sigma, sigma, atol=1e-4)
    # As closely related to the intensities, but no noise of theirs.
    assert read_measurement(file(rows(profile.x, y, 3 * sigma))).sigma is None


def test_a_name_in_quotes_may_hold_the_separator(file, profile):
    """The table that GSAS-II exports: a flag first, the fit behind, markers of lines in the first rows."""
    text = 'used,"x, 2theta (deg)",obs,calc,bkg,diff,a phase,tick-pos,Axis-limits\n'
    for i, (x, y) in enumerate(zip(profile.x, profile.y, strict=True)):
        marker = f",{29.7 + i},-3.5,{17 + i}" if i < 2 else f",{29.7 + i},-3.5, " if i < 9 else ", , , "
        text += f"1,{x:g},{y:g},{y + 1:g},20,-1{marker}\n"
    found = read_measurement(file(text, "a.csv"))
    np.testing.assert_allclose(found.two_theta, profile.x)
    np.testing.assert_array_equal(found.intensity, profile.y)


def test_uncertainties_that_are_missing_are_completed(file, profile, rows):
    sigma = np.sqrt(profile.y)
    sigma[[3, 900]] = 0
    found = read_measurement(file(rows(profile.x, profile.y, sigma), "a.xye"))
    assert (found.sigma > 0).all()
    assert any(note.startswith("2 uncertainties were zero or missing") for note in found.notes)
    assert read_measurement(file(rows(profile.x, profile.y, 0 * sigma), "b.xye")).sigma is None


def test_numbers_above_the_columns(same, profile, rows):
    body = rows(profile.x, profile.y)
    assert same(f"{profile.n}\n" + body).radiation is None
    assert same("sample 7\n0.4137\n" + body).radiation.wavelength == 0.4137
    chi = f"title\n2-Theta Angle (Degrees)\nIntensity\n       {profile.n}\n"
    assert same(chi + body, "a.chi").notes == ()


def test_a_chi_file_in_q(file, profile):
    text = f"title\nQ Space (A^-1)\nIntensity\n {profile.n}\n" + "".join(
        f" {q:.7E}  {y:.7E}\n" for q, y in zip(profile.q, profile.y, strict=True)
    )
    found = read_measurement(file(text, "a.chi"), wavelength=WAVELENGTH)
    np.testing.assert_allclose(found.two_theta, profile.x, atol=1e-4)


RRUFF = """##NAMES=Yttriaite-(Y)
##RRUFFID=X000000
##IDEAL CHEMISTRY=Y_2_O_3_
##CELL PARAMETERS: a: 10.604(1)  b: 10.604  c: 10.604  alpha: 90
##SPACE GROUP: Ia-3
##X-RAY WAVELENGTH: 1.541838
"""


@pytest.mark.parametrize("header", [RRUFF, RRUFF.replace("##X-RAY WAVELENGTH: 1.541838\n", ""), RRUFF[:22]])
def test_text_of_a_mineral_library(same, profile, rows, header):
    """Labels of JCAMP-DX around plain columns; a cell is no wavelength."""
    found = same(header + rows(profile.x, profile.y, separator=", ") + "##END=\n", "mineral.txt")
    if "WAVELENGTH" in header:
        assert found.radiation.second is not None
    else:
        assert found.radiation is None


def test_a_table_of_calculated_lines_is_a_list_of_peaks(file):
    text = """      CELL PARAMETERS:  5.4306   5.4306   5.4306   90.000   90.000   90.000
      X-RAY WAVELENGTH:     1.541838
               2-THETA      INTENSITY    D-SPACING   H   K   L   Multiplicity
                28.47        100.00        3.1354    1   1   1         8
                47.35         64.90        1.9200    2   2   0        12
                56.18         37.86        1.6374    3   1   1        24
"""
    found = read_measurement(file(text))
    assert isinstance(found, PeakTable)
    np.testing.assert_allclose(found.d, [3.1354, 1.92, 1.6374])
    np.testing.assert_array_equal(found.intensity, [100, 64.9, 37.86])


def test_text_after_the_columns_is_no_row(same, profile, rows):
    same(rows(profile.x, profile.y) + "\n\n# end of data\n*** printed by nobody ***\n")


def test_blank_lines_and_trailing_separators(same, profile, rows):
    same(rows(profile.x, profile.y, separator="\t", end="\t\n\n"))
    same(rows(profile.x, profile.y, separator=",", end=",\n"), "a.csv")
    quoted = "".join(f'"{x:.2f}","{y:.0f}"\n' for x, y in zip(profile.x, profile.y, strict=True))
    same(quoted, "a.csv")


def test_powers_of_ten_and_minus_signs(same, profile):
    text = "".join(f"{x:.6E}\t{y:.6e}\n" for x, y in zip(profile.x, profile.y, strict=True))
    same(text)
    same(text.replace("E+", "D+"))


def test_unicode_minus(file):
    text = "".join(f"{10 + 0.1 * k:.1f} {'-' if k == 4 else ''}{k}\n" for k in range(50))
    assert read_measurement(file(text.replace("-", "\u2212"))).intensity[4] == -4


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("12.0000 nan", r"row 101: the intensity is nan"),
        ("12.0000 NaN", r"row 101: the intensity is nan"),
        ("12.0000 inf", r"row 101: the intensity is"),
        ("nan 15", r"row 101: the position is nan"),
        ("12.0000", r"row 101: '12.0000' has 1 numbers"),
        ("12.0000 abc", r"row 101: '12.0000 abc' has 1 numbers"),
        ("12.0000 1.#QNAN", r"row 101: the intensity is nan"),
        ("12.0000 --", r"row 101: the intensity is nan"),
    ],
)
def test_a_bad_row_is_named(file, profile, rows, bad, words):
    lines = rows(profile.x, profile.y).splitlines()
    lines[100] = bad
    with pytest.raises(XtinctError, match=words):
        read_measurement(file("\n".join(lines)))


def test_rows_are_counted_with_the_header(file, profile, rows):
    lines = ["# a", "# b", *rows(profile.x, profile.y).splitlines()]
    lines[500] = "19.96 nan"
    with pytest.raises(XtinctError, match="row 501: "):
        read_measurement(file("\n".join(lines)))


@pytest.mark.parametrize("content", ["", "\n\n", "   \n\t\n", "\ufeff", "\0\0\0"])
def test_an_empty_file_is_one_line(file, content):
    with pytest.raises(XtinctError) as raised:
        read_measurement(file(content))
    assert "empty" in str(raised.value) or "no rows of numbers" in str(raised.value)
    assert "sample.xy" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_words_alone(file):
    with pytest.raises(XtinctError, match="no rows of numbers"):
        read_measurement(file("Dear colleague,\nplease find attached\n"))


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(XtinctError, match="no such file"):
        read_measurement(tmp_path / "nothing.xy")
    with pytest.raises(XtinctError, match="a folder"):
        read_measurement(tmp_path)


def test_a_constant_is_a_measurement(file, rows, profile):
    found = read_measurement(file(rows(profile.x, np.full(profile.n, 500.0))))
    assert np.ptp(found.intensity) == 0


def test_one_scan_is_all_scans(file, rows, profile):
    path = file(rows(profile.x, profile.y))
    (found,) = read_measurements(path)
    assert found.name == str(path)
    with pytest.raises(XtinctError, match=r"expected a list of peaks|2theta"):
        read_peaks(path)


@pytest.mark.parametrize(("unit", "factor"), [("rad", 1), ("radians", 1), ("mrad", 1000)])
def test_angles_in_radians(file, profile, unit, factor):
    text = f"# 2theta ({unit}) I\n" + "".join(
        f"{factor * a:.9f} {b:.0f}\n" for a, b in zip(np.radians(profile.x), profile.y, strict=True)
    )
    np.testing.assert_allclose(read_measurement(file(text)).two_theta, profile.x, atol=1e-6)


def test_a_line_of_a_grid_above_columns(same, rows, profile):
    same("10.0 0.02 45.0\n" + rows(profile.x, profile.y))
    same("10.0 0.02 45.0 sample\n" + rows(profile.x, profile.y, np.sqrt(profile.y)))


def test_a_column_named_x_goes_before_what_was_made_of_it(same, profile):
    """The table that GSAS-II exports."""
    text = '"x","y_obs","weight","y_calc","y_bkg","Q"\n' + "".join(
        f"{a:.2f},{b:.0f},1,5,5,{c:.5f}\n" for a, b, c in zip(profile.x, profile.y, profile.q, strict=True)
    )
    same(text, "a.csv")


def test_a_bare_name_of_an_axis_is_heard(file, rows, profile):
    with pytest.raises(XtinctError, match="Q without its unit"):
        read_measurement(file("# Q\n" + rows(profile.q, profile.y)))


def test_rows_that_are_numbered(same, profile):
    same(
        "".join(
            f"{k} {a:.2f} {b:.0f}\n" for k, (a, b) in enumerate(zip(profile.x, profile.y, strict=True), 1)
        )
    )


def test_dates_and_settings_above_the_columns(same, rows, profile):
    same("12.03.2020 10:15:33\n2020-03-12\n" + rows(profile.x, profile.y))
    keys = "Start angle;10.0\nEnd angle;45.0\nStep;0.02\nPoints;1751\nAngle;Intensity\n"
    same(keys + rows(profile.x, profile.y, separator=";"), "a.csv")
    same("sep=;\n2Theta;Counts\n" + rows(profile.x, profile.y, separator=";"), "a.csv")
    same("2theta,I\ndeg,counts\n" + rows(profile.x, profile.y, separator=","), "a.csv")


def test_a_search_report_of_peaks(file):
    """Spacings are taken, and the wavelength that made them of the angles."""
    text = "Peak Search Report\n2-Theta\td(A)\tBG\tHeight\n" + "".join(
        f"{2 * np.degrees(np.arcsin(WAVELENGTH / (2 * d))):.4f}\t{d:.5f}\t50\t{k}\n"
        for k, d in enumerate((3.1356, 1.9202, 1.6375, 1.3577))
    )
    found = read_measurement(file(text))
    assert isinstance(found, PeakTable)
    np.testing.assert_allclose(found.d, [3.1356, 1.9202, 1.6375, 1.3577])
    assert found.radiation.wavelength == pytest.approx(WAVELENGTH, abs=1e-4)


def test_a_section_behind_the_columns_is_another_one(file, rows, profile):
    body = rows(profile.x, profile.y, separator=", ")
    found = read_measurement(file("[Data]\nAngle, PSD\n" + body + "\n[Peaks]\n28.4, 100\n47.3, 60\n"))
    np.testing.assert_array_equal(found.intensity, profile.y)
    assert "what follows row 1755, [Peaks], is another section and was not read" in found.notes


def test_percent_and_uncertainties_in_parentheses(file, rows, profile):
    text = "2Theta;I [%]\n" + "".join(
        f"{a:.2f};{b:.1f}%\n" for a, b in zip(profile.x, profile.y, strict=True)
    )
    np.testing.assert_array_equal(read_measurement(file(text)).intensity, profile.y)
    peaks = read_peaks(file("# d(A) I\n3.1356(2) 100(3)\n1.9202(1) 64(2)\n1.637(2) 38(2)\n"))
    np.testing.assert_allclose(peaks.d, [3.1356, 1.9202, 1.637])
    np.testing.assert_allclose(peaks.d_error, [2e-4, 1e-4, 2e-3])
    np.testing.assert_array_equal(peaks.intensity, [100, 64, 38])


def test_negative_angles_alone_are_refused(file, rows, profile):
    with pytest.raises(XtinctError, match="no position is above zero"):
        read_measurement(file(rows(-profile.x, profile.y)))


@pytest.mark.parametrize(
    "header",
    [
        "# X-ray source: Rigaku Co., Ltd.\n",
        "# sample Fe2O3 of Mo and Co from source A, target density 3\n",
        "# Detector energy threshold: 6 keV\n",
        "# Energy window: 7.5 to 8.5 keV\n",
        "# Kinetic energy 900 eV\n",
        "# a=5.4310 b=5.4310\n",
        "# temperature 300 K, current 40 mA, 45 kV\n",
    ],
)
def test_words_that_are_no_wavelength(same, rows, profile, header):
    assert same(header + rows(profile.x, profile.y)).radiation is None


def test_names_of_columns_hold_where_dates_follow_the_numbers(same, profile):
    """A beamline's table: numbers of images, two angles, d, counts, then date and time."""
    d = 0.8 / (2 * np.sin(np.radians(profile.x / 2)))
    rows = "".join(
        f"     0 {x:10.5f} {x + 1:10.5f} {space:10.5f} {y:10.2f} 1 07/07/2022 19:15:30\n"
        for x, space, y in zip(profile.x, d, profile.y, strict=True)
    )
    names = "imagenum twotheta twotheta_cuka dspacing intensity frame date time\n"
    found = same(names + rows, "a.dat", off=1e-4)
    assert found.radiation.wavelength == pytest.approx(0.8, abs=1e-4)


def test_a_table_of_many_patterns_is_refused(file):
    rows = "".join(",".join(f"{x:.3f}" for x in 0.4 + 0.01 * np.arange(80) + k) + "\n" for k in range(20))
    with pytest.raises(XtinctError, match="80 numbers; a table of many patterns"):
        read_measurement(file(rows, "a.csv"))


@pytest.mark.parametrize("encoding", ["utf-8", "shift_jis", "euc_jp", "gbk"])
def test_theta_of_the_east_is_theta(same, rows, profile, encoding):
    found = same(
        "2\u03b8(deg),Intensity(counts)\n" + rows(profile.x, profile.y, separator=","), "a.csv", encoding
    )
    assert not found.notes


def test_positions_that_end_low_may_be_no_2theta_and_that_is_said(file, rows, profile):
    q = 4 * np.pi * np.sin(np.radians(profile.x / 2)) / WAVELENGTH
    found = read_measurement(file(rows(q, profile.y)), wavelength=0.15)
    assert "; they end at 3.12" in found.notes[0]
    assert found.notes[0].endswith("so if they are Q or d, tell the axis (--axis)")


@pytest.mark.parametrize("axis", ["q", "d", "sin(theta)/lambda", "1/d"])
def test_positions_that_as_2theta_show_only_long_spacings_are_asked(file, rows, profile, axis):
    """No lattice comes from lines that all lie above 3 angstrom: positions of another axis end so low."""
    x = {
        "q": profile.q,
        "d": profile.d,
        "sin(theta)/lambda": 0.5 / profile.d,
        "1/d": 1 / profile.d,
    }[axis]
    path = file(rows(x, profile.y, form="{:.8f}"))
    with pytest.raises(XtinctError, match=r"would show no spacing below .* angstrom; tell the axis"):
        read_measurement(path, wavelength=WAVELENGTH)
    found = read_measurement(path, wavelength=WAVELENGTH, axis=axis)
    np.testing.assert_allclose(found.two_theta, profile.x, atol=1e-3)
    # Whoever measures at so low angles says it.
    assert read_measurement(path, wavelength=WAVELENGTH, axis="2theta").two_theta[-1] < 12


@pytest.mark.parametrize(
    "label", ["sin(theta)/lambda (1/A)", "sinθ/λ (1/Å)", "sinθ / λ [1/Å]", "sin(theta)/lambda, 1/angstrom"]
)
def test_the_wavelength_in_the_name_of_an_axis_is_none(file, rows, profile, label):
    text = f"{label}\tI\n" + rows(0.5 / profile.d, profile.y, form="{:.8f}", separator="\t")
    found = read_measurement(file(text), wavelength=WAVELENGTH)
    np.testing.assert_allclose(found.two_theta, profile.x, atol=1e-3)
    assert not any("the file says" in note for note in found.notes)
    said = read_measurement(file(f"# wavelength 1.5406 A\n{text}"))
    assert said.radiation.wavelength == pytest.approx(WAVELENGTH)


def test_exchanged_columns_are_said(file, rows, profile):
    path = file(rows(profile.y + 1000, profile.x))
    with pytest.raises(XtinctError, match=r"the second looks like 2theta in degrees; exchange the columns"):
        read_measurement(path)


@pytest.mark.parametrize(
    "name",
    [
        "log10(I)",
        "Log Counts",
        "logI",
        "Logarithm of counts",
        "ln(I)",
        "Intensity (log)",
        "I (dB)",
        "sqrt(I)",
        "√I",
    ],
)
def test_a_column_of_a_function_of_the_intensities_is_no_intensity(file, rows, profile, name):
    with pytest.raises(XtinctError, match="holds a function of the intensities; save the intensities"):
        read_measurement(file(f"2theta;{name}\n" + rows(profile.x, np.sqrt(profile.y), separator=";")))
    both = f"2theta;{name};I\n" + rows(profile.x, np.sqrt(profile.y), profile.y, separator=";")
    np.testing.assert_array_equal(read_measurement(file(both)).intensity, profile.y)


@pytest.mark.parametrize("form", ["{:.4f}", "{:.6f}", "{!r}"])
@pytest.mark.parametrize("function", [np.log10, np.log, np.sqrt, lambda n: np.log10(n + 1)])
def test_logarithms_and_roots_of_counts_are_refused(file, rows, profile, form, function):
    counts = np.random.default_rng(1).poisson(profile.y).clip(1)
    text = "".join(
        f"{x:.2f} {form.format(float(function(n)))}\n" for x, n in zip(profile.x, counts, strict=True)
    )
    with pytest.raises(
        XtinctError, match=r"the intensities are .* of counts \(.* gives whole numbers\); save"
    ):
        read_measurement(file(text))


def test_intensities_that_are_nowhere_positive_are_refused(file, rows, profile):
    for y in (-profile.y, np.log10(profile.y / profile.y.max())):
        with pytest.raises(XtinctError, match=r"no intensity is above zero \(-"):
            read_measurement(file(rows(profile.x, y)))


@pytest.mark.parametrize("scale", [1.0, 0.5, 1 / 1.7, 1 / 300, 100 / 3000])
def test_counts_and_what_is_in_proportion_to_them_are_read(file, rows, profile, scale):
    """Whole numbers have whole squares, as have counts of which an attenuator broke a few."""
    intensity = scale * np.random.default_rng(1).poisson(profile.y)
    intensity[np.argsort(profile.y)[-9:]] *= 1.371853
    found = read_measurement(file(rows(profile.x, intensity, form="{:.6f}")))
    np.testing.assert_allclose(found.intensity, intensity, atol=1e-6)


def test_intensities_without_angles_are_said(file):
    with pytest.raises(XtinctError, match=r"one column of numbers that reach 5000, which are no angles"):
        read_measurement(file("\n".join(str(x) for x in range(4000, 5001))))


@pytest.mark.parametrize("form", ["{:.0f}", "{:.1f}"])
def test_counts_of_three_digits_beside_decimal_commas_are_no_thousands(same, rows, profile, form):
    """ "10,02 153" holds two numbers: not 10, and 02153 with a blank among its thousands."""
    kept, profile.y = profile.y, np.clip(profile.y + 100, 100, 999)
    try:
        same(
            "".join(
                f"{x:.2f} {form.format(y)}\n".replace(".", ",")
                for x, y in zip(profile.x, profile.y, strict=True)
            )
        )
    finally:
        profile.y = kept


@pytest.mark.parametrize(
    "header",
    [
        "# d-spacing range: 8.8 - 1.5\n",
        "# Dwell: 500 microsec\n",
        "# Energy resolution (keV): 0.3\n",
        "# Q range = 0.7 - 3.1 1/A\n",
    ],
)
def test_a_setting_in_the_header_is_no_name_of_an_axis(same, rows, profile, header):
    found = same(header + rows(profile.x, profile.y), wavelength=WAVELENGTH)
    assert "the file does not name its axis: positions were taken as 2theta in degrees" in found.notes


@pytest.mark.parametrize(
    ("header", "wavelength"),
    [
        ("# Energy (keV): 25.0\n", 12.398419843 / 25),
        ("# Beam energy [eV] = 25000\n", 12.398419843 / 25),
        ("# Wavelength (nm): 0.0826\n", 0.826),
        ("# wavelength_nm = 0.0826\n", 0.826),
        ("# Wavelength [pm]: 82.6\n", 0.826),
        ("# Wavelength [m]: 8.26e-11\n", 0.826),
    ],
)
def test_a_unit_may_stand_before_its_number(same, rows, profile, header, wavelength):
    found = same(header + rows(profile.x, profile.y))
    assert found.radiation.wavelength == pytest.approx(wavelength, rel=1e-9)


@pytest.mark.parametrize("header", ["# Cu Ka 1.5418\n", "# CuKa1,2\n", "# Cu Ka1+Ka2\n", "# CuKa12\n"])
def test_the_first_digit_of_a_wavelength_is_no_alpha_1(same, rows, profile, header):
    assert same(header + rows(profile.x, profile.y)).radiation.second == pytest.approx(1.5444274)


def test_of_measured_and_calculated_intensities_the_measured_are_taken(same, rows, profile):
    ones = np.ones(profile.n)
    for names in ("2theta,I_calc,I_obs", "2theta,I(calc),I(obs)", "2theta,Intensity fit,Intensity"):
        found = same(f"{names}\n" + rows(profile.x, ones, profile.y, separator=","), "a.csv")
        assert f"columns not used: {names.split(',')[1]}" in found.notes


def test_the_column_of_the_axis_that_is_told_is_taken(file, profile):
    """A file with both 2theta and d has the one that is told; the other is not read under its name."""
    d = profile.d[::-60]
    angles = 2 * np.degrees(np.arcsin(WAVELENGTH / (2 * d)))
    table = "".join(f"{a:.5f} {b:.6f} 100\n" for a, b in zip(angles, d, strict=True))
    for header in ("# 2theta d I\n", ""):
        for axis in ("2theta", "d"):
            found = read_peaks(file(header + table), axis=axis, wavelength=WAVELENGTH)
            np.testing.assert_allclose(found.d, np.sort(d)[::-1], rtol=2e-6)
            assert not any("was told and taken" in note for note in found.notes)


@pytest.mark.parametrize("header", ["# 2theta I\n", ""])
@pytest.mark.parametrize(
    ("first", "axis", "words"),
    [
        (10.0, "d", "show no spacing below 10 angstrom"),
        (2.0, "d", "at even steps"),
        (10.0, "q", r"reach d = 0\.0\d+ angstrom"),
        (10.0, "1/d", r"reach d = 0\.0\d+ angstrom"),
    ],
)
def test_a_told_axis_that_the_positions_cannot_have_is_refused(file, rows, header, first, axis, words):
    angles = np.arange(first, 90, 0.02)
    path = file(header + rows(angles, 100 + np.arange(len(angles)) % 7))
    with pytest.raises(XtinctError, match=f"told as {axis}, .*{words}.*tell another axis") as refused:
        read_measurement(path, axis=axis)
    assert ("the file says 2theta" in str(refused.value)) == bool(header)


def test_a_list_of_angles_is_no_list_of_spacings_and_long_spacings_are(file):
    with pytest.raises(XtinctError, match=r"told as d, but the positions 10\.1 to 54\.9"):
        read_peaks(file("10.1 50\n22.2 100\n31.7 80\n54.9 20\n"), axis="d")
    long = read_peaks(file("45.2 100\n22.6 50\n15.1 20\n11.3 9\n"), axis="d")
    np.testing.assert_allclose(long.d, [45.2, 22.6, 15.1, 11.3])


@pytest.mark.parametrize(
    "names", ["2Theta,Counts,Time(s)", "2theta,counts,step time,comment", "Angle,TimePerStep,Intensity,ESD"]
)
def test_counts_of_varying_times_are_brought_to_one(file, profile, names):
    """Times grow at high angles; the lines there are as high as if they had not."""
    times = np.where(profile.x > 40, 8.0, 2.0)
    counts = profile.y * times / 2
    width = names.count(",") + 1
    columns = (profile.x, counts, times, 0 * times)
    if names.startswith("Angle"):
        columns = (profile.x, times, counts, np.sqrt(counts))
    table = zip(*columns[:width], strict=True)
    text = f"{names}\n" + "".join(",".join(f"{v:.8g}" for v in row) + "\n" for row in table)
    found = read_measurement(file(text, "a.csv"))
    np.testing.assert_allclose(found.intensity, profile.y)
    np.testing.assert_allclose(found.sigma, np.sqrt(counts) * 2 / times, rtol=1e-6)
    assert "counts were divided by their counting times (2 to 8)" in found.notes


def test_a_time_of_day_and_one_time_for_all_divide_nothing(same, profile, rows):
    for times in (0.5 * np.arange(1, profile.n + 1), np.full(profile.n, 2.0)):
        found = same("2theta counts time\n" + rows(profile.x, profile.y, times))
        assert "columns not used: time" in found.notes


def test_uncertainties_may_stand_before_the_intensities(same, rows, profile):
    found = same("# 2theta sigma I\n" + rows(profile.x, np.sqrt(profile.y), profile.y))
    np.testing.assert_allclose(found.sigma, np.sqrt(profile.y), atol=1e-4)


@pytest.mark.parametrize(
    ("header", "wavelength", "second"),
    [
        ("# Mo Kalpha1 Ge(111) monochromator lambda = 0.70930", 0.7093, None),
        ("# Cu K-alpha1, slit 10 mm, wavelength 1.54056", 1.54056, None),
    ],
)
def test_a_number_that_is_no_wavelength_hides_none(same, rows, profile, header, wavelength, second):
    found = same(f"{header}\n" + rows(profile.x, profile.y))
    assert found.radiation.wavelength == pytest.approx(wavelength, rel=1e-5)
    assert found.radiation.second is second


def test_even_steps_in_d_that_the_file_names_are_read(file, rows):
    d = np.arange(0.6, 12.0, 0.002)
    path = file("# d(A) I\n" + rows(d, 100 + np.arange(len(d)) % 7))
    assert len(read_measurement(path, axis="d").two_theta) == len(d)


def test_a_told_axis_keeps_the_unit_that_the_file_says(file, profile):
    d = profile.d[::60]
    text = "# d (nm) I\n" + "".join(f"{x / 10:.7f} 100\n" for x in d)
    np.testing.assert_allclose(read_peaks(file(text), axis="d").d, d, rtol=1e-5)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_three_decimals_beside_thousands_are_no_thousands(same, profile, separator):
    kept, profile.y = profile.y, 1000 + profile.y
    try:
        rows = (f"{x:.3f}{separator}{y:,.0f}\n" for x, y in zip(profile.x, profile.y, strict=True))
        same("".join(rows))
    finally:
        profile.y = kept
