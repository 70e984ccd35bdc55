"""The tables of benchmarks/zoo/README.md, from the tables beside it.

    python benchmarks/zoo/readme_tables.py

Each table takes the place of the one below its heading. Seeds are one row: means, and from the lowest to the
highest accuracy.
"""

import csv
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from xtinct.errors import XtinctError
from xtinct.learning.models.simxrd import NAMES

FOLDER = Path(__file__).parent
Rows = list[dict[str, str]]


def main() -> None:
    """Write them."""
    page = FOLDER / "README.md"
    page.write_text(written(page.read_text(encoding="utf-8"), FOLDER), encoding="utf-8")


def written(text: str, folder: Path) -> str:
    """`text` of the page with every table made anew from the files in `folder`.

    XtinctError where a heading, or the table below it, is missing.
    """
    tables = tables_of(*(_read(folder / f"{name}.csv") for name in ("zoo", "frequency", "in_library")))
    tables["### Database crystals and generated ones"] = _gaps(_read(folder / "schopmans/zoo.csv"))
    for heading, table in tables.items():
        text = _placed(text, heading, table)
    return text


def tables_of(zoo: Rows, frequency: Rows, library: Rows) -> dict[str, str]:
    """Beginning of a heading -> the table below it."""
    drawn = [row for row in zoo if row["train_set"] == "ulbd-online" and row["split"] != "protostructure"]
    stored = [row for row in zoo if row["split"] == "protostructure" or row["train_set"] != "ulbd-online"]
    remedies = {row["experiment"] for row in zoo if row["remedy"] or row["train_set"].startswith("gcdd")}
    remedies |= {row["experiment"] for row in stored if row["train_set"] == "ulbd-online"}
    plain = [row for row in stored if row["experiment"] not in remedies]
    rare = [row for row in stored if row["experiment"].startswith("logq-types")]

    def of(target: str, test: str) -> Rows:
        return [row for row in drawn if (row["target"], row["test_set"]) == (target, test)]

    return {
        "### What the repair is worth": _repairs(drawn),
        "### At the better of two rates": _at_the_better_rate(drawn),
        "### Lattices drawn while training": _models(of("crystal_system", "ulbd")),
        "### The same models on real structures": _models(of("crystal_system", "cddd-random")),
        "### Space groups, lattices drawn": _models(of("spacegroup", "ulbd")),
        "### Space groups, the same models on real structures": _models(of("spacegroup", "cddd-random")),
        "### Trained on real structures": _strata(plain, frequency),
        "### Rare systems": _strata(rare, frequency, "crystal_system"),
        "### Rare space groups": _strata(rare, frequency, "spacegroup"),
        "### Crystals of training, measured anew": _libraries(library),
    }


