"""Videos and volumes as models take them, whatever order their axes were read in."""

from __future__ import annotations

from torch import Tensor

ARRANGEMENTS = ("NCTHW", "NTCHW", "NCHW")
"""Orders of axes that models take: as it is read, the frames first, or frames one by one. T stands for a volume's
slices, too."""


def arranged(content: Tensor, arrangement: str, count: int) -> list[Tensor]:
    """The inputs that a video or volume `(N, C, T, H, W)` makes; what has other axes stays as it is.

    Args:
        content: as it was read.
        arrangement: one of `ARRANGEMENTS`.
        count: how many single frames are taken at most, evenly spread; those in the middle of even stretches, as the
            first and last slices of a volume hold little.

    >>> import torch
    >>> video = torch.zeros(1, 3, 9, 64, 48)
    >>> [tuple(input.shape) for input in arranged(video, "NTCHW", 8)]
    [(1, 9, 3, 64, 48)]
    >>> [tuple(input.shape) for input in arranged(video, "NCHW", 2)]
    [(1, 3, 64, 48), (1, 3, 64, 48)]
    """
    if content.ndim != 5 or arrangement == "NCTHW":
        return [content]
    if arrangement == "NTCHW":
        return [content.transpose(1, 2).contiguous()]
    frames = content.shape[2]
    taken = min(count, frames)
    return [content[:, :, (2 * k + 1) * frames // (2 * taken)] for k in range(taken)]
