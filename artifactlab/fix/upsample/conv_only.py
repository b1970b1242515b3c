"""Enlarge by convolutions alone, two of them with a nonlinearity between."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.fix.upsample.checks import images_only, integer_scale
from artifactlab.fix.upsample.subpixel import icnr_


class ConvOnlyUpsample(nn.Module):
    """Sub-pixel convolution, then a convolution at the output's size that can take out what grid the first one draws.

    GELU, pixel shuffle and `project` follow `expand`, which starts by ICNR (Aitken et al. 2017), so that there is no
    checkerboard to begin with. `hidden` channels come out of the shuffle: with fewer than 2 * out_channels, detail of
    the phases is lost before it is drawn.

    Args:
        in_channels, out_channels: of the features before and after.
        scale: integer of 2 or more.
        hidden: channels between the two convolutions; default is 2 * out_channels.

    `forward(x)`: (N, in, H, W) to (N, out, scale * H, scale * W).

    Raises:
        InputError: for another scale.

    >>> import torch
    >>> up = ConvOnlyUpsample(8, 4, scale=2)
    >>> tuple(up(torch.rand(1, 8, 5, 6)).shape), up.project.in_channels
    ((1, 4, 10, 12), 8)
    """

    def __init__(self, in_channels: int, out_channels: int, *, scale: int = 2, hidden: int | None = None) -> None:
        super().__init__()
        self.scale = integer_scale(scale)
        between = 2 * out_channels if hidden is None else hidden
        self.expand = nn.Conv2d(in_channels, between * scale**2, 3, padding=1, padding_mode="replicate")
        icnr_(self.expand, scale)
        self.project = nn.Conv2d(between, out_channels, 3, padding=1, padding_mode="replicate")

    def forward(self, x: Tensor) -> Tensor:
        images_only("conv_only_up", x)
        return self.project(F.pixel_shuffle(F.gelu(self.expand(x)), self.scale))
