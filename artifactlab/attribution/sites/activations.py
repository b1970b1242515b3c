"""What a diagnosis keeps of each activation, for pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from artifactlab.attribution.sites.capture import Visit
from artifactlab.scoring.periods import lattice_period

if TYPE_CHECKING:
    pass

SIDE = 256
"""pixels per side, at most, that are kept"""
CHANNELS = 8
"""of an activation, evenly spread"""


class Activations:
    """Looks at the sites of one forward pass, and keeps a piece of each one's output; of a layer, its first call's.

    Args:
        every_call: keep those of all calls.
    """

    def __init__(self, every_call: bool = False) -> None:
        self._every_call = every_call
        self._layers: set[tuple[Any, ...]] = set()
        self.kept: dict[tuple[str, str, int], Tensor] = {}
        """key of a visit -> (C, h, w), at most `CHANNELS` channels of the middle of the first image"""

    def look(self, visit: Visit) -> None:
        """Keep the middle of some channels, cut in step with the site's lattice."""
        layer = visit.layer
        if layer in self._layers and not self._every_call:
            return  # a sampler has thousands
        self._layers.add(layer)
        activation = visit.growth.output.detach()[0]
        activation = activation[:: -(-activation.shape[0] // CHANNELS)]
        for axis, period in zip((1, 2), lattice_period(visit.growth.scale), strict=True):
            beyond = max(0, activation.shape[axis] - SIDE)
            activation = activation.narrow(axis, beyond // 2 // period * period, activation.shape[axis] - beyond)
        self.kept[visit.key] = activation.float().cpu().clone()
