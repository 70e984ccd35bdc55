"""What the seed paper reports, figure by figure, and whether it holds here: computed from the numbers."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from xtinct.report.formatting import (
    ALL,
    TARGET_NAMES,
    Row,
    in_order,
    interval,
    percent,
    set_name,
)
from xtinct.report.results import Results
from xtinct.report.section import Content
from xtinct.report.sections.accuracy import accuracy_tables, published_lines
from xtinct.symmetry.families import FAMILIES

#: How the report cites it where it is first named.
SEED_PAPER = "the seed paper (Wang et al. 2025)"

#: What the paper finds enough for the lattices of its ULBD (angstrom; draws of each).
FINEST_STEP, FEWEST_DRAWS = 0.1, 5


#: Percentage points that "almost no loss" allows.
SMALL_LOSS = 0.05


HOLDS, FAILS, UNTESTED, UNRESOLVED = "holds", "does not hold", "not tested here", "not resolved"


BEYOND = "Beyond the paper"


#: Where the page shows what a claim was read from.
SECTIONS = {
    "Table I": "ceilings",
    "Figure 5": "accuracy",
    "Figure 8": "learning_curves",
    "Figure 9": "accuracy",
    "Figure 10": "cross",
    "Figure S1": "certainty",
    BEYOND: "accuracy",
}


def claims_of(results: Results) -> list[Row]:
    """Rows of `claim_rows` for this build."""
    return claim_rows(results.averaged, results.ceilings, results.published, results.config)


def content(results: Results) -> Content:
    """Published values beside ours, and the claims with their verdicts."""
    return Content(
        {
            "claims": claims_of(results),
            "published": results.published,
            "published_lines": published_lines(accuracy_tables(results.averaged, results.published)),
        }
    )


def _text(row: Mapping) -> str:
    return f"{percent(row['accuracy'])} {interval(row)}"


def _named(row: Mapping) -> str:
    return f"{row['family']}, {row['experiment']} ({row['model']})"


def _claim(
    figure: str,
    claim: str,
    published: str,
    findings: Sequence[tuple[bool | None, str]],
    experiments: Iterable[str],
) -> Row:
    """`findings`: whether the claim holds, and the numbers, for each family and model that was tried.

    None in place of whether: the intervals do not resolve it.
    """
    findings = sorted(findings, key=lambda finding: (finding[0] is None, not finding[0]))
    right = sum(holds is True for holds, _ in findings)
    if not findings:
        verdict = UNTESTED
    elif all(holds is None for holds, _ in findings):
        verdict = UNRESOLVED
    elif right in (0, len(findings)):
        verdict = HOLDS if right else FAILS
    else:
        verdict = f"holds in {right} of {len(findings)}"
    return {
        "figure": figure,
        "claim": claim,
        "published": published,
        "ours": "; ".join(text for _, text in findings),
        "findings": [{"holds": holds, "text": text} for holds, text in findings],
        "verdict": verdict,
        "section": SECTIONS[figure],
        "experiments": ", ".join(dict.fromkeys(experiments)),
    }


def _falls(row: Mapping, other: Mapping) -> bool | None:
    """Whether `other` lies below `row`: None where their intervals overlap."""
    if other["high"] < row["low"]:
        return True
    return False if other["low"] > row["high"] else None


def _pairs(
    rows: Sequence[Mapping], first: Callable[[Mapping], bool], second: Callable[[Mapping], bool]
) -> list[tuple[Mapping, Mapping]]:
    """Rows of one model on two test sets."""

    def key(row: Mapping) -> tuple:
        return row["family"], row["experiment"], row["model"], row["target"]

    others = {key(row): row for row in rows if second(row)}
    chosen = [(row, others[key(row)]) for row in rows if first(row) and key(row) in others]
    return sorted(chosen, key=lambda pair: ((*FAMILIES, ALL).index(pair[0]["family"]), _named(pair[0])))


def claim_rows(
    averaged: Iterable[Mapping], ceilings: Sequence[Mapping], published: Mapping, config: Mapping
) -> list[Row]:
    """One row per claim: figure, claim, published value, ours, verdict and the experiments it was read from.

    `ours` is the text of all `findings`; each of those says whether the claim holds in one case, and the
    verdict sums them up. `section` is where the page shows the numbers.
    `averaged`: rows of tables.mean_over_seeds; `ceilings`: rows of tables.ceiling_rows; `published`: the
    content of published.json. Only results for the target that a model was trained for count, but for
    figure 9: a model of classes that names groups by their frequency reaches the same ceiling.
    """
    averaged = list(averaged)
    rows = [row for row in averaged if row["trained_target"] == row["target"]]
    top1 = [row for row in rows if row["k"] == 1]
    variants = config["variants"]
    of = {name: variant["of"] for name, variant in variants.items()}
    return [
        _table_1(ceilings),
        _figure_5(top1),
        _figure_8(top1, {name for name, variant in variants.items() if "ranges" in variant}, published),
        _figure_9(averaged, ceilings, published),
        *_figure_10(top1),
        *_figure_s1(top1, config),
        _unseen_lattices(top1, config),
        _splits(top1, of, config),
        _convention(top1, variants),
    ]


def _table_1(ceilings: Sequence[Mapping]) -> Row:
    printed = [row for row in ceilings if row["published"] is not None]
    findings = [
        (
            bool(row["agrees"]),
            f"{row['family']} top-{row['k']} printed {row['published']}, exact {100 * row['ceiling']:.3f} %",
        )
        for row in printed
        if not row["agrees"]
    ]
    agreeing = len(printed) - len(findings)
    claim = "Ceilings of three families, top-1 to top-5"
    values = "; ".join(
        f"{family} {' / '.join(str(row['published']) for row in printed if row['family'] == family)}"
        for family in in_order((row["family"] for row in printed), FAMILIES)
    )
    row = _claim("Table I", claim, values, findings, [])
    if printed:
        row["findings"] = [{"holds": True, "text": f"{agreeing} as printed"}, *row["findings"]]
        row["ours"] = "; ".join(finding["text"] for finding in row["findings"])
        row["verdict"] = HOLDS if not findings else f"holds in {agreeing} of {len(printed)}"
    return row


def _figure_5(top1: Sequence[Mapping]) -> Row:
    pairs = _pairs(
        [row for row in top1 if row["target"] == "spacegroup" and row["train_set"] == "cddd"],
        lambda row: row["test_set"] == "cddd",
        lambda row: row["test_set"] == "gcdd",
    )
    findings = [
        (_falls(cddd, gcdd), f"{_named(cddd)}: {_text(cddd)} on CDDD, {_text(gcdd)} on GCDD")
        for cddd, gcdd in pairs
    ]
    claim = "A space group model trained on real structures falls on generated ones"
    return _claim("Figure 5", claim, "falls strongly", findings, [p[0]["experiment"] for p in pairs])


def _figure_8(top1: Sequence[Mapping], ranged: set[str], published: Mapping) -> Row:
    mine = [row for row in top1 if row["target"] == "spacegroup"]
    own = [row for row in mine if row["train_set"] in ranged and row["test_set"] == row["train_set"]]
    told, same = published["figure_8"]["above"], published["figure_8"]["balanced"]
    findings = []
    for row in own:
        balanced = [
            r
            for r in mine
            if r["family"] == row["family"]
            and r["model"] == row["model"]
            and (r["train_set"], r["test_set"]) == ("ulbd", "ulbd")
        ]
        beside = "".join(f", same lattices for every group {_text(r)}" for r in balanced)
        text = f"{_named(row)}: {_text(row)}{beside}, ceiling of absences {percent(row['ceiling'])}"
        findings.append((_falls(row, balanced[0]) if balanced else row["low"] > row["ceiling"], text))
        if row["family"] == published["figure_8"]["family"]:
            findings.append(
                (100 * row["high"] >= told, f"{_named(row)}: {_text(row)} of the printed {told} %")
            )
    claim = "If each group keeps its own range of lattices, the lattice alone raises the accuracy"
    values = f"{published['figure_8']['family']}: above {told} % against {same} % with the same lattices"
    return _claim("Figure 8", claim, values, findings, [row["experiment"] for row in own])


def _figure_9(rows: Sequence[Mapping], ceilings: Sequence[Mapping], published: Mapping) -> Row:
    """Against the ceiling of equally frequent groups: chance differences of a part cannot be learned."""
    uniform = {(r["family"], r["k"]): r["ceiling"] for r in ceilings if r["target"] == "spacegroup"}
    mine = [
        {**row, "ceiling": min(row["ceiling"], uniform.get((row["family"], row["k"]), 1.0))}
        for row in rows
        if row["target"] == "spacegroup"
        and row["train_set"] in ("ulbd", "ulbd-online")
        and row["test_set"] == "ulbd"
    ]
    findings = []
    for family in in_order((row["family"] for row in mine), FAMILIES):
        for experiment in dict.fromkeys(row["experiment"] for row in mine if row["family"] == family):
            line = sorted(
                (row for row in mine if (row["family"], row["experiment"]) == (family, experiment)),
                key=lambda row: row["k"],
            )
            reached = all(row["high"] + 1e-9 >= row["ceiling"] for row in line)
            values = " / ".join(f"{100 * row['accuracy']:.1f}" for row in line)
            ceilings_text = " / ".join(f"{100 * row['ceiling']:.1f}" for row in line)
            findings.append((reached, f"{_named(line[0])}: {values} of {ceilings_text}"))
    claim = "Models trained on ULBD lie on the ceilings, top-1 to top-5"
    values = "; ".join(
        f"{family} {' / '.join(map(str, values))}" for family, values in published["table_1"].items()
    )
    return _claim("Figure 9", claim, values, findings, [row["experiment"] for row in mine])


def _figure_10(top1: Sequence[Mapping]) -> list[Row]:
    classes = [row for row in top1 if row["target"] == "extinction_class"]

    def crossed(train: tuple[str, ...], own: str, other: str) -> list[tuple[Mapping, Mapping]]:
        trained = [row for row in classes if row["train_set"] in train]
        return _pairs(trained, lambda r: r["test_set"] == own, lambda r: r["test_set"] == other)

    kept = crossed(("ulbd", "ulbd-online"), "ulbd", "cddd")
    lost = crossed(("cddd",), "cddd", "ulbd")
    allowed = f"{100 * SMALL_LOSS:.0f} percentage points"
    return [
        _claim(
            "Figure 10",
            f"Class models trained on ULBD lose almost nothing (here: at most {allowed}) on real structures",
            "almost no loss",
            [
                (a["accuracy"] - b["accuracy"] <= SMALL_LOSS, f"{_named(a)}: {_text(a)}, then {_text(b)}")
                for a, b in kept
            ],
            [a["experiment"] for a, _ in kept],
        ),
        _claim(
            "Figure 10",
            "Class models trained on real structures fall on ULBD",
            "falls",
            [(_falls(a, b), f"{_named(a)}: {_text(a)}, then {_text(b)}") for a, b in lost],
            [a["experiment"] for a, _ in lost],
        ),
    ]


def _size(lattice: Mapping, family: str) -> tuple[float, str]:
    """Step of a mesh, or of the mesh with as many lattices (angstrom), and the size as text."""
    if lattice["kind"] == "mesh":
        return lattice["step"], f"step {lattice['step']} Å, {lattice['draws']} draws"
    low, high = lattice["lengths"]
    free = FAMILIES[family].free_lengths
    step = (high - low) / lattice["count"] ** (1 / free)
    text = f"{lattice['count']} lattices (as a mesh of {step:.2g} Å), {lattice['draws']} draws"
    return step, text


def _figure_s1(top1: Sequence[Mapping], config: Mapping) -> list[Row]:
    """Meshes and draws of the variants beside those of the dataset itself, on the same test set."""
    variants = config["variants"]
    sized = {name for name, v in variants.items() if v["of"] == "ulbd" and "lattices" in v}
    mine = [row for row in top1 if row["target"] == "spacegroup"]
    enough, coarse, used = [], [], {True: [], False: []}
    # Of a joint model every family has lattices of its own.
    for row in (row for row in mine if row["train_set"] in sized and row["family"] != ALL):
        base = [
            r
            for r in mine
            if r["train_set"] == "ulbd" and all(r[key] == row[key] for key in ("family", "model", "test_set"))
        ]
        if not base:
            continue
        lattice = {**config["ulbd"]["lattices"][row["family"]], **variants[row["train_set"]]["lattices"]}
        step, size = _size(lattice, row["family"])
        fine = step <= FINEST_STEP + 1e-9 and lattice["draws"] >= FEWEST_DRAWS
        text = (
            f"{row['family']}, tested on {set_name(row['test_set'])}, {size}: "
            f"{_text(row)} against {_text(base[0])}"
        )
        if fine:
            enough.append((row["high"] >= base[0]["low"], text))
        else:
            coarse.append((_falls(base[0], row), text))
        used[fine].append(row["experiment"])
    bounds = f"step ≤ {FINEST_STEP} Å, draws ≥ {FEWEST_DRAWS}"
    return [
        _claim("Figure S1", f"A mesh of {bounds} is enough", bounds, enough, used[True]),
        _claim("Figure S1", "Coarser meshes or fewer draws fall short", bounds, coarse, used[False]),
    ]


def _unseen_lattices(top1: Sequence[Mapping], config: Mapping) -> Row:
    """On lattices off the mesh, or on ULBD's own where that keeps the lattices of its parts apart."""
    variants = config["variants"]
    fresh = {
        name
        for name, v in variants.items()
        if v["of"] == "ulbd" and v.get("lattices", {}).get("kind") == "continuous"
    }
    if config["splits"]["ulbd"] == "lattice":
        own = [row for row in top1 if row["train_set"] == "ulbd" == row["test_set"]]
        findings = [
            (
                row["high"] + 1e-9 >= row["ceiling"],
                f"{_named(row)}: {_text(row)} of {percent(row['ceiling'])}",
            )
            for row in own
        ]
        claim = "A model reaches the ceiling on lattices it was never trained on"
        used = [row["experiment"] for row in own]
        return _claim(BEYOND, claim, "tested on lattices of training", findings, used)
    pairs = _pairs(
        [row for row in top1 if row["train_set"] == "ulbd"],
        lambda row: row["test_set"] == "ulbd",
        lambda row: row["test_set"] in fresh,
    )
    findings = [
        (b["high"] >= a["low"], f"{_named(a)}: {_text(a)} on ULBD, {_text(b)} off its mesh") for a, b in pairs
    ]
    claim = "The same model is as accurate on lattices that it was never trained on"
    published = "tested on lattices of training"
    return _claim(BEYOND, claim, published, findings, [p[0]["experiment"] for p in pairs])


