"""Images in double precision that the tests of loss terms are made of."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def edge(degrees: float, side: int = 48, width: float = 1.0) -> Tensor:
    """An antialiased straight edge through the middle; its normal has this angle with the rows. (1, 1, side, side)."""
    t = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    angle = math.radians(degrees)
    return (0.5 + (t * math.cos(angle) + t[:, None] * math.sin(angle)) / width).clamp(0, 1)[None, None]
