"""Two of the ways in which a residual follows the content in step with a lattice, grids: see `spectral_sums`.

The third is in `lines`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL, blocks, inside, strips
from artifactlab.metrics.block_spectra import Lattice, block_spectra, constant, own_frequencies
from artifactlab.metrics.synchronous import SynchronousSums
from artifactlab.metrics.synchronous_averaging import synchronous_sums

GRAY_LEVEL = (1 / 255) ** 2
"""residual power that hides a grid no better than none does"""
BLOCK, MOST_BLOCK, BLOCKS = 8, 64, 20
"""samples per side of a block, at least and at most; in between an axis is cut into so many. A residual differs from
place to place, and blocks are weighted by the inverse of its power; 16 instead of 8 halved the evidence at 160 px"""
CONTENT_BLOCK = 32
"""samples per side within which content is compared with its mean"""
REPEATS, ENOUGH = 2, 16
"""of a lattice's spacing in a block, so that what differs between them is no grid; where an image holds so many"""


def grid_relations(
    residuals: Callable[[int], Iterable[tuple[Tensor, Tensor]]],
    sizes: Sequence[int],
    lattices: Sequence[Lattice],
    band: int,
    origin: Sequence[int],
    searching: bool = False,
) -> list[tuple[SynchronousSums, Tensor, Tensor]]:
    """r = c(phase). Halves are the quieter and the busier blocks: what content draws, quiet places do not have.

    Args:
        residuals: gives `(N, C, *space)`, above the baseband of period `band`, and `squares_of` it, strip by strip
            along the first axis, of so many rows or a multiple.
        sizes: of the whole space.
        lattices: their spacing along each axis, as far as it has the period, and the period. Blocks suit the longest.
        band: the residual's; where a period is another, the triangle has taken a known part of a grid.
        origin: place of the first sample in a larger image, along each axis.
        searching: leave out what only confirms.

    Returns:
        Of each lattice the sums; the weighted power of the residual (N,); and the residual's power in each block
        without any grid, `(N, 1, *blocks)`, the inverse of which blocks are weighted by: a grid must not weaken itself.
    """
    longest = [max(folds[axis] for folds, _ in lattices) for axis in range(len(sizes))]
    repeats = REPEATS if all(size >= ENOUGH * fold for size, fold in zip(sizes, longest, strict=True)) else 1
    sides = [block_side(size, fold, repeats=repeats) for size, fold in zip(sizes, longest, strict=True)]
    samples = math.prod(sides)
    numbers = [own_frequencies(*lattice)[1] for lattice in lattices]
    squares: list[Tensor] = []

    def in_blocks() -> Iterator[Tensor]:
        for residual, square in residuals(sides[0]):
            if residual.shape[SPATIAL] >= sides[0]:
                squares.append(block_sums(square, sides))
                yield blocks(residual, sides)

    spectra, in_step = block_spectra(in_blocks(), lattices, origin)
    square = torch.cat(squares, SPATIAL)[..., None]
    member = _membership(numbers, square)
    phases = member.new_tensor([math.prod(folds) for folds, _ in lattices])
    apart = (square - in_step().mean(1, keepdim=True) / samples).clamp_min(0) / (samples - phases).clamp_min(1)
    power = smoothed(torch.where(phases < samples, apart, square / samples))
    weight = 1 / (power / GRAY_LEVEL + 1)
    of_frequency = weight @ member
    spectra = spectra * (of_frequency / torch.cat([_kept(*lattice, band) for lattice in lattices]).to(weight))
    count = float(samples) * weight[:, 0]
    quiet = _quiet_half(power, count)
    of_rounding = (count * weight[:, 0]).flatten(1, -2).sum(1)
    first = spectra * (quiet @ member)[:, None]
    weights = (count * quiet, count * (1 - quiet))
    no_drift = [searching] * len(lattices)
    sums = synchronous_sums((first, spectra - first), weights, of_rounding, numbers, no_drift)
    weighted = (square * weight).flatten(1, -2).sum(1)
    return list(zip(sums, weighted.unbind(-1), power.unbind(-1), strict=True))


