"""From a measured pattern, or a list of peaks, to lattices, extinction classes and space groups."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from xtinct.ceiling.extinction import Weight
from xtinct.ceiling.priors import occurrence
from xtinct.errors import XtinctError
from xtinct.lattices.bravais import bravais, reduced, same
from xtinct.lattices.conventional import conventional_cell_errors
from xtinct.lattices.metric import cell_of, cells_of_tensors, direct_tensor, form_metric, reciprocal_metric
from xtinct.measurements.records import Measurement
from xtinct.observer.answer import remarks
from xtinct.observer.answer.answer_data import ClassAnswer, LatticeAnswer, LineAnswer, Statement, spread
from xtinct.observer.answer.observation import Observation
from xtinct.observer.exact_answer import is_ideal, observe_ideal
from xtinct.observer.fitting.line_sets import centring_of, lines_of
from xtinct.observer.fitting.pawley import LatticeFit
from xtinct.observer.fitting.refinement import fit_cell, on_other_axes
from xtinct.observer.indexing.candidates import NOTHING, Candidate, Suggestion, candidates, once, suggested
from xtinct.observer.indexing.merit import merit
from xtinct.observer.judging.court import Court, Judged
from xtinct.observer.judging.lattice_classes import ClassPosterior, class_posterior
from xtinct.observer.judging.mixture import explained, second_phase
from xtinct.observer.judging.ranking import peak_evidence
from xtinct.observer.judging.weighing import (
    SUGGESTED,
    WEIGHTS,
    Beside,
    distinct,
    of_cells,
    probabilities,
    sharpened,
    tempered,
    voted,
)
from xtinct.observer.peaks.peak_search import Peaks
from xtinct.observer.peaks.peak_shapes import q_of, shift, true_angle
from xtinct.observer.peaks.radiation_found import Found, find
from xtinct.radiation.tubes import Radiation
from xtinct.symmetry.absences import absent
from xtinct.symmetry.classes import extinction_classes, relabellings
from xtinct.symmetry.families import (
    CRYSTAL_SYSTEMS,
    FAMILIES,
    MONOCLINIC,
    ORTHORHOMBIC,
    crystal_system,
    family_of,
    space_groups,
)
from xtinct.symmetry.operations import bravais_lattice, centring

#: Candidates that are held against the list of peaks, how far below the best their score may be, and what
#: the score counts beside the evidence of the list; those that are held against the pattern, and how many
#: of them are chosen by their score alone.
_LISTED, _BELOW, _OF_SCORE, _JUDGED, _BY_SCORE = 80, 25.0, 0.25, 12, 5
#: Suggested lattices that are held against the pattern beside them.
_SUGGESTED = 8
#: Probability from which a centring of a cell that was told is a lattice of the answer.
_TOLD = 1e-3
#: Scales of a cell that is told, from which it is refined on a list of peaks.
_SCALES = (0.98, 0.985, 0.99, 0.995, 1.0, 1.005, 1.01, 1.015, 1.02)
#: Rivals whose deciding lines are told.
_RIVALS = 3
#: Where the centrings that are a C on other axes put their second lattice point.
_CENTRES = {"A": (0, 0.5, 0.5), "B": (0.5, 0, 0.5), "C": (0.5, 0.5, 0), "I": (0.5, 0.5, 0.5)}
#: Least peaks that can be indexed.
_LEAST = 3


#: Lattices that peaks suggest in these families, the most likely first: `candidates`.
Search = Callable[[Peaks, tuple[str, ...]], list[Candidate]]


@dataclass(frozen=True)
class Question:
    """What is known of the crystal, and what is asked.

    families   crystal families that are possible
    prior      weight of every space group; None: within a family as often as groups occur, by square roots
    cell       six numbers, angstrom and degrees, on conventional axes, about right; None: unknown
    centring   letter of the centring (P A B C I F R), where it is known; A, B and C are one
    law        intensity law of patterns without noise: physical, or uniform for random intensities
    suggested  lattices to be judged beside those that the observer finds, the strongest first
    trust      probability that the first of them is right
    votes      probability of every space group by what suggested them; None: they have no voice
    note       what was made of the cell, where it was told on other axes
    """

    families: tuple[str, ...] = tuple(FAMILIES)
    prior: Mapping[int, Weight] | None = None
    cell: tuple[float, ...] | None = None
    centring: str | None = None
    law: str = "physical"
    suggested: tuple[Suggestion, ...] = ()
    trust: float = 0.0
    votes: Mapping[int, float] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        unknown = [f for f in self.families if f not in FAMILIES]
        if unknown or not self.families:
            raise XtinctError(f"crystal family {unknown or '(none)'}: expected some of {', '.join(FAMILIES)}")
        if self.cell is not None:
            cell = np.asarray(self.cell, dtype=np.float64)
            if cell.shape != (6,) or not (np.isfinite(cell).all() and (cell > 0).all()):
                raise XtinctError(f"cell {self.cell}: expected six positive numbers, a b c alpha beta gamma")
            if cell[3:].max() < np.pi:
                raise XtinctError(f"cell {self.cell}: angles of radians, expected degrees")
            reciprocal_metric(cell)
        if self.centring is not None and self.centring not in tuple("PABCIFR"):
            raise XtinctError(f"centring {self.centring!r}: expected one of P A B C I F R")

    @property
    def informed(self) -> bool:
        """Whether groups are weighted, by a prior or by a known centring."""
        return self.prior is not None or self.centring is not None

    def suits(self, family: str, letter: str) -> bool:
        """Whether a lattice is possible: its centring by what is known, its family by the prior."""
        return self._suits_centring(family, letter) and self.has_weight(family)

    def has_weight(self, family: str) -> bool:
        """Whether a group of a family has weight."""
        return family in self._weighted

    @cached_property
    def _weighted(self) -> frozenset[str]:
        """Families with a group that has weight."""
        return frozenset(family_of(number) for number, weight in self.weights().items() if weight)

    def _suits_centring(self, family: str, letter: str) -> bool:
        """Whether a lattice of a family may have a centring; a monoclinic I is a C on other axes."""
        if self.centring is None:
            return True
        faces = "ABCI" if family == MONOCLINIC else "ABC"
        alike = faces if self.centring in faces else self.centring
        return letter in alike

    def of_family(self, family: str) -> dict[int, float] | None:
        """Weights by which the groups of a family are judged; None where all groups are alike.

        What is told; else `occurrence`, but where known structures vote: they say it themselves.
        """
        if self.votes is not None and not self.informed:
            return None
        weights, usual = self.weights(), occurrence()
        if self.prior is None and self.votes is None:
            weights = {g: w * usual[g] for g, w in weights.items()}
        return {g: weights[g] for g in space_groups(family) if weights.get(g)}

    def weights(self) -> dict[int, float]:
        """Prior of the groups of all families asked for, float, summing to 1."""
        groups = [g for f in self.families for g in space_groups(f) if self._suits_centring(f, centring(g))]
        raw = {g: 1.0 if self.prior is None else float(self.prior.get(g, 0)) for g in groups}
        total = sum(raw.values())
        if not total > 0:
            raise XtinctError(
                f"prior: no weight on any group of {', '.join(self.families)}"
                + (f" with centring {self.centring}" if self.centring else "")
            )
        return {g: w / total for g, w in raw.items()}


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
    nothing = replace(nothing, measured=found.measured, lines=_lines(found.peaks), statements=said)
    if remarks.amorphous(found):
        return replace(nothing, lines=[])
    if len(found.peaks) < _LEAST:
        return replace(nothing, statements=[*said, *remarks.no_lattice(found)])
    if question.cell is None and is_ideal(pattern.two_theta, pattern.intensity, found):
        known = question.informed or len(question.families) < len(FAMILIES)
        weights = question.weights() if known else None
        exact = observe_ideal(pattern.two_theta, pattern.intensity, found, nothing, question.law, weights)
        if exact is not None:
            return exact
    weighed = _lattices(found, question, search)
    if weighed is None:
        return replace(nothing, statements=[*said, *remarks.no_lattice(found)])
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
    nothing = replace(_nothing(name, radiation, question), lines=_lines(peaks), statements=said)
    found = _listed(peaks, question) if len(peaks) >= _LEAST else []
    if not found:
        return replace(nothing, statements=[*said, Statement("no lattice", *remarks.NO_LATTICE)])
    best = found[0].score
    weight = np.exp(np.array([c.score - best for c in found[:_JUDGED]]) * 0.3)
    unknown = float(np.exp(-0.3 * best)) if question.cell is None else 0.0
    share = weight / (weight.sum() + unknown)
    lattices = [_lattice(c, c.centring, p, peaks) for c, p in zip(found, share, strict=False)]
    lattices = _with_cells([lattices[0], *map(on_c_axes, lattices[1:])])
    groups: dict[int, float] = dict.fromkeys(question.weights(), 0.0)
    for lattice in lattices:
        _add(groups, lattice.family, lattice.probability, question, lattice.bravais)
    for number, weight in question.weights().items():
        groups[number] += (1 - share.sum()) * weight
    lines = _indexed(
        peaks, (found[0].family, found[0].metric), found[0].shift, obverse=found[0].centring == "R"
    )
    if question.cell is not None:
        said += remarks.of_told_cell(lines)
    return replace(
        nothing,
        statements=said,
        lattices=lattices,
        unknown=float(1 - share.sum()),
        lines=lines,
        **_spread(groups, question),
    )


def _listed(peaks: Peaks, question: Question) -> list[Candidate]:
    """Lattices of a list of peaks, the most likely first: of a cell that is told, or those that are found."""
    if question.cell is None:
        found = candidates(peaks, question.families)
        return [c for c in found if c.score > NOTHING and question.suits(c.family, c.centring)]
    cell, family = np.asarray(question.cell, dtype=np.float64), _family_of_told(question)
    found = []
    for letter in FAMILIES[family].centrings:
        if not question.suits(family, letter):
            continue
        near = [Suggestion(family, cell * [x, x, x, 1, 1, 1], letter, 0.0) for x in _SCALES]
        found += sorted(suggested(peaks, near, rough=True), key=lambda c: -c.score)[:1]
    return sorted(found, key=lambda c: -c.score)


@dataclass(frozen=True)
class _Weighed:
    """Judged candidates, the best of the most probable cell first, then by probability, and these
    probabilities, and that it is none of them.

    phases: a lattice, and another that explains the lines which it leaves; None without a second phase
    """

    judged: list[Judged]
    share: np.ndarray
    unknown: float
    phases: tuple[Candidate, Candidate] | None


def _lattices(found: Found, question: Question, search: Search) -> _Weighed | None:
    if question.cell is not None:
        return _Weighed([_told(found, question)], np.ones(1), 0.0, None)
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
    return _Weighed([judged[i] for i in order], share[order], unknown, second and (first.candidate, second))


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
    return chosen[:_JUDGED]


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
    cell, family = np.asarray(question.cell, dtype=np.float64), _family_of_told(question)
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


def _family_of_told(question: Question) -> str:
    """The family of a cell that is told: the highest whose axes it has, unless a lower one is asked for."""
    cell = np.asarray(question.cell, dtype=np.float64)
    possible = [f for f in question.families if question.has_weight(f)]
    fitting = [f for f in possible if conventional_cell_errors(f, cell[None]).max() < 1e-3]
    if not fitting:
        raise XtinctError(
            f"cell {' '.join(f'{x:g}' for x in cell)}: no conventional cell of {', '.join(possible)}"
        )
    return fitting[0]


def _answer(nothing: Observation, found: Found, question: Question, weighed: _Weighed) -> Observation:
    weights = SUGGESTED if question.suggested else WEIGHTS
    groups = dict.fromkeys(question.weights(), 0.0)
    absences = dict(groups)
    fit, posterior = fitted_to_the_end(found, weighed.judged[0], question)
    lattices = []
    for i, (one, p) in enumerate(zip(weighed.judged, weighed.share.tolist(), strict=True)):
        # All lattices were judged over one range and with one variance: what a longer range adds is mostly
        # overlap and misfit, and names fewer classes right.
        alone = tempered(one.posterior.group_probability, weights.temper)
        heard = _heard(question, one.posterior.groups, alone)
        for number, x, y in zip(one.posterior.groups.tolist(), alone.tolist(), heard.tolist(), strict=True):
            if number in groups:
                absences[number] += p * x
                groups[number] += p * y
        told = (fit, posterior) if i == 0 else (one.fit, _by_votes(one.posterior, one.posterior, question))
        letter = centring_of(told[0].lines, told[1].allowed(told[1].symbols[0]))
        lattice = _fitted_lattice(replace(one, fit=told[0]), letter, p, found.peaks)
        lattices.append(lattice if i == 0 else on_c_axes(lattice))
    for number, share in _unfound(question).items():
        absences[number] += weighed.unknown * share
    for number, share in _prior_heard(question, _unfound(question)).items():
        groups[number] += weighed.unknown * share
    if question.cell is not None:
        lattices = _by_centring(lattices[0], groups)
    best = posterior.symbols[0]
    allowed = posterior.allowed(best)
    rivals = [s for s in posterior.symbols[1:] if s != best][:_RIVALS]
    result = replace(
        nothing,
        lattices=_merged(lattices),
        unknown=weighed.unknown,
        lines=_indexed(found.peaks, (fit.family, fit.metric), fit, obverse=lattices[0].centring == "R"),
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
        **_spread(sharpened(groups, weights.sharpness), question),
    )
    return replace(result, statements=[*nothing.statements, *remarks.of_answer(result, found)])


def _by_centring(told: LatticeAnswer, groups: Mapping[int, float]) -> list[LatticeAnswer]:
    """A cell that was told, with every centring that has a probability: that of its space groups, summed.

    The centring of the best class stands first.
    """
    sums: dict[str, float] = {}
    for number, p in groups.items():
        if family_of(number) == told.family:
            sums[bravais_lattice(number)] = sums.get(bravais_lattice(number), 0.0) + p
    total = sum(sums.values())
    first = replace(told, probability=sums.pop(told.bravais, 0.0) / total)
    letters = {bravais_lattice(g): centring(g) for g in groups if family_of(g) == told.family}
    return [first] + [
        replace(told, bravais=kind, centring=letters[kind], probability=p / total)
        for kind, p in sums.items()
        if p / total > _TOLD
    ]


def _heard(question: Question, groups: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Probabilities (n,) of space groups (n,) with the votes, where there are any."""
    if question.votes is None:
        return probability
    votes, usual = question.votes, occurrence()
    told = [usual[int(number)] if question.prior is None else 1.0 for number in groups]
    share = np.array([votes.get(int(number), 0.0) for number in groups])
    return voted(probability, share, np.array(told), SUGGESTED.votes)


