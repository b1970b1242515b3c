"""What a fix did to one site: which layer stands there now, or which weights its own layer has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from artifactlab.fix.replacement import Replacement, times


@dataclass(frozen=True)
class Swap:
    """The result of `replace_upsampler`."""

    replacement: Replacement
    """What stands in the old modules' place now; they themselves, with other weights, where `is_refit` says so."""
    removed: tuple[str, ...]
    """What stood there, module by module, e.g. `dec.up2: ConvTranspose2d(40, 24, ...)`."""
    parameters: tuple[int, int]
    """How many weights the site had and has."""
    difference: float
    """How far the new one is from the old one on smooth inputs, relative to its rms; the lattice is part of it."""

    def __str__(self) -> str:
        new = self.replacement
        before, after = self.parameters
        shapes = f"{new.in_channels} to {new.out_channels} channels, x{times(new.scale)}"
        layers = " and ".join(self.removed)
        what = f"Replaced {layers} by {new.mode} ({shapes}) at {new.paths[0]}; weights {before} -> {after}"
        if new.is_refit:
            what = f"Changed the weights of {layers} ({shapes}) by {new.mode}; the layer stays"
        return (
            f"{what}; untrained, its output is {self.difference:.1%} off the old one's, of which the old lattice is a"
            " part."
        )


def described(path: str, module: nn.Module) -> str:
    """A module on one line, without what is inside it, such as weight normalisation.

    >>> described("up", nn.PixelShuffle(2))
    'up: PixelShuffle(upscale_factor=2)'
    """
    return f"{path}: {type(module).__name__.removeprefix('Parametrized')}({module.extra_repr()})"


def count_weights(modules: Sequence[nn.Module]) -> int:
    """How many weights the modules have."""
    return sum(p.numel() for module in modules for p in module.parameters())
