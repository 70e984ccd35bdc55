"""What predictions that were made anywhere are worth on a test set, and what lies above its ceiling."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import kruskal

from xtinct.ceiling.hypotheses import Window
from xtinct.errors import XtinctError
from xtinct.evaluation.answer_files import TARGETS, Answers, class_of_group, read_answers
from xtinct.evaluation.evaluation_records import KS, ceilings_of
from xtinct.evaluation.test_sets import LabelledSamples
from xtinct.files.parquet import open_parquet
from xtinct.files.schema import CELL, LINES, check_table
from xtinct.patterns.default_instrument import DEFAULT_INSTRUMENT
from xtinct.patterns.instrument import Instrument
from xtinct.scores.calibration import calibration_error_interval, expected_calibration_error, log_loss
from xtinct.scores.metrics import share
from xtinct.scores.outputs import ALL, class_names
from xtinct.symmetry.families import family_of

#: Ids that a text names of each kind; the JSON names all.
_NAMED = 5
#: Standard deviations within which the mean of uniform numbers has to lie, and the probability beyond them.
_SURE, _UNLIKELY = 5.0, 5.7e-7


@dataclass(frozen=True)
class _Truth:
    """A test set.

    elsewhere    ids of the other parts of the file
    seen         of the samples, whether their lattice also stands in another part, bool (n,)
    told_by      what may tell groups of one class: "nothing" in ULBD with random numbers of one law,
                 "lattices" where these differ from group to group there, else "crystal"
    """

    samples: LabelledSamples
    elsewhere: set[str]
    seen: np.ndarray
    told_by: str

    @property
    def families(self) -> list[str]:
        return sorted({family_of(int(number)) for number in np.unique(self.samples.groups)})


@dataclass(frozen=True)
class Score:
    """What a file of predictions is worth.

    truth, split  the test set; n its samples
    confidence    of every interval
    ids           ids by what is the matter with them: `missing` (no answer, counted as wrong), `unknown`
                  (in no part of the truth, not counted), `other_split` (not counted), `repeated` (equal
                  rows, counted once), `contradictory` (different rows, counted as wrong)
    ignored       columns that were not read
    seen_lattices samples whose very lattice stands in another part of the truth
    records       one for each target that was answered, in the names of results/metrics.json: n, n_answered,
                  n_cells, top1 to top5 with _low and _high, ceiling1 to ceiling5; ece (with _low and _high)
                  and log_loss of the answered samples where there are probabilities; `above`, the k
                  whose interval lies above the ceiling; `verdict`; `excess`, the classes that lie above
    """

    truth: str
    split: str
    n: int
    confidence: float
    ids: dict[str, list[str]]
    ignored: tuple[str, ...]
    seen_lattices: int
    records: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "truth": self.truth,
            "split": self.split,
            "n": self.n,
            "confidence": self.confidence,
            "ids": {kind: {"count": len(ids), "ids": ids} for kind, ids in self.ids.items()},
            "ignored_columns": list(self.ignored),
            "seen_lattices": self.seen_lattices,
            "records": self.records,
        }

    def __str__(self) -> str:
        lines = [f"{self.truth}, {self.split}: {self.n:,} samples"]
        lines += [_ids_in_words(kind, ids) for kind, ids in self.ids.items() if ids]
        if self.ignored:
            lines.append(f"columns that are not read: {', '.join(self.ignored)}")
        for record in self.records:
            lines += ["", *_record_in_words(record, self.confidence)]
        return "\n".join(lines)


def score(
    predictions: str | Path,
    truth: str | Path,
    *,
    split: str = "test",
    instrument: Instrument | None = None,
    confidence: float = 0.95,
) -> Score:
    """Judge predictions that were made anywhere by a line-list file of the datasets.

    predictions  CSV, TSV or Parquet: `sample_id` and answers, see `xtinct.evaluation.answer_files`
    truth        table of line lists; `split` of it is the test set (all: the whole file)
    instrument   what the patterns were measured with, for the ceiling; None is `DEFAULT_INSTRUMENT`

    Every sample of the test set counts: one without an answer is wrong. Intervals have lattices as
    units, as those of `results/metrics.json`. XtinctError for a file that is no such table, and where no
    sample of the test set has an answer.
    """
    known = _read_truth(truth, split)
    file = read_answers(predictions, known.families)
    rows, ids = _matched(file.ids, file.answers, known)
    if not (rows >= 0).any():
        raise XtinctError(
            f"{predictions}: none of its {len(file.ids)} samples is in {truth}, split {split}"
            + (f"; the first is {file.ids[0]}, expected as {known.samples.ids[0]}" if file.ids else "")
        )
    window = Window.of_instrument(instrument or DEFAULT_INSTRUMENT)
    judge = _Judge(known, window, confidence)
    return Score(
        truth=str(truth),
        split=split,
        n=len(known.samples),
        confidence=confidence,
        ids=ids,
        ignored=file.ignored,
        seen_lattices=int(known.seen.sum()),
        records=[
            judge.record(target, file.answers[target].take(rows), rows >= 0)
            for target in TARGETS
            if target in file.answers
        ],
    )


def _read_truth(path: str | Path, split: str) -> _Truth:
    # Without the lines: a file may be larger than the memory.
    with open_parquet(path) as file:
        check_table(file.schema_arrow, LINES, str(path))
        table = file.read(columns=["sample_id", "dataset", "spacegroup_number", "split", *CELL])
    cells = np.stack([table[name].to_numpy() for name in CELL], axis=1)
    chosen = np.ones(len(table), bool) if split == "all" else pc.equal(table["split"], split).to_numpy()
    if not chosen.any():
        parts = ", ".join(sorted(set(table["split"].to_pylist())))
        raise XtinctError(f"{path}: no sample of the split {split!r}; it has {parts or 'none'}")
    ids = np.array(table["sample_id"].to_pylist(), dtype=object)
    twice = [name for name, count in Counter(ids.tolist()).items() if count > 1]
    if twice:
        raise XtinctError(f"{path}: sample_id {twice[0]} stands {Counter(ids.tolist())[twice[0]]} times")
    number = np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1)
    samples = LabelledSamples(
        ids[chosen].tolist(), table["spacegroup_number"].to_numpy()[chosen], cells[chosen]
    )
    return _Truth(
        samples,
        set(ids[~chosen]),
        np.isin(number[chosen], number[~chosen]),
        _told_by(path, chosen, set(table["dataset"].filter(chosen).to_pylist()), samples),
    )


def _told_by(path: str | Path, chosen: np.ndarray, datasets: set[str], samples: LabelledSamples) -> str:
    """What may tell groups of one class (`_Truth.told_by`), by mean and mean square of the intensities.

    chosen   rows of the file that are the test set, bool (rows,); datasets, the names that they have
    """
    if datasets != {"ulbd"}:
        return "crystal"
    n, total, squares = 0, 0.0, 0.0
    for values in _intensities(path, chosen):
        if len(values) and values.max() > 1:
            return "crystal"
        n, total, squares = n + len(values), total + values.sum(), squares + (values**2).sum()
    if not n:
        return "crystal"
    # Mean 1/2 and mean square 1/3, with variances 1/12 and 4/45.
    off = (
        abs(total / n - 1 / 2) / np.sqrt(1 / 12 / n),
        abs(squares / n - 1 / 3) / np.sqrt(4 / 45 / n),
    )
    if max(off) >= _SURE:
        return "crystal"
    return "lattices" if _lattices_differ(samples) else "nothing"


def _intensities(path: str | Path, chosen: np.ndarray) -> Iterator[np.ndarray]:
    """Intensities float64 of the lines of the chosen rows, a row group at a time."""
    first = 0
    with open_parquet(path) as file:
        for group in range(file.num_row_groups):
            column = file.read_row_group(group, columns=["intensity"])["intensity"]
            rows = chosen[first : first + len(column)]
            first += len(column)
            lists = column.filter(pa.array(rows)).combine_chunks()
            yield lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64)


def _lattices_differ(samples: LabelledSamples) -> bool:
    """Whether cells differ from group to group within a family, as in a variant of ULBD with `ranges`.

    Told from the ranks of their parameters, and of the distances from the median (Kruskal and Wallis 1952).
    """
    _, rows = np.unique(np.stack([samples.groups, samples.lattices]), axis=1, return_index=True)
    groups, cells = samples.groups[rows], samples.cells[rows]
    families = np.array([family_of(int(number)) for number in groups])
    for family in np.unique(families):
        own, values = groups[families == family], cells[families == family]
        values = values[:, np.ptp(values, axis=0) > 0]
        for column in np.hstack([values, abs(values - np.median(values, axis=0))]).T:
            parts = [column[own == number] for number in np.unique(own)]
            if len(parts) > 1 and np.ptp(column) > 0 and kruskal(*parts).pvalue < _UNLIKELY:
                return True
    return False


def _matched(
    ids: Sequence[str], answers: dict[str, Answers], truth: _Truth
) -> tuple[np.ndarray, dict[str, list[str]]]:
    """The row of the predictions for every sample of the test set, int (n,), -1 for none; ids by trouble."""
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(ids):
        rows_of.setdefault(name, []).append(row)
    asked = set(truth.samples.ids)
    trouble: dict[str, list[str]] = {
        kind: [] for kind in ("missing", "unknown", "other_split", "repeated", "contradictory")
    }
    for name, rows in rows_of.items():
        if name not in asked:
            trouble["other_split" if name in truth.elsewhere else "unknown"].append(name)
        elif len(rows) > 1:
            trouble["repeated" if _equal(rows, answers) else "contradictory"].append(name)
    refused = set(trouble["contradictory"])
    found = np.full(len(truth.samples), -1)
    for i, name in enumerate(truth.samples.ids):
        if name not in rows_of:
            trouble["missing"].append(name)
        elif name not in refused:
            found[i] = rows_of[name][0]
    return found, trouble


def _equal(rows: Sequence[int], answers: dict[str, Answers]) -> bool:
    """Whether rows of the predictions say the same."""
    for of_target in answers.values():
        for values in (of_target.ranked, of_target.probabilities):
            if values is not None and (values[rows] != values[rows[0]]).any():
                return False
    return True


@dataclass(frozen=True)
class _Judge:
    """Makes the record of each target."""

    truth: _Truth
    window: Window
    confidence: float

    def record(self, target: str, answers: Answers, answered: np.ndarray) -> dict[str, Any]:
        """The record of one target; `answered` bool (n,): samples with an answer in the file."""
        samples = self.truth.samples
        units = samples.lattices
        own = class_of_group()[samples.groups] if target == "extinction_class" else samples.groups
        ceilings = ceilings_of(samples.groups, samples.cells, self.window, target)
        record: dict[str, Any] = {
            "target": target,
            "n": len(samples),
            "n_answered": int(answered.sum()),
            "n_cells": len(np.unique(units)),
        }
        for k in KS:
            if k <= answers.ranked.shape[1]:
                right = (answers.ranked[:, :k] == own[:, None]).any(axis=1)
                record |= share(f"top{k}", right, self.confidence, units)
            record[f"ceiling{k}"] = float(ceilings[k].mean())
        if answers.probabilities is not None:
            record |= self._calibration(answers, own, answered)
        record["above"] = [
            k for k in KS if f"top{k}" in record and record[f"top{k}_low"] > record[f"ceiling{k}"]
        ]
        first = answers.ranked[:, 0] == own
        record["excess"] = self._excess(first, ceilings[1]) if record["above"] else []
        record["verdict"] = self._verdict(record)
        return record

    def _calibration(self, answers: Answers, own: np.ndarray, answered: np.ndarray) -> dict[str, float]:
        """Of the samples that were answered."""
        probabilities = answers.probabilities[answered]
        place = np.searchsorted(answers.labels, own[answered])
        place = np.minimum(place, len(answers.labels) - 1)
        columns = np.where(answers.labels[place] == own[answered], place, -1)
        low, high = calibration_error_interval(
            probabilities, columns, confidence=self.confidence, cells=self.truth.samples.lattices[answered]
        )
        return {
            "ece": expected_calibration_error(probabilities, columns),
            "ece_low": low,
            "ece_high": high,
            "log_loss": log_loss(probabilities, columns),
        }

    def _excess(self, right: np.ndarray, ceiling: np.ndarray) -> list[dict[str, Any]]:
        """Extinction classes whose first answers lie above the ceiling, the largest excess first."""
        own, names = class_of_group()[self.truth.samples.groups], class_names(ALL)
        rows = []
        for place in np.unique(own):
            inside = own == place
            found = share("top1", right[inside], self.confidence, self.truth.samples.lattices[inside])
            best = float(ceiling[inside].mean())
            if found["top1_low"] > best:
                more = float(right[inside].sum() - ceiling[inside].sum())
                rows.append(
                    {"class": names[place], "n": int(inside.sum()), **found, "ceiling1": best, "more": more}
                )
        return sorted(rows, key=lambda row: -row["more"])

    def _verdict(self, record: dict[str, Any]) -> str:
        if not record["above"]:
            over = [k for k in KS if record.get(f"top{k}", 0) > record[f"ceiling{k}"]]
            return (
                "above the ceiling by no more than chance: the interval holds it"
                if over
                else "within the ceiling"
            )
        seen = int(self.truth.seen.sum())
        lattices = (
            f" The lattices of {seen} of its samples also stand in another part of the file: learnt by heart?"
            if seen
            else ""
        )
        if self.truth.told_by == "lattices":
            return (
                "above the ceiling: possible, because lattices differ from group to group here, and the "
                "ceiling counts absences alone; or a leak." + lattices
            )
        if self.truth.told_by == "nothing":
            return (
                "above the ceiling, a leak: intensities are random numbers here, and nothing but absences "
                "tells the groups apart. Look for the answer in ids, order, lattices or training samples."
                + lattices
            )
        return (
            "above the ceiling: possible, because intensities of crystals say a little about what the "
            "absences leave open, and so do their lattices; or a leak, the likelier the more groups are told "
            "apart that differ by a centre or a handedness alone." + lattices
        )


def _ids_in_words(kind: str, ids: Sequence[str]) -> str:
    what = {
        "missing": "without an answer, counted as wrong",
        "unknown": "answers to samples that the truth does not have, not counted",
        "other_split": "answers to samples of other parts, not counted",
        "repeated": "answered in several equal rows, counted once",
        "contradictory": "answered in rows that differ, counted as wrong",
    }[kind]
    more = ", ..." if len(ids) > _NAMED else ""
    return f"{len(ids):,} {what}: {', '.join(ids[:_NAMED])}{more}"


def _record_in_words(record: dict[str, Any], confidence: float) -> list[str]:
    lines = [
        f"{record['target']}: {record['n_answered']:,} of {record['n']:,} answered, "
        f"{record['n_cells']:,} lattices"
    ]
    for k in (k for k in KS if f"top{k}" in record):
        value, low, high = (100 * record[f"top{k}{end}"] for end in ("", "_low", "_high"))
        lines.append(
            f"  top-{k}  {value:6.2f} %  ({low:.2f} to {high:.2f}, {100 * confidence:g} %)  "
            f"ceiling {100 * record[f'ceiling{k}']:.2f} %"
        )
    if "ece" in record:
        lines.append(
            f"  calibration error {100 * record['ece']:.2f} % ({100 * record['ece_low']:.2f} to "
            f"{100 * record['ece_high']:.2f}), log loss {record['log_loss']:.4f}"
        )
    lines.append(f"  {record['verdict']}")
    lines += [
        f"    {row['class']}: {100 * row['top1']:.1f} % of {row['n']}, ceiling {100 * row['ceiling1']:.1f} %"
        for row in record["excess"][:_NAMED]
    ]
    return lines