def _read(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _seeds(rows: Iterable[dict[str, str]]) -> Iterator[Rows]:
    """Rows that differ in their seed alone."""
    groups: dict[tuple, Rows] = {}
    for row in rows:
        key = tuple(row.get(name) for name in ("experiment", "test_set", "target", "protocol", "stratum"))
        groups.setdefault(key, []).append(row)
    return iter(groups.values())


def _mean(rows: Rows, column: str) -> float:
    return sum(float(row[column]) for row in rows) / len(rows)


def _percent(rows: Rows, column: str) -> str:
    return f"{100 * _mean(rows, column):.1f}"


def _accuracy(rows: Rows) -> str:
    """Mean and its interval, and how far seeds lie apart."""
    text = f"{_percent(rows, 'top1')} ({_percent(rows, 'top1_low')}-{_percent(rows, 'top1_high')})"
    values = sorted(100 * float(row["top1"]) for row in rows)
    return text + (f"; {len(rows)} seeds {values[0]:.1f}-{values[-1]:.1f}" if len(values) > 1 else "")


def _name(row: dict[str, str]) -> str:
    return row["name"] if row["kind"] == "simxrd" else f"{row['kind']} {row['name']}".strip()


def _models(rows: Rows) -> str:
    found = [
        (
            -_mean(seeds, "top1"),
            f"| {_name(seeds[0])} | {seeds[0]['version']} | {seeds[0]['learning_rate']} "
            f"| {float(seeds[0]['parameters']):,.0f} | {int(seeds[0]['patterns']):,} "
            f"| {_mean(seeds, 'cpu_seconds'):.1f} "
            f"| {_accuracy(seeds)} | {_percent(seeds, 'macro_f1')} | {_percent(seeds, 'ece')} |",
        )
        for seeds in _seeds(rows)
    ]
    head = (
        "model | version | rate | parameters | patterns | CPU s | top-1 % | macro F1 % | calibration error %"
    )
    return _table(head, (line for _, line in sorted(found, key=lambda pair: pair[0])))


def _repairs(rows: Rows) -> str:
    """Pairs of one network at one rate and budget: how much more of a test set the repaired one names right.

    The interval of a difference is that of two independent accuracies. Both are of the same samples, which
    makes the true one narrower.
    """
    pairs: dict[tuple, dict[str, dict[str, Rows]]] = {}
    for seeds in _seeds(row for row in rows if row["kind"] == "simxrd"):
        first = seeds[0]
        same = tuple(first[key] for key in ("name", "target", "learning_rate", "patterns"))
        pairs.setdefault(same, {}).setdefault(first["test_set"], {})[first["version"]] = seeds
    lines = []
    for (name, target, rate, patterns), tests in sorted(pairs.items(), key=_place):
        both = {test: versions for test, versions in tests.items() if len(versions) == 2}
        if both:
            about = f"{name} | {target.replace('_', ' ')} | {rate} | {int(patterns):,}"
            seeds = len(next(iter(both.values()))["repaired"])
            shares = " | ".join(_gain(both.get(test)) for test in ("ulbd", "cddd-random"))
            lines.append(f"| {about} | {seeds} | {shares} |")
    head = "model | target | rate | patterns | seeds"
    columns = "published %, {0} | repaired %, {0} | difference"
    return _table(f"{head} | {columns.format('lattices')} | {columns.format('structures')}", lines)


def _at_the_better_rate(rows: Rows) -> str:
    """Pairs that were trained at several rates, each version at the rate that suits it best on lattices."""
    networks: dict[str, dict[str, dict[float, dict[str, Rows]]]] = {}
    for seeds in _seeds(row for row in rows if row["kind"] == "simxrd"):
        first = seeds[0]
        if first["target"] == "crystal_system":
            rates = networks.setdefault(first["name"], {}).setdefault(first["version"], {})
            rates.setdefault(float(first["learning_rate"]), {})[first["test_set"]] = seeds
    lines = []
    for name, versions in sorted(networks.items(), key=lambda network: NAMES.index(network[0])):
        if len(versions) == 2 and all(len(rates) > 1 for rates in versions.values()):
            # Of equal rates the first: the published one.
            rate = {
                version: max(sorted(rates), key=lambda rate, rates=rates: _mean(rates[rate]["ulbd"], "top1"))
                for version, rates in versions.items()
            }
            best = {version: rates[rate[version]] for version, rates in versions.items()}
            shares = " | ".join(
                _gain({version: tests[test] for version, tests in best.items()})
                for test in ("ulbd", "cddd-random")
            )
            lines.append(f"| {name} | {rate['as-published']:g} | {rate['repaired']:g} | {shares} |")
    columns = "published %, {0} | repaired %, {0} | difference"
    head = "model | published at | repaired at"
    return _table(f"{head} | {columns.format('lattices')} | {columns.format('structures')}", lines)


def _place(pair: tuple) -> tuple:
    """Systems before groups, networks in the published order, then by rate and budget."""
    name, target, rate, patterns = pair[0]
    return target, NAMES.index(name), float(rate), int(patterns)


def _gain(versions: dict[str, Rows] | None) -> str:
    """Both accuracies and their difference, of seeds of each version on one test set."""
    if versions is None:
        return "– | – | –"
    published, repaired = versions["as-published"], versions["repaired"]
    before, after = (100 * _mean(rows, "top1") for rows in (published, repaired))
    low, high = (
        [100 * abs(_mean(rows, "top1") - _mean(rows, end)) for rows in (published, repaired)]
        for end in ("top1_low", "top1_high")
    )
    # The lower end of a difference is the lower end of what grew and the upper end of what it grew from.
    down, up = math.hypot(high[0], low[1]), math.hypot(low[0], high[1])
    gain = after - before
    return f"{before:.1f} | {after:.1f} | {gain:+.1f} ({gain - down:+.1f} to {gain + up:+.1f})"


def _strata(rows: Rows, frequency: Rows, target: str | None = None) -> str:
    lines = []
    for seeds in _seeds(rows):
        first = seeds[0]
        if target not in (None, first["target"]):
            continue
        shares = []
        for stratum in ("head", "middle", "tail", "never seen"):
            same = [r for r in frequency if r["stratum"] == stratum]
            same = [
                r
                for r in same
                if (r["experiment"], r["test_set"]) == (first["experiment"], first["test_set"])
            ]
            same = [row for row in same if row["accuracy"]]
            shares.append(_percent(same, "accuracy") if same else "–")
        conditions = ", conditions of SimXRD" if first["experiment"].startswith("simxrd") else ""
        kind = f"{_name(first)}{conditions} | {first['target'].replace('_', ' ')} | {first['split']}"
        trained = f"{first['experiment']} | {first['train_set']} | {first['remedy']}"
        about = kind if target is None else trained
        lines.append(
            f"| {about} | {_accuracy(seeds)} | {_percent(seeds, 'macro_f1')} | {' | '.join(shares)} |"
        )
    what = "model | target | split" if target is None else "experiment | trained on | remedy"
    return _table(f"{what} | top-1 % | macro F1 % | head % | middle % | tail % | never seen %", lines)


def _libraries(rows: Rows) -> str:
    return _table(
        "experiment | protocol | crystals | top-1 % | macro F1 %",
        (
            f"| {s[0]['experiment']} | {s[0]['protocol']} | {s[0]['crystals']} | {_accuracy(s)} "
            f"| {_percent(s, 'macro_f1')} |"
            for s in _seeds(rows)
        ),
    )


#: Test sets of the protocol of Schopmans et al. and what the page calls them.
_GAPS = {
    "cddd-random": "types on both sides",
    "cddd": "types apart",
    "cddd-coordinates": "coordinates redrawn",
    "cddd-lattice": "lattice redrawn",
    "cddd-both": "both redrawn",
    "gcdd": "generated",
}


def _gaps(rows: Rows) -> str:
    """Accuracies on real, partly redrawn and generated crystals, and the ceilings of these sets."""
    experiments: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows:
        experiments.setdefault(row["experiment"], {})[row["test_set"]] = row
    lines = []
    for name, tests in experiments.items():
        first = next(iter(tests.values()))
        shares = (f"{100 * float(tests[t]['top1']):.1f}" if t in tests else "–" for t in _GAPS)
        about = f"{name} | {int(first['patterns']):,} | {float(first['cpu_seconds']):,.0f}"
        lines.append(f"| {about} | {' | '.join(shares)} |")
    ceilings = {row["test_set"]: f"{100 * float(row['ceiling']):.1f}" for row in rows}
    lines.append(f"| ceiling | | | {' | '.join(ceilings.get(t, '–') for t in _GAPS)} |")
    return _table(f"experiment | patterns | CPU s | {' | '.join(_GAPS.values())}", lines)


def _table(head: str, lines: Iterable[str]) -> str:
    return "\n".join([f"| {head} |", "|---" * (head.count("|") + 1) + "|", *lines])


def _placed(text: str, heading: str, table: str) -> str:
    """`text` with `table` in place of the one below `heading`."""
    before, found, after = text.partition(f"\n{heading}")
    section, line, others = after.partition("\n#")
    lines = section.split("\n")
    rows = [i for i, text in enumerate(lines) if text.startswith("|")]
    if not rows:
        raise XtinctError(f"README.md: no table below a heading that begins with {heading!r}; write both")
    return "".join(
        [before, found, "\n".join([*lines[: rows[0]], table, *lines[rows[-1] + 1 :]]), line, others]
    )


if __name__ == "__main__":
    main()
