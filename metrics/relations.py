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
"""Residual power, a step of 8 bits squared, that hides a grid no better than none does: blocks below it are weighted
alike. See docs/decisions.md, "Loud content must not drown a quiet artifact"."""
BLOCK = 8
"""Fewest samples per side of a block. A residual differs from place to place, and blocks are weighted by the inverse of
its power; 16 instead of 8 halved the evidence at 160 px. See docs/decisions.md, "Loud content must not drown a quiet
artifact"."""
MAX_BLOCK = 64
"""Most samples per side of a block: content differs within larger ones, whatever the image's size."""
BLOCKS_PER_AXIS = 20
"""Blocks that an axis is cut into, between `BLOCK` and `MAX_BLOCK`. Of 20 by 20, chance is told from hundreds of
neighbouring frequencies, and more blocks take more time."""
CONTENT_BLOCK = 32
"""Samples per side within which content is compared with its mean: several times those of `BLOCK`, as content, which is
smooth, hardly differs from its mean within less."""
MIN_SPACINGS = 2
"""A lattice's spacings along a block, so that what differs between them is told from a grid."""
ENOUGH_SPACINGS = 16
"""Spacings that all axes must hold for blocks to hold `MIN_SPACINGS`: in smaller images there would be less than eight
blocks along an axis, and one spacing each must do."""


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
    sides = _grid_sides(sizes, [folds for folds, _ in lattices])
    multiplicities = [own_frequencies(*lattice)[1] for lattice in lattices]
    squares: list[Tensor] = []

    def in_blocks() -> Iterator[Tensor]:
        for residual, square in residuals(sides[0]):
            if residual.shape[SPATIAL] >= sides[0]:
                squares.append(block_sums(square, sides))
                yield blocks(residual, sides)

    spectra, in_step = block_spectra(in_blocks(), lattices, origin)
    square = torch.cat(squares, SPATIAL)[..., None]
    member = _membership(multiplicities, square)
    power = _power_without_grid(square, in_step(), lattices, math.prod(sides))
    weight = 1 / (power / GRAY_LEVEL + 1)
    kept = torch.cat([_kept(*lattice, band) for lattice in lattices]).to(weight)
    spectra = spectra * (weight @ member / kept)
    count = float(math.prod(sides)) * weight[:, 0]
    quiet = _quiet_half(power, count)
    first = spectra * (quiet @ member)[:, None]
    of_rounding = (count * weight[:, 0]).flatten(1, -2).sum(1)
    halves, weights = (first, spectra - first), (count * quiet, count * (1 - quiet))
    sums = synchronous_sums(halves, weights, of_rounding, multiplicities, [searching] * len(lattices))
    weighted = (square * weight).flatten(1, -2).sum(1)
    return list(zip(sums, weighted.unbind(-1), power.unbind(-1), strict=True))


def _grid_sides(sizes: Sequence[int], folds: Sequence[Sequence[int]]) -> list[int]:
    """Sides of blocks that suit the longest of several lattices."""
    longest = [max(along) for along in zip(*folds, strict=True)]
    enough = all(size >= ENOUGH_SPACINGS * fold for size, fold in zip(sizes, longest, strict=True))
    repeats = MIN_SPACINGS if enough else 1
    return [block_side(size, fold, repeats=repeats) for size, fold in zip(sizes, longest, strict=True)]


def _power_without_grid(square: Tensor, in_step: Tensor, lattices: Sequence[Lattice], samples: int) -> Tensor:
    """The residual's power in each block `(N, 1, *blocks, lattices)` of so many samples, less what a grid has in it.

    Where a block has no more samples than the lattice has phases, all of it could be grid, and counts.
    """
    phases = square.new_tensor([math.prod(folds) for folds, _ in lattices])
    apart = (square - in_step.mean(1, keepdim=True) / samples).clamp_min(0) / (samples - phases).clamp_min(1)
    return smoothed(torch.where(phases < samples, apart, square / samples))


