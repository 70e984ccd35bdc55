"""The class explorer: which lines a group shows, its rivals, and the lines that decide."""

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np

from xtinct.lattices.conventional import conventional_hkl
from xtinct.lattices.metric import reciprocal_metric
from xtinct.randomness import stream_key, uniform
from xtinct.report.example_patterns import example_patterns
from xtinct.report.results import Results
from xtinct.report.section import Content
from xtinct.symmetry.absences import absent, conditions
from xtinct.symmetry.families import FAMILIES, MONOCLINIC, N_SPACE_GROUPS, ORTHORHOMBIC, space_groups
from xtinct.symmetry.operations import hermann_mauguin


def content(results: Results) -> Content:
    """Lines, classes and rivals, and an example of every group in every dataset, for the script."""
    texts = {number: _conditions_text(number) for number in range(1, N_SPACE_GROUPS + 1)}
    instrument = results.instrument
    examples = example_patterns(results.inputs.lines_paths, instrument)
    return Content(
        {"examples": bool(examples)},
        {
            "explorer": explorer_data(
                results.inputs.classes, texts, instrument.wavelength, int(results.config["seed"])
            ),
            "patterns": examples,
            "range": [instrument.two_theta_min, instrument.two_theta_max],
        },
    )


#: Lines of the example pattern, lines among which deciding ones are sought, and how many are named.
N_SHOWN, N_SEARCHED, N_NAMED = 40, 160, 4


#: Largest |h|, |k|, |l| of the reflections that make up the lines.
_BOX = 9


#: Changes of (h, l) that permute the a, c and n directions of a monoclinic cell: GL(2, 2).
_MONOCLINIC_CHOICES = (
    ((1, 0), (0, 1)),
    ((0, 1), (1, 0)),
    ((1, 1), (0, 1)),
    ((1, 0), (1, 1)),
    ((1, 1), (1, 0)),
    ((0, 1), (1, 1)),
)


def _settings(family: str) -> list[np.ndarray]:
    """Integer matrices that re-describe hkl where a powder pattern does not fix the axes."""
    if family == ORTHORHOMBIC:
        return [np.eye(3, dtype=int)[list(order)] for order in permutations(range(3))]
    if family == MONOCLINIC:
        return [np.array([[a, 0, b], [0, 1, 0], [c, 0, d]]) for (a, b), (c, d) in _MONOCLINIC_CHOICES]
    return [np.eye(3, dtype=int)]


def _label(family: str, members: list[list[int]]) -> str:
    """Indices of a line; forms that share it by the metric alone (300 and 221) all stand in it."""
    if FAMILIES[family].free_angles:
        forms = {min(map(tuple, members), key=lambda form: (sum(i < 0 for i in form), [-i for i in form]))}
    else:
        forms = set(map(tuple, conventional_hkl(family, members).tolist()))
    texts = []
    for form in sorted(forms, reverse=True):
        spaced = any(abs(i) > 9 or i < 0 for i in form)
        texts.append((" " if spaced else "").join(str(i).replace("-", "−") for i in form))
    return "/".join(texts)


class _Lines:
    """The first lines of a family's example cell: all hkl of equal d are one line."""

    def __init__(self, family: str):
        span = np.arange(-_BOX, _BOX + 1)
        hkl = np.stack(np.meshgrid(span, span, span, indexing="ij"), axis=-1).reshape(-1, 3)
        hkl = hkl[np.any(hkl != 0, axis=1)]
        h, k, l = hkl.T  # noqa: E741
        metric = reciprocal_metric(np.array([FAMILIES[family].example]))[0]
        products = np.stack([h * h, k * k, l * l, 2 * k * l, 2 * h * l, 2 * h * k], axis=1)
        squared = np.round(products @ metric, 9)
        values, line = np.unique(squared, return_inverse=True)
        # |h| <= a d*: up to this limit no reflection of a line lies outside the box.
        complete = int(np.sum(np.sqrt(values) < (_BOX + 1) / max(FAMILIES[family].example[:3])))
        self.count = min(N_SEARCHED, complete)
        kept = line < self.count
        self.hkl, self.line = hkl[kept], line[kept]
        self.d_star = np.sqrt(values[: self.count])
        self.labels = [_label(family, self.hkl[self.line == i].tolist()) for i in range(self.count)]

    def present(self, group: int, setting: np.ndarray) -> np.ndarray:
        """bool (count,): lines with at least one allowed reflection."""
        allowed = ~absent(group, self.hkl @ setting.T)
        return np.bincount(self.line[allowed], minlength=self.count) > 0


