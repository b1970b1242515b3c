"""Contours of oblique edges, followed from row to row, or from column to column where they cross those more steeply."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.edges import CELL, MIN_CONTRAST, MIN_OBLIQUE, Core, EdgePoints, edge_points, runs, shrink
from artifactlab.metrics.inputs import product

HALF_LENGTH = 8
"""a contour is followed this many rows to both sides of an edge point, twice as many at the second level"""
HALF_WIDTH = 6
"""and searched this many columns to both sides, twice as many at the second level"""
FITTED = 2.0
"""rows to each side that the fit of a contour's path takes away; 1.5 if rows were independent, more as runs are not"""
MIN_OBLIQUE_SHARE = 0.5
"""a contour most of which is axis-parallel, like that of a rounded corner, is left out"""
MAX_SIDE_STD = 1.0
"""of the contrast: what varies more on both sides together is no edge between two flats"""


class Contours(NamedTuple):
    """Contours around the edge points of one level and axis, E of them, and their T steps from row to row nearby."""

    plane: Tensor
    """(E,) index into the planes"""
    points: Tensor
    """(E, 2) row and column of the edge point in the image"""
    rms: Tensor
    """(E,) distance of the contour from its smooth path, pixels"""
    rows: Tensor
    """(E, T) row before each step"""
    advance: Tensor
    """(E, T) columns the smooth path advances at each step, at least 0"""
    excess: Tensor
    """(E, T) columns the contour advances more than its path"""


def follow_contours(
    planes: Tensor, level: int, core: Core | None = None, points: EdgePoints | None = None
) -> tuple[Contours, Contours]:
    """The contours crossed row by row, and those crossed column by column."""
    found = edge_points(planes, level) if points is None else points
    if core is not None:
        found = found.within(*core)
    steep = found.normal.cos().abs() > found.normal.sin().abs()
    upright, (plane, row, column, normal) = found.only(steep), found.only(~steep)
    by_rows = _follow(planes, upright, level, 0)
    by_columns = _follow(planes, EdgePoints(plane, column, row, math.pi / 2 - normal), level, 1)
    return by_rows, by_columns._replace(points=by_columns.points.flip(1))


def _follow(planes: Tensor, edges: EdgePoints, level: int, axis: int) -> Contours:
    """Follow the contour through each edge point from row to row, `HALF_LENGTH` rows up and down.

    At the second level columns are averaged in pairs, so that twice the width is seen; rows stay as they are. For axis
    1 "row" and "column" have changed places, in `edges` and in the result.
    """
    shrunk, half = 2**level, HALF_LENGTH * 2**level
    planes = shrink(planes, *((1, shrunk) if axis == 0 else (shrunk, 1))) if level else planes
    height, width = planes.shape[1:] if axis == 0 else planes.shape[:0:-1]
    plane, row, column, normal = edges
    slope = -torch.tan(normal) / shrunk
    start = (column + 0.5) / shrunk - 0.5
    steps = torch.arange(0.5 - half, half, device=planes.device, dtype=planes.dtype)
    reach = slope.abs() * half + HALF_WIDTH + 1
    inside = (row >= half) & (row < height - half) & (start >= reach) & (start < width - 1 - reach)
    plane, slope, start, row, column = (t[inside] for t in (plane, slope, start, row, column))

    # columns are counted from near the edge point: far from 0, floats are too coarse for a contour
    origin = start.floor()
    expected = (start - origin)[:, None] + slope[:, None] * steps
    rows = (row[:, None] + steps).round().long()
    position, clear, contrast = _crossing(planes, axis, plane, rows, origin, expected)
    path = _quadratic_fit(position)
    path_steps = path.diff(dim=1)
    near = slice(half - CELL // 2 - 1, half + CELL // 2)  # steps around the edge point, which alone count for the lock
    oblique = path_steps[:, near].abs() * shrunk > math.tan(MIN_OBLIQUE)
    in_view = (path - expected).abs().amax(1) < HALF_WIDTH - 1
    keep = clear & (contrast > MIN_CONTRAST) & in_view & (oblique.to(path).mean(1) > MIN_OBLIQUE_SHARE)

    tilt = (path[:, -1] - path[:, 0]) * shrunk / (2 * half - 1)
    freedom = HALF_LENGTH / (HALF_LENGTH - FITTED)
    rms = ((position - path).square().mean(1) * freedom / (1 + tilt.square())).sqrt() * shrunk
    excess = (position.diff(dim=1)[:, near] - path_steps[:, near]) * torch.sign(path_steps[:, near])
    points = torch.stack([row, column], 1)
    fields = (plane, points, rms, rows[:, near], path_steps[:, near].abs(), excess)
    return Contours(*(field[keep] for field in fields))


def _crossing(
    planes: Tensor, axis: int, plane: Tensor, rows: Tensor, origin: Tensor, expected: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Where each row crosses the edge `(E, R)` from `origin` on; whether its sides are flats; their contrast (E,).

    The edge is where a step between the levels of both sides would have the same area. Unlike a threshold this has no
    bias that depends on where a pixel happens to lie, which would keep step with a lattice all along a straight edge.
    """
    along, across = (planes.shape[2], 1) if axis == 0 else (1, planes.shape[2])
    left = torch.floor(expected - HALF_WIDTH + 0.5)
    beyond = expected - HALF_WIDTH + 0.5 - left
    first = plane[:, None] * planes[0].numel() + rows * along + (left + origin[:, None]).long() * across
    patch = runs(planes, 2 * HALF_WIDTH + 1, 1 - axis).index_select(0, first.flatten()).unflatten(0, first.shape)
    low, high = (patch[:, :, 0] + patch[:, :, 1]) / 2, (patch[:, :, -1] + patch[:, :, -2]) / 2
    base, top = low.mean(1, keepdim=True), high.mean(1, keepdim=True)
    contrast = top - base
    safe = torch.where(contrast.abs() < 1e-6, 1e-6, contrast)
    share = patch.sub_(base[:, :, None]).mul_(1 / safe[:, :, None]).clamp_(0, 1)
    # `beyond` of the first pixel and all but that much of the last are outside of the 2 HALF_WIDTH columns
    area = product(share, share.new_ones(share.shape[2])) - beyond * share[:, :, 0] - (1 - beyond) * share[:, :, -1]
    position = expected + HALF_WIDTH - area
    varies = sum((side - mean).square().mean(1).sqrt() for side, mean in ((low, base), (high, top)))
    contrast = contrast.abs().squeeze(1)
    return position, varies < MAX_SIDE_STD * contrast, contrast


def _quadratic_fit(contour: Tensor) -> Tensor:
    """The smooth path of each contour: its least-squares parabola, which follows curved edges."""
    t = torch.linspace(-1, 1, contour.shape[1], dtype=contour.dtype, device=contour.device)
    basis, _ = torch.linalg.qr(torch.stack([torch.ones_like(t), t, t * t], 1))
    return product(product(contour, basis), basis.T)
