"""The three ways in which a residual follows the content in step with a lattice: see `spectral_sums`."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL, baseband, blocks, folded, inside, slope
from artifactlab.metrics.synchronous import SynchronousSums, synchronous_sums

GRAY_LEVEL = (1 / 255) ** 2
"""residual power that hides a grid no better than none does"""
BLOCK, MOST_BLOCK, BLOCKS = 8, 64, 20
"""samples per side of a block, at least and at most; in between an axis is cut into so many. A residual differs from
place to place, and blocks are weighted by the inverse of its power; 16 instead of 8 halved the evidence at 160 px"""
CONTENT_BLOCK = 32
"""samples per side within which content is compared with its mean"""
ACROSS, ACROSS_PERIODS = 24, 4
"""samples along an edge, and periods of them, within which its residual is compared with its slope: what is constant
along that line is parallel to the axis, does not sweep the lattice's phase, and proves nothing. 24 alone, 3 and 6
periods found fewer blurred steps of period 8"""
REPEATS, ENOUGH = 2, 16
"""of a lattice's spacing in a block, so that what differs between them is no grid; where an image holds so many"""
Frequencies = tuple[tuple[int, ...], ...]


@functools.cache
def own_frequencies(folds: tuple[int, ...], period: int) -> tuple[Frequencies, tuple[int, ...]]:
    """Indices k, one of k and -k, of frequencies k / folds that repeat after `period`; for how many each stands."""
    own, stands_for = [], []
    for k in itertools.product(*(range(fold) for fold in folds)):
        repeats = math.lcm(*(fold // math.gcd(i, fold) for i, fold in zip(k, folds, strict=True)))
        opposite = tuple(-i % fold for i, fold in zip(k, folds, strict=True))
        if repeats == period and k <= opposite:
            own.append(k)
            stands_for.append(1 if k == opposite else 2)
    return tuple(own), tuple(stands_for)


def residual_power(residual: Tensor) -> Tensor:
    """`(N, 1, *blocks)`: mean square of a residual, which varies slowly over the image."""
    sides = [min(BLOCK, size) for size in residual.shape[SPATIAL:]]
    return _smoothed(block_sums(squares_of(residual), sides) / math.prod(sides))


def grid_relation(
    residual: Tensor,
    squares: Tensor,
    folds: tuple[int, ...],
    period: int,
    band: int,
    origin: Sequence[int],
    searching: bool = False,
) -> tuple[SynchronousSums, Tensor, Tensor]:
    """r = c(phase). Halves are the quieter and the busier blocks: what content draws, quiet places do not have.

    Args:
        residual: `(N, C, *space)`, above the baseband of period `band`.
        squares: its squares, mean over channels, `(N, 1, *space)`.
        folds: the lattice's spacing along each axis, as far as it has this period.
        period: at whose own frequencies.
        band: the residual's; where it is another period, the triangle has taken a known part of a grid.
        origin: place of the first sample in a larger image, along each axis.
        searching: leave out what only confirms.

    Returns:
        The sums; the weighted power of the residual (N,); and the residual's power in each block without any grid,
        `(N, 1, *blocks)`, the inverse of which blocks are weighted by: a grid must not weaken itself.
    """
    sizes = residual.shape[SPATIAL:]
    repeats = REPEATS if all(size >= ENOUGH * fold for size, fold in zip(sizes, folds, strict=True)) else 1
    sides = [block_side(size, fold, repeats=repeats) for size, fold in zip(sizes, folds, strict=True)]
    parts, samples, phases = blocks(residual, sides), math.prod(sides), math.prod(folds)
    by_phase = folded(parts, folds)
    square = block_sums(squares, sides)
    in_step = by_phase.detach().square().sum(tuple(range(-len(folds), 0))).mean(1, keepdim=True) * (phases / samples)
    apart = (square - in_step).clamp_min(0) / (samples - phases) if samples > phases else square / samples
    power = _smoothed(apart)
    weight = 1 / (power / GRAY_LEVEL + 1)
    spectra = _spectra(by_phase, folds, period, origin) * weight[..., None]
    if band != period:
        spectra = spectra / _kept(folds, period, band).to(spectra.real)
    count = float(samples) * weight[:, 0]
    quiet = _quiet_half(power, count)
    of_rounding = (count * weight[:, 0]).flatten(1).sum(1)
    halves = (spectra * quiet[:, None, ..., None], spectra * (1 - quiet)[:, None, ..., None])
    stands_for = own_frequencies(folds, period)[1]
    sums = synchronous_sums(halves, (count * quiet, count * (1 - quiet)), of_rounding, stands_for, searching)
    return sums, (square * weight).flatten(1).sum(1), power


def modulation_relation(
    images: Tensor,
    content: Tensor,
    residual: Tensor,
    power: Tensor,
    folds: tuple[int, ...],
    period: int,
    origin: Sequence[int],
) -> tuple[SynchronousSums, Tensor]:
    """r = m(phase) (content - its mean). Halves: content above and below. Beside the sums, its squares (N,)."""
    sides = [block_side(n, fold, CONTENT_BLOCK) for n, fold in zip(images.shape[SPATIAL:], folds, strict=True)]
    within = inside(sides)
    parts, whole, left = (blocks(x, sides) for x in (content, images, residual))
    about = parts - parts.mean(within, keepdim=True)
    weight = _weights(power, [parts.shape[SPATIAL + 2 * axis] for axis in range(len(sides))])
    halves, divisors = [], []
    for half in (about.clamp_min(0), about.clamp_max(0)):
        half = half - half.mean(within, keepdim=True)  # a constant grid has no part in it
        product = folded(left * half, folds).sum(1, keepdim=True)
        halves.append(_spectra(product, folds, period, origin) * weight[..., None])
        divisors.append((whole * half).sum(within).sum(1) * weight[:, 0])
    squares = (about.square().sum(within).sum(1, keepdim=True) * weight.square()).flatten(1).sum(1)
    stands_for = own_frequencies(folds, period)[1]
    sums = synchronous_sums((halves[0], halves[1]), (divisors[0], divisors[1]), squares, stands_for)
    return sums, about.square().flatten(1).sum(1)


class Lines(NamedTuple):
    """Products along lines across an axis, `(N, 1, ...)`: the axis at full resolution, the others in blocks."""

    rising_residual: Tensor
    """residual times slope where content rises along the axis"""
    residual: Tensor
    """likewise, all of it"""
    rising_slope: Tensor
    """slope of the whole image times slope of the content, where it rises"""
    slope: Tensor
    """likewise, all of it"""
    square: Tensor
    """squared slope of the content"""
    everything: Tensor
    """(N,) `slope`, with what is constant along the lines, added up"""
    power: Tensor
    """`residual_power` of what the products were taken of"""
    samples: float
    """samples of the image in one of them, as they were averaged first"""


def lines_across(images: Tensor, axis: int, band: int) -> Lines:
    """The products that stair-steps along an axis are read off, below the baseband of period `band`.

    Content below that baseband changes little along a period, so the other axes are averaged over a quarter to half of
    one first: that takes the same part of residual and slope, costs no evidence, and saves most of the work.
    """
    thinned = 2 ** int(math.log2(max(1, band // 2)))
    whole = images[0].numel()
    images = _averaged(images, axis, thinned)
    content = baseband(images, band, [thinned if a != axis else 1 for a in range(images.ndim - SPATIAL)])
    residual = images - content
    across = max(ACROSS, ACROSS_PERIODS * band) // thinned
    sides = [1 if a == axis else min(across, size) for a, size in enumerate(images.shape[SPATIAL:])]
    lines = [place for a, place in enumerate(inside(sides)) if a != axis]
    length = math.prod(sides)
    below = _without_ends(slope(content, axis + SPATIAL), axis + SPATIAL, band)
    r, b, f = (blocks(x, sides) for x in (residual, below, slope(images, axis + SPATIAL)))
    rising = b.clamp_min(0)
    sums = {id(x): x.sum(lines, keepdim=True) if lines else x for x in (r, b, f, rising)}

    def covariance(x: Tensor, y: Tensor) -> Tensor:
        product = _summed_product(x, y, lines)
        if lines:
            product = product - (sums[id(x)] * sums[id(y)]).flatten(SPATIAL).view(product.shape) / length
        return product.sum(1, keepdim=True)

    products = [covariance(r, rising), covariance(r, b), covariance(f, rising), covariance(f, b), covariance(b, b)]
    shape = [products[0].shape[0], 1, *(r.shape[SPATIAL + 2 * a] for a in range(len(sides)))]
    everything = (f.flatten(1) * b.flatten(1)).sum(1)
    products = [product.reshape(shape) for product in products]
    return Lines(
        rising_residual=products[0],
        residual=products[1],
        rising_slope=products[2],
        slope=products[3],
        square=products[4],
        everything=everything,
        power=residual_power(residual),
        samples=whole / images[0].numel(),
    )


def warp_relation(
    lines: Lines, axis: int, period: int, origin: Sequence[int], searching: bool = False
) -> tuple[SynchronousSums, Tensor]:
    """r = u(phase) db/dx along an axis. Halves: where content rises and falls. Beside the sums, its squares (N,)."""
    axes = lines.residual.ndim - SPATIAL
    size = lines.residual.shape[SPATIAL + axis]
    side = block_side(size, period)
    sides = [side if a == axis else 1 for a in range(axes)]
    folds = tuple(period if a == axis else 1 for a in range(axes))

    def in_blocks(x: Tensor) -> Tensor:
        return blocks(x, sides).sum(inside(sides))

    counts = in_blocks(lines.square).shape[SPATIAL:]
    weight = _weights(lines.power, counts)
    halves, divisors = [], []
    for product, square in (
        (lines.rising_residual, lines.rising_slope),
        (lines.residual - lines.rising_residual, lines.slope - lines.rising_slope),
    ):
        phases = folded(blocks(product, sides), folds)
        halves.append(_spectra(phases, folds, period, origin) * weight[..., None])
        divisors.append(in_blocks(square)[:, 0] * weight[:, 0])
    squares = (in_blocks(lines.square)[:, 0] * weight[:, 0].square()).flatten(1).sum(1) / lines.samples
    stands_for = own_frequencies(folds, period)[1]
    sums = synchronous_sums((halves[0], halves[1]), (divisors[0], divisors[1]), squares, stands_for, searching)
    return sums, lines.everything * lines.samples


def block_side(size: int, fold: int, least: int = BLOCK, repeats: int = 1) -> int:
    """Samples per side of a block: a multiple of the fold; the whole axis where it is shorter."""
    aim = max(least, repeats * fold, min(MOST_BLOCK, size // BLOCKS))
    return max(fold, min(fold * math.ceil(aim / fold), size // fold * fold))


def _without_ends(slopes: Tensor, axis: int, band: int) -> Tensor:
    """Zero where the triangle has seen mirrored samples, which follow the image's own in step with the border."""
    inner = slopes.narrow(axis, band, max(0, slopes.shape[axis] - 2 * band))
    return F.pad(inner, [0, 0] * (slopes.ndim - 1 - axis) + [band, band])


def _averaged(images: Tensor, axis: int, by: int) -> Tensor:
    """Means over `by` samples along all other axes that are long enough."""
    sides = [1 if a == axis or size < 4 * by else by for a, size in enumerate(images.shape[SPATIAL:])]
    return images if max(sides) == 1 else blocks(images, sides).mean(inside(sides))


def _quiet_half(power: Tensor, weight: Tensor) -> Tensor:
    """`(N, *blocks)`, 1 for the quietest blocks that hold half of the weight and 0 for the others."""
    order = power.flatten(1).argsort(1)
    held = weight.flatten(1).gather(1, order).cumsum(1)
    first = (held <= held[:, -1:] / 2).to(weight.dtype)
    return torch.zeros_like(first).scatter(1, order, first).view_as(weight)


def _smoothed(power: Tensor) -> Tensor:
    """Each block with those beside it, weighted [1 2 1] along each axis."""
    for axis in range(SPATIAL, power.ndim):
        size = power.shape[axis]
        if size > 1:
            around = torch.cat([power.narrow(axis, 0, 1), power, power.narrow(axis, size - 1, 1)], axis)
            power = (around.narrow(axis, 0, size) + 2 * power + around.narrow(axis, 2, size)) / 4
    return power


def block_sums(images: Tensor, sides: Sequence[int]) -> Tensor:
    """`(N, C, *blocks)`: an axis at a time, as adding long rows is what a processor does best."""
    parts = blocks(images, sides)
    for axis in range(len(sides)):
        parts = parts.sum(SPATIAL + 1 + axis)
    return parts


def squares_of(residual: Tensor) -> Tensor:
    """`(N, 1, *space)`, mean over channels."""
    square = residual.detach().square()
    return square if square.shape[1] == 1 else square.mean(1, keepdim=True)


def _weights(power: Tensor, counts: Sequence[int]) -> Tensor:
    """`(N, 1, *counts)`: the inverse of the residual's power in each of so many blocks."""
    return 1 / (_pooled(power, counts) / GRAY_LEVEL + 1)


def _pooled(power: Tensor, counts: Sequence[int]) -> Tensor:
    """Its means over so many blocks."""
    pools: dict[int, Callable[..., Tensor]] = {
        1: F.adaptive_avg_pool1d,
        2: F.adaptive_avg_pool2d,
        3: F.adaptive_avg_pool3d,
    }
    return pools[power.ndim - SPATIAL](power, tuple(counts))


def _summed_product(a: Tensor, b: Tensor, axes: list[int]) -> Tensor:
    """`(a * b).sum(axes)`; along the last axis without the memory of the product."""
    if axes == [a.ndim - 1]:
        return torch.einsum("...i,...i->...", a, b)
    return (a * b).sum(axes) if axes else a * b


def _spectra(phases: Tensor, folds: tuple[int, ...], period: int, origin: Sequence[int]) -> Tensor:
    """`(N, C, *blocks, K)` complex: each block at the period's own frequencies, with the phases of the larger image."""
    axes = len(folds)
    frequencies = torch.tensor(own_frequencies(folds, period)[0], device=phases.device).view(-1, axes)
    spectra = torch.fft.fftn(phases, dim=tuple(range(-axes, 0)))
    strides = [math.prod(folds[a + 1 :]) for a in range(axes)]
    own = spectra.flatten(-axes)[..., frequencies @ frequencies.new_tensor(strides)]
    if not any(start % fold for start, fold in zip(origin, folds, strict=True)):
        return own
    place = torch.tensor([start / fold for start, fold in zip(origin, folds, strict=True)], dtype=torch.float64)
    turn = -2 * math.pi * (frequencies.to(place) @ place)
    return own * torch.polar(torch.ones_like(turn), turn).to(own)


@functools.cache
def _kept(folds: tuple[int, ...], period: int, band: int) -> Tensor:
    """(K,) part of a grid at each own frequency that is left above another period's baseband."""
    kept = []
    for k in own_frequencies(folds, period)[0]:
        passed = 1.0
        for index, fold in zip(k, folds, strict=True):
            f = index / fold
            if index:
                passed *= (math.sin(math.pi * band * f) / (band * math.sin(math.pi * f))) ** 2
        kept.append(1 - passed)
    return torch.tensor(kept)
