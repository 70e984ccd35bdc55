import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.measurements import Radiation, radiation_of
from xtinct.radiation.anodes import ANODES, HC, TUBES


@pytest.mark.parametrize(
    ("anode", "energies"),
    # Deslattes et al. (2003), Rev. Mod. Phys. 75, 35, table of experimental values: K-L3, K-L2, K-M3, keV.
    [
        ("Cr", (5.414804, 5.405538, 5.946823)),
        ("Fe", (6.404006, 6.391026, 7.058175)),
        ("Co", (6.930378, 6.915538, 7.649446)),
        ("Ni", (7.478252, 7.461034, 8.264775)),
        ("Cu", (8.047823, 8.027842, 8.905413)),
        ("Mo", (17.479372, 17.37429, 19.60834)),
        ("Ag", (22.162917, 21.990307, 24.942427)),
    ],
)
def test_lines_are_those_of_the_tables(anode, energies):
    np.testing.assert_allclose(TUBES[anode], HC / np.array(energies), rtol=2e-5)


@pytest.mark.parametrize(
    ("told", "first", "second", "anode"),
    [
        (1.5418, 1.5405929, 1.5444274, "Cu"),
        (1.54184, 1.5405929, 1.5444274, "Cu"),
        (1.5419, 1.5405929, 1.5444274, "Cu"),
        (1.542, 1.5405929, 1.5444274, "Cu"),
        (1.54178, 1.5405929, 1.5444274, "Cu"),
        (1.5406, 1.5406, None, "Cu"),
        (1.54056, 1.54056, None, "Cu"),
        (1.540593, 1.540593, None, "Cu"),
        (1.54059, 1.54059, None, "Cu"),
        (0.71073, 0.70931715, 0.713607, "Mo"),
        (0.7107, 0.70931715, 0.713607, "Mo"),
        (0.70932, 0.70932, None, "Mo"),
        (1.7903, 1.788996, 1.792835, "Co"),
        (1.78897, 1.78897, None, "Co"),
        (1.9373, 1.936041, 1.939973, "Fe"),
        (2.291, 2.289726, 2.293651, "Cr"),
        (0.56087, 0.5594218, 0.5638131, "Ag"),
        (0.4137, 0.4137, None, None),
        (1.494, 1.494, None, None),
        (1.5403, 1.5403, None, None),
        ("Cu", 1.5405929, 1.5444274, "Cu"),
        ("CuKa", 1.5405929, 1.5444274, "Cu"),
        ("Cu K-alpha", 1.5405929, 1.5444274, "Cu"),
        ("Cu Kα", 1.5405929, 1.5444274, "Cu"),
        ("cu", 1.5405929, 1.5444274, "Cu"),
        ("MoKa", 0.70931715, 0.713607, "Mo"),
        ("CuKa1", 1.5405929, None, "Cu"),
        ("Cu Kα1", 1.5405929, None, "Cu"),
        ("CoKb", 1.620826, None, "Co"),
        ("1.5406", 1.5406, None, "Cu"),
        ("0.15406 nm", 1.5406, None, "Cu"),
        ("1.54056 1.54439", 1.54056, 1.54439, "Cu"),
        ((1.5406, 1.5444), 1.5406, 1.5444, "Cu"),
        (np.array([1.5406, 1.5444]), 1.5406, 1.5444, "Cu"),
        ((1.5406, 1.5406), 1.5406, None, "Cu"),
        ((1.494,), 1.494, None, None),
    ],
)
def test_what_is_told(told, first, second, anode):
    found = radiation_of(told)
    assert found.wavelength == pytest.approx(first, abs=1e-7)
    assert found.second == (None if second is None else pytest.approx(second, abs=1e-7))
    assert found.anode == anode
    assert found.ratio == (0.0 if second is None else 0.5)


def test_a_mean_is_said_to_be_taken_as_the_doublet():
    found = radiation_of(1.5418)
    assert found.note == "1.5418 is the mean of the Cu K-alpha doublet and was taken as the doublet"
    assert found.mean == pytest.approx(1.5418, abs=1e-4)
    assert radiation_of(1.5406).note is None
    assert radiation_of(1.5418, ratio=0) == Radiation(1.5418)


def test_the_mean_is_weighted_by_intensity():
    assert radiation_of("Cu").mean == pytest.approx((2 * 1.5405929 + 1.5444274) / 3, abs=1e-9)
    assert radiation_of((1.5, 1.51), ratio=1.0).mean == pytest.approx(1.505)
    assert radiation_of(0.7).mean == 0.7
    assert radiation_of("Cu", ratio=0.48).ratio == 0.48
    both = radiation_of(1.5406, ratio=0.5)
    assert both.second == pytest.approx(1.54443, abs=1e-5)
    assert radiation_of(both) is both


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (0.15406, "nm: did you mean 1.5406?"),
        (0.15418, "nm: did you mean 1.5418?"),
        (0.0710747, "nm: did you mean 0.71075?"),
        (0.1789, "nm: did you mean 1.789?"),
        (8.047, "keV: did you mean 1.54"),
        (17.48, "keV: did you mean 0.7092"),
        (60, "keV: did you mean 0.2066"),
        (5.4147, "keV: did you mean 2.289"),
        (154.06, "pm: did you mean 1.5406"),
        (71.07, "pm: did you mean 0.7107"),
        (1.5406e-10, "m: did you mean 1.5406"),
        (15406, "expected 0.05 to 6.2"),
        (0, "positive number"),
        (-1.54, "positive number"),
        (float("nan"), "positive number"),
        (float("inf"), "positive number"),
        (0.01, "expected 0.05 to 6.2"),
        ("Xx", "'Xx'"),
        ("", "radiation"),
        ("CuKa3", "'CuKa3'"),
        ((1.5444, 1.5406), "no K-alpha1 and K-alpha2"),
        ((1.54, 1.79), "no K-alpha1 and K-alpha2"),
        ((1.5, 1.51, 0.5), "3 wavelengths"),
        ((), "0 wavelengths"),
    ],
)
def test_what_is_no_wavelength_is_refused_with_the_likely_one(told, words):
    with pytest.raises(XtinctError, match=r"^(wavelength|radiation)") as raised:
        radiation_of(told)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_ratio_needs_two_wavelengths():
    with pytest.raises(XtinctError, match="needs two wavelengths"):
        radiation_of(0.7, ratio=0.5)
    with pytest.raises(XtinctError, match="expected 0 to 2"):
        radiation_of(1.5406, ratio=50)


def test_nickel_in_a_header_is_the_filter():
    assert "Ni" not in ANODES
    with pytest.raises(XtinctError, match="'NiKa'"):
        radiation_of("NiKa")


def test_a_comma_in_place_of_the_decimal_point_is_said():
    with pytest.raises(XtinctError, match=r"decimals have a point, 1\.5406;"):
        radiation_of("1,5406")
    with pytest.raises(XtinctError, match=r"decimals have a point, 0\.7;"):
        radiation_of("0,7")
    assert radiation_of("1.54059,1.54443").second == 1.54443
