"""What a diagnosis keeps for pictures: some channels of each activation, and outputs where a repair changes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from artifactlab.capture import Visit
from artifactlab.evidence import lattice_period
from artifactlab.outputs import first_image
from artifactlab.records import Example, Site, Window
from artifactlab.runner import Call

if TYPE_CHECKING:
    from artifactlab.trials import Trial

EXAMPLES = 4
"""calls of whose first image something is kept"""
CHANNELS = 8
"""of an activation, evenly spread"""
SIDE = 256
"""pixels per side, at most, of a kept activation or window"""


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


def busiest(change: Tensor, side: int) -> tuple[int, int]:
    """Top and left of the square window of `side` pixels where an (H, W) change is largest."""
    size = [min(side, length) for length in change.shape]
    stride = [max(1, length // 4) for length in size]
    sums = torch.nn.functional.avg_pool2d(change[None, None].float(), size, stride)[0, 0]
    row, column = divmod(int(sums.argmax()), sums.shape[1])
    return row * stride[0], column * stride[1]


def window(image: Tensor, change: Tensor) -> Window:
    """The part of a (C, H, W) image where an (H, W) change is largest."""
    top, left = busiest(change, SIDE)
    return Window(top, left, image[:, top : top + SIDE, left : left + SIDE].float().cpu().clone())


def kept_examples(
    calls: Sequence[Call],
    outputs: Sequence[Tensor],
    sites: Sequence[Site],
    alone: Mapping[Site, Trial],
    activations: Sequence[Activations],
) -> tuple[Example, ...]:
    """The first inputs with their outputs, the sites' own outputs, and what repairing each site changes."""
    examples = []
    for k, (call, image, shown) in enumerate(zip(calls, outputs, activations, strict=False)):
        source = first_image((call.args, call.kwargs))
        kept = {site.key: shown.kept.get((site.name, site.op, site.call)) for site in sites}
        examples.append(
            Example(
                input=None if source is None else source[0].cpu(),
                output=image[0],
                changes={site.key: trial.changes[k] for site, trial in alone.items()},
                repaired={site.key: trial.windows[k] for site, trial in alone.items()},
                # a site may run in some passes only
                activations={key: activation for key, activation in kept.items() if activation is not None},
            )
        )
    return tuple(examples)
