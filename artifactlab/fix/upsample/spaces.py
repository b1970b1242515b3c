"""What torch names by the number of axes, under one name: layers for signals, images and volumes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
TransposedConvolution = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
AnyConvolution = Convolution | TransposedConvolution

CONVOLUTIONS: dict[int, type[Convolution]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
"""Convolutions by the number of their spatial axes."""
TRANSPOSED: dict[int, type[TransposedConvolution]] = {
    1: nn.ConvTranspose1d,
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
"""Transposed convolutions by the number of their spatial axes."""
CONVOLVE: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
"""Convolutions with given weights by the number of spatial axes."""
AVERAGE: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
"""Averages in windows by the number of spatial axes."""


def same_size(in_channels: int, out_channels: int, kernel_size: int, spatial_dims: int) -> Convolution:
    """A convolution of an odd kernel that keeps the size; what lies beyond the border is repeated."""
    return CONVOLUTIONS[spatial_dims](
        in_channels, out_channels, kernel_size, padding=kernel_size // 2, padding_mode="replicate"
    )


def grown_size(x: Tensor, scale: Sequence[int]) -> list[int]:
    """The sizes of the spatial axes of `x`, times the scale of each."""
    return [factor * size for factor, size in zip(scale, x.shape[2:], strict=True)]


def shuffled(x: Tensor, scale: Sequence[int]) -> Tensor:
    """Pixel shuffle along any number of axes: (N, C * prod(scale), *space) to (N, C, *(scale * space)).

    >>> import torch
    >>> shuffled(torch.arange(6.0).view(1, 2, 3), (2,))
    tensor([[[0., 3., 1., 4., 2., 5.]]])
    """
    if len(scale) == 2 and scale[0] == scale[1]:  # torch's own, which exports as one operator
        return F.pixel_shuffle(x, scale[0])
    axes = len(scale)
    parts = x.reshape(x.shape[0], x.shape[1] // math.prod(scale), *scale, *x.shape[2:])
    order = [axis for k in range(axes) for axis in (2 + axes + k, 2 + k)]  # each axis before its own phases
    return parts.permute(0, 1, *order).reshape(*parts.shape[:2], *grown_size(x, scale))


def extended(x: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
    """`x` with its first and last values along each spatial axis repeated so many times."""
    pads = [amount for pair in zip(reversed(before), reversed(after), strict=True) for amount in pair]
    return F.pad(x, pads, mode="replicate")  # the last axis first, as `F.pad` takes them
