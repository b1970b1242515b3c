"""Convolve, then resize linearly: the plainest upsampler that draws no lattice."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.fix.upsample.checks import features, integer_scales, odd
from artifactlab.fix.upsample.resize import RESAMPLERS
from artifactlab.fix.upsample.spaces import grown_size, same_size


class BilinearUpsample(nn.Module):
    """A convolution of the small features and a fixed linear resize of what it gives: the floor for all others to beat.

    Nothing is sharpened after the resize, so that it is the smoothest of all, and cheap, as the convolution runs before
    there are more pixels.

    Args:
        in_channels, out_channels: of the features before and after.
        scale: integer of 2 or more, or one per axis, 1 where it does not grow.
        kernel_size: odd, of the convolution.
        spatial_dims: 1 for signals, 2 for images, 3 for volumes and video.

    `forward(x)`: (N, in, H, W) to (N, out, scale * H, scale * W), and likewise (N, in, L) and (N, in, D, H, W).

    Raises:
        InputError: for another scale, or an even kernel; in the forward, for features of another shape.

    >>> import torch
    >>> tuple(BilinearUpsample(8, 4, scale=3)(torch.rand(1, 8, 5, 6)).shape)
    (1, 4, 15, 18)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        scale: int | Sequence[int] = 2,
        kernel_size: int = 3,
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.scale = integer_scales(scale, spatial_dims)
        self.resample = RESAMPLERS[spatial_dims][0]
        self.conv = same_size(in_channels, out_channels, odd("kernel_size", kernel_size), spatial_dims)

    def forward(self, x: Tensor) -> Tensor:
        features("x", x, self.in_channels, len(self.scale))
        return F.interpolate(self.conv(x), grown_size(x, self.scale), mode=self.resample, align_corners=False)
