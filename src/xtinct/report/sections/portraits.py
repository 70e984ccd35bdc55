"""Figures of single models, of the experiments that ask for them: what the page's script draws as chosen."""

from collections.abc import Iterable, Mapping, Sequence

from xtinct.report.formatting import Row, in_order, percent, set_place
from xtinct.report.results import Results
from xtinct.report.section import Content
from xtinct.symmetry.families import CRYSTAL_SYSTEMS

TextRow = Mapping[str, str]
#: Ranges of certainty that a histogram has: those of `xtinct.scores.calibration.reliability`.
_BIN = 1 / 15
#: What the report calls a descriptor.
_NAMES = {
    "volume": "cell volume",
    "sites": "sites",
    "packing_factor": "density factor",
    "crystallite_size": "crystallite size",
}


def content(results: Results) -> Content | None:
    """Charts of every model of the experiments with `figures: true`; None where there is none.

    A chart is one of `sections.certainty`, with the `experiment` (and family and seed, where there are
    several) and what it is shown `on`: a test set, or the training.
    """
    asked = {name for name, e in results.config.get("experiments", {}).items() if e.get("figures")}
    tables = {
        name: [row for row in rows if row.get("experiment") in asked]
        for name, rows in results.inputs.tables.items()
    }
    trainings = [t for t in results.inputs.trainings if t["card"]["experiment"] in asked]
    charts = [
        *curve_charts(trainings),
        *certainty_charts(tables["reliability"], {_name(t["card"]): t["card"]["target"] for t in trainings}),
        *map_charts(tables["features"]),
        *importance_charts(tables["importances"]),
        *descriptor_charts(tables["descriptors"]),
    ]
    kinds = {name: i for i, name in enumerate(dict.fromkeys(chart["what"] for chart in charts))}
    charts.sort(key=lambda c: (c["experiment"], kinds[c["what"]], set_place(c["on"])))
    return Content({"confidence": results.confidence}, {"portraits": charts}) if charts else None


def _name(row: Mapping) -> str:
    family = "" if row["family"] == "all" else f", {row['family']}"
    return f"{row['experiment']}{family}" + (f", seed {row['seed']}" if str(row["seed"]) != "0" else "")


def _share(title: str) -> dict:
    return {"title": title, "percent": True, "low": 0, "high": 1}


def curve_charts(trainings: Iterable[Mapping]) -> list[dict]:
    """Loss of training, and accuracy of training and validation, over the patterns seen."""
    charts = []
    for training in trainings:
        curve = training["curve"]
        head = {
            "experiment": _name(training["card"]),
            "on": "training",
            "x": {"title": "patterns seen", "low": 0},
        }
        loss = _points(curve, "loss")
        if loss:
            y = {"title": "loss of training, nats a pattern", "low": 0}
            charts.append({**head, "what": "loss", "y": y, "series": [{"name": "training", "points": loss}]})
        series = [
            {"name": name, "points": points}
            for name, column in (("training", "accuracy"), ("validation", "validation"))
            if (points := _points(curve, column))
        ]
        if series:
            charts.append({**head, "what": "accuracy", "y": _share("accuracy"), "series": series})
    return charts


def _points(curve: Iterable[Mapping], column: str) -> list[list]:
    return [[row["patterns"], row[column], None, None, ""] for row in curve if row[column] is not None]


def certainty_charts(reliability: Iterable[TextRow], trained: Mapping[str, str]) -> list[dict]:
    """Certainty of right and of wrong answers, and accuracy over certainty, of the trained target alone.

    trained   what each model was trained to tell, by its name
    """
    found: dict[tuple, list[TextRow]] = {}
    for row in reliability:
        if row["calibrated"] == "True" and row["target"] == trained.get(_name(row)):
            found.setdefault((_name(row), row["test_set"]), []).append(row)
    charts = []
    for (name, test), rows in found.items():
        head = {"experiment": name, "on": test, "x": _share("certainty: probability of the first choice")}
        total = sum(int(row["n"]) for row in rows)
        right = [(row, round(int(row["n"]) * float(row["accuracy"]))) for row in rows]
        sides = {"right": right, "wrong": [(row, int(row["n"]) - n) for row, n in right]}
        charts.append(
            {
                **head,
                "what": "certainty of right and wrong answers",
                "y": {"title": "share of the answers", "percent": True, "low": 0},
                "bin": _BIN,
                "series": [
                    {"name": side, "points": _bins(counted, total)} for side, counted in sides.items()
                ],
            }
        )
        charts.append(
            {
                **head,
                "what": "accuracy over certainty",
                "y": _share("share that is right"),
                "diagonal": True,
                "series": [{"name": trained[name].replace("_", " "), "points": _accuracies(rows)}],
            }
        )
    return charts


