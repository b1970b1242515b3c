"""The explained part of an image: taken out of it, and shown where it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL, baseband, blocks, inside, slope, spread_over
from artifactlab.metrics.block_spectra import own_frequencies
from artifactlab.metrics.inputs import as_lattice, as_signals
from artifactlab.metrics.period_reading import read
from artifactlab.metrics.relations import CONTENT_BLOCK
from artifactlab.metrics.spectral_images import spectral_images
from artifactlab.metrics.spectral_sums import SpectralSums, periods_of, spectral_sums
from artifactlab.metrics.synchronous import SynchronousSums, as_spectrum, divisor

Period = int | tuple[int, ...] | None
"""Lattice spacing as the public functions take it; None looks for it."""
MIN_MAP_BLOCK = 16
"""Fewest samples per side of a block of the maps: two blocks of the measurement, over which a place's share of the
artifact is averaged."""
PASSES = 2
"""Times that the explained part is taken out: content that a wide triangle weakens is explained a second time."""
MAX_LOCAL_GAIN = 3.0
"""Times the strength of the whole image that a place may have: beyond it noise would be shown."""
FAINT = (0.5 / 255) ** 2
"""Squared difference that the explained part makes, below which a place is left dark: half a step of 8 bits, the
most that rounding makes."""


class Explained(NamedTuple):
    """What an image holds in step with one period, each like the image."""

    grid: Tensor
    """The constant grid."""
    modulation: Tensor
    """The grid that follows the content."""
    warp: Tensor
    """The difference that stair-steps make."""

    @property
    def total(self) -> Tensor:
        """All three together."""
        return self.grid + self.modulation + self.warp


def remove_spectral_images(x: Tensor, period: Period = None, *, data_range: float = 1.0) -> Tensor:
    """An image without what is in step with a lattice: the explained part of `spectral_images`, taken out.

    Use it as a repair without a model, or to see what an artifact hides. Content stays: an image in which nothing is
    confirmed comes back as it is.

    Args:
        x: `(N, C, L)` signals, `(N, C, H, W)` images or `(N, C, D, H, W)` volumes.
        period, data_range: as for `spectral_images`.

    Returns:
        Like `x`, in its own range; float32, or float64 where `x` is.

    Raises:
        InputError: as `spectral_images`.

    >>> import torch
    >>> from artifactlab.metrics import lattice_amplitude
    >>> y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    >>> board = 0.5 + 0.02 * (-1.0) ** (x + y)[None, None]
    >>> float(lattice_amplitude(remove_spectral_images(board, 2), 2))
    0.0
    """
    images = as_signals(x, data_range)
    cleaned = [_cleaned(image, lattice) for image, lattice in _with_lattices(images, period)]
    return torch.cat(cleaned) * data_range


def spectral_images_map(x: Tensor, period: Period = None, *, data_range: float = 1.0) -> Explained:
    """Where each form of spectral images is: the local rms of the explained part, as a fraction of the data range.

    A place counts as far as it has what the whole image agrees on: at a stair-stepped edge the map is bright, at
    texture beside it, which is no multiple of its content, dark.

    Args:
        x, period, data_range: as for `spectral_images`.

    Returns:
        Three maps, `(N, 1, *space)` each, constant over blocks of 16 samples or two periods.

    Raises:
        InputError: as `spectral_images`.

    >>> import torch
    >>> spectral_images_map(torch.zeros(1, 3, 40, 40)).warp.shape
    torch.Size([1, 1, 40, 40])
    """
    images = as_signals(x, data_range)
    maps = [_local_rms(image, lattice) for image, lattice in _with_lattices(images, period)]
    return Explained(*(torch.cat(form) for form in zip(*maps, strict=True)))


def local_warp(images: Tensor, period: Period) -> Tensor:
    """`edge_jaggedness_map` of images of data range 1."""
    return torch.cat([_local_pixels(image, lattice) for image, lattice in _with_lattices(images, period)])


def explained_by(images: Tensor, lattice: Sequence[int], period: int) -> Explained:
    """What images of data range 1 hold in step with a period's own frequencies."""
    sums = spectral_sums(images, lattice, period)
    masks = (found.view(-1, *[1] * (images.ndim - 1)) for found in read(sums).found)
    parts = drawn_by(images, sums, lattice, period)
    return Explained(*(part * mask for part, mask in zip(parts, masks, strict=True)))


