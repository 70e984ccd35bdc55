"""Labels of measured patterns: from rows of a table, from the blocks of a CIF, from the header of a text."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xtinct.auditing.pattern_sets import PatternLabel
from xtinct.errors import XtinctError
from xtinct.files.schema import CELL
from xtinct.structures.groups import metric_tensor, settings_named, settings_numbered
from xtinct.symmetry.families import CRYSTAL_SYSTEMS, N_SPACE_GROUPS

#: Columns of a table of labels that describe the crystal.
LABEL_COLUMNS = ("spacegroup", "crystal_system", *CELL, "formula", "n_phases", "label")
_CIF_GROUPS = (
    "_space_group_it_number",
    "_symmetry_int_tables_number",
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
)
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?")


def label_of_row(row: Mapping[str, Any], source: str) -> PatternLabel:
    """The label in a row of a table with some of LABEL_COLUMNS; empty values say nothing.

    XtinctError naming the column and the value that is none.
    """
    number, names = None, []
    if (given := row.get("spacegroup")) not in (None, ""):
        names = [str(int(given)) if isinstance(given, float) and given.is_integer() else str(given)]
        number = _number_of(names)
        if number is None:
            raise XtinctError(f"spacegroup {given!r}: expected a number from 1 to 230 or a symbol")
    system = str(row.get("crystal_system") or "").strip().lower() or None
    if system is not None and system not in CRYSTAL_SYSTEMS:
        raise XtinctError(f"crystal_system {system!r}: expected one of {', '.join(CRYSTAL_SYSTEMS)}")
    cell = np.array([_number(name, row.get(name)) for name in CELL])
    if 0 < np.isfinite(cell).sum() < len(cell):
        raise XtinctError(f"cell: expected all six of {', '.join(CELL)}, or none")
    phases = _number("n_phases", row.get("n_phases"))
    return PatternLabel(
        number,
        system,
        _standard_cell(number, names, cell) if np.isfinite(cell).all() else None,
        str(row.get("formula") or "").strip(),
        int(phases) if math.isfinite(phases) else None,
        str(row.get("label") or source),
    )


def label_of_cif(text: str) -> PatternLabel | None:
    """The label in a CIF with the pattern: space group, cell and formula of the one phase that it describes.

    None where no block has a cell. Of several phases the number alone is said.
    """
    import gemmi

    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError):
        return None
    phases = [block for block in document if block.find_value("_cell_length_a") is not None]
    if not phases:
        return None
    if len(phases) > 1:
        return PatternLabel(n_phases=len(phases), source="CIF of several phases")
    (block,) = phases
    tags = [f"_cell_length_{x}" for x in "abc"] + [f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma")]
    cell = np.array([gemmi.cif.as_number(block.find_value(tag) or "?") for tag in tags])
    values = {tag.lower(): gemmi.cif.as_string(v) for tag, v in _pairs(block)}
    names = [values[tag] for tag in _CIF_GROUPS if values.get(tag)]
    number = _number_of(names)
    return PatternLabel(
        number,
        None,
        _standard_cell(number, names, cell) if np.isfinite(cell).all() else None,
        values.get("_chemical_formula_sum", ""),
        1,
        f"CIF block {block.name}",
    )


def label_of_mineral_text(header: str) -> PatternLabel:
    """The label in the text of a pattern, or in a table of calculated lines, of the RRUFF project."""
    cell = [_mineral_number(header, name) for name in CELL]
    if not all(cell):
        listed = re.search(r"CELL PARAMETERS:?((?:\s+\d+\.\d+){6})", header)
        cell = [float(x) for x in listed[1].split()] if listed else []
    system = re.search(r"crystal system:\s*([a-z]+)", header, re.IGNORECASE)
    system = system[1].lower() if system and system[1].lower() in CRYSTAL_SYSTEMS else None
    group = re.search(r"SPACE GROUP:?\s*(\S+)", header)
    chemistry = re.search(r"##IDEAL CHEMISTRY=(.*)", header)
    names = [group[1]] if group else []
    number = _number_of(names)
    return PatternLabel(
        number,
        system,
        _standard_cell(number, names, np.array(cell, dtype=np.float64)) if len(cell) == len(CELL) else None,
        _plain_formula(chemistry[1]) if chemistry else "",
        None,
        "RRUFF",
    )


def _number_of(names: Sequence[str]) -> int | None:
    """Number of the space group by the first of `names`, numbers or symbols, that is one; None if none is."""
    for name in names:
        text = name.strip()
        if text.isdecimal() and 1 <= int(text) <= N_SPACE_GROUPS:
            return int(text)
        if named := settings_named(text):
            return named[0].number
    return None


def _standard_cell(number: int | None, names: Sequence[str], cell: np.ndarray) -> np.ndarray:
    """The cell (6,) on the standard axes of group `number`, of the setting that a symbol in `names` means.

    Where a symbol leaves the axes open, the cell says which; without a symbol it says hexagonal or
    rhombohedral axes. A cell that suits no such setting stays as it is, for the audit to say so.
    """
    if number is None:
        return cell
    symbols = [name for name in names if not name.strip().isdecimal()]
    named = [one for symbol in symbols for one in settings_named(symbol) if one.number == number]
    alone = [one for one in settings_numbered(number) if one.on_standard_axes or one.ext == "R"]
    metric = metric_tensor(cell)
    fitting = [one for one in named or alone if one.operations().keeps(metric)]
    fitting.sort(key=lambda one: not one.on_standard_axes)
    return fitting[0].standard_cell(cell) if fitting else cell


def _pairs(block) -> list[tuple[str, str]]:
    return [(item.pair[0], item.pair[1]) for item in block if item.pair is not None]


def _number(name: str, value: Any) -> float:
    if value is None or value == "":
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        raise XtinctError(f"{name} {value!r}: expected a number") from None


def _mineral_number(header: str, name: str) -> float | None:
    found = re.search(rf"\b{name}:\s*({_NUMBER.pattern})", header)
    return float(found[1]) if found else None


def _plain_formula(text: str) -> str:
    """`Ca_2_(Mg,Fe)_5_Si_8_O_22_(OH)_2_` without the marks of its subscripts and superscripts."""
    text = re.sub(r"\^[^^]*\^", "", text)
    return text.replace("_", "").replace("#", "").strip()
