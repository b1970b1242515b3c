"""Parts of an output, cut where a repair changes it most: for pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from artifactlab.attribution.sites.activations import picture_side

EXAMPLES = 4
"""Number of calls of whose first image something is kept for pictures; enough to compare, and a page of at most 5 MB is
to hold them."""
POOLS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
"""Means of boxes, by the number of directions."""


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
    return image[(..., *(slice(start, start + length) for start, length in zip(corner, size, strict=True)))]


def busiest(change: Tensor, side: int) -> tuple[int, ...]:
    """Where the box of `side` pixels a side begins in which a (*space) change is largest, of those tried.

    They begin a quarter of a side from each other, so that three quarters of the best one are in one of them.
    """
    size = [min(side, length) for length in change.shape]
    strides = [max(1, length // 4) for length in size]
    means = POOLS[change.ndim](change[None, None].float(), size, strides)[0, 0]
    place = np.unravel_index(int(means.argmax()), means.shape)
    return tuple(int(index) * stride for index, stride in zip(place, strides, strict=True))


def window(image: Tensor, change: Tensor) -> Window:
    """The part of a (C, *space) image where a (*space) change is largest."""
    side = picture_side(change.ndim)
    corner = busiest(change, side)
    size = tuple(min(side, length) for length in change.shape)
    return Window(corner, part(image, corner, size).float().cpu().clone())
