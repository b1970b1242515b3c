"""Small decoders with one upsampler of each kind, written as people write them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def transposed() -> nn.ConvTranspose2d:
    """Uneven overlap: one output row and column more than twice the input without `output_padding`."""
    return nn.ConvTranspose2d(6, 4, 3, 2, 1, output_padding=1)


class Decoder(nn.Module):
    """`up` enlarges; `head` reads it. The first layer is linear, so that a grid passes as it is."""

    def __init__(self, up: nn.Module, channels: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, padding=1, padding_mode="replicate")
        self.up = up
        self.head = nn.Conv2d(channels, 1, 3, padding=1, padding_mode="replicate")

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.up(self.stem(x)))


class Functional(nn.Module):
    """A resize that only forward knows."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, padding=1)
        self.act = nn.ReLU()
        self.head = nn.Conv2d(6, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.stem(x))
        x = self.act(F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.head(x)


class OwnUpsampler(nn.Module):
    """A user's own module that does nothing but enlarge: convolution, and a shuffle by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 16, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        n, _, h, w = y.shape
        return y.reshape(n, 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, 4, 2 * h, 2 * w)


def gridded(strength: float = 0.1) -> Decoder:
    """A decoder that passes the image on, and draws a grid: one phase of its transposed convolution is brighter."""
    model = Decoder(nn.ConvTranspose2d(6, 4, 4, 2, 1))
    ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        for layer in (model.stem, model.up, model.head):
            layer.weight.zero_()
            layer.bias.zero_()
        model.stem.weight[:, :, 1, 1] = 1.0
        model.up.weight.copy_(torch.outer(ramp, ramp).expand(6, 4, 4, 4) / 6)
        model.up.weight[:, :, 1::2, 1::2] *= 1 + strength
        model.head.weight[:, :, 1, 1] = 0.25
    return model.eval()


def images(count: int, side: int = 64) -> list[Tensor]:
    """Smooth random images (1, 1, side, side) in [0, 1], with an oblique edge."""
    generator = torch.Generator().manual_seed(1)
    made = []
    across = torch.linspace(-1, 1, side)
    for _ in range(count):
        coarse = torch.rand(1, 1, 6, 6, generator=generator)
        smooth = F.interpolate(coarse, (side, side), mode="bicubic", align_corners=False).clamp(0, 1)
        slope = 0.3 + 0.4 * float(torch.rand((), generator=generator))
        edge = torch.sigmoid(20 * (across[:, None] - slope * across[None, :]))
        made.append(0.2 + 0.4 * smooth + 0.3 * edge)
    return made


class Twofold(nn.Module):
    """Two levels that each double the size and draw a grid; `called` enlarges the image in between by a call."""

    def __init__(self, first: float, second: float, called: bool = False) -> None:
        super().__init__()
        ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
        self.up1, self.up2 = (nn.ConvTranspose2d(1, 1, 4, 2, 1, bias=False) for _ in range(2))
        self.called = called
        with torch.no_grad():
            for up, strength in ((self.up1, first), (self.up2, second)):
                up.weight.copy_(torch.outer(ramp, ramp))
                up.weight[:, :, 1::2, 1::2] *= 1 + strength

    def forward(self, x: Tensor) -> Tensor:
        x = self.up1(x)
        return self.up2(F.interpolate(x, scale_factor=2, mode="nearest") if self.called else x)


def twofold() -> Twofold:
    """Two offenders."""
    return Twofold(0.1, 0.1).eval()
