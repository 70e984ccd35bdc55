"""Line lists to patterns on the CPU for any instrument and any measuring conditions.

Peaks have the area of their line, whatever their width. Gaussians are cut after CUT_SIGMAS; the tails
of Lorentzians are not cut, see `tails`. The sum agrees with the exact one to 1e-6 of the maximum
(Gaussians) and 1e-5 (Lorentzians).
"""

from dataclasses import replace

import numpy as np

from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.axial import divided
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.noise import line_keys
from xtinct.patterns.placement import PlacedLines, Shifts, in_points, place
from xtinct.patterns.superposition import (
    CountingNoise,
    SampleBackground,
    SamplePeaks,
    Scales,
    largest_of_samples,
    sum_samples,
)


def render_any(
    lines: LineLists, instrument: Instrument, conditions: Conditions | None, out: np.ndarray
) -> np.ndarray:
    """Fill `out` float32 (len(lines), points) with patterns, the maximum of each 1, and return it."""
    conditions = with_noise_of_lines(lines, instrument, conditions or Conditions())
    n = len(lines)
    conditions.check(n)
    nothing = LineLists(np.zeros(n + 1, np.int64), np.empty(0), np.empty(0, np.float32))
    impurities = impurity_lines(instrument, conditions, n) or nothing
    foreign = conditions.foreign or nothing
    own, strange = (_placed(x, instrument, conditions) for x in (lines, foreign))
    quiet = conditions.counts is None
    sum_samples(
        (
            _finished(lines, own, instrument, conditions),
            _finished(
                impurities,
                _placed(impurities, instrument, conditions, geometric=False),
                instrument,
                conditions,
            ),
            _finished(foreign, strange, instrument, conditions),
        ),
        _scales(lines, own, (foreign, strange), instrument, conditions),
        background_of(instrument, conditions),
        CountingNoise(
            np.full(n, np.inf) if quiet else np.asarray(conditions.counts, np.float64),
            np.zeros(n, np.uint64) if quiet else conditions.noise_keys.astype(np.uint64),
        ),
        measured_points(instrument, conditions, n),
        out,
    )
    return out


def shifts(conditions: Conditions) -> dict[str, np.ndarray]:
    """What of the conditions are fields of `Shifts`."""
    given = {key: getattr(conditions, key) for key in Shifts._fields}
    return {key: values for key, values in given.items() if values is not None}


def impurity_lines(instrument: Instrument, conditions: Conditions, n: int) -> LineLists | None:
    """Impurity lines of n samples: the instrument's and those of the conditions, in any order."""
    given = [conditions.impurities] if conditions.impurities is not None else []
    if instrument.impurities:
        d_star, intensity = np.array(instrument.impurities).T
        given.append(
            LineLists(
                np.arange(n + 1) * len(d_star), np.tile(d_star, n), np.tile(intensity, n).astype(np.float32)
            )
        )
    if len(given) < 2:
        return given[0] if given else None
    parts = [part.slice(i, i + 1) for i in range(n) for part in given]
    if not parts:
        return None
    joined = LineLists.concatenate(parts)
    return LineLists(joined.offsets[:: len(given)].copy(), joined.d_star, joined.intensity)


def common_background(instrument: Instrument) -> np.ndarray:
    """Background of the instrument, float64 (1, points), not yet cut at 0; (0, points) if it has none."""
    x = np.linspace(-1, 1, instrument.points)
    if not (instrument.background or instrument.humps):
        return np.zeros((0, instrument.points))
    background = np.polynomial.chebyshev.chebval(x, instrument.background or [0.0])[None]
    for height, centre, width in instrument.humps:
        background = background + height * np.exp(
            -4 * np.log(2) * ((instrument.two_theta - centre) / width) ** 2
        )
    return background


def background_of(instrument: Instrument, conditions: Conditions) -> SampleBackground:
    """Background of the samples under these conditions."""

    def rows(name: str, columns: int) -> np.ndarray:
        given = getattr(conditions, name)
        return np.zeros((0, columns)) if given is None else np.ascontiguousarray(given, np.float64)

    return SampleBackground(
        common_background(instrument),
        rows("background", 1),
        rows("hump", 3),
        rows("air", 2),
        float(instrument.two_theta_min),
        float(instrument.step),
    )


