"""The lattices that are held against a pattern, and their probabilities."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from xtinct.lattices.bravais import same
from xtinct.lattices.metric import form_metric
from xtinct.observer.fitting.refinement import fit_cell
from xtinct.observer.indexing.candidates import Candidate, candidates, once, suggested
from xtinct.observer.judging.court import Court, Judged
from xtinct.observer.judging.lattice_classes import class_posterior
from xtinct.observer.judging.mixture import second_phase
from xtinct.observer.judging.ranking import peak_evidence
from xtinct.observer.judging.weighing import SUGGESTED, WEIGHTS, Beside, distinct, of_cells, probabilities
from xtinct.observer.peaks.peak_search import Peaks
from xtinct.observer.peaks.peak_shapes import shift
from xtinct.observer.peaks.radiation_found import Found
from xtinct.observer.question import Question, family_of_told

#: Candidates that are held against the list of peaks, how far below the best their score may be, and what
#: the score counts beside the evidence of the list; those that are held against the pattern, and how many
#: of them are chosen by their score alone.
_LISTED, _BELOW, _OF_SCORE, JUDGED, _BY_SCORE = 80, 25.0, 0.25, 12, 5
#: Suggested lattices that are held against the pattern beside them.
_SUGGESTED = 8
#: Lattices that peaks suggest in these families, the most likely first: `candidates`.
Search = Callable[[Peaks, tuple[str, ...]], list[Candidate]]


@dataclass(frozen=True)
class WeighedLattices:
    """Judged candidates, the best of the most probable cell first, then by probability, and these
    probabilities, and that it is none of them.

    phases: a lattice, and another that explains the lines which it leaves; None without a second phase
    """

    judged: list[Judged]
    share: np.ndarray
    unknown: float
    phases: tuple[Candidate, Candidate] | None


def weighed_lattices(found: Found, question: Question, search: Search) -> WeighedLattices | None:
    """The lattices of a pattern, judged and weighed: the cell that is told, or what the search finds; None
    where nothing is found."""
    if question.cell is not None:
        return WeighedLattices([_told(found, question)], np.ones(1), 0.0, None)
    pool = with_suggestions(worth_fitting(found, question, search), found, question)
    if not pool:
        return None
    court = Court.of(found, pool, question.of_family)
    judged = [one for c in pool if (one := court.judge(c)) is not None]
    if not judged:
        return None
    if not question.suggested:
        # The weights of suggestions were fitted on all descriptions.
        judged = distinct(judged)
    first = max(judged, key=lambda x: x.candidate.score)
    second = second_phase(court.left_over(first), found.peaks, question.families)
    beside = Beside(second.score if second else None, question.trust)
    share, unknown = probabilities(
        judged, len(found.peaks), SUGGESTED if question.suggested else WEIGHTS, beside
    )
    # First the best lattice of the most probable cell: a cell of several possible symmetries is one cell.
    cell = of_cells([one.reduced for one in judged], share)
    leading = max(range(len(judged)), key=lambda i: (round(float(cell[i]), 9), share[i]))
    order = sorted(range(len(judged)), key=lambda i: (i != leading, -share[i]))
    return WeighedLattices(
        [judged[i] for i in order], share[order], unknown, second and (first.candidate, second)
    )


def worth_fitting(found: Found, question: Question, search: Search = candidates) -> list[Candidate]:
    """Candidates worth a fit: the best by their lines and by the list as a whole."""
    pool = search(found.peaks, question.families)
    pool = [c for c in pool if question.suits(c.family, c.centring)]
    pool = once([c for c in pool if c.score > pool[0].score - _BELOW], _LISTED)
    return _chosen(found, pool)


def _chosen(found: Found, pool: list[Candidate]) -> list[Candidate]:
    """The best of a pool by their score, then by the list of peaks as a whole."""
    listed = [peak_evidence(found.peaks, c.family, c.metric, c.shift) for c in pool]
    worth = [_OF_SCORE * c.score + (p.value if p else -np.inf) for c, p in zip(pool, listed, strict=True)]
    by_list = [pool[i] for i in np.argsort(-np.array(worth), kind="stable")]
    chosen = pool[:_BY_SCORE]
    chosen += [c for c in by_list if not any(c is other for other in chosen)]
    return chosen[:JUDGED]


def with_suggestions(chosen: list[Candidate], found: Found, question: Question) -> list[Candidate]:
    """The candidates, marked where they are suggested, and the suggestions that are not among them."""
    result = list(chosen)
    further = [
        one
        for one in suggested(found.peaks, question.suggested[:_SUGGESTED])
        if one.family in question.families and question.suits(one.family, one.centring)
    ]
    for one in further:
        for i, known in enumerate(result):
            if known.family == one.family and same(known.reduced, one.reduced):
                marked = max(one.suggestion, -np.inf if known.suggestion is None else known.suggestion)
                result[i] = replace(known, suggestion=marked)
                break
        else:
            result.append(one)
    return result


def _told(found: Found, question: Question) -> Judged:
    """The cell that is told, fitted to the whole pattern from several starts."""
    cell, family = np.asarray(question.cell, dtype=np.float64), family_of_told(question)
    start = form_metric(family, cell[None])[0]
    fit = fit_cell(found.measured, family, start, found.peaks.profile)
    nothing = np.zeros(0)
    candidate = Candidate(
        family=family,
        metric=fit.metric,
        centring="P",
        shift=float(shift(np.array([20.0]), fit.profile)[0]),
        score=0.0,
        rows=nothing.astype(np.int64),
        explained=nothing.astype(bool),
        first=nothing,
        parts=nothing,
    )
    return Judged(
        candidate,
        fit,
        class_posterior(fit, question.of_family(family)),
        evidence=0.0,
        listed=None,
        foreign=len(fit.foreign),
        strong=0,
        left=0.0,
        centring="P",
        reduced=candidate.reduced,
    )
