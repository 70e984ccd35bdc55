"""From the columns of a scan to a Measurement or a PeakTable: axis, order, gaps, repeats, uncertainties."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from xtinct.errors import XtinctError
from xtinct.measurements.axes import NAMED, SCALED, Axis, to_d, to_two_theta
from xtinct.measurements.counts import joined_at, refuse_transformed
from xtinct.measurements.records import Measurement, PeakTable, Scan
from xtinct.radiation.tubes import Radiation, radiation_of, same

#: A list of positions is one of peaks if the logarithm of neighbouring steps differs by more than this in
#: the median (steps of a profile are alike, even jittered; those of peaks are nearly exponential) ...
_UNEVEN = 0.7
#: ... or by more than this, if the mean step is more than this share of the middle of the range ...
_ALIKE, _COARSE = 0.05, 0.005
#: ... and it has at most so many rows.
_MOST_PEAKS = 2000
#: Profiles have at least so many points.
_FEWEST = 5
#: Positions that differ by less than this share of the median step are one.
_SAME_STEP = 1e-3
#: Overlap of two ranges, as a share of the shorter, up to which they are one measurement in parts.
_OVERLAP = 0.5
#: Wavelength, angstrom, for positions in d or Q where none is told: their lattice spacings need none.
_NOMINAL = 1.0
#: How the note of such a wavelength begins.
NOMINAL_NOTE = "no wavelength is told: 2theta is that of a nominal"
#: Positions without a name that end below are 2theta only of a very short range or wavelength: that is said.
_LOW_END = 12.0
#: They are asked if they span more than this factor, as d and Q do, and if as 2theta they would show no
#: spacing, angstrom, as short as this.
_SPAN, _LONG = 2.0, 3.0
#: Files that say theta and reach further, degrees, mostly mean 2theta: they are asked.
_LARGEST_THETA = 70.0
_ANGLES = (Axis.TWO_THETA, Axis.THETA)
#: Positions are no spacings d if the shortest, angstrom, is longer than this (of a list only where it
#: ascends, as angles do), or if they go at even steps, which diffractometers do in angles, beyond this.
_NO_LINES, _EVEN_TO = 5.0, 40.0
#: Positions are no Q, 1/d or the like if they reach lines of d, angstrom, shorter than this.
_NO_SPACING = 0.15
#: A counter is saturated where two peaks have so many points at the one highest intensity, or one has the
#: second number; none of 514 measured patterns has.
_CUT_OFF, _CUT_OFF_ALONE = 3, 6


def finished(
    scan: Scan, wavelength: float | str | Sequence[float] | Radiation | None = None, axis: Axis | None = None
) -> list[Measurement | PeakTable]:
    """The scan with its axis in degrees, ascending, each angle once; several where it holds several ranges.

    wavelength and axis are the caller's word, which goes before the file's. XtinctError naming the scan and
    the row for what cannot be read rightly.
    """
    scan = replace(scan, notes=list(scan.notes))
    _refuse_not_finite(scan)
    named = axis is not None or scan.axis is not None
    says = scan.axis
    _decide_axis(scan, axis)
    if axis is not None:
        _refuse_told(scan, says)
    conversion = _decide_radiation(scan, wavelength)
    if scan.peaks is None:
        scan.peaks = scan.y is None or is_peak_list(scan.x)
        if scan.peaks and scan.y is not None:
            scan.notes.append(
                f"{len(scan.x)} rows at uneven distances: taken as a list of peaks, not as a profile"
            )
    if scan.peaks:
        return [_peak_table(scan, conversion)]
    if not named and conversion is not None:
        _refuse_long_spacings(scan, conversion)
    return [_measurement(part, conversion) for part in _parts(scan)]


def _where(scan: Scan, i: int) -> str:
    if scan.rows is not None:
        return f"{scan.name}: row {int(scan.rows[i])}"
    return f"{scan.name}: point {i + 1}"


def _refuse_not_finite(scan: Scan) -> None:
    if not len(scan.x):
        raise XtinctError(f"{scan.name}: holds no points")
    for what, column in (("position", scan.x), ("intensity", scan.y)):
        bad = np.flatnonzero(~np.isfinite(column)) if column is not None else ()
        if len(bad):
            more = f" (and {len(bad) - 1} further rows)" if len(bad) > 1 else ""
            raise XtinctError(
                f"{_where(scan, bad[0])}: the {what} is {column[bad[0]]}{more}; remove the row or mend it"
            )


def _decide_axis(scan: Scan, told: Axis | None) -> None:
    if told is not None and SCALED.get(scan.axis, (None,))[0] is not told:
        _take(scan, told)
    names = ", ".join(axis.value for axis in NAMED)
    if scan.axis in SCALED:
        base, factor = SCALED[scan.axis]
        scan.notes.append(f"positions were converted from {scan.axis.value}")
        scan.x, scan.axis = factor * scan.x, base
        scan.x_error = None if scan.x_error is None else factor * scan.x_error
    if scan.axis is Axis.OTHER:
        raise XtinctError(
            f"{scan.name}: the column of positions is named neither 2theta, d nor Q; if it is one of powder "
            f"diffraction, tell the axis ({names})"
        )
    if scan.axis in (Axis.TIME_OF_FLIGHT, Axis.ENERGY):
        raise XtinctError(
            f"{scan.name}: the axis is {scan.axis.value}, which is not read; convert it to d or Q with the "
            "calibration of its instrument"
        )
    if scan.axis is Axis.Q_UNITLESS:
        raise XtinctError(
            f"{scan.name}: says Q without its unit; tell the axis (--axis): q (1/angstrom) or q_nm (1/nm)"
        )
    highest, lowest = scan.x.max(), scan.x.min()
    if scan.axis is None:
        falling = len(scan.x) > 1 and (np.diff(scan.x) < 0).all()
        listed = scan.y is None or (scan.peaks is not False and is_peak_list(scan.x))
        if listed and len(scan.x) < 2:
            raise XtinctError(f"{scan.name}: {len(scan.x)} points, expected at least 2")
        if listed and (falling or highest < 20):
            raise XtinctError(
                f"{scan.name}: a list of peaks that does not say whether its positions are 2theta, d or Q; "
                f"tell the axis (--axis): {names}"
            )
        if highest < 180 or lowest < 0:
            scan.axis = Axis.TWO_THETA
            note = "the file does not name its axis: positions were taken as 2theta in degrees"
            if highest < _LOW_END:
                note += f"; they end at {highest:.4g}, so if they are Q or d, tell the axis (--axis)"
            scan.notes.append(note)
    if scan.axis is None and scan.y is None:
        raise XtinctError(
            f"{scan.name}: one column of numbers that reach {highest:g}, which are no angles; expected "
            "angles and intensities, or before intensities alone a row with first angle, step and last angle"
        )
    if scan.axis is None and _like_angles(scan.y):
        raise XtinctError(
            f"{scan.name}: the first column reaches {highest:g} and the second looks like 2theta in degrees; "
            "exchange the columns"
        )
    if scan.axis is None:
        raise XtinctError(
            f"{scan.name}: positions reach {highest:g}, which is no 2theta in degrees; time of flight is not "
            f"read, of others tell the axis ({names})"
        )
    if told is None and scan.axis is Axis.THETA and highest > _LARGEST_THETA:
        raise XtinctError(
            f"{scan.name}: says theta but reaches {highest:g} degrees; tell the axis, theta or 2theta"
        )
    largest = {Axis.TWO_THETA: 180, Axis.THETA: 90}.get(scan.axis, np.inf)
    if highest >= largest:
        raise XtinctError(
            f"{scan.name}: {scan.axis.value} reaches {highest:g} degrees, expected less than {largest}"
        )


def _take(scan: Scan, told: Axis) -> None:
    """The column of the axis that is told, where the file has one; else its positions under that axis."""
    if scan.axis is told:
        return
    names = {told, *(one for one, (base, _) in SCALED.items() if base is told)}
    names |= {Axis.Q_UNITLESS} if told in (Axis.Q, Axis.Q_NM) else set()
    own = next((one for one in scan.alike if one in names), None)
    if own is not None and own is not scan.axis:
        # Uncertainties are those of the column that was taken before, and what is left is another one.
        scan.x, scan.x_error = scan.alike[own], None
        scan.axis = told if own is Axis.Q_UNITLESS else own
        scan.notes = [note for note in scan.notes if not note.startswith("columns not used: ")]
        scan.notes.append(f"of the columns of positions that of {told.value} was taken, as told")
        _refuse_not_finite(scan)
        return
    if scan.axis not in (None, Axis.Q_UNITLESS, Axis.OTHER):
        scan.notes.append(f"the file says {scan.axis.value}, {told.value} was told and taken")
    scan.axis = told


def _refuse_told(scan: Scan, says: Axis | None) -> None:
    """XtinctError where the axis that was told makes no spacings of the positions.

    says: the axis that the file names, None where it names none
    """
    x = scan.x[scan.x > 0]
    if scan.axis in _ANGLES or len(x) < 2:
        return
    d = to_d(x, scan.axis, None)
    steps = np.diff(x)
    even = bool(np.ptp(steps) < 0.02 * abs(np.median(steps)))
    rising = bool((steps > 0).all())
    if d.min() < _NO_SPACING:
        reason = f"reach d = {d.min():.2g} angstrom, which no powder has"
    elif scan.axis is Axis.D and d.min() > _NO_LINES and (rising or not is_peak_list(scan.x)):
        reason = f"show no spacing below {d.min():.3g} angstrom"
    elif scan.axis is Axis.D and len(x) >= _FEWEST and even and (says in _ANGLES or d.max() > _EVEN_TO):
        reason = "go at even steps, as angles do"
    else:
        return
    named = f"; the file says {says.value}" if says is not None and says is not scan.axis else ""
    raise XtinctError(
        f"{scan.name}: the axis was told as {scan.axis.value}, but the positions {x.min():g} to {x.max():g} "
        f"{reason}{named}: tell another axis (--axis)"
    )


def _like_angles(y: np.ndarray) -> bool:
    """Whether intensities (n,) are angles: they ascend or descend throughout, within 180 degrees."""
    steps = np.diff(y)
    return bool(len(steps) and 0 < y.min() < y.max() < 180 and ((steps > 0).all() or (steps < 0).all()))


def _refuse_long_spacings(scan: Scan, wavelength: float) -> None:
    """XtinctError where positions without a name show as 2theta only spacings that are too long."""
    highest = scan.x.max()
    if not _SPAN * max(0.0, scan.x.min()) < highest < _LOW_END:
        return
    shortest = float(to_d(highest, Axis.TWO_THETA, wavelength))
    if shortest > _LONG:
        raise XtinctError(
            f"{scan.name}: the file does not name its axis, and its positions end at {highest:.4g}: as "
            f"2theta at {wavelength:g} angstrom it would show no spacing below {shortest:.3g} angstrom; tell "
            f"the axis (--axis): {', '.join(axis.value for axis in NAMED)}"
        )


def _decide_radiation(scan: Scan, told: float | str | Sequence[float] | Radiation | None) -> float | None:
    """Settle the scan's radiation; returns the wavelength that turns angles into d and back, or None."""
    if told is None:
        if scan.radiation is not None and scan.radiation.note:
            scan.notes.append(scan.radiation.note)
        return None if scan.radiation is None else scan.radiation.given or scan.radiation.wavelength
    radiation = radiation_of(told)
    if radiation.note:
        scan.notes.append(radiation.note)
    if scan.radiation is not None and not same(scan.radiation, radiation):
        scan.notes.append(
            f"the file says {scan.radiation.wavelength:g} angstrom, {radiation.wavelength:g} was told"
        )
    elif scan.radiation is not None and scan.radiation.second and not radiation.second:
        scan.notes.append("the file says a doublet, one wavelength was told and taken")
    scan.radiation = radiation
    return radiation.given or radiation.wavelength


