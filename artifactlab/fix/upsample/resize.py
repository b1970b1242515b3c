"""Resize, then convolve."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.fix.upsample.checks import features, integer_scales, odd, one_of
from artifactlab.fix.upsample.spaces import grown_size, same_size

RESAMPLERS = {
    1: ("linear", "nearest"),
    2: ("bilinear", "bicubic", "nearest"),
    3: ("trilinear", "nearest"),
}
"""The resizes by the number of spatial axes, by torch's names; the first, which is linear along each axis, is the
default."""


class ResizeConvUpsample(nn.Module):
    """A fixed resize and a learned convolution (Odena et al., "Deconvolution and Checkerboard Artifacts", 2016).

    No weight knows an output pixel's phase, so that training cannot draw a lattice.

    Args:
        in_channels, out_channels: of the features before and after.
        scale: integer of 2 or more, or one per axis, 1 where it does not grow.
        resample: "bilinear", the default ("linear" for signals, "trilinear" for volumes), "bicubic" (images only,
            sharper; Keys' cubic with a = -.5, which keeps ramps straight) or "nearest" (cheap, and the stair-steps it
            leaves are the convolution's to remove).
        kernel_size: odd, of the convolution.
        spatial_dims: 1 for signals, 2 for images, 3 for volumes and video.

    `forward(x)`: (N, in, H, W) to (N, out, scale * H, scale * W), and likewise (N, in, L) and (N, in, D, H, W).

    Raises:
        InputError: for another resample or scale, or an even kernel; in the forward, for features of another shape.

    >>> import torch
    >>> tuple(ResizeConvUpsample(8, 4, scale=3)(torch.rand(1, 8, 5, 6)).shape)
    (1, 4, 15, 18)
    >>> tuple(ResizeConvUpsample(8, 4, scale=(1, 2, 2), spatial_dims=3)(torch.rand(1, 8, 7, 5, 6)).shape)
    (1, 4, 7, 10, 12)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        scale: int | Sequence[int] = 2,
        resample: str | None = None,
        kernel_size: int = 3,
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.scale = integer_scales(scale, spatial_dims)
        self.resample = RESAMPLERS[spatial_dims][0] if resample is None else resample
        one_of("resample", self.resample, RESAMPLERS[spatial_dims])
        self.conv = same_size(in_channels, out_channels, odd("kernel_size", kernel_size), spatial_dims)

    def forward(self, x: Tensor) -> Tensor:
        features("x", x, self.in_channels, len(self.scale))
        return self.conv(self.resized(x))

    def resized(self, x: Tensor) -> Tensor:
        """`x` at the output's size, as the convolution gets it."""
        size = grown_size(x, self.scale)
        if self.resample == "nearest":
            return F.interpolate(x, size, mode="nearest")
        # with antialias torch takes Keys' cubic; its other one, a = -.75, bends straight ramps with a period of 2
        return F.interpolate(x, size, mode=self.resample, align_corners=False, antialias=self.resample == "bicubic")
