"""Resize and convolve, or convolve and shuffle: the better of two for the input at hand."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.fix.upsample.checks import images_only, integer_scale, one_of
from artifactlab.fix.upsample.resize import ResizeConvUpsample
from artifactlab.fix.upsample.subpixel import SubpixelUpsample

CHOICES = ("mix", "image")
USUAL_SIZE = 64
"""Pixels a side at which the size counts for neither upsampler; usual training crops are about as large."""


class HybridUpsample(nn.Module):
    """A blend of `resize`, which cannot draw a lattice, and `subpixel`, which can draw sharper.

    The rule: share * resize + (1 - share) * subpixel, where

        share = sigmoid(a * contrast + b * size + c),
        contrast = log(1 + squared gradient of the input around the pixel / variance of the image's features),
        size = log2(sqrt(H * W) / 64),

    and `share`, a 1x1 convolution, holds a, b and c. It starts at 1, 0.5 and 0: edges, where stair-steps show, lean
    to the resize, and so do large maps, which stand near the output, where no later layer hides a lattice.

    A share of "mix" is one per source pixel, interpolated bilinearly. Of "image" it is one per image, from its mean
    contrast, rounded to 0 or 1, so that one of both is taken, and only that one learns from the image; the gradient of
    the share is as if it were not rounded. Both are computed, as which it is depends on values. Flat inputs have no
    contrast, so that the share is flat, too.

    Args:
        in_channels, out_channels: of the features before and after.
        scale: integer of 2 or more.
        choice: "mix" or "image".

    `forward(x)`: (N, in, H, W) to (N, out, scale * H, scale * W).

    Raises:
        InputError: for another choice or scale.

    >>> up = HybridUpsample(8, 4, scale=2)
    >>> tuple(up(torch.rand(1, 8, 5, 6)).shape)
    (1, 4, 10, 12)
    """

    def __init__(self, in_channels: int, out_channels: int, *, scale: int = 2, choice: str = "mix") -> None:
        super().__init__()
        one_of("choice", choice, CHOICES)
        self.scale, self.choice = integer_scale(scale), choice
        self.resize = ResizeConvUpsample(in_channels, out_channels, scale=scale)
        self.subpixel = SubpixelUpsample(in_channels, out_channels, scale=scale)
        self.share = nn.Conv2d(2, 1, 1)
        assert self.share.bias is not None
        with torch.no_grad():
            self.share.weight.copy_(torch.tensor([1.0, 0.5])[None, :, None, None])
            self.share.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        images_only("hybrid", x)
        resized, shuffled = self.resize(x), self.subpixel(x)
        return shuffled + self.resize_share(x) * (resized - shuffled)

    def resize_share(self, x: Tensor) -> Tensor:
        """The share of an input `x`: (N, 1, scale * H, scale * W), or (N, 1, 1, 1) where one is taken for the image."""
        contrast = _contrast(x)
        if self.choice == "image":
            contrast = contrast.mean((2, 3), keepdim=True)
        # counted by a sum, as an export with sizes left open cannot take a number's logarithm
        size = torch.ones_like(x[0, 0], dtype=torch.float32).sum().log2() / 2 - math.log2(USUAL_SIZE)
        share = self.share(torch.cat([contrast, size.to(contrast.dtype).expand_as(contrast)], 1)).sigmoid()
        if self.choice == "image":
            return share + (share.round() - share).detach()
        size_out = (self.scale * x.shape[-2], self.scale * x.shape[-1])
        return F.interpolate(share, size_out, mode="bilinear", align_corners=False)


def _contrast(x: Tensor) -> Tensor:
    """(N, 1, H, W): local gradient energy, relative to what the features vary over the image, so that gains cancel."""
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    energy = (across.square() + down.square()).mean(1, keepdim=True)
    around = F.avg_pool2d(F.pad(energy, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    spread = (x - x.mean((2, 3), keepdim=True)).square().mean((1, 2, 3), keepdim=True)
    return (around / (spread + 1e-6)).log1p()