def is_peak_list(x: np.ndarray) -> bool:
    """Whether positions (n,) are at such distances as those of peaks, not as those of a profile."""
    if len(x) > _MOST_PEAKS:
        return False
    if len(x) < _FEWEST:
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.abs(np.diff(x))
    if not (steps > 0).all():
        steps = steps[steps > 0]
        if len(steps) < _FEWEST - 1:
            return True
    with np.errstate(over="ignore", invalid="ignore"):  # positions beyond all numbers are refused later
        uneven = np.median(np.abs(np.diff(np.log(steps))))
        coarse = np.ptp(x) / (len(x) - 1) > _COARSE * abs(x.max() + x.min()) / 2
    return bool(uneven > _UNEVEN or (uneven > _ALIKE and coarse))


def _peak_table(scan: Scan, wavelength: float | None) -> PeakTable:
    if (scan.x <= 0).any():
        i = int(np.flatnonzero(scan.x <= 0)[0])
        raise XtinctError(f"{_where(scan, i)}: the position {scan.x[i]:g} is not positive")
    if scan.axis in _ANGLES and wavelength is None:
        raise XtinctError(
            f"{scan.name}: a list of peaks in {scan.axis.value} that does not say its wavelength; tell it "
            "(--wavelength)"
        )
    with np.errstate(over="ignore", divide="ignore"):
        d = to_d(scan.x, scan.axis, wavelength)
    if not np.isfinite(d).all():
        i = int(np.flatnonzero(~np.isfinite(d))[0])
        raise XtinctError(f"{_where(scan, i)}: the position {scan.x[i]:g} has no spacing d")
    two_theta = None if wavelength is None else to_two_theta(scan.x, scan.axis, wavelength)
    if scan.axis not in (*_ANGLES, Axis.D):
        scan.notes.append(f"positions were converted from {scan.axis.value} to d")
    order = np.argsort(-d, kind="stable")
    if two_theta is not None:
        beyond = ~np.isfinite(two_theta)
        if beyond.any():
            i = int(np.flatnonzero(beyond)[0])
            raise XtinctError(
                f"{_where(scan, i)}: no angle has d = {d[i]:g} angstrom at {wavelength:g} angstrom"
            )
    d_error = None
    if scan.x_error is not None:
        step = 1e-4 * scan.x
        slope = (to_d(scan.x + step, scan.axis, wavelength) - to_d(scan.x - step, scan.axis, wavelength)) / (
            2 * step
        )
        d_error = _completed(np.abs(slope) * scan.x_error, scan)
    if (np.diff(order) < 0).any():
        scan.notes.append("peaks were sorted by descending d")
    return PeakTable(
        d=d[order],
        two_theta=None if two_theta is None else two_theta[order],
        intensity=None if scan.y is None else scan.y[order],
        d_error=None if d_error is None else d_error[order],
        radiation=scan.radiation,
        notes=tuple(scan.notes),
        name=scan.name,
    )


