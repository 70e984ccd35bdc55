"""Lattices and lines as an answer tells them."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from xtinct.lattices.bravais import bravais, reduced, same
from xtinct.lattices.metric import cell_of, cells_of_tensors, direct_tensor
from xtinct.observer.answer.answer_data import LatticeAnswer, LineAnswer
from xtinct.observer.fitting.line_sets import lines_of
from xtinct.observer.fitting.pawley import LatticeFit
from xtinct.observer.indexing.candidates import Candidate
from xtinct.observer.indexing.merit import merit
from xtinct.observer.judging.court import Judged
from xtinct.observer.judging.mixture import explained
from xtinct.observer.judging.weighing import of_cells
from xtinct.observer.peaks.peak_search import Peaks
from xtinct.observer.peaks.peak_shapes import q_of, shift, true_angle
from xtinct.symmetry.classes import relabellings
from xtinct.symmetry.families import MONOCLINIC, family_of
from xtinct.symmetry.operations import bravais_lattice, centring

#: Probability from which a centring of a cell that was told is a lattice of the answer.
_TOLD = 1e-3
#: Where the centrings that are a C on other axes put their second lattice point.
_CENTRES = {"A": (0, 0.5, 0.5), "B": (0.5, 0, 0.5), "C": (0.5, 0.5, 0), "I": (0.5, 0.5, 0.5)}


def by_centring(told: LatticeAnswer, groups: Mapping[int, float]) -> list[LatticeAnswer]:
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


def fitted_lattice(one: Judged, letter: str, probability: float, peaks: Peaks) -> LatticeAnswer:
    """A lattice with the cell, and its uncertainties, of its fit to the pattern."""
    cell, error = one.fit.cell()
    # Where the fit moves the lines to: the shift of the search belongs to the metric of the search.
    straight = replace(peaks, two_theta=peaks.two_theta - shift(peaks.two_theta, one.fit.profile))
    refined = replace(one.candidate, metric=one.fit.metric, shift=0.0)
    lattice = lattice_answer(refined, letter, probability, straight)
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


def lattice_answer(candidate: Candidate, letter: str, probability: float, peaks: Peaks) -> LatticeAnswer:
    """A candidate as it was indexed, without uncertainties."""
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


def merged(lattices: list[LatticeAnswer]) -> list[LatticeAnswer]:
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
    return with_cell_probabilities([kept[0], *sorted(kept[1:], key=lambda lattice: -lattice.probability)])


def with_cell_probabilities(lattices: list[LatticeAnswer]) -> list[LatticeAnswer]:
    """The lattices with the probabilities of their cells."""
    cells = [reduced(lattice.cell, lattice.centring) for lattice in lattices]
    total = of_cells(cells, np.array([lattice.probability for lattice in lattices]))
    return [replace(x, cell_probability=p) for x, p in zip(lattices, total.tolist(), strict=True)]


def line_answers(peaks: Peaks) -> list[LineAnswer]:
    """Observed lines without hkl."""
    d = peaks.wavelength / (2 * np.sin(np.radians(peaks.two_theta / 2)))
    columns = (peaks.two_theta, peaks.error, d, peaks.area, peaks.area_error, peaks.fwhm)
    return [
        LineAnswer(None, float(t), float(e), None, float(s), float(a), float(ae), float(w))
        for t, e, s, a, ae, w in zip(*columns, strict=True)
    ]


def indexed_lines(
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
    for line, width in zip(line_answers(peaks), peaks.fwhm, strict=True):
        i = int(np.abs(placed - line.two_theta).argmin()) if len(placed) else -1
        if i < 0 or abs(placed[i] - line.two_theta) > max(0.06, 0.65 * width):
            out.append(line)
            continue
        spacing = peaks.wavelength / (2 * np.sin(np.radians((line.two_theta - moved[i]) / 2)))
        index = tuple(int(x) for x in hkl[i])
        out.append(replace(line, hkl=index, calculated=float(placed[i]), d=float(spacing)))
    return out
