"""The third way in which a residual follows the content in step with a lattice, stair-steps: see `spectral_sums`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL, baseband, basebands
from artifactlab.metrics.block_spectra import block_spectra, own_frequencies
from artifactlab.metrics.relations import BLOCK, block_side, block_sums, block_weights, smoothed, squares_of
from artifactlab.metrics.synchronous import SynchronousSums
from artifactlab.metrics.synchronous_averaging import synchronous_sums

ACROSS, ACROSS_PERIODS = 24, 4
"""samples along an edge, and periods of them, within which its residual is compared with its slope: what is constant
along that line is parallel to the axis, does not sweep the lattice's phase, and proves nothing. 24 alone, 3 and 6
periods found fewer blurred steps of period 8"""


class Lines(NamedTuple):
    """Products along lines across an axis, `(N, 1, *blocks, size)`: the others in blocks, the axis itself last."""

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
    """`(N, 1, *blocks, blocks)`: mean square of the residual, which varies slowly over the image"""
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
    images = _averaged(images.movedim(SPATIAL + axis, -1), thinned)
    others = images.shape[SPATIAL:-1]
    across = max(ACROSS, ACROSS_PERIODS * band) // thinned
    sides = [min(across, other) for other in others]
    cells = [min(BLOCK, length) for length in images.shape[SPATIAL:]]
    if others:
        parts = basebands(images, band, math.lcm(sides[0], cells[0]), [*[thinned] * len(others), 1])
    else:  # strips are cut across lines, and a signal is a single one
        parts = iter([(images, baseband(images, band))])
    found = [_products(image, content, band, sides, cells) for image, content in parts]
    rising_residual, of_residual, rising_slope, of_slope, everything, squares = (
        torch.cat(field, SPATIAL) for field in zip(*found, strict=True)
    )

    def between_ends(x: Tensor) -> Tensor:
        return F.pad(x.sum(1, keepdim=True), (band, band))

    return Lines(
        rising_residual=between_ends(rising_residual),
        residual=between_ends(of_residual),
        rising_slope=between_ends(rising_slope),
        slope=between_ends(of_slope),
        everything=everything.flatten(1).sum(1),
        power=smoothed((squares / math.prod(cells))[..., None])[..., 0],
        samples=whole / images[0].numel(),
    )


def _products(
    images: Tensor, content: Tensor, band: int, sides: Sequence[int], cells: Sequence[int]
) -> tuple[Tensor, ...]:
    """The first four of `Lines`, channel by channel and without the ends; `slope` with all; squares in `cells`."""
    left = images - content
    residual = left.narrow(-1, band, left.shape[-1] - 2 * band)
    below, slopes = (_slopes_inside(x, band) for x in (content, images))
    rising = below.clamp_min(0)
    products = [_over_lines(x * y, sides) for x in (residual, slopes) for y in (rising, below)]
    everything = products[3]
    if sides:  # of a signal, a line is one sample
        r, f, up, b = (_over_lines(x, sides) / math.prod(sides) ** 0.5 for x in (residual, slopes, rising, below))
        products = [p - x * y for p, (x, y) in zip(products, ((r, up), (r, b), (f, up), (f, b)), strict=True)]
    return (*products, everything, block_sums(squares_of(left), cells))


def _slopes_inside(images: Tensor, band: int) -> Tensor:
    """`slope` along the last axis, without the ends where the triangle has seen mirrored samples.

    These follow the image's own in step with the border.
    """
    inner = images.shape[-1] - 2 * band
    return (images.narrow(-1, band + 1, inner) - images.narrow(-1, band - 1, inner)) / 2


def _over_lines(images: Tensor, sides: Sequence[int]) -> Tensor:
    """Sums `(N, C, *blocks, size)` over blocks of all axes but the last."""
    return block_sums(images, [*sides, 1])


def warp_relations(
    lines: Lines, axis: int, periods: Sequence[int], origin: Sequence[int], searching: Sequence[bool] = ()
) -> list[tuple[SynchronousSums, Tensor]]:
    """r = u(phase) db/dx along an axis. Halves: where content rises and falls. Beside the sums, its squares (N,).

    `searching` says of which periods to leave out what only confirms.
    """
    size = lines.residual.shape[-1]
    side = block_side(size, min(periods))  # phases are the image's, so a block need not hold whole periods
    lattices = [((period,), period) for period in periods]
    numbers = [own_frequencies(*lattice)[1] for lattice in lattices]

    def in_blocks(x: Tensor) -> Tensor:
        return x.narrow(-1, 0, size // side * side).unflatten(-1, (-1, side))

    slopes = in_blocks(torch.cat([lines.rising_slope, lines.slope - lines.rising_slope], 1)).sum(-1)
    counts = slopes.shape[SPATIAL:]
    weight = block_weights(lines.power, counts)
    products = in_blocks(torch.cat([lines.rising_residual, lines.residual - lines.rising_residual], 1))
    spectra = block_spectra([products.flatten(1, -3)], lattices, (origin[axis],))[0]
    rising, falling = (spectra.view(len(products), 2, *counts, -1) * weight[..., None]).split(1, 1)
    divisors = [(half * weight[:, 0])[..., None].expand(-1, *counts, len(periods)) for half in slopes.unbind(1)]
    # what the squared slopes would be, were there no residual
    squares = (slopes.sum(1).abs() * weight[:, 0].square()).flatten(1).sum(1) / lines.samples
    squares = squares[:, None].expand(-1, len(periods))
    sums = synchronous_sums((rising, falling), (divisors[0], divisors[1]), squares, numbers, searching)
    return [(one, lines.everything * lines.samples) for one in sums]


def _averaged(images: Tensor, by: int) -> Tensor:
    """Means over `by` samples along all axes but the last that are long enough; the last axis is rows in memory then.

    A product of matrices takes axes in any order, where a copy that turns them takes longer than all sums over lines.
    """
    for axis in range(SPATIAL, images.ndim - 1):
        if images.shape[axis] >= 4 * by:
            images = _means(images.movedim(axis, -2), by).movedim(-2, axis)
    return images.contiguous()


def _means(images: Tensor, by: int) -> Tensor:
    """Over `by` samples along the last axis but one; a rest is left out."""
    at_once = by * max(1, 16 // by)
    whole, rest = (images.shape[-2] // n * n for n in (at_once, by))
    means = torch.eye(at_once // by).to(images).repeat_interleave(by, 1) / by
    parts = [(means @ images.narrow(-2, 0, whole).unflatten(-2, (-1, at_once))).flatten(-3, -2)] if whole else []
    if rest > whole:
        last = rest - whole
        parts.append(means[: last // by, :last] @ images.narrow(-2, whole, last))
    return torch.cat(parts, -2) if len(parts) > 1 else parts[0]