def drawn_by(images: Tensor, sums: SpectralSums, lattice: Sequence[int], period: int) -> Iterator[Tensor]:
    """What relations of a period draw into images of data range 1, whether they are confirmed or not.

    One form of `Explained` after the other, as each is as large as the images, and those may be volumes.
    """
    sizes = images.shape[SPATIAL:]
    folds = tuple(math.gcd(period, spacing) for spacing in lattice)
    yield _tiled(_pattern(sums.grid, folds, period), sizes)
    content = baseband(images, period)
    content = content + baseband(images - content, period)  # flat to half the period's frequency: 2h - h^2
    about = content - baseband(content, max(1, min(CONTENT_BLOCK, min(sizes) // 4)))
    follows = sums.modulation if sums.modulation is not None else sums.grid
    yield about.mul_(_tiled(_pattern(follows, folds, period), sizes))
    del about
    warp = torch.zeros_like(images)
    along = [axis for axis, fold in enumerate(folds) if fold == period]
    for axis, one in zip(along, sums.warp, strict=True):
        pattern = _pattern(one, (period,), period)
        shape = [-1 if a == axis else 1 for a in range(len(sizes))]
        repeated = _tiled(pattern, (sizes[axis],)).unflatten(-1, shape)
        warp += repeated * slope(content, axis + SPATIAL)
    yield warp


def _with_lattices(images: Tensor, period: Period) -> list[tuple[Tensor, tuple[int, ...]]]:
    """Each image with its lattice: the one given, or the one that is found."""
    axes = images.ndim - SPATIAL
    if period is not None:
        return [(images, as_lattice(period, axes))]
    named = spectral_images(images).period.tolist()
    return [(image[None], (max(1, p),) * axes) for image, p in zip(images, named, strict=True)]


def _cleaned(images: Tensor, lattice: Sequence[int]) -> Tensor:
    """The images without what they hold in step with a lattice."""
    for period in _fitting(images, lattice):
        for _ in range(PASSES):
            images = images - explained_by(images, lattice, period).total
    return images


def _local_rms(images: Tensor, lattice: Sequence[int]) -> tuple[Tensor, ...]:
    """The maps of `spectral_images_map`."""
    squares = [torch.zeros_like(images[:, :1]) for _ in Explained._fields]
    for period in _fitting(images, lattice):
        residual = images - baseband(images, period)
        for form, part in enumerate(explained_by(images, lattice, period)):
            share, power, sides = _agreement(residual, part, period)
            squares[form] += spread_over(share.square() * power, sides, images.shape[SPATIAL:])
    return tuple(square.sqrt() for square in squares)


def _local_pixels(images: Tensor, lattice: Sequence[int]) -> Tensor:
    """The map of `local_warp`."""
    square = torch.zeros_like(images[:, :1])
    for period in _fitting(images, lattice):
        residual = images - baseband(images, period)
        part = explained_by(images, lattice, period).warp
        share, power, sides = _agreement(residual, part, period)
        moved = read(spectral_sums(images, lattice, period)).power.warp.clamp_min(0)
        local = share.square() * moved.view(-1, *[1] * (images.ndim - 1)) * (power > FAINT)
        square += spread_over(local, sides, images.shape[SPATIAL:])
    return square.sqrt()


def _agreement(residual: Tensor, part: Tensor, period: int) -> tuple[Tensor, Tensor, list[int]]:
    """How much of the explained part each block has, its power there, both `(N, 1, *blocks)`, and the blocks' sides."""
    sizes = residual.shape[SPATIAL:]
    side = max(2 * period, period * math.ceil(MIN_MAP_BLOCK / period))
    sides = [min(side, size) for size in sizes]
    power = blocks(part.square(), sides).mean(inside(sides)).mean(1, keepdim=True)
    product = blocks(part * residual, sides).mean(inside(sides)).mean(1, keepdim=True)
    share = (product / power.clamp_min(1e-12)).clamp(0, MAX_LOCAL_GAIN)
    return share, power, sides


def _fitting(images: Tensor, lattice: Sequence[int]) -> list[int]:
    """The lattice's periods, if it fits the image."""
    fits = all(spacing <= size for spacing, size in zip(lattice, images.shape[SPATIAL:], strict=True))
    return list(periods_of(lattice)) if fits else []


def _pattern(sums: SynchronousSums, folds: tuple[int, ...], period: int) -> Tensor:
    """`(N, C, *folds)`: what each phase has; components within their chance are shrunk towards none."""
    both = sums.first + sums.second
    wiener_gain = (1 - sums.chance / divisor(both.square().mean(1))).clamp_min(0)
    components = both * wiener_gain[:, None] / divisor(sums.weight)[:, None, None]
    own, multiplicities = own_frequencies(folds, period)
    spectrum = as_spectrum(components, multiplicities)
    full = spectrum.new_zeros(*spectrum.shape[:-1], math.prod(folds))
    for index, value in zip(own, spectrum.unbind(-1), strict=True):
        opposite = tuple(-k % fold for k, fold in zip(index, folds, strict=True))
        full[..., _flat(opposite, folds)] = value.conj()
        full[..., _flat(index, folds)] = value
    axes = tuple(range(-len(folds), 0))
    return torch.fft.ifftn(full.unflatten(-1, folds), dim=axes).real * math.prod(folds)


def _flat(index: Sequence[int], folds: Sequence[int]) -> int:
    """The place of an index in the flattened phases."""
    return sum(i * math.prod(folds[axis + 1 :]) for axis, i in enumerate(index))


def _tiled(pattern: Tensor, sizes: Sequence[int]) -> Tensor:
    """The pattern repeated from the first sample on."""
    for axis, size in enumerate(sizes, SPATIAL):
        index = torch.arange(size, device=pattern.device) % pattern.shape[axis]
        pattern = pattern.index_select(axis, index)
    return pattern
