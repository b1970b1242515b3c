"""Synthetic images with the statistics of photos, for what needs many images and has none."""

from __future__ import annotations

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

LEAVES = 600
"""Leaves that fall: their areas add up to eight images of 64 pixels a side, or to nine tenths of one of 256."""
SMALLEST = 2.0
"""Radius in pixels of the smallest leaves, whose edges are as near to each other as those of fine texture."""
SHADE = 0.25
"""Largest change of gray from the middle of a leaf to its rim: surfaces in photos are lit unevenly."""
BLUR = 1.0
"""Sigma in pixels of the Gaussian that stands for a lens and a sensor. In sharper images replicated pixels are taken
for detail: a shuffle that replicated kept steps of severity 7 after a fit to such leaves, 1.6 after one to these."""
NOISE = 0.005
"""Standard deviation of the noise, 1.3 gray levels: that of a photo in good light."""


def dead_leaves(rows: int, columns: int, channels: int, generator: torch.Generator) -> Tensor:
    """An image of discs that cover each other, each shaded along a direction of its own, as a camera would see them.

    Their radii are distributed by a power of -3, so that there are edges at all scales alike, as in photos: A. B. Lee,
    D. Mumford and J. Huang, "Occlusion Models for Natural Images", IJCV 2001.

    Args:
        rows, columns: its size in pixels.
        channels: each leaf has a value of its own in each.
        generator: of all random numbers.

    Returns:
        Values in [0, 1], shape (1, channels, rows, columns).

    >>> dead_leaves(48, 64, 3, torch.Generator().manual_seed(0)).shape
    torch.Size([1, 3, 48, 64])
    """
    largest = max(SMALLEST, max(rows, columns) / 3)
    y, x = torch.arange(rows)[:, None] + 0.5, torch.arange(columns)[None, :] + 0.5
    image = torch.rand(channels, 1, 1, generator=generator).expand(channels, rows, columns).clone()
    for _ in range(LEAVES):
        share, across, down, along, aside = torch.rand(5, generator=generator).tolist()
        # the inverse of the cumulated distribution
        radius = (SMALLEST**-2 + share * (largest**-2 - SMALLEST**-2)) ** -0.5
        dx, dy = x - across * columns, y - down * rows
        inside = (radius - (dx.square() + dy.square()).sqrt() + 0.5).clamp(0, 1)  # smooth over a pixel, lest they jag
        shade = 2 * SHADE * ((along - 0.5) * dx + (aside - 0.5) * dy) / radius
        leaf = (torch.rand(channels, 1, 1, generator=generator) + shade).clamp(0, 1)
        image = torch.lerp(image, leaf, inside)
    blurred = torch.from_numpy(gaussian_filter(image.numpy(), (0, BLUR, BLUR)))
    return (blurred + NOISE * torch.randn(image.shape, generator=generator)).clamp(0, 1)[None]
