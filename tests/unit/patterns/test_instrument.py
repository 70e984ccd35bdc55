"""The instrument: its grid, its identity and what it refuses."""

import json
import math

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.patterns.instrument import Instrument
from xtinct.radiation.anodes import TUBES

SETTINGS = {
    "wavelength": 1.5406,
    "two_theta": {"min": 5, "max": 90, "points": 8192},
    "lorentz": "lorentz",
    "fwhm": 0.23548,
}


def test_the_published_grid():
    instrument = Instrument.from_config(SETTINGS)
    np.testing.assert_array_equal(instrument.two_theta, np.linspace(5, 90, 8192))
    assert instrument.step == pytest.approx(85 / 8191)
    assert instrument.sigma == pytest.approx(0.1, rel=1e-5)


def test_identity_survives_a_round_trip_and_changes_with_every_field():
    instrument = Instrument.from_config(SETTINGS)
    assert Instrument(**instrument.to_dict()) == instrument
    changed = [
        Instrument.from_config({**SETTINGS, **change})
        for change in (
            {"wavelength": 1.5405},
            {"two_theta": {"min": 5, "max": 90, "points": 8191}},
            {"two_theta": {"min": 6, "max": 90, "points": 8192}},
            {"lorentz": "lorentz-polarisation"},
            {"fwhm": 0.2},
        )
    ]
    assert len({instrument.digest(), *(other.digest() for other in changed)}) == 6


def test_reach_includes_the_tail_of_lines_beyond_the_last_point():
    instrument = Instrument.from_config(SETTINGS)
    edge = 2 * math.sin(math.radians(45)) / 1.5406
    assert edge < instrument.d_star_reach < edge * 1.01
    instrument.check_reach(0.93)
    with pytest.raises(XtinctError, match=r"lines\.d_star_max: 0\.918"):
        instrument.check_reach(0.918)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wavelength": 0}, "wavelength"),
        ({"wavelength": float("nan")}, "wavelength"),
        ({"fwhm": -1}, "fwhm"),
        ({"two_theta": {"min": 90, "max": 5, "points": 10}}, "two_theta"),
        ({"two_theta": {"min": 5, "max": 180, "points": 10}}, "two_theta"),
        ({"two_theta": {"min": 5, "max": 90, "points": 1}}, "points"),
        ({"lorentz": "none"}, "lorentz"),
    ],
)
def test_impossible_instruments_are_refused(change, message):
    with pytest.raises(XtinctError, match=message):
        Instrument.from_config({**SETTINGS, **change})


#: Every key of the configuration, none at the value that switches it off.
FULL = {
    **SETTINGS,
    "wavelength": [[1.5405929, 2], [1.5444274, 1]],
    "lorentz": "lorentz-polarisation",
    "monochromator": 26.4,
    "profile": {"pseudo-voigt": {"eta": 0.4}},
    "fwhm": {"u": 0.02, "v": -0.01, "w": 0.01},
    "crystallite_size": 500,
    "zero_shift": 0.02,
    "displacement": -0.1,
    "goniometer_radius": 217.5,
    "background": {"chebyshev": [0.1, 0.02], "humps": [{"height": 0.2, "two_theta": 22, "fwhm": 9}]},
    "impurities": [[0.42, 0.05]],
    "counts": 10000,
}
#: The same instrument with one thing changed at a time.
CHANGES = [
    {"wavelength": [[1.5405929, 2], [1.5444274, 0.9]]},
    {"wavelength": 1.5405929},
    {"monochromator": 0},
    {"profile": {"pseudo-voigt": {"eta": 0.5}}},
    {"profile": "lorentzian"},
    {"fwhm": {"u": 0.02, "v": -0.01, "w": 0.02}},
    {"crystallite_size": 0},
    {"zero_shift": 0},
    {"displacement": 0},
    {"goniometer_radius": 200},
    {"background": {"chebyshev": [], "humps": FULL["background"]["humps"]}},
    {"background": {"chebyshev": [0.1, 0.02], "humps": []}},
    {"impurities": []},
    {"counts": 0},
]


def test_every_key_is_part_of_the_identity_and_survives_json():
    full = Instrument.from_config(FULL)
    assert Instrument(**json.loads(json.dumps(full.to_dict()))) == full
    assert full.further_wavelengths == ((1.5444274, 0.5),)
    others = [Instrument.from_config({**FULL, **change}) for change in CHANGES]
    assert len({full.digest(), *(other.digest() for other in others)}) == len(CHANGES) + 1
    assert not any(other.plain for other in (full, *others))


