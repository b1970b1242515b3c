"""Convolve, then shuffle channels into pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from artifactlab.fix.upsample.checks import features, integer_scales
from artifactlab.fix.upsample.spaces import AVERAGE, Convolution, extended, same_size, shuffled


def icnr_(conv: Convolution, scale: int | Sequence[int]) -> None:
    """Make a convolution before a pixel shuffle start as nearest replication: its phases get the same weights and bias.

    Initialisation to convolution, nearest resize (Aitken et al., "Checkerboard artifact free sub-pixel convolution",
    2017); without the bias included, a random grid remains.

    Args:
        conv: its weight, and its bias if it has one, are overwritten.
        scale: of the shuffle, for all axes or one per axis; their product divides the output channels.

    Raises:
        InputError: if `scale` is none.

    >>> conv = nn.Conv2d(3, 8, 3)
    >>> icnr_(conv, 2)
    >>> bool((conv.weight[0] == conv.weight[3]).all()), bool(conv.bias[0] == conv.bias[3])
    (True, True)
    """
    phases = math.prod(integer_scales(scale, conv.weight.ndim - 2))
    with torch.no_grad():
        for values in (conv.weight, conv.bias):
            if values is not None:
                values.copy_(values[::phases].repeat_interleave(phases, 0))


class SubpixelUpsample(nn.Module):
    """Sub-pixel convolution (Shi et al., CVPR 2016) that starts without a checkerboard, by ICNR.

    Training may still make the phases differ.

    Args:
        in_channels, out_channels: of the features before and after.
        scale: integer of 2 or more, or one per axis, 1 where it does not grow.
        blur: whether to keep it from drawing a checkerboard on flat ground for good, by a box of scale x scale after
            the shuffle (Sugawara et al., "Super-resolution using convolutional neural networks without any checkerboard
            artifacts", ICIP 2018); where the scale is even, the box displaces the output by half of its pixels.
        spatial_dims: 1 for signals, 2 for images, 3 for volumes and video.

    `forward(x)`: (N, in, H, W) to (N, out, scale * H, scale * W), and likewise (N, in, L) and (N, in, D, H, W).

    Raises:
        InputError: for another scale; in the forward, for features of another shape.

    >>> up = SubpixelUpsample(8, 4, scale=2)
    >>> out = up(torch.rand(1, 8, 5, 6))
    >>> tuple(out.shape), bool((out[..., ::2, ::2] - out[..., 1::2, 1::2]).abs().max() < 1e-6)
    ((1, 4, 10, 12), True)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        scale: int | Sequence[int] = 2,
        blur: bool = False,
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        self.in_channels, self.blur = in_channels, blur
        self.scale = integer_scales(scale, spatial_dims)
        self.conv = same_size(in_channels, out_channels * math.prod(self.scale), 3, spatial_dims)
        icnr_(self.conv, self.scale)

    def forward(self, x: Tensor) -> Tensor:
        features("x", x, self.in_channels, len(self.scale))
        pixels = shuffled(self.conv(x), self.scale)
        if not self.blur:
            return pixels
        before, after = [r // 2 for r in self.scale], [(r - 1) // 2 for r in self.scale]
        return AVERAGE[len(self.scale)](extended(pixels, before, after), self.scale, stride=1)
