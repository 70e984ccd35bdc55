"""A number that is no wavelength in angstrom is refused with the unit that it looks like."""

import resource

import numpy as np
import pytest

import xtinct
from xtinct.ceiling.measured_lines import MeasurementModel
from xtinct.errors import XtinctError
from xtinct.patterns.instrument import Instrument
from xtinct.radiation.anodes import TUBES
from xtinct.radiation.wavelength import check_wavelength

#: Energies of K-alpha1, eV: X-ray Data Booklet (2009), table 1-2.
ENERGIES = {"Cr": 5414.72, "Fe": 6403.84, "Co": 6930.32, "Ni": 7478.15, "Cu": 8047.78, "Mo": 17479.34}


@pytest.mark.parametrize("element", ENERGIES)
def test_lines_of_tubes_in_other_units_are_recognised(element):
    angstrom, energy = TUBES[element][0], ENERGIES[element]
    check_wavelength("wavelength", angstrom, 90.0)
    for value, unit in (
        (angstrom / 10, "nm"),
        (energy / 1000, "keV"),
        (energy, "eV"),
        (angstrom * 100, "pm"),
        (angstrom * 1e-10, "m"),
    ):
        with pytest.raises(XtinctError, match=rf"looks like {unit}: did you mean [\d.]+\?$") as refused:
            check_wavelength("wavelength", value, 90.0)
        assert float(str(refused.value).split()[-1].rstrip("?")) == pytest.approx(angstrom, rel=1e-4)


@pytest.mark.parametrize(
    ("wavelength", "two_theta_max"),
    [
        (0.1430, 25),  # 86.7 keV, a hard synchrotron beam
        (0.2073, 35),
        (0.15406, 20),  # 80.5 keV: the angles are those of so short a wavelength
        (0.41, 60),
        (1.59432, 165),  # neutrons
        (2.4, 160),
        (5.0, 120),
    ],
)
def test_wavelengths_that_are_used_are_accepted(wavelength, two_theta_max):
    check_wavelength("wavelength", wavelength, two_theta_max)


@pytest.mark.parametrize("wavelength", [0, -1.5, float("nan"), float("inf"), 1e9, 1e-20])
def test_what_is_no_wavelength_in_any_unit_is_refused_without_a_guess(wavelength):
    with pytest.raises(XtinctError, match=r"^wavelength: .*expected") as refused:
        check_wavelength("wavelength", wavelength, 90.0)
    assert "looks like" not in str(refused.value)


def test_a_neutron_wavelength_in_nanometres_is_seen_by_the_angles():
    with pytest.raises(XtinctError, match=r"no powder has; looks like nm: did you mean 1\.594\?"):
        check_wavelength("wavelength", 0.1594, 90.0)


def test_every_entrance_refuses_before_it_allocates():
    x = np.arange(5, 90, 0.02)
    y = np.exp(-(((x[:, None] - [30, 40, 50, 60]) / 0.1) ** 2)).sum(axis=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for call in (
        lambda: xtinct.predict((x, y), 0.15406, models="no such models"),
        lambda: xtinct.index((x, y), 0.15406),
        lambda: Instrument(0.15406, 5, 90, 8192, "lorentz", 0.2),
        lambda: Instrument(1.5406, 5, 90, 8192, "lorentz", 0.2, further_wavelengths=((0.15444, 0.5),)),
        lambda: Instrument.from_config(
            {
                "wavelength": 0.15406,
                "two_theta": {"min": 5, "max": 90, "points": 100},
                "lorentz": "lorentz",
                "fwhm": 1,
            }
        ),
        lambda: MeasurementModel(0.15406, 5.0, 90.0, width=0.1, threshold=0.0),
    ):
        with pytest.raises(XtinctError, match=r"looks like nm: did you mean 1\.54"):
            call()
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000
    )  # kB, of which torch is most
    with pytest.raises(XtinctError, match="expected at least 2 and at most 1000000"):
        Instrument(1.5406, 5, 90, 10**9, "lorentz", 0.2)
