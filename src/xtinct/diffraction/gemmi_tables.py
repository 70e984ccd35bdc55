"""The scattering table, taken from gemmi: form factors and neutron scattering lengths.

Run once (`python -m xtinct.diffraction.gemmi_tables`); the table is packaged, so that training can compute
structure factors where gemmi is not installed.
"""

from pathlib import Path

import gemmi
import pyarrow as pa

from xtinct.diffraction.scattering import COLUMNS, N_ELEMENTS, TABLE
from xtinct.parquet import write_parquet


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


if __name__ == "__main__":
    write_scattering_table()
