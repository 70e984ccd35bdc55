"""Patterns that came before: the same measurement in other units or steps, or a laboratory's one specimen."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from xtinct.auditing.pattern_sets import LabelledMeasurement

#: Range of 1/d, 1/angstrom, and points of the grid that patterns are compared on; the least of them that two
#: patterns must share.
_LOW, _HIGH, _POINTS, _SHARED = 0.06, 0.75, 6000, 1200
#: Correlation of the steps from point to point from which on two patterns are one measurement.
_SAME = 0.995
#: angstrom; of patterns that say no wavelength, which are compared by their angles.
_NOMINAL = 1.5406


def duplicates(
    patterns: Sequence[LabelledMeasurement], earlier: Iterable[LabelledMeasurement] = ()
) -> Mapping[str, tuple[str, str]]:
    """pattern_id -> (earlier pattern, "content" or "specimen"), of each that repeats one before it.

    earlier  patterns of other sets, which go first
    """
    before = [_Seen.of(one) for one in earlier]
    found: dict[str, tuple[str, str]] = {}
    for one in patterns:
        seen = _Seen.of(one)
        match = next(((other.name, how) for other in before if (how := seen.repeats(other))), None)
        if match:
            found[one.pattern_id] = match
        else:
            before.append(seen)
    return found


class _Seen:
    """What a pattern is compared by."""

    def __init__(
        self, name: str, sha256: str, laboratory: str, specimen: tuple[str, str] | None, steps: np.ndarray
    ) -> None:
        self.name, self.sha256, self.steps = name, sha256, steps
        self.laboratory, self.specimen = laboratory, specimen

    @classmethod
    def of(cls, one: LabelledMeasurement) -> "_Seen":
        m = one.measurement
        wavelength = m.radiation.wavelength if m.radiation else _NOMINAL
        grid = np.linspace(_LOW, _HIGH, _POINTS)
        d_star = 2 * np.sin(np.radians(m.two_theta / 2)) / wavelength
        curve = np.interp(grid, d_star, m.intensity, left=np.nan, right=np.nan)
        specimen = (one.specimen, one.label.formula) if one.specimen else None
        return cls(one.pattern_id, one.sha256, one.laboratory, specimen, np.diff(curve).astype(np.float32))

    def repeats(self, other: "_Seen") -> str:
        """How this repeats another pattern; "" where it does not."""
        if self.sha256 and self.sha256 == other.sha256:
            return "content"
        both = np.isfinite(self.steps) & np.isfinite(other.steps)
        if both.sum() >= _SHARED:
            one, two = self.steps[both], other.steps[both]
            norm = float(np.linalg.norm(one) * np.linalg.norm(two))
            if norm > 0 and float(one @ two) > _SAME * norm:
                return "content"
        return "specimen" if self._shares_specimen(other) else ""

    def _shares_specimen(self, other: "_Seen") -> bool:
        if not self.specimen or self.specimen != other.specimen:
            return False
        # Names of specimens are those of a laboratory: "1" of two of them is not one powder. A laboratory
        # that is not named can be any, and then a name alone is not enough: the formula must be told too.
        untold = self._of_untold_laboratory or other._of_untold_laboratory
        return self.laboratory == other.laboratory or (untold and bool(self.specimen[1]))

    @property
    def _of_untold_laboratory(self) -> bool:
        """Whether the laboratory is called as its set is, which is what an unnamed one is called."""
        return self.laboratory == self.name.partition(":")[0]
