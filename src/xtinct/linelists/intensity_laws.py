"""Physical intensities without atoms: Wilson's statistics, weakened lines, lost lines.

Many equal atoms in general positions give (Wilson 1949, Acta Cryst. 2, 318; Stewart and Karle 1976,
Acta Cryst. A32, 1005), with S the sum of f^2 over the cell and e the operations that fix h,

    |F|^2 = e S chi2_1        for a centric reflection (some operation turns h into -h)
    |F|^2 = e S chi2_2 / 2    for an acentric one

An orbit of the point group, Friedel mates included, has m reflections with m e = |G| (centric) or
2 |G| (acentric), so its contribution to a line is |G| S chi2_nu with nu = 1 or 2. The scale |G| is
lost in a pattern. Every orbit draws its own chi2.

Real crystals have few atoms, on special positions, so whole sets of reflections are weak without
being absent, and single lines are too weak to be seen. Both are drawn per sample: factors that
depend on residues of hkl (`labels`), and lines lost at random. S falls with s = 1 / (2d) as
exp(-2 B s^2), which stands for form factors and displacements together.

How often and how far was chosen by what networks trained on it know of real crystals, not by
likeness: weak lines are three to eight times as frequent as in real crystals and the fall-off is
steeper. A law fitted to real crystals in both was learned faster and transferred worse
(`benchmarks/accuracy/`, intensities.csv and transfer.csv).
"""

from typing import NamedTuple

import numpy as np

from xtinct.compiling import njit
from xtinct.linelists.ordering import EQUAL_D, ascending
from xtinct.randomness import normal, subkey, uniform, uniform_open
from xtinct.symmetry.absences import absent
from xtinct.symmetry.families import CUBIC, TETRAGONAL, TRIGONAL_HEXAGONAL
from xtinct.symmetry.operations import operations

#: Range of B, angstrom^2: from hard crystals of heavy atoms to soft ones of light atoms.
B_RANGE = (0.5, 8.5)
#: Share of the samples with weakened reflections, and of the residues that are weakened in them.
WEAKENED_SAMPLES, WEAKENED_RESIDUES = 0.6, 0.5
#: A weakened residue has a factor 10^-x, x uniform from 0 to this.
WEAKEST = 3.0
#: Share of the samples with lost lines, and the largest share of lines lost in them.
LOSING_SAMPLES, LOST_LINES = 0.5, 0.3
#: Residues that a label can take.
_RESIDUES = 8


def _folded(index: np.ndarray, modulus: int) -> np.ndarray:
    """Residue of `index`, where r and -r are one: an operation that inverts the axis must not matter."""
    residue = index % modulus
    return np.minimum(residue, modulus - residue)


def labels(family: str, hkl: np.ndarray) -> np.ndarray:
    """Residues that decide which reflections special positions weaken: int64 (n, n_labels), 0 to 7.

    Cubic: number of odd indices; h + k + l modulo 4; whether all are even (sites at multiples of
    1/4). Trigonal and hexagonal: h - k modulo 3, l modulo 2, 3 and 4, and h - k modulo 3 with the
    parity of l (sites at 1/3, 2/3, z). Else: parities of the indices (of h and k together where the
    family has a fourfold axis), h + k + l modulo 4, l modulo 4.
    """
    h, k, l = np.asarray(hkl, dtype=np.int64).T  # noqa: E741
    odd = h % 2 + k % 2 + l % 2
    if family == CUBIC:
        columns = (odd, _folded(h + k + l, 4), (odd == 0).astype(np.int64))
    elif family == TRIGONAL_HEXAGONAL:
        third = _folded(h - k, 3)
        columns = (third, l % 2, _folded(l, 3), _folded(l, 4), 2 * third + l % 2)
    elif family == TETRAGONAL:
        columns = (h % 2 + k % 2, l % 2, _folded(h + k + l, 4), _folded(l, 4), 2 * ((h + k) % 2) + l % 2)
    else:
        columns = (h % 2, k % 2, l % 2, 4 * (h % 2) + 2 * (k % 2) + l % 2, _folded(h + k + l, 4))
    return np.stack(columns, axis=1)


class LawDraws(NamedTuple):
    """What is drawn.

    rows     int64 (n,), number of the group among those of the family
    metrics  float64 (n, p), of the cells (`form_metric`)
    keys     uint64 (n,), stream of each sample
    """

    rows: np.ndarray
    metrics: np.ndarray
    keys: np.ndarray


class AllowedForms(NamedTuple):
    """Quadratic forms that the groups of a family allow.

    forms       float64 (m, p), of the first group, then of the second and so on
    starts      int64 (n_groups + 1,), where each group begins
    d_star_max  largest 1/d, 1/angstrom
    """

    forms: np.ndarray
    starts: np.ndarray
    d_star_max: float


