"""The tables of the published models: what their page shows is what was measured, and nothing is missing."""

import csv
import importlib.util
from pathlib import Path

import pytest
import yaml

from xtinct.errors import XtinctError
from xtinct.learning.models.simxrd import NAMES, VERSIONS

ROOT = Path(__file__).resolve().parents[3]
ZOO = ROOT / "benchmarks" / "zoo"


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("zoo_readme_tables", ZOO / "readme_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def experiments():
    return yaml.safe_load((ROOT / "config" / "zoo.yaml").read_text(encoding="utf-8"))["experiments"]


@pytest.fixture(scope="module")
def measured():
    with (ZOO / "zoo.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def row(version: str, seed: int, top1: float, test_set: str = "ulbd", **changes: str) -> dict[str, str]:
    """A row of zoo.csv of CNN5 whose interval reaches 0.03 down and 0.04 up."""
    numbers = {"top1": top1, "top1_low": top1 - 0.03, "top1_high": top1 + 0.04}
    numbers |= {"macro_f1": top1 / 2, "ece": 0.05, "cpu_seconds": 2 + seed, "parameters": 12727}
    texts = {"experiment": f"CNN5-{version}", "kind": "simxrd", "name": "CNN5", "version": version}
    texts |= {"train_set": "ulbd-online", "test_set": test_set, "split": "", "target": "crystal_system"}
    texts |= {"remedy": "", "learning_rate": "0.00025", "patterns": "6400", "seed": str(seed)}
    return texts | {key: str(value) for key, value in numbers.items()} | changes


def pair(test_set: str, before: tuple[float, ...], after: tuple[float, ...]) -> list[dict[str, str]]:
    return [
        row(version, seed, top1, test_set)
        for version, of_seeds in zip(VERSIONS, (before, after), strict=True)
        for seed, top1 in enumerate(of_seeds)
    ]


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n")[2:]]


def test_the_page_shows_the_numbers_of_the_tables(tables):
    page = (ZOO / "README.md").read_text(encoding="utf-8")
    assert tables.written(page, ZOO) == page, "run benchmarks/zoo/readme_tables.py"


def test_seeds_are_one_row_of_means_and_the_best_model_stands_first(tables):
    rows = [row("as-published", 0, 0.3), row("repaired", 0, 0.4), row("repaired", 1, 0.6)]
    shown = cells(tables.tables_of(rows, [], [])["### Lattices drawn while training"])
    best = ["CNN5", "repaired", "0.00025", "12,727", "6,400", "2.5"]
    other = ["CNN5", "as-published", "0.00025", "12,727", "6,400", "2.0"]
    assert shown == [
        [*best, "50.0 (47.0-54.0); 2 seeds 40.0-60.0", "25.0", "5.0"],
        [*other, "30.0 (27.0-34.0)", "15.0", "5.0"],
    ]


def test_a_repair_is_worth_the_difference_at_the_same_rate_and_budget(tables):
    rows = pair("ulbd", (0.2, 0.3), (0.4, 0.5)) + pair("cddd-random", (0.3, 0.3), (0.2, 0.2))
    shown = cells(tables.tables_of(rows, [], [])["### What the repair is worth"])
    # Both ends of a difference of two intervals that reach 3 down and 4 up lie 5 away.
    lattices = ["25.0", "45.0", "+20.0 (+15.0 to +25.0)"]
    structures = ["30.0", "20.0", "-10.0 (-15.0 to -5.0)"]
    assert shown == [["CNN5", "crystal system", "0.00025", "6,400", "2", *lattices, *structures]]


def test_a_pair_that_was_asked_about_structures_alone_has_no_number_for_lattices(tables):
    (shown,) = cells(
        tables.tables_of(pair("cddd-random", (0.3,), (0.2,)), [], [])["### What the repair is worth"]
    )
    assert shown[5:8] == ["–"] * 3
    assert shown[8:10] == ["30.0", "20.0"]


@pytest.mark.parametrize(("key", "value"), [("learning_rate", "0.0025"), ("patterns", "160")])
def test_models_of_different_rate_or_budget_are_no_pair(tables, key, value):
    rows = pair("ulbd", (0.2,), (0.4,)) + pair("cddd-random", (0.3,), (0.2,))
    for other in rows:
        if other["version"] == "repaired":
            other[key] = value
    assert cells(tables.tables_of(rows, [], [])["### What the repair is worth"]) == []


def test_each_version_is_shown_at_the_rate_that_suits_it_best_on_lattices(tables):
    rows = []
    for rate, lattices, structures in (
        ("0.00025", (0.5, 0.2), (0.1, 0.2)),
        ("0.0025", (0.3, 0.4), (0.9, 0.3)),
    ):
        for test, shares in (("ulbd", lattices), ("cddd-random", structures)):
            of_rate = pair(test, *((share,) for share in shares))
            rows += [r | {"learning_rate": rate, "experiment": f"{r['experiment']}-{rate}"} for r in of_rate]
    heading = "### At the better of two rates"
    (shown,) = cells(tables.tables_of(rows, [], [])[heading])
    assert shown[:5] == ["CNN5", "0.00025", "0.0025", "50.0", "40.0"]
    assert shown[6:8] == ["10.0", "30.0"]
    one_rate = [r for r in rows if r["learning_rate"] == "0.0025" or r["version"] == "repaired"]
    assert cells(tables.tables_of(one_rate, [], [])[heading]) == []


def test_a_page_without_a_heading_or_its_table_is_refused(tables):
    page = (ZOO / "README.md").read_text(encoding="utf-8")
    with pytest.raises(XtinctError, match="### Rare systems"):
        tables.written(page.replace("### Rare systems", "### Others"), ZOO)
    # Not the next section's table in place of its own.
    before, heading, after = page.partition("### Rare systems")
    section, line, others = after.partition("\n#")
    without = "".join([before, heading, section.replace("|", ""), line, others])
    with pytest.raises(XtinctError, match="### Rare systems"):
        tables.written(without, ZOO)


def test_the_configuration_has_every_network_in_both_versions(experiments):
    models = yaml.safe_load((ROOT / "config" / "zoo.yaml").read_text(encoding="utf-8"))["models"]
    asked = {
        (models[e["model"]]["name"], models[e["model"]]["version"], e["training"]["learning_rate"])
        for e in experiments.values()
        if models[e["model"]]["kind"] == "simxrd"
    }
    assert {(name, version, 0.00025) for name in NAMES for version in VERSIONS} <= asked


def test_every_experiment_has_run_to_its_end(experiments, measured):
    asked = {
        (name, str(seed), test, str(experiment["patterns"]))
        for name, experiment in experiments.items()
        for seed in experiment["seeds"]
        for test in experiment["tests"]
    }
    assert asked == {
        tuple(r[key] for key in ("experiment", "seed", "test_set", "patterns")) for r in measured
    }
