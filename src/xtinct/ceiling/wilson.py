"""Estimate: what an ideal observer gains from physical intensities (Wilson statistics).

The extinction ceilings assume that intensities say nothing. In a crystal the reflections of one
powder line fall into orbits of the point group; reflections of an orbit have equal intensities,
those of different orbits independent ones, and an orbit is centric or acentric. With many equal
atoms in general positions (Wilson 1949, Acta Cryst. 2, 318; Stewart and Karle 1976)

    |F|^2 = e S chi2_1        for a centric reflection (some operation turns h into -h)
    |F|^2 = e S chi2_2 / 2    for an acentric one

where S is the sum of f^2 over the cell and e the number of operations of the cell (centring
included) that fix h. An orbit, Friedel mates included, has m reflections with m e = |G| for
centric and 2 |G| for acentric ones, |G| being the number of operations of the cell. Hence a line is

    I / S = |G| chi2_nu,   nu = sum over its orbits of 1 (centric) or 2 (acentric),

a gamma distribution, and lines that are not resolved add their nu. The observer knows the lattice,
S (scale, form factors and displacement factors are divided out), and that these statistics hold; a
pattern is free of noise and background. Likelihoods of all groups follow in closed form
(the idea of Markvardsen et al. 2001, Acta Cryst. A57, 47, for all groups and without noise).

Assumptions that real crystals break: heavy or few atoms, atoms on special positions,
pseudosymmetry, unknown scale, overlap and noise. The result is therefore an estimate of what is
there to be learned, clearly above what a measurement gives.
"""

import math
from dataclasses import dataclass

import numpy as np

from xtinct.ceiling.extinction import USUAL, CeilingQuestion, k_largest, labels, prior_weights
from xtinct.ceiling.hypotheses import Hypotheses, best_of, blocks, partitions
from xtinct.ceiling.lattice_ranges import sampled_cells
from xtinct.ceiling.measured_lines import MeasurementModel, lines_in_elements, times
from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.lattices.distributions import LatticeSpec
from xtinct.lattices.metric import quadratic_forms
from xtinct.randomness import normal, stream_key, subkey
from xtinct.symmetry.absences import absent
from xtinct.symmetry.operations import operations
from xtinct.symmetry.reflection_conditions import box


@dataclass(frozen=True)
class WilsonEstimate:
    """Accuracy of the ideal observer of Wilson intensities on known lattices.

    accuracies       k -> top-k accuracy (Monte-Carlo mean)
    standard_errors  k -> its standard error
    extinction       k -> ceiling of the same lattices when intensities say nothing
    pairs            (group, group, accuracy) for the pairs of an extinction class: how often the
                     likelihood alone chooses the right one of the two; 0.5 if they are identical
    """

    accuracies: dict[int, float]
    standard_errors: dict[int, float]
    extinction: dict[int, float]
    pairs: tuple[tuple[int, int, float], ...]


def degrees_of_freedom(family: str, number: int, forms: np.ndarray, reach: int) -> np.ndarray:
    """nu of every line of the quadratic forms int (n, p) in a space group: int64 (n,).

    `reach`: indices h, k, l of the forms are at most this.
    """
    if not len(forms):
        return np.zeros(0, dtype=np.int64)
    hkl = _half_box(reach)
    wanted = np.concatenate([forms.astype(np.int64), quadratic_forms(family, hkl)])
    _, identity = np.unique(wanted, axis=0, return_inverse=True)
    identity = identity.reshape(-1)
    slot = np.full(identity.max() + 1, -1)
    slot[identity[: len(forms)]] = np.arange(len(forms))
    form = slot[identity[len(forms) :]]
    hkl, form = hkl[form >= 0], form[form >= 0]
    present = ~absent(number, hkl)
    hkl, form = hkl[present], form[present]
    rotations = np.unique(operations(number).rotations.astype(np.int64), axis=0)
    fixed = np.zeros(len(hkl), dtype=np.int64)
    centric = np.zeros(len(hkl), dtype=bool)
    for rotation in rotations:
        image = hkl @ rotation
        fixed += (image == hkl).all(axis=1)
        centric |= (image == -hkl).all(axis=1)
    # Every reflection carries its share of the orbit; one of each Friedel pair is in the list.
    pairs_in_orbit = len(rotations) / fixed / np.where(centric, 2, 1)
    nu = np.bincount(form, weights=np.where(centric, 1, 2) / pairs_in_orbit, minlength=len(forms))
    return np.rint(nu).astype(np.int64)


def _half_box(reach: int) -> np.ndarray:
    hkl = box(reach)
    h, k, l = hkl.T  # noqa: E741
    return hkl[(h > 0) | ((h == 0) & ((k > 0) | ((k == 0) & (l > 0))))]


