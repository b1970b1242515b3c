"""The crops of an output that are measured on their own, so that what they share is told from chance."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL
from artifactlab.scoring.periods import smallest_side

MIN_CROP = 64
"""Samples per side of the smallest crop of an image or volume that is measured on its own; it holds lattices of up to
12 samples."""
MIN_CROP_OF_SIGNALS = 1024
"""Samples of the smallest crop of a signal likewise. A picture's crop of `MIN_CROP` has 4096; a quarter of that still
holds 16 of the largest blocks that the sums are made of, and a 40 ms sound at 24 kHz."""
MAX_CROPS = {1: 9, 2: 3, 3: 2}
"""Crops per side at most, by the number of sides that are cut: eight or nine are enough for half-samples
(`comparing.changes.MIN_CROPS` is 8), and in smaller crops less of a lattice can be told."""


def split_crops(images: Tensor, period: Sequence[int]) -> Tensor:
    """Equal crops of (N, C, *space) images as one batch (crops * N, C, *space), each in phase with the lattice.

    The crops of all images at one place stand together; places follow each other as in memory, last axis first.
    """
    return torch.cat(crops_of(images, period))


def crops_of(images: Tensor, period: Sequence[int]) -> list[Tensor]:
    """The same crops as views, (N, C, *space) for each place."""
    size = images.shape[SPATIAL:]
    counts = crop_counts(size, period)
    sides = [s if n == 1 else s // n // p * p for s, n, p in zip(size, counts, period, strict=True)]
    crops = []
    for place in itertools.product(*map(range, counts)):
        inside = (slice(i * side, (i + 1) * side) for i, side in zip(place, sides, strict=True))
        crops.append(images[(slice(None), slice(None), *inside)])
    return crops


def crop_counts(size: Sequence[int], period: Sequence[int]) -> tuple[int, ...]:
    """How many crops an output is split into along each of its axes."""
    least = MIN_CROP if len(size) > 1 else MIN_CROP_OF_SIGNALS
    room = [s // max(least, smallest_side(p) + p) for s, p in zip(size, period, strict=True)]
    cut = min(len(size), max(2, sum(n > 1 for n in room)))  # few frames leave more cuts to a video's pictures
    return tuple(max(1, min(MAX_CROPS[cut], n)) for n in room)
