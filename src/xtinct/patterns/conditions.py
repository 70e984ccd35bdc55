"""What differs from one measurement to the next: per-sample arrays.

`None` in place of conditions is the instrument exactly as configured. `variation` draws them.
"""

from dataclasses import dataclass, fields

import numpy as np

from xtinct.errors import XtinctError
from xtinct.linelists.line_lists import LineLists

_POSITIVE = ("width_factor", "counts", "crystallite_size")
#: Columns of those of more than one, and what they must not be below.
_COLUMNS = {"caglioti": 3, "hump": 3, "air": 2}
_NOT_NEGATIVE = ("microstrain", "asymmetry", "k_beta", "tungsten", "foreign_strength", "hump", "air", "eta")


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
    caglioti       float (n, 3), degree^2: U, V and W in place of the instrument's; V = 0 is always safe
    microstrain    float (n,), >= 0: adds (4 microstrain tan theta)^2 to the square of the width, in radians
    crystallite_size  float (n,), > 0, angstrom: in place of the instrument's
    eta            float (n,), 0 to 1: share of the Lorentzian, in place of the instrument's profile
    asymmetry      float (n,), >= 0: half the height of the receiving slit, and of the illuminated sample,
                   over the goniometer's radius; see `axial`
    hump           float (n, 3): height of an amorphous hump in units of the highest point of the peaks, its
                   place and its FWHM in degree
    air            float (n, 2): rise of the background at the first point, in those units, and the degrees
                   in which it falls to 1 / e
    k_beta         float (n,), >= 0: intensity of K-beta over that of the first wavelength
    tungsten       the same of tungsten's L-alpha1
    foreign        lines of another phase for each of n samples (|F|^2, none where there is no phase)
    foreign_strength  float (n,), >= 0: integrated intensity of that phase's strongest line on the grid over
                   that of the sample's
    start, end     float (n,), degree: nothing is measured outside them; the pattern is zero there
    """

    width_factor: np.ndarray | None = None
    zero_shift: np.ndarray | None = None
    displacement: np.ndarray | None = None
    background: np.ndarray | None = None
    counts: np.ndarray | None = None
    noise_keys: np.ndarray | None = None
    impurities: LineLists | None = None
    caglioti: np.ndarray | None = None
    microstrain: np.ndarray | None = None
    crystallite_size: np.ndarray | None = None
    eta: np.ndarray | None = None
    asymmetry: np.ndarray | None = None
    hump: np.ndarray | None = None
    air: np.ndarray | None = None
    k_beta: np.ndarray | None = None
    tungsten: np.ndarray | None = None
    foreign: LineLists | None = None
    foreign_strength: np.ndarray | None = None
    start: np.ndarray | None = None
    end: np.ndarray | None = None

    def __post_init__(self) -> None:
        lengths = {f.name: len(v) for f in fields(self) if (v := getattr(self, f.name)) is not None}
        if len(set(lengths.values())) > 1:
            raise XtinctError(
                f"conditions: of {', '.join(f'{n} ({name})' for name, n in lengths.items())} samples"
            )
        if (self.counts is None) != (self.noise_keys is None):
            raise XtinctError("conditions: counts and noise_keys go together")
        if (self.foreign is None) != (self.foreign_strength is None):
            raise XtinctError("conditions: foreign and foreign_strength go together")
        for name in _POSITIVE:
            values = getattr(self, name)
            if values is not None and not (np.asarray(values) > 0).all():
                raise XtinctError(f"conditions: {name} must be positive")
        for field in fields(self):
            values = getattr(self, field.name)
            if values is None or isinstance(values, LineLists) or field.name in ("counts", "noise_keys"):
                continue
            if not np.isfinite(values).all():
                raise XtinctError(f"conditions: {field.name} must be finite")
            if field.name in _NOT_NEGATIVE and (np.asarray(values) < 0).any():
                raise XtinctError(f"conditions: {field.name} must not be negative")
            columns = _COLUMNS.get(field.name)
            if columns and np.shape(values)[1:] != (columns,):
                raise XtinctError(f"conditions: {field.name} {np.shape(values)}, expected (n, {columns})")
        if self.eta is not None and (np.asarray(self.eta) > 1).any():
            raise XtinctError("conditions: eta must not exceed 1")
        for name, column in (("hump", 2), ("air", 1)):
            values = getattr(self, name)
            if values is not None and not (np.asarray(values)[:, column] > 0).all():
                raise XtinctError(f"conditions: the last column of {name} must be positive")

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
