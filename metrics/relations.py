"""The three ways in which a residual follows the content in step with a lattice: see `spectral_sums`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL, baseband, basebands, blocks, inside, slope
from artifactlab.metrics.block_spectra import Lattice, block_spectra, constant, own_frequencies
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


def residual_power(residual: Tensor) -> Tensor:
    """`(N, 1, *blocks)`: mean square of a residual, which varies slowly over the image."""
    sides = [min(BLOCK, size) for size in residual.shape[SPATIAL:]]
    return _smoothed((block_sums(squares_of(residual), sides) / math.prod(sides))[..., None])[..., 0]


def grid_relations(
    residuals: Callable[[int], Iterable[Tensor]],
    sizes: Sequence[int],
    lattices: Sequence[Lattice],
    band: int,
    origin: Sequence[int],
    searching: bool = False,
) -> list[tuple[SynchronousSums, Tensor, Tensor]]:
    """r = c(phase). Halves are the quieter and the busier blocks: what content draws, quiet places do not have.

    Args:
        residuals: gives `(N, C, *space)`, above the baseband of period `band`, strip by strip along the first axis, of
            so many rows or a multiple.
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
        for residual in residuals(sides[0]):
            if residual.shape[SPATIAL] >= sides[0]:
                squares.append(block_sums(squares_of(residual), sides))
                yield blocks(residual, sides)

    spectra, in_step = block_spectra(in_blocks(), lattices, origin)
    square = torch.cat(squares, SPATIAL)[..., None]
    member = _membership(numbers, square)
    phases = member.new_tensor([math.prod(folds) for folds, _ in lattices])
    apart = (square - in_step().mean(1, keepdim=True) / samples).clamp_min(0) / (samples - phases).clamp_min(1)
    power = _smoothed(torch.where(phases < samples, apart, square / samples))
    weight = 1 / (power / GRAY_LEVEL + 1)
    of_frequency = weight @ member
    spectra = spectra * (of_frequency / torch.cat([_kept(*lattice, band) for lattice in lattices]).to(weight))
    count = float(samples) * weight[:, 0]
    quiet = _quiet_half(power, count)
    of_rounding = (count * weight[:, 0]).flatten(1, -2).sum(1)
    first = spectra * (quiet @ member)[:, None]
    halves = (first, spectra - first)
    sums = synchronous_sums(halves, (count * quiet, count * (1 - quiet)), of_rounding, numbers, [searching] * len(lattices))
    weighted = (square * weight).flatten(1, -2).sum(1)
    return list(zip(sums, weighted.unbind(-1), power.unbind(-1), strict=True))


def modulation_relation(
    images: Tensor, power: Tensor, folds: tuple[int, ...], period: int, origin: Sequence[int]
) -> tuple[SynchronousSums, Tensor]:
    """r = m(phase) (content - its mean). Halves: content above and below. Beside the sums, its squares (N,).

    `power` is the residual's in each block, without any grid, see `grid_relations`.
    """
    sides = [block_side(n, fold, CONTENT_BLOCK) for n, fold in zip(images.shape[SPATIAL:], folds, strict=True)]
    within, squares, divisors = inside(sides), [], []

    def products() -> Iterator[Tensor]:
        """`(N, 2, ...)`: the residual times either half of the content, strip by strip."""
        for image, content in basebands(images, period, sides[0]):
            if image.shape[SPATIAL] < sides[0]:
                continue
            whole, about, left = (blocks(x, sides) for x in (image, content, image - content))
            about = about - about.mean(within, keepdim=True)
            squares.append(about.square().sum(within).sum(1, keepdim=True))
            halves = [about.clamp_min(0), about.clamp_max(0)]
            halves = [half - half.mean(within, keepdim=True) for half in halves]  # a constant grid has no part in it
            divisors.append(torch.stack([(whole * half).sum(within).sum(1) for half in halves], 1))
            yield torch.cat([(left * half).sum(1, keepdim=True) for half in halves], 1)

    spectra, _ = block_spectra(products(), [(folds, period)], origin)
    square, divisor = (torch.cat(parts, SPATIAL) for parts in (squares, divisors))
    weight = _weights(power, spectra.shape[SPATIAL:-1])
    above, below = (spectra * weight[..., None]).split(1, 1)
    weights = [(half * weight[:, 0])[..., None] for half in divisor.unbind(1)]
    of_rounding = (square * weight.square()).flatten(1).sum(1)
    numbers = [own_frequencies(folds, period)[1]]
    (sums,) = synchronous_sums((above, below), (weights[0], weights[1]), of_rounding[:, None], numbers)
    return sums, square.flatten(1).sum(1)


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
    everything: Tensor
    """(N,) `slope`, with what is constant along the lines, added up"""
    power: Tensor
    """`residual_power` of what the products were taken of"""
    samples: float
    """samples of the image in one of them, as they were averaged first"""


