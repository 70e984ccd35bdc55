"""Claims of the seed paper: the verdict follows the numbers, and nothing is said without any."""

import copy

import pytest

from xtinct.report.sections.certainty import size_charts, training_sizes
from xtinct.report.sections.claims import FAILS, HOLDS, UNRESOLVED, UNTESTED, claim_rows

CONFIG = {
    "variants": {
        "told": {"of": "ulbd", "ranges": "cddd"},
        "fresh": {"of": "ulbd", "lattices": {"kind": "continuous", "count": 5}},
        "coarse": {"of": "ulbd", "lattices": {"step": 0.5}},
        "mixed": {"of": "cddd", "split": "random"},
        "boxed": {"of": "cddd", "lines": {"convention": "wang2025"}},
    },
    "splits": {"cddd": "protostructure", "ulbd": "draw"},
    "ulbd": {"lattices": {"cubic": {"kind": "mesh", "step": 0.1, "draws": 5}}},
}
#: Top-2 of the 36 cubic groups (Wang et al. 2025, Table I: 72.2 %).
SECOND = {"k": 2, "ceiling": 26 / 36}
PUBLISHED = {
    "table_1": {"cubic": [47.2, 72.2]},
    "figure_8": {"family": "cubic", "balanced": 47.5, "above": 80},
}


def row(train, test, accuracy, target="spacegroup", k=1, ceiling=17 / 36, **changes):
    """An averaged row with an interval of two percentage points on either side."""
    return {
        "experiment": train,
        "train_set": train,
        "test_set": test,
        "target": target,
        "trained_target": target,
        "family": "cubic",
        "model": "fcn13",
        "k": k,
        "accuracy": accuracy,
        "low": accuracy - 0.02,
        "high": accuracy + 0.02,
        "ceiling": ceiling,
        "n": 1000,
        **changes,
    }


def verdicts(rows, ceilings=()):
    found = claim_rows(rows, list(ceilings), PUBLISHED, CONFIG)
    return {(claim["figure"], claim["claim"].split()[0]): claim["verdict"] for claim in found}


def test_what_was_not_tried_is_not_judged():
    assert set(verdicts([]).values()) == {UNTESTED}


@pytest.mark.parametrize(
    ("rows", "key", "expected"),
    [
        ([row("cddd", "cddd", 0.7), row("cddd", "gcdd", 0.3)], ("Figure 5", "A"), HOLDS),
        ([row("cddd", "cddd", 0.7), row("cddd", "gcdd", 0.8)], ("Figure 5", "A"), FAILS),
        ([row("cddd", "cddd", 0.7), row("cddd", "gcdd", 0.69)], ("Figure 5", "A"), UNRESOLVED),
        ([row("told", "told", 0.8)], ("Figure 8", "If"), HOLDS),
        ([row("told", "told", 0.48)], ("Figure 8", "If"), FAILS),
        ([row("ulbd", "ulbd", 0.47), row("ulbd", "ulbd", 0.72, **SECOND)], ("Figure 9", "Models"), HOLDS),
        ([row("ulbd", "ulbd", 0.47), row("ulbd", "ulbd", 0.62, **SECOND)], ("Figure 9", "Models"), FAILS),
        ([row("ulbd", "ulbd", 0.47), row("ulbd", "fresh", 0.46)], ("Beyond the paper", "The"), HOLDS),
        ([row("ulbd", "ulbd", 0.47), row("told", "told", 0.6)], ("Figure 8", "If"), "holds in 1 of 2"),
        ([row("ulbd", "ulbd", 0.47), row("coarse", "ulbd", 0.3)], ("Figure S1", "Coarser"), HOLDS),
        ([row("ulbd", "ulbd", 0.47), row("coarse", "ulbd", 0.46)], ("Figure S1", "Coarser"), UNRESOLVED),
        (
            [row("ulbd", "ulbd", 0.47, family="all"), row("coarse", "ulbd", 0.3, family="all")],
            ("Figure S1", "Coarser"),
            UNTESTED,
        ),
        ([row("ulbd", "cddd", 0.9), row("ulbd", "boxed", 0.8)], ("Beyond the paper", "Cutting"), FAILS),
        ([row("mixed", "mixed", 0.6), row("cddd", "cddd", 0.3)], ("Beyond the paper", "A"), HOLDS),
    ],
)  # fmt: skip
def test_a_verdict_follows_the_intervals(rows, key, expected):
    assert verdicts(rows)[key] == expected


