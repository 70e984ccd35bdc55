"""What the other stages left for the report: where it stands, and reading and checking it."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from xtinct.errors import XtinctError
from xtinct.files.json_reading import read_json
from xtinct.files.parquet import open_parquet
from xtinct.files.schema import (
    AUDIT,
    CEILINGS,
    EXTINCTION_CLASSES,
    LINES,
    PREDICTIONS,
    QUARANTINE,
    check_table,
)
from xtinct.symmetry.families import FAMILIES

#: What identifies an evaluation record; records are sorted and paired by these keys.
RECORD_KEYS = ("experiment", "train_set", "test_set", "target", "family", "model", "seed")
TARGETS = ("extinction_class", "spacegroup", "crystal_system")


@dataclass(frozen=True)
class ReportPaths:
    """Where the inputs of the report stand. Lists may be empty.

    metrics      results/evaluation/{experiment}/{family}/seed-{seed}/{test}.json
    predictions  the prediction tables beside them (.parquet); may be fewer or none
    ceilings     results/ceilings.json
    classes      data/symmetry/extinction_classes.parquet
    manifests    manifest.json of each dataset
    quarantine   quarantine.parquet of each stage that rejects entries
    histories    models/{experiment}/{family}/seed-{seed}/history.csv, each with its card.json beside it
    lines        data/{cddd,ulbd,gcdd}/{family}.parquet
    curves       tidy tables of `read_tables`: beside the evaluations, and results/generated
    limits       limits.json of xtinct.ceiling.ceiling_files.write_limitations, if it was made
    wilson       wilson.json of xtinct.ceiling.ceiling_files.write_wilson, if it was made
    measured     results/measured/{set}/{method}.json
    audits       data/audit/{set}.parquet
    networks     results/measured_networks/{set}.json
    """

    metrics: Sequence[str | Path]
    predictions: Sequence[str | Path]
    ceilings: str | Path
    classes: str | Path
    manifests: Sequence[str | Path]
    quarantine: Sequence[str | Path]
    histories: Sequence[str | Path]
    lines: Sequence[str | Path]
    curves: Sequence[str | Path] = ()
    limits: str | Path | None = None
    wilson: str | Path | None = None
    measured: Sequence[str | Path] = ()
    audits: Sequence[str | Path] = ()
    networks: Sequence[str | Path] = ()


@dataclass(frozen=True)
class EvaluationFile:
    """The records of one evaluation file and the prediction table beside it."""

    path: Path
    records: tuple[dict, ...]
    predictions: pa.Table | None


@dataclass(frozen=True)
class Inputs:
    """What stands at `ReportPaths`, read and checked by the function named.

    evaluations  `read_evaluations`
    ceilings     `read_ceilings`
    classes      `read_classes`
    manifests    `read_manifests`
    quarantine   `read_quarantine`
    trainings    `read_trainings`
    line_labels  `read_line_labels`: labels and cells of the samples, without their lines
    lines_paths  where the lines stand: example patterns read the few that they show
    tables       `read_tables`
    limits       `read_limits`
    measured     `read_measured`; audit, `read_audits`; networks, `read_networks`
    """

    evaluations: list[EvaluationFile]
    ceilings: list[dict]
    classes: list[dict]
    manifests: list[dict]
    quarantine: pa.Table
    trainings: list[dict]
    line_labels: pa.Table
    lines_paths: Sequence[str | Path]
    tables: dict[str, list[dict[str, str]]]
    limits: dict[str, list[dict]]
    measured: list[dict]
    audit: list[dict]
    networks: list[dict]


def read_inputs(paths: ReportPaths) -> Inputs:
    """Everything the report is made from. Raises XtinctError for an input that is missing or malformed."""
    return Inputs(
        evaluations=read_evaluations(paths.metrics, paths.predictions),
        ceilings=read_ceilings(paths.ceilings),
        classes=read_classes(paths.classes),
        manifests=read_manifests(paths.manifests),
        quarantine=read_quarantine(paths.quarantine),
        trainings=read_trainings(paths.histories),
        line_labels=read_line_labels(paths.lines),
        lines_paths=paths.lines,
        tables=read_tables(paths.curves),
        limits=read_limits(paths.limits, paths.wilson),
        measured=read_measured(paths.measured),
        audit=read_audits(paths.audits),
        networks=read_networks(paths.networks),
    )


def _checked(record: object, path: Path) -> dict:
    if not isinstance(record, dict):
        raise XtinctError(
            f"{path}: an evaluation record must be a JSON object, found {type(record).__name__}"
        )
    for key in (*RECORD_KEYS, "n", "top1", "ceiling1"):
        if key not in record:
            raise XtinctError(f"{path}: the evaluation record has no key {key!r}")
    if not isinstance(record["n"], int) or record["n"] < 0:
        raise XtinctError(f"{path}: n is {record['n']!r}, expected a count")
    for key in [key for key in record if key.removeprefix("top").isdigit()] if record["n"] else ():
        for limit in (f"{key}_low", f"{key}_high"):
            if limit not in record:
                raise XtinctError(f"{path}: the evaluation record has no key {limit!r}")
    for key, value in record.items():
        if key.removeprefix("top").isdigit() or key.removeprefix("ceiling").isdigit():
            if value is None and record["n"] == 0:
                continue
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise XtinctError(f"{path}: {key} is {value!r}, expected a fraction between 0 and 1")
    return record


def read_evaluations(
    metrics_paths: Iterable[str | Path], prediction_paths: Iterable[str | Path]
) -> list[EvaluationFile]:
    """Evaluations ordered by their records' keys.

    A metrics file holds one record or a list of records (one per target) of one model on one test
    set; the prediction table with the same path but for its suffix belongs to it. A prediction
    table that belongs to no metrics file is an XtinctError.
    """
    tables = {Path(path).with_suffix(""): Path(path) for path in prediction_paths}
    evaluations = []
    for path in sorted(map(Path, metrics_paths)):
        content = read_json(path)
        records = tuple(_checked(r, path) for r in (content if isinstance(content, list) else [content]))
        table_path = tables.pop(path.with_suffix(""), None)
        predictions = None
        if table_path is not None:
            predictions = open_parquet(table_path).read()
            check_table(predictions, PREDICTIONS, str(table_path))
        evaluations.append(EvaluationFile(path, records, predictions))
    if tables:
        raise XtinctError(f"{min(tables.values())}: no evaluation record {min(tables)}.json belongs to it")
    return evaluations


def record_order(record: Mapping) -> tuple:
    """Sort key of evaluation records."""
    return tuple(str(record[key]) if key != "seed" else f"{record[key]:020d}" for key in RECORD_KEYS)


def all_records(evaluations: Iterable[EvaluationFile]) -> list[dict]:
    """Every record once, sorted; XtinctError if two files hold a record with equal keys."""
    found: dict[tuple, Path] = {}
    records = []
    for evaluation in evaluations:
        for record in evaluation.records:
            order = record_order(record)
            if order in found:
                raise XtinctError(f"{evaluation.path}: the same record is in {found[order]}")
            found[order] = evaluation.path
            records.append(record)
    return sorted(records, key=record_order)


def read_csv(path: str | Path) -> list[dict[str, str]]:
    """Rows of a CSV file with a header, or XtinctError naming it, also where its last line is torn."""
    try:
        text = Path(path).read_bytes().decode()
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except FileNotFoundError:
        raise XtinctError(f"{path}: no such file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise XtinctError(f"{path}: not readable CSV ({error})") from None
    if (text and not text.endswith("\n")) or any(None in row or None in row.values() for row in rows):
        raise XtinctError(f"{path}: not readable CSV (a line is not whole)")
    return rows


def read_quarantine(paths: Iterable[str | Path]) -> pa.Table:
    """All quarantine tables joined, in the order of their paths."""
    tables = []
    for path in sorted(map(Path, paths)):
        table = open_parquet(path).read()
        check_table(table, QUARANTINE, str(path))
        tables.append(table.select(QUARANTINE.names).replace_schema_metadata(None))
    return pa.concat_tables(tables) if tables else QUARANTINE.remove_metadata().empty_table()


LINE_LABELS = ("dataset", "spacegroup_number", "split", "a", "b", "c", "alpha", "beta", "gamma")


def read_line_labels(paths: Iterable[str | Path]) -> pa.Table:
    """Dataset, group, split and cell of every row of the line lists; the lines stay unread."""
    tables = []
    for path in sorted(map(Path, paths)):
        with open_parquet(path) as file:
            check_table(file.schema_arrow, LINES, str(path))
            tables.append(file.read(columns=list(LINE_LABELS)).replace_schema_metadata(None))
    schema = pa.schema([LINES.field(name).remove_metadata() for name in LINE_LABELS])
    return pa.concat_tables(t.cast(schema) for t in tables) if tables else schema.empty_table()


def read_ceilings(path: str | Path) -> list[dict]:
    """Rows of the ceilings table: family, axes, target, k, fraction (text) and ceiling."""
    rows = read_json(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise XtinctError(f"{path}: expected a list of records")
    for row in rows:
        for name in CEILINGS.names:
            if name not in row:
                raise XtinctError(f"{path}: a ceiling has no key {name!r}")
    return [
        {
            "family": row["family"],
            "axes": row["axes"],
            "target": row["target"],
            "k": row["k"],
            "fraction": f"{row['numerator']}/{row['denominator']}"
            if row["denominator"] > 1
            else str(row["numerator"]),
            "ceiling": row["ceiling"],
        }
        for row in rows
    ]


def read_classes(path: str | Path) -> list[dict]:
    """Axis-unlabelled extinction classes of the crystal families: family, symbol, members."""
    table = open_parquet(path).read()
    check_table(table, EXTINCTION_CLASSES, str(path))
    return [
        {"family": row["family"], "symbol": row["symbol"], "members": list(row["members"])}
        for row in table.to_pylist()
        if row["axes"] == "unlabelled" and row["family"] in FAMILIES
    ]


def read_trainings(history_paths: Iterable[str | Path]) -> list[dict]:
    """The card of every model with its history, ordered by experiment, family and seed.

    The card stands beside the history, as card.json. Histories have columns patterns,
    validation_accuracy and validation_ceiling; the last two are empty where nothing was validated. `points`
    are the validations alone, `curve` all rows: patterns, and loss, accuracy and validation accuracy or None.
    """
    trainings = []
    for path in sorted(map(Path, history_paths)):
        card = read_json(path.with_name("card.json"))
        for key in (
            "experiment",
            "train_set",
            "target",
            "family",
            "seed",
            "architecture",
            "seconds",
            "device",
        ):
            if key not in card:
                raise XtinctError(f"{path.with_name('card.json')}: the key {key!r} is missing")
        rows = read_csv(path)
        for key in ("patterns", "validation_accuracy", "validation_ceiling"):
            if rows and key not in rows[0]:
                raise XtinctError(f"{path}: column {key!r} is missing")
        points = [
            {
                "patterns": int(row["patterns"]),
                "accuracy": float(row["validation_accuracy"]),
                "ceiling": float(row["validation_ceiling"]),
            }
            for row in rows
            if row["validation_accuracy"]
        ]
        patterns = max((int(row["patterns"]) for row in rows), default=0)
        curve = [
            {
                "patterns": int(row["patterns"]),
                "loss": float(row["loss"]) if row.get("loss") else None,
                "accuracy": float(row["accuracy"]) if row.get("accuracy") else None,
                "validation": float(row["validation_accuracy"]) if row["validation_accuracy"] else None,
            }
            for row in rows
        ]
        trainings.append({"card": card, "patterns": patterns, "points": points, "curve": curve})
    return sorted(trainings, key=lambda t: (t["card"]["experiment"], t["card"]["family"], t["card"]["seed"]))


def read_manifests(paths: Iterable[str | Path]) -> list[dict]:
    """Name (folder) and content of each manifest."""
    return [{"name": Path(path).parent.name, "content": read_json(path)} for path in sorted(map(Path, paths))]


def read_limits(limits_path: str | Path | None, wilson_path: str | Path | None) -> dict[str, list[dict]]:
    """Tables limitations, lost_pairs, wilson and wilson_pairs; empty where there is no file."""
    found: dict[str, list[dict]] = {}
    for path, names in (
        (limits_path, ("limitations", "lost_pairs")),
        (wilson_path, ("wilson", "wilson_pairs")),
    ):
        content = {} if path is None else read_json(path)
        for name in names:
            if path is not None and (not isinstance(content, dict) or name not in content):
                raise XtinctError(f"{path}: the key {name!r} is missing")
            found[name] = content.get(name, [])
    return found


def read_measured(paths: Iterable[str | Path]) -> list[dict]:
    """All records on measured patterns (`xtinct.evaluation.measured_answers.records_of`), file by file."""
    records = []
    for path in sorted(map(Path, paths)):
        content = read_json(path)
        for record in content if isinstance(content, list) else [content]:
            missing = {"set", "method", "laboratory", "target", "n"} - set(record)
            if missing:
                raise XtinctError(f"{path}: the record has no key {min(missing)!r}")
            records.append(record)
    return records


def read_networks(paths: Iterable[str | Path]) -> list[dict]:
    """All records of networks on measured patterns (`xtinct.evaluation.measured_networks`), file by file."""
    wanted = {"test_set", "experiment", "seed", "prior", "laboratory", "target", "n"}
    records = []
    for path in sorted(map(Path, paths)):
        content = read_json(path)
        for record in content if isinstance(content, list) else [content]:
            missing = wanted - set(record)
            if missing:
                raise XtinctError(f"{path}: the record has no key {min(missing)!r}")
            records.append(record)
    return records


def read_audits(paths: Iterable[str | Path]) -> list[dict]:
    """Rows of the audits of measured patterns, set by set."""
    rows = []
    for path in sorted(map(Path, paths)):
        table = open_parquet(path).read()
        check_table(table, AUDIT, str(path))
        rows += table.to_pylist()
    return rows


def read_tables(paths: Iterable[str | Path]) -> dict[str, list[dict[str, str]]]:
    """Rows of tidy CSV files by kind, which their columns tell; files of other kinds are passed over."""
    kinds = {
        "robustness": {"condition", "value", "top1"},
        "sets": {"coverage", "held", "size", "empty"},
        "abstention": {"kept", "risk"},
        "reliability": {"probability", "accuracy", "calibrated"},
        "comparison": {"quantity", "ks", "ks_critical"},
        "histograms": {"quantity", "real", "generated"},
        "groups": {"spacegroup_number", "draws", "wrong_group_share"},
        "confusion": {"true", "predicted", "count"},
        "libraries": {"protocol", "crystals", "top1"},
        "features": {"x", "y", "crystal_system"},
        "descriptors": {"quantity", "error", "right"},
        "importances": {"two_theta_low", "importance"},
    }
    tables: dict[str, list[dict[str, str]]] = {kind: [] for kind in kinds}
    for path in sorted(map(Path, paths)):
        rows = read_csv(path)
        kind = next((kind for kind, columns in kinds.items() if rows and columns <= rows[0].keys()), None)
        if kind is not None:
            tables[kind] += rows
    return tables
