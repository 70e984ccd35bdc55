"""Three sentences on what holds and what does not, computed from the numbers."""

import math
from collections.abc import Iterable, Mapping, Sequence

from xtinct.report.formatting import TARGET_NAMES, Row, in_order, interval, is_ulbd, percent
from xtinct.report.results import Results
from xtinct.report.section import Content
from xtinct.report.sections.claims import BEYOND, FAILS, HOLDS, SEED_PAPER, UNRESOLVED, UNTESTED, claims_of
from xtinct.symmetry.families import FAMILIES


def content(results: Results) -> Content:
    """The sentences, and the confidence level of their intervals."""
    return Content(
        {
            "sentences": summary_sentences(results.averaged, claims_of(results)),
            "confidence": results.confidence,
        }
    )


def _with_interval(row: Mapping) -> str:
    return f"{percent(row['accuracy'])} {interval(row)}"


def pooled(rows: Sequence[Mapping]) -> Row | None:
    """Accuracy of several test sets taken together, each sample with weight one.

    The interval comes from theirs: distances to the bounds add as squares (Zou and Donner 2008,
    Statistics in Medicine 27, 1693).
    """
    n = sum(row["n"] for row in rows)
    if n == 0:
        return None
    accuracy = sum(row["accuracy"] * row["n"] for row in rows) / n
    below, above = (
        math.hypot(*(row["n"] / n * (row["accuracy"] - row[bound]) for row in rows))
        for bound in ("low", "high")
    )
    return {
        "accuracy": accuracy,
        "low": max(0.0, accuracy - below),
        "high": min(1.0, accuracy + above),
        "n": n,
    }


def _reaching_sentence(top1: Sequence[Mapping], target: str) -> str:
    rows = [row for row in top1 if is_ulbd(row["train_set"]) and is_ulbd(row["test_set"])]
    if not rows:
        return (
            f"No model that names the {TARGET_NAMES[target]} was trained and tested on ULBD: whether models "
            "reach the ceiling is not shown here."
        )
    parts = []
    for family in in_order((row["family"] for row in rows), FAMILIES):
        best = max((row for row in rows if row["family"] == family), key=lambda row: row["accuracy"])
        parts.append((best["accuracy"] / best["ceiling"], family, best))
    low, high = min(p[0] for p in parts), max(p[0] for p in parts)
    share = percent(low) if percent(low) == percent(high) else f"{percent(low)} to {percent(high)}"
    listed = "; ".join(
        f"{family} {_with_interval(row)} of {percent(row['ceiling'])}" for _, family, row in parts
    )
    return (
        f"On the ULBD test sets, models trained on ULBD reach {share} of the top-1 ceiling "
        f"for the {TARGET_NAMES[target]} ({listed})."
    )


def _judgement(ulbd: Mapping, cddd: Mapping) -> str:
    """What the intervals say of two pooled accuracies."""
    if ulbd["low"] > cddd["high"]:
        return "a difference beyond the intervals, in favour of training on ULBD"
    if cddd["low"] > ulbd["high"]:
        return "a difference beyond the intervals, in favour of training on CDDD"
    return "a difference the intervals do not resolve"


def _transfer_sentence(top1: Sequence[Mapping], target: str) -> str:
    on_cddd = [row for row in top1 if row["test_set"] == "cddd"]
    kinds = {"ULBD": is_ulbd} | {
        kind.upper(): lambda name, kind=kind: name == kind for kind in ("cddd", "gcdd", "observer")
    }
    families = {
        kind: {row["family"] for row in on_cddd if is_kind(row["train_set"])}
        for kind, is_kind in kinds.items()
    }
    common = families["ULBD"] & families["CDDD"]

    def of(kind: str) -> Row | None:
        # One model per family, the best, so that no family counts twice.
        chosen = {}
        for row in on_cddd:
            if row["family"] in common and kinds[kind](row["train_set"]):
                held = chosen.get(row["family"])
                chosen[row["family"]] = row if held is None or row["accuracy"] > held["accuracy"] else held
        return pooled([chosen[family] for family in sorted(chosen)])

    ulbd, cddd = of("ULBD"), of("CDDD")
    if ulbd is None or cddd is None:
        return "No family has both a ULBD-trained and a CDDD-trained model tested on real structures (CDDD)."
    over = "1 family" if len(common) == 1 else f"{len(common)} families together"
    others = "".join(
        f"; {name} {_with_interval(of(kind))}"
        for kind, name in (
            ("GCDD", "GCDD-trained models:"),
            ("OBSERVER", "the Observer, which is not trained:"),
        )
        if common <= families[kind]
    )
    return (
        f"On real structures held out from training (CDDD test sets of {over}, n = {ulbd['n']:,}), "
        f"ULBD-trained models name the {TARGET_NAMES[target]} in {_with_interval(ulbd)} "
        f"and CDDD-trained models in {_with_interval(cddd)}: {_judgement(ulbd, cddd)}{others}."
    )


def _lowered(text: str) -> str:
    return text[0].lower() + text[1:]


def _claims_sentence(claims: Sequence[Mapping]) -> str:
    """How many of the paper's claims hold; where they do not wholly, which, and what was found."""
    tried = [claim for claim in claims if claim["figure"] != BEYOND and claim["verdict"] != UNTESTED]
    if not tried:
        return f"This build tests no claim of {SEED_PAPER}."
    holding = [claim for claim in tried if claim["verdict"] == HOLDS]
    failing = [claim for claim in tried if claim["verdict"] == FAILS]
    unresolved = [claim for claim in tried if claim["verdict"] == UNRESOLVED]
    partly = [claim for claim in tried if claim["verdict"].startswith(f"{HOLDS} in")]

    def listed(found: Sequence[Mapping], one: str, many: str, described: bool) -> list[str]:
        if not found:
            return []
        names = [
            _lowered(claim["figure"])
            + (f": {_lowered(claim['claim'])}" if described else "")
            + (f", {claim['verdict'].removeprefix('holds in ')}" if claim in partly else "")
            for claim in found
        ]
        return [f"{len(found)} {one if len(found) == 1 else many} ({'; '.join(names)})"]

    parts = [
        *listed(holding, "holds", "hold", False),
        *listed(partly, "holds in part", "hold in part", False),
        *listed(failing, "does not", "do not", True),
        *listed(unresolved, "is not resolved", "are not resolved", False),
    ]
    count = f"{len(tried)} {'claim' if len(tried) == 1 else 'claims'}"
    return f"This build tests {count} of {SEED_PAPER}: {', '.join(parts)}."


def summary_sentences(averaged: Iterable[Mapping], claims: Sequence[Mapping]) -> tuple[str, str, str]:
    """What reaches the ceiling, what carries over to real structures, and which claims hold.

    `averaged`: rows of tables.mean_over_seeds; `claims`: rows of claims.claim_rows. The first two
    sentences speak of the extinction class where any model was judged on it, else of the space group.
    """
    rows = [row for row in averaged if row["k"] == 1]
    targets = [t for t in TARGET_NAMES if any(row["target"] == t for row in rows)]
    target = targets[0] if targets else "extinction_class"
    top1 = [row for row in rows if row["target"] == target]
    return (
        _reaching_sentence(top1, target),
        _transfer_sentence(top1, target),
        _claims_sentence(claims),
    )
