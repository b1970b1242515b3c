"""The third way in which a residual follows the content in step with a lattice, stair-steps: see `spectral_sums`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL, baseband, basebands
from artifactlab.metrics.block_spectra import block_spectra, own_frequencies
from artifactlab.metrics.relations import BLOCK, block_side, block_sums, block_weights, smoothed, squares_of
from artifactlab.metrics.synchronous import SynchronousSums
from artifactlab.metrics.synchronous_averaging import synchronous_sums

MIN_ACROSS = 24
"""Fewest samples along an edge within which its residual is compared with its slope: what is constant along that line
is parallel to the axis, does not sweep the lattice's phase, and proves nothing. See `ACROSS_PERIODS`."""
ACROSS_PERIODS = 4
"""Periods along an edge likewise. 24 samples alone, 3 and 6 periods found fewer blurred steps of period 8. See
docs/decisions.md, "Loud content must not drown a quiet artifact"."""


class Lines(NamedTuple):
    """Products along lines across an axis, `(N, 1, *blocks, size)`: the others in blocks, the axis itself last."""

    rising_residual: Tensor
    """Residual times slope where content rises along the axis."""
    residual: Tensor
    """Residual times slope, all of it."""
    rising_slope: Tensor
    """Slope of the image times slope of its content, where that rises along the axis."""
    slope: Tensor
    """Slope of the image times slope of its content, all of it."""
    slope_energy: Tensor
    """All of `slope` added up, with what is constant along the lines in it, (N,)."""
    power: Tensor
    """Mean square of the residual, which varies slowly over the image, `(N, 1, *blocks, blocks)`."""
    samples: float
    """How many samples of the image are in each of these, as they were averaged first."""


def lines_across(images: Tensor, axis: int, band: int) -> Lines:
    """The products that stair-steps along an axis are read off, below the baseband of period `band`.

    Content below that baseband changes little along a period, so the other axes are averaged over a quarter to half of
    one first, and over two samples at least: that takes the same part of residual and slope, costs no evidence, and
    saves most of the work.
    """
    decimation = 2 ** max(1, int(math.log2(max(1, band // 2))))
    samples = images[0].numel()
    images = _averaged(images.movedim(SPATIAL + axis, -1), decimation)
    across = max(MIN_ACROSS, ACROSS_PERIODS * band) // decimation
    sides = [min(across, other) for other in images.shape[SPATIAL:-1]]
    cells = [min(BLOCK, length) for length in images.shape[SPATIAL:]]
    parts = _with_content(images, band, sides, cells, decimation)
    found = [_products(image, content, band, sides, cells) for image, content in parts]
    products = _Products(*(torch.cat(field, SPATIAL) for field in zip(*found, strict=True)))

    def between_ends(x: Tensor) -> Tensor:
        return F.pad(x.sum(1, keepdim=True), (band, band))

    return Lines(
        rising_residual=between_ends(products.rising_residual),
        residual=between_ends(products.residual),
        rising_slope=between_ends(products.rising_slope),
        slope=between_ends(products.slope),
        slope_energy=products.slope_energy.flatten(1).sum(1),
        power=smoothed((products.squares / math.prod(cells))[..., None])[..., 0],
        samples=samples / images[0].numel(),
    )


def _with_content(
    images: Tensor, band: int, sides: Sequence[int], cells: Sequence[int], decimation: int
) -> Iterable[tuple[Tensor, Tensor]]:
    """The images with their content, strip by strip of whole lines and cells."""
    if not sides:  # strips are cut across lines, and a signal is a single one
        return [(images, baseband(images, band))]
    return basebands(images, band, math.lcm(sides[0], cells[0]), [*[decimation] * len(sides), 1])


class _Products(NamedTuple):
    """What `Lines` are made of: channel by channel, strip by strip and without the ends."""

    rising_residual: Tensor
    residual: Tensor
    rising_slope: Tensor
    slope: Tensor
    slope_energy: Tensor
    """Slopes with what is constant along the lines."""
    squares: Tensor
    """Squares of the residual, added up in cells."""


def _products(images: Tensor, content: Tensor, band: int, sides: Sequence[int], cells: Sequence[int]) -> _Products:
    above = images - content
    residual = above.narrow(-1, band, above.shape[-1] - 2 * band)
    content_slope, slope = _slopes_inside(content, band), _slopes_inside(images, band)
    rising = content_slope.clamp_min(0)
    pairs = ((residual, rising), (residual, content_slope), (slope, rising), (slope, content_slope))
    products = [_over_lines(x * y, sides) for x, y in pairs]
    # of a signal, a line is one sample
    covariances = _covariances(products, pairs, sides) if sides else products
    return _Products(
        rising_residual=covariances[0],
        residual=covariances[1],
        rising_slope=covariances[2],
        slope=covariances[3],
        slope_energy=products[3],
        squares=block_sums(squares_of(above), cells),
    )


def _covariances(
    products: Sequence[Tensor], pairs: Sequence[tuple[Tensor, Tensor]], sides: Sequence[int]
) -> list[Tensor]:
    """Sums of products along lines, less what is constant along them."""
    root = math.prod(sides) ** 0.5
    (residual, rising), (slope, content_slope) = pairs[0], pairs[3]
    r, up, s, c = (_over_lines(field, sides) / root for field in (residual, rising, slope, content_slope))
    constant = ((r, up), (r, c), (s, up), (s, c))
    return [product - x * y for product, (x, y) in zip(products, constant, strict=True)]


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
    """r = u(phase) db/dx along an axis, and the squared slopes, (N,). Halves: where content rises and where it falls.

    `searching` says of which periods to leave out what only confirms.
    """
    size = lines.residual.shape[-1]
    side = block_side(size, min(periods))  # phases are the image's, so a block need not hold whole periods
    lattices = [((period,), period) for period in periods]
    multiplicities = [own_frequencies(*lattice)[1] for lattice in lattices]

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
    sums = synchronous_sums((rising, falling), (divisors[0], divisors[1]), squares, multiplicities, searching)
    return [(one, lines.slope_energy * lines.samples) for one in sums]


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
    at_once = by * max(1, 16 // by)  # wider matrices are mostly zeros, narrower ones many small products
    covered = images.shape[-2] // by * by
    in_products = images.shape[-2] // at_once * at_once
    means = torch.eye(at_once // by).to(images).repeat_interleave(by, 1) / by
    parts = []
    if in_products:
        pieces = images.narrow(-2, 0, in_products).unflatten(-2, (-1, at_once))
        parts.append((means @ pieces).flatten(-3, -2))
    if covered > in_products:
        last = covered - in_products
        parts.append(means[: last // by, :last] @ images.narrow(-2, in_products, last))
    return torch.cat(parts, -2) if len(parts) > 1 else parts[0]
