"""The lattice that several replaced sites draw together, by which they are trained and judged at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from artifactlab.metrics.inputs import LARGEST_PERIOD
from artifactlab.scoring.periods import smallest_sides


def common_period(periods: Sequence[tuple[int, ...]], fits: Callable[[int, int], bool]) -> tuple[int, ...]:
    """The least common multiple of the periods along each axis, or the largest of them that fits; 1 where none does.

    Args:
        periods: one of each site, along the same axes.
        fits: whether a grid of a period, its second argument, can be measured along an axis, its first.

    >>> common_period([(2, 4), (3, 8)], lambda axis, period: period <= 12)
    (6, 8)
    >>> common_period([(3, 3), (8, 32)], lambda axis, period: period <= 12)
    (8, 3)
    """
    common = []
    for axis, spacings in enumerate(zip(*periods, strict=True)):
        joint = 1
        for spacing in sorted(set(spacings), reverse=True):  # the widest first, as it is what the narrow ones may spoil
            together = math.lcm(joint, spacing)
            if fits(axis, together) and (joint == 1 or together <= LARGEST_PERIOD):
                joint = together
        common.append(joint)
    return tuple(common)


def holds(size: Sequence[int]) -> Callable[[int, int], bool]:
    """Whether outputs of a size hold a grid of a period along an axis, see `common_period`.

    >>> holds((32, 64))(0, 4), holds((32, 64))(0, 8)
    (True, False)
    """
    return lambda axis, period: smallest_sides((period,) * len(size), size)[axis] <= size[axis]