def modulation_relation(
    images: Tensor, content: Tensor, power: Tensor, folds: tuple[int, ...], period: int, origin: Sequence[int]
) -> tuple[SynchronousSums, Tensor]:
    """r = m(phase) (content - its mean), and the content's squares, (N,). Halves: content above and below its mean.

    `power` is the residual's in each block, without any grid, see `grid_relations`.
    """
    sides = [block_side(n, fold, CONTENT_BLOCK) for n, fold in zip(images.shape[SPATIAL:], folds, strict=True)]
    squares: list[Tensor] = []
    divisors: list[Tensor] = []

    def products() -> Iterator[Tensor]:
        """`(N, 2, ...)`: the residual times either half of the content, strip by strip."""
        for start, image in strips(images, sides[0]):
            if image.shape[SPATIAL] >= sides[0]:
                below = content.narrow(SPATIAL, start, image.shape[SPATIAL])
                square, divisor, product = _content_products(image, below, sides)
                squares.append(square)
                divisors.append(divisor)
                yield product

    spectra, _ = block_spectra(products(), [(folds, period)], origin)
    square, divisor = (torch.cat(parts, SPATIAL).squeeze(inside(sides)) for parts in (squares, divisors))
    weight = block_weights(power, spectra.shape[SPATIAL:-1])
    above, below = (spectra * weight[..., None]).split(1, 1)
    weights = [(half * weight[:, 0])[..., None] for half in divisor.unbind(1)]
    of_rounding = (square * weight.square()).flatten(1).sum(1)
    multiplicities = [own_frequencies(folds, period)[1]]
    (sums,) = synchronous_sums((above, below), (weights[0], weights[1]), of_rounding[:, None], multiplicities)
    return sums, square.flatten(1).sum(1)


def _content_products(image: Tensor, content: Tensor, sides: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Of a strip: squares of the content about its mean, and of either half of it products with image and residual.

    The products with the residual are `blocks`, the others are added up over each of them.
    """
    samples = math.prod(sides)
    images, below, residual = (blocks(x, sides) for x in (image, content, image - content))
    centred = below - _sums_inside(below) / samples
    halves = [centred.clamp_min(0), centred.clamp_max(0)]
    halves = [half - _sums_inside(half) / samples for half in halves]  # a constant grid has no part in it
    square = _sums_inside(centred.square()).sum(1, keepdim=True)
    divisor = torch.cat([_sums_inside(images * half).sum(1, keepdim=True) for half in halves], 1)
    return square, divisor, torch.cat([(residual * half).sum(1, keepdim=True) for half in halves], 1)


def block_side(size: int, fold: int, least: int = BLOCK, repeats: int = 1) -> int:
    """Samples per side of a block: a multiple of the fold; the whole axis where it is shorter."""
    aim = max(least, repeats * fold, min(MAX_BLOCK, size // BLOCKS_PER_AXIS))
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
    """Squares `(N, 1, *space)`, mean over channels."""
    square = residual.detach().square()
    return square if square.shape[1] == 1 else square.mean(1, keepdim=True)


def block_weights(power: Tensor, counts: Sequence[int]) -> Tensor:
    """`(N, 1, *counts)`: the inverse of the residual's power in each of so many blocks."""
    return 1 / (_pooled(power, counts) / GRAY_LEVEL + 1)


def _pooled(power: Tensor, counts: Sequence[int]) -> Tensor:
    """Means over so many blocks."""
    pools: dict[int, Callable[..., Tensor]] = {
        1: F.adaptive_avg_pool1d,
        2: F.adaptive_avg_pool2d,
        3: F.adaptive_avg_pool3d,
    }
    return pools[power.ndim - SPATIAL](power, tuple(counts))


def _membership(multiplicities: Sequence[Sequence[int]], like: Tensor) -> Tensor:
    """`(lattices, frequencies)`: 1 where a frequency is one of the lattice's."""
    lengths = like.new_tensor([len(own) for own in multiplicities]).long()
    return torch.eye(len(multiplicities)).to(like).repeat_interleave(lengths, 1)


@constant
def _kept(folds: tuple[int, ...], period: int, band: int) -> Tensor:
    """(K,) part of a grid at each own frequency that is left above another period's baseband."""
    kept = []
    for index in own_frequencies(folds, period)[0]:
        response = 1.0
        for k, fold in zip(index, folds, strict=True):
            response *= _triangle_response(k / fold, band)
        kept.append(1 - response)
    return torch.tensor(kept)


def _triangle_response(frequency: float, band: int) -> float:
    """What a triangle of two periods of `band` samples passes of a frequency below 1 cycle per sample."""
    if not frequency:
        return 1.0
    return (math.sin(math.pi * band * frequency) / (band * math.sin(math.pi * frequency))) ** 2
