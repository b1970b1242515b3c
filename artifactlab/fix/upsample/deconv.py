"""A transposed convolution whose phases are served evenly."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix.upsample.checks import integer_scale


class TransposedConvUpsample(nn.Module):
    """Transposed convolution that starts as bilinear interpolation with its channels mixed at random.

    Its kernel is a multiple of the stride, so that every output pixel gets the same number of weights (Odena et al.,
    "Deconvolution and Checkerboard Artifacts", Distill 2016), and its input is extended by replication, so that this
    holds at the border, too. Nothing keeps training from making the phases differ; they do not to begin with. A
    kernel of the stride itself has one weight per phase and starts as nearest replication.

    Args:
        in_channels, out_channels: of the features before and after.
        scale: integer of 2 or more.
        kernel_size: a multiple of the scale; default is 2 * scale.

    `forward(x)`: (N, in, H, W) to (N, out, scale * H, scale * W).

    Raises:
        InputError: for a kernel that is no multiple of the scale, or another scale.

    >>> up = TransposedConvUpsample(8, 4, scale=2)
    >>> flat = up(torch.ones(1, 8, 5, 6))
    >>> tuple(flat.shape), bool((flat - flat[..., :1, :1]).abs().max() < 1e-5)
    ((1, 4, 10, 12), True)
    """

    def __init__(self, in_channels: int, out_channels: int, *, scale: int = 2, kernel_size: int | None = None) -> None:
        super().__init__()
        self.scale = integer_scale(scale)
        size = 2 * scale if kernel_size is None else kernel_size
        if size < scale or size % scale:
            raise InputError(
                f"kernel_size is {size} at scale {scale}; expected a multiple of the scale: others overlap unevenly"
            )
        self.extended = size // scale // 2
        ahead = (size - scale + 1) // 2  # how far a source pixel's kernel reaches before its own block
        self.conv = nn.ConvTranspose2d(
            in_channels,
            out_channels,
            size,
            stride=scale,
            padding=self.extended * scale + ahead,
            output_padding=(size - scale) % 2,  # a row less is cropped where the surplus is odd
        )
        taps = torch.arange(size) - ahead - (scale - 1) / 2
        ramp = (1 - taps.abs() / scale).clamp_min(0) if size > scale else torch.ones(size)
        mixing = torch.empty(out_channels, in_channels)
        nn.init.kaiming_uniform_(mixing, nonlinearity="linear")
        with torch.no_grad():
            self.conv.weight.copy_(mixing.T[:, :, None, None] * torch.outer(ramp, ramp))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (self.extended,) * 4, mode="replicate"))
