"""Convolve, then shuffle channels into pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.fix.upsample.checks import integer_scale


def icnr_(conv: nn.Conv2d, scale: int) -> None:
    """Make a convolution before a pixel shuffle start as nearest replication: its phases get the same weights and bias.

    Initialisation to convolution, nearest resize (Aitken et al., "Checkerboard artifact free sub-pixel convolution",
    2017); without the bias included, a random grid remains.

    Args:
        conv: its weight, and its bias if it has one, are overwritten.
        scale: of the shuffle; scale * scale divides the output channels.

    >>> conv = nn.Conv2d(3, 8, 3)
    >>> icnr_(conv, 2)
    >>> bool((conv.weight[0] == conv.weight[3]).all()), bool(conv.bias[0] == conv.bias[3])
    (True, True)
    """
    with torch.no_grad():
        for values in (conv.weight, conv.bias):
            if values is not None:
                values.copy_(values[:: scale**2].repeat_interleave(scale**2, 0))


class SubpixelUpsample(nn.Module):
    """Sub-pixel convolution (Shi et al., CVPR 2016) that starts without a checkerboard, by ICNR.

    Training may still make the phases differ.

    Args:
        in_channels, out_channels: of the features before and after.
        scale: integer of 2 or more.
        blur: whether to keep it from drawing a checkerboard on flat ground for good, by a box of scale x scale after
            the shuffle (Sugawara et al., "Super-resolution using convolutional neural networks without any checkerboard
            artifacts", ICIP 2018); where the scale is even, the box displaces the output by half of its pixels.

    `forward(x)`: (N, in, H, W) to (N, out, scale * H, scale * W).

    Raises:
        InputError: for another scale.

    >>> up = SubpixelUpsample(8, 4, scale=2)
    >>> out = up(torch.rand(1, 8, 5, 6))
    >>> tuple(out.shape), bool((out[..., ::2, ::2] - out[..., 1::2, 1::2]).abs().max() < 1e-6)
    ((1, 4, 10, 12), True)
    """

    def __init__(self, in_channels: int, out_channels: int, *, scale: int = 2, blur: bool = False) -> None:
        super().__init__()
        self.scale, self.blur = integer_scale(scale), blur
        self.conv = nn.Conv2d(in_channels, out_channels * scale**2, 3, padding=1, padding_mode="replicate")
        icnr_(self.conv, scale)

    def forward(self, x: Tensor) -> Tensor:
        pixels = F.pixel_shuffle(self.conv(x), self.scale)
        if not self.blur:
            return pixels
        before, after = self.scale // 2, (self.scale - 1) // 2
        return F.avg_pool2d(F.pad(pixels, (before, after, before, after), mode="replicate"), self.scale, stride=1)
