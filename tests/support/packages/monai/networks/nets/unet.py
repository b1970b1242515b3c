"""A network that halves an image and enlarges it again."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class UNet(nn.Module):
    """Two layers; `pretrained` would fetch the weights that a training starts from, from an address if there is one."""

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int],
        norm: str | None = "batch",
        pretrained: bool = True,
        pretrained_url: str | None = None,
    ) -> None:
        super().__init__()
        if pretrained or pretrained_url:
            raise ConnectionError("it would have been fetched")
        self.down = nn.Conv2d(in_channels, channels[0], 2, stride=2)
        self.up = nn.ConvTranspose2d(channels[0], out_channels, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x))
