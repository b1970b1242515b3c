"""Where oblique edges are: one point, and the direction, in each cell whose gradients agree.

Everything is local to a cell and its neighbours, so an image may be looked at in tiles. Edges are looked for in a
shrunken image: seen from far enough, a stair-stepped edge has the direction of its smooth path.

Source of the structure tensor: J. Bigun, G. Granlund, "Optimal orientation detection of linear symmetry", ICCV 1987.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Core = tuple[int, int, int, int]
"""The part of a tile whose edge points count: its top, bottom, left and right in pixels."""
CELL = 8
"""Pixels per side of a cell. It holds at most one edge point, its steepest, and that only where it is steeper than
those beside it: one point per edge and cell. Smaller cells hold too few gradients, larger ones several edges."""
MIN_COHERENCE = 0.7
"""Coherence of the structure tensor from which on a cell holds an edge; corners and texture are below."""
MIN_CONTRAST = 0.08
"""Fraction of the data range that an edge must step by: noise and compression make weaker ones of any direction."""
MIN_OBLIQUE = math.radians(10)
"""Angle to an axis within which no edge is taken: axis-parallel edges cannot stair-step, and steps of one pixel in
nearly parallel ones are about as long as a cell."""
STEP_TO_SLOPE = 0.30
"""Gradient, per pixel of the shrunken image, of a unit step after area averaging and the binomial filter. It is 5/16
for axis-parallel edges and up to .35 for diagonal ones; a little below both, no edge of `MIN_CONTRAST` is missed."""


class EdgePoints(NamedTuple):
    """Steepest points of coherent oblique edges, E of them."""

    plane: Tensor
    """Index into the planes, (E,)."""
    row: Tensor
    """Vertical position in pixels, (E,); 0 is the centre of the first row."""
    column: Tensor
    """Horizontal position in pixels, (E,)."""
    normal: Tensor
    """Direction across the edge, radians in (-pi/2, pi/2], (E,); 0 is horizontal, y down."""

    def only(self, which: Tensor) -> EdgePoints:
        """The points that a boolean (E,) marks."""
        return EdgePoints(*(field[which] for field in self))

    def within(self, top: float, bottom: float, left: float, right: float) -> EdgePoints:
        """The points in a rectangle of pixels; `bottom` and `right` are excluded."""
        rows = (self.row >= top) & (self.row < bottom)
        return self.only(rows & (self.column >= left) & (self.column < right))


def edge_points(planes: Tensor, level: int = 0) -> EdgePoints:
    """The edge points of `(P, H, W)` planes of data range 1, looked for in planes shrunken `2**(level + 1)` times."""
    size = 2 ** (level + 1)
    cell = CELL // size
    if min(planes.shape[1:]) < CELL:
        nothing = planes.new_zeros(0)
        return EdgePoints(nothing.long(), nothing, nothing, nothing)
    small = _binomial(_binomial(shrink(planes, size, size), 1), 2)
    gy = F.pad(small[:, 2:] - small[:, :-2], (0, 0, 1, 1)) / 2
    gx = F.pad(small[:, :, 2:] - small[:, :, :-2], (1, 1)) / 2
    products = (gx * gx, gy * gy, gx * gy)
    steepest, where = F.max_pool2d(products[0] + products[1], cell, return_indices=True)
    xx, yy, xy = (_around(shrink(product, cell, cell)) for product in products)
    normal = torch.atan2(2 * xy, xx - yy) / 2
    strong = steepest > (MIN_CONTRAST * STEP_TO_SLOPE) ** 2
    oblique = torch.sin(2 * normal).abs() > math.sin(2 * MIN_OBLIQUE)
    found = torch.nonzero(_coherent(xx, yy, xy) & strong & oblique & _ridge(steepest, xx > yy), as_tuple=True)
    row = torch.div(where[found], small.shape[2], rounding_mode="floor")
    column = where[found] % small.shape[2]
    middle = (size - 1) / 2
    return EdgePoints(found[0], row * size + middle, column * size + middle, normal[found])


def _coherent(xx: Tensor, yy: Tensor, xy: Tensor) -> Tensor:
    """Whether the gradients of a cell have one direction, by the components of its structure tensor."""
    coherence = torch.hypot(xx - yy, 2 * xy) / (xx + yy).clamp_min(torch.finfo(xx.dtype).tiny)
    return coherence > MIN_COHERENCE


def _ridge(steepest: Tensor, horizontal: Tensor) -> Tensor:
    """Whether a cell is as steep as those on both sides of its edge; `horizontal` says where the gradient is that."""
    left_and_right = F.max_pool2d(steepest, (1, 3), 1, (0, 1))
    above_and_below = F.max_pool2d(steepest, (3, 1), 1, (1, 0))
    return steepest >= torch.where(horizontal, left_and_right, above_and_below)


def shrink(planes: Tensor, rows: int, columns: int) -> Tensor:
    """`(P, H, W)` planes averaged over blocks of `rows` x `columns`; what does not fill a block is left out.

    For these small blocks adding slices is several times faster than a pooling layer.
    """
    height, width = planes.shape[1] // rows * rows, planes.shape[2] // columns * columns
    total = sum((planes[:, r:height:rows] for r in range(1, rows)), planes[:, 0:height:rows])
    total = sum((total[:, :, c:width:columns] for c in range(1, columns)), total[:, :, 0:width:columns])
    return total / (rows * columns)


def runs(planes: Tensor, length: int, axis: int = 1) -> Tensor:
    """Every run of `length` pixels along an axis, as a view; row i starts at pixel i of the flattened planes."""
    flat = planes.contiguous().flatten()
    step = 1 if axis == 1 else planes.shape[2]
    return flat.as_strided((max(0, flat.numel() - (length - 1) * step), length), (1, step))


def _binomial(planes: Tensor, axis: int) -> Tensor:
    """The [1 4 6 4 1] / 16 filter, close to a Gaussian of one pixel; borders are replicated."""
    size = planes.shape[axis]
    padded = F.pad(planes, (0, 0, 2, 2) if axis == 1 else (2, 2, 0, 0), mode="replicate")
    a, b, c, d, e = (padded.narrow(axis, k, size) for k in range(5))
    return (a + e) / 16 + (b + d) / 4 + c * (3 / 8)


def _around(cells: Tensor) -> Tensor:
    """Each cell with its neighbours, weighted [1 2 1] both ways; borders are replicated."""
    padded = F.pad(cells, (1, 1, 1, 1), mode="replicate")
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 16
