"""Charts of calibration, abstention, prediction sets, robustness, and of how much training was given.

A chart is a dictionary for the page's script: `what` it shows, the `scope` (family or crystal system) and
the thing it is shown `on` (test set or quantity), the `target`, both axes and the series. A point is
[x, y, low, high, text]; low and high are null where there is no interval.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from xtinct.report.formatting import ALL, in_order, percent, set_name, set_place
from xtinct.report.results import Results
from xtinct.report.section import Content
from xtinct.symmetry.families import FAMILIES

TextRow = Mapping[str, str]


def content(results: Results) -> Content | None:
    """All charts; None where there is none."""
    charts = [
        *size_charts(results.averaged, training_sizes(results.inputs.manifests)),
        *budget_charts(results.averaged, training_budgets(results.inputs.trainings)),
        *evaluation_charts(results.inputs.tables),
    ]
    return Content({"confidence": results.confidence}, {"charts": charts}) if charts else None


#: What a condition of the robustness table is, its axis, and its value for the instrument as configured.
CONDITIONS = {
    "counts": ("noise", "counts at the highest peak", None),
    "width_factor": ("peak width", "peak width / configured width", 1.0),
    "zero_shift": ("zero shift", "zero shift, degree 2θ", 0.0),
    "start": ("later first angle", "first angle, degree 2θ", None),
    "end": ("earlier last angle", "last angle, degree 2θ", None),
}


def _series_name(row: TextRow) -> str:
    seed = f", seed {row['seed']}" if row["seed"] != "0" else ""
    trained = "" if row["train_set"] == row["experiment"] else f", trained on {set_name(row['train_set'])}"
    return f"{row['experiment']} ({row['model']}{seed}){trained}"


def _charts(
    rows: Iterable[TextRow],
    *,
    what: str,
    axes: tuple[Mapping, Mapping],
    point: Callable[[TextRow], list],
    name: Callable[[TextRow], str] = _series_name,
    diagonal: bool = False,
) -> list[dict]:
    """One chart per family, test set and target; points stand in the order of the rows, by x."""
    found: dict[tuple, dict[str, list]] = {}
    order: dict[str, tuple] = {}
    for row in rows:
        key = (row["family"], row["test_set"], row.get("target", "extinction_class"))
        label = name(row)
        order[label] = (set_place(row["train_set"]), label)
        found.setdefault(key, {}).setdefault(label, []).append(point(row))
    charts = []
    for family, test, target in sorted(
        found,
        key=lambda k: (in_order({k[0] for k in found}, FAMILIES).index(k[0]), set_place(k[1]), k[2]),
    ):
        of_chart = found[family, test, target]
        series = [
            {"name": label, "points": sorted(of_chart[label])} for label in sorted(of_chart, key=order.get)
        ]
        charts.append(
            {
                "what": what,
                "scope": family,
                "on": test,
                "target": target,
                "x": dict(axes[0]),
                "y": _reaching(axes[1], series),
                "diagonal": diagonal,
                "series": series,
            }
        )
    return charts


def _interval(row: TextRow, name: str) -> list[float]:
    return [float(row[name]), float(row[f"{name}_low"]), float(row[f"{name}_high"])]


def _share(title: str) -> dict:
    return {"title": title, "percent": True, "low": 0, "high": 1}


def _reaching(axis: Mapping, series: Iterable[Mapping]) -> dict:
    """An axis that holds the intervals of its points as well, unless it says itself where it ends."""
    values = [value for one in series for point in one["points"] for value in point[1:4] if value is not None]
    return {"low": min(values), "high": max(values), **axis}


def evaluation_charts(tables: Mapping[str, Sequence[TextRow]]) -> list[dict]:
    """Charts of the tables `reliability`, `abstention`, `sets` and `robustness` of `read_tables`."""
    return [
        *_calibration_charts(tables["reliability"]),
        *_abstention_charts(tables["abstention"]),
        *_set_charts(tables["sets"]),
        *_robustness_charts(tables["robustness"]),
    ]


def _calibration_charts(rows: Sequence[TextRow]) -> list[dict]:
    return _charts(
        [row for row in rows if row["calibrated"] == "True"],
        what="calibration",
        axes=(_share("probability of the first choice"), _share("share that is right")),
        point=lambda r: [float(r["probability"]), *_interval(r, "accuracy"), f"n = {int(r['n']):,}"],
        diagonal=True,
    )


def _abstention_charts(rows: Sequence[TextRow]) -> list[dict]:
    return _charts(
        rows,
        what="abstention",
        axes=(_share("share of the answers that is kept, the surest first"), _share("share that is right")),
        point=lambda r: [float(r["kept"]), *_interval(r, "accuracy"), f"n = {int(r['n']):,}"],
    )


def _set_charts(rows: Sequence[TextRow]) -> list[dict]:
    """Coverage and size of the prediction sets, over the coverage that they promise."""
    charts = []
    for what, axis, column in (
        ("prediction sets: coverage", _share("share that holds the true class"), "held"),
        ("prediction sets: size", {"title": "mean number of classes", "low": 0}, "size"),
    ):
        charts += _charts(
            rows,
            what=what,
            axes=(_share("coverage promised"), axis),
            point=lambda r, column=column: [
                float(r["coverage"]),
                *_interval(r, column),
                f"{float(r['size']):.2f} classes, {percent(float(r['single']))} with one, "
                f"{percent(float(r['empty']))} with none",
            ],
            name=lambda r: f"{_series_name(r)}; set by {r['calibrated_on']}",
            diagonal=column == "held",
        )
    return charts


def _robustness_charts(rows: Sequence[TextRow]) -> list[dict]:
    """Accuracy over each condition; the instrument as configured is a point of its own."""
    charts = []
    for condition, (what, axis, unchanged) in CONDITIONS.items():
        mine = [row for row in rows if row["condition"] == condition]
        if mine and unchanged is not None:
            mine += [{**row, "value": str(unchanged)} for row in rows if row["condition"] == "none"]
        charts += _charts(
            mine,
            what=f"robustness: {what}",
            axes=({"title": axis, "log": condition == "counts"}, _share("top-1 accuracy")),
            point=lambda r: [
                float(r["value"]),
                *_interval(r, "top1"),
                f"ceiling {percent(float(r['ceiling']))}, n = {int(r['n']):,}",
            ],
        )
    return charts


def training_sizes(manifests: Iterable[Mapping]) -> dict[tuple[str, str], int]:
    """(training set, family) -> samples of its train part, from the datasets' manifests and the variants'.

    A joint model takes those of all families, and (training set, ALL) has their sum.
    """
    sizes = {}
    for manifest in manifests:
        content = manifest["content"]
        sets = content.get("variants") or {manifest["name"]: content}
        for name, of_set in sets.items():
            families = of_set.get("families")
            for family, counts in families.items() if isinstance(families, Mapping) else ():
                sizes[name, family] = counts["splits"].get("train", 0)
                sizes[name, ALL] = sizes.get((name, ALL), 0) + sizes[name, family]
    return sizes


def size_charts(averaged: Iterable[Mapping], sizes: Mapping[tuple[str, str], int]) -> list[dict]:
    """Top-1 accuracy over the number of stored training samples, where several sets lead to one test set."""
    found: dict[tuple, list[list]] = {}
    ceilings: dict[tuple, float] = {}
    for row in averaged:
        size = sizes.get((row["train_set"], row["family"]))
        if row["k"] != 1 or not size or row.get("trained_target", row["target"]) != row["target"]:
            continue
        key = (row["family"], row["test_set"], row["target"], row["model"])
        found.setdefault(key, []).append(
            [size, row["accuracy"], row["low"], row["high"], f"{row['experiment']}: {row['train_set']}"]
        )
        ceilings[key] = row["ceiling"]
    return [
        {
            "what": "size of the training set",
            "scope": family,
            "on": test,
            "target": target,
            "x": {"title": "stored training samples", "log": True},
            "y": _share("top-1 accuracy"),
            "diagonal": False,
            "ceiling": ceilings[family, test, target, model],
            "series": [{"name": model, "points": sorted(points), "scatter": True}],
        }
        for (family, test, target, model), points in sorted(
            found.items(),
            key=lambda item: ((*FAMILIES, ALL).index(item[0][0]), set_place(item[0][1]), item[0][2:]),
        )
        if len(points) > 1
    ]


class Budget(NamedTuple):
    """Patterns that a model has seen, and as JSON what else its training depends on, but for the seed."""

    patterns: int
    recipe: str


def training_budgets(trainings: Iterable[Mapping]) -> dict[tuple[str, str], Budget]:
    """(experiment, family) -> budget of its models: the mean over seeds, of which one may stop early."""
    budgets: dict[tuple[str, str], Budget] = {}
    seen: dict[tuple[str, str], list[int]] = {}
    for training in trainings:
        card = training["card"]
        patterns = seen.setdefault((card["experiment"], card["family"]), [])
        patterns.append(training["patterns"])
        recipe = {key: value for key, value in card["training"].items() if key != "seed"}
        recipe["experiment"] = {k: v for k, v in recipe["experiment"].items() if k != "patterns"}
        words = json.dumps(recipe, sort_keys=True)
        budgets[card["experiment"], card["family"]] = Budget(round(sum(patterns) / len(patterns)), words)
    return budgets


def budget_charts(averaged: Iterable[Mapping], budgets: Mapping[tuple[str, str], Budget]) -> list[dict]:
    """Error over the patterns seen in training, with the power law through three budgets or more.

    Experiments that differ in their budget alone: the learning curve of Schopmans et al. (2023), on
    logarithmic axes, where a power law is a straight line.
    """
    found: dict[tuple, dict[tuple[str, str], list[list]]] = {}
    for row in averaged:
        seen, recipe = budgets.get((row["experiment"], row["family"]), (0, ""))
        own = row.get("trained_target", row["target"]) == row["target"]
        if row["k"] != 1 or not seen or not own or row["accuracy"] >= 1:
            continue
        error, low, high = (1 - row[key] for key in ("accuracy", "high", "low"))
        # An error of 0 has no place on a logarithmic axis.
        point = [seen, error, max(low, error / 10), high, row["experiment"]]
        series = found.setdefault((row["family"], row["test_set"], row["target"]), {})
        name = f"{row['model']}, trained on {set_name(row['train_set'])}"
        series.setdefault((name, recipe), []).append(point)
    charts = []
    for key, every in sorted(
        found.items(), key=lambda item: (str(item[0][0]), set_place(item[0][1]), item[0][2])
    ):
        several = [(name, sorted(p)) for (name, _), p in every.items() if len({point[0] for point in p}) > 1]
        names = [name for name, _ in several]
        # Curves of one name differ in what else was told of their experiments.
        curves = sorted(
            (name if names.count(name) == 1 else f"{name} as {points[0][4]}", points)
            for name, points in several
        )
        if curves:
            drawn = [s for name, points in curves for s in _with_law(name, points)]
            charts.append(
                {
                    **dict(zip(("scope", "on", "target"), key, strict=True)),
                    "what": "learning curve",
                    "x": {"title": "training patterns seen", "log": True},
                    "y": _reaching({"title": "share that is wrong", "percent": True, "log": True}, drawn),
                    "diagonal": False,
                    "series": drawn,
                }
            )
    return charts


def _with_law(name: str, points: list[list]) -> list[dict]:
    """The points, and the power law error = a * patterns^-b through them, least squares of the logarithms."""
    series = [{"name": name, "points": points, "scatter": True}]
    if len({point[0] for point in points}) > 2:
        slope, offset = power_law([point[0] for point in points], [point[1] for point in points])
        ends = points[0][0], points[-1][0]
        line = [[n, math.exp(offset) * n**slope, None, None, f"exponent {slope:.3f}"] for n in ends]
        series.append({"name": f"{name}: power law, exponent {slope:.3f}", "points": line})
    return series


def power_law(patterns: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """Exponent and logarithm of the factor of error = factor * patterns^exponent, by least squares."""
    slope, offset = np.polyfit(np.log(patterns), np.log(errors), 1)
    return float(slope), float(offset)