def modulation_relation(
    images: Tensor, content: Tensor, power: Tensor, folds: tuple[int, ...], period: int, origin: Sequence[int]
) -> tuple[SynchronousSums, Tensor]:
    """r = m(phase) (content - its mean). Halves: content above and below. Beside the sums, its squares (N,).

    `power` is the residual's in each block, without any grid, see `grid_relations`.
    """
    sides = [block_side(n, fold, CONTENT_BLOCK) for n, fold in zip(images.shape[SPATIAL:], folds, strict=True)]
    samples = math.prod(sides)
    squares: list[Tensor] = []
    divisors: list[Tensor] = []

    def products() -> Iterator[Tensor]:
        """`(N, 2, ...)`: the residual times either half of the content, strip by strip."""
        for start, image in strips(images, sides[0]):
            if image.shape[SPATIAL] < sides[0]:
                continue
            below = content.narrow(SPATIAL, start, image.shape[SPATIAL])
            whole, about, left = (blocks(x, sides) for x in (image, below, image - below))
            about = about - _sums_inside(about) / samples
            squares.append(_sums_inside(about.square()).sum(1, keepdim=True))
            halves = [about.clamp_min(0), about.clamp_max(0)]
            halves = [half - _sums_inside(half) / samples for half in halves]  # a constant grid has no part in it
            divisors.append(torch.cat([_sums_inside(whole * half).sum(1, keepdim=True) for half in halves], 1))
            yield torch.cat([(left * half).sum(1, keepdim=True) for half in halves], 1)

    spectra, _ = block_spectra(products(), [(folds, period)], origin)
    square, divisor = (torch.cat(parts, SPATIAL).squeeze(inside(sides)) for parts in (squares, divisors))
    weight = block_weights(power, spectra.shape[SPATIAL:-1])
    above, below = (spectra * weight[..., None]).split(1, 1)
    weights = [(half * weight[:, 0])[..., None] for half in divisor.unbind(1)]
    of_rounding = (square * weight.square()).flatten(1).sum(1)
    numbers = [own_frequencies(folds, period)[1]]
    (sums,) = synchronous_sums((above, below), (weights[0], weights[1]), of_rounding[:, None], numbers)
    return sums, square.flatten(1).sum(1)


def block_side(size: int, fold: int, least: int = BLOCK, repeats: int = 1) -> int:
    """Samples per side of a block: a multiple of the fold; the whole axis where it is shorter."""
    aim = max(least, repeats * fold, min(MOST_BLOCK, size // BLOCKS))
    return max(fold, min(fold * math.ceil(aim / fold), size // fold * fold))


def _quiet_half(power: Tensor, weight: Tensor) -> Tensor:
    """`(N, *blocks, lattices)`, 1 for the quietest blocks that hold half of the weight and 0 for the others."""
    order = power.flatten(1, -2).argsort(1)
    held = weight.flatten(1, -2).gather(1, order).cumsum(1)
    first = (held <= held[:, -1:] / 2).to(weight.dtype)
    return torch.zeros_like(first).scatter(1, order, first).view_as(weight)


def smoothed(power: Tensor) -> Tensor:
    """Each block of `(N, 1, *blocks, lattices)` with those beside it, weighted [1 2 1] along each axis."""
    for axis in range(SPATIAL, power.ndim - 1):
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


def _sums_inside(parts: Tensor) -> Tensor:
    """Of each of `blocks`, its axes kept with a single sample; an axis at a time, too."""
    for axis in range(SPATIAL + 1, parts.ndim, 2):
        parts = parts.sum(axis, keepdim=True)
    return parts


def squares_of(residual: Tensor) -> Tensor:
    """`(N, 1, *space)`, mean over channels."""
    square = residual.detach().square()
    return square if square.shape[1] == 1 else square.mean(1, keepdim=True)


def block_weights(power: Tensor, counts: Sequence[int]) -> Tensor:
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


def _membership(numbers: Sequence[Sequence[int]], like: Tensor) -> Tensor:
    """`(lattices, frequencies)`: 1 where a frequency is one of the lattice's."""
    lengths = like.new_tensor([len(number) for number in numbers]).long()
    return torch.eye(len(numbers)).to(like).repeat_interleave(lengths, 1)


@constant
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
