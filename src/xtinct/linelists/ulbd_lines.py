"""ULBD: the lines a lattice shows under the extinction law of a space group."""

import math
from functools import cached_property

import numpy as np

from xtinct.compiling import assign, njit
from xtinct.errors import XtinctError
from xtinct.lattices.conventional import free_angle_range
from xtinct.lattices.metric import form_metric, quadratic_forms
from xtinct.linelists.intensity_laws import AllowedForms, LawDraws, Orbits, draw_wilson
from xtinct.linelists.line_lists import LineLists
from xtinct.linelists.ordering import EQUAL_D, ascending
from xtinct.linelists.wang2025 import CONVENTIONS, in_box
from xtinct.randomness import uniform
from xtinct.symmetry.absences import absent
from xtinct.symmetry.families import FAMILIES, space_groups
from xtinct.symmetry.operations import group_in_words

#: uniform: U(0, 1) for every line, the same law for every group. wilson: Wilson's statistics of the
#: line's orbits. physical: those with fall-off, weakened and lost lines (`intensity_laws`).
INTENSITY_LAWS = ("uniform", "wilson", "physical")


#: hkl of the cube that holds all within reach, at most: 3 GiB for a triclinic lattice.
HKL_LIMIT = 1 << 24


class UlbdLines:
    """Lines of lattices of one family with random intensities, for any of the family's groups.

    The hkl within reach are reduced once to unique quadratic forms, and the extinction law of each
    group to the forms that have at least one allowed hkl. A sample then costs one pass over the
    forms of its group.

    family       crystal family
    d_star_max   largest 1/d, 1/angstrom
    length_max   longest axis that will be asked for, angstrom
    angles       range of the free angles (monoclinic, triclinic), degree
    convention   one of CONVENTIONS; wang2025 reaches the hkl of its box alone

    Attributes: groups (int64, ascending), forms (float64 (n_forms, p)), allowed (bool
    (n_groups, n_forms)).
    """

    def __init__(
        self,
        family: str,
        d_star_max: float,
        length_max: float,
        angles: tuple[float, float] = (90.0, 90.0),
        convention: str = "standard",
    ) -> None:
        self.family = family
        self.groups = np.array(space_groups(family), dtype=np.int64)
        if not (0 < d_star_max < math.inf and 0 < length_max < math.inf):
            raise XtinctError(
                f"ULBD lines: d_star_max {d_star_max} and length_max {length_max} must be positive"
            )
        self.d_star_max = float(d_star_max)
        self.length_max = float(length_max)
        self.angles = (float(angles[0]), float(angles[1]))
        if convention not in CONVENTIONS:
            raise XtinctError(f"lines.convention: {convention!r}, expected one of {', '.join(CONVENTIONS)}")
        hkl = self._reflections()
        hkl = self._hkl = hkl[in_box(hkl)] if convention == "wang2025" else hkl
        forms, form_of_hkl = np.unique(quadratic_forms(family, hkl), axis=0, return_inverse=True)
        form_of_hkl = self._form_of_hkl = form_of_hkl.reshape(-1)
        self.forms = forms.astype(np.float64)
        self.allowed = np.zeros((len(self.groups), len(forms)), dtype=bool)
        for row, number in enumerate(self.groups):
            self.allowed[row, form_of_hkl[~absent(int(number), hkl)]] = True
        self._starts = np.concatenate([[0], np.cumsum(self.allowed.sum(axis=1))]).astype(np.int64)
        self._allowed_forms = np.ascontiguousarray(self.forms[np.nonzero(self.allowed)[1]])

    @property
    def multiplicity(self) -> np.ndarray:
        """Reflections of every form, Friedel mates included: int64 (n_forms,)."""
        return 2 * np.bincount(self._form_of_hkl, minlength=len(self.forms))

    def _reflections(self) -> np.ndarray:
        """One hkl of each Friedel pair that some lattice within the limits brings into reach."""
        reach = self.length_max * self.d_star_max * (1 + 1e-9)
        if (2 * reach + 1) ** 3 > HKL_LIMIT:
            raise XtinctError(
                f"ULBD lines: axes of {self.length_max:g} angstrom up to 1/d = {self.d_star_max:g} "
                f"1/angstrom have {(2 * reach + 1) ** 3:.2g} hkl in reach, expected at most {HKL_LIMIT}; "
                "shorten the axes or lower d_star_max"
            )
        # h = a . d*, hence |h| <= a / d, whatever the angles.
        box = np.arange(-math.floor(reach), math.floor(reach) + 1)
        hkl = np.stack(np.meshgrid(box, box, box, indexing="ij"), axis=-1).reshape(-1, 3)
        h, k, l = hkl.T  # noqa: E741
        hkl = hkl[(h > 0) | ((h == 0) & ((k > 0) | ((k == 0) & (l > 0))))]
        own = FAMILIES[self.family]
        if own.free_angles:
            # 1/d^2 >= |(h/a, k/b, l/c)|^2 / (largest eigenvalue of the matrix of the cosines), and
            # by Gershgorin that eigenvalue is at most 1 + (sum of the cosines in a row).
            cosine = max(abs(math.cos(math.radians(angle))) for angle in self.angles)
            inside = (hkl**2).sum(axis=1) <= reach**2 * (1 + min(2, len(own.free_angles)) * cosine)
        else:
            largest = np.array([[self.length_max] * 3 + list(own.angles)])
            d_star2 = quadratic_forms(self.family, hkl) @ form_metric(self.family, largest)[0]
            inside = d_star2 <= (self.d_star_max * (1 + 1e-9)) ** 2
        return hkl[inside]

    def draw(
        self, groups: np.ndarray, cells: np.ndarray, keys: np.ndarray, intensities: str = "uniform"
    ) -> LineLists:
        """Line lists of `groups` (int (n,), space group numbers) on `cells` (float64 (n, 6)).

        One line per distinct d, ascending, with the random intensity number (its rank in the list)
        of the stream `keys[i]` (uint64 (n,)), by a law of INTENSITY_LAWS. Rows in a row that share
        group and cell share their line positions at no cost (law uniform). XtinctError for a group
        outside the family, and for a cell beyond the limits that the object was made for, since it
        would silently lose lines.
        """
        if intensities not in INTENSITY_LAWS:
            raise XtinctError(f"intensities {intensities!r}: expected one of {', '.join(INTENSITY_LAWS)}")
        groups = np.asarray(groups, dtype=np.int64)
        cells = np.asarray(cells, dtype=np.float64).reshape(-1, 6)
        rows = groups - self.groups[0]  # the groups of a family are consecutive numbers
        if rows.size and (rows.min() < 0 or rows.max() >= len(self.groups)):
            bad = groups[(rows < 0) | (rows >= len(self.groups))][0]
            raise XtinctError(
                f"space group {group_in_words(int(bad))}: not a group of the {self.family} family"
            )
        self._check_cells(cells)
        capacity = np.concatenate([[0], np.cumsum(np.diff(self._starts)[rows])]).astype(np.int64)
        d_star = np.empty(capacity[-1], dtype=np.float64)
        intensity = np.empty(capacity[-1], dtype=np.float32)
        metrics = form_metric(self.family, cells) if len(cells) else np.empty((0, self.forms.shape[1]))
        keys = np.ascontiguousarray(keys, dtype=np.uint64)
        samples = LawDraws(rows, metrics, keys)
        allowed = AllowedForms(self._allowed_forms, self._starts, self.d_star_max)
        if intensities == "uniform":
            offsets = _draw(samples, cells, allowed, d_star, intensity)
        else:
            bare = intensities == "wilson"
            offsets = draw_wilson(samples, allowed, self._orbits, bare, d_star, intensity)
        return LineLists(offsets, d_star[: offsets[-1]].copy(), intensity[: offsets[-1]].copy())

    @cached_property
    def _orbits(self) -> Orbits:
        return Orbits.of_forms(self.family, self.groups, self._hkl, self._form_of_hkl, self.allowed)

    def _check_cells(self, cells: np.ndarray) -> None:
        if not len(cells):
            return
        longest = cells[:, :3].max()
        if longest > self.length_max * (1 + 1e-9):
            raise XtinctError(
                f"ULBD lines: an axis of {longest:.6g} angstrom, but length_max is {self.length_max}"
            )
        if not FAMILIES[self.family].free_angles:
            return
        low, high = free_angle_range(self.family, cells)
        if low < self.angles[0] - 1e-9 or high > self.angles[1] + 1e-9:
            raise XtinctError(
                f"ULBD lines: angles of {low:.6g}-{high:.6g} degrees, but the limits are "
                f"{self.angles[0]}-{self.angles[1]}"
            )


