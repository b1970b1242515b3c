"""Resize, at points that the content shifts."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix.upsample.checks import images_only, integer_scale

SCOPE = 0.25
"""The share of the predicted offset that is taken, so that neighbours seldom swap places; the paper's static scope."""


class DySampleUpsample(nn.Module):
    """Point sampling at learned places (Liu et al., "Learning to Upsample by Learning to Sample", ICCV 2023), and a 3x3
    convolution.

    `offset`, a 1x1 convolution, shifts the point, in source pixels, at which each output pixel reads the input
    bilinearly; beyond the border the last pixel is read. It starts at zero, which is exactly a bilinear resize, and
    reading keeps constants constant, whatever the weights.

    Args:
        in_channels, out_channels: of the features before and after.
        scale: integer of 2 or more.
        groups: of channels that share their offsets; default is 4, or fewer where the channels do not divide.

    `forward(x)`: (N, in, H, W) to (N, out, scale * H, scale * W).

    Raises:
        InputError: for groups that do not divide the channels, or another scale.

    >>> up = DySampleUpsample(8, 4, scale=2)
    >>> x = torch.rand(1, 8, 5, 6)
    >>> bool((up.sampled(x) - F.interpolate(x, scale_factor=2, mode="bilinear")).abs().max() < 1e-5)
    True
    """

    def __init__(self, in_channels: int, out_channels: int, *, scale: int = 2, groups: int | None = None) -> None:
        super().__init__()
        self.scale = integer_scale(scale)
        self.groups = math.gcd(4, in_channels) if groups is None else groups
        if self.groups < 1 or in_channels % self.groups:
            raise InputError(f"groups is {groups!r} at {in_channels} channels; expected a divisor of the channels")
        self.offset = nn.Conv2d(in_channels, 2 * self.groups * scale**2, 1)
        nn.init.zeros_(self.offset.weight)
        assert self.offset.bias is not None
        nn.init.zeros_(self.offset.bias)
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode="replicate")

    def forward(self, x: Tensor) -> Tensor:
        images_only("dysample", x)
        return self.conv(self.sampled(x))

    def sampled(self, x: Tensor) -> Tensor:
        """`x` at the output's size, as the convolution gets it."""
        n, c, h, w = x.shape
        dtype = torch.promote_types(x.dtype, torch.float32)  # half precision cannot tell where pixels of large maps lie
        shift = SCOPE * F.pixel_shuffle(self.offset(x), self.scale).to(dtype)
        shift = shift.reshape(n * self.groups, 2, self.scale * h, self.scale * w)
        # grid_sample's coordinates: -1 and 1 are the outer edges of the first and the last pixel
        across, down = (
            (torch.arange(self.scale * size, dtype=dtype, device=x.device) + 0.5) * (2 / (self.scale * size)) - 1
            for size in (w, h)
        )
        grid = torch.stack([across + shift[:, 0] * (2 / w), down[:, None] + shift[:, 1] * (2 / h)], -1)
        source = x.to(dtype).reshape(n * self.groups, c // self.groups, h, w)
        read = F.grid_sample(source, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return read.reshape(n, c, self.scale * h, self.scale * w).to(x.dtype)
