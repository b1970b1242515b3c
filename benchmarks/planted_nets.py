"""The small decoders of the planted suite: seven architectures, each in two variants with weights of their own.

Every upsampler is an `Upsampler`, so that any of them can be taken out and another one put in. Gray images in [0, 1]
in and out, sides a multiple of 8.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("weights")
THIN = 2
"""channels of a U-Net's skips"""
STYLES = ("bilinear", "nearest", "expand", "transposed", "k3", "k2", "shuffle", "reshape")


class Upsampler(nn.Module):
    """Doubles height and width, in one of `STYLES`, and keeps the number of channels."""

    def __init__(self, style: str, channels: int) -> None:
        super().__init__()
        self.style = style
        self.channels = channels
        self.pad = False
        """replicates the border by a pixel first, which a transposed convolution cannot do itself"""
        self.conv: nn.Module | None = None
        if style == "transposed":
            self.conv = nn.ConvTranspose2d(channels, channels, 4, 2, 1)
        elif style == "k3":
            self.conv = nn.ConvTranspose2d(channels, channels, 3, 2, 1, output_padding=1)
        elif style == "k2":
            self.conv = nn.ConvTranspose2d(channels, channels, 2, 2)
        elif style in ("shuffle", "reshape"):
            self.conv = nn.Conv2d(channels, 4 * channels, 3, padding=1, padding_mode="replicate")

    def forward(self, x: Tensor) -> Tensor:
        if self.style == "bilinear":
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        if self.style == "nearest":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        n, c, h, w = x.shape
        if self.style == "expand":  # nearest by hand
            return x[:, :, :, None, :, None].expand(n, c, h, 2, w, 2).reshape(n, c, 2 * h, 2 * w)
        y = self.conv(F.pad(x, (1, 1, 1, 1), mode="replicate") if self.pad else x)
        if self.style == "smoothed nearest":
            return F.interpolate(y, scale_factor=2, mode="nearest")
        if self.style == "shuffle":
            return F.pixel_shuffle(y, 2)
        if self.style == "reshape":  # pixel shuffle by hand
            return y.reshape(n, c, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c, 2 * h, 2 * w)
        return y

    def start_even(self) -> None:
        """Initial weights that draw no grid: ICNR for shuffles, bilinear phases for transposed convolutions."""
        with torch.no_grad():
            if self.style in ("shuffle", "reshape"):
                for parameter in (self.conv.weight, self.conv.bias):
                    parameter.copy_(parameter[::4].repeat_interleave(4, 0))
            elif self.style == "transposed":
                ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
                mixing = torch.randn(self.conv.weight.shape[:2]) / self.conv.weight.shape[0] ** 0.5
                self.conv.weight.copy_(mixing[..., None, None] * torch.outer(ramp, ramp))


class Block(nn.Sequential):
    """A 3x3 convolution with replicated borders, so that borders draw no lattice."""

    def __init__(self, inside: int, outside: int, slope: float, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inside, outside, 3, stride, padding=1, padding_mode="replicate"),
            nn.LeakyReLU(slope),
        )


class Chain(nn.Module):
    """An encoder of as many halvings as the decoder doubles, or none (super-resolution), and one site after another."""

    def __init__(self, widths: tuple[int, ...], styles: tuple[str, ...], slope: float, encoder: str = "conv") -> None:
        super().__init__()
        full, *_, deep = widths
        levels = list(pairwise(widths))
        self.encoder = nn.Sequential()
        if encoder == "conv":
            self.encoder = nn.Sequential(Block(1, full, slope), *(Block(a, b, slope, stride=2) for a, b in levels))
        elif encoder == "unshuffle":
            self.encoder = nn.Sequential(nn.PixelUnshuffle(2 ** len(styles)), Block(4 ** len(styles), deep, slope))
        elif encoder == "none":
            self.encoder = nn.Sequential(Block(1, deep, slope))
        self.ups = nn.ModuleList(Upsampler(style, b) for style, (_, b) in zip(styles, levels[::-1], strict=True))
        self.blocks = nn.ModuleList(Block(b, a, slope) for a, b in levels[::-1])
        self.head = nn.Conv2d(full, 1, 1)
        self.order = tuple(range(len(self.ups)))
        """the sites in the order in which they run"""

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder(x)
        for up, block in zip(self.ups, self.blocks, strict=True):
            x = block(up(x))
        return self.head(x)

    def reader(self, site: int) -> nn.Conv2d | None:
        """The convolution that reads a site's output, in these channels first."""
        return self.blocks[site][0]