def _completed(d_error: np.ndarray, scan: Scan) -> np.ndarray | None:
    """Uncertainties (n,) of d, those that are zero or missing as the median of the others; None of none."""
    good = np.isfinite(d_error) & (d_error > 0)
    if not good.any():
        scan.notes.append("the uncertainties of the positions are none (all zero or missing)")
        return None
    if not good.all():
        scan.notes.append(
            f"{np.count_nonzero(~good)} uncertainties of positions were zero or missing: taken as the median"
        )
    return np.where(good, d_error, np.median(d_error[good]))


def _parts(scan: Scan) -> list[Scan]:
    """The scan itself, or one for each range where it holds several that are no parts of one measurement."""
    if len(scan.x) < 2 * _FEWEST:
        return [scan]
    steps = np.diff(scan.x)
    sign = np.sign(np.median(steps)) or 1.0
    # Where the angle goes back by many steps, a new range begins.
    turns = np.flatnonzero(-sign * steps > 5 * np.median(np.abs(steps))) + 1
    pieces = np.split(np.arange(len(scan.x)), turns)
    if len(pieces) == 1 or min(map(len, pieces)) < _FEWEST:
        return [scan]
    if len(pieces) > 1 and not _overlap_much(scan, pieces):
        return [scan]
    parts = []
    for number, piece in enumerate(pieces, start=1):
        part = replace(
            scan,
            **{
                key: value[piece]
                for key in ("x", "y", "sigma", "rows")
                if (value := getattr(scan, key)) is not None
            },
            notes=[
                *scan.notes,
                f"the file holds {len(pieces)} ranges one after the other; this is range {number}",
            ],
            name=f"{scan.name}, range {number}",
        )
        parts.append(part)
    return parts


