"""How trained nets are often run: padded, in tiles, mirrored and averaged, or as a sampler. No weights of their own.

Each keeps the net's sites, so that defects are planted into it as into the net alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from planted_kinds import KINDS
from planted_nets import loaded, trained
from torch import Tensor, nn

MULTIPLE = 16
"""what sides are padded to; twice what the nets need, as many programs round up generously"""
TILE = 5 / 8
"""of a side is one tile; two of them overlap by a quarter, and start at multiples of 8 where the side is one of 64"""
STEPS = 4
"""of the sampler"""
CROPPED = 3
"""samples of a side that nets that pad to whole windows are not given"""


class Wrapped(nn.Module):
    """A net that is run in some way of its own."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    @property
    def ups(self) -> nn.ModuleList:
        """The net's upsamplers."""
        return self.net.ups

    @property
    def order(self) -> tuple[int, ...]:
        """The sites in the order in which they first run."""
        return self.net.order

    def reader(self, site: int) -> nn.Conv2d | None:
        """The convolution that reads a site's output."""
        return self.net.reader(site)


class Padded(Wrapped):
    """Mirrors the border until the sides fit, and crops the output again."""

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        top, left = (-size % MULTIPLE // 2 for size in (height, width))
        bottom, right = -height % MULTIPLE - top, -width % MULTIPLE - left
        y = self.net(F.pad(x, (left, right, top, bottom), mode="reflect"))
        return y[..., top : top + height, left : left + width]


class Tiled(Wrapped):
    """Runs on 2x2 tiles that overlap, and writes each into its place; the later ones over the earlier."""

    def forward(self, x: Tensor) -> Tensor:
        side = int(x.shape[-1] * TILE)
        whole: Tensor | None = None
        for top in (0, x.shape[-2] - side):
            for left in (0, x.shape[-1] - side):
                tile = self.net(x[..., top : top + side, left : left + side])
                grown = tile.shape[-1] // side
                if whole is None:
                    whole = x.new_zeros(*tile.shape[:2], *(grown * size for size in x.shape[-2:]))
                whole[..., grown * top : grown * (top + side), grown * left : grown * (left + side)] = tile
        return whole


class Mirrored(Wrapped):
    """The mean of what comes out for the image and for its mirror image."""

    def forward(self, x: Tensor) -> Tensor:
        return (self.net(x) + self.net(x.flip(-1)).flip(-1)) / 2


class Sampler(Wrapped):
    """Goes half of the way to the net's output, several times."""

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(STEPS):
            x = (x + self.net(x)) / 2
        return x


WRAPPERS: dict[str, Callable[[nn.Module], Wrapped]] = {
    "padded": Padded,
    "tiled": Tiled,
    "mirrored": Mirrored,
    "sampler": Sampler,
}
"""name -> what it makes of a net"""
WRAPPED = {
    "development": (
        *("padded unet", "padded branches", "tiled autoencoder", "tiled sr8"),
        *("mirrored shuffles", "mirrored functional", "sampler autoencoder", "sampler branches"),
    ),
    "test": (
        *("padded autoencoder", "padded shuffles", "tiled unet", "tiled sr8"),
        *("mirrored branches", "mirrored functional", "sampler unet", "sampler shuffles"),
    ),
}
"""split -> the nets that are run in a way of their own, each with three sites; a sampler's output is of its input's
size, which rules out super-resolution"""


def bare(name: str) -> str:
    """The name of the net inside."""
    return name.split()[-1]


def wrapper_of(name: str) -> str:
    """The name of the way in which it is run; empty where it is run alone."""
    return name.rpartition(" ")[0]


def network(split: str, name: str) -> nn.Module:
    """A network of the suite, trained, run alone or in some way of its own."""
    if name in KINDS[split]:
        return loaded(KINDS[split][name](), split, name)
    net = trained(split, bare(name))
    return WRAPPERS[wrapper_of(name)](net).eval() if wrapper_of(name) else net


def innermost(model: nn.Module) -> nn.Module:
    """The net alone."""
    return model.net if isinstance(model, Wrapped) else model


def input_of(name: str, model: nn.Module, images: Tensor) -> Tensor:
    """What a network of the suite is given for these images: small ones for super-resolution, uneven ones to pad."""
    if wrapper_of(name) == "padded":
        uneven = images.shape[-1] - 3 * MULTIPLE // 4  # no multiple of 8 either, which the net alone would refuse
        return images[..., :uneven, :uneven]
    if hasattr(model, "given"):
        made = model.given(images)
        return made[..., :-CROPPED, :-CROPPED] if name == "windows" else made
    return F.avg_pool2d(images, 8) if bare(name).startswith("sr8") else images
