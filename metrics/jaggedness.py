"""Edge jaggedness: how far, in pixels, oblique edge contours run in axis-parallel steps.

Raggedness in the sense of ISO/IEC 24790 is the rms distance of an edge contour from its own smooth path. On photos that
alone says little: natural outlines wander as far as a x2 stair-step does, and so does noise. What sets stair-steps
apart is *where* their risers are: on the lines of a sampling lattice, the same ones for every edge of the image. So a
contour is followed row by row (or column by column, whichever it crosses more steeply), and its rms distance is
multiplied by the axis lock: how far its advance from row to row is locked to a period of 2 to 8 rows. This is
phase-locked averaging, as in `lattice`: wiggle, noise and texture keep step with nothing and average out.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from artifactlab.metrics.contours import Contours, follow_contours
from artifactlab.metrics.edges import CELL, Core, EdgePoints
from artifactlab.metrics.inputs import as_images, reduce, wide

PERIODS = ((2, 2.5, 3, 3.5, 4), (4.5, 5, 6, 7, 8))
"""rows from riser to riser that are looked for, level by level; those of coarser replication share these"""
LEVELS = len(PERIODS)
CHANCE = 4.0
"""times the power that contours out of step with each other would have together are taken for chance"""
SMALLEST_SIDE = 64
"""pixels per side of the smallest image in which a single stair-stepped edge is long enough to be told from chance"""
MIN_EDGES = 6
"""fewer edge points than this say nothing about an image"""
COUNT, SQUARES, SUMS = 0, 1, 2
"""columns of the statistics: edge points, squared distances; then, per axis, the contours' advance, and per period the
cosine sum, the sine sum and the power of what they advance more than their paths"""
STATISTICS = SUMS + 2 * (1 + 3 * len(PERIODS[0]))


def edge_jaggedness(x: Tensor, *, data_range: float = 1.0, reduction: str = "mean") -> Tensor:
    """Rms distance, in pixels, of oblique edges from their smooth path, as far as they step in time with a lattice.

    A hard-edged (binary) line replicated `s` times reads about `s / sqrt(12)`, a fifth less near 45 degrees; on photos
    nearest-neighbour x2 reads around 0.35, x4 around 0.6 and x8 around 1.2. Smooth resizing, blur, JPEG, sharpening,
    noise, texture and natural outlines read below 0.1, often exactly 0. Axis-parallel edges are left out, and an image
    with fewer than a handful of oblique edge points reads 0. Replication by a factor that is no integer reads less
    than it should.

    Args:
        x: `(N, C, H, W)` images or activations. Every channel is measured; an item's score pools its channels.
        data_range: distance between the darkest and the brightest possible value.
        reduction: "mean", "sum" or "none" over the batch.

    Returns:
        Pixels, at least 0. Not differentiable.

    Raises:
        InputError: if `x` is no finite `(N, C, H, W)` tensor or an argument is out of range.

    Source: raggedness of ISO/IEC 24790:2017; the axis lock is ours, a mean resultant length as in K. Mardia, P. Jupp,
    "Directional Statistics", 2000.

    >>> import torch
    >>> stairs = torch.ones(48, 48).tril(3).repeat_interleave(4, 0).repeat_interleave(4, 1)[None, None]
    >>> bool(edge_jaggedness(stairs) > 0.5)
    True
    """
    images = as_images(x, data_range, reduction)
    return reduce(pooled_jaggedness(edge_statistics(images).squeeze(1)).to(images), reduction)


def edge_jaggedness_map(x: Tensor, *, data_range: float = 1.0) -> Tensor:
    """Where the stair-steps are: the local jaggedness in pixels in the cell of each edge point, 0 everywhere else.

    A single contour cannot tell stair-steps from wiggle. The map shows how far each keeps step with the lattice that
    all edges of the image agree on; without one it is 0.

    Args:
        x: `(N, C, H, W)` images or activations.
        data_range: distance between the darkest and the brightest possible value.

    Returns:
        `(N, 1, H, W)`, the largest value over channels and levels, constant over cells of 8 x 8 pixels.

    Raises:
        InputError: as `edge_jaggedness`.

    >>> import torch
    >>> edge_jaggedness_map(torch.zeros(1, 1, 40, 40)).max()
    tensor(0.)
    """
    images = as_images(x, data_range)
    n, channels, height, width = images.shape
    rows, columns = -(-height // CELL), -(-width // CELL)
    out = images.new_zeros(n * rows * columns)
    for level in range(LEVELS):
        both = follow_contours(images.flatten(0, 1), level)
        together = _sums(both, level, channels, n, lambda contours: contours.plane // channels, (0, 0))
        best = _locks(together).argmax(1)
        locked = pooled_jaggedness(together.unsqueeze(1)) > 0
        for axis, contours in enumerate(both):
            item = torch.div(contours.plane, channels, rounding_mode="floor")
            local = _local_lock(contours, _axes(together)[1][item, axis, best[item]], level, best[item])
            cell = torch.div(contours.points, CELL, rounding_mode="floor").long()
            index = (item * rows + cell[:, 0]) * columns + cell[:, 1]
            out.scatter_reduce_(0, index, contours.rms * local * locked[item], "amax")
    cells = out.view(n, 1, rows, columns)
    return cells.repeat_interleave(CELL, 2).repeat_interleave(CELL, 3)[..., :height, :width]


def edge_statistics(
    images: Tensor,
    tiles: tuple[int, int] = (1, 1),
    origin: tuple[int, int] = (0, 0),
    core: Core | None = None,
    points: EdgePoints | None = None,
) -> Tensor:
    """Sums over the edges of each item, tile and level, `(N, rows * columns, LEVELS, STATISTICS)`, in float64.

    Each edge counts for the tile it lies in. The sum over several tiles or items is that of all their edges, so its
    `pooled_jaggedness` is that of the tiles together.

    Args:
        images: `(N, C, H, W)` of data range 1.
        tiles: rows and columns of equal tiles the image is divided into.
        origin: row and column that the first pixel has in a larger image this one is cut from.
        core: `(top, bottom, left, right)` in pixels of `images`; edges outside it are left out.
        points: the edge points of the planes at level 0 where they are known already.
    """
    (rows, columns), (n, channels, height, width) = tiles, images.shape

    def tile(contours: Contours) -> Tensor:
        item = torch.div(contours.plane, channels, rounding_mode="floor")
        row = torch.div(contours.points[:, 0] * rows, height, rounding_mode="floor").long()
        column = torch.div(contours.points[:, 1] * columns, width, rounding_mode="floor").long()
        return (item * rows + row) * columns + column

    levels = []
    for level in range(LEVELS):
        both = follow_contours(images.flatten(0, 1), level, core, points if level == 0 else None)
        levels.append(_sums(both, level, channels, n * rows * columns, tile, origin))
    return torch.stack(levels, 1).view(n, rows * columns, LEVELS, STATISTICS)


def pooled_jaggedness(statistics: Tensor) -> Tensor:
    """Jaggedness in pixels from `(..., LEVELS, STATISTICS)` sums: rms times axis lock, the largest over levels."""
    count = statistics[..., COUNT]
    rms = (statistics[..., SQUARES] / count.clamp_min(1)).sqrt()
    lock = _locks(statistics).amax(-1)
    return torch.where(count >= MIN_EDGES, rms * lock, 0.0).amax(-1)


def _sums(
    both: tuple[Contours, ...],
    level: int,
    channels: int,
    groups: int,
    group: Callable[[Contours], Tensor],
    origin: tuple[int, int],
) -> Tensor:
    """The statistics of the contours of both axes, added up by group."""
    dtype = wide(both[0].rms)
    numbers = both[0].rms.new_zeros(groups, SUMS, dtype=dtype)
    axes = []
    for contours, start in zip(both, origin, strict=True):
        index = group(contours)
        squares = contours.rms.to(dtype).square()
        numbers.index_add_(0, index, torch.stack([torch.ones_like(squares), squares], 1))
        rows, excess = contours.rows, contours.excess.to(dtype)
        cosine, sine = ((excess[:, :, None] * wave[rows]).sum(1) for wave in _waves(rows, start, level, dtype))
        advance = contours.advance.to(dtype).sum(1, keepdim=True)
        sums = torch.cat([advance, cosine, sine], 1)
        axes.append(numbers.new_zeros(groups, sums.shape[1]).index_add_(0, index, sums))
        waves = torch.stack([cosine, sine], 1)
        if channels > 1:
            waves, index = _one_per_place(contours, channels, waves, index)
        axes.append(numbers.new_zeros(groups, cosine.shape[1]).index_add_(0, index, waves.square().sum(1)))
    return torch.cat([numbers, *axes], 1)


def _one_per_place(contours: Contours, channels: int, waves: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    """Waves added up, and the group, per cell: what several channels show in one place is one observation."""
    cell = torch.div(contours.points, CELL, rounding_mode="floor").long()
    item = torch.div(contours.plane, channels, rounding_mode="floor")
    keys = torch.cat([torch.stack([group, item], 1), cell], 1)
    places, place = torch.unique(keys, dim=0, return_inverse=True)
    sums = waves.new_zeros(len(places), *waves.shape[1:]).index_add_(0, place, waves)
    return sums, group.new_zeros(len(places)).index_copy_(0, place, group)


def _waves(rows: Tensor, start: int, level: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosine and sine of each row's phase in each period, `(rows, periods)`; row 0 is row `start` of the image."""
    count = int(rows.max()) + 1 if rows.numel() else 1
    row = torch.arange(start, start + count, device=rows.device, dtype=dtype)
    phase = 2 * math.pi * row[:, None] / row.new_tensor(PERIODS[level])
    return phase.cos(), phase.sin()


