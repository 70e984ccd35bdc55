"""A small build as the other stages leave it, drawn from the schema and the real symmetry tables."""

import csv
import json
import random
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from scipy.stats import ks_2samp

from xtinct.ceiling.extinction import ceiling_of_samples, write_ceilings, write_extinction_classes
from xtinct.files.parquet import write_parquet
from xtinct.files.schema import AUDIT, LINES, PREDICTIONS, QUARANTINE
from xtinct.report.inputs import ReportPaths
from xtinct.report.page import ReportOutputs, write_report
from xtinct.scores.metrics import proportion
from xtinct.symmetry.classes import class_symbol, extinction_classes
from xtinct.symmetry.families import crystal_system, space_groups

REPOSITORY = Path(__file__).parents[3]
SKILL = {("ulbd-online", "ulbd"): 0.995, ("ulbd-online", "cddd"): 0.9, ("cddd", "cddd"): 0.7}
FREE_ANGLE = {"monoclinic": "beta", "trigonal-hexagonal": "gamma"}


def draw_predictions(rng: random.Random, family: str, groups: list[int], skill: float) -> pa.Table:
    """Predictions that name the class with probability `skill` and the group within it by chance."""
    classes = extinction_classes(family)
    rows = []
    for i, number in enumerate(groups):
        own = next(c for c in classes if number in c.members)
        others = [c for c in classes if c is not own]
        rng.shuffle(others)
        ranked = [own, *others] if rng.random() < skill else [*others[:1], own, *others[1:]]
        ranked_groups = [g for c in ranked for g in rng.sample(c.members, len(c.members))]
        rows.append(
            {
                "sample_id": f"{i:06d}",
                "spacegroup_number": number,
                "extinction_class": own.symbol,
                "classes": [c.symbol for c in ranked[:5]],
                "class_probabilities": [0.5, 0.2, 0.1, 0.1, 0.1][: len(ranked)],
                "groups": ranked_groups[:5],
                "group_probabilities": [0.5, 0.2, 0.1, 0.1, 0.1][: len(ranked_groups)],
            }
        )
    return pa.Table.from_pylist(rows, schema=PREDICTIONS)


def records_of(predictions: pa.Table, head: dict) -> list[dict]:
    """One record per target, counted from the prediction table."""
    numbers = predictions["spacegroup_number"].to_pylist()
    records = []
    for target, truth, ranked in (
        ("extinction_class", "extinction_class", "classes"),
        ("spacegroup", "spacegroup_number", "groups"),
    ):
        pairs = list(zip(predictions[truth].to_pylist(), predictions[ranked].to_pylist(), strict=True))
        record = {**head, "target": target, "n": len(pairs)}
        ceilings = ceiling_of_samples(numbers, target)
        for k in range(1, 6):
            record |= proportion(f"top{k}", sum(t in p[:k] for t, p in pairs), len(pairs))
            record[f"ceiling{k}"] = ceilings[k]
        records.append(record)
    return records


def draw_lines(rng: random.Random, dataset: str, family: str, per_group: int) -> pa.Table:
    rows = []
    for number in space_groups(family):
        for i in range(per_group if dataset == "ulbd" else rng.randrange(0, per_group)):
            a = rng.uniform(5, 15) if dataset == "ulbd" else rng.gauss(8, 1.5)
            lengths = {"a": a, "b": a, "c": a if family == "cubic" else rng.uniform(5, 15)}
            angles = {"alpha": 90.0, "beta": 90.0, "gamma": 120.0 if family == "trigonal-hexagonal" else 90.0}
            rows.append(
                {
                    "sample_id": f"{dataset}-{number:03d}-{i:04d}",
                    "dataset": dataset,
                    "spacegroup_number": number,
                    "extinction_class": class_symbol(number),
                    "crystal_system": crystal_system(number),
                    "split": ("train", "train", "validation", "test")[i % 4],
                    **lengths,
                    **angles,
                    "d_star": [0.1 * j for j in range(1, 10)],
                    "intensity": [rng.random() for _ in range(9)],
                    "origin": "",
                    "seed": 1,
                    "source": dataset,
                    "licence": "CC0-1.0",
                }
            )
    return pa.Table.from_pylist(rows, schema=LINES)