def wilson_estimate(
    family: str,
    spec: LatticeSpec,
    measurement: MeasurementModel,
    *,
    question: CeilingQuestion = USUAL,
    seed: int = 0,
    lattices: int = 30,
    draws: int = 10,
) -> WilsonEstimate:
    """Top-k accuracy of the ideal observer over lattices of `spec`; see the module's docstring.

    Of `measurement` the range and the width of the resolution elements are used. Every group draws
    `draws` patterns on each of `lattices` lattices.
    """
    ks = question.ks
    if lattices < 2 or draws < 1:
        raise XtinctError(f"{lattices} lattices with {draws} draws: expected at least 2 and 1")
    hypotheses = Hypotheses(family, measurement.window.d_star_max, spec.length_max, spec.angles)
    reach = math.floor(spec.length_max * measurement.window.d_star_max * (1 + 1e-9))
    groups = [int(number) for number in hypotheses.groups]
    nu_of_forms = np.stack([degrees_of_freedom(family, g, hypotheses.lines.forms, reach) for g in groups])
    nu_of_forms = hypotheses.on_relabelled_axes(nu_of_forms)
    scale = np.tile([float(len(operations(g))) for g in groups], hypotheses.relabelled)
    weight_of = prior_weights(family, question.prior)
    weights = np.array([float(weight_of.get(g, 0)) for g in groups])
    weights /= weights.sum()
    label_of = labels(family, question.target)
    names = sorted({label_of[g] for g in groups}, key=str)
    of_label = np.array([[label_of[g] == name for name in names] for g in groups], dtype=float)

    cells = sampled_cells(family, spec, seed, lattices)
    truth = np.repeat(np.flatnonzero(weights), draws)
    turn = weights[truth] / draws
    key = stream_key(seed, "wilson", family)
    top = np.empty((len(cells), len(ks)))
    right = np.zeros((len(groups), len(groups)))
    for i, cell in enumerate(cells):
        lattice = lines_in_elements(hypotheses, cell, measurement)
        nu = np.zeros((lattice.n_elements, len(scale)), dtype=np.int64)
        np.add.at(nu, lattice.element[lattice.line], nu_of_forms[:, lattice.forms].T)
        likelihood = _likelihoods(np.ascontiguousarray(nu.T), scale, truth, np.uint64(subkey(key, i)))
        likelihood = likelihood.reshape(len(truth), hypotheses.relabelled, len(groups))
        # Not knowing the names of the axes: the mean over the relabellings.
        peak = likelihood.max(axis=(1, 2), keepdims=True)
        of_group = np.exp(likelihood - peak).mean(axis=1)
        posterior = of_group * weights
        posterior /= posterior.sum(axis=1, keepdims=True)
        right_of_truth = k_largest(times(posterior, of_label), ks)
        top[i] = [(turn * right_of_truth[k]).sum() for k in ks]
        mine = of_group[np.arange(len(truth)), truth][:, None]
        better = (mine > of_group * (1 + 1e-9)) + 0.5 * (abs(mine - of_group) <= 1e-9 * mine)
        np.add.at(right, truth, better / (draws * len(cells)))
    return WilsonEstimate(
        accuracies={k: float(top[:, j].mean()) for j, k in enumerate(ks)},
        standard_errors={k: float(top[:, j].std(ddof=1) / math.sqrt(len(top))) for j, k in enumerate(ks)},
        extinction=_extinction(hypotheses, cells, measurement, question),
        pairs=_pairs_of_classes(hypotheses, right, weights),
    )


def _extinction(
    hypotheses: Hypotheses,
    cells: np.ndarray,
    measurement: MeasurementModel,
    question: CeilingQuestion,
) -> dict[int, float]:
    ks = question.ks
    weights, _, total = hypotheses.joint(question.target, question.prior)
    rows = partitions(hypotheses.signatures(cells, measurement.window))
    won = [best_of(weights, blocks(row), ks) for row in rows]
    return {k: sum(of_lattice[k] for of_lattice in won) / (total * len(rows)) for k in ks}


def _pairs_of_classes(
    hypotheses: Hypotheses, right: np.ndarray, weights: np.ndarray
) -> tuple[tuple[int, int, float], ...]:
    """Pairwise accuracies of groups that share their absence set, both taken as true equally often."""
    pairs = []
    groups = hypotheses.groups
    together = hypotheses.share.T @ hypotheses.share > 0
    for a in range(len(groups)):
        for b in range(a + 1, len(groups)):
            if together[a, b] and weights[a] and weights[b]:
                pairs.append((int(groups[a]), int(groups[b]), float(right[a, b] + right[b, a]) / 2))
    return tuple(pairs)


@njit(cache=True)
def _likelihoods(nu, scale, truth, key):
    """Log-likelihoods float64 (n, n_hypotheses): one Wilson pattern for each hypothesis in `truth` (n,)."""
    n_hypotheses, n_elements = nu.shape
    out = np.zeros((truth.size, n_hypotheses))
    constant = np.empty((n_hypotheses, n_elements))
    for x in range(n_hypotheses):
        for e in range(n_elements):
            shape = 0.5 * nu[x, e]
            constant[x, e] = -shape * math.log(2.0 * scale[x]) - math.lgamma(shape) if nu[x, e] else 0.0
    intensity = np.empty(n_elements)
    for d in range(truth.size):
        stream = subkey(key, np.uint64(d))
        t = truth[d]
        counter = np.uint64(0)
        for e in range(n_elements):
            total = 0.0
            for _ in range(nu[t, e]):
                z = normal(stream, counter)
                total += z * z
                counter += np.uint64(1)
            intensity[e] = scale[t] * total
        for e in range(n_elements):
            present = nu[t, e] > 0
            log_intensity = math.log(intensity[e]) if present else 0.0
            for x in range(n_hypotheses):
                if (nu[x, e] > 0) != present:
                    out[d, x] = -np.inf
                elif present:
                    out[d, x] += (
                        constant[x, e]
                        + (0.5 * nu[x, e] - 1.0) * log_intensity
                        - intensity[e] / (2.0 * scale[x])
                    )
    return out
