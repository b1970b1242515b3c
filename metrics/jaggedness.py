"""Edge jaggedness: how far, in pixels, oblique edge contours run in axis-parallel steps.

Raggedness in the sense of ISO/IEC 24790 is the rms distance of an edge contour from its own smooth path. On photos that
alone says little: natural outlines wander as far as a x2 stair-step does, and so does noise. What sets stair-steps
apart is that their contour runs *along the pixel axes*. So the rms distance is multiplied by the share of the contour
that is locked to the axes, estimated over all edges of an image together (`_axis_lock`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.metrics.gradients import orientation
from artifactlab.metrics.inputs import as_images, reduce

LEVELS = 3
"""dyadic levels: the first sees steps of 1 to 3 pixels, the last those of 6 and more"""
SIGMA = 1.5
INTEGRATION = 3.0
HALF_LENGTH = 8
"""a contour is followed this many pixels to both sides of an edge point"""
HALF_WIDTH = 6
"""and searched this many pixels along the normal"""
STEP = 0.5
MIN_COHERENCE = 0.85
MIN_CONTRAST = 0.08
"""edges weaker than this fraction of the data range are left out"""
MIN_OBLIQUE = math.radians(10)
"""axis-parallel edges cannot stair-step: neither an edge nor a part of its contour is looked at within this angle"""
MIN_OBLIQUE_SHARE = 0.5
"""a contour most of which is axis-parallel, like that of a rounded corner, is left out"""
MAX_EDGES = 1000
"""edge points measured per item and level, evenly spread; neighbours see the same contour"""
STATISTICS = 9
MIN_EDGES = 20
"""fewer edge points than this say nothing about an image"""
ERRORS = 2.0
"""standard errors by which the axis lock must exceed zero; few edges prove little"""
MIN_SIDE = 2 * (HALF_LENGTH + HALF_WIDTH)


class _Edges(NamedTuple):
    """Contours around the edge points of one level; E points, S samples along each contour."""

    item: Tensor
    """(E,) which batch item"""
    found: Tensor
    """(E,) how many edge points each stands for: those found over those measured"""
    position: Tensor
    """(E, 2) row and column at this level"""
    rms: Tensor
    """(E,) distance of the contour from its smooth path, pixels of this level"""
    turned: Tensor
    """(E,) mean of cos 4(angle) along the contour minus along its smooth path"""
    straight: Tensor
    """(E,) mean of cos 4(angle) along the smooth path"""


def edge_jaggedness(x: Tensor, *, data_range: float = 1.0, reduction: str = "mean") -> Tensor:
    """Rms distance, in pixels, of oblique edges from their smooth path, as far as they run along the pixel axes.

    Nearest-neighbour x2 reads around 0.15 on photos, x4 around 0.6 and x8 around 1.2; a hard-edged (binary) line
    replicated `s` times approaches `s / sqrt(12)`. Smooth resizing, blur, JPEG, sharpening, noise and natural outlines
    stay below 0.1, mostly far below. Axis-parallel edges are left out; an image with fewer than 20 points on coherent
    oblique edges reads 0. Known weakness: outlines that bend onto the axes again and again, as those of blurred masonry
    do, read up to 0.2.

    Args:
        x: `(N, C, H, W)` images or activations. Every channel is measured; an item's score pools its channels.
        data_range: distance between the darkest and the brightest possible value.
        reduction: "mean", "sum" or "none" over the batch.

    Returns:
        Pixels, at least 0.

    Raises:
        InputError: if `x` is no finite `(N, C, H, W)` tensor or an argument is out of range.

    Source: raggedness of ISO/IEC 24790:2017; the weighting by axis lock is ours.

    >>> import torch
    >>> stairs = torch.ones(32, 32).tril(3).repeat_interleave(4, 0).repeat_interleave(4, 1)[None, None]
    >>> bool(edge_jaggedness(stairs) > 0.5)
    True
    """
    return reduce(pooled_jaggedness(edge_statistics(as_images(x, data_range, reduction)).squeeze(1)), reduction)


def edge_jaggedness_map(x: Tensor, *, data_range: float = 1.0) -> Tensor:
    """Where the stair-steps are: at each edge point the local jaggedness in pixels, 0 everywhere else.

    Args:
        x: `(N, C, H, W)` images or activations.
        data_range: distance between the darkest and the brightest possible value.

    Returns:
        `(N, 1, H, W)`, the largest value over channels and levels.

    Raises:
        InputError: as `edge_jaggedness`.

    >>> import torch
    >>> edge_jaggedness_map(torch.zeros(1, 1, 40, 40)).max()
    tensor(0.)
    """
    images = as_images(x, data_range)
    height, width = images.shape[2:]
    out = images.new_zeros(images.shape[0] * height * width)
    for level, edges in enumerate(_levels(images)):
        lock = _per_edge_lock(edges.turned, edges.straight)
        size = 2**level
        rows, columns = (edges.position * size).unbind(1)
        for dy in range(size):
            for dx in range(size):
                index = (edges.item * height + rows + dy) * width + columns + dx
                out.scatter_reduce_(0, index, edges.rms * lock * size, "amax")
    return out.view(-1, 1, height, width)


def edge_statistics(images: Tensor, tiles: tuple[int, int] = (1, 1)) -> Tensor:
    """Sums over the edges of each item, tile and level, `(N, rows * columns, LEVELS, STATISTICS)`.

    Each edge counts for the tile it lies in. The sum over several tiles or items is that of all their edges, so its
    `pooled_jaggedness` is that of the tiles together.
    """
    (rows, columns), count = tiles, images.shape[0]
    statistics = images.new_zeros(count * rows * columns, LEVELS, STATISTICS)
    for level, edges in enumerate(_levels(images)):
        # A contour made of axis-parallel runs turns cos 4(angle) from c = `straight` to 1, a gain of 1 - c. Noise and
        # natural wiggle spread the angle around its own mean instead, a gain proportional to -c, positive on diagonals
        # and negative near the axes. The sums are those of the least-squares fit that separates the two.
        steps, wiggle, turned = 1 - edges.straight, -edges.straight, edges.turned
        squares = (edges.rms * 2**level).square()
        terms = [torch.ones_like(turned), edges.found, squares, steps * steps, steps * wiggle, wiggle * wiggle]
        terms += [steps * turned, wiggle * turned, turned * turned]
        height, width = (size // 2**level for size in images.shape[-2:])
        row = torch.div(edges.position[:, 0] * rows, height, rounding_mode="floor")
        column = torch.div(edges.position[:, 1] * columns, width, rounding_mode="floor")
        tile = (edges.item * rows + row) * columns + column
        statistics[:, level].index_add_(0, tile, torch.stack(terms, 1))
    return statistics.reshape(count, rows * columns, LEVELS, STATISTICS)


def pooled_jaggedness(statistics: Tensor) -> Tensor:
    """Jaggedness in pixels from `(..., LEVELS, STATISTICS)` sums: rms times axis lock, the largest over levels."""
    count, squares = statistics[..., 0], statistics[..., 2]
    rms = (squares / count.clamp_min(1)).sqrt()
    return torch.where(count >= MIN_EDGES, rms * _axis_lock(statistics), 0.0).amax(-1)


def _levels(images: Tensor) -> list[_Edges]:
    """The edges of each dyadic level that is large enough to hold a contour."""
    levels = []
    for _ in range(LEVELS):
        if min(images.shape[-2:]) < MIN_SIDE + 2:
            break
        levels.append(_measure_edges(images))
        images = F.avg_pool2d(images, 2)
    return levels


def _measure_edges(images: Tensor) -> _Edges:
    """Find edge points, sample the image around each along tangent and normal, and follow the contour there."""
    channels = images.shape[1]
    planes = images.flatten(0, 1)
    plane, row, column, normal, found = _edge_points(planes, images.shape[0])
    if plane.numel() == 0:
        nothing = planes.new_zeros(0)
        return _Edges(plane, nothing, torch.stack([row, column], 1), nothing, nothing, nothing)
    along = torch.arange(-HALF_LENGTH / STEP, HALF_LENGTH / STEP + 1, device=planes.device, dtype=planes.dtype) * STEP
    across = torch.arange(-HALF_WIDTH / STEP, HALF_WIDTH / STEP + 1, device=planes.device, dtype=planes.dtype) * STEP
    cos, sin = normal.cos()[:, None, None], normal.sin()[:, None, None]
    rows = row[:, None, None] + across * sin + along[:, None] * cos
    columns = column[:, None, None] + across * cos - along[:, None] * sin
    patch = _bilinear(planes, plane, rows, columns)

    low, high = patch[:, :, :4].mean(2), patch[:, :, -4:].mean(2)
    contrast = high.mean(1) - low.mean(1)
    middle = (high.mean(1) + low.mean(1)) / 2
    safe = torch.where(contrast.abs() < 1e-6, 1e-6, contrast)
    # The length of the side above mid-level, counted with a soft threshold three times steeper than the edge's own
    # contrast: a level crossing that noise in the flats cannot move.
    side = ((patch - middle[:, None, None]) / safe[:, None, None] * 3 + 0.5).clamp(0, 1)
    contour = HALF_WIDTH - side.sum(2) * STEP
    path = _quadratic_fit(contour)
    angle = normal[:, None] - torch.atan(contour.diff(dim=1) / STEP)
    path_angle = normal[:, None] - torch.atan(path.diff(dim=1) / STEP)
    length = torch.hypot(contour.diff(dim=1), torch.full_like(contour[:, 1:], STEP))
    oblique = torch.sin(2 * path_angle).abs() > math.sin(2 * MIN_OBLIQUE)
    length = torch.where(oblique, length, 0.0)
    length = length / length.sum(1, keepdim=True).clamp_min(STEP)
    straight = (torch.cos(4 * path_angle) * length).sum(1)
    turned = (torch.cos(4 * angle) * length).sum(1) - straight

    inside = (path.amax(1) - path.amin(1)) < HALF_WIDTH
    clean_sides = low.std(1, correction=0) + high.std(1, correction=0) < 0.5 * contrast.abs()
    mostly_oblique = oblique.to(length.dtype).mean(1) > MIN_OBLIQUE_SHARE
    keep = (contrast.abs() > MIN_CONTRAST) & inside & clean_sides & mostly_oblique
    rms = (contour - path).square().mean(1).sqrt()
    item = torch.div(plane, channels, rounding_mode="floor")
    position = torch.stack([row, column], 1)
    return _Edges(item[keep], found[keep], position[keep], rms[keep], turned[keep], straight[keep])


def _edge_points(planes: Tensor, items: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Ridge points of the gradient on coherent, oblique, strong edges: plane, row, column, normal angle, and how many
    found points each stands for."""
    local = orientation(planes.unsqueeze(1), SIGMA, INTEGRATION)
    normal, coherence, magnitude = (field.squeeze(1) for field in local)
    around = F.pad(magnitude, (1, 1, 1, 1))
    centre_rows, centre_columns = around[:, 1:-1, :], around[:, :, 1:-1]
    # of two equal neighbours both count, so that a mirrored image has mirrored edges
    ridge_x = (magnitude >= centre_rows[:, :, :-2]) & (magnitude >= centre_rows[:, :, 2:])
    ridge_y = (magnitude >= centre_columns[:, :-2, :]) & (magnitude >= centre_columns[:, 2:, :])
    cos, sin = normal.cos().abs(), normal.sin().abs()
    contrast = magnitude * (math.sqrt(2 * math.pi) * SIGMA)  # of a step edge seen through the Gaussian derivative
    found = torch.where(cos > sin, ridge_x, ridge_y) & (torch.minimum(cos, sin) > math.sin(MIN_OBLIQUE))
    found &= (coherence > MIN_COHERENCE) & (contrast > MIN_CONTRAST)
    margin = math.ceil(math.hypot(HALF_LENGTH, HALF_WIDTH)) + 1
    inner = torch.zeros_like(found)
    inner[:, margin:-margin, margin:-margin] = True
    plane, row, column = torch.nonzero(found & inner, as_tuple=True)
    item = torch.div(plane, planes.shape[0] // items, rounding_mode="floor")
    count = torch.bincount(item, minlength=items)
    keep = _spread(count)
    plane, row, column = plane[keep], row[keep], column[keep]
    share = (count / count.clamp(max=MAX_EDGES)).to(planes.dtype)[item[keep]]
    return plane, row, column, normal[plane, row, column], share


def _spread(counts: Tensor) -> Tensor:
    """Indices of at most MAX_EDGES evenly spread points of each item, from the number of points of each."""
    chosen, start = [], 0
    for count in counts.tolist():
        picks = torch.arange(min(count, MAX_EDGES), device=counts.device)
        chosen.append(start + torch.div(picks * count, max(1, min(count, MAX_EDGES)), rounding_mode="floor"))
        start += count
    return torch.cat(chosen)


def _bilinear(planes: Tensor, plane: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Sample `planes[plane]` at fractional `rows`, `columns` (E, S, T); every position lies inside."""
    width = planes.shape[2]
    top, left = rows.floor(), columns.floor()
    fy, fx = rows - top, columns - left
    base = plane[:, None, None] * planes[0].numel() + top.long() * width + left.long()
    flat = planes.reshape(-1)
    upper = torch.lerp(flat[base], flat[base + 1], fx)
    lower = torch.lerp(flat[base + width], flat[base + width + 1], fx)
    return torch.lerp(upper, lower, fy)


def _quadratic_fit(contour: Tensor) -> Tensor:
    """The smooth path of each contour: its least-squares parabola, which follows curved edges."""
    t = torch.linspace(-1, 1, contour.shape[1], dtype=contour.dtype, device=contour.device)
    basis, _ = torch.linalg.qr(torch.stack([torch.ones_like(t), t, t * t], 1))
    return contour @ basis @ basis.T


def _axis_lock(statistics: Tensor) -> Tensor:
    """Share, in [0, 1], of contours that run along the axes; 1 from half of the contour length on.

    The small ridge gives the benefit of the doubt to stair-steps where a single direction makes them inseparable from
    wiggle; few edges prove little, so the share counts only as far as it exceeds its standard error.
    """
    count, found, _, ss, sw, ww, st, wt, tt = statistics.unbind(-1)
    ww = ww + 0.05 * count
    determinant = (ss * ww - sw * sw).clamp_min(1e-9)
    share, spread = (ww * st - sw * wt) / determinant, (ss * wt - sw * st) / determinant
    residual = tt - 2 * (share * st + spread * wt) + share**2 * ss + 2 * share * spread * sw + spread**2 * ww
    # neighbouring edge points see the same contour
    independent = torch.minimum(count, found / (2 * HALF_LENGTH)).clamp_min(1)
    error = (residual.clamp_min(0) * ww / determinant / independent).sqrt()
    return (2 * (share - ERRORS * error)).clamp(0, 1)


def _per_edge_lock(turned: Tensor, straight: Tensor) -> Tensor:
    """The lock of each edge alone, for maps. Wiggle looks like steps there, so small locks count as none."""
    share = turned / (1 - straight).clamp_min(1e-6)
    return (3 * (share - 1 / 6)).clamp(0, 1)