def _unfound(question: Question) -> dict[int, float]:
    """Probability of every space group where the lattice is none of those that were found.

    That of the prior where one is told, or where known structures vote. All groups alike would make half of
    what was not found tetragonal or orthorhombic and hardly any triclinic: without a prior, crystal systems
    are alike here, as they were where the weights were fitted.
    """
    weights = question.weights()
    if question.prior is not None or question.votes is not None:
        return weights
    total = dict.fromkeys(CRYSTAL_SYSTEMS, 0.0)
    for number, weight in weights.items():
        total[crystal_system(number)] += weight
    systems = sum(x > 0 for x in total.values())
    return {number: w / total[crystal_system(number)] / systems for number, w in weights.items()}


def _prior_heard(question: Question, prior: Mapping[int, float]) -> dict[int, float]:
    """A prior of the space groups with the votes, where there are any."""
    heard = _heard(question, np.array(list(prior)), np.array(list(prior.values())))
    return dict(zip(prior, heard.tolist(), strict=True))


def _by_votes(posterior: ClassPosterior, judged: ClassPosterior, question: Question) -> ClassPosterior:
    """The posterior of a lattice with its classes in the order that its judging, and the votes, gave them."""
    power = tempered(judged.group_probability, (SUGGESTED if question.suggested else WEIGHTS).temper)
    return posterior.ordered(judged.groups, _heard(question, judged.groups, power))


