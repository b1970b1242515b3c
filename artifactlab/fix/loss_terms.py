"""The three distances that `EdgeAwareLoss` adds up: of edge directions, of raggedness along edges, and of grids.

All are differentiable in the output, take the target as given, and return one number per image, in fractions of the
data range (directions: of its square). Edges are looked at in the mean over channels, grids in every channel. Grids
may lie along one, two or three axes; edges have a direction in images, and in the slices of volumes.

Gradients are Roberts' crosses: with the differences p and q along the two diagonals, the components of the double
angle are gx^2 - gy^2 = p q and 2 gx gy = (p^2 - q^2) / 2, for two subtractions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.metrics.bands import running_sum
from artifactlab.metrics.inputs import total

AROUND = 4
"""Pixels of the box that a target's edge directions are averaged over, twice: a triangle of 7, in which noise of single
pixels has no direction and a stair-step of a few pixels does not turn an edge."""
JUST_SHOWS = 0.02
"""Gradient, in data ranges per pixel, of a target's edge that counts by half: 5/255, above most photos' noise."""
SCALES = (1, 4)
"""Pixels a side of the windows in which directions are compared: each pixel, and across a stair-step of usual scales
(docs/decisions.md, *The loss is cheap because it reads little*)."""
LOCAL = 6
"""Pixels a side of the windows in which raggedness is compared: longer than a stair-step of scale 4."""
SILENT = 1e-3
"""Gradient, in data ranges per pixel, below which raggedness makes no difference: a quarter of a gray level, where the
root's own gradient must stay finite."""
HALF_WINDOW = 8
"""Pixels by which the windows are apart in which grids are searched, or two periods where these are more: a multiple of
2 and 4, and small enough for a grid to differ from place to place. Windows are twice as large."""


def direction_distance(output: Tensor, target: Tensor) -> Tensor:
    """How differently gradients point along the target's edges, at two scales.

    The mean over pixels and both double-angle components (gx^2 - gy^2, 2 gx gy) of their L1 distance, weighted by how
    coherent and strong the target's edge is there; pixel by pixel, and averaged over windows; both added up. A loss on
    gradient magnitudes does not see what this sees: a stair-step has the right magnitude and the wrong direction.

    Args:
        output, target: (N, C, H, W) of data range 1.

    Returns:
        (N,), in squared data ranges; 0 for images of less than 8 pixels a side.

    >>> import torch
    >>> ramp = torch.linspace(0, 1, 32).expand(1, 1, 32, 32)
    >>> bool(direction_distance(ramp.mT, ramp) > direction_distance(ramp + 0.1, ramp))
    True
    """
    return edge_distances(output, target)[0]


def excess_raggedness(output: Tensor, target: Tensor) -> Tensor:
    """How much more the output varies *along* the target's edges than the target itself does.

    The rms derivative along the edge, in windows, less the target's own: texture, corners and curves that the target
    has cost nothing, and less variation than the target's earns nothing, so that blur does not pay.

    Args:
        output, target: (N, C, H, W) of data range 1.

    Returns:
        (N,), in data ranges per pixel; 0 for images of less than 8 pixels a side.

    >>> import torch
    >>> line = torch.arange(32.0)[:, None] > 0.4 * torch.arange(32.0) + 8
    >>> smooth = torch.nn.functional.avg_pool2d(line.float()[None, None], 3, 1, 1)
    >>> bool(excess_raggedness(line.float()[None, None], smooth) > 0)
    True
    >>> excess_raggedness(torch.full_like(smooth, 0.5), smooth)
    tensor([0.])
    """
    return edge_distances(output, target)[1]