def lines_across(images: Tensor, axis: int, band: int) -> Lines:
    """The products that stair-steps along an axis are read off, below the baseband of period `band`.

    Content below that baseband changes little along a period, so the other axes are averaged over a quarter to half of
    one first, and over two samples at least: that takes the same part of residual and slope, costs no evidence, and
    saves most of the work.
    """
    thinned = 2 ** max(1, int(math.log2(max(1, band // 2))))
    whole = images[0].numel()
    # the axis comes first, so that lines across it are rows in memory
    images = _averaged(images, axis, thinned).movedim(SPATIAL + axis, SPATIAL).contiguous()
    others = images.ndim - SPATIAL - 1
    content = baseband(images, band, [1, *[thinned] * others])
    residual = images - content
    across = max(ACROSS, ACROSS_PERIODS * band) // thinned
    sides = [1, *(min(across, size) for size in images.shape[SPATIAL + 1 :])]
    below = _without_ends(slope(content, SPATIAL), SPATIAL, band)
    r, b, f = (_in_lines(x, sides) for x in (residual, below, slope(images, SPATIAL)))
    rising = b.clamp_min(0)
    sums = [x.sum(-1) for x in (r, f, rising, b)]
    length = r.shape[-1]

    def covariance(x: int, y: int) -> Tensor:
        product = ((r, f)[x] * (rising, b)[y]).sum(-1)
        if others:  # of a signal, a line is one sample
            product = product - sums[x] * sums[2 + y] / length
        return product.sum(1, keepdim=True).movedim(SPATIAL, SPATIAL + axis)

    return Lines(
        rising_residual=covariance(0, 0),
        residual=covariance(0, 1),
        rising_slope=covariance(1, 0),
        slope=covariance(1, 1),
        everything=(f.flatten(1) * b.flatten(1)).sum(1),
        power=residual_power(residual).movedim(SPATIAL, SPATIAL + axis),
        samples=whole / images[0].numel(),
    )


def _in_lines(images: Tensor, sides: Sequence[int]) -> Tensor:
    """`(N, C, size, *blocks, samples)`: the first axis at full resolution, what a block holds of the others last."""
    parts = blocks(images, sides).squeeze(SPATIAL + 1)
    axes = range(len(sides) - 1)
    order = [*range(SPATIAL + 1), *(SPATIAL + 1 + 2 * a for a in axes), *(SPATIAL + 2 + 2 * a for a in axes)]
    return parts.permute(order).flatten(SPATIAL + len(sides)) if len(sides) > 1 else parts[..., None]


def warp_relations(
    lines: Lines, axis: int, periods: Sequence[int], origin: Sequence[int], searching: Sequence[bool] = ()
) -> list[tuple[SynchronousSums, Tensor]]:
    """r = u(phase) db/dx along an axis. Halves: where content rises and falls. Beside the sums, its squares (N,).

    `searching` says of which periods to leave out what only confirms.
    """
    size = lines.residual.shape[SPATIAL + axis]
    side = block_side(size, min(periods))  # phases are the image's, so a block need not hold whole periods
    lattices = [((period,), period) for period in periods]
    numbers = [own_frequencies(*lattice)[1] for lattice in lattices]

    def along(x: Tensor) -> Tensor:
        """The axis last, in blocks."""
        x = x.movedim(SPATIAL + axis, -1)
        return x.narrow(-1, 0, size // side * side).unflatten(-1, (-1, side))

    def in_blocks(x: Tensor) -> Tensor:
        return along(x).sum(-1)

    slopes = in_blocks(torch.cat([lines.rising_slope, lines.slope - lines.rising_slope], 1))
    counts = slopes.shape[SPATIAL:]
    weight = _weights(lines.power.movedim(SPATIAL + axis, -1), counts)
    products = along(torch.cat([lines.rising_residual, lines.residual - lines.rising_residual], 1))
    spectra = block_spectra([products.flatten(1, -3)], lattices, (origin[axis],))[0]
    rising, falling = (spectra.view(len(products), 2, *counts, -1) * weight[..., None]).split(1, 1)
    divisors = [(half * weight[:, 0])[..., None].expand(-1, *counts, len(periods)) for half in slopes.unbind(1)]
    # what the squared slopes would be, were there no residual
    squares = (slopes.sum(1).abs() * weight[:, 0].square()).flatten(1).sum(1) / lines.samples
    squares = squares[:, None].expand(-1, len(periods))
    sums = synchronous_sums((rising, falling), (divisors[0], divisors[1]), squares, numbers, searching)
    return [(one, lines.everything * lines.samples) for one in sums]


def block_side(size: int, fold: int, least: int = BLOCK, repeats: int = 1) -> int:
    """Samples per side of a block: a multiple of the fold; the whole axis where it is shorter."""
    aim = max(least, repeats * fold, min(MOST_BLOCK, size // BLOCKS))
    return max(fold, min(fold * math.ceil(aim / fold), size // fold * fold))


def _without_ends(slopes: Tensor, axis: int, band: int) -> Tensor:
    """Zero where the triangle has seen mirrored samples, which follow the image's own in step with the border."""
    inner = slopes.narrow(axis, band, max(0, slopes.shape[axis] - 2 * band))
    return F.pad(inner, [0, 0] * (slopes.ndim - 1 - axis) + [band, band])


def _averaged(images: Tensor, axis: int, by: int) -> Tensor:
    """Means over `by` samples, a power of two, along all other axes that are long enough.

    Adding slices is several times faster than a mean over so few samples.
    """
    for other in range(SPATIAL, images.ndim):
        if other == axis + SPATIAL or images.shape[other] < 4 * by:
            continue
        images = images.narrow(other, 0, images.shape[other] // by * by)
        for _ in range(int(math.log2(by))):
            every_second = [slice(None)] * other
            images = images[(*every_second, slice(0, None, 2))] + images[(*every_second, slice(1, None, 2))]
        images = images / by
    return images


def _quiet_half(power: Tensor, weight: Tensor) -> Tensor:
    """`(N, *blocks, lattices)`, 1 for the quietest blocks that hold half of the weight and 0 for the others."""
    order = power.flatten(1, -2).argsort(1)
    held = weight.flatten(1, -2).gather(1, order).cumsum(1)
    first = (held <= held[:, -1:] / 2).to(weight.dtype)
    return torch.zeros_like(first).scatter(1, order, first).view_as(weight)


def _smoothed(power: Tensor) -> Tensor:
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
