"""A site's output with its lattice removed, and everything else left as it is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.attribution.sites.upsampling import Growth
from artifactlab.metrics.bands import running_sum
from artifactlab.scoring.periods import lattice_period

NEIGHBOURS = 3
"""Blocks per side over which the phase pattern is averaged, twice. Five did a little worse on the development split
(docs/decisions.md, "Notch in the signal domain")."""
LACKING = 0.1
"""Share of a block's variation that may be missing before it is put back, as ramps describe content only roughly. See
docs/decisions.md, "Replication is told by what blocks lack"."""
CACHED = 1 << 17
"""Number of values that are worked on at a time; half a megabyte, so that temporaries stay in a core's cache."""


def repair(growth: Growth) -> Tensor:
    """The site's output as a smooth upsampler would have made it.

    A nearest resize is swapped for a cubic one of the same input. Everything else keeps its output, less its local
    phase pattern, which is narrow-band, and less the part of its blocks that is replicated, which is not.
    """
    with torch.no_grad(), torch.autocast(growth.output.device.type, enabled=False):
        output = growth.output.detach()
        if growth.nearest and growth.input is not None:
            return _resized(growth.input.detach().float(), output.shape[-2:]).to(output.dtype)
        return without_lattice(output, lattice_period(growth.scale))


def without_lattice(activation: Tensor, period: tuple[int, int]) -> Tensor:
    """An (N, C, H, W) activation or output less its local phase pattern, and less the replicated part of its blocks."""
    return smooth_blocks(remove_lattice(activation, period), period)


def remove_lattice(activation: Tensor, period: tuple[int, int], neighbours: int = NEIGHBOURS) -> Tensor:
    """Notch out the lattice frequencies of `period`, everywhere in an (N, C, H, W) activation.

    What a triangle of two periods leaves over, averaged over the neighbouring blocks' pixels of the same phase, is the
    local phase pattern, and is subtracted. The triangle passes ramps and is blind to the lattice, so that slopes are no
    pattern, and grids are nothing else. Constants pass unchanged, up to the border. The more `neighbours` a side, the
    less texture looks like a pattern, and the less a grid may change from place to place.

    >>> import torch
    >>> board = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(8, 8)[None, None]
    >>> remove_lattice(board, (2, 2))[..., 6:-6, 6:-6].std().item() < 1e-6
    True
    """
    if period == (1, 1):
        return activation.clone()
    planes = activation.float().flatten(0, 1)
    together = max(1, CACHED // max(1, planes[0].numel()))
    repaired = [part - _phase_pattern(part, period, neighbours) for part in planes.split(together)]
    return torch.cat(repaired).view_as(activation).to(activation.dtype)


def _phase_pattern(planes: Tensor, period: tuple[int, int], neighbours: int) -> Tensor:
    """The local phase pattern of (P, H, W) planes."""
    (ph, pw), (count, h, w) = period, planes.shape
    smooth = planes
    for axis, p in ((1, ph), (2, pw)):
        if p > 1:  # else the sums are the model's own activation, which must not be divided in place
            smooth = running_sum(running_sum(_extended(smooth, axis, p - 1, p - 1), p, axis), p, axis).div_(p**2)
    detail = _extended(_extended(planes - smooth, 1, 0, -h % ph), 2, 0, -w % pw)
    phases = detail.view(count, detail.shape[1] // ph, ph, detail.shape[2] // pw, pw)
    k = neighbours
    for axis in (1, 3):
        phases = running_sum(running_sum(_extended(phases, axis, k - 1, k - 1), k, axis), k, axis).div_(k**2)
    block_means = F.avg_pool2d(phases.reshape(detail.shape), period)
    pattern = phases - block_means[:, :, None, :, None]
    return pattern.reshape(detail.shape)[:, :h, :w]


def _extended(values: Tensor, axis: int, before: int, after: int) -> Tensor:
    """The first and last values along an axis repeated beyond the border."""
    first, last = values.narrow(axis, 0, 1), values.narrow(axis, -1, 1)
    return torch.cat([*[first] * before, values, *[last] * after], axis) if before + after else values


def smooth_blocks(activation: Tensor, scale: tuple[int, int]) -> Tensor:
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
    h, w = activation.shape[-2:]
    if scale == (1, 1) or h < 3 * scale[0] or w < 3 * scale[1]:
        return activation
    values, beyond = activation.float(), (0, -w % scale[1], 0, -h % scale[0])
    if any(beyond):
        values = F.pad(values, beyond, mode="replicate")
    means = F.avg_pool2d(values, scale)
    within = _energy(values) - _energy(means)
    lacking = 1 - (within.clamp_min(0) / _ramp_variance(means, scale).clamp_min(1e-30)).sqrt()
    lacking = lacking.where(lacking > LACKING, 0.0)
    levelled = lacking.nonzero()[:, 0]
    if len(levelled) == 0:
        return activation
    means, size = means[:, levelled], values.shape[-2:]
    ramps = (_resized(means, size) - F.interpolate(means, size, mode="nearest"))[..., :h, :w]
    wanted = ramps * lacking[levelled, None, None]
    return activation.index_add(1, levelled, wanted.to(activation.dtype))


def _ramp_variance(means: Tensor, scale: tuple[int, int]) -> Tensor:
    """The variance (C,) within blocks that ramps between their means have."""
    smooth = remove_lattice(means, (2, 2))
    rows, columns = smooth[:, :, 2:] - smooth[:, :, :-2], smooth[..., 2:] - smooth[..., :-2]
    slopes = (_energy(step) / (2 * p) ** 2 for step, p in zip((rows, columns), scale, strict=True))
    vertical, horizontal = (slope * (p**2 - 1) / 12 for slope, p in zip(slopes, scale, strict=True))
    return vertical + horizontal


def _energy(values: Tensor) -> Tensor:
    """Mean square of each channel (C,)."""
    return torch.linalg.vector_norm(values, dim=(2, 3)).square().mean(0) / max(1, values[0, 0].numel())


def _resized(source: Tensor, size: torch.Size) -> Tensor:
    """A smooth resize, but for a grid of period 2 in `source`, at its Nyquist frequency.

    That stays as a nearest resize leaves it: interpolation would halve it, and the site that drew it would go free.
    """
    smooth = remove_lattice(source, (2, 2))
    # with antialias torch takes Keys' cubic, which keeps straight ramps straight; its other cubic does not
    cubic = F.interpolate(smooth, size, mode="bicubic", align_corners=False, antialias=True)
    return cubic + F.interpolate(source - smooth, size, mode="nearest")
