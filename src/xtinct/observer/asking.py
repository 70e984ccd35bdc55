"""The observer as a person asks it: files, arrays or lists of peaks, and what is known of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from xtinct.ceiling.extinction import prior_weights
from xtinct.ceiling.priors import read_prior
from xtinct.errors import XtinctError
from xtinct.lattices.bravais import bravais, lifted, reduced
from xtinct.lattices.conventional import conventional_cell_errors
from xtinct.lattices.metric import cell_of
from xtinct.measurements import Measurement, PeakTable, Radiation, radiation_of, read_measurement, read_peaks
from xtinct.measurements.counts import refuse_transformed
from xtinct.observer.answer.observation import Observation
from xtinct.observer.exact.exact_classes import LAWS
from xtinct.observer.observe import observe, observe_peaks
from xtinct.observer.peaks.peak_lists import WAVELENGTH, ListedLines, from_d, from_two_theta
from xtinct.observer.peaks.peak_search import Peaks
from xtinct.observer.question import Question
from xtinct.symmetry.families import FAMILIES, N_SPACE_GROUPS, ORTHORHOMBIC, TETRAGONAL, TRICLINIC

#: What a person hands over: a file, what was read of one, or 2theta in degrees and intensity, (n,) each.
Pattern = str | Path | Measurement | PeakTable | tuple[np.ndarray, np.ndarray]
#: What numbers that are told as equal differ by at most, and how far symmetry may move atoms, angstrom.
_EQUAL = 1e-3
#: Relative difference of wavelengths that are one.
_SAME_WAVELENGTH = 1e-4
#: Angstrom, a name, the two of a doublet; None: what the file says.
Wavelength = float | str | Sequence[float] | Radiation | None


def index(
    pattern: Pattern,
    wavelength: Wavelength = None,
    *,
    family: str = "all",
    cell: str | Sequence[float] | None = None,
    centring: str | None = None,
    peaks: bool = False,
    scan: str | None = None,
    axis: str | None = None,
    prior: Mapping[int, Any] | str | Path | None = None,
    law: str = "physical",
) -> Observation:
    """Read a powder pattern without training: lattice, extinction classes, space groups, what is to be known.

    pattern     a file of any format of powder diffraction, a Measurement or PeakTable of
                `xtinct.measurements`, or two float (n,) arrays: 2theta in degrees, and intensity
    wavelength  angstrom, a name (CuKa), or the two of a doublet; None: what the file says
    family      the crystal family, if it is known; cell, six numbers in angstrom and degrees, if it is known;
                centring, its letter, if that is known
    peaks       whether the file is a list of peaks; scan, which of several scans
    axis        what the positions of a file are, where it does not say it: 2theta, d, q ...
    prior       weights of space groups: a mapping, a table (.csv, .parquet), or "mp" for the frequencies of
                the Materials Project, or "uniform" for all groups alike; None: within a family the square
                roots of those frequencies
    law         of the intensities of patterns without noise: physical, or uniform

    Returns an `Observation`: print it, or see its attributes, `to_dict()`, `to_cif()`, `plot()`. XtinctError
    where there is nothing to be read, or where the wavelength is not known.
    """
    told = asked(family=family, cell=cell, centring=centring, prior=prior, law=law)
    radiation = None if wavelength is None else radiation_of(wavelength)
    pattern = read(pattern, wavelength, peaks=peaks, scan=scan, axis=axis)
    if isinstance(pattern, PeakTable):
        return observe_list(pattern, radiation, told)
    return observe(pattern, radiation, told)


def asked(
    *,
    family: str = "all",
    cell: str | Sequence[float] | None = None,
    centring: str | None = None,
    prior: Mapping[int, Any] | str | Path | None = None,
    law: str = "physical",
) -> Question:
    """What is known and asked, as `index` takes it; XtinctError for what makes no sense."""
    if family != "all" and family not in FAMILIES:
        raise XtinctError(f"crystal family {family!r}: expected all or one of {', '.join(FAMILIES)}")
    if law not in LAWS:
        raise XtinctError(f"intensity law {law!r}: expected one of {', '.join(LAWS)}")
    question = Question(
        families=tuple(FAMILIES) if family == "all" else (family,),
        prior=None if prior is None else _weights(prior),
        cell=_six(cell) if cell is not None else None,
        centring=centring,
        law=law,
    )
    return question if question.cell is None else _on_usual_axes(question)


def read(
    pattern: Pattern,
    wavelength: Wavelength = None,
    *,
    peaks: bool = False,
    scan: str | None = None,
    axis: str | None = None,
) -> Measurement | PeakTable:
    """A file, two arrays or what was read before, as a measurement or a list of peaks."""
    if isinstance(pattern, str | Path):
        if peaks:
            return read_peaks(pattern, wavelength=wavelength, axis=axis, scan=scan)
        return read_measurement(pattern, wavelength=wavelength, scan=scan, axis=axis)
    if axis is not None:
        raise XtinctError(f"axis {axis!r}: it is told of files alone; arrays are 2theta in degrees")
    if isinstance(pattern, tuple | list) and any(isinstance(part, str | Path) for part in pattern):
        raise XtinctError("pattern: several files; ask of one at a time")
    if isinstance(pattern, tuple | list) and len(pattern) == 2:
        return as_measurement(*pattern)
    if isinstance(pattern, Measurement):
        return pattern
    if isinstance(pattern, PeakTable):
        return _of_floats(pattern)
    columns = len(getattr(pattern, "shape", ())) == 2
    raise XtinctError(
        f"pattern: {type(pattern).__name__}, expected a file, two arrays (two_theta, intensity), a "
        f"Measurement or a PeakTable{'; give the columns of a table as (two_theta, intensity)' * columns}"
    )


def listed(table: PeakTable, radiation: Radiation | None = None) -> Peaks:
    """The peaks of a list; errors that it does not give are taken as 0.02 degrees.

    XtinctError where the list was made with another radiation: it no longer says whether d or 2theta is what
    was measured.
    """
    if table.two_theta is not None and table.radiation is not None and radiation is not None:
        made, now = (x.given or x.wavelength for x in (table.radiation, radiation))
        if abs(made - now) > _SAME_WAVELENGTH * made:
            raise XtinctError(
                f"{table.name or 'peak list'}: its d and 2theta belong to {made:g} angstrom, and {now:g} is "
                "told; read the file with that wavelength, or replace d or 2theta in the PeakTable"
            )
    radiation = radiation or table.radiation
    # Angles belong to the mean of a doublet where that was told.
    wavelength = (
        radiation.given or radiation.wavelength
        if radiation
        else min(WAVELENGTH, 1.9 * float(table.d.min(initial=np.inf)))
    )
    area = table.intensity if table.intensity is not None and (table.intensity > 0).any() else None
    if table.d_error is None and table.two_theta is not None and radiation is not None:
        return from_two_theta(table.two_theta, wavelength, ListedLines(area, None))
    return from_d(table.d, ListedLines(area, table.d_error), wavelength)


def observe_list(table: PeakTable, radiation: Radiation | None, question: Question) -> Observation:
    """Index a list of peaks, and say what was made of it; `radiation` goes before the list's own."""
    peaks, taken = listed(table, radiation), radiation or table.radiation
    of = f"2theta is that of {'a nominal' if taken is None else 'the mean,'} {peaks.wavelength:.6g} angstrom"
    notes = list(table.notes)
    if taken is None:
        notes.append(f"no wavelength is told: {of}")
    elif taken.given:
        # The radiation of the answer is the doublet.
        notes += [note for note in (taken.note, of) if note not in notes]
    return observe_peaks(table.name or "peak list", peaks, question, notes, taken)