def fitted_to_the_end(found: Found, one: Judged, question: Question) -> tuple[LatticeFit, ClassPosterior]:
    """The whole-pattern fit of a lattice over its range, with uncertainties, and its classes.

    The classes stand in the order of the answer; which lines decide between them is that of this fit.
    """
    profile = found.peaks.profile._replace(
        zero=one.fit.profile.zero, displacement=one.fit.profile.displacement
    )
    try:
        fit = fit_cell(found.measured, one.candidate.family, one.candidate.metric, profile, known=True)
    except (XtinctError, np.linalg.LinAlgError):
        return one.fit, _by_votes(one.posterior, one.posterior, question)
    posterior = _by_votes(class_posterior(fit, question.of_family(fit.family)), one.posterior, question)
    metric = standard_metric(fit, posterior)
    if metric is None:
        return fit, posterior
    # Once more on the axes on which the best class has its symbol: cell, hkl and symbol then agree.
    try:
        fit = on_other_axes(found.measured, fit, metric)
    except (XtinctError, np.linalg.LinAlgError):
        return fit, posterior
    return fit, _by_votes(class_posterior(fit, question.of_family(fit.family)), one.posterior, question)


def axes_of(number: int, fit: LatticeFit, allowed: np.ndarray) -> np.ndarray | None:
    """int64 (3, 3): hkl @ this are those of the group's standard setting, None where no naming of the axes
    leaves just the lines `allowed` (m,). The identity, where it does; else that of the shortest axes."""
    tensor = direct_tensor(cell_of(fit.family, fit.metric))

    def unlike(matrix: np.ndarray) -> tuple[bool, float]:
        lengths = np.sqrt(np.diag(matrix.T @ tensor @ matrix))
        return bool((matrix != np.eye(3)).any()), round(float(lengths.sum()), 6)

    for matrix in sorted(relabellings(fit.family), key=unlike):
        shown = np.zeros(len(fit.lines), dtype=bool)
        np.logical_or.at(shown, fit.lines.owner, ~absent(number, fit.lines.hkl @ matrix))
        if (shown == allowed).all():
            return matrix
    return None


