"""Bare lists of lines: d, q or 2theta, with intensities and errors where they are known."""

from typing import NamedTuple

import numpy as np

from xtinct.errors import XtinctError
from xtinct.observer.peaks.peak_search import Peaks
from xtinct.observer.peaks.peak_shapes import Profile

#: What is assumed of a bare list: error of 2theta and width of a peak, degree.
ERROR, WIDTH = 0.02, 0.1
#: Wavelength at which a bare list of d or q is thought to be measured (Cu K-alpha1), angstrom.
WAVELENGTH = 1.5405929
#: Area over its error of a listed line: nobody says how sure it is, all are taken for found without doubt.
_CERTAINTY = 30.0


class ListedLines(NamedTuple):
    """What is known of the lines of a list besides their positions; None: nothing."""

    area: np.ndarray | None = None  # float64 (n,), in any unit
    error: np.ndarray | float | None = None  # float64 (n,) or one for all, in the unit of the positions


def from_two_theta(two_theta: np.ndarray, wavelength: float, known: ListedLines | None = None) -> Peaks:
    """Peaks of 2theta (n,), degree, in any order, at a wavelength in angstrom."""
    known = known or ListedLines()
    two_theta = np.asarray(two_theta, dtype=np.float64)
    _check(two_theta, "2theta", 180.0)
    if not 0.0 < wavelength < np.inf:
        raise XtinctError(f"peak list: wavelength {wavelength}, expected angstrom above 0")
    error = _errors(two_theta, "2theta", known.error if known.error is not None else ERROR)
    area = np.ones_like(two_theta) if known.area is None else np.asarray(known.area, dtype=np.float64)
    if area.shape != two_theta.shape or not (np.isfinite(area).all() and (area >= 0).all()):
        raise XtinctError(
            f"peak list: intensities {area.shape} of lines {two_theta.shape}, expected as many, none negative"
        )
    if not (area > 0).any():
        raise XtinctError("peak list: all intensities are 0; leave them out if they are not known")
    order = np.argsort(two_theta, kind="stable")
    two_theta, error, area = two_theta[order], error[order], area[order]
    far = np.concatenate([[180.0], np.diff(two_theta), [180.0]])
    return Peaks(
        two_theta=two_theta,
        error=error,
        area=area,
        area_error=np.maximum(area, 1e-6 * area.max()) / _CERTAINTY,
        fwhm=np.full(len(two_theta), WIDTH),
        gap=np.minimum(far[:-1], far[1:]),
        wavelength=float(wavelength),
        profile=Profile(W=WIDTH**2),
    )


def from_d(d: np.ndarray, known: ListedLines | None = None, wavelength: float = WAVELENGTH) -> Peaks:
    """Peaks of spacings d (n,), angstrom, in any order."""
    known = known or ListedLines()
    d = np.asarray(d, dtype=np.float64)
    _check(d, "d", 1000.0)
    sine = wavelength / (2.0 * d)
    if (sine >= 1.0).any():
        row = int(np.argmax(sine >= 1.0))
        raise XtinctError(
            f"peak list: d {d[row]:g} angstrom in row {row + 1} cannot be seen at wavelength {wavelength:g}; "
            "give the wavelength of the measurement"
        )
    two_theta = 2.0 * np.degrees(np.arcsin(sine))
    error = known.error
    if error is not None:
        error = _errors(d, "d", error)
        error = np.degrees(error / d * 2.0 * np.tan(np.radians(two_theta / 2)))
    return from_two_theta(two_theta, wavelength, ListedLines(known.area, error))


def _errors(values: np.ndarray, name: str, error: np.ndarray | float) -> np.ndarray:
    error = np.asarray(error, dtype=np.float64)
    if error.ndim and error.shape != values.shape:
        raise XtinctError(
            f"peak list: errors {error.shape} of {name} {values.shape}, expected as many or one"
        )
    error = np.broadcast_to(error, values.shape).copy()
    _check(error, f"error of {name}", np.inf)
    return error


def _check(values: np.ndarray, name: str, high: float) -> None:
    if values.ndim != 1 or not len(values):
        raise XtinctError(f"peak list: {name} {values.shape}, expected (n,) with at least one line")
    bad = ~(np.isfinite(values) & (values > 0.0) & (values < high))
    if bad.any():
        row = int(np.argmax(bad))
        raise XtinctError(
            f"peak list: {name} {values[row]} in row {row + 1}, expected between 0 and {high:g}"
        )
