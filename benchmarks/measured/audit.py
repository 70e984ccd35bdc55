"""The audit of a table of measured patterns, as a CSV without spectra.

    python benchmarks/measured/audit.py PATTERNS.parquet OUT.csv [--laboratory NAME ...]

PATTERNS has columns as the kind `table` of the configuration's `patterns` says. Only the laboratories that
are named are audited; the rows before theirs are what they may repeat. Rows are added to OUT; patterns that
stand there are not asked again.
"""

import argparse
import csv
import tempfile
from pathlib import Path

from xtinct.auditing.pattern_audit import audit
from xtinct.auditing.pattern_sets import labelled_measurements
from xtinct.auditing.pattern_sources import collect_patterns
from xtinct.files.parquet import read_table

COLUMNS = (
    "laboratory",
    "id",
    "verdict",
    "reasons",
    "detail",
    "turning",
    "counts",
    "peaks",
    "unexplained",
    "foreign",
    "weighted_r",
    "class_probability",
    "cell_change",
    "class_ceiling",
    "group_ceiling",
)


def shown(value):
    if isinstance(value, list):
        return " ".join(value)
    return f"{value:.4g}" if isinstance(value, float) else value


def row_of(audited):
    row = audited.row()
    row["id"] = row["pattern_id"].partition(":")[2]
    return {name: shown(row[name]) for name in COLUMNS}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("patterns", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--laboratory", action="append")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table, rejected = Path(folder, "table.parquet"), Path(folder, "quarantine.parquet")
        config = {"kind": "table", "path": str(options.patterns)}
        collect_patterns("patterns", config, table, rejected)
        patterns = labelled_measurements(table)
        quarantined = read_table(rejected).to_pylist()
    wanted = options.laboratory or list(dict.fromkeys(one.laboratory for one in patterns))
    done = set()
    if options.out.exists():
        with options.out.open(newline="") as stream:
            done = {(row["laboratory"], row["id"]) for row in csv.DictReader(stream)}
    with options.out.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        if not done:
            writer.writeheader()
            for row in quarantined:
                name = row["structure_id"].partition(":")[2]
                reason = {"verdict": "quarantine", "reasons": row["reason"], "detail": row["detail"]}
                writer.writerow({"id": name, **reason})
        for laboratory in wanted:
            left = [
                one
                for one in patterns
                if one.laboratory == laboratory and (laboratory, one.pattern_id.partition(":")[2]) not in done
            ]
            before = patterns[: [x.pattern_id for x in patterns].index(left[0].pattern_id)] if left else []
            for one in audit(left, before):
                writer.writerow(row_of(one))
                stream.flush()


if __name__ == "__main__":
    main()
