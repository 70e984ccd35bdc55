"""Patterns without noise, of Gaussian peaks of one width: read by the exact law of `xtinct.observer.exact`.

What was simulated says far more than what was measured: positions are good to a millionth of a degree, and
whatever is not there is absent. Whether a pattern is such a one is found in the data.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from xtinct.lattices.conventional import conventional_hkl
from xtinct.lattices.metric import cell_volume, cells_of_tensors, direct_tensor, form_metric, quadratic_forms
from xtinct.observer.answer.answer_data import LatticeAnswer, LineAnswer, Statement
from xtinct.observer.answer.observation import Observation
from xtinct.observer.exact.exact_observer import Answer, Observer
from xtinct.observer.exact.finding import Lattice
from xtinct.observer.exact.setting import fwhm_of
from xtinct.observer.fitting.line_sets import lines_of
from xtinct.observer.group_probabilities import spread_over
from xtinct.observer.judging.lattice_classes import DecidingLine
from xtinct.observer.peaks.peak_shapes import q_of, true_angle
from xtinct.observer.peaks.radiation_found import Found
from xtinct.observer.question import Question
from xtinct.patterns.instrument import FWHM_PER_SIGMA, Instrument
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import FAMILIES, family_of
from xtinct.symmetry.operations import bravais_lattice, centring

#: Noise over the highest point below which a pattern is ideal: single precision leaves less.
_NOISE = 2e-6
#: Share of the Lorentzian, and relative change of the widths over the pattern, of ideal peaks at most.
_LORENTZIAN, _CHANGE = 0.03, 0.03
_DECIBANS = 10 / math.log(10)


def is_ideal(two_theta: np.ndarray, intensity: np.ndarray, found: Found) -> bool:
    """Whether points (n,) are equidistant and without noise, their peaks Gaussian, single, of one width."""
    steps = np.diff(two_theta)
    if np.abs(steps - steps.mean()).max() > 0.1 * steps.mean() or found.measured.radiation.ratio:
        return False
    differences = np.diff(intensity, 8) / math.sqrt(math.comb(16, 8))
    profile, width = found.peaks.profile, found.peaks.fwhm
    return bool(
        np.median(np.abs(differences)) < _NOISE * intensity.max()
        and len(width)
        and profile.eta0 < _LORENTZIAN
        and np.ptp(width) < _CHANGE * width.mean()
    )


def observe_ideal(
    two_theta: np.ndarray,
    intensity: np.ndarray,
    found: Found,
    nothing: Observation,
    law: str,
    weights: Mapping[int, float] | None,
) -> Observation | None:
    """The answer by the exact law, None where it finds no lattice; `nothing`, the answer without one.

    weights: of the space groups, by what is known of the crystal; None: all groups alike
    """
    families = list(nothing.families)
    instrument = Instrument(
        wavelength=found.measured.radiation.wavelength,
        two_theta_min=float(two_theta[0]),
        two_theta_max=float(two_theta[-1]),
        points=len(two_theta),
        lorentz="lorentz-polarisation",
        fwhm=float(np.median(found.peaks.fwhm)),
    )
    # The exact law tells widths apart that differ by 1e-5 of themselves, far less than a fit of peaks does.
    fwhm = fwhm_of(intensity / intensity.max(), instrument)
    if not fwhm >= 2 * FWHM_PER_SIGMA * instrument.step:
        return None
    instrument = replace(instrument, fwhm=fwhm)
    observer = Observer(instrument, families[0] if len(families) == 1 else "all", law, weights)
    answer = observer.predict(np.maximum(intensity, 0.0))[0]
    return None if answer.lattice is None else _as_observation(answer, nothing, instrument.wavelength)


def _as_observation(answer: Answer, nothing: Observation, wavelength: float) -> Observation:
    answer, axes = _on_axes_of_class(answer)
    lattice, best = answer.lattice, answer.classes[0][:2]
    families = tuple(family for family in FAMILIES if family in nothing.families)
    # A group of the best class, whose axes are those of the lattice.
    number = next(iter(axes), next(g for g, _ in answer.groups if (family_of(g), class_symbol(g)) == best))
    found = LatticeAnswer(
        family=lattice.family,
        bravais=bravais_lattice(number),
        centring=centring(number),
        cell=lattice.cell,
        cell_error=np.full(6, np.nan),
        probability=1.0,
        cell_probability=1.0,
        m20=lattice.merit,
        f20=_f20(lattice, answer.lines.two_theta, wavelength),
        score=math.inf,
        volume=cell_volume(lattice.cell),
    )
    said = [
        Statement("reading", "The pattern has no noise and Gaussian peaks, so it was read by the exact law.")
    ]
    if lattice.zero:
        said.append(Statement("shift", f"The zero is shifted by {lattice.zero:+.5f} degrees."))
    rival = next((s for _, s, _ in answer.classes[1:]), None)
    return replace(
        nothing,
        lattices=[found],
        unknown=0.0,
        **spread_over(dict(answer.groups), Question(families=families)),
        lines=_lines(answer, wavelength),
        deciding={rival: _deciding(answer)} if rival else {},
        axes=axes,
        read_as=best,
        statements=[*nothing.statements, *said],
    )


def _on_axes_of_class(answer: Answer) -> tuple[Answer, dict[int, np.ndarray]]:
    """The answer on the axes of the standard setting of its best class's first group, and from there those of
    each group of the class: cell, hkl and symbol then agree."""
    if not answer.axes:
        return answer, {}
    lattice, matrix = answer.lattice, next(iter(answer.axes.values()))
    tensor = direct_tensor(lattice.cell)
    if (matrix.T @ tensor @ matrix)[0, 2] > 1e-9 * tensor.max():  # beta is acute
        matrix = matrix * [1, 1, -1]
    cell = cells_of_tensors(matrix.T @ tensor @ matrix)
    back = np.rint(np.linalg.inv(matrix)).astype(np.int64)

    def renamed(hkl: np.ndarray) -> np.ndarray:
        return conventional_hkl(lattice.family, hkl @ matrix)

    moved = replace(
        answer,
        lattice=replace(lattice, cell=cell, metric=form_metric(lattice.family, cell[None])[0]),
        hkl=renamed(answer.hkl),
        absences=[(tuple(renamed(np.array(hkl))[0].tolist()), *rest) for hkl, *rest in answer.absences],
    )
    return moved, {number: back @ own for number, own in answer.axes.items()}


def _f20(lattice: Lattice, two_theta: np.ndarray, wavelength: float) -> float:
    """F20 of Smith and Snyder (1979, J. Appl. Cryst. 12, 60): all lines of the metric count as possible."""
    two_theta = two_theta[:20]
    own = lines_of(lattice.family, lattice.metric, 1e-9, float(q_of(two_theta[-1], wavelength)) * 1.001)
    possible = true_angle(own.forms @ lattice.metric, wavelength)
    off = np.abs(two_theta[:, None] - possible).min(axis=1).mean()
    return float(len(two_theta) / (max(off, 1e-9) * len(possible)))


def _lines(answer: Answer, wavelength: float) -> list[LineAnswer]:
    lines, lattice = answer.lines, answer.lattice
    d = wavelength / (2 * np.sin(np.radians(lines.two_theta / 2)))
    area = lines.height * lattice.fwhm * math.sqrt(math.pi / math.log(2)) / 2
    # The lines stand at their true angles.
    calculated = true_angle(quadratic_forms(lattice.family, answer.hkl) @ lattice.metric, wavelength)
    found = [
        LineAnswer(
            tuple(int(x) for x in hkl) if hkl.any() else None,
            float(angle) + lattice.zero,
            float(error),
            float(place) + lattice.zero if hkl.any() else None,
            float(spacing),
            float(size),
            0.0,
            lattice.fwhm,
        )
        for hkl, angle, error, place, spacing, size in zip(
            answer.hkl, lines.two_theta, lines.error, calculated, d, area, strict=True
        )
    ]
    return _joined(found)


def _joined(lines: list[LineAnswer]) -> list[LineAnswer]:
    """Lines of one hkl, which the fit of peaks may split in two, as one at the mean by area."""
    joined: list[LineAnswer] = []
    for line in lines:
        last = joined[-1] if joined else None
        if last is None or line.hkl is None or line.hkl != last.hkl:
            joined.append(line)
            continue
        total = last.area + line.area
        share = line.area / total if total else 0.5
        names = ("two_theta", "calculated", "d")
        mean = {n: (1 - share) * getattr(last, n) + share * getattr(line, n) for n in names}
        joined[-1] = replace(last, area=total, **mean)
    return joined


def _deciding(answer: Answer) -> list[DecidingLine]:
    return [
        DecidingLine(np.array([hkl]), angle, seen == (ratio > 0), 0.0, _DECIBANS * ratio)
        for hkl, angle, seen, ratio in answer.absences
    ]