def test_settings_from_before_there_were_more_are_the_plain_instrument():
    """Cards of older models hold four keys; today's default holds them all, switched off."""
    off = {
        "monochromator": 0,
        "profile": "gaussian",
        "crystallite_size": 0,
        "zero_shift": 0,
        "displacement": 0,
        "goniometer_radius": 200,
        "background": {"chebyshev": [], "humps": []},
        "impurities": [],
        "counts": 0,
    }
    plain = Instrument.from_config(SETTINGS)
    assert plain.plain
    assert Instrument.from_config({**SETTINGS, **off}) == plain
    assert plain.resolution == SETTINGS["fwhm"]


def test_named_tubes_are_the_wavelengths_of_other_programs():
    """pymatgen has five digits of another source (International Tables, 1983 edition)."""
    pymatgen = pytest.importorskip("pymatgen.analysis.diffraction.xrd").WAVELENGTHS
    for element, (first, second, _) in TUBES.items():
        if f"{element}Ka1" in pymatgen:
            assert first == pytest.approx(pymatgen[f"{element}Ka1"], rel=1.5e-4)
            assert second == pytest.approx(pymatgen[f"{element}Ka2"], rel=1.5e-4)
        only = Instrument.from_config({**SETTINGS, "wavelength": f"{element}Ka1"})
        assert (only.wavelength, only.further_wavelengths) == (first, ())


def test_reach_covers_the_shortest_wavelength_and_the_shifts():
    plain = Instrument.from_config(SETTINGS).d_star_reach
    short = Instrument.from_config({**SETTINGS, "wavelength": [[1.5406, 1], [1.3922, 0.1]]})
    assert short.d_star_reach == pytest.approx(plain * 1.5406 / 1.3922)
    assert Instrument.from_config({**SETTINGS, "zero_shift": -0.5}).d_star_reach > plain


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wavelength": "CuKb"}, "wavelength"),
        ({"wavelength": [[1.54, 0]]}, "wavelength"),
        ({"monochromator": 26.4}, "monochromator: needs lorentz-polarisation|needs lorentz"),
        ({"profile": "triangular"}, "profile"),
        ({"profile": {"pseudo-voigt": {"eta": 1.2}}}, "eta"),
        ({"fwhm": 0}, "fwhm"),
        ({"fwhm": {"u": 0.0, "v": -1.0, "w": 0.1}}, "give no width"),
        ({"crystallite_size": -5}, "crystallite_size"),
        ({"goniometer_radius": 0}, "goniometer_radius"),
        ({"counts": float("inf")}, "counts"),
        ({"zero_shift": float("nan")}, "zero_shift"),
        ({"impurities": [[0.3, -1]]}, "impurities"),
    ],
)
def test_impossible_settings_of_the_further_keys_are_refused(change, message):
    with pytest.raises(XtinctError, match=message):
        Instrument.from_config({**SETTINGS, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wavelength": "CuKa"}, "wavelength: 'CuKa', expected a number; Instrument.from_config takes names"),
        ({"wavelength": (1.5406, 1.5444)}, "wavelength: .1.5406, 1.5444., expected a number"),
        ({"points": 4001.0}, "points: 4001.0, expected a whole number"),
        ({"fwhm": "0.1"}, "fwhm: '0.1', expected a number or three"),
        ({"fwhm": [0.1, 0.2]}, "fwhm: .0.1, 0.2., expected a number or three"),
        ({"further_wavelengths": (1.5444, 0.5)}, "further_wavelengths: .*expected pairs"),
        ({"humps": [(0.1, 20)]}, "humps: .*expected threes"),
        ({"impurities": 0.3}, "impurities: 0.3, expected pairs"),
        ({"background": 0.1}, "background: 0.1, expected numbers"),
        ({"zero_shift": None}, "zero_shift: None, expected a number"),
    ],
)
def test_what_is_no_number_is_refused_by_name(change, message):
    """A notebook makes the object itself, and a name is what `xtinct.lines` takes."""
    given = Instrument.from_config(SETTINGS).to_dict()
    with pytest.raises(XtinctError, match=message):
        Instrument(**{**given, **change})


def test_arrays_and_numbers_of_numpy_make_the_same_instrument():
    given = {**Instrument.from_config(SETTINGS).to_dict(), "fwhm": (0.02, -0.01, 0.01)}
    arrays = {key: np.array(value)[()] for key, value in given.items() if not isinstance(value, str)}
    arrays["impurities"] = ()
    arrays["humps"] = arrays["further_wavelengths"] = arrays["impurities"]
    found = Instrument(**{**given, **arrays})
    assert found == Instrument(**given)
    assert found.digest() == Instrument(**given).digest()