class Orbits(NamedTuple):
    """Orbits behind the allowed forms of `AllowedForms`, in that order.

    starts   int64 (m + 1,), where the orbits of each form begin
    degrees  int8 (n_orbits,), of freedom
    labels   int8 (n_orbits, n_labels)
    """

    starts: np.ndarray
    degrees: np.ndarray
    labels: np.ndarray

    @classmethod
    def of_forms(
        cls, family: str, groups: np.ndarray, hkl: np.ndarray, form_of_hkl: np.ndarray, allowed: np.ndarray
    ) -> "Orbits":
        """The orbits of the reflections hkl int64 (k, 3) within reach, one of each Friedel pair.

        groups       space group numbers, int64 (n_groups,)
        form_of_hkl  quadratic form of each reflection, int64 (k,)
        allowed      bool (n_groups, n_forms)
        """
        counts, degrees, labelled = [], [], []
        size = 2 * int(np.abs(hkl).max()) * 2 + 1
        for row, number in enumerate(groups):
            present = ~absent(int(number), hkl)
            reflections, form = hkl[present], form_of_hkl[present]
            representative = np.full(len(reflections), -1, dtype=np.int64)
            centric = np.zeros(len(reflections), dtype=bool)
            for rotation in np.unique(operations(int(number)).rotations.astype(np.int64), axis=0):
                image = reflections @ rotation
                centric |= (image == -reflections).all(axis=1)
                for sign in (1, -1):
                    h, k, l = (sign * image + size // 2).T  # noqa: E741
                    representative = np.maximum(representative, (h * size + k) * size + l)
            # Orbits of this group, by form and then by representative.
            orbits, first = np.unique(np.stack([form, representative]), axis=1, return_index=True)
            counts.append(np.bincount(orbits[0], minlength=allowed.shape[1])[allowed[row]])
            degrees.append(np.where(centric[first], 1, 2).astype(np.int8))
            labelled.append(labels(family, reflections[first]).astype(np.int8))
        starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
        return cls(starts, np.concatenate(degrees), np.concatenate(labelled))


@njit(cache=True, nogil=True)
def draw_wilson(samples, allowed, orbits, bare, d_star, intensity):
    """Fill d_star (float64) and intensity (float32) sample by sample; returns offsets int64 (n + 1,).

    `bare`: Wilson's statistics alone, without fall-off, weakened and lost lines.
    """
    rows, metrics, keys = samples
    forms, starts, d_star_max = allowed
    orbit_starts, degrees, labels = orbits
    n, p = metrics.shape
    limit = d_star_max * d_star_max * (1.0 + 1e-12)
    longest = 0
    for row in range(starts.size - 1):
        longest = max(longest, starts[row + 1] - starts[row])
    values = np.empty(longest)
    found_form = np.empty(longest, np.int64)
    order = np.empty(longest, np.int32)
    bounds = np.empty(longest + 1, np.int32)
    factors = np.ones((labels.shape[1], _RESIDUES))
    offsets = np.zeros(n + 1, np.int64)
    for i in range(n):
        # Sub-streams: 0 the sample's own settings, 1 the orbits, 2 the losses.
        settings, orbit_key, loss_key = subkey(keys[i], 0), subkey(keys[i], 1), subkey(keys[i], 2)
        fall_off, lost = 0.0, 0.0
        factors[:] = 1.0
        if not bare:
            fall_off = 0.5 * (B_RANGE[0] + (B_RANGE[1] - B_RANGE[0]) * uniform(settings, 0))
            if uniform(settings, 1) < LOSING_SAMPLES:
                lost = LOST_LINES * uniform(settings, 2)
            if uniform(settings, 3) < WEAKENED_SAMPLES:
                for label in range(labels.shape[1]):
                    for residue in range(_RESIDUES):
                        counter = 10 + 2 * (label * _RESIDUES + residue)
                        if uniform(settings, counter) < WEAKENED_RESIDUES:
                            factors[label, residue] = 10.0 ** (-WEAKEST * uniform(settings, counter + 1))
        found = 0
        for form in range(starts[rows[i]], starts[rows[i] + 1]):
            s = 0.0
            for j in range(p):
                s += forms[form, j] * metrics[i, j]
            if s <= limit:
                values[found] = s
                found_form[found] = form
                found += 1
        ascending(values, found, limit, order, bounds)
        line, last = offsets[i] - 1, -1.0
        for j in range(found):
            s, form = values[order[j]], found_form[order[j]]
            if s - last > EQUAL_D * s:
                line += 1
                d_star[line] = np.sqrt(s)
                intensity[line] = 0.0
                last = s
            if lost > 0.0 and uniform(loss_key, line - offsets[i]) < lost:
                continue
            total = 0.0
            for orbit in range(orbit_starts[form], orbit_starts[form + 1]):
                # The orbit's number within its group, so that a draw does not depend on other groups.
                number = orbit - orbit_starts[starts[rows[i]]]
                if degrees[orbit] == 1:
                    chi2 = normal(orbit_key, number) ** 2
                else:
                    chi2 = -2.0 * np.log(uniform_open(orbit_key, 2 * number))
                for label in range(labels.shape[1]):
                    chi2 *= factors[label, labels[orbit, label]]
                total += chi2
            intensity[line] += total * np.exp(-fall_off * s)
        offsets[i + 1] = line + 1
    return offsets