def write_curves(root: Path, rng: random.Random) -> Path:
    """A robustness table of two models on the cubic test set, without change and at four zero shifts."""
    path = root / "results/evaluation/ulbd.robustness.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        file.write(
            "experiment,train_set,test_set,family,model,seed,target,condition,value,n,"
            "top1,top1_low,top1_high,ceiling,held,held_low,held_high,size\n"
        )
        for experiment, train_set in (("ulbd", "ulbd-online"), ("cddd", "cddd")):
            for value in ("", -0.1, -0.03, 0.03, 0.1):
                condition = "zero_shift" if value else "none"
                top1 = round(1 - abs(value or 0) - 0.1 * rng.random(), 3)
                numbers = (200, top1, top1 - 0.02, top1 + 0.02, 1.0, 0.95, 0.9, 0.98, 1.4)
                names = (experiment, train_set, "ulbd", "cubic", "logq", 0, "extinction_class")
                writer.writerow((*names, condition, value, *numbers))
    return path


def write_evidence(root: Path, rng: random.Random) -> list[Path]:
    """Tables of generated crystals: two crystal systems compared, and the groups of a run of PyXtal."""
    folder = root / "results/generated"
    folder.mkdir(parents=True)
    shutil.copy(REPOSITORY / "benchmarks/generators/pyxtal.csv", folder / "groups.csv")
    with (
        (folder / "comparison.csv").open("w", newline="") as comparison,
        (folder / "histograms.csv").open("w", newline="") as histograms,
    ):
        comparison.write("crystal_system,quantity,unit,n,median_real,median_generated,ks,ks_critical\n")
        histograms.write("crystal_system,quantity,low,high,real,generated\n")
        for system in ("cubic", "tetragonal"):
            for i, quantity in enumerate(("volume", "sites")):
                values = [[rng.gauss(5 + shift, 1) for _ in range(100)] for shift in (0, 2 * i)]
                ks = ks_2samp(*values).statistic
                comparison.write(f"{system},{quantity},of something,100,5,{5 + 2 * i},{ks},0.230\n")
                for low in range(12):
                    inside = [sum(low <= v < low + 1 for v in kind) / 100 for kind in values]
                    histograms.write(f"{system},{quantity},{low},{low + 1},{inside[0]},{inside[1]}\n")
    return sorted(folder.glob("*.csv"))


def build(root: Path, families=("cubic", "tetragonal"), n: int = 200, seed: int = 7) -> dict:
    """Write every input below `root` and return the arguments of write_report."""
    rng = random.Random(seed)
    write_ceilings(root / "results/ceilings.csv", root / "results/ceilings.json")
    write_extinction_classes(root / "data/symmetry/extinction_classes.parquet")
    metrics, predictions, histories, lines = [], [], [], []
    for experiment, train_set in (("ulbd", "ulbd-online"), ("cddd", "cddd")):
        for family in families:
            head = {
                "experiment": experiment,
                "train_set": train_set,
                "family": family,
                "model": "logq",
                "seed": 0,
            }
            model = root / f"models/{experiment}/{family}/seed-0"
            model.mkdir(parents=True)
            card = {**head, "target": "extinction_class", "seconds": 12.5, "device": "cpu, float32"}
            card["architecture"] = {"name": "logq", "parameters": 123456}
            told = {"model": "logq", "train": train_set, "patterns": 20480}
            card["training"] = {"experiment": told, "family": head["family"], "seed": head["seed"]}
            (model / "card.json").write_text(json.dumps(card))
            with (model / "history.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(
                    ["step", "patterns", "loss", "accuracy", "validation_accuracy", "validation_ceiling"]
                )
                for i in range(1, 9):
                    writer.writerow([i * 10, i * 2560, 1 / i, 1 - 1 / i, 1 - 0.9 / i, 1.0])
            histories.append(model / "history.csv")
            for test_set in ("ulbd", "cddd"):
                groups = list(space_groups(family))
                weights = [1] * len(groups) if test_set == "ulbd" else [rng.random() ** 4 for _ in groups]
                table = draw_predictions(
                    rng, family, rng.choices(groups, weights, k=n), SKILL.get((train_set, test_set), 0.3)
                )
                stem = root / f"results/evaluation/{experiment}/{family}/seed-0/{test_set}"
                write_parquet(stem.with_suffix(".parquet"), [table], PREDICTIONS)
                head_of_test = {**head, "test_set": test_set, "seconds": 0.5, "device": "cpu, float32"}
                stem.with_suffix(".json").write_text(json.dumps(records_of(table, head_of_test)))
                metrics.append(stem.with_suffix(".json"))
                predictions.append(stem.with_suffix(".parquet"))
    curves = [write_curves(root, rng), *write_evidence(root, rng)]
    for dataset in ("cddd", "ulbd"):
        for family in families:
            path = root / f"data/{dataset}/{family}.parquet"
            write_parquet(path, [draw_lines(rng, dataset, family, 24)], LINES)
            lines.append(path)
        (root / f"data/{dataset}/manifest.json").write_text(json.dumps({"samples": {"cubic": 24}}))
    quarantine = root / "data/structures/quarantine.parquet"
    rejected = [
        {
            "structure_id": f"files:{i}",
            "stage": "fetch",
            "reason": reason,
            "detail": "a < b & c",
            "raw_sha256": None,
        }
        for i, reason in enumerate(["unreadable", "unreadable", "duplicate"])
    ]
    write_parquet(quarantine, [pa.Table.from_pylist(rejected, schema=QUARANTINE)], QUARANTINE)
    return {
        "paths": ReportPaths(
            metrics=metrics,
            predictions=predictions,
            ceilings=root / "results/ceilings.json",
            classes=root / "data/symmetry/extinction_classes.parquet",
            manifests=[root / f"data/{name}/manifest.json" for name in ("cddd", "ulbd")],
            quarantine=[quarantine],
            histories=histories,
            curves=curves,
            lines=lines,
            **write_measured(root),
        ),
        "outputs": ReportOutputs(
            html=root / "results/report.html",
            metrics=root / "results/metrics.json",
            summary=root / "results/summary",
            provenance=root / "results/provenance.json",
            tables=root / "results/plots",
        ),
        "config": yaml.safe_load((REPOSITORY / "config/config.yaml").read_text()),
        "provenance": {"configuration": "sha256 1234", "software": {"xtinct": "0", "torch": "2"}},
    }


