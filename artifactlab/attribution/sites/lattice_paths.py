"""How the lattice of a site is spaced at the end of the paths that a tensor took from there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

Scale = tuple[Fraction, Fraction, Fraction]
"""Factor of a spacing along each direction, the fastest first, see `axes.DIRECTIONS`."""
UNCHANGED: Scale = (Fraction(1), Fraction(1), Fraction(1))
# A net that is run over and over on its own output multiplies the scales without end. A feature pyramid
# joins four or five levels.
MOST_SCALES = 8
"""How many scales are kept of one site, the largest ones."""


def product(one: Scale, other: Scale) -> Scale:
    """Both factors."""
    if other is UNCHANGED:  # as of nearly all calls
        return one
    return one[0] * other[0], one[1] * other[1], one[2] * other[2]


class LatticeStep(NamedTuple):
    """What one call does to the lattices in its arguments."""

    scale: Scale = UNCHANGED
    """What it makes of their spacings."""
    pointwise: bool = True
    """Whether it is a function of single values."""
    bounding: bool = False
    """Whether it is a sigmoid, a softmax or a tanh."""


class Spacing(NamedTuple):
    """What a path makes of a spacing, from its beginning to its end."""

    total: Scale
    """The product of all its steps."""
    least: Scale
    """The least product of its first steps. A lattice of two pixels that a stride of two passes over is gone, and no
    later resize brings it back."""

    def preceded_by(self, scale: Scale) -> Spacing:
        """That of the path that begins one step earlier."""
        earlier = product(self.least, scale)
        x, y, z = (min(a, b) for a, b in zip(scale, earlier, strict=True))
        return Spacing(product(self.total, scale), (x, y, z))

    def along(self, direction: int) -> Fraction:
        """The spacing along a direction; 0 where there was none left on the way."""
        return self.total[direction] if self.least[direction] > 1 else Fraction(0)


@dataclass(frozen=True)
class LatticePath:
    """How a tensor came from a site."""

    scales: frozenset[Spacing]
    """What resizes have made of the site's lattice since, its own scale included; several where paths join."""
    pointwise: bool
    """Whether nothing has been done to it since but functions of single values."""
    bounded: bool = False
    """Whether one of them was a sigmoid, a softmax or a tanh."""

    def joined(self, other: LatticePath | None) -> LatticePath:
        """Both paths at once, where what they lead through is joined."""
        if other is None or other == self:
            return self
        scales = self.scales | other.scales
        if len(scales) > MOST_SCALES:
            scales = frozenset(sorted(scales)[-MOST_SCALES:])
        return LatticePath(scales, self.pointwise and other.pointwise, self.bounded and other.bounded)

    def preceded_by(self, step: LatticeStep) -> LatticePath:
        """The path that begins one step earlier."""
        scales = self.scales
        if step.scale != UNCHANGED:
            scales = frozenset(spacing.preceded_by(step.scale) for spacing in scales)
        return LatticePath(scales, self.pointwise and step.pointwise, self.bounded or step.bounding)


_ENDLESS = Fraction(1 << 30)  # of no steps there is no least
END_OF_PATH = LatticePath(frozenset([Spacing(UNCHANGED, (_ENDLESS, _ENDLESS, _ENDLESS))]), pointwise=True)
"""The path of no steps, from the output to itself."""


def period_of(path: LatticePath) -> tuple[float, float, float]:
    """The spacing of a site's lattice at the end of a path, along each direction.

    Where paths of different scale join, the smallest spacing that holds all of them.
    """
    x, y, z = (_common_spacing({spacing.along(direction) for spacing in path.scales}) for direction in (0, 1, 2))
    return x, y, z


def _common_spacing(scales: set[Fraction]) -> float:
    integers = [int(scale) for scale in scales if scale.denominator == 1 and scale > 1]
    if integers:
        return math.lcm(*integers)
    largest = max(scales)
    return 1 if largest <= 1 else float(round(float(largest), 3))