def _overlap_much(scan: Scan, pieces: list[np.ndarray]) -> bool:
    """Whether ranges cover the same angles for long, or their intensities differ where they meet."""
    ranges = sorted((scan.x[p].min(), scan.x[p].max(), i) for i, p in enumerate(pieces))
    for (low_1, high_1, first), (low_2, high_2, second) in pairwise(ranges):
        common = min(high_1, high_2) - low_2
        if common > _OVERLAP * min(high_1 - low_1, high_2 - low_2):
            return True
        if common > 0:
            sums = []
            for i in (first, second):
                x, y = scan.x[pieces[i]], scan.y[pieces[i]]
                inside = (x >= low_2) & (x <= min(high_1, high_2))
                sums.append((y[inside].mean() if inside.any() else np.nan, np.abs(y[inside]).sum()))
            (a, counts_a), (b, counts_b) = sums
            error = 1 / np.sqrt(max(counts_a, 1)) + 1 / np.sqrt(max(counts_b, 1))
            if np.isfinite(a + b) and abs(a - b) > (0.2 + 4 * error) * max(abs(a), abs(b)):
                return True
    return False


def _measurement(scan: Scan, wavelength: float | None) -> Measurement:
    if scan.axis not in _ANGLES and wavelength is None:
        wavelength = _nominal(scan)
    keep = np.ones(len(scan.x), dtype=bool)
    if scan.axis is not Axis.TWO_THETA:
        scan.notes.append(f"positions were converted from {scan.axis.value} to 2theta")
    if (scan.x <= 0).any():
        keep = scan.x > 0
        if not keep.any():
            raise XtinctError(f"{scan.name}: no position is above zero")
        scan.notes.append(f"{np.count_nonzero(~keep)} points at or below zero were left out")
    two_theta = np.full(len(scan.x), np.nan)
    two_theta[keep] = to_two_theta(scan.x[keep], scan.axis, wavelength)
    beyond = keep & ~np.isfinite(two_theta)
    if beyond.any():
        i = int(np.flatnonzero(beyond)[0])
        raise XtinctError(
            f"{_where(scan, i)}: {scan.axis.value} = {scan.x[i]:g} has no angle at {wavelength:g} angstrom; "
            "the wavelength or the axis is another one"
        )
    refuse_transformed(scan.name, np.asarray(scan.y, dtype=np.float64))
    columns = [two_theta[keep], np.asarray(scan.y, dtype=np.float64)[keep]]
    columns.append(None if scan.sigma is None else _sigma(scan, keep))
    two_theta, intensity, sigma = _ordered(scan, columns)
    if len(two_theta) < _FEWEST:
        raise XtinctError(f"{scan.name}: {len(two_theta)} points are no profile, expected at least {_FEWEST}")
    _say_steps(scan, two_theta)
    _say_saturated(scan, intensity)
    _say_joined(scan, two_theta, intensity)
    return Measurement(
        two_theta=two_theta,
        intensity=intensity,
        sigma=sigma,
        radiation=scan.radiation,
        notes=tuple(dict.fromkeys(scan.notes)),
        name=scan.name,
        counting_time=scan.counting_time,
        monochromator=scan.monochromator,
    )