def _convention(top1: Sequence[Mapping], variants: Mapping) -> Row:
    """The same models on real structures with all lines, and with those of the published convention."""
    boxed = {name for name, v in variants.items() if v.get("lines", {}).get("convention") == "wang2025"}
    pairs = _pairs(top1, lambda row: row["test_set"] == "cddd", lambda row: row["test_set"] in boxed)
    findings = [
        (
            a["low"] <= b["high"] and b["low"] <= a["high"],
            f"{_named(a)}, {TARGET_NAMES[a['target']]}: {_text(a)}, in the convention {_text(b)}",
        )
        for a, b in pairs
    ]
    claim = (
        "Cutting hkl at 10 and leaving out multiplicities, as published, does not change the accuracy "
        "on real structures"
    )
    return _claim(BEYOND, claim, "hkl to 10", findings, [p[0]["experiment"] for p in pairs])


def _splits(top1: Sequence[Mapping], of: Mapping[str, str], config: Mapping) -> Row:
    """Real structures split at random and with structure types kept apart, each on its own test part."""
    split = {"cddd": config["splits"]["cddd"]} | {
        name: config["variants"][name].get("split", config["splits"]["cddd"])
        for name, base in of.items()
        if base == "cddd"
    }
    own = [row for row in top1 if row["train_set"] == row["test_set"] and row["train_set"] in split]
    random = [row for row in own if split[row["train_set"]] == "random"]
    apart = [row for row in own if split[row["train_set"]] == "protostructure"]
    findings, used = [], []
    for row in random:
        for other in apart:
            if all(row[key] == other[key] for key in ("family", "model", "target")):
                text = f"{_named(row)}: {_text(row)}, structure types apart {_text(other)}"
                findings.append((_falls(row, other), text))
                used += [row["experiment"], other["experiment"]]
    claim = "A random split of real structures overstates accuracy: keeping structure types apart lowers it"
    return _claim(BEYOND, claim, "random split", findings, used)
