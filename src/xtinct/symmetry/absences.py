"""Systematic absences, looked up in the packaged table of reflection conditions."""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from xtinct.errors import XtinctError
from xtinct.files.parquet import read_table
from xtinct.symmetry.operations import DATA, find_setting, hermann_mauguin
from xtinct.symmetry.reflection_conditions import DENOMINATOR, Condition


@lru_cache(maxsize=1)
def _conditions() -> dict[tuple[int, str], tuple[Condition, ...]]:
    table: dict[tuple[int, str], list[Condition]] = {}
    for row in read_table(DATA / "reflection_conditions.parquet").to_pylist():
        equations = row["zone_equations"]
        condition = Condition(
            zone=row["zone"],
            condition=row["condition"],
            equations=tuple(tuple(equations[i : i + 3]) for i in range(0, len(equations), 3)),
            phase=tuple(row["phase"]),
            representative=row["representative"],
        )
        table.setdefault((row["spacegroup_number"], row["setting"]), []).append(condition)
    return {key: tuple(conditions) for key, conditions in table.items()}


def conditions(number: int, setting: str | None = None) -> tuple[Condition, ...]:
    """Independent reflection conditions of a space group, zones from hkl to rows.

    `setting` is a Hermann-Mauguin symbol; None means the standard setting. Equivalent zones are all
    listed; the first of them has `representative` set.
    """
    symbol = hermann_mauguin(number) if setting is None else find_setting(number, setting).symbol
    return _conditions().get((int(number), symbol), ())


def absent(number: int, hkl: np.ndarray, setting: str | None = None) -> np.ndarray:
    """Which reflections `hkl` int (n, 3) are systematically absent in a space group: bool (n,)."""
    return absent_under(conditions(number, setting), hkl)


def absent_under(given: Iterable[Condition], hkl: np.ndarray) -> np.ndarray:
    """Which reflections `hkl` int (n, 3) violate one of the conditions: bool (n,)."""
    hkl = np.asarray(hkl)
    if hkl.ndim != 2 or hkl.shape[1] != 3:
        raise XtinctError(f"hkl has shape {hkl.shape}; expected (n, 3)")
    hkl = hkl.astype(np.int64, copy=False)
    result = np.zeros(len(hkl), dtype=bool)
    for condition in given:
        violated = hkl @ np.array(condition.phase, dtype=np.int64) % DENOMINATOR != 0
        for equation in condition.equations:
            violated &= hkl @ np.array(equation, dtype=np.int64) == 0
        result |= violated
    return result
