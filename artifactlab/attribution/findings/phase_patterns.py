"""What an image has at each phase of a lattice, and how alike two such patterns are."""

from __future__ import annotations

import math

from torch import Tensor

from artifactlab.metrics.bands import baseband, blocks

Lattice = tuple[int, int]
PATTERN_CORRELATION = 0.7
"""Correlation from which on two patterns are the same one: half of their power is common then. See docs/decisions.md,
"A constant pattern stands on constant inputs"."""


def phase_pattern(image: Tensor, lattice: Lattice) -> Tensor:
    """The mean (C, ph, pw) at each phase of a lattice of what an (N, C, H, W) image has beside its smooth content.

    Only its middle counts, as padding draws rings along the border; phases are counted from the image's first pixel.
    """
    residual = image.float() - baseband(image.float(), max(lattice))
    for axis, period in zip((2, 3), lattice, strict=True):
        aside = -(-image.shape[axis] // (4 * period)) * period
        if image.shape[axis] - 2 * aside >= period:
            residual = residual.narrow(axis, aside, image.shape[axis] - 2 * aside)
    phases = blocks(residual, lattice).mean((0, 2, 4))
    return phases - phases.mean((1, 2), keepdim=True)


def foreign_part(pattern: Tensor, lattice: Lattice) -> Tensor:
    """A pattern (C, ph, pw) without what it has at the phases of a lattice: a multiple of a period shows it as well."""
    _, height, width = pattern.shape
    vertical, horizontal = math.gcd(height, lattice[0]), math.gcd(width, lattice[1])
    cells = pattern.unflatten(1, (-1, vertical)).unflatten(3, (-1, horizontal))
    return (cells - cells.mean((1, 3), keepdim=True)).flatten(3).flatten(1, 2)


def height_in(other: Tensor, pattern: Tensor) -> float:
    """The height at which a pattern stands in another one, 1 for its own; 0 if the other one is not alike."""
    product, power = float((other * pattern).sum()), float(pattern.square().sum())
    return product / power if product >= PATTERN_CORRELATION * (power * float(other.square().sum())) ** 0.5 > 0 else 0.0


def rms(pattern: Tensor) -> float:
    """Root mean square of a pattern."""
    return float(pattern.square().mean().sqrt())
