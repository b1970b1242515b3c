"""The crops of an output that are measured on their own, so that what they share is told from chance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from artifactlab.scoring.periods import smallest_side

MIN_CROP = 64
"""Pixels per side of the smallest crop that is measured on its own; it holds lattices of up to 12 pixels."""
MAX_CROPS = 3
"""Crops per side at most: nine are enough for half-samples (`comparing.changes.MIN_CROPS` is 8), and in smaller crops
less of a lattice can be told."""


def split_crops(images: Tensor, period: tuple[int, int]) -> Tensor:
    """Equal crops of (N, C, H, W) images as one batch (rows * columns * N, C, h, w), each in phase with the lattice."""
    size = images.shape[-2:]
    counts = crop_counts(size, period)
    h, w = (s if n == 1 else s // n // p * p for s, n, p in zip(size, counts, period, strict=True))
    rows, columns = counts
    return torch.cat(
        [images[..., i * h : (i + 1) * h, j * w : (j + 1) * w] for i in range(rows) for j in range(columns)]
    )


def crop_counts(size: Sequence[int], period: tuple[int, int]) -> tuple[int, int]:
    """How many crops an output is split into, (rows, columns)."""
    rows, columns = (
        max(1, min(MAX_CROPS, s // max(MIN_CROP, smallest_side(p) + p))) for s, p in zip(size, period, strict=True)
    )
    return rows, columns
