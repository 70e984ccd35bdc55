"""What is done to a pattern before a network sees it: one object for training patterns and measured ones.

It stands in the model's card. Training patterns go through it as they are rendered, measured ones once they
are on the model's grid, so both have been through the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from xtinct.compiling import assign, njit
from xtinct.errors import XtinctError
from xtinct.patterns.instrument import Instrument

#: What may be done with the background, and with the values.
BACKGROUNDS, VALUES = ("keep", "snip"), ("linear", "root", "log")
#: Highest point of a pattern, in counts, where its background is estimated. SNIP is no linear operation, so
#: what it does must not depend on how long was measured.
SNIP_COUNTS = 1e4


@dataclass(frozen=True)
class PatternTransform:
    """Steps, in this order; as they stand here nothing but the scale to a maximum of 1 is done.

    start, end  degree; outside them a pattern is zero. None: the whole grid
    background  "snip": what varies slowly is taken off (Ryan et al. 1988, Nucl. Instrum. Methods B 34, 396,
                with windows that narrow, Morhac et al. 1997, Nucl. Instrum. Methods A 401, 113), from the
                first to the last point that is not zero; nothing becomes negative. "keep": it stays
    half_width  degree, of the widest thing that is taken for a peak by "snip"
    values      "linear"; "root", the square root; "log", log(y / floor) / log(1 / floor), 0 below the floor
    floor       of "log", in units of the maximum
    """

    start: float | None = None
    end: float | None = None
    background: str = "keep"
    half_width: float = 1.0
    values: str = "linear"
    floor: float = 1e-4

    def __post_init__(self) -> None:
        for name, choices in (("background", BACKGROUNDS), ("values", VALUES)):
            if getattr(self, name) not in choices:
                raise XtinctError(
                    f"transform.{name}: {getattr(self, name)!r}, expected one of {', '.join(choices)}"
                )
        if not 0 < self.half_width <= 90:
            raise XtinctError(f"transform.half_width: {self.half_width}, expected more than 0, at most 90")
        if not 0 < self.floor < 1:
            raise XtinctError(f"transform.floor: {self.floor}, expected more than 0 and less than 1")
        if self.start is not None and self.end is not None and not self.start < self.end:
            raise XtinctError(f"transform: start {self.start} must be below end {self.end}")

    @classmethod
    def from_config(cls, settings: Mapping[str, object]) -> "PatternTransform":
        """From a mapping of the attributes; what is left out is not done."""
        known = [field.name for field in fields(cls)]
        for key in settings:
            if key not in known:
                raise XtinctError(f"transform.{key}: expected one of {', '.join(known)}")
        return cls(**settings)

    def check(self, instrument: Instrument) -> None:
        """XtinctError if nothing of the instrument's range is left."""
        first, last = self.kept(instrument)
        if last - first < 1:
            raise XtinctError(
                f"transform: {self.start} to {self.end} degrees leave nothing of the instrument's "
                f"{instrument.two_theta_min:g}-{instrument.two_theta_max:g} degrees"
            )

    @property
    def nothing(self) -> bool:
        """Whether no step is left but the scale, which patterns have already."""
        return self == PatternTransform(half_width=self.half_width, floor=self.floor)

    def kept(self, instrument: Instrument) -> tuple[int, int]:
        """First and last point that is not set to zero."""
        first, last = 0, instrument.points - 1
        if self.start is not None:
            first = max(0, int(np.ceil((self.start - instrument.two_theta_min) / instrument.step - 1e-9)))
        if self.end is not None:
            last = min(last, int(np.floor((self.end - instrument.two_theta_min) / instrument.step + 1e-9)))
        return first, last

    def half_points(self, instrument: Instrument) -> int:
        """`half_width` in points."""
        return max(1, round(self.half_width / instrument.step))

    def __call__(self, patterns: np.ndarray, instrument: Instrument) -> np.ndarray:
        """Patterns float32 (n, points), the maximum of each 1, or 0 where nothing is left; the given stay."""
        out = np.array(patterns, np.float32, order="C")
        if not self.nothing:
            first, last = self.kept(instrument)
            half = self.half_points(instrument) if self.background == "snip" else 0
            _transform(out, first, last, half, VALUES.index(self.values), self.floor)
        return out


@njit(cache=True, nogil=True)
def _transform(patterns, first, last, half, values, floor):
    points = patterns.shape[1]
    row, lower, level = np.empty(points), np.empty(points), np.empty(points)
    for i in range(patterns.shape[0]):
        row[:] = 0.0
        for k in range(first, last + 1):
            row[k] = max(patterns[i, k], 0.0)
        highest = row.max()
        if highest > 0.0 and half:
            row *= SNIP_COUNTS / highest
            _without_background(row, half, lower, level)
            highest = row.max()
        for k in range(points):
            y = row[k] / highest if highest > 0.0 else 0.0
            if values == 1:
                y = np.sqrt(y)
            elif values == 2:
                y = 1.0 - np.log(y) / np.log(floor) if y > floor else 0.0
            patterns[i, k] = y


@njit(cache=True, nogil=True)
def _without_background(row, half, lower, level):
    """Take the background off a row of counts; `lower` and `level` are memory as long as it."""
    first, last = 0, row.size - 1
    while row[first] == 0.0:
        first += 1
    while row[last] == 0.0:
        last -= 1
    for k in range(first, last + 1):
        level[k] = np.log(np.log(np.sqrt(row[k] + 1.0) + 1.0) + 1.0)
    for h in range(min(half, (last - first) // 2), 0, -1):
        # Only points with a whole window around them, so that a slope that ends stays one.
        own = level[first + h : last - h + 1]
        left, right = level[first : last - 2 * h + 1], level[first + 2 * h : last + 1]
        new = lower[: own.size]
        for k in range(own.size):
            around = 0.5 * (left[k] + right[k])
            new[k] = around if around < own[k] else own[k]
        assign(own, new)
    for k in range(first, last + 1):
        background = (np.exp(np.exp(level[k]) - 1.0) - 1.0) ** 2 - 1.0
        row[k] = max(row[k] - background, 0.0)
