"""The cells of a row of the tables on measured patterns: how often each part of an answer is right."""

from collections.abc import Mapping

from xtinct.report.formatting import Row

#: What is shown of an answer, in this order, with its heading.
MEASURED_TARGETS = {
    "crystal_system": "crystal system",
    "family": "family",
    "bravais": "Bravais lattice",
    "extinction_class": "extinction class",
    "spacegroup": "space group",
}


def target_cells(records: Mapping[str, Mapping]) -> list[Row | None]:
    """A cell for each of MEASURED_TARGETS from its record: n, accuracy, interval; None without one."""
    return [_cell(records.get(target)) for target in MEASURED_TARGETS]


def _cell(record: Mapping | None) -> Row | None:
    if record is None:
        return None
    return {
        "n": record["n"],
        "accuracy": record["top1"],
        "low": record["top1_low"],
        "high": record["top1_high"],
    }
