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

SUPPLYING_SIDE = 32
"""Samples along both other axes of a volume that show enough frequencies beside the lattice of a third: four of the
smallest blocks, `relations.BLOCK`. 160 videos of 16 or 17 frames of noise, moving discs, panned texture and fades, of
32 and 64 pixels a side, read less than 1 at a temporal period of 4, and a flicker of 2/255 was found in all."""
SHORT_PERIOD = 4
"""Longest period that can do without the margin: a fade of the light within 33 frames read up to 3 at a period of 8,
and .4 within 49, which is with the margin."""


def lattice_period(size: Sequence[float]) -> tuple[int, ...]:
    """The integer lattice of a scale or period; a direction in which it is not an integer has no fixed lattice."""
    return tuple(round(s) if s == round(s) else 1 for s in size)


def joint_period(periods: Iterable[Sequence[float]], size: Sequence[int]) -> tuple[int, ...]:
    """The smallest lattice that contains those of all `periods` that can be measured in an output of `size`."""
    joint = [1] * len(size)
    for period in sorted(map(lattice_period, periods)):
        for axis, spacing in enumerate(period):
            together = math.lcm(joint[axis], spacing)
            if _smallest_along(axis, together, size) <= size[axis] and together <= LARGEST_PERIOD:
                joint[axis] = together
    return tuple(joint)


def smallest_side(period: int) -> int:
    """Samples per side of the smallest output in which a grid of `period` can be measured."""
    return MIN_CYCLES * period + MARGIN_PIXELS


def smallest_sides(period: Sequence[int], size: Sequence[int]) -> tuple[int, ...]:
    """Samples along each axis that an output of `size` needs, so that grids of a `period` along each can be measured.

    >>> smallest_sides((4, 8), (256, 256)), smallest_sides((4, 8, 8), (17, 256, 256))
    ((32, 48), (16, 48, 48))
    """
    return tuple(_smallest_along(axis, p, size) for axis, p in enumerate(period))


def _smallest_along(axis: int, period: int, size: Sequence[int]) -> int:
    """A video has few frames: of them the periods alone are needed, where its pictures show what is beside them."""
    others = [length for other, length in enumerate(size) if other != axis]
    supplied = len(others) > 1 and min(others) >= SUPPLYING_SIDE and period <= SHORT_PERIOD
    return MIN_CYCLES * period if supplied else smallest_side(period)
