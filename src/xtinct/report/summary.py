"""Three sentences on what holds and what does not, computed from the numbers."""

from collections.abc import Iterable, Mapping, Sequence

from xtinct.learning.metrics import wilson_interval
from xtinct.report.tables import Row, in_order, percent, set_name
from xtinct.symmetry.families import FAMILIES

TARGET_NAMES = {
    "extinction_class": "extinction class",
    "spacegroup": "space group",
    "crystal_system": "crystal system",
    "bravais_lattice": "Bravais lattice",
    "laue_class": "Laue class",
    "point_group": "point group",
}


def is_ulbd(train_set: str) -> bool:
    """Whether a train set is made by the ULBD recipe: streamed while training, or stored."""
    return train_set in ("ulbd", "ulbd-online")


def _with_interval(row: Mapping) -> str:
    return f"{percent(row['accuracy'])} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def pooled(rows: Sequence[Mapping], confidence: float) -> Row | None:
    """Accuracy of several test sets taken together, each sample with weight one."""
    n = sum(row["n"] for row in rows)
    if n == 0:
        return None
    accuracy = sum(row["accuracy"] * row["n"] for row in rows) / n
    low, high = wilson_interval(round(accuracy * n), n, confidence)
    return {"accuracy": accuracy, "low": low, "high": high, "n": n}


def _reaching_sentence(top1: Sequence[Mapping], target: str) -> str:
    rows = [row for row in top1 if is_ulbd(row["train_set"]) and is_ulbd(row["test_set"])]
    if not rows:
        return (
            "No model trained on ULBD was tested on ULBD, so nothing is said here about reaching the ceiling."
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


def _transfer_sentence(top1: Sequence[Mapping], target: str, confidence: float) -> str:
    on_cddd = [row for row in top1 if row["test_set"] == "cddd"]
    families = {row["family"] for row in on_cddd if is_ulbd(row["train_set"])} & {
        row["family"] for row in on_cddd if row["train_set"] == "cddd"
    }

    def of(is_train_set) -> Row | None:
        # One model per family, the best, so that no family counts twice.
        chosen = {}
        for row in on_cddd:
            if row["family"] in families and is_train_set(row["train_set"]):
                held = chosen.get(row["family"])
                chosen[row["family"]] = row if held is None or row["accuracy"] > held["accuracy"] else held
        return pooled([chosen[family] for family in sorted(chosen)], confidence)

    ulbd, cddd = of(is_ulbd), of(lambda name: name == "cddd")
    if ulbd is None or cddd is None:
        return "No family has both a ULBD-trained and a CDDD-trained model tested on real structures (CDDD)."
    if ulbd["low"] > cddd["high"]:
        judgement = "a difference beyond the intervals, in favour of training on ULBD"
    elif cddd["low"] > ulbd["high"]:
        judgement = "a difference beyond the intervals, in favour of training on CDDD"
    else:
        judgement = "a difference the intervals do not resolve"
    over = "1 family" if len(families) == 1 else f"{len(families)} families together"
    return (
        f"On real structures held out from training (CDDD test sets of {over}, n = {ulbd['n']:,}), "
        f"ULBD-trained models name the {TARGET_NAMES[target]} in {_with_interval(ulbd)} "
        f"and CDDD-trained models in {_with_interval(cddd)}: {judgement}."
    )


def _failing_sentence(top1: Sequence[Mapping], ceilings: Sequence[Mapping]) -> str:
    below = [row for row in top1 if row["against_ceiling"] == "below"]
    above = [row for row in top1 if row["against_ceiling"] == "above"]
    published = [row for row in ceilings if row["published"] is not None]
    differing = [row for row in published if not row["agrees"]]
    parts = []
    if below:
        worst = max(below, key=lambda row: row["ceiling"] - row["accuracy"])
        parts.append(
            f"{len(below)} of {len(top1)} top-1 results stay below their ceiling by more than the interval, "
            f"the furthest being {worst['family']} trained on {set_name(worst['train_set'])} "
            f"and tested on {set_name(worst['test_set'])} "
            f"({_with_interval(worst)} against {percent(worst['ceiling'])})"
        )
    elif top1 and not above:
        parts.append(f"all {len(top1)} top-1 results hold their ceiling within the interval")
    if above:
        parts.append(
            f"{len(above)} {'lies above its' if len(above) == 1 else 'lie above their'} ceiling, which "
            "absences alone cannot explain (intensities of real crystals carry more symmetry than that)"
        )
    if published:
        agreeing = len(published) - len(differing)
        text = f"{agreeing} of the {len(published)} published ceilings are reproduced as printed"
        if differing:
            text += ", except " + ", ".join(
                f"{row['family']} top-{row['k']} "
                f"(printed {row['published']:.1f} %, exact {100 * row['ceiling']:.3f} %)"
                for row in differing
            )
        parts.append(text)
    if not parts:
        return "There are no results to compare with a ceiling."
    text = "; ".join(parts) + "."
    return text[0].upper() + text[1:]


def summary_sentences(
    averaged: Iterable[Mapping], ceilings: Sequence[Mapping], confidence: float
) -> tuple[str, str, str]:
    """What reaches the ceiling, what carries over to real structures, and what does not hold.

    `averaged`: rows of tables.mean_over_seeds; `ceilings`: rows of tables.ceiling_rows. The
    sentences speak of the extinction class where any model was judged on it, else of the space group.
    """
    rows = [row for row in averaged if row["k"] == 1]
    targets = [t for t in TARGET_NAMES if any(row["target"] == t for row in rows)]
    target = targets[0] if targets else "extinction_class"
    top1 = [row for row in rows if row["target"] == target]
    return (
        _reaching_sentence(rows, target),
        _transfer_sentence(top1, target, confidence),
        _failing_sentence(top1, ceilings),
    )
