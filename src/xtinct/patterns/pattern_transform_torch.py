"""What `patterns.pattern_transform` does, in torch, for patterns that stay on their device."""

import math

import torch

from xtinct.patterns.instrument import Instrument
from xtinct.patterns.pattern_transform import SNIP_COUNTS, PatternTransform


def transformed(transform: PatternTransform, patterns: torch.Tensor, instrument: Instrument) -> torch.Tensor:
    """Patterns float32 (n, points), equal to `transform(patterns, instrument)` within 1e-5."""
    if transform.nothing:
        return patterns
    first, last = transform.kept(instrument)
    k = torch.arange(instrument.points, device=patterns.device)
    rows = patterns.double().clamp_min(0) * ((k >= first) & (k <= last))
    rows = _scaled(rows)
    if transform.background == "snip":
        rows = _scaled(_without_background(SNIP_COUNTS * rows, transform.half_points(instrument)))
    if transform.values == "root":
        rows = rows.sqrt()
    elif transform.values == "log":
        rows = (1 - rows.clamp_min(transform.floor).log() / math.log(transform.floor)).clamp_min(0)
    return rows.float()


def _scaled(rows: torch.Tensor) -> torch.Tensor:
    highest = rows.amax(dim=1, keepdim=True)
    return rows / torch.where(highest > 0, highest, 1.0)


def _without_background(rows: torch.Tensor, half: int) -> torch.Tensor:
    there = rows > 0
    n = rows.shape[1]
    first = there.int().argmax(dim=1, keepdim=True)
    last = n - 1 - there.flip(1).int().argmax(dim=1, keepdim=True)
    k = torch.arange(n, device=rows.device)[None, :]
    level = torch.log(torch.log(torch.sqrt(rows + 1) + 1) + 1)
    for h in range(min(half, (n - 1) // 2), 0, -1):
        # Only points with a whole window around them, so that a slope that ends stays one.
        around = (level[:, : n - 2 * h] + level[:, 2 * h :]) / 2
        own, place = level[:, h : n - h], k[:, h : n - h]
        whole = (place >= first + h) & (place <= last - h)
        level = level.clone()
        level[:, h : n - h] = torch.where(whole, torch.minimum(own, around), own)
    background = (torch.exp(torch.exp(level) - 1) - 1) ** 2 - 1
    return torch.where((k >= first) & (k <= last), (rows - background).clamp_min(0), 0.0)
