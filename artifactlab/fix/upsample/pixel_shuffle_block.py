"""A decoder level by pixel shuffle, refined at its output's size."""

from __future__ import annotations

from torch import Tensor, nn

from artifactlab.fix.upsample.block import LearnableInterpolationUpsample


class PixelShuffleUpBlock(nn.Module):
    """Sub-pixel convolution, fusion with the skip, and a residual block that can take out what grid the shuffle draws.

    The level of a sub-pixel decoder (Shi et al., CVPR 2016; Aitken et al. 2017) in one piece: a
    `LearnableInterpolationUpsample` of mode "subpixel" with `res_skip`.

    Args:
        in_channels, out_channels, skip_channels, fusion, scale, norm, activation: as there.

    `forward(x, skip=None)`: (N, in, H, W) to (N, out, scale * H, scale * W).

    Raises:
        InputError: as there.

    >>> import torch
    >>> up = PixelShuffleUpBlock(8, 4, skip_channels=6)
    >>> tuple(up(torch.rand(1, 8, 5, 6), torch.rand(1, 6, 10, 12)).shape)
    (1, 4, 10, 12)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        skip_channels: int = 0,
        fusion: str = "concat",
        *,
        scale: int = 2,
        norm: str | None = None,
        activation: str | None = "relu",
    ) -> None:
        super().__init__()
        self.level = LearnableInterpolationUpsample(
            in_channels,
            out_channels,
            skip_channels,
            "subpixel",
            fusion,
            scale=scale,
            res_skip=True,
            norm=norm,
            activation=activation,
        )

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        return self.level(x, skip)
