"""Synthetic inputs whose right output is known: what a decoder draws into them is its own."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.registry import Registry

MAX_SIZE = 1 << 13
"""Pixels per side of a probe at most: with three channels it takes 800 MB."""
PROBES: Registry[Callable[[int], Tensor]] = Registry("artifactlab.probes")
"""Functions of the size in pixels by the name of the probe; each gives one (size, size) plane with values in [0, 1]."""


@PROBES.added("constant")
def constant(size: int) -> Tensor:
    """Mid-grey: a grid in the output is the decoder's alone."""
    return torch.full((size, size), 0.5)


@PROBES.added("ramp")
def ramp(size: int) -> Tensor:
    """Diagonal ramp from 0.1 to 0.9: grids that scale with the signal, and quantised steps."""
    t = torch.linspace(0, 1, size)
    return 0.1 + 0.4 * (t[:, None] + t[None, :])


@PROBES.added("slanted-edge")
def slanted_edge(size: int) -> Tensor:
    """One straight anti-aliased edge at 22 degrees: stair-steps in the output are the decoder's own.

    Source: the slanted edge of ISO 12233, at an angle where steps of every factor are easy to see.
    """
    t = torch.arange(size) - (size - 1) / 2
    angle = math.radians(22)
    distance = t[:, None] * math.cos(angle) + t[None, :] * math.sin(angle)
    return 0.2 + 0.6 * (distance + 0.5).clamp(0, 1)


@PROBES.added("zone-plate")
def zone_plate(size: int) -> Tensor:
    """Rings from zero frequency at the centre to a quarter cycle per pixel at the edge: aliasing of every direction."""
    t = torch.arange(size) - (size - 1) / 2
    radius = t[:, None].square() + t[None, :].square()
    return 0.5 + 0.4 * torch.cos(math.pi / (2 * size) * radius)


STANDARD_PROBES = ("constant", "ramp", "slanted-edge", "zone-plate")
"""Our own by name, so that what is judged on probes without naming any does not change with installed packages."""


def make_probe(name: str, size: int = 256, channels: int = 3) -> Tensor:
    """A probe image of shape (1, channels, size, size) in [0, 1].

    Args:
        name: `constant`, `ramp`, `slanted-edge`, `zone-plate`, or one that an installed package adds to `PROBES`.
        size: pixels per side, at least 16.
        channels: all of them alike.

    Raises:
        InputError: if there is no such probe, or the size is below 16 or above `MAX_SIZE`.

    >>> make_probe("ramp", 32, channels=1).shape
    torch.Size([1, 1, 32, 32])
    """
    if name not in PROBES:
        raise InputError(f"no probe named {name!r}; there are {', '.join(PROBES)}")
    if size < 16:
        raise InputError(f"a probe needs at least 16 pixels per side, got {size}")
    if size > MAX_SIZE:
        raise InputError(f"a probe has at most {MAX_SIZE} pixels per side, got {size:.3g}; give a smaller --crop")
    return PROBES[name](size).expand(1, channels, size, size).contiguous()
