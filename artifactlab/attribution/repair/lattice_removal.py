"""A site's output with its lattice removed, and everything else left as it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.attribution.sites.upsampling import Growth
from artifactlab.metrics.bands import SPATIAL, running_sum
from artifactlab.scoring.periods import lattice_period

NEIGHBOURS = 3
"""Blocks per side over which the phase pattern is averaged, twice. Five did a little worse on the development split
(docs/decisions.md, "Notch in the signal domain")."""
LACKING = 0.1
"""Share of a block's variation that may be missing before it is put back, as ramps describe content only roughly. See
docs/decisions.md, "Replication is told by what blocks lack"."""
CACHED = 1 << 17
"""Number of values that are worked on at a time; half a megabyte, so that temporaries stay in a core's cache."""
Part = tuple[slice, slice]
"""Some of several fields, and a part of their first axis."""
POOLS: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
"""Means over blocks, by the number of axes."""


def repair(growth: Growth) -> Tensor:
    """The site's output as a smooth upsampler would have made it.

    A nearest resize is swapped for a cubic one of the same input. Everything else keeps its output, less its local
    phase pattern, which is narrow-band, and less the part of its blocks that is replicated, which is not.
    """
    with torch.no_grad(), torch.autocast(growth.output.device.type, enabled=False):
        output = growth.output.detach()
        if growth.nearest and growth.input is not None:
            return _resized(growth.input.detach().float(), output.shape[SPATIAL:]).to(output.dtype)
        return without_lattice(output, lattice_period(growth.scale))


def without_lattice(activation: Tensor, period: Sequence[int]) -> Tensor:
    """An (N, C, *space) activation or output less its local phase pattern, and the replicated part of its blocks."""
    return smooth_blocks(remove_lattice(activation, period), period)


def remove_lattice(activation: Tensor, period: Sequence[int], neighbours: int = NEIGHBOURS) -> Tensor:
    """Notch out the lattice frequencies of `period`, everywhere in an (N, C, *space) activation.

    What a triangle of two periods leaves over, averaged over the neighbouring blocks' samples of the same phase, is the
    local phase pattern, and is subtracted. The triangle passes ramps and is blind to the lattice, so that slopes are no
    pattern, and grids are nothing else. Constants pass unchanged, up to the border. The more `neighbours` a side, the
    less texture looks like a pattern, and the less a grid may change from place to place.

    Args:
        activation: of one to three axes of space; it is not written to.
        period: spacing along each of them, 1 where there is no lattice.
        neighbours: blocks per side that are averaged over, twice.

    >>> import torch
    >>> board = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(8, 8)[None, None]
    >>> remove_lattice(board, (2, 2))[..., 6:-6, 6:-6].std().item() < 1e-6
    True
    """
    if max(period) == 1:
        return activation.clone()
    fields = activation.float().flatten(0, 1)
    repaired = fields.clone()
    for part, pattern in _phase_patterns(fields, period, neighbours):
        repaired[part] -= pattern
    return repaired.view_as(activation).to(activation.dtype)