class UNet(nn.Module):
    """Concatenated skips at every level but the full size; they are thin, lest the deep path be ignored."""

    def __init__(self, widths: tuple[int, ...], styles: tuple[str, ...], slope: float, channels: int = 1) -> None:
        super().__init__()
        levels = list(pairwise(widths))
        self.stem = Block(channels, widths[0], slope)
        self.downs = nn.ModuleList(Block(a, b, slope, stride=2) for a, b in levels)
        self.ups = nn.ModuleList(Upsampler(style, b) for style, (_, b) in zip(styles, levels[::-1], strict=True))
        self.skips = nn.ModuleList(nn.Conv2d(width, THIN, 1) for width in widths[1:-1])
        inside = [b + THIN for _, b in levels[:0:-1]] + [levels[0][1]]
        self.blocks = nn.ModuleList(Block(c, a, slope) for c, (a, _) in zip(inside, levels[::-1], strict=True))
        self.head = nn.Conv2d(widths[0], channels, 1)
        self.order = tuple(range(len(self.ups)))

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        x = self.stem(x)
        for down, thin in zip(self.downs, [*self.skips, None], strict=True):
            x = down(x)
            if thin is not None:
                skips.append(thin(x))
        for up, block in zip(self.ups, self.blocks, strict=True):
            x = up(x)
            x = block(torch.cat([x, skips.pop()], 1) if skips else x)
        return self.head(x)

    def reader(self, site: int) -> nn.Conv2d | None:
        return self.blocks[site][0]