def as_measurement(two_theta: np.ndarray, intensity: np.ndarray) -> Measurement:
    """Two arrays (n,), 2theta in degrees and intensity, as a measurement; XtinctError if they are none."""
    two_theta, intensity = (np.asarray(x, dtype=np.float64) for x in (two_theta, intensity))
    if two_theta.ndim != 1 or two_theta.shape != intensity.shape:
        raise XtinctError(
            f"pattern: two_theta {two_theta.shape} and intensity {intensity.shape} must be (n,)"
        )
    if not (np.isfinite(two_theta).all() and np.isfinite(intensity).all()):
        raise XtinctError("pattern: all values must be finite")
    if len(two_theta) > 1 and (np.diff(two_theta) < 0).all():
        two_theta, intensity = two_theta[::-1], intensity[::-1]
    if not (np.diff(two_theta) > 0).all() or (len(two_theta) and not 0 <= two_theta[0] < two_theta[-1] < 180):
        raise XtinctError("pattern: two_theta must ascend, within 0 to 180 degrees")
    refuse_transformed("pattern", intensity)
    return Measurement(two_theta, intensity, name="pattern")


def _of_floats(table: PeakTable) -> PeakTable:
    """A list of peaks with its columns as float64 arrays."""
    columns = {name: getattr(table, name) for name in ("d", "two_theta", "intensity", "d_error")}
    arrays = {name: np.asarray(x, dtype=np.float64) for name, x in columns.items() if x is not None}
    return replace(table, **arrays)


