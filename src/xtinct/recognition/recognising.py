"""Recognition as a person asks it: files, arrays or lists of peaks; a database, and known elements."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xtinct.errors import XtinctError
from xtinct.lattices.bravais import reduced, same
from xtinct.lattices.metric import cell_of
from xtinct.measurements import Measurement, PeakTable
from xtinct.observer.answer.remarks import of_beginning
from xtinct.observer.asking import listed, read
from xtinct.observer.observe import peaks_of
from xtinct.observer.peaks.radiation_found import Found
from xtinct.radiation.tubes import Radiation, radiation_of
from xtinct.recognition import structure_scores
from xtinct.recognition.known_structures import PACKAGED, Table, atomic_numbers, load_table
from xtinct.recognition.matching import FREE, Matched, match, predicted, same_lines
from xtinct.recognition.recognition import Known, Recognition
from xtinct.recognition.screening import screen
from xtinct.recognition.targets import FEWEST, Targets, TooFewPeaksError, from_peaks, targets_of
from xtinct.symmetry.families import FAMILIES
from xtinct.symmetry.operations import bravais_lattice, centring, hermann_mauguin

#: Environment variable that names the table to ask where none is told.
DATABASE = "XTINCT_DATABASE"
#: Where a build puts its table, which is asked if it is there and the variable names none.
BUILT = "data/recognition/table.parquet"
#: Structures that are refined: by likeness of root intensities, and of fourth roots.
CANDIDATES = (400, 200)
#: Of them those that are looked at for duplicates, and those that are told.
_LOOKED, _TOLD = 60, 10
#: A phase leaves of a peak what its lines do not reach, if that is more than this share; a further phase is
#: looked for where the peaks that are left have this share of the root areas.
_LEFT, _WORTH = 0.5, 0.12
#: Least area, over the largest, of peaks that call for a further phase; and probability that names one.
_STRONG, _NAMED = 0.02, 0.5


class RecognisedCell(NamedTuple):
    """Refined conventional cell float64 (6,), angstrom and degrees; Bravais lattice (aP ... cF); score."""

    cell: np.ndarray
    bravais: str
    score: float


class Ranked(NamedTuple):
    """Structures of a table that were refined on peaks: rows (n,), what was measured, likeness, scores."""

    rows: np.ndarray
    matched: Matched
    likeness: np.ndarray
    scores: np.ndarray

    def order(self, most: int) -> np.ndarray:
        """The best by score, at most so many, those without a score left out."""
        order = np.argsort(-self.scores, kind="stable")[:most]
        return order[np.isfinite(self.scores[order])]


def recognise(
    pattern: str | Path | Measurement | PeakTable | tuple[np.ndarray, np.ndarray],
    database: str | Path | Table | None = None,
    wavelength: float | str | Sequence[float] | Radiation | None = None,
    *,
    elements: str | Iterable[str] | None = None,
    peaks: bool = False,
    scan: str | None = None,
    axis: str | None = None,
    phases: int = 3,
) -> Recognition:
    """Known structures whose lines fit a measured pattern, and what symmetry they vote for.

    pattern     a file of any format of powder diffraction, a Measurement or PeakTable of
                `xtinct.measurements`, or two float (n,) arrays: 2theta in degrees, and intensity
    database    a table of `known_structures.build_table`: its file, or as `load_table` read it; None: what
                `default_database` says
    wavelength  angstrom, a name (CuKa), or the two of a doublet; None: what the file says
    elements    symbols ("Si,O") that the sample may have; structures with others, hydrogen excepted, are left
                out
    peaks       whether the file is a list of peaks; scan, which of several scans
    axis        what the positions of a file are, where it does not say it: 2theta, d, q ...
    phases      most phases that are looked for

    Returns a `Recognition`: print it, or see its attributes and `to_dict()`. XtinctError where there is
    nothing to be read, where the wavelength is not known, and for less than one phase.
    """
    if phases < 1:
        raise XtinctError(f"phases: {phases}, expected 1 or more")
    table = open_table(database)
    rows = chosen_rows(table, elements)
    pattern = read(pattern, wavelength, peaks=peaks, scan=scan, axis=axis)
    found, targets, name, notes = _targets(pattern, wavelength)
    if found is not None:
        notes = (*notes, *(note for note in found.notes if note not in notes), *map(str, of_beginning(found)))
    answer = recognise_targets(table, targets, rows, name, phases)
    return replace(answer, notes=(*notes, *answer.notes))


def recognised_cells(found: Found, table: Table, most: int = 25) -> list[RecognisedCell]:
    """Refined cells of the structures that fit the peaks of a pattern best, best first, each lattice once.

    An empty list where there are too few peaks. Scores are logarithms of how much more probable a structure
    is than another, up to a constant.
    """
    try:
        ranked = rank(table, np.arange(len(table)), targets_of(found))
    except TooFewPeaksError:
        return []
    out: list[RecognisedCell] = []
    primitive: list[np.ndarray] = []
    for at in ranked.order(_LOOKED):
        number = int(table.numbers[ranked.rows[at]])
        cell = _cell(table, ranked, int(at))
        if not np.isfinite(cell).all():
            continue
        small = reduced(cell, centring(number))
        kind = bravais_lattice(number)
        if any(kind == x.bravais and same(small, y) for x, y in zip(out, primitive, strict=True)):
            continue
        out.append(RecognisedCell(cell, kind, float(ranked.scores[at])))
        primitive.append(small)
        if len(out) == most:
            break
    return out


def open_table(database: str | Path | Table | None) -> Table:
    """A table of known structures, read once for a file as it stands; None: what `default_database` says."""
    if isinstance(database, Table):
        return database
    if isinstance(database, int | float):
        raise XtinctError(
            f"database: {database:g} is no table; tell a wavelength by name, wavelength={database:g}"
        )
    path = Path(default_database() if database is None else database)
    if not path.is_file():
        told = f" ({DATABASE})" if database is None else ""
        raise XtinctError(
            f"{path}{told}: no such file; name another table of known structures (--database or {DATABASE}), "
            "or leave both out to ask the one that comes with xtinct"
        )
    state = path.stat()
    return _loaded(path, state.st_mtime_ns, state.st_size)


def default_database() -> Path:
    """The table that is asked where none is named: that of XTINCT_DATABASE; else the one that a build in this
    folder made; else those that come with the library."""
    if told := os.environ.get(DATABASE):
        return Path(told)
    return Path(BUILT) if Path(BUILT).is_file() else PACKAGED


@lru_cache(maxsize=1)
def _loaded(path: Path, changed: int, size: int) -> Table:
    return load_table(path)


def chosen_rows(table: Table, elements: str | Iterable[str] | None) -> np.ndarray:
    """Rows of structures of some elements, or all."""
    if elements is None:
        return np.arange(len(table))
    symbols = elements.replace(",", " ").split() if isinstance(elements, str) else list(elements)
    if not symbols:
        raise XtinctError("elements: none given, expected symbols such as Si,O")
    allowed = {1}
    for symbol in symbols:
        try:
            found = atomic_numbers(symbol)
        except XtinctError:
            found = []
        if len(found) != 1 or not symbol.isalpha():
            raise XtinctError(f"elements: {symbol!r} is no element, expected symbols such as Si,O")
        allowed.update(found)
    rows = table.made_of(allowed)
    if not len(rows):
        raise XtinctError(f"elements {','.join(symbols)}: {table.path} has no structure of these alone")
    return rows


def _targets(pattern, wavelength) -> tuple[Found | None, Targets, str, tuple[str, ...]]:
    radiation = None if wavelength is None else radiation_of(wavelength)
    if isinstance(pattern, PeakTable):
        known = listed(pattern, radiation)
        margin = 2 * float(np.median(known.fwhm))
        ends = max(float(known.two_theta[0]) - margin, 0.1), float(known.two_theta[-1]) + margin
        return None, from_peaks(known, *ends), pattern.name or "peak list", pattern.notes
    found = peaks_of(pattern, radiation)
    return found, targets_of(found), pattern.name or "pattern", pattern.notes


def rank(table: Table, rows: np.ndarray, targets: Targets) -> Ranked:
    """Structures of a table that fit peaks best (CANDIDATES of `rows`), refined on them and scored."""
    screened = screen(table, targets, rows)
    chosen = [
        np.argsort(-screened.likeness[:, power], kind="stable")[:most]
        for power, most in enumerate(CANDIDATES)
    ]
    at = np.unique(np.concatenate(chosen))
    at = at[screened.likeness[at, 0] > 0]
    matched = match(table, targets, rows[at], screened.shift[at, 0])
    likeness = screened.likeness[at]
    return Ranked(rows[at], matched, likeness, structure_scores.scores(matched, likeness))


def _cell(table: Table, ranked: Ranked, at: int) -> np.ndarray:
    """Refined conventional cell (6,)."""
    family = int(table.families[ranked.rows[at]])
    with np.errstate(invalid="ignore"):
        return np.asarray(cell_of(list(FAMILIES)[family], ranked.matched.metric[at, : FREE[family]]))


def _lines(table: Table, targets: Targets, ranked: Ranked, at: int) -> tuple[np.ndarray, np.ndarray]:
    matched = ranked.matched
    scale, shift = float(matched["scale"][at]), float(matched["shift"][at])
    return predicted(table, targets, int(ranked.rows[at]), matched.metric[at], scale, shift)


def _merged(table: Table, targets: Targets, ranked: Ranked) -> list[list[int]]:
    """The best structures, those together that this pattern does not tell apart, each list best first.

    Duplicates and ordered variants of one parent: of the same elements, and with lines at the same places and
    as strong, as far as the widths of the peaks show.
    """
    heads: list[list[int]] = []
    lines, made = [], []
    for at in ranked.order(_LOOKED):
        own = _lines(table, targets, ranked, int(at))
        row = ranked.rows[at]
        elements = table.elements[table.first_element[row] : table.first_element[row + 1]].tobytes()
        for head, other, kind in zip(heads, lines, made, strict=True):
            if kind == elements and same_lines(targets, own, other):
                head.append(int(at))
                break
        else:
            heads.append([int(at)])
            lines.append(own)
            made.append(elements)
    return heads


def recognise_targets(
    table: Table, targets: Targets, rows: np.ndarray | None = None, name: str = "pattern", phases: int = 1
) -> Recognition:
    """`recognise` of peaks that were found before, among some rows of a table (None: all)."""
    rows = np.arange(len(table)) if rows is None else rows
    ranked = rank(table, rows, targets)
    heads = _merged(table, targets, ranked)
    if not heads:
        nothing = structure_scores.frequencies(table.numbers)
        return Recognition(name, (), 0.0, _groups(nothing), len(targets), len(rows))
    best = structure_scores.Best(
        heads[0][0], ranked.scores, table.numbers[ranked.rows], int((targets.open > 0).sum())
    )
    right = structure_scores.probability_of_best(ranked.matched, best)
    values = ranked.scores.copy()
    for head in heads:
        # Structures that are one have the vote of the best, which their groups share.
        values[head] += values[head[0]] - np.logaddexp.reduce(values[head])
    frequency = structure_scores.frequencies(table.numbers)
    numbers = table.numbers[ranked.rows].astype(np.int64)
    answer = Recognition(
        name=name,
        known=_known(table, targets, ranked, heads, right),
        probability=right,
        groups=_groups(structure_scores.group_probabilities(values, numbers, right, frequency)),
        peaks=len(targets),
        structures=len(rows),
    )
    others, notes = _further(table, rows, targets, ranked, heads[0][0], answer, phases)
    return replace(answer, others=others, notes=notes)


def _groups(probabilities: np.ndarray) -> dict[int, float]:
    order = np.argsort(-probabilities, kind="stable")
    return {int(g): float(probabilities[g]) for g in order if g and probabilities[g] > 0}


def _known(
    table: Table, targets: Targets, ranked: Ranked, heads: list[list[int]], right: float
) -> tuple[Known, ...]:
    shown = heads[:_TOLD]
    share = structure_scores.shares(ranked.scores[[head[0] for head in heads]])
    every = [at for head in shown for at in head]
    names = dict(zip(every, table.names(ranked.rows[every]), strict=True))
    out = []
    for head, part in zip(shown, share, strict=False):
        at = head[0]
        row = ranked.rows[at]
        number = int(table.numbers[row])
        shift = float(ranked.matched["shift"][at])
        angle, intensity = _lines(table, targets, ranked, at)
        out.append(
            Known(
                structure_id=names[at]["structure_id"],
                formula=names[at]["formula"],
                number=number,
                symbol=hermann_mauguin(number),
                bravais=bravais_lattice(number),
                cell=_cell(table, ranked, at),
                stored=table.cells[row].astype(np.float64),
                score=float(ranked.scores[at]),
                probability=float(right * part),
                shift=shift,
                cosine=float(ranked.matched["textured"][at]),
                explained=float(ranked.matched["explained"][at]),
                also=tuple(
                    (names[x]["structure_id"], names[x]["formula"], int(table.numbers[ranked.rows[x]]))
                    for x in head[1:]
                ),
                d_star=2 * np.sin(np.radians((angle - shift) / 2)) / targets.wavelength,
                intensity=intensity,
            )
        )
    return tuple(out)


def _further(table, rows, targets, ranked, at, answer, phases) -> tuple[tuple[Recognition, ...], tuple]:
    """Phases in the peaks that the best structure leaves, and what is to be said of them."""
    if answer.doubtful:
        return (), ()
    left = _left(targets, *_lines(table, targets, ranked, at), float(ranked.matched["scale_of_area"][at]))
    still = (left.open > 0) & (left.area > _STRONG)
    root = np.sqrt(targets.area * targets.open)
    if still.sum() < FEWEST or root[still].sum() < _WORTH * root.sum():
        return (), ()
    text = (
        f"{int(still.sum())} peaks of {len(targets)} are left that {answer.known[0].formula} does not explain"
    )
    if phases < 2:
        return (), (f"{text}.",)
    other = recognise_targets(table, left, rows, answer.name, phases - 1)
    if other.probability < _NAMED:
        return (), (f"{text}, and no structure explains them well: another substance, or not this one.",)
    return (replace(other, others=(), notes=()), *other.others), (*(f"{text}.",), *other.notes)


def _left(targets: Targets, place: np.ndarray, intensity: np.ndarray, scale: float) -> Targets:
    """The targets with what the lines of a phase explain taken off."""
    reach = np.maximum(0.06, 0.5 * targets.fwhm)
    near = np.abs(place[None, :] - targets.two_theta[:, None]) < reach[:, None]
    explained = (near * intensity[None, :]).sum(axis=1) * np.exp(scale)
    share = np.clip(1 - explained / (targets.area * np.maximum(targets.open, 1e-9)), 0, 1)
    # Intensities never fit exactly: what a phase has half explained it may explain.
    return replace(targets, open=np.where(share > _LEFT, targets.open * share, 0.0))