def test_two_families_that_disagree_are_counted():
    rows = [row("cddd", "cddd", 0.7), row("cddd", "gcdd", 0.3)]
    other = [
        {**copy.copy(r), "family": "tetragonal", "accuracy": 0.3, "low": 0.28, "high": 0.32} for r in rows
    ]
    assert verdicts(rows + other)["Figure 5", "A"] == "holds in 1 of 2"


def test_each_case_is_marked():
    rows = [
        row("cddd", "cddd", 0.7),
        row("cddd", "gcdd", 0.69),
        row("cddd", "cddd", 0.7, family="tetragonal"),
    ]
    rows += [row("cddd", "gcdd", 0.3, family="tetragonal")]
    (claim,) = [c for c in claim_rows(rows, [], PUBLISHED, CONFIG) if c["figure"] == "Figure 5"]
    assert [(f["holds"], f["text"].split(",")[0]) for f in claim["findings"]] == [
        (True, "tetragonal"),
        (None, "cubic"),
    ]


def test_lattices_kept_apart_are_lattices_never_trained_on():
    config = {**CONFIG, "splits": {"cddd": "random", "ulbd": "lattice"}}
    claims = claim_rows([row("ulbd", "ulbd", 0.47)], [], PUBLISHED, config)
    (claim,) = [c for c in claims if "never trained on" in c["claim"]]
    assert claim["verdict"] == HOLDS


def test_results_for_a_target_that_the_model_was_not_trained_for_do_not_count():
    rows = [row("told", "told", 0.8, trained_target="extinction_class")]
    assert verdicts(rows)["Figure 8", "If"] == UNTESTED


def test_training_sets_are_placed_by_the_samples_of_their_train_part():
    counts = {"families": {"cubic": {"splits": {"train": 600, "test": 100}}}}
    variants = {"variants": {"coarse": {"families": {"cubic": {"splits": {"train": 60}}}}}}
    manifests = [{"name": "ulbd", "content": counts}, {"name": "variants", "content": variants}]
    sizes = training_sizes(manifests)
    assert {key: n for key, n in sizes.items() if key[1] == "cubic"} == {
        ("ulbd", "cubic"): 600,
        ("coarse", "cubic"): 60,
    }
    (chart,) = size_charts([row("ulbd", "ulbd", 0.47), row("coarse", "ulbd", 0.3)], sizes)
    (series,) = chart["series"]
    assert [(point[0], point[1]) for point in series["points"]] == [(60, 0.3), (600, 0.47)]


def test_joint_models_are_placed_by_the_samples_of_all_families():
    def families(cubic, triclinic):
        return {
            "families": {
                f: {"splits": {"train": n}}
                for f, n in zip(("cubic", "triclinic"), (cubic, triclinic), strict=True)
            }
        }

    variants = {"variants": {"half": families(250, 150)}}
    manifests = [{"name": "cddd", "content": families(500, 300)}, {"name": "variants", "content": variants}]
    sizes = training_sizes(manifests)
    rows = [row(name, "cddd", accuracy, family="all") for name, accuracy in (("cddd", 0.6), ("half", 0.5))]
    (chart,) = size_charts(rows, sizes)
    assert chart["scope"] == "all"
    (series,) = chart["series"]
    assert [(point[0], point[1]) for point in series["points"]] == [(400, 0.5), (800, 0.6)]
