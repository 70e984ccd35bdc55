"""Judging the observer, and observer and recognition together, on measured patterns that passed the audit."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from xtinct.auditing.pattern_sets import LabelledMeasurement, labelled_measurements
from xtinct.ceiling.hypotheses import Window
from xtinct.ceiling.single_patterns import pattern_ceilings
from xtinct.errors import XtinctError
from xtinct.files.parquet import read_table, write_parquet
from xtinct.files.schema import MEASURED_PREDICTIONS
from xtinct.files.writing import write_json
from xtinct.joint.identification import Identification
from xtinct.joint.identifying import identify_found
from xtinct.lattices.bravais import reduced, same
from xtinct.measurements import Measurement
from xtinct.observer.indexing.candidates import Candidate, candidates
from xtinct.observer.observe import observe_found, peaks_of
from xtinct.observer.peaks.peak_search import Peaks
from xtinct.observer.peaks.radiation_found import Found
from xtinct.observer.question import Question
from xtinct.observer.weighed_lattices import Search
from xtinct.recognition.known_structures import Table
from xtinct.recognition.recognising import chosen_rows, open_table
from xtinct.scores.calibration import expected_calibration_error
from xtinct.scores.metrics import proportion
from xtinct.structures.formulas import amounts_in
from xtinct.structures.labels import reduced_formula
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import family_of, family_of_system, space_groups
from xtinct.symmetry.operations import bravais_lattice, centring

#: What is judged of an answer; `lattice` is whether its best cell is the label's.
TARGETS = ("crystal_system", "family", "bravais", "extinction_class", "spacegroup")
_KS = (1, 2, 3, 4, 5)
#: Decimals of what is stored of an answer: below them, sums come out differently on each run.
_DIGITS = 6
#: Laboratory of the records over all of them.
ALL = "all"


@dataclass(frozen=True)
class MeasuredTest:
    """A set of measured patterns to judge by.

    name        of the set
    patterns    table MEASURED_PATTERNS; audit, table AUDIT of the same set: those that passed are judged
    database    table of known structures
    confidence  of the intervals
    """

    name: str
    patterns: str | Path
    audit: str | Path
    database: str | Path | Table
    confidence: float = 0.95


@dataclass(frozen=True)
class MeasuredAnswer:
    """One answer. answer: None where there is none, and `failed` says why; seconds, that it took."""

    pattern: LabelledMeasurement
    answer: Identification | None
    failed: str
    seconds: float
    known: bool

    def probabilities(self, target: str) -> Mapping:
        """Probability of every value of a target, most probable first; empty without an answer."""
        if self.answer is None:
            return {}
        return {
            "crystal_system": self.answer.systems,
            "family": self.answer.families,
            "bravais": self.answer.bravais_lattices,
            "extinction_class": self.answer.classes,
            "spacegroup": self.answer.groups,
        }[target]

    @property
    def cell(self) -> np.ndarray | None:
        """Conventional cell float64 (6,) of the best lattice; None without one."""
        lattices = self.answer.observation.lattices if self.answer else []
        return lattices[0].cell if lattices else None

    @property
    def lattice_right(self) -> bool | None:
        """Whether the best lattice is the label's; None where the label has no cell."""
        label = self.pattern.label
        if label.number is None or label.cell is None:
            return None
        if self.cell is None:
            return False
        best = self.answer.observation.lattices[0]
        return same(reduced(self.cell, best.centring), reduced(label.cell, centring(label.number)))


def truth(pattern: LabelledMeasurement, target: str) -> object | None:
    """The label's value of a target; None where the label does not say it."""
    label = pattern.label
    if target == "crystal_system":
        return label.true_system
    if target == "family":
        return family_of_system(label.true_system).name if label.true_system else None
    if label.number is None:
        return None
    return {
        "bravais": bravais_lattice,
        "extinction_class": lambda number: (family_of(number), class_symbol(number)),
        "spacegroup": int,
    }[target](label.number)


