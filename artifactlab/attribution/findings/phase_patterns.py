"""What an image has at each phase of a lattice, and how alike two such patterns are."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL, baseband, blocks, inside

Lattice = tuple[int, ...]
"""Spacing of a lattice along each direction."""
PATTERN_CORRELATION = 0.7
"""Correlation from which on two patterns are the same one: half of their power is common then. See docs/decisions.md,
"A constant pattern stands on constant inputs"."""
TOGETHER = 8
"""Channels that are worked on at a time: what is made of them is a small part of an activation, which has dozens."""


def phase_pattern(image: Tensor, lattice: Lattice) -> Tensor:
    """The mean (C, *phases) at each phase of a lattice of what an (N, C, *space) image has beside its smooth content.

    Only its middle counts, as padding draws rings along the border; phases are counted from the image's first pixel.
    """
    return torch.cat([_phase_pattern(some.float(), lattice) for some in image.split(TOGETHER, 1)])


def _phase_pattern(image: Tensor, lattice: Lattice) -> Tensor:
    residual = image - baseband(image, max(lattice))
    for axis, period in enumerate(lattice, SPATIAL):
        aside = -(-image.shape[axis] // (4 * period)) * period
        if image.shape[axis] - 2 * aside >= period:
            residual = residual.narrow(axis, aside, image.shape[axis] - 2 * aside)
    cells = blocks(residual, lattice)
    within = inside(lattice)
    phases = cells.mean([axis for axis in range(cells.ndim) if axis != 1 and axis not in within])
    return phases - phases.mean(tuple(range(1, phases.ndim)), keepdim=True)


def foreign_part(pattern: Tensor, lattice: Lattice) -> Tensor:
    """A pattern (C, *phases) without what it has at the phases of a lattice: multiples of a period show it, too."""
    explained = pattern
    for axis, period in enumerate(lattice, 1):
        explained = _mean_per_phase(explained, axis, math.gcd(pattern.shape[axis], period))
    return pattern - explained


def _mean_per_phase(pattern: Tensor, axis: int, period: int) -> Tensor:
    """The mean of all that is at one phase of a period along an axis, in its place."""
    size = pattern.shape[axis]
    cells = pattern.unflatten(axis, (size // period, period))
    return cells.mean(axis, keepdim=True).expand_as(cells).flatten(axis, axis + 1)


def height_in(other: Tensor, pattern: Tensor) -> float:
    """The height at which a pattern stands in another one, 1 for its own; 0 if the other one is not alike."""
    product, power = float((other * pattern).sum()), float(pattern.square().sum())
    return product / power if product >= PATTERN_CORRELATION * (power * float(other.square().sum())) ** 0.5 > 0 else 0.0


def rms(pattern: Tensor) -> float:
    """Root mean square of a pattern."""
    return float(pattern.square().mean().sqrt())
