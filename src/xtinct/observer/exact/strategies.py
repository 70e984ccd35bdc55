"""Ways to lattices that explain a pattern: each yields such lattices, the likeliest first."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from xtinct.lattices.cells import LONG, LONG_CELLS, SHORTEST
from xtinct.lattices.metric import cell_of, form_metric
from xtinct.observer.exact import triclinic
from xtinct.observer.exact.lattice_judge import JudgedLattice, LatticeJudge
from xtinct.observer.exact.readings import FIRST_LINES, Reading
from xtinct.observer.exact.related import of_higher, related, symmetric
from xtinct.observer.exact.search import SearchLines, search
from xtinct.randomness import stream_key, uniform
from xtinct.symmetry.families import MONOCLINIC, ORTHORHOMBIC, TRICLINIC


class Attempt(NamedTuple):
    """How hard a lattice is looked for.

    lines     that are looked for
    tested    first lines that a cell must explain, and `missed`, how many of these may stay unexplained
    apart     distance in standard deviations of the profile within which two lines may in truth be three
    thorough  whether long cells are looked for, and lattices near one that nearly explains the pattern
    """

    lines: int
    tested: int
    missed: int
    apart: float
    thorough: bool


#: Attempts by guessed indices. A dominant zone needs many lines before the third axis shows; nearly equal
#: axes leave few lines alone.
GUESSED = (
    Attempt(FIRST_LINES, 25, 0, 0.5, thorough=False),
    Attempt(80, 50, 0, 2.0, thorough=True),
    Attempt(80, 50, 2, 1.0, thorough=True),
)
#: Attempts by the parallelogram law, which wants lines that are alone.
OBLIQUE = (
    Attempt(FIRST_LINES, 25, 0, 0.5, thorough=False),
    Attempt(FIRST_LINES, 25, 2, 0.25, thorough=False),
    Attempt(80, 40, 3, 0.5, thorough=False),
)
#: Lattices that are judged of those found by the parallelogram law.
_TRIED = 15
#: Largest angle between a row and the normal of a plane of a twofold axis of symmetry, degree.
_OBLIQUITY = 0.02
#: Residual of a lattice that may be right but for small differences of its axes and angles.
_NEAR = 0.03
#: Largest relative changes of the metric from which its fit is begun anew.
_CHANGES = (1e-3, 3e-3, 5e-4, 1e-3)


def guessed(
    judge: LatticeJudge, reading: Reading, family: str, attempt: Attempt, near: list[JudgedLattice]
) -> Iterator[JudgedLattice]:
    """Lattices of `family` found by guessed indices, those that could show the fewest lines first.

    near: takes those that leave a little more than noise.
    """
    lines = reading.positions(attempt.apart, tested=attempt.tested, missed=attempt.missed)
    longest = LONG_CELLS.get(family, LONG) if attempt.thorough else LONG
    for cell in sorted(search(family, lines, longest=longest), key=lambda cell: cell.possible):
        if not judge.expects(cell.cell):
            continue
        judged = judge.judge(reading, family, cell.metric)
        if reading.explained(judged.fit):
            yield judged
        elif judged.fit.residual < _NEAR:
            near.append(judged)


def changed(
    judge: LatticeJudge, reading: Reading, family: str, near: Sequence[JudgedLattice]
) -> Iterator[JudgedLattice]:
    """Lattices close to some that are `near`, or to those of higher families that explain the lines.

    A fit that begins at equal axes or right angles, where lines coincide, cannot choose how they differ.
    """
    key = stream_key(0, "changed lattice")
    starts = [judged.metric for judged in sorted(near, key=lambda judged: judged.fit.residual)[:2]]
    lines = reading.positions(apart=0.0)
    wide = np.maximum(lines.tolerance, reading.in_q(reading.instrument.sigma))
    starts += of_higher(family, SearchLines.of(lines.q, wide, missed=2))
    for metric in (metric for start in starts for metric in related(family, start)):
        cell = cell_of(family, metric)
        if not judge.expects(cell) or cell[:3].max() > LONG_CELLS.get(family, LONG):
            continue
        unit = np.abs(metric)
        if family == MONOCLINIC:
            unit[3] = math.sqrt(metric[0] * metric[2])
        for turn, change in enumerate(_CHANGES):
            draws = np.array([uniform(key, 8 * turn + i) for i in range(len(metric))])
            refined, fit = judge.fit(reading, family, metric + change * (2 * draws - 1) * unit)
            if fit.residual > _NEAR:
                break  # not near after all
            if reading.explained(fit):
                yield judge.judge(reading, family, refined)


def oblique(
    judge: LatticeJudge, reading: Reading, families: Sequence[str], attempt: Attempt
) -> Iterator[JudgedLattice]:
    """Lattices found by the parallelogram law, without guessed indices.

    Of lattices that have twofold axes of symmetry the monoclinic or orthorhombic cell is judged; that
    such a one does not explain the pattern is no sign of a triclinic crystal.
    """
    lines = reading.positions(attempt.apart, tested=attempt.tested, missed=attempt.missed)
    for metric in triclinic.metrics(lines, reading.alone(), shortest=SHORTEST, longest=LONG)[:_TRIED]:
        cell = cell_of(TRICLINIC, metric)
        starts = [
            (family, start)
            for family in (ORTHORHOMBIC, MONOCLINIC)
            for start in symmetric(family, cell, _OBLIQUITY)
        ]
        for family, start in starts or [(TRICLINIC, cell)]:
            if family not in families or not judge.expects(start):
                continue
            judged = judge.judge(reading, family, form_metric(family, start[None])[0])
            if reading.explained(judged.fit):
                yield judged
