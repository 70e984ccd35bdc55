"""What a network is shown of a pattern: all of it, its peaks alone, or a list of peaks."""

import torch
from torch import nn

from xtinct.errors import XtinctError
from xtinct.patterns.instrument import Instrument

INPUTS = ("pattern", "peaks", "pairs")
#: Weakest peak that counts, of the strongest; on the slope of a stronger one there is no peak.
_WEAKEST = 1e-3


class Representation(nn.Module):
    """A pattern as it is (`pattern`), zero but at its peaks (`peaks`), or its peaks in a row (`pairs`).

    pairs: 2theta in units of 180 degrees and intensity of the first `length` peaks by angle, zeros behind the
    last. So the same peak stands at another place when a peak before it is missing.

    Attributes: channels and length of what `forward` gives, float32 (n, channels, length).
    """

    def __init__(self, instrument: Instrument, kind: str, length: int) -> None:
        super().__init__()
        if kind not in INPUTS:
            raise XtinctError(f"input {kind!r}: expected one of {', '.join(INPUTS)}")
        self.kind = kind
        self.channels, self.length = (2, length) if kind == "pairs" else (1, instrument.points)
        angles = torch.linspace(instrument.two_theta_min, instrument.two_theta_max, instrument.points) / 180
        self.register_buffer("angles", angles, persistent=False)

    def forward(self, pattern: torch.Tensor) -> torch.Tensor:
        """Patterns float32 (n, points) to float32 (n, channels, length)."""
        if self.kind == "pattern":
            return pattern[:, None]
        inner = pattern[:, 1:-1]
        highest = (inner > pattern[:, :-2]) & (inner >= pattern[:, 2:])
        is_peak = nn.functional.pad(highest & (inner > _WEAKEST), (1, 1))
        if self.kind == "peaks":
            return (pattern * is_peak)[:, None]
        row, column = is_peak.nonzero(as_tuple=True)
        place = (is_peak.cumsum(dim=1) - 1)[row, column]
        kept = place < self.length
        row, column, place = row[kept], column[kept], place[kept]
        pairs = torch.zeros(len(pattern), 2, self.length, device=pattern.device)
        pairs[row, 0, place] = self.angles[column]
        pairs[row, 1, place] = pattern[row, column]
        return pairs
