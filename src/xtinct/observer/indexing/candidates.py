"""From a peak list to lattices, the most likely first."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from xtinct.lattices.bravais import (
    POINTS,
    Lifted,
    bravais,
    lifted,
    neighbours,
    reduced_of,
)
from xtinct.lattices.metric import cell_of, form_metric, volume_of_metric
from xtinct.observer.indexing import trees
from xtinct.observer.indexing.likelihood import (
    KINDS,
    FoundLines,
    ShiftPrior,
    all_at,
    assessed,
    kind_of,
    refined,
    total_score,
)
from xtinct.observer.peaks.peak_search import Peaks, error_share
from xtinct.radiation.anodes import ANODES
from xtinct.symmetry.families import (
    CUBIC,
    FAMILIES,
    MONOCLINIC,
    ORTHORHOMBIC,
    TETRAGONAL,
    TRICLINIC,
    TRIGONAL_HEXAGONAL,
)

#: Score up to which a list has no lattice: one of 67 lists of 5 to 30 random lines reached it (3.8, 5 lines).
NOTHING = 3.0


@dataclass(frozen=True)
class Limits:
    """What the search takes for possible, and how far it goes."""

    shift_prior: ShiftPrior = field(default_factory=lambda: ShiftPrior(0.04, 0.05))  # of the list
    searched: int = 20  # lines that the search uses
    kept: int = 60  # lattices of a family that are refined
    parameter_cost: float = 5.0  # log-likelihood that each free number of a metric must earn
    largest: dict[str, float] = field(
        default_factory=lambda: {
            CUBIC: 12000.0,
            TRIGONAL_HEXAGONAL: 10000.0,
            TETRAGONAL: 10000.0,
            ORTHORHOMBIC: 10000.0,
            MONOCLINIC: 10000.0,
            TRICLINIC: 10000.0,
        }
    )  # volume of the conventional cell, angstrom^3
    error_share: float = 1.0  # share of the usual systematic errors that lines have


@dataclass(frozen=True, eq=False)
class Candidate:
    """A lattice that explains the peaks."""

    family: str
    metric: np.ndarray  # float64 (p,), of `xtinct.lattices.metric.form_metric`
    centring: str
    shift: float  # degree, observed less true
    score: float  # log-likelihood ratio over chance, less the costs of parameters
    rows: np.ndarray  # int64 (n,), the peaks that were used
    explained: np.ndarray  # bool (n,), which of them it explains
    first: np.ndarray  # float64 (12,), 1/d^2 of the first lines of the lattice
    parts: np.ndarray  # float64 (6,), what the score is made of
    suggestion: float | None = None  # how strongly it was suggested, None where it was not

    @property
    def bravais(self) -> str:
        """Bravais lattice (aP ... cF)."""
        return bravais(self.family, self.centring)

    @property
    def cell(self) -> np.ndarray:
        """Conventional cell float64 (6,)."""
        return cell_of(self.family, self.metric)

    @cached_property
    def reduced(self) -> np.ndarray:
        """Niggli cell float64 (6,) of the primitive lattice."""
        return reduced_of(self.family, self.metric, self.centring)

    @cached_property
    def volume(self) -> float:
        """Volume of the primitive cell, angstrom^3."""
        return volume_of_metric(self.metric @ FAMILIES[self.family].general) / POINTS[self.centring]


class Suggestion(NamedTuple):
    """A lattice that something else suggests, as a structure that was recognised.

    family    crystal family
    cell      float64 (6,), conventional, angstrom and degrees, about right
    centring  letter
    score     how strongly it is suggested: logarithm of how much more probable it is than another
    """

    family: str
    cell: np.ndarray
    centring: str
    score: float


@dataclass(frozen=True)
class _Lines:
    """The lines used: those that search and rank, and every peak in their reach."""

    searched: FoundLines
    every: FoundLines
    rows: np.ndarray  # int64 (n,), rows of the peaks of the search


def used_lines(peaks: Peaks, limits: Limits) -> _Lines:
    """The peaks that index: how well they are placed and how probably each is foreign."""
    area = peaks.area / peaks.area.max()
    certainty = peaks.area / peaks.area_error
    # Shorter wavelengths bring all lines to lower angles.
    reach = 12.0 * min(1.0, peaks.wavelength / ANODES["Cu"].alpha1)
    near = np.abs(peaks.two_theta[:, None] - peaks.two_theta) < reach
    local = area / np.max(np.where(near, area, 0.0), axis=1)
    foreign = np.where(certainty < 6, 0.35, np.where(certainty < 10, 0.15, 0.05))
    foreign = np.where((local < 0.015) & (foreign < 0.3), 0.3, foreign)
    foreign = np.where((local < 0.01) & (foreign < 0.6), 0.6, foreign)
    foreign = np.where((local > 0.15) & (certainty > 8), 0.03, foreign)
    # Air and the primary beam make bumps; a large cell shows several lines there.
    spacing = 1.0 / np.sqrt(peaks.q)
    alone = (spacing > _LONG) & (spacing > _ALONE * spacing[min(9, len(spacing) - 1)])
    foreign = np.where(alone, np.maximum(foreign, 0.4), foreign)
    least = _ERROR * limits.error_share
    blended = np.where(peaks.gap < 1.3 * peaks.fwhm, least, 0.0)
    error = np.sqrt(peaks.error**2 + least**2 + blended**2 + (0.05 * peaks.fwhm) ** 2)

    def chosen(most: int) -> np.ndarray:
        rows = np.flatnonzero(foreign < 0.34)
        if len(rows) < most:
            doubtful = np.flatnonzero((foreign >= 0.34) & (foreign < (0.65 if len(rows) < 10 else 0.5)))
            rows = np.sort(np.concatenate([rows, doubtful[: most - len(rows)]]))
        return rows[:most]

    def found(rows: np.ndarray) -> FoundLines:
        return FoundLines(
            peaks.two_theta[rows].astype(np.float64),
            error[rows],
            foreign[rows],
            area[rows],
            peaks.fwhm[rows].astype(np.float64),
            float(np.quantile(area, 0.1)),
            float(peaks.wavelength),
            np.array(peaks.gaps, dtype=np.float64).reshape(-1, 2),
        )

    rows = chosen(limits.searched)
    return _Lines(found(rows), found(np.arange(len(rows) and rows[-1] + 1)), rows)


def _search(family: str, found: FoundLines, shift: float, limits: Limits) -> list[np.ndarray]:
    """General metrics (6,) of the family that the lines of a shifted list suggest."""
    q, slope = all_at(found.two_theta, shift, found.wavelength)
    sure = np.flatnonzero(found.foreign < 0.3)
    if len(sure) < 4:
        sure = np.arange(len(q))
    smallest = 10.0 if FAMILIES[family].order > 8 else 30.0
    kind = min(2, KINDS[family])
    error = float(np.median(found.error))
    test = trees.test_of(
        (q, slope, found.foreign),
        trees.Tolerance(
            max(_COARSE * limits.error_share, 3.0 * error),
            max(_FINE * limits.error_share, 1.5 * error),
            min(limits.shift_prior.spread, _STEP),
        ),
        FAMILIES[family].general,
        kind,
        float(FAMILIES[family].order),
        (smallest, _largest(family, q, limits)),
    )
    kept = trees.kept(limits.kept, -3.0 if family == CUBIC else 0.0)
    _SEARCHES[family](_Start(q, sure, found.area, test, kept))
    count = int(kept.count[0])
    order = np.argsort(-kept.score[:count])
    return list(kept.metric[order])


def _largest(family: str, q: np.ndarray, limits: Limits) -> float:
    """Volume up to which lattices are looked for: that of which the lines (n,) would be an eighth.

    It is never less than what a list of any density is asked for.
    """
    lines = 4.0 * math.pi / 3.0 * float(q[-1]) ** 1.5 / FAMILIES[family].order
    return min(limits.largest[family], max(_ANY_DENSITY.get(family, np.inf), 8.0 * len(q) / lines))


def _for_widths(limits: Limits, peaks: Peaks) -> Limits:
    """The limits for a list whose peaks are sharp: their errors and their common shift are smaller too."""
    share, prior = error_share(peaks.fwhm), limits.shift_prior
    return replace(
        limits, error_share=share, shift_prior=ShiftPrior(prior.shift * share, prior.spread * share)
    )


def _starts(prior: ShiftPrior) -> np.ndarray:
    """Shifts (n,) at which the search is done: one for a well aligned diffractometer."""
    reach = max(0.0, 1.7 * prior.spread - 0.1)
    half = round(reach / _STEP)
    return prior.shift + np.arange(-half, half + 1) * (reach / max(half, 1))


class _Start(NamedTuple):
    """What a family's search begins with, and where its lattices go."""

    q: np.ndarray  # float64 (n,), 1/d^2 of the lines
    sure: np.ndarray  # int64 (m,), those that may get indices
    area: np.ndarray  # float64 (n,)
    test: trees.Test
    kept: trees.Kept

    def base(self, low: int, strong: int) -> np.ndarray:
        """1/d^2 of the lines that get indices: the first sure ones and, of the others, the strongest.

        Where one axis is long, all of the first lines may lie in one plane or row.
        """
        first, rest = self.sure[:low], self.sure[low:]
        rest = np.sort(rest[np.argsort(-self.area[rest], kind="stable")][:strong])
        return self.q[np.concatenate([first, rest])]


