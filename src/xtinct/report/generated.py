"""Generated crystals beside real ones: the evidence tables of GCDD as figures and rows."""

from collections.abc import Mapping, Sequence

from xtinct.report import figures
from xtinct.report.panels import Gallery, drawing
from xtinct.report.tables import Row, in_order
from xtinct.symmetry.families import CRYSTAL_SYSTEMS, FAMILIES, family_of

#: Columns of the table of groups that are no reason for a rejected draw.
_NO_REASONS = frozenset(
    (
        "spacegroup_number",
        "requested",
        "reached",
        "out_of_reach",
        "draws",
        "wrong_group",
        "wrong_group_share",
        "most_frequent_wrong",
        "least_group_of_30_atoms",
    )
)


def comparison_gallery(comparison: Sequence[Mapping[str, str]]) -> Gallery | None:
    """One figure per crystal system: the two-sample statistic of every quantity."""
    drawings = []
    for system in in_order((row["crystal_system"] for row in comparison), CRYSTAL_SYSTEMS):
        mine = [row for row in comparison if row["crystal_system"] == system]
        name, title = f"generated-{system}", f"{system}, n = {int(mine[0]['n']):,}"
        drawings.append(drawing(name, figures.comparison_figure(name, title, mine), mine))
    return Gallery("", (), tuple(drawings)) if drawings else None


def comparison_verdict(comparison: Sequence[Mapping[str, str]]) -> Row | None:
    """How many of the compared distributions differ beyond the critical value, and which does most."""
    if not comparison:
        return None
    worst = max(comparison, key=lambda row: float(row["ks"]) / float(row["ks_critical"]))
    return {
        "compared": len(comparison),
        "differing": sum(float(row["ks"]) > float(row["ks_critical"]) for row in comparison),
        "worst": worst,
    }


def histogram_charts(
    histograms: Sequence[Mapping[str, str]], comparison: Sequence[Mapping[str, str]]
) -> list[dict]:
    """Distributions of generated beside real crystals of the same space groups, one chart per quantity.

    `comparison` tells the units.
    """
    units = {row["quantity"]: f", {row['unit']}" for row in comparison}
    charts = []
    for system in in_order((row["crystal_system"] for row in histograms), CRYSTAL_SYSTEMS):
        of_system = [row for row in histograms if row["crystal_system"] == system]
        for quantity in dict.fromkeys(row["quantity"] for row in of_system):
            mine = [row for row in of_system if row["quantity"] == quantity]
            edges = [(float(row["low"]), float(row["high"])) for row in mine]
            series = [
                {
                    "name": kind,
                    "points": [
                        [(low + high) / 2, float(row[kind]), None, None, f"{low:.4g} to {high:.4g}"]
                        for row, (low, high) in zip(mine, edges, strict=True)
                    ],
                }
                for kind in ("real", "generated")
            ]
            charts.append(
                {
                    "scope": system,
                    "on": quantity,
                    "x": {
                        "title": quantity.replace("_", " ") + units.get(quantity, ""),
                        "low": edges[0][0],
                        "high": edges[-1][1],
                    },
                    "y": {"title": "share of the crystals", "percent": True, "low": 0},
                    "bin": edges[0][1] - edges[0][0],
                    "series": series,
                }
            )
    return charts


def _reasons(row: Mapping[str, str]) -> str:
    """What became of the draws that gave no crystal of the group, the most frequent first."""
    counts = {name: int(value) for name, value in row.items() if name not in _NO_REASONS}
    counts["wrong_group"] = int(row["wrong_group"])
    ordered = sorted((-n, name.replace("_", " ")) for name, n in counts.items() if n)
    return ", ".join(f"{name} {-n:,}" for n, name in ordered)


def group_gallery(groups: Sequence[Mapping[str, str]], names: Mapping[str, str]) -> Gallery | None:
    """One figure per family: the share of wrong groups of the crystals drawn for each group."""
    drawings = []
    for family in FAMILIES:
        mine = [row for row in groups if family_of(int(row["spacegroup_number"])) == family]
        if not mine:
            continue
        bars = []
        for row in mine:
            number, wrong = row["spacegroup_number"], row["most_frequent_wrong"]
            parts = [
                f"{names[number]} (No. {number}): {int(row['reached']):,} of {int(row['requested']):,}",
                f"{int(row['draws']):,} draws",
            ]
            parts += [_reasons(row)] if _reasons(row) else []
            parts += [f"mostly {names[wrong]} ({wrong}) instead"] if wrong else []
            bars.append(
                {
                    "group": int(number),
                    "share": float(row["wrong_group_share"] or 0),
                    "reached": int(row["reached"]) >= int(row["requested"]),
                    "text": "\n".join(parts),
                }
            )
        name = f"wrong-groups-{family}"
        drawings.append(drawing(name, figures.wrong_groups_figure(name, family, bars), mine))
    return Gallery("", (), tuple(drawings)) if drawings else None


def group_tables(groups: Sequence[Mapping[str, str]]) -> Row | None:
    """Totals, the groups that did not get what was asked for, and those out of the seed paper's reach."""
    if not groups:
        return None
    rows = [
        {
            "number": int(row["spacegroup_number"]),
            "requested": int(row["requested"]),
            "reached": int(row["reached"]),
            "draws": int(row["draws"]),
            "wrong": int(row["wrong_group"]),
            "least": int(row["least_group_of_30_atoms"] or 0),
            "reasons": "out of reach" if int(row["out_of_reach"]) else _reasons(row),
        }
        for row in groups
    ]
    wrong, reached = sum(row["wrong"] for row in rows), sum(row["reached"] for row in rows)
    return {
        "groups": len(rows),
        "requested": sum(row["requested"] for row in rows),
        "reached": reached,
        "draws": sum(row["draws"] for row in rows),
        "wrong_share": wrong / (wrong + reached) if wrong + reached else 0.0,
        "unreached": [row for row in rows if row["reached"] < row["requested"]],
        "hopeless": [row for row in rows if row["least"] != row["number"]],
    }