def judge_measured(
    test: MeasuredTest, outputs: Mapping[str, tuple[str | Path, str | Path]]
) -> dict[str, list[dict]]:
    """Ask methods of every pattern that passed the audit; return the records of each method.

    outputs  for each method asked, one of METHODS (`index`: lattice and absences alone; `predict`: known
             structures beside them), two files: the records as JSON, for every laboratory and for all
             together one for each of TARGETS (`records_of`), and what was said of each pattern as a table
             of schema MEASURED_PREDICTIONS

    The peaks of a pattern, and the lattices that these suggest, are found once; their time counts for each
    method.
    """
    for method in outputs:
        if method not in METHODS:
            raise XtinctError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    table = open_table(test.database)
    known = _known_formulas(table)
    answers: dict[str, list[MeasuredAnswer]] = {method: [] for method in outputs}
    for pattern in labelled_measurements(test.patterns, test.audit):
        for method, answer in _answered(pattern, table, known, outputs).items():
            answers[method].append(answer)
    records = {}
    for method, (output_json, output_parquet) in outputs.items():
        rows = pa.Table.from_pylist(list(map(_prediction, answers[method])), schema=MEASURED_PREDICTIONS)
        write_parquet(output_parquet, [rows], MEASURED_PREDICTIONS)
        records[method] = records_of(test.name, method, answers[method], test.confidence)
        write_json(output_json, records[method])
    return records


def _observed(pattern: Measurement, found: Found, table: Table, search: Search) -> Identification:
    return Identification(observe_found(pattern, found, search=search), None)


def _identified(pattern: Measurement, found: Found, table: Table, search: Search) -> Identification:
    return identify_found(pattern, found, Question(), table, chosen_rows(table, None), search)


#: What is asked of a pattern.
METHODS: dict[str, Callable[[Measurement, Found, Table, Search], Identification]] = {
    "index": _observed,
    "predict": _identified,
}


def _answered(
    pattern: LabelledMeasurement, table: Table, known: frozenset, methods: Iterable[str]
) -> dict[str, MeasuredAnswer]:
    """The answer of each method to one pattern."""
    found, finding = _timed(lambda: peaks_of(pattern.measurement))
    is_known = _plain_formula(pattern.label.formula) in known
    search, answers = _SearchedOnce(), {}
    for method in methods:
        answer, seconds = found, 0.0
        if not isinstance(found, XtinctError):
            search.spared = 0.0
            answer, seconds = _timed(partial(METHODS[method], pattern.measurement, found, table, search))
            seconds += search.spared
        failed = isinstance(answer, XtinctError)
        answers[method] = MeasuredAnswer(
            pattern, None if failed else answer, str(answer) if failed else "", finding + seconds, is_known
        )
    return answers


class _SearchedOnce:
    """`candidates` of the peaks of one pattern; spared: seconds of the searches that were not done again."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[list[Candidate], float]] = {}
        self.spared = 0.0

    def __call__(self, peaks: Peaks, families: tuple[str, ...]) -> list[Candidate]:
        if families in self._known:
            self.spared += self._known[families][1]
        else:
            self._known[families] = _timed(partial(candidates, peaks, families))
        return self._known[families][0]


def _timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function returns, or its XtinctError, and the seconds that it took."""
    started = time.perf_counter()
    try:
        result = function()
    except XtinctError as error:
        result = error
    return result, time.perf_counter() - started


def _known_formulas(table: Table) -> frozenset[str]:
    return frozenset(_plain_formula(x) for x in read_table(table.path, ["formula"])["formula"].to_pylist())


def _plain_formula(text: str) -> str:
    """Reduced formula of a text; the text itself where it is none."""
    amounts = amounts_in(text)
    return reduced_formula(amounts) if amounts else text


def _prediction(one: MeasuredAnswer) -> dict[str, object]:
    label = one.pattern.label
    classes, groups = (_rounded(one.probabilities(t))[:5] for t in ("extinction_class", "spacegroup"))
    systems = dict(_rounded(one.probabilities("crystal_system")))
    cell = one.cell
    return {
        "pattern_id": one.pattern.pattern_id,
        "laboratory": one.pattern.laboratory,
        "spacegroup_number": label.number,
        "extinction_class": None if label.number is None else class_symbol(label.number),
        "crystal_system": label.true_system,
        "systems": list(systems),
        "system_probabilities": list(systems.values()),
        "families": [family for (family, _), _ in classes],
        "classes": [symbol for (_, symbol), _ in classes],
        "class_probabilities": [p for _, p in classes],
        "groups": [number for number, _ in groups],
        "group_probabilities": [p for _, p in groups],
        "cell": [] if cell is None else np.round(cell, _DIGITS).tolist(),
        "lattice_right": one.lattice_right,
        "known": one.known,
        "failed": one.failed,
    }


def _rounded(probabilities: Mapping) -> list[tuple]:
    """Names and probabilities, most probable first; equal ones by name."""
    rounded = ((name, round(p, _DIGITS)) for name, p in probabilities.items())
    return sorted(rounded, key=lambda item: (-item[1], item[0]))


