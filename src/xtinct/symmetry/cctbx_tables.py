"""The symmetry tables, computed by cctbx: operations, reflection conditions, Wyckoff positions.

Run in a process of its own (`python -m xtinct.symmetry.cctbx_tables FOLDER`): cctbx crashes a
process that imported numba, gemmi or torch before it.
"""

import sys
from pathlib import Path

from cctbx import sgtbx  # before anything compiled

# isort: split
import numpy as np
import pyarrow as pa

from xtinct.errors import XtinctError
from xtinct.files import schema
from xtinct.files.parquet import read_table, write_parquet
from xtinct.symmetry.families import CRYSTAL_SYSTEMS, MONOCLINIC, N_SPACE_GROUPS, ORTHORHOMBIC
from xtinct.symmetry.operations import DATA
from xtinct.symmetry.reflection_conditions import DENOMINATOR, reflection_conditions

#: Tables written by `write_tables`, one Parquet file each.
TABLES = ("operations", "reflection_conditions", "wyckoff")

#: Systems whose non-standard settings are tabulated: there the axes have no order of their own.
_PERMUTABLE = (MONOCLINIC, ORTHORHOMBIC)


def _settings() -> list[tuple[int, str, bool, sgtbx.space_group]]:
    """(number, Hermann-Mauguin symbol, is it the standard setting, group) in order of number."""
    settings = []
    for number in range(1, N_SPACE_GROUPS + 1):
        symbols = sgtbx.space_group_symbols(number)
        settings.append((number, symbols.hermann_mauguin(), True, sgtbx.space_group(symbols)))
    standard = {symbol for _, symbol, _, _ in settings}
    first = CRYSTAL_SYSTEMS[_PERMUTABLE[0]][0]
    last = CRYSTAL_SYSTEMS[_PERMUTABLE[-1]][1]
    for symbols in sgtbx.space_group_symbol_iterator():
        symbol = symbols.hermann_mauguin()
        # The origin choice shifts no absence: one row per orientation of the axes.
        if first <= symbols.number() <= last and symbol not in standard and symbols.extension() != "1":
            settings.append((symbols.number(), symbol, False, sgtbx.space_group(symbols)))
    return sorted(settings, key=lambda setting: (setting[0], not setting[2], setting[1]))


def _in_24ths(values: tuple[float, ...]) -> list[int]:
    scaled = [round(value * DENOMINATOR) for value in values]
    if any(abs(value * DENOMINATOR - exact) > 1e-9 for value, exact in zip(values, scaled, strict=True)):
        raise ValueError(f"{values} are no multiples of 1/{DENOMINATOR}")
    return scaled


def _operations(group: sgtbx.space_group) -> tuple[np.ndarray, np.ndarray]:
    """Rotations int8 (n, 3, 3) and translations int8 (n, 3) in 24ths, within the cell."""
    operations = list(group.all_ops(1))
    rotations = np.array([[round(v) for v in op.r().as_double()] for op in operations], dtype=np.int8)
    translations = np.array([_in_24ths(op.t().as_double()) for op in operations], dtype=np.int8)
    return rotations.reshape(-1, 3, 3), translations % DENOMINATOR


def tables() -> dict[str, pa.Table]:
    """The three tables (schema.OPERATIONS, REFLECTION_CONDITIONS, WYCKOFF)."""
    operation_rows, condition_rows = [], []
    for number, symbol, standard, group in _settings():
        key = {"spacegroup_number": number, "setting": symbol, "standard": standard}
        rotations, translations = _operations(group)
        operation_rows.append(
            key
            | {
                "centring": group.conventional_centring_type_symbol(),
                "point_group": group.point_group_type(),
                "laue_class": group.laue_group_type(),
                "rotations": rotations.ravel(),
                "translations": translations.ravel(),
            }
        )
        condition_rows += [
            key
            | {
                "zone": condition.zone,
                "condition": condition.condition,
                "representative": condition.representative,
                "zone_equations": [e for equation in condition.equations for e in equation],
                "phase": condition.phase,
            }
            for condition in reflection_conditions(rotations, translations)
        ]
    return {
        "operations": pa.Table.from_pylist(operation_rows, schema=schema.OPERATIONS),
        "reflection_conditions": pa.Table.from_pylist(condition_rows, schema=schema.REFLECTION_CONDITIONS),
        "wyckoff": pa.Table.from_pylist(_wyckoff_rows(), schema=schema.WYCKOFF),
    }


def _wyckoff_rows() -> list[dict]:
    rows = []
    for number in range(1, N_SPACE_GROUPS + 1):
        info = sgtbx.space_group_info(number=number)
        table = sgtbx.wyckoff_table(info.type())
        for index in reversed(range(table.size())):  # cctbx lists the general position first
            position = table.position(index)
            operations = list(position.unique_ops(info.group()))
            rotations = np.array([_in_24ths(op.r().as_double()) for op in operations], dtype=np.int16)
            rows.append(
                {
                    "spacegroup_number": number,
                    "letter": position.letter().replace("@", "A"),
                    "multiplicity": position.multiplicity(),
                    "site_symmetry": position.point_group_type(),
                    "freedom": int(np.linalg.matrix_rank(rotations[0].reshape(3, 3))),
                    "rotations": rotations.ravel(),
                    "translations": [t for op in operations for t in _in_24ths(op.t().as_double())],
                }
            )
    return rows


def write_tables(folder: str | Path) -> None:
    """Write operations.parquet, reflection_conditions.parquet and wyckoff.parquet into `folder`."""
    for name, table in tables().items():
        write_parquet(Path(folder) / f"{name}.parquet", [table], table.schema)


def check_packaged(folder: str | Path) -> None:
    """Hold the tables in `folder` against those that the library reads; XtinctError where one differs."""
    for name in TABLES:
        made = Path(folder) / f"{name}.parquet"
        if not read_table(made).equals(read_table(DATA / made.name)):
            raise XtinctError(
                f"{made}: cctbx computes other rows than the library has; if they are right, "
                f"`python -m xtinct.symmetry.cctbx_tables {DATA}` puts them there"
            )


if __name__ == "__main__":
    write_tables(sys.argv[1])