def standard_metric(fit: LatticeFit, posterior: ClassPosterior) -> np.ndarray | None:
    """The metric on the axes that the symbol of the best class means; None where it has them already.

    An orthorhombic or monoclinic lattice does not name its axes, but a symbol such as P 1 21/c 1 does.
    """
    best = posterior.symbols[0]
    matrix = axes_of(posterior.members(best)[0], fit, posterior.allowed(best))
    if matrix is None:
        return None
    if fit.family not in (ORTHORHOMBIC, MONOCLINIC) or (matrix == np.eye(3)).all():
        return None
    cell = cells_of_tensors(matrix.T @ direct_tensor(cell_of(fit.family, fit.metric)) @ matrix)
    if fit.family == MONOCLINIC and cell[4] < 90:
        cell[4] = 180 - cell[4]
    return form_metric(fit.family, cell[None])[0]


def _fitted_lattice(one: Judged, letter: str, probability: float, peaks: Peaks) -> LatticeAnswer:
    cell, error = one.fit.cell()
    # Where the fit moves the lines to: the shift of the search belongs to the metric of the search.
    straight = replace(peaks, two_theta=peaks.two_theta - shift(peaks.two_theta, one.fit.profile))
    refined = replace(one.candidate, metric=one.fit.metric, shift=0.0)
    lattice = _lattice(refined, letter, probability, straight)
    return replace(lattice, cell=cell, cell_error=error)