def _phase_patterns(fields: Tensor, period: Sequence[int], neighbours: int) -> Iterator[tuple[Part, Tensor]]:
    """The local phase pattern of (P, *space) fields: some fields at a time, or strips of one that is large."""
    together = max(1, CACHED // max(1, fields[0].numel()))
    p, size = period[0], fields.shape[1]
    reach = neighbours * p  # of what a pattern is made of, in whole periods
    rows = max(2 * reach, CACHED * size // max(1, fields[0].numel()) // p * p)
    for first in range(0, len(fields), together):
        some = slice(first, first + together)
        for start in range(0, size, rows):
            low = max(0, start - reach)
            around = fields[some, low : start + rows + reach]
            pattern = _phase_pattern(around, period, neighbours)
            yield (some, slice(start, start + rows)), pattern[:, start - low : start - low + rows]


def _phase_pattern(fields: Tensor, period: Sequence[int], neighbours: int) -> Tensor:
    """The local phase pattern of (P, *space) fields."""
    sizes = fields.shape[1:]
    smooth = fields
    for axis, p in enumerate(period, 1):
        if p > 1:  # else the sums are the model's own activation, which must not be divided in place
            smooth = running_sum(running_sum(_extended(smooth, axis, p - 1, p - 1), p, axis), p, axis).div_(p**2)
    detail = fields - smooth
    for axis, (p, size) in enumerate(zip(period, sizes, strict=True), 1):
        detail = _extended(detail, axis, 0, -size % p)
    blocks = [(length // p, p) for length, p in zip(detail.shape[1:], period, strict=True)]
    phases = detail.view(len(fields), *(n for pair in blocks for n in pair))
    k = neighbours
    for axis in range(1, phases.ndim, 2):
        phases = running_sum(running_sum(_extended(phases, axis, k - 1, k - 1), k, axis), k, axis).div_(k**2)
    block_means = POOLS[len(period)](phases.reshape(detail.shape), tuple(period))
    pattern = phases - block_means.view(len(fields), *(n for count, _ in blocks for n in (count, 1)))
    return pattern.reshape(detail.shape)[(slice(None), *map(slice, sizes))]


def _extended(values: Tensor, axis: int, before: int, after: int) -> Tensor:
    """The first and last values along an axis repeated beyond the border."""
    first, last = values.narrow(axis, 0, 1), values.narrow(axis, -1, 1)
    return torch.cat([*[first] * before, values, *[last] * after], axis) if before + after else values


def smooth_blocks(activation: Tensor, scale: Sequence[int]) -> Tensor:
    """Put the ramps back into blocks of `scale` that an upsampler has levelled, channel by channel.

    Where means of neighbouring blocks differ, a smooth upsampler varies within the blocks as a ramp between them does;
    nearest replication does not vary at all. The share of that variation that a channel lacks is added to it. Channels
    that vary as much or more are left alone, whatever else they do. A grid that came in with the input is no ramp.

    >>> import torch
    >>> ramp = torch.arange(64.0).expand(1, 1, 64, 64) / 64
    >>> steps = torch.nn.functional.avg_pool2d(ramp, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    >>> bool((smooth_blocks(steps, (2, 2)) - ramp)[..., 8:-8].abs().max() < 0.1 * (steps - ramp).abs().max())
    True
    """
    sizes = activation.shape[SPATIAL:]
    if max(scale) == 1 or any(size < 3 * p for size, p in zip(sizes, scale, strict=True) if p > 1):
        return activation
    together = max(1, CACHED // max(1, activation[:, :1].numel()))
    smooth: Tensor | None = None
    for first in range(0, activation.shape[1], together):
        some = slice(first, first + together)
        ramps = _lacking_ramps(activation[:, some], scale)
        if ramps is not None:
            smooth = activation.clone() if smooth is None else smooth
            smooth[:, some] += ramps.to(smooth.dtype)
    return activation if smooth is None else smooth


def _lacking_ramps(activation: Tensor, scale: Sequence[int]) -> Tensor | None:
    """What the ramps in blocks of some channels lack; None where none lacks any."""
    sizes = activation.shape[SPATIAL:]
    values = activation.float()
    beyond = [(0, -size % p) for size, p in zip(sizes, scale, strict=True)]
    if any(after for _, after in beyond):
        values = F.pad(values, [n for pair in reversed(beyond) for n in pair], mode="replicate")
    means, size = POOLS[len(scale)](values, tuple(scale)), values.shape[SPATIAL:]
    within = _energy(values) - _energy(means)
    lacking = 1 - (within.clamp_min(0) / _ramp_variance(means, scale).clamp_min(1e-30)).sqrt()
    lacking = lacking.where(lacking > LACKING, 0.0)
    if not bool(lacking.any()):
        return None
    ramps = _resized(means, size) - F.interpolate(means, size, mode="nearest")
    return ramps[(slice(None), slice(None), *map(slice, sizes))] * lacking.view(-1, *[1] * len(sizes))


def _ramp_variance(means: Tensor, scale: Sequence[int]) -> Tensor:
    """The variance (C,) within blocks that ramps between their means have."""
    smooth = remove_lattice(means, (2,) * len(scale))
    variance = means.new_zeros(means.shape[1])
    for axis, p in enumerate(scale, SPATIAL):
        if p > 1:
            inner = means.shape[axis] - 2
            slope = _energy(smooth.narrow(axis, 2, inner) - smooth.narrow(axis, 0, inner)) / (2 * p) ** 2
            variance = variance + slope * (p**2 - 1) / 12
    return variance


def _energy(values: Tensor) -> Tensor:
    """Mean square of each channel (C,)."""
    space = tuple(range(SPATIAL, values.ndim))
    norms: Tensor = torch.linalg.vector_norm(values, dim=space)
    return norms.square().mean(0) / max(1, values[0, 0].numel())


def _resized(source: Tensor, size: Sequence[int]) -> Tensor:
    """A smooth resize, but for a grid of period 2 in `source`, at its Nyquist frequency.

    That stays as a nearest resize leaves it: interpolation would halve it, and the site that drew it would go free.
    """
    fields = source.flatten(0, 1)[None]
    resized = fields.new_empty(*fields.shape[:2], *size)
    together = max(1, CACHED // math.prod(size))
    for some, part in zip(fields.split(together, 1), resized.split(together, 1), strict=True):
        smooth = remove_lattice(some, (2,) * len(size))
        part.copy_(_cubic(smooth, size).add_(F.interpolate(some - smooth, tuple(size), mode="nearest")))
    return resized.view(*source.shape[:2], *size)


def _cubic(source: Tensor, size: Sequence[int]) -> Tensor:
    """A cubic resize of (N, C, *space), which torch has of images only: the last two axes, then the first of three."""
    n, c, *sizes = source.shape
    flat = source.reshape(n, -1, *([1, *sizes] if len(sizes) == 1 else sizes[-2:]))
    # with antialias torch takes Keys' cubic, which keeps straight ramps straight; its other cubic does not
    sides = [1, *size] if len(size) == 1 else list(size[-2:])
    resized = F.interpolate(flat, sides, mode="bicubic", align_corners=False, antialias=True)
    if len(size) < 3:
        return resized.view(n, c, *size)
    lines = resized.view(n, c, sizes[0], math.prod(sides))
    if sizes[0] != size[0]:
        lines = F.interpolate(lines, (size[0], math.prod(sides)), mode="bicubic", align_corners=False, antialias=True)
    return lines.view(n, c, *size)
