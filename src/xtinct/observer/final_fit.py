"""The last fit of the lattice that is told, on the axes that its class names."""

import numpy as np

from xtinct.errors import XtinctError
from xtinct.lattices.bravais import namings
from xtinct.lattices.metric import cell_of, cells_of_tensors, direct_tensor, form_metric
from xtinct.observer.fitting.pawley import LatticeFit
from xtinct.observer.fitting.refinement import fit_cell, on_other_axes
from xtinct.observer.group_probabilities import by_votes
from xtinct.observer.judging.court import Judged
from xtinct.observer.judging.lattice_classes import ClassPosterior, class_posterior
from xtinct.observer.peaks.radiation_found import Found
from xtinct.observer.question import Question
from xtinct.symmetry.absences import absent
from xtinct.symmetry.families import MONOCLINIC, ORTHORHOMBIC


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
        return one.fit, by_votes(one.posterior, one, question)
    posterior = by_votes(class_posterior(fit, question.of_family(fit.family)), one, question)
    metric = standard_metric(fit, posterior)
    if metric is None:
        return fit, posterior
    # Once more on the axes on which the best class has its symbol: cell, hkl and symbol then agree.
    try:
        fit = on_other_axes(found.measured, fit, metric)
    except (XtinctError, np.linalg.LinAlgError):
        return fit, posterior
    return fit, by_votes(class_posterior(fit, question.of_family(fit.family)), one, question)


def axes_of(number: int, fit: LatticeFit, allowed: np.ndarray) -> np.ndarray | None:
    """int64 (3, 3): hkl @ this are those of the group's standard setting, None where no naming of the axes
    leaves just the lines `allowed` (m,). The identity, where it does; else that of the shortest axes."""
    for matrix in namings(fit.family, cell_of(fit.family, fit.metric)):
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
