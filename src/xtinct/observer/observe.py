"""From a measured pattern, or a list of peaks, to lattices, extinction classes and space groups."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xtinct.errors import XtinctError
from xtinct.measurements.records import Measurement
from xtinct.observer.answer import remarks
from xtinct.observer.answer.answer_data import Statement, spread
from xtinct.observer.answer.lattice_answers import (
    by_centring,
    fitted_lattice,
    indexed_lines,
    lattice_answer,
    line_answers,
    merged,
    on_c_axes,
    with_cell_probabilities,
)
from xtinct.observer.answer.observation import Observation
from xtinct.observer.exact_answer import is_ideal, observe_ideal
from xtinct.observer.final_fit import axes_of, fitted_to_the_end
from xtinct.observer.fitting.line_sets import centring_of
from xtinct.observer.group_probabilities import (
    add_lattice,
    by_votes,
    heard,
    prior_with_votes,
    spread_over,
    unfound,
)
from xtinct.observer.indexing.candidates import NOTHING, Candidate, Suggestion, candidates, suggested
from xtinct.observer.judging.weighing import SUGGESTED, WEIGHTS, sharpened, tempered
from xtinct.observer.peaks.peak_search import Peaks
from xtinct.observer.peaks.radiation_found import Found, find
from xtinct.observer.question import Question, family_of_told
from xtinct.observer.weighed_lattices import JUDGED, Search, WeighedLattices, weighed_lattices
from xtinct.radiation.tubes import Radiation
from xtinct.symmetry.families import FAMILIES

#: Scales of a cell that is told, from which it is refined on a list of peaks.
_SCALES = (0.98, 0.985, 0.99, 0.995, 1.0, 1.005, 1.01, 1.015, 1.02)
#: Rivals whose deciding lines are told.
_RIVALS = 3


def observe(
    pattern: Measurement, radiation: Radiation | None = None, question: Question | None = None
) -> Observation:
    """Read a measured pattern.

    radiation: wavelengths, where the file does not say them or says them wrongly. XtinctError where they
    are not known at all, or where there is nothing to be read (too few points, a constant).
    """
    return observe_found(pattern, peaks_of(pattern, radiation), question)


def peaks_of(pattern: Measurement, radiation: Radiation | None = None) -> Found:
    """What a measured pattern shows before any lattice; `radiation` and errors as in `observe`."""
    radiation = radiation or pattern.radiation
    if radiation is None:
        raise XtinctError(
            f"{pattern.name or 'pattern'}: the wavelength is not known; tell it "
            "(--wavelength 1.5406, or CuKa for a doublet)"
        )
    found = find(pattern.two_theta, pattern.intensity, radiation, pattern.sigma)
    return replace(found, notes=(radiation.note, *found.notes)) if radiation.note else found


def observe_found(
    pattern: Measurement, found: Found, question: Question | None = None, search: Search = candidates
) -> Observation:
    """`observe` of a pattern whose peaks were found before.

    search: `candidates`, or one that keeps what it found, for several questions about the same peaks.
    """
    question = question or Question()
    said = [Statement("reading", note) for note in pattern.notes]
    said += [Statement("radiation", note) for note in found.notes if note not in pattern.notes]
    said += [Statement("reading", question.note)] if question.note else []
    said += remarks.of_peaks(found)
    nothing = _nothing(pattern.name, found.measured.radiation, question)
    nothing = replace(nothing, measured=found.measured, lines=line_answers(found.peaks), statements=said)
    if remarks.amorphous(found):
        return replace(nothing, lines=[])
    why = remarks.no_lattice(len(found.peaks), told=question.cell is not None)
    if len(found.peaks) < remarks.LEAST:
        return replace(nothing, statements=[*said, *why])
    if question.cell is None and is_ideal(pattern.two_theta, pattern.intensity, found):
        known = question.informed or len(question.families) < len(FAMILIES)
        weights = question.weights() if known else None
        exact = observe_ideal(pattern.two_theta, pattern.intensity, found, nothing, question.law, weights)
        if exact is not None:
            return exact
    weighed = weighed_lattices(found, question, search)
    if weighed is None:
        return replace(nothing, statements=[*said, *why])
    if weighed.phases is not None:
        said.append(remarks.two_phases(weighed.judged[0].candidate, *weighed.phases))
    return _answer(nothing, found, question, weighed)


def observe_peaks(
    name: str,
    peaks: Peaks,
    question: Question | None = None,
    notes: Sequence[str] = (),
    radiation: Radiation | None = None,
) -> Observation:
    """Index a list of peaks; there are no heights to judge classes by, so these have the prior's weight.

    notes: what is to be known of how the list was read; radiation, None where nobody tells it.
    """
    question = question or Question()
    notes = [*notes, *([question.note] if question.note else [])]
    said = [*(Statement("reading", note) for note in notes), *remarks.of_list(len(peaks))]
    nothing = replace(_nothing(name, radiation, question), lines=line_answers(peaks), statements=said)
    found = _listed(peaks, question) if len(peaks) >= remarks.LEAST else []
    if not found:
        why = remarks.no_lattice(len(peaks), told=question.cell is not None)
        return replace(nothing, statements=[*said, *why])
    best = found[0].score
    weight = np.exp(np.array([c.score - best for c in found[:JUDGED]]) * 0.3)
    none = float(np.exp(-0.3 * best)) if question.cell is None else 0.0
    share, unknown = weight / (weight.sum() + none), float(none / (weight.sum() + none))
    lattices = [lattice_answer(c, c.centring, p, peaks) for c, p in zip(found, share, strict=False)]
    lattices = with_cell_probabilities([lattices[0], *map(on_c_axes, lattices[1:])])
    groups: dict[int, float] = dict.fromkeys(question.weights(), 0.0)
    for lattice in lattices:
        add_lattice(groups, lattice.family, lattice.probability, question, lattice.bravais)
    for number, weight in question.weights().items():
        groups[number] += unknown * weight
    lines = indexed_lines(
        peaks, (found[0].family, found[0].metric), found[0].shift, obverse=found[0].centring == "R"
    )
    if question.cell is not None:
        said += remarks.of_told_cell(lines)
    return replace(
        nothing,
        statements=said,
        lattices=lattices,
        unknown=unknown,
        lines=lines,
        **spread_over(groups, question),
    )


def _listed(peaks: Peaks, question: Question) -> list[Candidate]:
    """Lattices of a list of peaks, the most likely first: of a cell that is told, or those that are found."""
    if question.cell is None:
        found = candidates(peaks, question.families)
        return [c for c in found if c.score > NOTHING and question.suits(c.family, c.centring)]
    cell, family = np.asarray(question.cell, dtype=np.float64), family_of_told(question)
    found = []
    for letter in FAMILIES[family].centrings:
        if not question.suits(family, letter):
            continue
        near = [Suggestion(family, cell * [x, x, x, 1, 1, 1], letter, 0.0) for x in _SCALES]
        found += sorted(suggested(peaks, near, rough=True), key=lambda c: -c.score)[:1]
    return sorted(found, key=lambda c: -c.score)


def _answer(nothing: Observation, found: Found, question: Question, weighed: WeighedLattices) -> Observation:
    weights = SUGGESTED if question.suggested else WEIGHTS
    groups = dict.fromkeys(question.weights(), 0.0)
    absences = dict(groups)
    fit, posterior = fitted_to_the_end(found, weighed.judged[0], question)
    lattices = []
    for i, (one, p) in enumerate(zip(weighed.judged, weighed.share.tolist(), strict=True)):
        # All lattices were judged over one range and with one variance: what a longer range adds is mostly
        # overlap and misfit, and names fewer classes right.
        alone = tempered(one.posterior.group_probability, weights.temper)
        together = heard(question, one)
        for number, x, y in zip(
            one.posterior.groups.tolist(), alone.tolist(), together.tolist(), strict=True
        ):
            if number in groups:
                absences[number] += p * x
                groups[number] += p * y
        told = (fit, posterior) if i == 0 else (one.fit, by_votes(one.posterior, one, question))
        letter = centring_of(told[0].lines, told[1].allowed(told[1].symbols[0]))
        lattice = fitted_lattice(replace(one, fit=told[0]), letter, p, found.peaks)
        lattices.append(lattice if i == 0 else on_c_axes(lattice))
    for number, share in unfound(question).items():
        absences[number] += weighed.unknown * share
    for number, share in prior_with_votes(question, unfound(question)).items():
        groups[number] += weighed.unknown * share
    groups = sharpened(groups, weights.sharpness)
    if question.cell is not None:
        lattices = by_centring(lattices[0], groups)
    best = posterior.symbols[0]
    allowed = posterior.allowed(best)
    rivals = [s for s in posterior.symbols[1:] if s != best][:_RIVALS]
    result = replace(
        nothing,
        lattices=merged(lattices),
        unknown=weighed.unknown,
        lines=indexed_lines(found.peaks, (fit.family, fit.metric), fit, obverse=lattices[0].centring == "R"),
        deciding={rival: posterior.deciding(rival) for rival in rivals},
        by_absences=spread(absences) if question.votes is not None else [],
        fit=fit,
        absent=fit.centre[: len(fit.lines)][~allowed],
        read_as=(fit.family, best),
        axes={
            number: matrix
            for number in posterior.members(best)
            if (matrix := axes_of(number, fit, allowed)) is not None
        },
        **spread_over(groups, question),
    )
    return replace(result, statements=[*nothing.statements, *remarks.of_answer(result, found)])


def _nothing(name: str, radiation: Radiation | None, question: Question) -> Observation:
    """The answer of the prior, with the votes where there are any."""
    groups = prior_with_votes(question, question.weights())
    return Observation(
        name=name, radiation=radiation, lattices=[], unknown=1.0, lines=[], **spread_over(groups, question)
    )