def on_c_axes(lattice: LatticeAnswer) -> LatticeAnswer:
    """The lattice on the shortest axes on which its A, B or monoclinic I is a C, as its Bravais symbol says.

    The first lattice of an answer is not for this: its axes are those of its class and of its indexed lines.
    """
    if not lattice.bravais.endswith("C") or lattice.centring == "C":
        return lattice
    point = np.array(_CENTRES[lattice.centring])
    tensor = direct_tensor(lattice.cell)
    cells = cells_of_tensors(
        np.array(
            [
                matrix.T @ tensor @ matrix
                for matrix in relabellings(lattice.family)
                if (np.linalg.inv(matrix).round() @ point % 1 == _CENTRES["C"]).all()
            ]
        )
    )
    cell = cells[cells[:, :3].sum(axis=1).round(6).argmin()]
    if lattice.family == MONOCLINIC:
        cell[4] = max(cell[4], 180 - cell[4])
    return replace(lattice, cell=cell, cell_error=np.full(6, np.nan), centring="C")


def _lattice(candidate: Candidate, letter: str, probability: float, peaks: Peaks) -> LatticeAnswer:
    # Figures of merit are those of all lines of the lattice, whatever the search looked at.
    rows = np.flatnonzero(explained(candidate, peaks))
    own = merit(replace(candidate, rows=rows, explained=np.ones(len(rows), dtype=bool)), peaks)
    cell = cell_of(candidate.family, candidate.metric)
    return LatticeAnswer(
        family=candidate.family,
        bravais=bravais(candidate.family, letter),
        centring=letter,
        cell=cell,
        cell_error=np.full(6, np.nan),
        probability=float(probability),
        m20=own.m20,
        f20=own.f20,
        score=candidate.score,
        volume=float(np.prod(cell[:3]) * _volume_factor(cell)),
    )


def _volume_factor(cell: np.ndarray) -> float:
    x, y, z = np.cos(np.radians(cell[3:]))
    return float(np.sqrt(max(1 - x * x - y * y - z * z + 2 * x * y * z, 0.0)))