def _axes(statistics: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The advance `(..., 2 axes)`; the complex sums of the excess, and of its power `(..., 2 axes, periods)`."""
    axes = statistics[..., SUMS:].unflatten(-1, (2, -1))
    cosine, sine, power = axes[..., 1:].unflatten(-1, (3, -1)).unbind(-2)
    return axes[..., 0], torch.complex(cosine, sine), power


def _locks(statistics: Tensor) -> Tensor:
    """Share, in [0, 1], of the contours' advance that is locked to each period, `(..., periods)`.

    The mean resultant length of the rows at which contours advance: 1 if they advance in every s-th row only, 0 if
    evenly. The power that contours out of step with each other have together is taken off above and below.
    """
    advance, sums, power = _axes(statistics)
    chance = CHANCE * power.sum(-2)
    room = advance.square().sum(-1, keepdim=True) - chance
    locked = sums.abs().square().sum(-2) - chance
    return torch.where(room > 0, locked / room.clamp_min(1e-12), 0.0).clamp(0, 1).sqrt()


def _local_lock(contours: Contours, together: Tensor, level: int, period: Tensor) -> Tensor:
    """How far each contour advances in step with the sum of all, in [0, 1]."""
    rows, advance, excess = (t.to(together.real) for t in (contours.rows, contours.advance, contours.excess))
    phase = 2 * math.pi * rows / rows.new_tensor(PERIODS[level])[period, None]
    direction = together / together.abs().clamp_min(1e-12)
    in_step = (excess * (direction.real[:, None] * phase.cos() + direction.imag[:, None] * phase.sin())).sum(1)
    return (in_step / advance.sum(1).clamp_min(1e-12)).clamp(0, 1).to(contours.rms)
