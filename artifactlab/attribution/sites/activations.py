"""What a diagnosis keeps of each activation, for pictures."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from artifactlab.attribution.sites.records import SiteKey
from artifactlab.attribution.sites.visits import Visit
from artifactlab.scoring.periods import lattice_period

# Whole activations of a net with many sites would take gigabytes, and no panel of a page is wider than this:
# docs/decisions.md, *What a diagnosis keeps to be looked at*.
MAX_PICTURE_SIDE = 256
"""Pixels per side, at most, that are kept of an activation, and of an output (`artifactlab.attribution.windows`)."""
PICTURE_SIDES = {1: MAX_PICTURE_SIDE**2, 2: MAX_PICTURE_SIDE, 3: 64}
"""The same by the number of directions: of a signal as many samples as an image has pixels, of a volume four times as
many, since slices of fewer than 64 pixels a side show nothing of what is around a lattice."""
# As many as one looks through; a lattice shows in a few channels as in all.
CHANNELS = 8
"""How many channels of an activation are kept, evenly spread."""


def picture_side(directions: int) -> int:
    """Pixels per side, at most, that are kept of what has so many directions."""
    return PICTURE_SIDES[directions]


class Activations:
    """Keeps a piece of each site's output of one forward pass; of a layer, of its first call.

    Args:
        every_call: keep those of all calls.
    """

    def __init__(self, every_call: bool = False) -> None:
        self._every_call = every_call
        self._layers: set[tuple[Any, ...]] = set()
        self.kept: dict[SiteKey, Tensor] = {}
        """By a visit's key, (C, *space): at most `CHANNELS` channels of the middle of the first image."""

    def visit(self, visit: Visit) -> None:
        """Keep the middle of some channels, cut in step with the site's lattice."""
        layer = visit.layer
        if layer in self._layers and not self._every_call:
            return  # a sampler has thousands
        self._layers.add(layer)
        activation = visit.growth.output.detach()[0]
        activation = activation[:: -(-activation.shape[0] // CHANNELS)]
        side = picture_side(activation.ndim - 1)
        for axis, period in enumerate(lattice_period(visit.growth.scale), start=1):
            beyond = max(0, activation.shape[axis] - side)
            activation = activation.narrow(axis, beyond // 2 // period * period, activation.shape[axis] - beyond)
        self.kept[visit.key] = activation.float().cpu().clone()