def records_of(
    name: str, method: str, answers: Sequence[MeasuredAnswer], confidence: float = 0.95
) -> list[dict]:
    """One record for each laboratory, and for all of several, and each of TARGETS that labels say.

    `n` patterns with that target, `failed` of them without an answer, which count as wrong, `known` of them
    with a structure of their formula in the database; `top1` to `top5` with Wilson intervals; `ece`, expected
    calibration error; `ceiling1`, of the label's lattices within the measured ranges, all groups of a family
    alike (classes and groups); `lattice`, best cell is the label's; `held`, the set holds the true class;
    `sure`, share with a first answer above 0.9, and `sure_right` of them; `seconds`, median of an answer, and
    `seconds_90`.
    """
    laboratories = Counter(one.pattern.laboratory for one in answers)
    scopes = [*([ALL] if len(laboratories) != 1 else []), *sorted(laboratories)]
    records = []
    for scope in scopes:
        mine = [one for one in answers if scope in (ALL, one.pattern.laboratory)]
        for target in TARGETS:
            labelled = [one for one in mine if truth(one.pattern, target) is not None]
            about = {"set": name, "method": method, "laboratory": scope, "target": target}
            records.append({**about, "confidence": confidence, **_record(labelled, target, confidence)})
    return records


def _record(answers: Sequence[MeasuredAnswer], target: str, confidence: float) -> dict[str, object]:
    if not answers:
        return {"n": 0}
    n = len(answers)
    labels = [truth(one.pattern, target) for one in answers]
    said = [one.probabilities(target) for one in answers]
    places = [list(p).index(x) if x in p else n * 1000 for p, x in zip(said, labels, strict=True)]
    record: dict[str, object] = {
        "n": n,
        "failed": sum(one.answer is None for one in answers),
        "known": sum(one.known for one in answers),
    }
    for k in _KS:
        record |= proportion(f"top{k}", sum(place < k for place in places), n, confidence)
    record["ece"] = _calibration(said, labels)
    first = [next(iter(p.values()), 0.0) for p in said]
    sure = [place == 0 for place, p in zip(places, first, strict=True) if p > 0.9]
    record |= {"sure": len(sure) / n, "sure_right": sum(sure), "sure_n": len(sure)}
    if target == "extinction_class":
        sets = [one.answer.class_set if one.answer else [] for one in answers]
        record |= proportion("held", sum(x in s for x, s in zip(labels, sets, strict=True)), n, confidence)
        record["set_size"] = float(np.mean([len(s) for s in sets]))
    if target == "bravais":
        right = [one.lattice_right for one in answers if one.lattice_right is not None]
        record |= {**proportion("lattice", sum(right), len(right), confidence), "lattice_n": len(right)}
    if target in ("extinction_class", "spacegroup"):
        record["ceiling1"] = _ceiling(answers, target)
        counted = [x for one in answers if (x := one.pattern.ceilings.get(target)) is not None]
        record["counted1"] = float(np.mean(counted)) if counted else None
    seconds = [one.seconds for one in answers]
    record["seconds"], record["seconds_90"] = (round(float(np.quantile(seconds, q)), 3) for q in (0.5, 0.9))
    return record


def _calibration(said: Sequence[Mapping], labels: Sequence) -> float | None:
    """Expected calibration error over the patterns with an answer; None where there is none."""
    answered = [(p, x) for p, x in zip(said, labels, strict=True) if p]
    names = sorted({name for p, x in answered for name in (*p, x)}, key=str)
    if not answered:
        return None
    at = {name: i for i, name in enumerate(names)}
    matrix = np.zeros((len(answered), len(names)))
    for row, (p, _) in zip(matrix, answered, strict=True):
        row[[at[name] for name in p]] = list(p.values())
    return expected_calibration_error(matrix, np.array([at[x] for _, x in answered]))


def _ceiling(answers: Sequence[MeasuredAnswer], target: str) -> float | None:
    """Mean over the patterns whose label has a cell: what the range that was measured leaves at best."""
    shares = []
    for one in answers:
        label, m = one.pattern.label, one.pattern.measurement
        if label.cell is None or m.radiation is None:
            continue
        low, high = 2 * np.sin(np.radians(m.two_theta[[0, -1]] / 2)) / m.radiation.wavelength
        family = family_of(label.number)
        alike = dict.fromkeys(space_groups(family), 1)
        found = pattern_ceilings(
            family,
            [label.number],
            label.cell[None],
            Window(float(low), float(high)),
            target=target,
            ks=(1,),
            prior=alike,
        )
        shares.append(float(found[1][0]))
    return float(np.mean(shares)) if shares else None