class Branches(nn.Module):
    """A first site, then two branches whose sites share a period, added up."""

    def __init__(self, widths: tuple[int, int, int], styles: tuple[str, ...], slope: float) -> None:
        super().__init__()
        full, half, quarter = widths
        self.encoder = nn.Sequential(
            Block(1, full, slope), Block(full, half, slope, stride=2), Block(half, quarter, slope, stride=2)
        )
        self.ups = nn.ModuleList([Upsampler(styles[0], quarter), *(Upsampler(style, half) for style in styles[1:])])
        self.trunk = Block(quarter, half, slope)
        self.left, self.right = Block(half, full, slope), Block(half, full, slope)
        self.head = nn.Sequential(nn.Conv2d(full, full, 3, padding=1, padding_mode="replicate"), nn.LeakyReLU(slope))
        self.out = nn.Conv2d(full, 1, 1)
        self.order = (0, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.trunk(self.ups[0](self.encoder(x)))
        return self.out(self.head(self.left(self.ups[1](x)) + self.right(self.ups[2](x))))

    def reader(self, site: int) -> nn.Conv2d | None:
        return (self.trunk, self.left, self.right)[site][0]


class Pyramid(nn.Module):
    """Features grow in three steps; an image is read off at every size, enlarged and added up: five sites or more."""

    def __init__(self, widths: tuple[int, ...], styles: tuple[str, ...], slope: float) -> None:
        super().__init__()
        levels = list(pairwise(widths))
        self.encoder = nn.Sequential(Block(1, widths[0], slope), *(Block(a, b, slope, stride=2) for a, b in levels))
        self.steps = len(levels)
        grown = [Upsampler(style, b) for style, (_, b) in zip(styles, levels[::-1], strict=False)]
        images = [Upsampler(style, 4) for style in styles[self.steps :]]
        self.ups = nn.ModuleList(grown + images)
        self.blocks = nn.ModuleList(Block(b, a, slope) for a, b in levels[::-1])
        self.read = nn.ModuleList(nn.Conv2d(a, 4, 1) for a, _ in levels[::-1])
        self.out = nn.Conv2d(4, 1, 3, padding=1, padding_mode="replicate")
        self.order = (0, 1, 3, 2, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder(x)
        image: Tensor | None = None
        for k in range(self.steps):
            x = self.blocks[k](self.ups[k](x))
            drawn = self.read[k](x)
            image = drawn if image is None else drawn + self.ups[self.steps + k - 1](image)
        return self.out(image)

    def reader(self, site: int) -> nn.Conv2d | None:
        return self.blocks[site][0] if site < self.steps else None


class Functional(Chain):
    """The same chain, but its upsamplers are no modules to the hooks: `forward` makes their calls itself."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder(x)
        for up, block in zip(self.ups, self.blocks, strict=True):
            x = block(up.forward(x))
        return self.head(x)


NETS: dict[str, dict[str, Callable[[], nn.Module]]] = {
    "development": {
        "autoencoder": lambda: Chain((12, 20, 28, 32), ("nearest", "transposed", "shuffle"), 0.1),
        "unet": lambda: UNet((12, 20, 28, 32), ("bilinear", "shuffle", "transposed"), 0.1),
        "sr8": lambda: Chain((12, 16, 24, 32), ("transposed", "shuffle", "nearest"), 0.1, "none"),
        "branches": lambda: Branches((12, 20, 28), ("bilinear", "transposed", "shuffle"), 0.1),
        "pyramid": lambda: Pyramid((12, 20, 24, 28), ("transposed", "shuffle", "nearest", "bilinear", "nearest"), 0.1),
        "functional": lambda: Functional((12, 20, 28, 32), ("bilinear", "expand", "reshape"), 0.1),
        "shuffles": lambda: Chain((12, 20, 24, 28), ("shuffle", "shuffle", "shuffle"), 0.1, "unshuffle"),
    },
    "test": {
        "autoencoder": lambda: Chain((14, 18, 24, 36), ("shuffle", "bilinear", "transposed"), 0.2),
        "unet": lambda: UNet((14, 18, 24, 36), ("transposed", "nearest", "shuffle"), 0.2),
        "sr8": lambda: Chain((14, 18, 24, 28), ("bilinear", "transposed", "shuffle"), 0.2, "none"),
        "branches": lambda: Branches((14, 18, 24), ("shuffle", "nearest", "transposed"), 0.2),
        "pyramid": lambda: Pyramid((14, 18, 20, 24), ("bilinear", "transposed", "shuffle", "bilinear", "expand"), 0.2),
        "functional": lambda: Functional((14, 18, 24, 32), ("reshape", "bilinear", "expand"), 0.2),
        "shuffles": lambda: Chain((14, 18, 22, 24), ("shuffle", "shuffle", "shuffle"), 0.2, "unshuffle"),
    },
}
"""split -> name -> the network, untrained"""
COMPENSATED: dict[str, dict[str, Callable[[], nn.Module]]] = {
    "development": {
        "autoencoder-k3": lambda: Chain((12, 20, 28, 32), ("k3", "k3", "k3"), 0.1),
        "sr8-k2": lambda: Chain((12, 16, 24, 32), ("k2", "k2", "k2"), 0.1, "none"),
    },
    "test": {
        "unet-k3": lambda: UNet((14, 18, 24, 36), ("k3", "k3", "k3"), 0.2),
        "sr8-k3": lambda: Chain((14, 18, 24, 28), ("k3", "k3", "k3"), 0.2, "none"),
        "branches-k2": lambda: Branches((14, 18, 24), ("k2", "k3", "k2"), 0.2),
    },
}
"""the same, with bad upsamplers that the rest is trained with, and has learned to cancel"""


def trained(split: str, name: str) -> nn.Module:
    """A network of the suite with its trained weights, in eval mode."""
    return loaded((NETS[split] | COMPENSATED[split])[name](), split, name)


def loaded(model: nn.Module, split: str, name: str) -> nn.Module:
    """The network with its trained weights, in eval mode."""
    model.load_state_dict({key: value.float() for key, value in load_file(weights_path(split, name)).items()})
    return model.eval().requires_grad_(False)


def weights_path(split: str, name: str) -> Path:
    """Where its weights are, in half precision."""
    return WEIGHTS / f"{split}-{name}.safetensors"