def _cubic(start: _Start) -> None:
    trees.one_number(start.base(7, 4), np.arange(1.0, 49.0), start.test, start.kept)


def _uniaxial(hexagonal: bool) -> Callable[[_Start], None]:
    forms = {
        (h * h + k * k + (h * k if hexagonal else 0), l * l)
        for h in range(5)
        for k in range(h + 1)
        for l in range(7)  # noqa: E741
        if h or k or l
    }
    forms = np.array(sorted(x for x in forms if sum(x) <= 40), dtype=np.float64)

    def search(start: _Start) -> None:
        trees.two_numbers(start.base(7, 3), forms, hexagonal, start.test, start.kept)

    return search


def _orthorhombic(start: _Start) -> None:
    trees.three_numbers(start.base(6, 3), _SQUARES, _FIRST, start.test, start.kept)


def _monoclinic(start: _Start) -> None:
    base = start.base(8, 3)
    axes = np.concatenate([base, base[:7] / 4])
    zone = trees.zones(axes, start.q, start.test.fine)
    trees.zone_and_row(axes, zone[:600], start.base(9, 3), start.test, start.kept)
    trees.row_by_row(start.base(5, 2), _PAIRS, _SECOND, _THIRD, start.test, start.kept)


def _triclinic(start: _Start) -> None:
    base = start.base(10, 3)
    axes = np.concatenate([base, base[:5] / 4])
    zone = trees.zones(axes, start.q, start.test.fine)
    trees.three_zones(axes, zone, 24, start.test, start.kept, _MOST_TESTED)