@njit(cache=True, nogil=True)
def _draw(samples, cells, allowed, d_star, intensity):
    """Fill d_star and intensity one sample after the other; returns offsets int64 (n + 1,)."""
    rows, metrics, keys = samples
    forms, starts, d_star_max = allowed
    n, p = metrics.shape
    limit = d_star_max * d_star_max * (1.0 + 1e-12)
    longest = 0
    for row in range(starts.size - 1):
        longest = max(longest, starts[row + 1] - starts[row])
    values = np.empty(longest)
    order = np.empty(longest, np.int32)
    bounds = np.empty(longest + 1, np.int32)
    offsets = np.zeros(n + 1, np.int64)
    for i in range(n):
        end = offsets[i]
        same = i > 0 and rows[i] == rows[i - 1]
        if same:
            for j in range(6):
                same = same and cells[i, j] == cells[i - 1, j]
        if same:
            lines = offsets[i] - offsets[i - 1]
            assign(d_star[end:], d_star[offsets[i - 1] : end])
        else:
            found = 0
            for form in range(starts[rows[i]], starts[rows[i] + 1]):
                s = 0.0
                for j in range(p):
                    s += forms[form, j] * metrics[i, j]
                if s <= limit:
                    values[found] = s
                    found += 1
            ascending(values, found, limit, order, bounds)
            lines, last = 0, -1.0
            for j in range(found):
                s = values[order[j]]
                if s - last > EQUAL_D * s:
                    d_star[end + lines] = np.sqrt(s)
                    lines += 1
                    last = s
        for line in range(lines):
            intensity[end + line] = uniform(keys[i], line)
        offsets[i + 1] = end + lines
    return offsets