def _rivals(lines: _Lines, classes: Sequence[Mapping], settings: Sequence[np.ndarray]) -> list[list]:
    """For each class, all others by the number of deciding lines.

    An entry is [index of the other class, number of deciding lines,
    first lines only this class shows, first lines only the other shows]. Where the axes are not
    fixed, the other class takes the setting that leaves the fewest deciding lines.
    """
    identity = np.eye(3, dtype=int)
    own = [lines.present(c["members"][0], identity) for c in classes]
    in_settings = [np.array([lines.present(c["members"][0], s) for s in settings]) for c in classes]
    table = []
    for i, mine in enumerate(own):
        entries = []
        for j, candidates in enumerate(in_settings):
            if i == j:
                continue
            differences = candidates != mine
            best = int(np.argmin(differences.sum(axis=1)))
            theirs = candidates[best]
            only_mine = [lines.labels[x] for x in np.flatnonzero(mine & ~theirs)[:N_NAMED]]
            only_theirs = [lines.labels[x] for x in np.flatnonzero(theirs & ~mine)[:N_NAMED]]
            entries.append([j, int(differences[best].sum()), only_mine, only_theirs])
        table.append(sorted(entries, key=lambda e: (e[1], e[0])))
    return table


def _conditions_text(number: int) -> list[str]:
    """Reflection conditions as printed in ITA, one text per zone."""
    of_zone: dict[str, list[str]] = {}
    for condition in conditions(number):
        if condition.representative:
            of_zone.setdefault(condition.zone, []).append(condition.condition)
    return [f"{zone}: {', '.join(texts)}" for zone, texts in of_zone.items()]


def explorer_data(
    classes: Sequence[Mapping], conditions: Mapping[int, Sequence[str]], wavelength: float, seed: int
) -> dict:
    """Everything the class explorer shows, ready for JSON.

    classes     rows with family, symbol and members
    conditions  space group number -> its reflection conditions as text
    wavelength  angstrom, for the 2theta axis of the example patterns
    seed        of the example intensities
    """
    families = {}
    for family in FAMILIES:
        mine = [c for c in classes if c["family"] == family]
        if not mine:
            continue
        lines, identity = _Lines(family), np.eye(3, dtype=int)
        # The example ends where Bragg's law does.
        n_shown = min(N_SHOWN, int(np.sum(lines.d_star * wavelength / 2 < 1)))
        shown = lines.d_star[:n_shown]
        key = stream_key(seed, "report", family)
        families[family] = {
            "cell": FAMILIES[family].example,
            "lines": [
                [label, round(float(angle), 3), round(float(uniform(key, i)), 3)]
                for i, (label, angle) in enumerate(
                    zip(lines.labels, np.degrees(2 * np.arcsin(shown * wavelength / 2)), strict=False)
                )
            ],
            "searched": lines.count,
            "classes": [{"symbol": c["symbol"], "members": list(c["members"])} for c in mine],
            "rivals": _rivals(lines, mine, _settings(family)),
            "present": {
                str(group): "".join("01"[int(x)] for x in lines.present(group, identity)[:n_shown])
                for group in space_groups(family)
            },
        }
    groups = [group for family in families for group in space_groups(family)]
    return {
        "families": families,
        "names": {str(group): hermann_mauguin(group) for group in groups},
        "conditions": {str(group): list(conditions.get(group, ())) for group in groups},
    }
