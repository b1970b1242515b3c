"""Resize, then convolve."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.fix.upsample.checks import integer_scale, odd, one_of

RESAMPLERS = ("bilinear", "bicubic", "nearest")


class ResizeConvUpsample(nn.Module):
    """A fixed resize and a learned convolution (Odena et al., "Deconvolution and Checkerboard Artifacts", 2016).

    No weight knows an output pixel's phase, so that training cannot draw a lattice.

    Args:
        in_channels, out_channels: of the features before and after.
        scale: integer of 2 or more.
        resample: "bilinear", "bicubic" (sharper; Keys' cubic with a = -.5, which keeps ramps straight) or "nearest"
            (cheap, and the stair-steps it leaves are the convolution's to remove).
        kernel_size: odd, of the convolution.

    `forward(x)`: (N, in, H, W) to (N, out, scale * H, scale * W).

    Raises:
        InputError: for another resample or scale, or an even kernel.

    >>> import torch
    >>> tuple(ResizeConvUpsample(8, 4, scale=3)(torch.rand(1, 8, 5, 6)).shape)
    (1, 4, 15, 18)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        scale: int = 2,
        resample: str = "bilinear",
        kernel_size: int = 3,
    ) -> None:
        super().__init__()
        one_of("resample", resample, RESAMPLERS)
        self.scale, self.resample = integer_scale(scale), resample
        half = odd("kernel_size", kernel_size) // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=half, padding_mode="replicate")

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.resized(x))

    def resized(self, x: Tensor) -> Tensor:
        """`x` at the output's size, as the convolution gets it."""
        size = (self.scale * x.shape[-2], self.scale * x.shape[-1])
        if self.resample == "nearest":
            return F.interpolate(x, size, mode="nearest")
        # with antialias torch takes Keys' cubic; its other one, a = -.75, bends straight ramps with a period of 2
        return F.interpolate(x, size, mode=self.resample, align_corners=False, antialias=self.resample == "bicubic")
