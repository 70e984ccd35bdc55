"""The scattering table, taken from gemmi: form factors and neutron scattering lengths.

Run once (`python -m xtinct.linelists.gemmi_tables`); the table is packaged, so that training can compute
structure factors where gemmi is not installed.
"""

import functools
from pathlib import Path

import gemmi
import numpy as np
import pyarrow as pa

from xtinct.files.parquet import write_parquet
from xtinct.linelists.scattering import COLUMNS, N_ELEMENTS, N_SCATTERERS, TABLE
from xtinct.radiation.wavelength import check_wavelength

#: Heaviest element of the tables of Cromer and Liberman.
LAST_DISPERSIVE = 92


def scattering_rows() -> list[dict[str, object]]:
    """One row per element, atomic numbers 1 to 118, with the COLUMNS of the packaged table."""
    rows = []
    for z in range(1, N_ELEMENTS + 1):
        element = gemmi.Element(z)
        factor = element.it92
        length = element.neutron92.get_coefs()[0]
        rows.append(
            {
                "atomic_number": z,
                "xray_a": None if factor is None else list(factor.a),
                "xray_b": None if factor is None else list(factor.b),
                "xray_c": None if factor is None else factor.c,
                # gemmi has 0 where nothing was measured.
                "neutron_length": length or None,
            }
        )
    return rows


def write_scattering_table(path: str | Path = TABLE) -> None:
    """Write the table to `path`."""
    write_parquet(path, [pa.Table.from_pylist(scattering_rows(), schema=COLUMNS)], COLUMNS)


@functools.lru_cache(maxsize=8)
def dispersion(wavelength: float) -> np.ndarray:
    """Anomalous dispersion float64 (121, 2): f' and f'' of each atomic number, electrons; none for isotopes.

    wavelength in angstrom. Cromer and Liberman (Acta Cryst. A37, 267-268, 1981) as gemmi computes them, with
    the correction of Kissel and Pratt; for atomic numbers 3 to 92. Lighter elements have none to speak of;
    those beyond have no entry and get 0, as in every program built on these tables.
    """
    check_wavelength("lines.anomalous", wavelength)
    table = np.zeros((N_SCATTERERS, 2))
    for z in range(3, LAST_DISPERSIVE + 1):
        table[z] = gemmi.cromer_liberman(z, gemmi.hc / wavelength)
    table.flags.writeable = False
    return table


if __name__ == "__main__":
    write_scattering_table()
