"""What differs from one measurement to the next: per-sample arrays, and ranges to draw them from.

`None` in place of conditions is the instrument exactly as configured.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.linelists.line_lists import LineLists
from xtinct.randomness import subkey, uniform

#: Chebyshev terms of a drawn background.
_BACKGROUND_TERMS = 5
#: Counters of a sample's stream: one per quantity, so that one more quantity moves none of the others.
_WIDTH, _ZERO, _DISPLACEMENT, _COUNTS, _NOISE, _LINES, _BACKGROUND, _FIRST_LINE = 0, 1, 2, 3, 4, 5, 8, 32


@dataclass(frozen=True)
class Conditions:
    """Measuring conditions of n samples; whatever is None is as the instrument has it.

    width_factor   float (n,), > 0: multiplies the width of every peak
    zero_shift     float (n,), degree 2theta, added to the instrument's
    displacement   float (n,), mm, of the specimen, added to the instrument's
    background     float (n, k): Chebyshev coefficients over the 2theta range, in units of the highest
                   point of the peaks; added to the instrument's background, negative sums count as 0
    counts         float (n,), > 0: counts at the highest point, for Poisson noise; inf for none.
                   Takes the place of the instrument's
    noise_keys     uint64 (n,): stream of each sample's noise; needed with `counts`
    impurities     lines of n samples beside their own; the intensity is the integrated intensity
                   relative to the sample's strongest line, geometric factor included
    """

    width_factor: np.ndarray | None = None
    zero_shift: np.ndarray | None = None
    displacement: np.ndarray | None = None
    background: np.ndarray | None = None
    counts: np.ndarray | None = None
    noise_keys: np.ndarray | None = None
    impurities: LineLists | None = None

    def __post_init__(self) -> None:
        lengths = {f.name: len(v) for f in fields(self) if (v := getattr(self, f.name)) is not None}
        if len(set(lengths.values())) > 1:
            raise XtinctError(
                f"conditions: of {', '.join(f'{n} ({name})' for name, n in lengths.items())} samples"
            )
        if (self.counts is None) != (self.noise_keys is None):
            raise XtinctError("conditions: counts and noise_keys go together")
        for name in ("width_factor", "counts"):
            values = getattr(self, name)
            if values is not None and not (np.asarray(values) > 0).all():
                raise XtinctError(f"conditions: {name} must be positive")
        for name in ("width_factor", "zero_shift", "displacement", "background"):
            values = getattr(self, name)
            if values is not None and not np.isfinite(values).all():
                raise XtinctError(f"conditions: {name} must be finite")

    def __len__(self) -> int:
        """Number of samples; 0 where nothing differs from the instrument."""
        return next((len(v) for f in fields(self) if (v := getattr(self, f.name)) is not None), 0)

    def slice(self, start: int, stop: int) -> "Conditions":
        """Conditions of samples start to stop - 1 (as far as there are)."""
        parts = {}
        for field in fields(self):
            values = getattr(self, field.name)
            if isinstance(values, LineLists):
                parts[field.name] = values.slice(start, stop)
            elif values is not None:
                parts[field.name] = values[start:stop]
        return Conditions(**parts)

    def check(self, n: int) -> None:
        """XtinctError unless there are conditions for `n` samples (or for none at all)."""
        if len(self) not in (0, n):
            raise XtinctError(f"conditions: of {len(self)} samples, but there are {n}")


@dataclass(frozen=True)
class Variation:
    """Ranges that conditions are drawn from; None is no variation.

    width_factor        log-uniform, of every peak's width
    zero_shift          uniform, degree 2theta
    displacement        uniform, mm
    background          uniform: mean height of the background, in units of the highest peak; its
                        course is a random Chebyshev series that is nowhere negative
    counts              log-uniform: counts at the highest point
    impurity_lines      whole numbers, uniform, both ends included
    impurity_intensity  uniform, of each impurity line, in units of the strongest line
    impurity_d_star     uniform, position of each impurity line, 1/angstrom
    """

    width_factor: tuple[float, float] | None = None
    zero_shift: tuple[float, float] | None = None
    displacement: tuple[float, float] | None = None
    background: tuple[float, float] | None = None
    counts: tuple[float, float] | None = None
    impurity_lines: tuple[int, int] | None = None
    impurity_intensity: tuple[float, float] | None = None
    impurity_d_star: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            bounds = getattr(self, field.name)
            if bounds is None:
                continue
            low, high = bounds
            smallest = {"zero_shift": -np.inf, "displacement": -np.inf}.get(field.name, 0.0)
            if not (smallest <= low <= high and np.isfinite([low, high]).all()):
                raise XtinctError(
                    f"variation.{field.name}: [{low}, {high}], expected two ascending finite numbers"
                    + ("" if smallest else " from 0 on")
                )
            if field.name in ("width_factor", "counts") and low <= 0:
                raise XtinctError(f"variation.{field.name}: {low}, expected a positive number")
        lines = [self.impurity_lines, self.impurity_intensity, self.impurity_d_star]
        if any(x is None for x in lines) and any(x is not None for x in lines):
            raise XtinctError("variation: impurity_lines, impurity_intensity and impurity_d_star go together")

    @classmethod
    def from_config(cls, settings: Mapping[str, object]) -> "Variation":
        """From a mapping of the attributes to [low, high]; keys that are left out do not vary."""
        known = {field.name for field in fields(cls)}
        ranges = {}
        for key, bounds in settings.items():
            if key not in known:
                raise XtinctError(f"variation.{key}: expected one of {', '.join(sorted(known))}")
            try:
                low, high = bounds
                kind = int if key == "impurity_lines" else float
                ranges[key] = (kind(low), kind(high))
            except (TypeError, ValueError):
                raise XtinctError(f"variation.{key}: {bounds!r}, expected [low, high]") from None
        return cls(**ranges)

    def draw(self, key: np.uint64, start: int, count: int) -> Conditions:
        """Conditions of samples start to start + count - 1 of the stream `key` (uint64).

        Those of a sample depend on `key` and its number alone, whatever is drawn with it.
        """
        impurities = self.impurity_lines[1] if self.impurity_lines else 0
        u, noise = _uniforms(np.uint64(key), start, count, _FIRST_LINE + 2 * impurities)

        def between(bounds: tuple[float, float], draws: np.ndarray) -> np.ndarray:
            return bounds[0] + (bounds[1] - bounds[0]) * draws

        def between_logs(bounds: tuple[float, float], draws: np.ndarray) -> np.ndarray:
            return np.exp(between(tuple(np.log(bounds)), draws))

        drawn: dict[str, object] = {}
        if self.width_factor:
            drawn["width_factor"] = between_logs(self.width_factor, u[:, _WIDTH])
        if self.zero_shift:
            drawn["zero_shift"] = between(self.zero_shift, u[:, _ZERO])
        if self.displacement:
            drawn["displacement"] = between(self.displacement, u[:, _DISPLACEMENT])
        if self.background:
            level = between(self.background, u[:, _BACKGROUND])
            course = 2 * u[:, _BACKGROUND + 1 : _BACKGROUND + _BACKGROUND_TERMS] - 1
            # |T_k| <= 1, so terms whose sizes add up to at most 1 leave nothing negative.
            course /= _BACKGROUND_TERMS - 1
            drawn["background"] = level[:, None] * np.column_stack([np.ones(count), course])
        if self.counts:
            drawn["counts"] = between_logs(self.counts, u[:, _COUNTS])
            drawn["noise_keys"] = noise
        if self.impurity_lines:
            drawn["impurities"] = self._impurities(u, between)
        return Conditions(**drawn)

    def _impurities(self, u: np.ndarray, between) -> LineLists:
        fewest, most = self.impurity_lines
        numbers = fewest + np.floor(u[:, _LINES] * (most - fewest + 1)).astype(np.int64)
        own = np.arange(most) < numbers[:, None]
        d_star = between(self.impurity_d_star, u[:, _FIRST_LINE : _FIRST_LINE + most])
        intensity = between(self.impurity_intensity, u[:, _FIRST_LINE + most : _FIRST_LINE + 2 * most])
        order = np.argsort(np.where(own, d_star, np.inf), axis=1, kind="stable")
        d_star, intensity = (np.take_along_axis(x, order, axis=1)[own] for x in (d_star, intensity))
        return LineLists(
            np.concatenate([[0], np.cumsum(numbers)]).astype(np.int64), d_star, intensity.astype(np.float32)
        )


@njit(cache=True, nogil=True)
def _uniforms(key, start, count, width):
    """Uniform draws float64 (count, width) and keys uint64 (count,) for the noise."""
    draws, noise = np.empty((count, width)), np.empty(count, np.uint64)
    for i in range(count):
        own = subkey(key, np.uint64(start) + np.uint64(i))
        noise[i] = subkey(own, np.uint64(_NOISE))
        for j in range(width):
            draws[i, j] = uniform(own, j)
    return draws, noise
