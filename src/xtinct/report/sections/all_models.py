"""Every model on every test set in one table, beside what others have published of the same network."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files

from xtinct.report.formatting import ALL, METHODS, TARGET_NAMES, Row, in_order, set_name, trained_on
from xtinct.report.results import Results, is_own_answer
from xtinct.report.section import Content

#: Numbers of a record that the table shows, each with the ends of its interval.
SHARES = ("top1", "macro_f1", "ece")
#: Keys of an experiment's `training` that meet rare groups, and what they say where they do not.
_REMEDIES = {"loss": "cross-entropy", "sampling": "as-drawn", "correction": "none"}
#: What the reader may restrict the rows by: key of a row -> title.
FILTERS = {
    "called": "Model",
    "trained": "Trained on",
    "tested": "Tested on",
    "split": "Split",
    "of": "Target",
}


def content(results: Results) -> Content | None:
    """The rows, what they can be restricted by, and the comparisons of libraries; None without any model."""
    cards = {
        (card["experiment"], card["family"], card["seed"]): card
        for card in (training["card"] for training in results.inputs.trainings)
    }
    rows = mean_of_seeds(model_rows(results.records, cards, results.config))
    if not rows:
        return None
    matrices = {
        tuple(row[key] for key in ("experiment", "family", "test_set", "kind")) for row in results.confusion
    }
    for row in rows:
        row |= {
            "about": ", ".join(_about(row)),
            "called": _called(row),
            "trained": trained_on(row["train_set"]),
            "tested": set_name(row["test_set"]),
            "of": TARGET_NAMES.get(row["target"], row["target"]),
            "matrix": (row["experiment"], row["family"], row["test_set"], row["target"]) in matrices,
        }
    filters = {
        key: (title, in_order((row[key] for row in rows if row[key]), ())) for key, title in FILTERS.items()
    }
    return Content(
        {
            "models": rows,
            "filters": {key: found for key, found in filters.items() if len(found[1]) > 1},
            "libraries": library_rows(results.inputs.tables["libraries"]),
            "confidence": results.confidence,
        }
    )


def model_rows(
    records: Iterable[Mapping], cards: Mapping[tuple[str, str, int], Mapping], config: Mapping
) -> list[Row]:
    """One row for each record on a label that its model was made to tell, in the order of the records.

    cards   (experiment, family, seed) -> card of the model; methods that are not trained have none

    A model of crystal systems says nothing of its own about groups and classes; its records on these are
    left out, as are records without a sample. A row has

    experiment, name, version, train_set, test_set, split, target, family, seed
    remedy, learning_rate     against rare groups; of the training, of Muon where that takes the steps of
                              matrices and kernels (both empty where there is none)
    parameters, patterns, cpu_seconds    of the model and its training; None where they are not known
    n, top1, macro_f1, ece    with _low and _high; None for what the record does not have
    ceiling                   of these test samples
    published                 [protocol, accuracy, source] of the same network and target
    """
    published = _published()
    rows = []
    for record in records:
        if not record["n"] or not is_own_answer(record):
            continue
        card = cards.get((record["experiment"], record["family"], record["seed"]), {})
        model = _model(record, card)
        training = config.get("experiments", {}).get(record["experiment"], {}).get("training", {})
        remedies = [training[key] for key, none in _REMEDIES.items() if training.get(key, none) != none]
        rows.append(
            {
                "experiment": record["experiment"],
                **model,
                **{key: record[key] for key in ("train_set", "test_set")},
                "split": _split(record["test_set"], config),
                **{key: record[key] for key in ("target", "family", "seed")},
                "remedy": ", ".join(map(str, remedies)),
                "learning_rate": _rate(card, model, training, config),
                "parameters": card.get("architecture", {}).get("parameters"),
                "patterns": card.get("patterns"),
                "cpu_seconds": card.get("cpu_seconds"),
                "n": record["n"],
                **{f"{s}{end}": record.get(f"{s}{end}") for s in SHARES for end in ("", "_low", "_high")},
                "ceiling": record["ceiling1"],
                "published": published.get((model["kind"], model["name"], record["target"]), []),
            }
        )
    return rows


def mean_of_seeds(rows: Iterable[Mapping]) -> list[Row]:
    """Rows of models that differ in their seed alone, averaged; `seeds`, and the accuracies of each.

    Intervals are the means of theirs, for the seeds share one test set.
    """
    groups: dict[tuple, list[Mapping]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in ("experiment", "family", "test_set", "target"))].append(row)
    averaged = []
    numbers = [
        "patterns",
        "cpu_seconds",
        "ceiling",
        *(f"{s}{end}" for s in SHARES for end in ("", "_low", "_high")),
    ]
    for members in groups.values():
        means = {}
        for key in numbers:
            values = [member[key] for member in members]
            means[key] = None if None in values else sum(values) / len(values)
        if means["patterns"] is not None:  # a seed may have stopped early
            means["patterns"] = round(means["patterns"])
        of_seeds = {"seeds": len(members), "accuracies": sorted(member["top1"] for member in members)}
        averaged.append({**members[0], **means, **of_seeds})
    return averaged


def _about(row: Mapping) -> list[str]:
    """The family, unless it is all, and how many seeds, if several."""
    family = [] if row["family"] == ALL else [row["family"]]
    return family + ([f"{row['seeds']} seeds"] if row["seeds"] > 1 else [])


def library_rows(rows: Sequence[Mapping[str, str]]) -> list[Row]:
    """Crystals of training, measured anew, beside crystals never seen, one row for each model."""
    models: dict[tuple, Row] = {}
    for row in rows:
        key = tuple(row[name] for name in ("experiment", "family", "seed"))
        of_model = models.setdefault(
            key, {**{k: row[k] for k in ("experiment", "train_set", "family", "seed")}}
        )
        of_model[row["protocol"].replace("-", "_")] = {
            "crystals": int(row["crystals"]),
            **{name: float(row[name]) for name in ("top1", "top1_low", "top1_high", "macro_f1")},
        }
    return [row for row in models.values() if {"in_library", "out_of_library"} <= row.keys()]


def _model(record: Mapping, card: Mapping) -> Row:
    """Kind, name and version of a network, or of a method that is not trained."""
    if record["train_set"] in METHODS:
        return {"kind": record["train_set"], "name": METHODS[record["train_set"]], "version": ""}
    architecture = card.get("architecture", {})
    kind, options = architecture.get("kind", record["model"]), architecture.get("hyperparameters", {})
    name = next((str(options[key]) for key in ("name", "size", "depth") if key in options), "")
    version = next((str(options[key]) for key in ("version", "input") if key in options), "")
    return {"kind": kind, "name": name, "version": version}


def _called(row: Mapping) -> str:
    """What the table calls a network: SimXRD's names tell it alone, `small` and `dense` need their kind."""
    if row["kind"] in (*METHODS, "simxrd"):
        return row["name"]
    return f"{row['kind']} {row['name']}".strip()


def _split(test: str, config: Mapping) -> str:
    variant = config.get("variants", {}).get(test, {"of": test})
    of = "cddd" if variant["of"].startswith("cddd-") else variant["of"]
    return variant.get("split", config["splits"].get(of, ""))


def _rate(card: Mapping, model: Mapping, training: Mapping, config: Mapping) -> float | str:
    if not card or model["kind"] == "extratrees":
        return ""
    told = {**config["train"], **training}
    return told["muon_learning_rate" if told.get("optimizer") == "muon" else "learning_rate"]


def _published() -> dict[tuple[str, str, str], list[tuple[str, float, str]]]:
    """(kind, name, target) -> protocols, accuracies and sources: published_models.csv."""
    text = files("xtinct.report").joinpath("published_models.csv").read_text(encoding="utf-8")
    found: dict[tuple[str, str, str], list[tuple[str, float, str]]] = {}
    for row in csv.DictReader(text.splitlines()):
        key = row["kind"], row["name"], row["target"]
        found.setdefault(key, []).append((row["protocol"], float(row["accuracy"]), row["source"]))
    return found
