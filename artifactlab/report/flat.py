"""Tensors of any number of directions as one picture each."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from artifactlab.report.slices import Slices, slices
from artifactlab.report.tracks import Track

Flat = Slices | Track
"""What lays a tensor flat: `close_up` in its own colours, `ground` in grey, `change` over it, `frames` around parts."""
NAMES = {1: ("t",), 2: ("y", "x"), 3: ("z", "y", "x")}
"""Names of directions where only their number is known."""


def flat_for(image: Tensor, names: Sequence[str], place: Sequence[int] | None = None) -> Flat:
    """What lays a (C, *space) image flat, with slices of a volume through a place."""
    space = tuple(image.shape[1:])
    return Track((space[0],)) if len(space) == 1 else slices(space, names, place)


def names_for(image: Tensor, output: Sequence[str]) -> Sequence[str]:
    """Names of the directions of a (C, *space) activation: those of the output where it has as many."""
    return output if len(output) == image.ndim - 1 else NAMES[image.ndim - 1]
