"""Reading of measured powder patterns and peak lists, in every format that diffractometers write."""

from xtinct.measurements.reading import measurements_in, read_measurement, read_measurements, read_peaks
from xtinct.measurements.records import Measurement, PeakTable
from xtinct.radiation.anodes import ANODES
from xtinct.radiation.tubes import Radiation, radiation_of

__all__ = [
    "ANODES",
    "Measurement",
    "PeakTable",
    "Radiation",
    "measurements_in",
    "radiation_of",
    "read_measurement",
    "read_measurements",
    "read_peaks",
]
