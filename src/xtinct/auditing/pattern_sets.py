"""Sets of measured patterns with labels: reading the tables `data/measured/SET.parquet`.

`labelled_measurements` is the one way from a set to what can be judged: measurements of
`xtinct.measurements`, each with its label, those that the audit rejected left out if its table is given.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xtinct.files.parquet import open_parquet, read_table
from xtinct.files.schema import AUDIT, CELL, MEASURED_PATTERNS, check_table
from xtinct.measurements import Measurement, Radiation
from xtinct.symmetry.families import crystal_system

#: Verdicts of the audit.
PASS, REJECT = "pass", "reject"


@dataclass(frozen=True)
class PatternLabel:
    """What is said of the crystal of a measured pattern; None, or "", where nothing is.

    number    space group; system, as the label itself says it
    cell      float64 (6,), conventional, angstrom and degrees
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
    """

    pattern_id: str
    laboratory: str
    measurement: Measurement
    label: PatternLabel
    specimen: str = ""
    licence: str = ""
    sha256: str = ""


def labelled_measurements(patterns: str | Path, audit: str | Path | None = None) -> list[LabelledMeasurement]:
    """The patterns of a set in the order of its table; with `audit`, those alone that passed it.

    patterns   table MEASURED_PATTERNS of the rule `read_patterns`
    audit      table AUDIT of the rule `audit_patterns`, of the same set

    XtinctError where a table is missing or no such table.
    """
    with open_parquet(patterns) as file:
        check_table(file.schema_arrow, MEASURED_PATTERNS, str(patterns))
        rows = file.read().to_pylist()
    if audit is not None:
        passed = {name for name, verdict in _verdicts(audit).items() if verdict == PASS}
        rows = [row for row in rows if row["pattern_id"] in passed]
    return [_of_row(row) for row in rows]


def _verdicts(audit: str | Path) -> dict[str, str]:
    table = read_table(audit)
    check_table(table, AUDIT, str(audit))
    return dict(zip(*(table.column(name).to_pylist() for name in ("pattern_id", "verdict")), strict=True))


def _of_row(row: dict) -> LabelledMeasurement:
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
    )


def _radiation(row: dict) -> Radiation | None:
    first, second = [*row["wavelength"], None, None][:2]
    return None if first is None else Radiation(first, second, row["ratio"], row["anode"] or None)
