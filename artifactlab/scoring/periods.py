"""The lattices of an output: which periods can be measured, and the one that holds them all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from artifactlab.metrics.inputs import LARGEST_PERIOD

MIN_CYCLES = 4
"""Number of periods that an output must hold per side. The triangle filter that splits the baseband off spans two of
them, and in fewer than four there is no baseband below the lattice. See docs/decisions.md, "Regression in the signal
domain"."""
MARGIN_PIXELS = 16
"""Pixels that an output must hold per side beyond these, so that there are frequencies beside the lattice of a short
period, too, by which chance is told. See docs/decisions.md, "Chance is measured beside the lattice"."""


def lattice_period(size: Sequence[float]) -> tuple[int, ...]:
    """The integer lattice of a scale or period; a direction in which it is not an integer has no fixed lattice."""
    return tuple(round(s) if s == round(s) else 1 for s in size)


def joint_period(periods: Iterable[Sequence[float]], size: Sequence[int]) -> tuple[int, ...]:
    """The smallest lattice that contains those of all `periods` that can be measured in an output of `size`."""
    joint = [1] * len(size)
    for period in sorted(map(lattice_period, periods)):
        for axis, spacing in enumerate(period):
            together = math.lcm(joint[axis], spacing)
            if smallest_side(together) <= size[axis] and together <= LARGEST_PERIOD:
                joint[axis] = together
    return tuple(joint)


def smallest_side(period: int) -> int:
    """Pixels per side of the smallest image in which a grid of `period` can be measured."""
    return MIN_CYCLES * period + MARGIN_PIXELS


def smallest_sides(period: Sequence[int], size: Sequence[int]) -> list[int]:
    """Samples along each axis of the smallest output in which grids of a `period` along each can be measured."""
    return [smallest_side(p) for p in period]
