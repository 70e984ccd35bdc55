import json
from importlib.resources import files

import numpy as np
import pytest

from xtinct.report import formatting, inputs, results
from xtinct.report.sections.cell_parameters import lattice_histograms
from xtinct.report.sections.claims import BEYOND, FAILS, HOLDS, UNRESOLVED, UNTESTED
from xtinct.report.sections.dropped import quarantine_rows
from xtinct.report.sections.summary import pooled, summary_sentences
from xtinct.scores.metrics import proportion


def record(**changes) -> dict:
    base = {"experiment": "e", "train_set": "ulbd", "test_set": "ulbd", "target": "extinction_class"}
    base |= {"family": "cubic", "model": "m", "seed": 0, "n": 100, "top1": 0.5, "ceiling1": 1.0, **changes}
    if base["n"]:
        base = proportion("top1", round(base["top1"] * base["n"]), base["n"]) | base
    return base


def test_intervals_are_those_of_the_records():
    """They know which samples share a lattice; n alone does not."""
    (row,) = results.accuracy_rows([record(top1=0.5, top1_low=0.31, top1_high=0.69)])
    assert (row["low"], row["high"]) == (0.31, 0.69)


@pytest.mark.parametrize(("accuracy", "expected"), [(0.2, "below"), (0.5, "at"), (0.9, "above")])
def test_a_result_is_judged_by_its_interval(accuracy, expected):
    (row,) = results.accuracy_rows([record(top1=accuracy, ceiling1=0.5)])
    assert row["against_ceiling"] == expected


def test_an_empty_test_set_gives_no_number():
    assert results.accuracy_rows([record(n=0, top1=None, ceiling1=None)]) == []


def test_a_model_of_crystal_systems_has_no_accuracy_of_groups_and_classes():
    of_systems = [
        record(trained_target="crystal_system", target=target)
        for target in ("extinction_class", "spacegroup", "crystal_system")
    ]
    assert {row["target"] for row in results.accuracy_rows(of_systems)} == {"crystal_system"}
    of_groups = [row | {"trained_target": "spacegroup"} for row in of_systems]
    assert len({row["target"] for row in results.accuracy_rows(of_groups)}) == 3


def test_only_a_perfect_score_prints_as_one_hundred():
    assert [formatting.percent(x) for x in (1.0, 0.9997, 0.99996, 0.5, 0.0)] == [
        "100.0 %",
        "99.97 %",
        "99.996 %",
        "50.0 %",
        "0.0 %",
    ]


def test_table_one_agrees_but_for_the_truncated_value(report):
    """The paper prints 80.5 for cubic top-3; 29/36 is 80.556 %. The other 14 values round as printed."""
    published = json.loads(files("xtinct.report").joinpath("published.json").read_text())
    rows = results.ceiling_rows(inputs.read_ceilings(report["paths"].ceilings), published)
    compared = [row for row in rows if row["published"] is not None]
    assert len(compared) == 15
    (differing,) = [row for row in compared if not row["agrees"]]
    assert (differing["family"], differing["k"], differing["fraction"]) == ("cubic", 3, "29/36")


def test_mixtures_are_named_by_their_parts():
    assert formatting.set_name("cddd") == "CDDD"
    assert formatting.set_name("0.5 cddd + gcdd-online") == "0.5 CDDD + GCDD (streamed)"
    assert formatting.set_name("a-variant") == "a-variant"


def test_seeds_are_averaged_and_their_spread_kept():
    rows = results.accuracy_rows([record(seed=s, top1=a) for s, a in ((0, 0.4), (1, 0.6))])
    (mean,) = results.mean_over_seeds(rows)
    assert (mean["seeds"], mean["accuracy"], mean["lowest"], mean["highest"]) == (2, 0.5, 0.4, 0.6)


def test_confusion_counts_every_sample_and_its_diagonal_is_the_accuracy(report):
    evaluations = inputs.read_evaluations(report["paths"].metrics, report["paths"].predictions)
    rows = results.confusion_rows(evaluations)
    for evaluation in evaluations:
        for expected in evaluation.records:
            mine = [
                row
                for row in rows
                if row["kind"] == expected["target"]
                and all(row[key] == expected[key] for key in ("experiment", "family", "test_set", "seed"))
            ]
            assert sum(row["count"] for row in mine) == expected["n"]
            right = sum(row["count"] for row in mine if row["true"] == row["predicted"])
            assert right / expected["n"] == pytest.approx(expected["top1"])


