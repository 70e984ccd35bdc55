"""Patterns of the opXRD collection: JSON as its library xrdpattern writes it, one pattern a file.

The keys are `two_theta_values`, `intensities`, `label` and `metadata`; the last two are JSON once more, as
text, and so are their parts. Numbers in them may be text, and "nan" says nothing. Cells stand in `lattice`
("(a, b, c, alpha, beta, gamma)", from version 0.9.8 of xrdpattern on), before that in `lengths`, `angles`.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from xtinct.auditing.pattern_labels import label_of_row
from xtinct.auditing.pattern_sets import PatternLabel
from xtinct.errors import XtinctError
from xtinct.files.schema import CELL


class OpxrdPattern(NamedTuple):
    """One file: float64 (n,) degrees and intensity as they stand there, and what is said of them.

    wavelength   one or two, angstrom, ascending; empty where nothing is said
    simulated    whether the file says that it was never measured
    institution  "" where nothing is said
    """

    two_theta: np.ndarray
    intensity: np.ndarray
    wavelength: list[float]
    label: PatternLabel
    simulated: bool
    institution: str


def opxrd_pattern(data: bytes) -> OpxrdPattern:
    """Read one file; XtinctError saying what is wrong with it."""
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise XtinctError(f"no JSON ({error})") from None
    if not isinstance(whole, Mapping) or not {"two_theta_values", "intensities"} <= set(whole):
        raise XtinctError("no opXRD pattern: two_theta_values and intensities are expected")
    try:
        columns = [np.asarray(whole[name], dtype=np.float64) for name in ("two_theta_values", "intensities")]
    except (TypeError, ValueError):
        raise XtinctError("two_theta_values and intensities: expected two lists of numbers") from None
    label = _part(whole.get("label"), "label")
    rays = _part(label.get("xray_info"), "label.xray_info")
    lines = {_number(rays.get(f"{name}_wavelength")) for name in ("primary", "secondary")}
    return OpxrdPattern(
        *columns,
        sorted(x for x in lines if x > 0),
        _label(label.get("phases")),
        str(label.get("is_simulated")).lower() == "true",
        str(_part(whole.get("metadata"), "metadata").get("institution") or "").strip(),
    )


def _part(value: Any, name: str) -> Mapping[str, Any]:
    """A part that is JSON as text, or plain; empty where nothing is said."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise XtinctError(f"{name}: no JSON") from None
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise XtinctError(f"{name}: expected named values")
    return value


def _number(value: Any) -> float:
    """NaN for what is no number: null, "nan", "None"."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _label(phases: Any) -> PatternLabel:
    """The label of the first phase; versions before 0.9.8 write an unknown sample as one empty phase."""
    if not isinstance(phases, list):
        return PatternLabel(source="opXRD")
    read = [_part(phase, "label.phases") for phase in phases]
    told = [row for row in map(_row, read) if row]
    if not told:
        return PatternLabel(source="opXRD")
    # A phase of which nothing is known is one all the same, beside one that is.
    return label_of_row({**told[0], "n_phases": len(read)}, "opXRD")


def _row(phase: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of a table of labels that a phase fills; a cell in part is none."""
    cell = _numbers(phase.get("lattice")) or _numbers(phase.get("lengths")) + _numbers(phase.get("angles"))
    number, formula = _number(phase.get("spacegroup")), phase.get("chemical_composition")
    row: dict[str, Any] = {}
    if len(cell) == len(CELL) and all(map(math.isfinite, cell)):
        row |= zip(CELL, cell, strict=True)
    if math.isfinite(number):
        row["spacegroup"] = int(number) if number.is_integer() else number
    if formula not in (None, "", "None", "nan"):
        row["formula"] = formula
    return row


def _numbers(value: Any) -> list[float]:
    """Numbers of a list, of named values, or of a text with either."""
    if isinstance(value, str):
        if value.lstrip().startswith("{"):
            return _numbers(_part(value, "label.phases"))
        value = value.strip("()[] ").split(",")
    if isinstance(value, Mapping):
        value = list(value.values())
    return [_number(x) for x in value] if isinstance(value, list) else []