def measured_points(instrument: Instrument, conditions: Conditions, n: int) -> np.ndarray:
    """First and last point that is measured, int64 (n, 2); first > last where none is."""
    points = np.tile(np.array([0, instrument.points - 1]), (n, 1))
    for column, name, rounded in ((0, "start", np.ceil), (1, "end", np.floor)):
        given = getattr(conditions, name)
        if given is not None:
            place = (np.asarray(given, np.float64) - instrument.two_theta_min) / instrument.step
            points[:, column] = np.clip(rounded(place), -1, instrument.points)
    points[:, 0] = np.maximum(points[:, 0], 0)
    points[:, 1] = np.minimum(points[:, 1], instrument.points - 1)
    return points


def with_noise_of_lines(lines: LineLists, instrument: Instrument, conditions: Conditions) -> Conditions:
    """The conditions, with the instrument's counting noise where they state none.

    The noise of a sample follows from its lines.
    """
    if conditions.counts is not None or not instrument.counts:
        return conditions
    keys = np.empty(len(lines), np.uint64)
    line_keys(lines.offsets, lines.d_star.astype(np.float32), lines.intensity, keys)
    return replace(conditions, counts=np.full(len(lines), float(instrument.counts)), noise_keys=keys)


def _placed(
    lines: LineLists, instrument: Instrument, conditions: Conditions, geometric: bool = True
) -> PlacedLines:
    """Peaks of all lines, positions and widths in degrees, float64 (w, m)."""
    owner = np.repeat(np.arange(len(lines)), np.diff(lines.offsets))
    return place(
        np,
        instrument,
        lines.d_star.astype(np.float64),
        lines.intensity.astype(np.float64),
        Shifts(**{key: np.asarray(values, np.float64)[owner] for key, values in shifts(conditions).items()}),
        geometric=geometric,
    )


def _finished(
    lines: LineLists, peaks: PlacedLines, instrument: Instrument, conditions: Conditions
) -> SamplePeaks:
    """The peaks by samples, with their axial divergence, in points of the grid."""
    offsets = lines.offsets.astype(np.int64)
    if conditions.asymmetry is None or not len(lines.d_star):
        return SamplePeaks(offsets, in_points(peaks, instrument))
    owner = np.tile(np.repeat(np.arange(len(lines)), np.diff(offsets)), len(peaks.area))
    # Sample by sample, as offsets tell, without what no wavelength reaches and ghosts that are not there.
    order = np.argsort(owner, kind="stable")
    order = order[peaks.area.reshape(-1)[order] > 0]
    owner = owner[order]
    flat = PlacedLines(*(column.reshape(-1)[order] for column in peaks))
    parts, source = divided(np, flat, np.asarray(conditions.asymmetry, np.float64)[owner])
    counts = np.bincount(owner[source], minlength=len(lines))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    parts = PlacedLines(*(np.ascontiguousarray(column)[None] for column in parts))
    return SamplePeaks(offsets, in_points(parts, instrument))


def _scales(
    lines: LineLists,
    peaks: PlacedLines,
    foreign: tuple[LineLists, PlacedLines],
    instrument: Instrument,
    conditions: Conditions,
) -> Scales:
    """In units of the strongest line, so that no sum leaves the range of numbers."""
    strongest, on_grid = strongest_lines(lines, peaks, instrument)
    own = np.divide(1.0, strongest, out=np.zeros_like(strongest), where=strongest > 0)
    scale = np.zeros(len(lines))
    if conditions.foreign is not None:
        _, strange = strongest_lines(*foreign, instrument)
        np.divide(conditions.foreign_strength * on_grid * own, strange, out=scale, where=strange > 0)
    return Scales(own, scale)


def strongest_lines(
    lines: LineLists, peaks: PlacedLines, instrument: Instrument
) -> tuple[np.ndarray, np.ndarray]:
    """Largest area of each sample, float64 (n,), of all its peaks and of those on the grid; 0 without any."""
    area = peaks.area.max(axis=0)
    shown = (peaks.two_theta >= instrument.two_theta_min) & (peaks.two_theta <= instrument.two_theta_max)
    inside = np.where(shown, peaks.area, 0.0).max(axis=0)
    return largest_of_samples(lines.offsets, area), largest_of_samples(lines.offsets, inside)