def _on_usual_axes(question: Question) -> Question:
    """The question with its cell on conventional axes, where it has no symmetry on those that are told.

    Rhombohedral axes, a unique axis c and primitive cells of centred lattices would else be triclinic, and a
    tetragonal cell with the centring C or F, or with its axes by length, orthorhombic.
    """
    cell, families = np.asarray(question.cell), [f for f in question.families if f != TRICLINIC]
    letter = question.centring or "P"
    fitting = next((f for f in families if conventional_cell_errors(f, cell[None]).max() < _EQUAL), None)
    lengths = np.sort(cell[:3])
    # As reduced cells are written: c a a of a tetragonal lattice, which is orthorhombic on these axes.
    unnamed = (
        fitting == ORTHORHOMBIC and TETRAGONAL in families and (np.diff(lengths) < _EQUAL * lengths[1:]).any()
    )
    if not families or (fitting and letter in FAMILIES[fitting].centrings and not unnamed):
        return question
    # The letter R of a rhombohedral lattice means hexagonal axes; on its own ones it is primitive.
    rhombohedral = np.ptp(cell[:3]) < _EQUAL * cell[0] and np.ptp(cell[3:]) < _EQUAL
    high = lifted(reduced(cell, "P" if rhombohedral and letter == "R" else letter), _EQUAL)
    # A centred cell without symmetry has a primitive one.
    usable = question.families if letter != "P" and fitting is None else families
    if high is None or high.family not in usable or (unnamed and high.family == ORTHORHOMBIC):
        return question
    usual = cell_of(high.family, high.metric)
    if np.abs(usual - cell).max() < _EQUAL:
        return question
    text = " ".join(f"{x:.5g}" for x in usual)
    return replace(
        question,
        cell=tuple(usual.tolist()),
        # A cell that is told without a centring may have one; that of a centred lattice was primitive.
        centring=high.centring if question.centring or high.centring != "P" else None,
        note=f"the cell was told on other axes; on the usual ones it is {high.family}, "
        f"{bravais(high.family, high.centring)} {text}",
    )


def _weights(prior: Mapping[int, Any] | str | Path) -> dict[int, Fraction]:
    """A prior that is told: weights of space groups that are numbers, none negative."""
    if isinstance(prior, str | Path):
        return read_prior(prior)
    wrong = [number for number in prior if number not in range(1, N_SPACE_GROUPS + 1)]
    if wrong:
        raise XtinctError(
            f"prior: {wrong[0]!r} is no number of a space group; expected numbers from 1 to {N_SPACE_GROUPS} "
            "with their weights"
        )
    # Of NumPy's numbers those of double precision alone are floats.
    return prior_weights("all", {g: w.item() if isinstance(w, np.generic) else w for g, w in prior.items()})


def _six(cell: str | Sequence[float]) -> tuple[float, ...]:
    """The six numbers of a cell."""
    parts = cell.replace(",", " ").split() if isinstance(cell, str) else list(cell)
    try:
        numbers = tuple(float(x) for x in parts)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != 6:
        raise XtinctError(f"cell {cell!r}: expected a,b,c,alpha,beta,gamma in angstrom and degrees")
    return numbers
