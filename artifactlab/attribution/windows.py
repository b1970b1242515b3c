"""Parts of an output, cut where a repair changes it most: for pictures."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from artifactlab.attribution.sites.activations import MAX_PICTURE_SIDE

EXAMPLES = 4
"""Number of calls of whose first image something is kept for pictures; enough to compare, and a page of at most 5 MB is
to hold them."""


@dataclass(frozen=True)
class Window:
    """A part of an output."""

    top: int
    """Row of its first pixel in the output."""
    left: int
    """Column of its first pixel in the output."""
    pixels: Tensor
    """The part itself, (C, h, w)."""

    def cut(self, image: Tensor) -> Tensor:
        """The same part of another (C, H, W) image."""
        height, width = self.pixels.shape[1:]
        return image[:, self.top : self.top + height, self.left : self.left + width].float()


def busiest(change: Tensor, side: int) -> tuple[int, int]:
    """Top and left of the square window of `side` pixels where an (H, W) change is largest."""
    size = [min(side, length) for length in change.shape]
    stride = [max(1, length // 4) for length in size]
    sums = torch.nn.functional.avg_pool2d(change[None, None].float(), size, stride)[0, 0]
    row, column = divmod(int(sums.argmax()), sums.shape[1])
    return row * stride[0], column * stride[1]


def window(image: Tensor, change: Tensor) -> Window:
    """The part of a (C, H, W) image where an (H, W) change is largest."""
    top, left = busiest(change, MAX_PICTURE_SIDE)
    part = image[:, top : top + MAX_PICTURE_SIDE, left : left + MAX_PICTURE_SIDE]
    return Window(top, left, part.float().cpu().clone())