def test_counts_and_histograms_hold_every_sample(report):
    labels = inputs.read_line_labels(report["paths"].lines)
    counts = results.count_rows(labels)
    assert sum(row["count"] for row in counts) == labels.num_rows
    histograms = lattice_histograms(labels)
    assert sum(sum(row["counts"]) for row in histograms if row["parameter"] == "a") == labels.num_rows
    # A cubic lattice has one free parameter, a tetragonal one two.
    assert {row["parameter"] for row in histograms if row["spacegroup_number"] >= 195} == {"a"}
    assert {row["parameter"] for row in histograms if row["spacegroup_number"] == 100} == {"a", "c"}


def test_quarantine_counts_every_entry(report):
    quarantine = inputs.read_quarantine(report["paths"].quarantine)
    rows = quarantine_rows(quarantine)
    assert [(row["reason"], row["count"]) for row in rows] == [("unreadable", 2), ("duplicate", 1)]
    assert rows[0]["example"] == "files:0"


def sentences(records: list[dict], claims=()) -> tuple[str, str, str]:
    averaged = results.mean_over_seeds(results.accuracy_rows(records))
    return summary_sentences(averaged, list(claims))


def test_summary_states_the_share_of_the_ceiling():
    reaching, _, _ = sentences(
        [record(n=1000, top1=0.495, ceiling1=0.5), record(family="tetragonal", top1=1.0)]
    )
    assert "reach 99.0 % to 100.0 % of the top-1 ceiling" in reaching
    assert "cubic 49.5 % [46.4, 52.6] of 50.0 %" in reaching


def transfer(ulbd: float, cddd: float, n: int) -> str:
    return sentences(
        [
            record(test_set="cddd", top1=ulbd, n=n),
            record(test_set="cddd", train_set="cddd", experiment="c", top1=cddd, n=n),
        ]
    )[1]


def test_the_interval_of_pooled_test_sets_comes_from_theirs():
    """Equal sets: the distances shrink by the square root of their number; a wide one is not lost."""
    one = record(n=100, top1=0.8, top1_low=0.7, top1_high=0.88)
    rows = results.accuracy_rows([one | {"seed": seed} for seed in range(4)])
    four = pooled(rows)
    assert (four["n"], four["accuracy"]) == (400, pytest.approx(0.8))
    assert (four["low"], four["high"]) == pytest.approx((0.8 - 0.1 / 2, 0.8 + 0.08 / 2))
    wide = results.accuracy_rows([record(n=300, top1=1.0, top1_low=0.9, top1_high=1.0), one])
    both = pooled(wide)
    assert both["accuracy"] == pytest.approx(0.95)
    assert both["low"] == pytest.approx(0.95 - np.hypot(0.75 * 0.1, 0.25 * 0.1))
    assert pooled([]) is None


def test_summary_compares_train_sets_by_their_intervals():
    assert "in favour of training on ULBD" in transfer(0.9, 0.6, 200)
    assert "in favour of training on CDDD" in transfer(0.6, 0.9, 200)
    assert "do not resolve" in transfer(0.7, 0.6, 20)


def test_summary_weighs_families_by_their_samples():
    records = [
        record(test_set="cddd", train_set=train, experiment=train, family=family, top1=top1, n=n)
        for family, top1, n in (("cubic", 0.9, 100), ("tetragonal", 0.5, 300))
        for train in ("ulbd", "cddd")
    ]
    assert "n = 400), ULBD-trained models name the extinction class in 60.0 %" in sentences(records)[1]


def test_summary_names_training_on_generated_crystals_where_it_covers_the_same_families():
    records = [record(test_set="cddd", train_set=s, experiment=s, top1=0.5) for s in ("ulbd", "cddd", "gcdd")]
    assert sentences(records)[1].endswith("; GCDD-trained models: 50.0 % [40.4, 59.6].")
    other = [{**r, "family": "tetragonal"} for r in records[:2]]
    assert "GCDD" not in sentences([*records, *other])[1]


def test_summary_counts_the_claims_by_their_verdicts():
    def claim(figure: str, verdict: str) -> dict:
        return {"figure": figure, "claim": "It is so", "verdict": verdict}

    claims = [
        claim("Figure 5", HOLDS),
        claim("Figure 8", HOLDS),
        claim("Figure S1", "holds in 1 of 3"),
        claim("Figure 10", FAILS),
        claim("Figure 10", UNRESOLVED),
        claim("Figure 9", UNTESTED),
        claim(BEYOND, FAILS),
    ]
    assert sentences([], claims)[2] == (
        "This build tests 5 claims of the seed paper (Wang et al. 2025): 2 hold (figure 5; figure 8), "
        "1 holds in part (figure S1, 1 of 3), 1 does not (figure 10: it is so), "
        "1 is not resolved (figure 10)."
    )


def test_summary_of_nothing_claims_nothing():
    reaching, carrying, failing = sentences([])
    assert reaching.startswith("No model")
    assert carrying.startswith("No family")
    assert failing == "This build tests no claim of the seed paper (Wang et al. 2025)."
