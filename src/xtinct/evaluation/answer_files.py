"""Predictions that were made anywhere, read from a table of two simple forms.

Ranked: `sample_id`, then `spacegroup_number_1`, `spacegroup_number_2`, ... or `extinction_class_1`, ... (or
both), the most probable first; an empty cell is no answer. `spacegroup_number` alone is a single answer.
Probabilities: `sample_id`, then a column for each space group, named by its number (`225`), or for each
extinction class, named by its symbol; what has no column has no probability, and a row sums to 1 at most.
An extinction class is written as `xtinct classes` does (`F d - -`), with the family before it
(`cubic F d - -`) where the samples are of several.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from xtinct.errors import XtinctError
from xtinct.files.parquet import read_table
from xtinct.scores.metrics import rank
from xtinct.scores.outputs import ALL, Outputs, class_names
from xtinct.symmetry.classes import extinction_classes
from xtinct.symmetry.families import FAMILIES, N_SPACE_GROUPS

ID = "sample_id"
TARGETS = ("extinction_class", "spacegroup")
#: Beginning of a ranked column -> target.
_RANKED = {"extinction_class": "extinction_class", "spacegroup_number": "spacegroup"}
#: By how much the probabilities of a row may exceed 1 in all.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Answers:
    """Answers of one target to n samples.

    Labels are space group numbers, or places in `class_names("all")`.

    ranked         int64 (n, k), the most probable first; -1 for none
    labels         of the columns of `probabilities`, ascending, int64 (m,)
    probabilities  float64 (n, m), or None where there are none
    """

    ranked: np.ndarray
    labels: np.ndarray | None = None
    probabilities: np.ndarray | None = None

    @classmethod
    def of_probabilities(cls, labels: np.ndarray, probabilities: np.ndarray, most: int = 5) -> "Answers":
        """Answers by falling probability, `most` at most; none of probability 0."""
        order = np.argsort(labels, kind="stable")
        labels, probabilities = labels[order], probabilities[:, order]
        columns = rank(probabilities, most)
        given = np.take_along_axis(probabilities, columns, axis=1) > 0
        return cls(np.where(given, labels[columns], -1), labels, probabilities)

    def take(self, rows: np.ndarray) -> "Answers":
        """The answers of the rows int (k,); of row -1 none."""
        there = (rows >= 0)[:, None]
        probabilities = self.probabilities
        if probabilities is not None:
            probabilities = np.where(there, probabilities[rows], 0.0)
        return Answers(np.where(there, self.ranked[rows], -1), self.labels, probabilities)


@dataclass(frozen=True)
class AnswerFile:
    """What a file of predictions holds: ids of its rows, answers by target, columns that are not read."""

    path: str
    ids: list[str]
    answers: dict[str, Answers]
    ignored: tuple[str, ...]


def read_answers(path: str | Path, families: Sequence[str]) -> AnswerFile:
    """Read a table of predictions, CSV, TSV or Parquet, of samples of the crystal `families`.

    XtinctError, naming column and sample, for what is no answer.
    """
    reader = _Reader(str(path), _table(path), _ClassSymbols(tuple(families)))
    return AnswerFile(str(path), reader.ids, reader.answers(), reader.ignored)


def _table(path: str | Path) -> pa.Table:
    """Every column as text but for those of a Parquet file, which are as they are."""
    if str(path).endswith(".parquet"):
        return read_table(path)
    delimiter = "\t" if str(path).endswith(".tsv") else ","
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file, delimiter=delimiter), [])
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise XtinctError(f"{path}: column {twice[0]!r} stands twice")
        return pyarrow.csv.read_csv(
            str(path),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter),
            convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
        )
    except OSError as error:
        raise XtinctError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise XtinctError(f"{path}: not a text file in UTF-8") from None
    except pa.ArrowInvalid as error:
        raise XtinctError(f"{path}: not readable as CSV ({' '.join(str(error).split())})") from None


@dataclass(frozen=True)
class _ClassSymbols:
    """Places in `class_names("all")` of the names that classes of some families have."""

    families: tuple[str, ...]

    @cached_property
    def places(self) -> dict[str, int]:
        """Name -> place: with its family always, and alone where the samples are of one family."""
        found = {name: i for i, name in enumerate(class_names(ALL))}
        if len(self.families) == 1:
            (family,) = self.families
            found |= {c.symbol: found[f"{family} {c.symbol}"] for c in extinction_classes(family)}
        return found

    def place(self, name: str) -> int | None:
        """The place of a class; None if there is no such name."""
        return self.places.get(" ".join(name.split()))

    def hint(self, name: str) -> str:
        """What to write in place of a name that is none here."""
        plain = " ".join(name.split())
        homes = [family for family in FAMILIES if f"{family} {plain}" in self.places]
        return f"; write {homes[0]} {plain}" if homes else "; `xtinct classes` lists them"


class _Reader:
    """A table of predictions on its way to answers."""

    def __init__(self, path: str, table: pa.Table, symbols: _ClassSymbols) -> None:
        self.path, self.table, self.symbols = path, table, symbols
        if ID not in table.column_names:
            raise XtinctError(f"{path}: no column {ID}; it has {', '.join(table.column_names) or 'none'}")
        self.ids = ["" if value is None else str(value) for value in table[ID].to_pylist()]
        if "" in self.ids:
            raise XtinctError(f"{path}: row {self.ids.index('') + 1} has no {ID}")
        names = [name for name in table.column_names if name != ID]
        self.ranked = {name: found for name in names if (found := _ranked(name))}
        self.ignored = tuple(name for name in names if name not in self.ranked) if self.ranked else ()
        self.by_label = [] if self.ranked else names

    def answers(self) -> dict[str, Answers]:
        """By target. Classes that are not named are those of the groups."""
        found = self._ranked_answers() if self.ranked else self._probable_answers()
        if "spacegroup" in found and "extinction_class" not in found:
            found["extinction_class"] = _classes_of(found["spacegroup"])
        return found

    def _ranked_answers(self) -> dict[str, Answers]:
        found = {}
        for beginning, target in _RANKED.items():
            columns = {place: name for name, (begins, place) in self.ranked.items() if begins == beginning}
            if not columns:
                continue
            if sorted(columns) != list(range(1, len(columns) + 1)):
                raise XtinctError(
                    f"{self.path}: columns {', '.join(columns.values())}; expected "
                    f"{beginning}_1 to {beginning}_{len(columns)}, each once"
                )
            ranked = [self._labels(columns[place], target) for place in sorted(columns)]
            found[target] = Answers(np.stack(ranked, axis=1))
        return found

    def _labels(self, column: str, target: str) -> np.ndarray:
        """Labels int64 (n,) of a ranked column; -1 where it is empty."""
        values = self.table[column].to_pylist()
        known = {value: self._label(value, target) for value in set(values)}
        wrong = [i for i, value in enumerate(values) if known[value] is None]
        if wrong:
            value = values[wrong[0]]
            about = self.symbols.hint(str(value)) if target == "extinction_class" else "; expected 1 to 230"
            raise XtinctError(
                f"{self.path}: sample {self.ids[wrong[0]]}, column {column}: no {target} {value!r}{about}"
            )
        return np.array([known[value] for value in values], dtype=np.int64)

    def _label(self, value: object, target: str) -> int | None:
        if value is None or value != value or str(value).strip() == "":
            return -1
        if target == "extinction_class":
            return self.symbols.place(str(value))
        return _group_number(str(value))

    def _probable_answers(self) -> dict[str, Answers]:
        if not self.by_label:
            raise XtinctError(
                f"{self.path}: no answers beside {ID}; expected spacegroup_number_1, ..., "
                "extinction_class_1, ..., or a column for each space group or class"
            )
        groups = {name: _group_number(name) for name in self.by_label}
        classes = {name: self.symbols.place(name) for name in self.by_label}
        if any(value is not None for value in groups.values()):
            target, labels = "spacegroup", groups
        else:
            target, labels = "extinction_class", classes
        for name, label in labels.items():
            if label is None:
                about = self.symbols.hint(name) if target == "extinction_class" else ""
                raise XtinctError(f"{self.path}: column {name!r} is no {target}{about}")
        numbers = list(labels.values())
        twice = next((name for name, label in labels.items() if numbers.count(label) > 1), None)
        if twice is not None:
            raise XtinctError(f"{self.path}: column {twice!r}: another one is of the same {target}")
        probabilities = np.stack([self._numbers(name) for name in labels], axis=1)
        self._check(probabilities, list(labels))
        return {target: Answers.of_probabilities(np.array(numbers, dtype=np.int64), probabilities)}

    def _numbers(self, column: str) -> np.ndarray:
        try:
            values = self.table[column].cast(pa.float64()).to_numpy().astype(np.float64)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise XtinctError(f"{self.path}: column {column!r}: {' '.join(str(error).split())}") from None
        return values

    def _check(self, probabilities: np.ndarray, names: list[str]) -> None:
        """XtinctError for the first row that holds no probabilities."""
        for what, wrong in (
            ("no finite number", ~np.isfinite(probabilities)),
            ("a negative probability", probabilities < 0),
        ):
            if wrong.any():
                row, column = np.argwhere(wrong)[0]
                raise XtinctError(f"{self.path}: sample {self.ids[row]}, column {names[column]!r}: {what}")
        total = probabilities.sum(axis=1)
        if (total > 1 + _ROUNDING).any():
            row = int(total.argmax())
            raise XtinctError(
                f"{self.path}: sample {self.ids[row]}: probabilities sum to {total[row]:.4g}, more than 1"
            )


def _ranked(name: str) -> tuple[str, int] | None:
    """(beginning, place) of a ranked column; None for another column."""
    found = re.fullmatch(rf"({'|'.join(_RANKED)})(?:_(\d+))?", name)
    return None if found is None else (found[1], int(found[2] or 1))


def _group_number(text: str) -> int | None:
    found = re.fullmatch(r"\s*(\d+)(?:\.0*)?\s*", text)
    return int(found[1]) if found and 1 <= int(found[1]) <= N_SPACE_GROUPS else None


def class_of_group() -> np.ndarray:
    """Place in `class_names("all")` of every space group number, int64 (231,); -1 for number 0."""
    return Outputs.of(ALL, "spacegroup").class_of_group


def _classes_of(answers: Answers) -> Answers:
    """What answers about space groups say about classes."""
    of_group = class_of_group()
    if answers.probabilities is not None:
        of_column = of_group[answers.labels]
        labels = np.unique(of_column)
        members = (of_column[:, None] == labels).astype(np.float64)
        return Answers.of_probabilities(labels, answers.probabilities @ members)
    ranked = np.where(answers.ranked >= 0, of_group[answers.ranked], -1)
    # A class counts where it comes first; later groups of it are no further answer.
    first = np.full(ranked.shape, -1)
    for row, classes in enumerate(ranked.tolist()):
        different = list(dict.fromkeys(c for c in classes if c >= 0))
        first[row, : len(different)] = different
    return Answers(first)
