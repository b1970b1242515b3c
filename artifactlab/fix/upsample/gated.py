"""Resize and convolve, and let a gate decide where the skip knows better."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix.upsample.checks import features
from artifactlab.fix.upsample.fusion import aligned, blended
from artifactlab.fix.upsample.resize import ResizeConvUpsample
from artifactlab.fix.upsample.spaces import CONVOLUTIONS


class GatedUpsample(nn.Module):
    """Resize and convolution, blended with a skip: gate * up + (1 - gate) * skip.

    The gate is a sigmoid of a 1x1 convolution of both, per pixel and channel, so that detail can come from the skip,
    which needs no upsampler to draw it.

    Args:
        in_channels, out_channels: of the features before and after.
        scale, resample, kernel_size, spatial_dims: see `ResizeConvUpsample`.

    `forward(x, skip)`: (N, in, H, W) and (N, out, scale * H, scale * W), which may be off by a row or column, to
    (N, out, scale * H, scale * W); likewise for signals and volumes.

    Raises:
        InputError: for another resample or scale, or an even kernel; in the forward, for no skip, or one of other
            channels or another size.

    >>> up = GatedUpsample(8, 4)
    >>> tuple(up(torch.rand(1, 8, 5, 6), torch.rand(1, 4, 10, 12)).shape)
    (1, 4, 10, 12)
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
        self.out_channels, self.spatial_dims = out_channels, spatial_dims
        self.up = ResizeConvUpsample(
            in_channels,
            out_channels,
            scale=scale,
            resample=resample,
            kernel_size=kernel_size,
            spatial_dims=spatial_dims,
        )
        self.gate = CONVOLUTIONS[spatial_dims](2 * out_channels, out_channels, 1)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        if skip is None:
            raise InputError("a gated upsampler got no skip; pass one, or use mode 'interpolate_conv'")
        features("skip", skip, self.out_channels, self.spatial_dims)
        up = self.up(x)
        skip = aligned(skip, up)
        return blended(self.gate(torch.cat([up, skip], 1)).sigmoid(), up, skip)
