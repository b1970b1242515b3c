"""Parts of an output, cut where a repair changes it most: for pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from artifactlab.attribution.sites.activations import picture_side

EXAMPLES = 4
"""Number of calls of whose first image something is kept for pictures; enough to compare, and a page of at most 5 MB is
to hold them."""
STEPS = 4
"""Places per side at which a box may begin."""


@dataclass(frozen=True)
class Window:
    """A part of an output."""

    corner: tuple[int, ...]
    """Where its first pixel is in the output, along each direction."""
    pixels: Tensor
    """The part itself, (C, *space)."""

    @property
    def size(self) -> tuple[int, ...]:
        """Pixels along each direction."""
        return tuple(self.pixels.shape[1:])

    def cut(self, image: Tensor) -> Tensor:
        """The same part of another (C, *space) image."""
        return part(image, self.corner, self.size).float()


def examples_of(output: Tensor) -> int:
    """Of how many calls something is kept whose outputs are (N, C, *space).

    A map of a volume or a video takes as much as those of a hundred images, for every site, so it is one there.
    """
    return 1 if output.ndim > 4 else EXAMPLES


def kept_map(change: Tensor) -> Tensor:
    """A (*space) change as it is kept: of a volume, of which every site has one, in half precision."""
    return change.half() if change.ndim > 2 else change


def part(image: Tensor, corner: tuple[int, ...], size: tuple[int, ...]) -> Tensor:
    """A box of a (..., *space) tensor."""
    for axis, (start, length) in enumerate(zip(corner, size, strict=True), start=image.ndim - len(size)):
        image = image.narrow(axis, start, length)
    return image


def busiest(change: Tensor, side: int) -> tuple[int, ...]:
    """Where the box of `side` pixels a side begins in which a (*space) change is largest, of those tried.

    They begin at most a quarter of a side from each other, from one end to the other, so that three quarters of the
    best one are in one of them.
    """
    sums, starts = change.float(), []
    for axis, length in enumerate(change.shape):
        size = min(side, length)
        tries = 1 + -(-STEPS * (length - size) // size)
        starts.append(torch.linspace(0, length - size, tries).round().long())
        up_to = torch.cat([torch.zeros_like(sums.narrow(axis, 0, 1)), sums.cumsum(axis)], axis)
        sums = up_to.index_select(axis, starts[-1] + size) - up_to.index_select(axis, starts[-1])
    place = np.unravel_index(int(sums.argmax()), sums.shape)
    return tuple(int(tried[index]) for tried, index in zip(starts, place, strict=True))


def window(image: Tensor, change: Tensor) -> Window:
    """The part of a (C, *space) image where a (*space) change is largest."""
    side = picture_side(change.ndim)
    corner = busiest(change, side)
    size = tuple(min(side, length) for length in change.shape)
    return Window(corner, part(image, corner, size).float().cpu().clone())