def edge_distances(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """`direction_distance` and `excess_raggedness`, of the same gradients.

    Of volumes (N, C, D, H, W), the mean over all slices across each of the three axes.
    """
    if output.ndim == 5:
        across = [edge_distances(_slices(output, axis), _slices(target, axis)) for axis in (2, 3, 4)]
        means = [[part.view(len(output), -1).mean(1) for part in parts] for parts in across]
        direction, raggedness = (torch.stack(parts).mean(0) for parts in zip(*means, strict=True))
        return direction, raggedness
    with torch.no_grad():
        wanted = _structure(target)
        edges = _edges(wanted)
        own = _rms_along(wanted, edges)
    got = _structure(output)
    apart = [edges.weight * (a - b) for a, b in ((got.along, wanted.along), (got.across, wanted.across))]
    distances = [_mean(_pooled(part[:, None], side).abs()) for part in apart for side in SCALES]
    return torch.stack(distances).sum(0) / 2, _mean(F.relu(_rms_along(got, edges) - own))


def _slices(volumes: Tensor, axis: int) -> Tensor:
    """Volumes (N, C, D, H, W) cut across an axis, (N * slices, C, rows, columns)."""
    return volumes.movedim(axis, 1).flatten(0, 1)


def lattice_distance(output: Tensor, target: Tensor, periods: Sequence[tuple[int, ...]]) -> Tensor:
    """How much of a grid of these periods the output has and the target has not, or the other way round.

    L1 of the `phase_patterns` of what is between them: detail that the target has costs nothing, however regular.

    Args:
        output, target: (N, C, L), (N, C, H, W) or (N, C, D, H, W) of data range 1.
        periods: lattice spacings along each axis, in pixels.

    Returns:
        (N,), in data ranges, the mean over the periods; 0 for images smaller than half a window.

    >>> import torch
    >>> board = 0.02 * (-1.0) ** (torch.arange(32)[:, None] + torch.arange(32))[None, None]
    >>> lattice_distance(0.5 + board, torch.full_like(board, 0.5), [(2, 2)])
    tensor([0.0200])
    """
    patterns = phase_patterns(output - target.detach(), periods)
    return torch.stack([_mean(pattern.abs()) for pattern in patterns]).mean(0)


def phase_patterns(values: Tensor, periods: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """What keeps step with lattices: the mean at each of their phases, in local windows, less the windows' ramps.

    Windows overlap by half and start at the first pixel, so no phase is left out, unlike in a loss that looks at every
    second pixel. Pixels to the right of and below the last half window are not looked at, and along an axis with one
    half window only, ramps stay.

    Args:
        values: (N, C, L), (N, C, H, W) or (N, C, D, H, W).
        periods: lattice spacings along each axis, in pixels.

    Returns:
        Per period, the largest first, windows and phases of each axis, the last axis first: of images (N, C, windows
        across, horizontal period, windows down, vertical period).
    """
    patterns: list[Tensor] = []
    folded: dict[tuple[int, ...], Tensor] = {}
    for period in sorted(periods, reverse=True):
        again = [_folded_again(sums, period) for known, sums in folded.items() if _share_windows(known, period)]
        folded[period] = again[0] if again else _folded(values, period)
        pattern = folded[period]
        for axis in range(2, pattern.ndim, 2):
            pattern = _overlapping(pattern, axis)
        pattern = pattern - pattern.mean(tuple(range(3, pattern.ndim, 2)), keepdim=True)
        patterns.append(pattern / math.prod([2 * _blocks(p) for p in period]))
    return patterns


def _folded(values: Tensor, period: tuple[int, ...]) -> Tensor:
    """(N, C, *space) added up by half window and phase of each axis, the last axis first."""
    # the first axis is added first, and then each of the others in its place: long rows are what a CPU adds best
    rows = values.flatten(3) if values.ndim > 3 else values[..., None]
    found: list[torch.Size] = []
    for p, size in zip(period, values.shape[2:], strict=True):
        if found:
            rows = rows.flatten(2, 3).mT.contiguous()
            rows = rows.reshape(*rows.shape[:2], size, rows.shape[2] * rows.shape[3] // size)
        rows = _folded_rows(rows, p)
        found.append(rows.shape[2:4])
    # what was folded last stands first, the others behind it in their order
    sums = rows.reshape(*rows.shape[:4], *(size for pair in found[:-1] for size in pair))
    if len(found) < 3:
        return sums
    return sums.permute(0, 1, 2, 3, 6, 7, 4, 5)


def _share_windows(coarse: tuple[int, ...], fine: tuple[int, ...]) -> bool:
    """Whether sums for the one period can be added up to those for the other."""
    return all(c % f == 0 and c * _blocks(c) == f * _blocks(f) for c, f in zip(coarse, fine, strict=True))


def _folded_again(sums: Tensor, period: tuple[int, ...]) -> Tensor:
    """`_folded`, from that of a multiple of the period."""
    for axis, p in zip(range(sums.ndim - 1, 2, -2), period, strict=True):
        first, *others = sums.split(p, axis)
        sums = total(others, first)
    return sums


def _blocks(period: int) -> int:
    """Periods in half a window."""
    return max(2, -(-HALF_WINDOW // period))


def _folded_rows(values: Tensor, period: int) -> Tensor:
    """Rows (..., H, W) added up by half window and phase, (..., half windows, period, W)."""
    blocks, size = _blocks(period), values.shape[-2]
    halves = size // (blocks * period)  # not `divmod`, which the compiler cannot follow while a model is watched
    beyond = size - halves * blocks * period
    complete = values.narrow(-2, 0, values.shape[-2] - beyond) if beyond else values
    # not `unflatten`, which the compiler cannot follow while a model is watched
    return complete.reshape(*complete.shape[:-2], halves, blocks, period, complete.shape[-1]).sum(-3)


def _overlapping(sums: Tensor, axis: int) -> Tensor:
    """Neighbouring halves along an axis added up, less the slope between them in the phases along `axis + 1`."""
    halves, period = sums.shape[axis : axis + 2]
    if halves < 2:
        return 2 * sums
    before, after = sums.narrow(axis, 0, halves - 1), sums.narrow(axis, 1, halves - 1)
    slope = (after - before).mean(axis + 1, keepdim=True) * (2 / (_blocks(period) * period))
    phase = torch.arange(period, dtype=sums.dtype, device=sums.device) - (period - 1) / 2
    return before + after - slope * phase.view([period if k == axis + 1 else 1 for k in range(sums.ndim)])


class _Structure(NamedTuple):
    """The gradient between pixels as a double angle, (N, H - 1, W - 1) each."""

    along: Tensor
    """The component gx^2 - gy^2."""
    across: Tensor
    """The component 2 gx gy."""
    energy: Tensor
    """The squared gradient gx^2 + gy^2."""


class _Edges(NamedTuple):
    """Where the target has edges, and which way they run, as large as the structure."""

    weight: Tensor
    """How coherent and strong the edge is, 0 to 1."""
    cosine: Tensor
    """The cosine of twice the angle of the edge's normal."""
    sine: Tensor
    """The sine of twice the angle of the edge's normal."""


def _structure(images: Tensor) -> _Structure:
    gray = images.sum(1) * (2**-0.5 / images.shape[1])  # so that halves need not be taken of products
    h, w = (size - 1 for size in gray.shape[1:])
    falling = gray[:, 1:, 1:] - gray[:, :h, :w]
    rising = gray[:, :h, 1:] - gray[:, 1:, :w]
    p, q = falling.square(), rising.square()
    return _Structure(2 * falling * rising, p - q, p + q)


def _edges(target: _Structure) -> _Edges:
    """The coherent edges, from double angles averaged nearby; without weight where there is no such neighbourhood."""
    along, across, energy = (_averaged(part) for part in target)
    strength = (along.square() + across.square()).sqrt().clamp_min(1e-12)
    weight = (strength / energy.clamp_min(1e-12)).square() * energy / (energy + JUST_SHOWS**2)
    return _Edges(weight, along / strength, across / strength)


def _rms_along(found: _Structure, edges: _Edges) -> Tensor:
    """Rms derivative along the edges in windows, (N, 1, windows down, windows across); the least is `SILENT`."""
    along, across, energy = found
    lengthwise = edges.weight * (energy - along * edges.cosine - across * edges.sine).clamp_min(0)
    return (_pooled(lengthwise[:, None], LOCAL) / 2 + SILENT**2).sqrt()


def _pooled(part: Tensor, side: int) -> Tensor:
    """Means in windows that overlap by half; none of an image smaller than a window."""
    if side == 1 or min(part.shape[2:]) < side:
        return part if side == 1 else part[..., :0, :0]
    return F.avg_pool2d(part, side, side // 2)


def _averaged(part: Tensor) -> Tensor:
    """Over the neighbourhood, by a triangle; 0 where it does not fit in."""
    if min(part.shape[1:]) <= 2 * (AROUND - 1):
        return torch.zeros_like(part)
    for axis in (1, 2):
        part = running_sum(running_sum(part, AROUND, axis), AROUND, axis)
    return F.pad(part / AROUND**4, [AROUND - 1] * 4)


def _mean(values: Tensor) -> Tensor:
    """Per image; 0 where there are no values."""
    flat = values.flatten(1)
    return flat.sum(1) / max(1, flat.shape[1])
