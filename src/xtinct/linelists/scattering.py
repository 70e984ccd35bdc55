"""What one atom scatters, tabulated over (sin theta / lambda)^2 for the compiled kernels."""

import functools
import math
from pathlib import Path

import numpy as np
import pyarrow as pa

from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.files.parquet import read_table

RADIATIONS = ("xray", "neutron")

#: Elements of the table; atomic numbers are its rows.
N_ELEMENTS = 118
#: Hydrogen isotopes with rows of their own, after the elements, and their bound coherent scattering
#: lengths, fm (Sears, Neutron News 3(3), 26-37, 1992). They scatter X-rays as hydrogen does.
ISOTOPES = {"D": (119, 6.671), "T": (120, 4.792)}
#: Rows of the table of amplitudes, row 0 unused.
N_SCATTERERS = N_ELEMENTS + len(ISOTOPES) + 1

#: The packaged table, made by `xtinct.linelists.gemmi_tables`; null where there is no entry.
TABLE = Path(__file__).parent / "data" / "scattering.parquet"
COLUMNS = pa.schema(
    [
        pa.field("atomic_number", pa.int16()),
        # f(s) = sum of a exp(-b s^2) + c, neutral atoms, electrons (ITC vol. C 1992, table 6.1.1.4)
        pa.field("xray_a", pa.list_(pa.float64())),
        pa.field("xray_b", pa.list_(pa.float64())),
        pa.field("xray_c", pa.float64()),
        # bound coherent scattering length, real part, fm (Neutron News 3(3), 26-37, 1992)
        pa.field("neutron_length", pa.float64()),
    ]
)

#: Largest distance of table points in s^2 = (sin theta / lambda)^2, 1/angstrom^2. A cubic between
#: them is within 1e-7 electrons of the steepest form factor (potassium, b = 213 angstrom^2).
_STEP = 4e-4


@functools.lru_cache(maxsize=4)
def scattering_table(radiation: str, d_star_max: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Amplitudes of every element and isotope up to `d_star_max` (1/angstrom).

    Returns the coefficients float64 (121, intervals, 4) of one cubic per scatterer (see
    `scatterer_number`) and interval of s^2, whether it has an entry bool (121,), and the width of an
    interval. Row 0 is unused.

    xray     form factors of neutral atoms, electrons
    neutron  bound coherent scattering lengths, fm, real part, independent of angle
    """
    if radiation not in RADIATIONS:
        raise XtinctError(f"lines.radiation: {radiation!r}, expected one of {', '.join(RADIATIONS)}")
    s2_max = 0.25 * d_star_max**2 * (1 + 1e-9)
    intervals = max(1, math.ceil(s2_max / _STEP))
    width = s2_max / intervals
    s2 = np.arange(intervals + 1) * width
    table = np.zeros((N_SCATTERERS, intervals, 4))
    known = np.zeros(N_SCATTERERS, dtype=bool)
    for row in read_table(TABLE).to_pylist():
        z = row["atomic_number"]
        if radiation == "neutron" and row["neutron_length"] is not None:
            known[z] = True
            table[z, :, 0] = row["neutron_length"]
        elif radiation == "xray" and row["xray_c"] is not None:
            known[z] = True
            a, b, c = np.array(row["xray_a"]), np.array(row["xray_b"]), row["xray_c"]
            terms = a[:, None] * np.exp(-b[:, None] * s2)
            table[z] = hermite(c + terms.sum(axis=0), -(b[:, None] * terms).sum(axis=0) * width)
    for number, length in ISOTOPES.values():
        known[number] = True
        table[number] = table[1]
        if radiation == "neutron":
            table[number, :, 0] = length
    table.flags.writeable = known.flags.writeable = False
    return table, known, width


def scatterer_number(symbol: str, atomic_number: int) -> int:
    """Row of an atom in the table of amplitudes: the atomic number, or that of D and T among ISOTOPES."""
    return ISOTOPES[symbol][0] if symbol in ISOTOPES else atomic_number


def hermite(values: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Coefficients (n, 4) of the cubics through n + 1 values with the given slopes per interval."""
    y0, y1, m0, m1 = values[:-1], values[1:], slopes[:-1], slopes[1:]
    return np.stack([y0, m0, 3 * (y1 - y0) - 2 * m0 - m1, 2 * (y0 - y1) + m0 + m1], axis=1)


@njit(cache=True, inline="always")
def amplitude(cubics, s2, width):
    """Amplitude at `s2` from the cubics float64 (intervals, 4) of one element."""
    x = s2 / width
    i = min(cubics.shape[0] - 1, int(x))
    t = x - i
    return cubics[i, 0] + t * (cubics[i, 1] + t * (cubics[i, 2] + t * cubics[i, 3]))
