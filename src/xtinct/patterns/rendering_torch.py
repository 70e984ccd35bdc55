"""Line lists to patterns in torch, on any device, differentiable in the intensities.

Each line is deposited on the nearest point of a fine grid as a weight and its first moments; one
matrix product then spreads all deposits with the Gaussian and its derivatives. The expansion
exp(z u - u^2 / 2) = sum He_p(z) u^p / p! makes that exact to 1e-6 of a peak's height.
"""

import math

import numpy as np
import torch

from xtinct.errors import XtinctError
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.axial import divided
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.instrument import CUT_SIGMAS, Instrument
from xtinct.patterns.lorentz import geometric_factor
from xtinct.patterns.noise_torch import counting_noise
from xtinct.patterns.placement import PlacedLines, Shifts, in_points, place
from xtinct.patterns.profiles import (
    background_of,
    impurity_lines,
    measured_points,
    shifts,
    with_noise_of_lines,
)
from xtinct.patterns.profiles_torch import sum_peaks

#: Moments of a deposit, and the largest step of the fine grid in sigma: (0.11 / 2)^4 / 8 = 1e-6.
_MOMENTS = 4
_FINE_STEP = 0.11
#: Grid points of one matrix product.
_BLOCK = 128


class Renderer:
    """Renders line lists into patterns on `device`.

    Equal to `patterns.rendering.render` within 1e-4 of the maximum. Computes in float32 (line
    positions in float64) also inside an autocast region. On a CUDA device it follows the
    process-wide `torch.backends.cuda.matmul` precision: TF32 (off by default) would cost 1e-3.
    """

    def __init__(self, instrument: Instrument, device: str | torch.device = "cpu") -> None:
        self.instrument = instrument
        self.device = torch.device(device)
        if instrument.plain:
            self._prepare(instrument)

    def _prepare(self, instrument: Instrument) -> None:
        step = instrument.step / instrument.sigma
        self._fine = max(1, math.ceil(step / _FINE_STEP))
        self._fine_step = step / self._fine
        self._half = math.ceil(CUT_SIGMAS / self._fine_step)
        self._blocks = math.ceil(instrument.points / _BLOCK)
        self._span = (_BLOCK - 1) * self._fine + 2 * self._half + 1
        self._length = (self._blocks - 1) * _BLOCK * self._fine + self._span
        spread = torch.from_numpy(self._spread_matrix()).to(self.device)
        self._spread = {torch.float32: spread.float(), torch.float64: spread}

    def _spread_matrix(self) -> np.ndarray:
        """float64 (span * moments, block): what a deposit's moments give to each grid point."""
        fine_points = np.arange(self._span)[:, None] - self._half
        z = (np.arange(_BLOCK)[None, :] * self._fine - fine_points) * self._fine_step
        gaussian = np.where(np.abs(z) <= CUT_SIGMAS, np.exp(-0.5 * z * z), 0.0)
        hermite = [np.ones_like(z), z]
        for p in range(2, _MOMENTS):
            hermite.append(z * hermite[-1] - (p - 1) * hermite[-2])
        moments = np.stack([he * gaussian / math.factorial(p) for p, he in enumerate(hermite)], axis=1)
        return moments.reshape(self._span * _MOMENTS, _BLOCK)

    def __call__(self, lines: LineLists, conditions: Conditions | None = None) -> torch.Tensor:
        """Patterns float32 (len(lines), points) of line lists held in numpy arrays.

        `conditions` of the samples; None is the instrument exactly as configured.
        """
        if conditions is None and self.instrument.counts:
            conditions = Conditions()
        if conditions is not None:
            conditions = with_noise_of_lines(lines, self.instrument, conditions)
        sample, d_star, intensity = self._tensors(lines)
        return self.render(sample, d_star, intensity, len(lines), conditions)

    def _tensors(self, lines: LineLists) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        counts = torch.from_numpy(np.diff(lines.offsets)).to(self.device)
        sample = torch.repeat_interleave(torch.arange(len(lines), device=self.device), counts)
        d_star = torch.from_numpy(lines.d_star).to(self.device)
        return sample, d_star, torch.from_numpy(lines.intensity).to(self.device)

    def render(
        self,
        sample: torch.Tensor,
        d_star: torch.Tensor,
        intensity: torch.Tensor,
        n: int,
        conditions: Conditions | None = None,
    ) -> torch.Tensor:
        """Patterns float32 (n, points), the maximum of each 1; a sample without lines is zero.

        sample      int64 (m,), sample that owns the line, 0 to n - 1, in any order
        d_star      float (m,), 1/angstrom; float64 or float32
        intensity   float (m,), any float type; gradients flow to it. Patterns of float64 intensities
                    are float64
        conditions  of the n samples; None is the instrument exactly as configured
        """
        with torch.autocast(self.device.type, enabled=False):
            dtype = torch.float64 if intensity.dtype == torch.float64 else torch.float32
            if conditions is None and self.instrument.plain:
                return self._render_plain(sample, d_star, intensity.to(dtype), n)
            return self._render_any(sample, d_star, intensity, n, conditions or Conditions(), dtype)

    def _render_plain(
        self, sample: torch.Tensor, d_star: torch.Tensor, intensity: torch.Tensor, n: int
    ) -> torch.Tensor:
        position, factor = self._place(d_star)
        weight = intensity * factor.to(intensity.dtype)
        nearest = torch.round(position)
        shift = ((position - nearest) * self._fine_step).to(weight.dtype)
        powers = torch.stack([shift**p for p in range(_MOMENTS)], dim=1)
        index = sample * self._length + nearest.long() + self._half
        deposit = torch.zeros(n * self._length, _MOMENTS, dtype=weight.dtype, device=self.device)
        deposit = deposit.index_add(0, index, weight[:, None] * powers)
        windows = deposit.view(n, self._length * _MOMENTS).unfold(
            1, self._span * _MOMENTS, _BLOCK * self._fine * _MOMENTS
        )
        pattern = (windows @ self._spread[weight.dtype]).reshape(n, -1)[:, : self.instrument.points]
        # The Gaussian's expansion may leave -1e-7 where nothing should be.
        return _normalised(pattern.clamp_min(0))

    def _render_any(
        self,
        sample: torch.Tensor,
        d_star: torch.Tensor,
        intensity: torch.Tensor,
        n: int,
        conditions: Conditions,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        conditions.check(n)
        instrument = self.instrument
        own = self._placed(sample, d_star, intensity.double(), conditions)
        strongest = _largest(sample, own.area, n)
        scale = torch.where(strongest > 0, 1.0 / torch.where(strongest > 0, strongest, 1.0), 0.0)
        pattern = self._summed(sample, own._replace(area=own.area * scale[sample]), conditions, dtype, n)
        some = pattern.amax(dim=1, keepdim=True) > 0
        impurities = impurity_lines(instrument, conditions, n)
        if impurities is not None:
            owner, *lines = self._tensors(impurities)
            strange = self._placed(owner, *lines, conditions, geometric=False)
            pattern = pattern + some * self._summed(owner, strange, conditions, dtype, n)
        if conditions.foreign is not None:
            owner, *lines = self._tensors(conditions.foreign)
            strange = self._placed(owner, *lines, conditions)
            highest = _largest(owner, self._on_grid(strange), n)
            wanted = self._given(conditions.foreign_strength) * scale
            wanted = wanted * _largest(sample, self._on_grid(own), n)
            factor = torch.where(highest > 0, wanted / torch.where(highest > 0, highest, 1.0), 0.0)
            strange = strange._replace(area=strange.area * factor[owner])
            pattern = pattern + some * self._summed(owner, strange, conditions, dtype, n)
        pattern = self._with_background(_normalised(pattern), conditions)
        return self._cut(self._counted(pattern, conditions), conditions, n)

    def _given(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float64)).to(self.device)

    def _on_grid(self, peaks: PlacedLines) -> torch.Tensor:
        """Areas (w, m) of the peaks on the grid, 0 of the others."""
        low, high = self.instrument.two_theta_min, self.instrument.two_theta_max
        return torch.where((peaks.two_theta >= low) & (peaks.two_theta <= high), peaks.area, 0.0)

    def _placed(
        self,
        sample: torch.Tensor,
        d_star: torch.Tensor,
        intensity: torch.Tensor,
        conditions: Conditions,
        geometric: bool = True,
    ) -> PlacedLines:
        """Peaks (w, m), positions and widths in degrees."""
        given = {key: self._given(values)[sample] for key, values in shifts(conditions).items()}
        lines = d_star.double(), intensity.double()
        return place(torch, self.instrument, *lines, Shifts(**given), geometric=geometric)

    def _summed(
        self, sample: torch.Tensor, peaks: PlacedLines, conditions: Conditions, dtype: torch.dtype, n: int
    ) -> torch.Tensor:
        """Sums (n, points) of peaks (w, m), with their axial divergence."""
        sample = sample.expand(peaks.area.shape[0], -1).reshape(-1)
        peaks = PlacedLines(*(column.reshape(-1) for column in peaks))
        if conditions.asymmetry is not None and len(sample):
            peaks, source = divided(torch, peaks, self._given(conditions.asymmetry)[sample])
            sample = sample[source]
        return sum_peaks(sample, in_points(peaks, self.instrument), dtype, n, self.instrument.points)

    def _with_background(self, pattern: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        """The pattern (n, points), maximum 1, on its background, maximum 1 again."""
        common, *drawn, first, step = background_of(self.instrument, conditions)
        chebyshev, hump, air = (self._given(rows) for rows in drawn)
        if not any(len(rows) for rows in (common, chebyshev, hump, air)):
            return pattern
        points = self.instrument.points
        k = torch.arange(points, device=self.device, dtype=torch.float64)
        level = self._given(common) if len(common) else torch.zeros_like(k)[None]
        if len(chebyshev):
            angle = torch.arccos((2 * k / (points - 1) - 1).clamp(-1, 1))
            order = torch.arange(chebyshev.shape[1], device=self.device)
            level = level + chebyshev @ torch.cos(order[:, None] * angle)
        if len(air):
            level = level + air[:, :1] * torch.exp(-k * step / air[:, 1:])
        if len(hump):
            x = (first + k * step - hump[:, 1:2]) / hump[:, 2:]
            level = level + hump[:, :1] * torch.exp(-4 * math.log(2) * x * x)
        return _normalised(pattern + level.clamp_min(0).to(pattern.dtype))

    def _counted(self, pattern: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        """The pattern with counting noise, where there is any."""
        if conditions.counts is None:
            if self.instrument.counts:
                raise XtinctError("instrument.counts: render line lists, or give conditions with noise_keys")
            return pattern
        counts = self._given(conditions.counts)
        keys = torch.from_numpy(conditions.noise_keys.astype(np.uint64).view(np.int64)).to(self.device)
        noisy = counting_noise(pattern.detach().double(), counts, keys).to(pattern.dtype)
        # Gradients pass as if the noise were a constant that is added.
        return _normalised(pattern + (noisy - pattern.detach()))

    def _cut(self, pattern: torch.Tensor, conditions: Conditions, n: int) -> torch.Tensor:
        """The pattern within the angles that were measured, zero outside."""
        if conditions.start is None and conditions.end is None:
            return pattern
        measured = torch.from_numpy(measured_points(self.instrument, conditions, n)).to(self.device)
        k = torch.arange(self.instrument.points, device=self.device)
        return _normalised(pattern * ((k >= measured[:, :1]) & (k <= measured[:, 1:])))

    def _place(self, d_star: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Position on the fine grid (float64) and geometric factor (0: does not show), float64."""
        instrument = self.instrument
        sin_theta = d_star.double() * (0.5 * instrument.wavelength)
        shows = (sin_theta > 0) & (sin_theta < 1)
        sin_theta = torch.where(shows, sin_theta, 0.5)
        two_theta = torch.rad2deg(2 * torch.asin(sin_theta))
        position = (two_theta - instrument.two_theta_min) / instrument.step * self._fine
        last = (instrument.points - 1) * self._fine
        shows = shows & (position > -self._half + 0.5) & (position < last + self._half - 0.5)
        cosine = torch.sqrt(1 - sin_theta * sin_theta)
        factor = geometric_factor(sin_theta, cosine, instrument.polarisation)
        factor = torch.where(shows, factor, 0.0)
        return torch.where(shows, position, 0.0), factor


def _largest(sample: torch.Tensor, values: torch.Tensor, n: int) -> torch.Tensor:
    """Largest of the values (w, m) of each of n samples, 0 where none is positive."""
    owner = sample.expand(values.shape[0], -1).reshape(-1)
    nothing = torch.zeros(n, dtype=values.dtype, device=values.device)
    return nothing.scatter_reduce(0, owner, values.reshape(-1), "amax")


def _normalised(pattern: torch.Tensor) -> torch.Tensor:
    largest = pattern.amax(dim=1, keepdim=True)
    return pattern / torch.where(largest > 0, largest, torch.ones_like(largest))