#: How far lines may lie from a lattice of few lines, and from one refined on all, degree, at least; error of
#: a line besides its own.
_COARSE, _FINE, _ERROR = 0.06, 0.03, 0.012
#: Spacing, angstrom, beyond which a line is doubtful if it is so many times that of the tenth line.
_LONG, _ALONE = 14.7, 3.0
#: Volume up to which lattices are looked for whatever the density of the lines, angstrom^3.
_ANY_DENSITY = {ORTHORHOMBIC: 6000.0, MONOCLINIC: 4000.0, TRICLINIC: 2000.0}
#: Step of the shifts at which the search is done, degree.
_STEP = 0.1
#: Triclinic metrics that are tested at most.
_MOST_TESTED = 600_000
_SQUARES, _FIRST = trees.squares_of(4, 4)
_HK = [(1, 0), (2, 0), (0, 1), (0, 2), (1, 1), (2, 1), (1, 2)]
_PAIRS = np.array(
    [(a, b) for a, b in itertools.product(_HK, _HK) if a[0] ** 2 * b[1] ** 2 != a[1] ** 2 * b[0] ** 2],
    dtype=np.float64,
)
_SECOND = np.array([(0, 1), (0, 2), (1, 1), (2, 1), (1, 2)], dtype=np.int64)
_THIRD = np.array(
    [(1, 0, 1), (1, 1, 1), (2, 0, 1), (1, 0, 2), (2, 1, 1), (1, 1, 2), (1, 2, 1)], dtype=np.int64
)
_SEARCHES = {
    CUBIC: _cubic,
    TETRAGONAL: _uniaxial(False),
    TRIGONAL_HEXAGONAL: _uniaxial(True),
    ORTHORHOMBIC: _orthorhombic,
    MONOCLINIC: _monoclinic,
    TRICLINIC: _triclinic,
}
#: Distance of atoms, angstrom, within which relatives of a candidate have a symmetry, and their largest size.
_LIFTED, _MOST_REDUCED = 0.06, 12000.0
_WIDTHS = np.array([0.05, 0.03, 0.02, 0.0, 0.0])
#: Weight of the lines that are not seen: their absence has many reasons.
_UNSEEN = 0.4
#: Score that a centring may have less than the best one of a cell, and how many are kept.
_LESS, _CENTRINGS = 8.0, 3
_FINAL = np.array([0.02, 0.0])