def _nominal(scan: Scan) -> float:
    """A wavelength that every spacing of the scan has an angle for; the scan's radiation becomes it."""
    shortest = float(to_d(scan.x[scan.x > 0], scan.axis, None).min()) if (scan.x > 0).any() else 1.0
    wavelength = _NOMINAL if 2 * shortest * 0.95 > _NOMINAL else float(f"{1.7 * shortest:.2g}")
    note = f"{NOMINAL_NOTE} {wavelength:g} angstrom, which positions in {scan.axis.value} do not need"
    scan.radiation = Radiation(wavelength, note=note, nominal=True)
    scan.notes.append(note)
    return wavelength


def _sigma(scan: Scan, keep: np.ndarray) -> np.ndarray | None:
    sigma, note = completed_sigma(np.asarray(scan.sigma, dtype=np.float64)[keep])
    if note:
        scan.notes.append(note)
    return sigma


def completed_sigma(sigma: np.ndarray) -> tuple[np.ndarray | None, str | None]:
    """Uncertainties (n,) of intensities without zeros and missing ones, and a note of what was done.

    Such points get those of their neighbours; None in place of uncertainties of which none is left.
    """
    good = np.isfinite(sigma) & (sigma > 0)
    if good.all():
        return sigma, None
    if not good.any():
        return None, "the uncertainties of the file are none (all zero or missing)"
    where = np.arange(len(sigma))
    note = f"{np.count_nonzero(~good)} uncertainties were zero or missing: taken from their neighbours"
    return np.interp(where, where[good], sigma[good]), note


