"""What makes a measured sample another than its crystal: lattice, temperature factor, preferred orientation.

These change line lists before any instrument sees them. Which hkl a line is of follows from the cell, so
texture and strain are those of the crystal for every source of lines: all hkl of a line turn and stretch
together, and the symmetry of the lattice stays. Of hkl that share a d without being equivalent, as in Laue
class 4/m, each counts the same.
"""

import math
from dataclasses import dataclass, fields

import numpy as np

from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.lattices.metric import reciprocal_metric
from xtinct.linelists.line_lists import LabelledLines, LineLists
from xtinct.randomness import integer
from xtinct.symmetry.families import FAMILIES, family_of

#: Poles of simple habits, of which crystallites prefer one.
POLES = np.array(
    [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)], dtype=np.float64
)
#: Relative deviation of 1/d^2 up to which a line is of an hkl: stored lines are float32.
_SAME = 3e-6


@dataclass(frozen=True)
class SampleChanges:
    """Changes of n samples; whatever is None does not change.

    d_scale    float (n,), > 0: factor of all d
    strain     float (n, 6): relative changes of a, b and c, and changes of the angles in radians; only those
               that the family leaves free count, equal lengths stay equal
    b_iso      float (n,), angstrom^2, added to the temperature factor's B
    march_r    float (n,), > 0: r of March and Dollase (Dollase 1986, J. Appl. Cryst. 19, 267), 1 for none
    axis_keys  uint64 (n,): streams that the preferred pole, one of POLES, is drawn from; with `march_r`
    """

    d_scale: np.ndarray | None = None
    strain: np.ndarray | None = None
    b_iso: np.ndarray | None = None
    march_r: np.ndarray | None = None
    axis_keys: np.ndarray | None = None

    def __post_init__(self) -> None:
        if (self.march_r is None) != (self.axis_keys is None):
            raise XtinctError("sample changes: march_r and axis_keys go together")
        for name in ("d_scale", "march_r"):
            values = getattr(self, name)
            if values is not None and not (np.isfinite(values) & (np.asarray(values) > 0)).all():
                raise XtinctError(f"sample changes: {name} must be positive and finite")

    def applied(self, samples: LabelledLines) -> LineLists:
        """Line lists of the changed samples, positions float64.

        XtinctError where texture or strain is asked for and the samples have no cells, or lines that are
        not of their cells.
        """
        for field in fields(self):
            values = getattr(self, field.name)
            if values is not None and len(values) != len(samples):
                raise XtinctError(
                    f"sample changes: {field.name} of {len(values)} samples, but there are {len(samples)}"
                )
        lines = samples.lines
        d_star, intensity = lines.d_star.astype(np.float64), lines.intensity.astype(np.float64)
        if self.march_r is not None or self.strain is not None:
            d_star, factor = self._by_reflections(samples, d_star)
            intensity *= factor
        owner = np.repeat(np.arange(len(lines)), np.diff(lines.offsets))
        if self.d_scale is not None:
            d_star = d_star / np.asarray(self.d_scale)[owner]
        if self.b_iso is not None:
            # |F|^2 has the square of exp(-B d*^2 / 4).
            intensity *= np.exp(-0.5 * np.asarray(self.b_iso)[owner] * d_star * d_star)
        if self.strain is not None:
            order = np.lexsort((d_star, owner))
            d_star, intensity = d_star[order], intensity[order]
        return LineLists(lines.offsets, d_star, intensity.astype(np.float32))

    def _by_reflections(self, samples: LabelledLines, d_star: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the strained lattices and factors of the intensities, float64 (m,)."""
        if samples.cells is None:
            raise XtinctError(
                "variation: texture and strain need the cells of the samples, and their stream has none"
            )
        n = len(samples)
        cells = np.asarray(samples.cells, np.float64)
        strained = cells if self.strain is None else _strained(cells, samples.groups, self.strain)
        march_r = np.ones(n) if self.march_r is None else np.asarray(self.march_r, np.float64)
        keys = np.zeros(n, np.uint64) if self.axis_keys is None else self.axis_keys
        position, factor = d_star.copy(), np.ones(len(d_star))
        bad = _change(
            samples.lines.offsets,
            d_star,
            (reciprocal_metric(cells), reciprocal_metric(strained)),
            (march_r, keys.astype(np.uint64), POLES),
            position,
            factor,
        )
        if bad >= 0:
            owner = int(np.searchsorted(samples.lines.offsets, bad, side="right")) - 1
            raise XtinctError(
                f"variation: a line at d = {1 / d_star[bad]:.5f} angstrom of a sample of space group "
                f"{samples.groups[owner]} is no reflection of its cell {cells[owner].round(4).tolist()}, so "
                "it has no texture or strain; leave these out, or correct the cells of the file"
            )
        return position, factor


def _strained(cells: np.ndarray, groups: np.ndarray, strain: np.ndarray) -> np.ndarray:
    """The cells (n, 6) with the strain (n, 6) of what their families leave free."""
    changed = cells.copy()
    names = np.array([family_of(int(group)) for group in groups])
    for name in np.unique(names):
        family, own = FAMILIES[name], names == name
        for i, free in enumerate(family.lengths):
            changed[own, i] *= 1.0 + strain[own, free]
        for i in family.free_angles:
            changed[own, 3 + i] += np.degrees(strain[own, 3 + i])
    return changed


@njit(cache=True, nogil=True)
def _product(g, a, b):
    """Scalar product of two vectors in the reciprocal metric g11 g22 g33 g23 g13 g12."""
    return (
        g[0] * a[0] * b[0]
        + g[1] * a[1] * b[1]
        + g[2] * a[2] * b[2]
        + g[3] * (a[1] * b[2] + a[2] * b[1])
        + g[4] * (a[0] * b[2] + a[2] * b[0])
        + g[5] * (a[0] * b[1] + a[1] * b[0])
    )


@njit(cache=True, nogil=True)
def _change(offsets, d_star, metrics, texture, position, factor):
    """Write positions and factors; the number of the first line that no hkl is of, -1 if there is none."""
    metric, strained = metrics
    march_r, keys, poles = texture
    longest = 1
    for i in range(offsets.size - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    sums = np.empty((longest, 3))
    for i in range(offsets.size - 1):
        begin, end = offsets[i], offsets[i + 1]
        textured, moved = march_r[i] != 1.0, (metric[i] != strained[i]).any()
        if end == begin or not (textured or moved):
            continue
        pole = poles[integer(keys[i], np.uint64(0), poles.shape[0])]
        _sum_reflections(d_star[begin:end], metric[i], strained[i], (pole, march_r[i]), sums)
        for j in range(end - begin):
            if sums[j, 0] == 0.0:
                return begin + j
            if moved:
                position[begin + j] = math.sqrt(sums[j, 1] / sums[j, 0])
            if textured:
                factor[begin + j] = sums[j, 2] / sums[j, 0]
    return -1


@njit(cache=True, nogil=True)
def _sum_reflections(d_star, g, strained, texture, sums):
    """For each line the number of its hkl, the sum of their strained 1/d^2 and that of March's factors."""
    pole, r = texture
    sums[: d_star.size] = 0.0
    limit = d_star[-1] * d_star[-1] * (1.0 + _SAME)
    length = math.sqrt(_product(g, pole, pole))
    # Half the reciprocal space: l from its quadratic equation, k and h from the lengths of the direct axes.
    det = g[0] * (g[1] * g[2] - g[3] * g[3]) - g[5] * (g[5] * g[2] - g[3] * g[4])
    det += g[4] * (g[5] * g[3] - g[1] * g[4])
    a = math.sqrt((g[1] * g[2] - g[3] * g[3]) / det)
    b = math.sqrt((g[0] * g[2] - g[4] * g[4]) / det)
    top = math.sqrt(limit)
    hkl = np.zeros(3)
    for h in range(int(a * top) + 1):
        for k in range(-int(b * top) if h else 0, int(b * top) + 1):
            slope = g[3] * k + g[4] * h
            plane = g[0] * h * h + g[1] * k * k + 2.0 * g[5] * h * k
            root = slope * slope - g[2] * (plane - limit)
            if root < 0.0:
                continue
            root = math.sqrt(root)
            low, high = math.ceil((-slope - root) / g[2]), math.floor((-slope + root) / g[2])
            if h == 0 and k == 0:
                low = 1
            hkl[0], hkl[1] = h, k
            for l in range(low, high + 1):  # noqa: E741
                q = plane + l * (2.0 * slope + g[2] * l)
                at = math.sqrt(q)
                j = np.searchsorted(d_star, at)
                if j == d_star.size or (j > 0 and at - d_star[j - 1] < d_star[j] - at):
                    j -= 1
                if abs(at - d_star[j]) > 0.5 * _SAME * at:
                    continue
                hkl[2] = l
                cosine = _product(g, hkl, pole) / (at * length)
                square = cosine * cosine
                sums[j, 0] += 1.0
                sums[j, 1] += _product(strained, hkl, hkl)
                sums[j, 2] += (r * r * square + (1.0 - square) / r) ** -1.5
