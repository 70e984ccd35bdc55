"""Line lists to patterns in torch, on any device, differentiable in the intensities.

Each line is deposited on the nearest point of a fine grid as a weight and its first moments; one
matrix product then spreads all deposits with the Gaussian and its derivatives. The expansion
exp(z u - u^2 / 2) = sum He_p(z) u^p / p! makes that exact to 1e-6 of a peak's height.
"""

import math

import numpy as np
import torch

from xtinct.diffraction.instrument import CUT_SIGMAS, Instrument
from xtinct.diffraction.linelists import LineLists

#: Moments of a deposit, and the largest step of the fine grid in sigma: (0.11 / 2)^4 / 8 = 1e-6.
_MOMENTS = 4
_FINE_STEP = 0.11
#: Grid points of one matrix product.
_BLOCK = 128


class Renderer:
    """Renders line lists into patterns on `device`.

    Equal to `diffraction.profile.render` within 1e-4 of the maximum. Computes in float32 (line
    positions in float64) also inside an autocast region. On a CUDA device it follows the
    process-wide `torch.backends.cuda.matmul` precision: TF32 (off by default) would cost 1e-3.
    """

    def __init__(self, instrument: Instrument, device: str | torch.device = "cpu") -> None:
        self.instrument = instrument
        self.device = torch.device(device)
        step = instrument.step / instrument.sigma
        self._fine = max(1, math.ceil(step / _FINE_STEP))
        self._fine_step = step / self._fine
        self._half = math.ceil(CUT_SIGMAS / self._fine_step)
        self._blocks = math.ceil(instrument.points / _BLOCK)
        self._span = (_BLOCK - 1) * self._fine + 2 * self._half + 1
        self._length = (self._blocks - 1) * _BLOCK * self._fine + self._span
        self._spread = torch.from_numpy(self._spread_matrix()).to(self.device)

    def _spread_matrix(self) -> np.ndarray:
        """float32 (span * moments, block): what a deposit's moments give to each grid point."""
        fine_points = np.arange(self._span)[:, None] - self._half
        z = (np.arange(_BLOCK)[None, :] * self._fine - fine_points) * self._fine_step
        gaussian = np.where(np.abs(z) <= CUT_SIGMAS, np.exp(-0.5 * z * z), 0.0)
        hermite = [np.ones_like(z), z]
        for p in range(2, _MOMENTS):
            hermite.append(z * hermite[-1] - (p - 1) * hermite[-2])
        moments = np.stack([he * gaussian / math.factorial(p) for p, he in enumerate(hermite)], axis=1)
        return moments.reshape(self._span * _MOMENTS, _BLOCK).astype(np.float32)

    def __call__(self, lines: LineLists) -> torch.Tensor:
        """Patterns float32 (len(lines), points) of line lists held in numpy arrays."""
        counts = torch.from_numpy(np.diff(lines.offsets)).to(self.device)
        sample = torch.repeat_interleave(torch.arange(len(lines), device=self.device), counts)
        d_star = torch.from_numpy(lines.d_star).to(self.device)
        intensity = torch.from_numpy(lines.intensity).to(self.device)
        return self.render(sample, d_star, intensity, len(lines))

    def render(
        self, sample: torch.Tensor, d_star: torch.Tensor, intensity: torch.Tensor, n: int
    ) -> torch.Tensor:
        """Patterns float32 (n, points), the maximum of each 1; a sample without lines is zero.

        sample     int64 (m,), sample that owns the line, 0 to n - 1, in any order
        d_star     float (m,), 1/angstrom; float64 or float32
        intensity  float (m,), any float type; gradients flow to it
        """
        position, factor = self._place(d_star)
        with torch.autocast(self.device.type, enabled=False):
            weight = intensity.float() * factor
            nearest = torch.round(position)
            shift = ((position - nearest) * self._fine_step).float()
            powers = torch.stack([shift**p for p in range(_MOMENTS)], dim=1)
            index = sample * self._length + nearest.long() + self._half
            deposit = torch.zeros(n * self._length, _MOMENTS, dtype=torch.float32, device=self.device)
            deposit = deposit.index_add(0, index, weight[:, None] * powers)
            windows = deposit.view(n, self._length * _MOMENTS).unfold(
                1, self._span * _MOMENTS, _BLOCK * self._fine * _MOMENTS
            )
            pattern = (windows @ self._spread).reshape(n, -1)[:, : self.instrument.points]
            # The Gaussian's expansion may leave -1e-7 where nothing should be.
            pattern = pattern.clamp_min(0)
            largest = pattern.amax(dim=1, keepdim=True)
            return pattern / torch.where(largest > 0, largest, torch.ones_like(largest))

    def _place(self, d_star: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Position on the fine grid (float64) and geometric factor (float32; 0: does not show)."""
        instrument = self.instrument
        sin_theta = d_star.double() * (0.5 * instrument.wavelength)
        shows = (sin_theta > 0) & (sin_theta < 1)
        sin_theta = torch.where(shows, sin_theta, 0.5)
        two_theta = torch.rad2deg(2 * torch.asin(sin_theta))
        position = (two_theta - instrument.two_theta_min) / instrument.step * self._fine
        last = (instrument.points - 1) * self._fine
        shows = shows & (position > -self._half + 0.5) & (position < last + self._half - 0.5)
        factor = 0.5 / (sin_theta**2 * torch.sqrt(1 - sin_theta**2))
        if instrument.lorentz == "lorentz-polarisation":
            factor = factor * (1 + (1 - 2 * sin_theta**2) ** 2)
        factor = torch.where(shows, factor, 0.0).float()
        return torch.where(shows, position, 0.0), factor