def _merged(lattices: list[LatticeAnswer]) -> list[LatticeAnswer]:
    """The lattices without repetitions of one Bravais lattice and cell, whose probabilities are added.

    The first stays first, the others follow by their probability.
    """
    kept: list[LatticeAnswer] = []
    for lattice in lattices:
        for i, other in enumerate(kept):
            if lattice.bravais == other.bravais and same(lattice.cell, other.cell, 0.004, 0.3):
                kept[i] = replace(other, probability=other.probability + lattice.probability)
                break
        else:
            kept.append(lattice)
    return _with_cells([kept[0], *sorted(kept[1:], key=lambda lattice: -lattice.probability)])


def _with_cells(lattices: list[LatticeAnswer]) -> list[LatticeAnswer]:
    """The lattices with the probabilities of their cells."""
    cells = [reduced(lattice.cell, lattice.centring) for lattice in lattices]
    total = of_cells(cells, np.array([lattice.probability for lattice in lattices]))
    return [replace(x, cell_probability=p) for x, p in zip(lattices, total.tolist(), strict=True)]


def _nothing(name: str, radiation: Radiation | None, question: Question) -> Observation:
    """The answer of the prior, with the votes where there are any."""
    groups = _prior_heard(question, question.weights())
    return Observation(
        name=name, radiation=radiation, lattices=[], unknown=1.0, lines=[], **_spread(groups, question)
    )


def _spread(groups: dict[int, float], question: Question) -> dict[str, object]:
    """Families, classes and groups of an `Observation` from probabilities of groups: they agree."""
    total = sum(groups.values())
    groups = {g: p / total for g, p in groups.items()}
    classes = [
        ClassAnswer(f, c.symbol, tuple(c.members), sum(groups.get(g, 0.0) for g in c.members))
        for f in question.families
        for c in extinction_classes(f)
    ]
    return {
        "families": {f: sum(groups.get(g, 0.0) for g in space_groups(f)) for f in question.families},
        "classes": sorted(classes, key=lambda c: -c.probability),
        "groups": spread(groups),
    }


def _add(groups: dict[int, float], family: str, share: float, question: Question, kind: str) -> None:
    """Spread the probability of a lattice over the groups that have its Bravais lattice, by the prior;
    over all of its family where none of these has weight."""
    family_weights = question.of_family(family) or dict.fromkeys(space_groups(family), 1.0)
    own = {g: w for g, w in family_weights.items() if bravais_lattice(g) == kind} or family_weights
    total = sum(own.values())
    for number, weight in own.items():
        groups[number] += share * weight / total


def _lines(peaks: Peaks) -> list[LineAnswer]:
    d = peaks.wavelength / (2 * np.sin(np.radians(peaks.two_theta / 2)))
    columns = (peaks.two_theta, peaks.error, d, peaks.area, peaks.area_error, peaks.fwhm)
    return [
        LineAnswer(None, float(t), float(e), None, float(s), float(a), float(ae), float(w))
        for t, e, s, a, ae, w in zip(*columns, strict=True)
    ]


def _indexed(
    peaks: Peaks, lattice: tuple[str, np.ndarray], where: LatticeFit | float, *, obverse: bool
) -> list[LineAnswer]:
    """Observed lines with the hkl of the nearest line of a lattice (family, metric), if it is near enough."""
    family, metric = lattice
    q_max = float(q_of(min(peaks.two_theta[-1] + 1, 170.0), peaks.wavelength))
    own = lines_of(family, metric, 1e-9, q_max)
    true = true_angle(own.forms @ metric, peaks.wavelength)
    moved = shift(true, where.profile) if isinstance(where, LatticeFit) else np.full(len(true), where)
    placed, hkl = true + moved, own.representative(obverse=obverse)
    out = []
    for line, width in zip(_lines(peaks), peaks.fwhm, strict=True):
        i = int(np.abs(placed - line.two_theta).argmin()) if len(placed) else -1
        if i < 0 or abs(placed[i] - line.two_theta) > max(0.06, 0.65 * width):
            out.append(line)
            continue
        spacing = peaks.wavelength / (2 * np.sin(np.radians((line.two_theta - moved[i]) / 2)))
        index = tuple(int(x) for x in hkl[i])
        out.append(replace(line, hkl=index, calculated=float(placed[i]), d=float(spacing)))
    return out