def _scored(
    start: Lifted, shift: float, lines: _Lines, limits: Limits, widths: np.ndarray = _WIDTHS
) -> list[Candidate]:
    """The refined lattices of a start, in its own centring and in those that score best."""
    family, metric = start.family, start.metric
    found = lines.searched
    n = found.two_theta.size
    metric = np.ascontiguousarray(metric, dtype=np.float64)
    widths = widths * limits.error_share
    metric, shift = refined(metric, shift, kind_of(family), found, n, limits.shift_prior, widths)
    if not np.isfinite(shift):
        return []
    result = []
    for centring in FAMILIES[family].centrings:
        one, moved, kind = metric, shift, kind_of(family, centring)
        if centring != "P":
            one, moved = refined(
                metric, shift, kind, found, n, limits.shift_prior, _FINAL * limits.error_share
            )
            if not np.isfinite(moved):
                continue
        score, far, missing, first, reach = assessed(one @ kind.general, kind, found, lines.every, moved)
        if not len(score):
            continue
        parts = np.array([total_score(score, found.foreign), score.sum(), missing, reach, n, moved])
        total = _ranking(parts, len(one), limits)
        explained = np.abs(far) < 3.0 * found.error
        result.append(
            Candidate(family, one, centring, float(moved), total, lines.rows, explained, first, parts)
        )
    result.sort(key=lambda c: -c.score)
    likely = [one for one in result if one.score > result[0].score - _LESS][:_CENTRINGS]
    return likely + [one for one in result if one.centring == start.centring and one not in likely]


def _ranking(parts: np.ndarray, numbers: int, limits: Limits) -> float:
    """Score of a lattice of so many free numbers from the parts of its likelihood."""
    return float(parts[0] + _UNSEEN * parts[2] - limits.parameter_cost * numbers)


def candidates(
    peaks: Peaks, families: tuple[str, ...] = tuple(FAMILIES), *, limits: Limits | None = None
) -> list[Candidate]:
    """Different lattices that explain the peaks, the most likely first."""
    if len(peaks) < 3:
        return []
    limits = _for_widths(limits or Limits(), peaks)
    lines = used_lines(peaks, limits)
    if lines.searched.two_theta.size < 3:
        return []
    pool: list[Candidate] = []
    for family in families:
        for shift in _starts(limits.shift_prior):
            for metric in _search(family, lines.searched, float(shift), limits):
                pool += _scored(_own(family, metric), float(shift), lines, limits)
    pool = _different(pool)
    pool = _different(pool + _lifts(pool[:40], families, lines, limits))
    pool = _different(pool + _related(pool[:4], families, lines, limits))
    return [_named(one) for one in pool]


def suggested(peaks: Peaks, suggestions: Sequence[Suggestion], *, rough: bool = False) -> list[Candidate]:
    """The suggestions as candidates, refined on the peaks; those that their lines allow.

    rough: the cells are only about right, and are refined from farther away
    """
    limits = _for_widths(Limits(), peaks)
    lines = used_lines(peaks, limits)
    found: list[Candidate] = []
    for one in suggestions:
        metric = form_metric(one.family, np.asarray(one.cell, dtype=np.float64)[None])[0]
        start = Lifted(one.family, metric, one.centring)
        scored = (
            _scored(start, limits.shift_prior.shift, lines, limits, _WIDTHS if rough else _FINAL)
            if lines.searched.two_theta.size >= 3
            else []
        )
        own = next((c for c in scored if c.centring == one.centring), None)
        if own is not None:
            found.append(replace(_named(own), suggestion=one.score))
    return found


