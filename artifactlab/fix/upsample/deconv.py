"""A transposed convolution whose phases are served evenly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix.upsample.checks import features, integer_scales, per_axis
from artifactlab.fix.upsample.spaces import TRANSPOSED, TransposedConvolution, extended


class TransposedConvUpsample(nn.Module):
    """Transposed convolution that starts as linear interpolation with its channels mixed at random.

    Its kernel is a multiple of the stride, so that every output pixel gets the same number of weights (Odena et al.,
    "Deconvolution and Checkerboard Artifacts", Distill 2016), and its input is extended by replication, so that this
    holds at the border, too. Nothing keeps training from making the phases differ; they do not to begin with. A
    kernel of the stride itself has one weight per phase and starts as nearest replication.

    Args:
        in_channels, out_channels: of the features before and after.
        scale: integer of 2 or more, or one per axis, 1 where it does not grow.
        kernel_size: a multiple of the scale, or one per axis; default is 2 * scale, and 1 along an axis that does not
            grow.
        spatial_dims: 1 for signals, 2 for images, 3 for volumes and video.

    `forward(x)`: (N, in, H, W) to (N, out, scale * H, scale * W), and likewise (N, in, L) and (N, in, D, H, W).

    Raises:
        InputError: for a kernel that is no multiple of the scale, or another scale; in the forward, for features of
            another shape.

    >>> up = TransposedConvUpsample(8, 4, scale=2)
    >>> flat = up(torch.ones(1, 8, 5, 6))
    >>> tuple(flat.shape), bool((flat - flat[..., :1, :1]).abs().max() < 1e-5)
    ((1, 4, 10, 12), True)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        scale: int | Sequence[int] = 2,
        kernel_size: int | Sequence[int] | None = None,
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.scale = integer_scales(scale, spatial_dims)
        sizes = _kernel_sizes(kernel_size, self.scale)
        self.extended = [size // factor // 2 for size, factor in zip(sizes, self.scale, strict=True)]
        surplus = [size - factor for size, factor in zip(sizes, self.scale, strict=True)]
        ahead = [(more + 1) // 2 for more in surplus]  # how far a source pixel's kernel reaches before its own block
        make: Any = TRANSPOSED[spatial_dims]
        self.conv: TransposedConvolution = make(
            in_channels,
            out_channels,
            sizes,
            stride=self.scale,
            padding=tuple(e * r + a for e, r, a in zip(self.extended, self.scale, ahead, strict=True)),
            output_padding=tuple(more % 2 for more in surplus),  # a row less is cropped where the surplus is odd
        )
        mixing = torch.empty(out_channels, in_channels)
        nn.init.kaiming_uniform_(mixing, nonlinearity="linear")
        ramps = torch.ones(())
        for size, factor, start in zip(sizes, self.scale, ahead, strict=True):
            ramps = ramps[..., None] * _ramp(size, factor, start)
        with torch.no_grad():
            self.conv.weight.copy_(mixing.T.reshape(in_channels, out_channels, *[1] * spatial_dims) * ramps)

    def forward(self, x: Tensor) -> Tensor:
        features("x", x, self.in_channels, len(self.scale))
        return self.conv(extended(x, self.extended, self.extended))


def _kernel_sizes(kernel_size: int | Sequence[int] | None, scale: tuple[int, ...]) -> tuple[int, ...]:
    if kernel_size is None:
        return tuple(2 * factor if factor > 1 else 1 for factor in scale)
    sizes = per_axis(kernel_size, len(scale))
    if len(sizes) != len(scale) or any(s < r or s % r for s, r in zip(sizes, scale, strict=True)):
        same = len(set(scale)) == 1
        raise InputError(
            f"kernel_size is {kernel_size} at scale {scale[0] if same else scale}; expected a multiple of the scale:"
            " others overlap unevenly"
        )
    return sizes


def _ramp(size: int, scale: int, ahead: int) -> Tensor:
    """The kernel of linear interpolation along an axis; ones where there is one weight per phase."""
    taps = torch.arange(size) - ahead - (scale - 1) / 2
    return (1 - taps.abs() / scale).clamp_min(0) if size > scale else torch.ones(size)
