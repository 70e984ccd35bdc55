"""The audit of a table of measured patterns, as a CSV without spectra.

    python benchmarks/measured/audit.py PATTERNS.parquet OUT.csv [--laboratory NAME ...]

PATTERNS has columns as the kind `table` of the configuration's `patterns` says; what two of its columns say
in words is read as well (`told_in_words`). Only the laboratories that are named are audited; the rows before
theirs are what they may repeat. Rows are added to OUT; patterns that stand there are not asked again.
"""

import argparse
import csv
import re
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

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


def told_in_words(source, target):
    """The table with crystal systems, wavelengths and specimens that it tells in words.

    A `label` "crystal system only: cubic" is a system; a `radiation` "(assumed Cu Ka)" is the mean
    wavelength of the doublet; R and six figures at the beginning of an identifier are a specimen of the
    RRUFF project.
    Returns the laboratory of every identifier.
    """
    columns = pq.read_table(source)
    rows = columns.select([n for n in columns.column_names if n not in ("two_theta", "intensity")])
    rows = rows.to_pylist()
    systems = [re.search(r"crystal system only: (\S+)", row.get("label") or "") for row in rows]
    copper = ["assumed Cu Ka" in (row.get("radiation") or "") for row in rows]
    columns = columns.append_column("crystal_system", pa.array([x and x.group(1) for x in systems]))
    specimens = [re.match(r"R\d{6}", str(row["id"])) for row in rows]
    columns = columns.append_column("specimen", pa.array([x and x.group() for x in specimens]))
    waves = [1.5418 if known else row["wavelength"] for known, row in zip(copper, rows, strict=True)]
    at = columns.column_names.index("wavelength")
    pq.write_table(columns.set_column(at, "wavelength", pa.array(waves, pa.float64())), target)
    return {str(row["id"]): row["source"] for row in rows}


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
        laboratories = told_in_words(options.patterns, Path(folder, "told.parquet"))
        config = {"kind": "table", "path": str(Path(folder, "told.parquet"))}
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
                writer.writerow({"laboratory": laboratories[name], "id": name, **reason})
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