def _ordered(scan: Scan, columns: list[np.ndarray | None]) -> list[np.ndarray | None]:
    """Columns by ascending angle, each angle once."""
    steps = np.diff(columns[0])
    if (steps <= 0).any():
        order = np.argsort(columns[0], kind="stable")
        if (steps < 0).any():
            natural = scan.axis in (Axis.D,) and (steps < 0).all()
            if not natural:
                what = "descending" if (steps < 0).all() else "not in order"
                scan.notes.append(f"the positions were {what} and were sorted")
        columns = [None if c is None else c[order] for c in columns]
    two_theta = columns[0]
    steps = np.diff(two_theta)
    if not len(steps) or not steps.max() > 0:
        raise XtinctError(f"{scan.name}: all points are at one position")
    near = steps <= _SAME_STEP * np.median(steps[steps > 0])
    if not near.any():
        return columns
    group = np.concatenate([[0], np.cumsum(~near)])
    size = np.bincount(group)
    scan.notes.append(f"{len(two_theta) - len(size)} points were at angles that come twice and were averaged")
    sigma = columns[2]
    merged = [np.bincount(group, weights=c) / size for c in columns[:2]]
    merged.append(None if sigma is None else np.sqrt(np.bincount(group, weights=sigma**2)) / size)
    return merged


def _say_saturated(scan: Scan, intensity: np.ndarray) -> None:
    highest = float(intensity.max())
    if not highest > 2 * float(np.median(intensity)):
        return
    edges = np.diff(np.concatenate([[0], (intensity == highest).astype(np.int8), [0]]))
    lengths = np.flatnonzero(edges < 0) - np.flatnonzero(edges > 0)
    cut = int((lengths >= _CUT_OFF).sum())
    if cut >= 2 or lengths.max() >= _CUT_OFF_ALONE:
        scan.notes.append(
            f"the highest peaks end flat at {highest:g}, as of a saturated counter: they were higher, and "
            "known structures fit them less well; an attenuator or a shorter time would help"
        )


def _say_joined(scan: Scan, two_theta: np.ndarray, intensity: np.ndarray) -> None:
    if (found := joined_at(intensity)) is not None:
        i, factor = found
        scan.notes.append(
            f"between {two_theta[i - 1]:.2f} and {two_theta[i]:.2f} degrees all intensities change by a "
            f"factor of {factor:.2g}, as where ranges of different counting times were joined: lines there "
            "may be false; divide each range by its time"
        )


def _say_steps(scan: Scan, two_theta: np.ndarray) -> None:
    steps = np.diff(two_theta)
    step = np.median(steps)
    gaps = np.flatnonzero(steps > max(5 * step, 3 * np.quantile(steps, 0.99)))
    for i in gaps[:3]:
        scan.notes.append(
            f"nothing was measured between {two_theta[i]:.4f} and {two_theta[i + 1]:.4f} degrees"
        )
    if len(gaps) > 3:
        scan.notes.append(f"{len(gaps)} gaps in all")
    regular = np.delete(steps, gaps)
    if np.ptp(regular) > 0.1 * step and scan.axis in _ANGLES:
        scan.notes.append(f"steps are uneven: {regular.min():.5f} to {regular.max():.5f} degrees")