def _bins(counted: Iterable[tuple[TextRow, int]], total: int) -> list[list]:
    """All ranges of certainty, also those without an answer, which the tables leave out."""
    counts = {round(float(row["low"]) / _BIN): n for row, n in counted}
    return [
        [
            (i + 0.5) * _BIN,
            counts.get(i, 0) / total,
            None,
            None,
            f"{percent(i * _BIN)} to {percent((i + 1) * _BIN)}: {counts.get(i, 0):,} answers",
        ]
        for i in range(round(1 / _BIN))
    ]


def _accuracies(rows: Iterable[TextRow]) -> list[list]:
    columns = ("probability", "accuracy", "accuracy_low", "accuracy_high")
    return [[*(float(row[c]) for c in columns), f"n = {int(row['n']):,}"] for row in rows]


def map_charts(features: Iterable[TextRow]) -> list[dict]:
    """The map of last features, by crystal system."""
    found: dict[tuple, list[TextRow]] = {}
    for row in features:
        found.setdefault((_name(row), row["test_set"]), []).append(row)
    return [
        {
            "experiment": name,
            "what": "map of the last features (t-SNE)",
            "on": test,
            "x": {"title": "first coordinate, no unit"},
            "y": {"title": "second coordinate, no unit"},
            "series": [
                {
                    "name": system,
                    "scatter": True,
                    "points": [_place(row) for row in rows if row["crystal_system"] == system],
                }
                for system in in_order((row["crystal_system"] for row in rows), CRYSTAL_SYSTEMS)
            ],
        }
        for (name, test), rows in found.items()
    ]


def _place(row: TextRow) -> list:
    text = f"{row['label']}, named {row['predicted']}" if row["right"] != "True" else f"{row['label']}, right"
    return [float(row["x"]), float(row["y"]), None, None, text]


def importance_charts(importances: Iterable[TextRow]) -> list[dict]:
    """How much each range of 2theta decides in trees."""
    found: dict[str, list[TextRow]] = {}
    for row in importances:
        found.setdefault(_name(row), []).append(row)
    charts = []
    for name, rows in found.items():
        ends = [(float(row["two_theta_low"]), float(row["two_theta_high"])) for row in rows]
        points = [
            [(low + high) / 2, float(row["importance"]), None, None, f"{low:.2f} to {high:.2f}"]
            for row, (low, high) in zip(rows, ends, strict=True)
        ]
        charts.append(
            {
                "experiment": name,
                "what": "importance over 2θ",
                "on": "training",
                "x": {"title": "2θ, degree", "low": ends[0][0], "high": ends[-1][1]},
                "y": {"title": "share of the importance", "percent": True, "low": 0},
                "bin": ends[0][1] - ends[0][0],
                "series": [{"name": "importance", "points": points}],
            }
        )
    return charts


def descriptor_charts(descriptors: Iterable[TextRow]) -> list[dict]:
    """Crystals named right and wrong by a descriptor, and the error of each bin of it."""
    found: dict[tuple, list[TextRow]] = {}
    for row in descriptors:
        found.setdefault((_name(row), row["test_set"], row["quantity"]), []).append(row)
    charts = []
    for (name, test, quantity), rows in found.items():
        title = f"{_NAMES[quantity]}, {rows[0]['unit']}"
        middles = [(float(row["low"]) + float(row["high"])) / 2 for row in rows]
        head = {"experiment": name, "on": test, "x": {"title": title, "log": min(middles) > 0}}
        for what, y, series in (
            ("right and wrong", {"title": "crystals", "low": 0}, _sides(rows, middles)),
            ("error", _share("share that is wrong"), [{"name": "error", "points": _errors(rows, middles)}]),
        ):
            charts.append({**head, "what": f"{what} by {_NAMES[quantity]}", "y": y, "series": series})
    return charts


def _sides(rows: Sequence[TextRow], middles: Sequence[float]) -> list[Row]:
    def points(count) -> list[list]:
        return [
            [x, count(row), None, None, f"{row['low']} to {row['high']}"]
            for x, row in zip(middles, rows, strict=True)
        ]

    return [
        {"name": "right", "points": points(lambda row: int(row["right"]))},
        {"name": "wrong", "points": points(lambda row: int(row["n"]) - int(row["right"]))},
    ]


def _errors(rows: Sequence[TextRow], middles: Sequence[float]) -> list[list]:
    return [
        [x, *(float(row[c]) for c in ("error", "error_low", "error_high")), f"n = {int(row['n']):,}"]
        for x, row in zip(middles, rows, strict=True)
    ]
