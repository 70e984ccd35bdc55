"""Sets of measured patterns with labels: reading the tables `data/measured/SET.parquet`.

`labelled_measurements` is the one way from a set to what can be judged: measurements of
`xtinct.measurements`, each with its label, those that the audit rejected left out if its table is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from xtinct.files.parquet import open_parquet, read_batches, read_table
from xtinct.files.schema import AUDIT, CELL, MEASURED_PATTERNS, check_table
from xtinct.measurements import Measurement, Radiation
from xtinct.measurements.finishing import NOMINAL_NOTE
from xtinct.symmetry.families import crystal_system

#: Verdicts of the audit.
PASS, REJECT = "pass", "reject"
#: Patterns that are read at a time.
_HELD = 64


@dataclass(frozen=True)
class PatternLabel:
    """What is said of the crystal of a measured pattern; None, or "", where nothing is.

    number    space group; system, as the label itself says it
    cell      float64 (6,), conventional, on the standard axes of the group; angstrom and degrees
    formula   as written; n_phases, that the label names; source, where the label is from, in words
    """

    number: int | None = None
    system: str | None = None
    cell: np.ndarray | None = None
    formula: str = ""
    n_phases: int | None = None
    source: str = ""

    @property
    def true_system(self) -> str | None:
        """Crystal system of the space group, or as said; None where neither is known."""
        return self.system if self.number is None else crystal_system(self.number)


@dataclass(frozen=True)
class LabelledMeasurement:
    """A measured pattern of a set, with its label.

    pattern_id   SET:identifier; laboratory, who measured or gave it; specimen, "" if unknown
    measurement  its radiation is None where nothing says it; label, of its crystal
    ceilings     target ("extinction_class", "spacegroup") -> how often an ideal judge names it where counts,
                 widths and range are these; as far as an audit said so
    """

    pattern_id: str
    laboratory: str
    measurement: Measurement
    label: PatternLabel
    specimen: str = ""
    licence: str = ""
    sha256: str = ""
    ceilings: Mapping[str, float] = field(default_factory=dict)


def labelled_measurements(patterns: str | Path, audit: str | Path | None = None) -> list[LabelledMeasurement]:
    """The patterns of a set in the order of its table; with `audit`, those alone that passed it.

    patterns   table MEASURED_PATTERNS of the rule `read_patterns`
    audit      table AUDIT of the rule `audit_patterns`, of the same set

    XtinctError where a table is missing or no such table.
    """
    passed = None if audit is None else {r["pattern_id"]: r for r in _audited(audit) if r["verdict"] == PASS}
    found = []
    with open_parquet(patterns) as file:
        check_table(file.schema_arrow, MEASURED_PATTERNS, str(patterns))
        # As numbers of Python the points take many times the memory of the arrays that they become.
        for batch in read_batches(file, _HELD):
            for row in batch.to_pylist():
                if passed is None:
                    found.append(_of_row(row, {}))
                elif row["pattern_id"] in passed:
                    found.append(_of_row(row, passed[row["pattern_id"]]))
    return found


def _audited(audit: str | Path) -> list[dict]:
    table = read_table(audit)
    check_table(table, AUDIT, str(audit))
    return table.to_pylist()


def _of_row(row: dict, audited: Mapping) -> LabelledMeasurement:
    cell = np.array([np.nan if row[name] is None else row[name] for name in CELL])
    label = PatternLabel(
        row["spacegroup_number"],
        row["crystal_system"],
        cell if np.isfinite(cell).all() else None,
        row["formula"],
        row["n_phases"],
        row["label"],
    )
    measurement = Measurement(
        np.array(row["two_theta"], dtype=np.float64),
        np.array(row["intensity"], dtype=np.float64),
        None if row["sigma"] is None else np.array(row["sigma"], dtype=np.float64),
        _radiation(row),
        tuple(row["notes"]),
        row["pattern_id"],
    )
    return LabelledMeasurement(
        row["pattern_id"],
        row["laboratory"],
        measurement,
        label,
        row["specimen"],
        row["licence"],
        row["sha256"],
        {
            target: audited[name]
            for target, name in (("extinction_class", "class_ceiling"), ("spacegroup", "group_ceiling"))
            if audited.get(name) is not None
        },
    )


def _radiation(row: dict) -> Radiation | None:
    first, second = [*row["wavelength"], None, None][:2]
    nominal = any(note.startswith(NOMINAL_NOTE) for note in row["notes"])
    anode = row["anode"] or None
    return None if first is None else Radiation(first, second, row["ratio"], anode, nominal=nominal)