def _named(one: Candidate) -> Candidate:
    """The candidate with the axes of an orthorhombic cell in the usual order: a <= b <= c, or C-centred."""
    if one.family != ORTHORHOMBIC:
        return one
    a, b, c = one.metric
    if one.centring in "ABC":
        third = {"A": a, "B": b, "C": c}[one.centring]
        first = sorted({"A": (b, c), "B": (a, c), "C": (a, b)}[one.centring], reverse=True)
        return replace(one, metric=np.array([*first, third]), centring="C")
    return replace(one, metric=np.sort(one.metric)[::-1].copy())


def _lifts(
    pool: list[Candidate], families: tuple[str, ...], lines: _Lines, limits: Limits
) -> list[Candidate]:
    """The candidates in the higher symmetries that they nearly have."""
    result: list[Candidate] = []
    tried: list[Lifted] = []
    for one in pool:
        for tolerance in (0.03, 0.1, 0.2):
            high = lifted(one.reduced, tolerance)
            if high is None or high.family not in families:
                continue
            if FAMILIES[high.family].order <= FAMILIES[one.family].order:
                continue
            if _known(high, tried):
                continue
            tried.append(high)
            result += _scored(high, one.shift, lines, limits)
    return result


def _related(
    pool: list[Candidate], families: tuple[str, ...], lines: _Lines, limits: Limits
) -> list[Candidate]:
    """The sublattices and superlattices of small index of the candidates, in their symmetry."""
    result: list[Candidate] = []
    tried: list[Lifted] = []
    for rank, one in enumerate(pool):
        for index, larger in itertools.product((2, 3) if rank else (2, 3, 4), (False, True)):
            for cell in neighbours(one.reduced, index, larger):
                high = lifted(cell, _LIFTED)
                if high is None or high.family not in families or cell[:3].max() > trees.LONGEST:
                    continue
                if not _MOST_REDUCED > np.prod(cell[:3]) > 8.0:
                    continue
                if _known(high, tried):
                    continue
                tried.append(high)
                result += _scored(high, one.shift, lines, limits, _FINAL)
    return result


def _known(high: Lifted, tried: list[Lifted]) -> bool:
    """Whether a lattice is nearly one of those tried, on the same axes."""
    metric = high.metric.tolist()
    near = 2e-3 * metric[0]
    return any(
        one.family == high.family
        and all(abs(x - y) <= near for x, y in zip(one.metric.tolist(), metric, strict=True))
        for one in tried
    )


def _own(family: str, general: np.ndarray) -> Lifted:
    """The lattice of the family, of no centring yet, of a general metric (6,)."""
    return Lifted(family, general[list(FAMILIES[family].columns)], "")


def _different(pool: list[Candidate]) -> list[Candidate]:
    """The pool, best first, without lattices that are the same in the same family."""
    order = sorted(pool, key=lambda c: -c.score)
    if not order:
        return []
    first = np.array([one.first for one in order])
    family = np.array([FAMILIES[one.family].order for one in order])
    kept: list[int] = []
    for i in range(len(order)):
        others = np.array(kept, dtype=np.int64)
        close = np.abs(first[others] - first[i]) < 0.004 * first[i] + 1e-12
        if not (close.all(axis=1) & (family[others] == family[i])).any():
            kept.append(i)
    return [order[i] for i in kept]


def once(pool: list[Candidate], most: int) -> list[Candidate]:
    """The pool, best first, with every cell of a family once, by its best centring; `most` at most.

    The evidence of the list and the fit are of all lines of the cell; which of them a centring takes away
    is found from the absences.
    """
    kept: list[Candidate] = []
    for one in pool:
        if len(kept) == most:
            break
        if not any(one.family == other.family and _on_axes(one, other) for other in kept):
            kept.append(one)
    return kept


def _on_axes(one: Candidate, other: Candidate) -> bool:
    """Whether lattices of a family have nearly the same cell; axes of an orthorhombic one have no order."""
    x, y = one.metric, other.metric
    if one.family == ORTHORHOMBIC:
        x, y = np.sort(x), np.sort(y)
    return bool((np.abs(x - y) <= 2e-3 * np.abs(x).max()).all())