SHARES = {"top1": 0.75, "top1_low": 0.3, "top1_high": 0.95, "top5": 1.0, "ceiling1": 0.9, "counted1": 0.85}


def measured_record(**changed):
    """A record on measured patterns, as `xtinct.evaluation.measured_answers.records_of` makes them."""
    about = {"set": "mine", "method": "index", "laboratory": "all", "target": "extinction_class", "n": 4}
    more = {"failed": 0, "known": 1, "sure_right": 2, "sure_n": 3, "seconds": 1.25, "ece": 0.125, "held": 0.5}
    return {**about, **more, **SHARES, **changed}


def audited(name, verdict, reasons=(), detail=""):
    """A row of AUDIT."""
    return {
        **dict.fromkeys(AUDIT.names),
        **{"pattern_id": name, "laboratory": "bench", "verdict": verdict, "reasons": list(reasons)},
        **{"detail": detail, "points": 9, "two_theta_min": 5.0, "two_theta_max": 9.0, "turning": 1.0},
        **({"counts": 12_345.6, "peaks": 7, "class_ceiling": 0.625} if verdict == "pass" else {}),
    }


AUDITED = [audited("mine:a", "pass"), audited("mine:b", "reject", ["few_counts"], "too few counts (about 7)")]


def write_measured(root):
    """What was said of a set of measured patterns, and its audit."""
    metrics, audit = root / "results/measured/mine/index.json", root / "data/audit/mine.parquet"
    metrics.parent.mkdir(parents=True)
    metrics.write_text(json.dumps([measured_record()]))
    write_parquet(audit, [pa.Table.from_pylist(AUDITED, schema=AUDIT)], AUDIT)
    return {"measured": [metrics], "audits": [audit]}


@pytest.fixture(scope="session")
def measured_records():
    """`measured_record`, and rows of an audit."""
    return measured_record, AUDITED


@pytest.fixture(scope="session")
def report(tmp_path_factory) -> dict:
    """Arguments of a report that has been written."""
    arguments = build(tmp_path_factory.mktemp("build"))
    write_report(**arguments)
    return arguments


@pytest.fixture
def build_inputs():
    """`build`, for tests that change an input before the report is written."""
    return build


@pytest.fixture
def predictions_of():
    """`draw_predictions`, for tests that need one table."""
    return draw_predictions
