"""The tables of benchmarks/zoo/README.md, from zoo.csv, frequency.csv and in_library.csv beside it.

    python benchmarks/zoo/readme_tables.py

Each table takes the place of the one below its heading. Seeds are one row: means, and from the lowest to the
highest accuracy.
"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

FOLDER = Path(__file__).parent
Rows = list[dict[str, str]]


def main() -> None:
    """Write them."""
    zoo, frequency, library = map(_read, ("zoo", "frequency", "in_library"))
    drawn = [row for row in zoo if row["train_set"] == "ulbd-online" and row["split"] != "protostructure"]
    stored = [row for row in zoo if row["split"] == "protostructure" or row["train_set"] != "ulbd-online"]
    remedies = {row["experiment"] for row in zoo if row["remedy"] or row["train_set"].startswith("gcdd")}
    remedies |= {row["experiment"] for row in stored if row["train_set"] == "ulbd-online"}
    plain = [row for row in stored if row["experiment"] not in remedies]

    def of(target: str, test: str) -> Rows:
        return [row for row in drawn if (row["target"], row["test_set"]) == (target, test)]

    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for heading, table in (
        ("### Lattices drawn while training", _models(of("crystal_system", "ulbd"))),
        ("### The same models on real structures", _models(of("crystal_system", "cddd-random"))),
        ("### Space groups, lattices drawn", _models(of("spacegroup", "ulbd"))),
        ("### Space groups, the same models on real structures", _models(of("spacegroup", "cddd-random"))),
        ("### Trained on real structures", _strata(plain, frequency)),
        (
            "### Rare systems",
            _strata(
                [r for r in stored if r["experiment"].startswith("logq-types")], frequency, "crystal_system"
            ),
        ),
        (
            "### Rare space groups",
            _strata([r for r in stored if r["experiment"].startswith("logq-types")], frequency, "spacegroup"),
        ),
        ("### Crystals of training, measured anew", _libraries(library)),
    ):
        text = _placed(text, heading, table)
    (FOLDER / "README.md").write_text(text, encoding="utf-8")


def _read(name: str) -> Rows:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
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
            f"| {float(seeds[0]['parameters']):,.0f} | {_mean(seeds, 'cpu_seconds'):.1f} "
            f"| {_accuracy(seeds)} | {_percent(seeds, 'macro_f1')} | {_percent(seeds, 'ece')} |",
        )
        for seeds in _seeds(rows)
    ]
    head = "model | version | rate | parameters | CPU s | top-1 % | macro F1 % | calibration error %"
    return _table(head, (line for _, line in sorted(found, key=lambda pair: pair[0])))


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


def _table(head: str, lines: Iterable[str]) -> str:
    return "\n".join([f"| {head} |", "|---" * (head.count("|") + 1) + "|", *lines])


def _placed(text: str, heading: str, table: str) -> str:
    """`text` with `table` in place of the one below `heading`."""
    before, _, after = text.partition(heading)
    lines = after.split("\n")
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    last = next(i for i, line in enumerate(lines) if i > first and not line.startswith("|"))
    return before + heading + "\n".join([*lines[:first], table, *lines[last:]])


if __name__ == "__main__":
    main()
