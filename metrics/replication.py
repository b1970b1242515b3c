"""Block replication, as nearest-neighbour upsampling leaves it: equal neighbours, and changes only between blocks.

The lattice frequencies of an exactly replicated image are empty (its block means hold everything), and where it has no
oblique edges nothing is jagged. What gives it away is where neighbours differ at all.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from artifactlab.metrics.edges import Core
from artifactlab.metrics.inputs import accumulation_dtype, as_images

FACTORS = tuple(range(2, 9))
"""Factors that are looked for; most larger ones have a divisor among them."""
PHASES = math.lcm(*FACTORS)
"""Rows after which all the factors' blocks start together again."""
MAX_HELD = 0.1
"""Most lines that change inside blocks over those between them, and mean change likewise: slight noise and compression
stay below, a convolution does not."""
CHANGED = 0.25
"""Share of the mean change between blocks from which a line counts as one that changes: slight noise inside of blocks
stays below."""
MAX_CHANCE = 1e-3
"""Probability that as many lines of change share a phase by chance, up to which they prove a lattice: boxes and
chessboards have few lines, which share one easily."""
MIN_CHANGE = 1e-4
"""Mean difference between blocks, as a fraction of the data range, below which an image is flat: a fortieth of a step
of 8 bits."""


def replication_factor(x: Tensor, *, data_range: float = 1.0) -> Tensor:
    """By how much an image was enlarged by repeating rows and columns; found wherever the blocks start.

    Use it to recognise nearest-neighbour upsampling that nothing has smoothed since. Slight noise and compression leave
    it standing, a convolution does not; `edge_jaggedness` sees what is left then.

    Args:
        x: `(N, C, H, W)` images or activations; channels are pooled.
        data_range: distance between the darkest and the brightest possible value.

    Returns:
        `(N, 2)`, vertical and horizontal factor, whole numbers from 2 to 8; of larger ones their largest divisor up to
        8. 1 where there is none, or where too few lines change to tell: it takes 5 at factor 8, 11 at factor 2.

    Raises:
        InputError: if `x` is no finite `(N, C, H, W)` tensor or `data_range` is out of range.

    Source: our definition; the ratio of differences inside and between blocks is that of blockiness measures such as
    Z. Wang, A. Bovik, B. Evans, "Blind measurement of blocking artifacts in images", ICIP 2000.

    >>> import torch
    >>> replication_factor(torch.rand(1, 3, 16, 16).repeat_interleave(4, 2).repeat_interleave(2, 3))
    tensor([[4., 2.]])
    """
    images = as_images(x, data_range)
    return pooled_factor(difference_sums(images)).to(images)


def difference_sums(images: Tensor, origin: tuple[int, int] = (0, 0), core: Core | None = None) -> Tensor:
    """Sums of absolute differences between neighbours, and their number, by position: `(N, 2 axes, PHASES, 2)`.

    `core` limits the first of both neighbours; `origin` is the row and column of the first pixel in the whole image.
    """
    top, bottom, left, right = core or (0, images.shape[2], 0, images.shape[3])
    part = images[..., top : bottom + 1, left : right + 1]
    down = (part.diff(dim=2)[..., : right - left]).abs().mean(1).sum(2)
    across = (part.diff(dim=3)[:, :, : bottom - top]).abs().mean(1).sum(1)
    sums = images.new_zeros(images.shape[0], 2, PHASES, 2, dtype=accumulation_dtype(images))
    along_axes = ((down, origin[0] + top, right - left), (across, origin[1] + left, bottom - top))
    for axis, (changes, start, count) in enumerate(along_axes):
        phase = (torch.arange(changes.shape[1], device=images.device) + start) % PHASES
        sums[:, axis, :, 0].index_add_(1, phase, changes.to(sums))
        sums[:, axis, :, 1].index_add_(1, phase, torch.full_like(changes, count).to(sums))
    return sums


def pooled_factor(sums: Tensor) -> Tensor:
    """The largest factor (N, 2) whose blocks hold their value; 1 if there is none."""
    found = torch.ones_like(sums[..., 0, 0])
    change = sums[..., 0] / sums[..., 1].clamp_min(1)
    for factor in FACTORS:
        by_phase = change.unflatten(2, (-1, factor))
        counted = (sums[..., 1] > 0).unflatten(2, (-1, factor))
        mean = by_phase.sum(2) / counted.sum(2).clamp_min(1)
        between, where = mean.max(-1)
        changed = (by_phase > (CHANGED * between)[..., None, None]).sum(2)
        borders = changed.gather(-1, where[..., None])[..., 0]
        inside = changed.sum(-1) - borders
        inside_mean = (mean.sum(-1) - between) / (factor - 1)
        held = (inside <= MAX_HELD * borders) & (inside_mean <= MAX_HELD * between) & (between > MIN_CHANGE)
        proven = ((borders - 1) * math.log(factor) >= -math.log(MAX_CHANCE)) & counted.any(2).all(-1)
        found = torch.where(held & proven, float(factor), found)
    return found
