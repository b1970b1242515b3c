"""Checkerboards, and the grids of upsamplers with uneven phases: how strong, of which period, and where."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.metrics.bands import SPATIAL, baseband, blocks, folded, inside, spread_over
from artifactlab.metrics.inputs import as_images, as_lattice, as_signals, reduce
from artifactlab.metrics.period_reading import counted, read
from artifactlab.metrics.spectral_reading import SpectralImages
from artifactlab.metrics.spectral_sums import SpectralSums, lattice_sums, periods_of, spectral_sums
from artifactlab.metrics.synchronous_averaging import ROUNDING_VARIANCE

WINDOW = 12
"""Fewest samples per side of a window of the map: it holds 2, 3, 4 and 6 a whole number of times, and a few periods of
each, over which phases are averaged."""


def checkerboard_energy(
    x: Tensor, period: int | tuple[int, ...] = 2, *, data_range: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """Share of an image's fine structure that is a constant grid of the given period.

    0 for content that does not keep step with the pixel lattice (photos, noise, texture), 1 for a flat image that
    carries nothing but a grid. The fine structure is what a triangle filter of two periods leaves over, weighted as the
    grid is; the variance of 8-bit rounding is added to it, so that invisible grids on flat images do not count.

    Args:
        x: `(N, C, L)` signals, `(N, C, H, W)` images or `(N, C, D, H, W)` volumes, or activations; channels are pooled.
        period: lattice spacing in samples, one number or one per axis; 1 means no lattice in that direction.
        data_range: distance between the darkest and the brightest possible value.
        reduction: "mean", "sum" or "none" over the batch.

    Returns:
        A share in [0, 1]; where a grid is not confirmed, what the estimate has beyond chance. `spectral_images` says
        whether it can be told.

    Raises:
        InputError: if `x` is no finite tensor of that kind or an argument is out of range.

    Source: a reading of `spectral_images`; the artifact is described in A. Odena, V. Dumoulin, C. Olah, "Deconvolution
    and checkerboard artifacts", Distill 2016.

    >>> import torch
    >>> y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    >>> board = 0.5 + 0.02 * (-1.0) ** (x + y)[None, None]
    >>> bool(checkerboard_energy(board, 2) > 0.99)
    True
    """
    images = as_signals(x, data_range, reduction)
    lattice = as_lattice(period, images.ndim - SPATIAL)
    sums = _measured(images, lattice)
    return reduce(locked_share(sums) if sums else images.new_zeros(len(images)), reduction)


def lattice_amplitude(
    x: Tensor, period: int | tuple[int, ...] = 2, *, data_range: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """Root-mean-square amplitude of the constant grid of the given period, as a fraction of the data range.

    Use it to say how strong a grid is. It is measured where the content is quiet, and averaged over there: a grid on
    half of a flat image reads as half. `checkerboard_energy` says how much of the fine structure it makes up.

    Args:
        x, period, data_range, reduction: as for `checkerboard_energy`.

    Returns:
        A fraction of the data range; where a grid is not confirmed, what the estimate has beyond chance.
        `spectral_images` says whether it can be told, and the error.

    Raises:
        InputError: as `checkerboard_energy`.

    >>> import torch
    >>> y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    >>> board = 0.5 + 0.02 * (-1.0) ** (x + y)[None, None]
    >>> round(float(lattice_amplitude(board, 2)), 4)
    0.02
    """
    images = as_signals(x, data_range, reduction)
    lattice = as_lattice(period, images.ndim - SPATIAL)
    powers = [grid_power(sums) for sums in _measured(images, lattice).values()]
    power = torch.stack(powers).sum(0) if powers else images.new_zeros(len(images))
    return reduce(power.clamp_min(0).sqrt(), reduction)


def lattice_spectrum(
    x: Tensor, periods: tuple[int, ...] = (2, 3, 4, 8), *, data_range: float = 1.0, reduction: str = "none"
) -> Tensor:
    """Power of the constant grid at each period's own frequencies, those it does not share with its divisors.

    A period-2 grid also repeats every 4 pixels. Here it counts for 2 only, so the largest entry names the period.

    Args:
        x: `(N, C, H, W)` images or activations; channels are pooled.
        periods: lattice spacings in pixels, each at least 2.
        data_range: distance between the darkest and the brightest possible value.
        reduction: "none" for `(N, len(periods))`; "mean" or "sum" over the batch for `(len(periods),)`.

    Returns:
        Power in squared data ranges, at least 0.

    Raises:
        InputError: if a period is below 2, or as `checkerboard_energy`.

    >>> import torch
    >>> stripes = torch.tensor([0.5, 0.6, 0.5, 0.5]).repeat(16).expand(1, 1, 64, 64)
    >>> periods = (2, 4, 8)
    >>> periods[int(lattice_spectrum(stripes, periods).argmax())]
    4
    """
    images = as_images(x, data_range, reduction)
    valid = isinstance(periods, (tuple, list)) and all(isinstance(p, int) and p >= 2 for p in periods)
    if not valid or not periods:
        raise InputError(f"periods must be a tuple of integers of at least 2, got {periods!r}")
    nothing = images.new_zeros(len(images))
    fits = min(images.shape[SPATIAL:])
    powers = [grid_power(spectral_sums(images, (p, p), p, alone="grid")) if p <= fits else nothing for p in periods]
    return reduce(torch.stack(powers, 1).clamp_min(0), reduction)


def checkerboard_map(x: Tensor, period: int | tuple[int, ...] = 2, *, data_range: float = 1.0) -> Tensor:
    """Where the grid is: local rms amplitude of the period's phase pattern, as a fraction of the data range.

    Unlike `lattice_amplitude` it looks at each window alone, so texture of the same spacing shows as well.

    Args:
        x, period, data_range: as for `checkerboard_energy`.

    Returns:
        `(N, 1, *space)`, the rms over channels.

    Raises:
        InputError: as `checkerboard_energy`.

    >>> import torch
    >>> checkerboard_map(torch.zeros(1, 3, 32, 32), 2).shape
    torch.Size([1, 1, 32, 32])
    """
    images = as_signals(x, data_range)
    lattice = as_lattice(period, images.ndim - SPATIAL)
    size = images.shape[SPATIAL:]
    sides = [spacing * math.ceil(WINDOW / spacing) for spacing in lattice]
    if any(side > length for side, length in zip(sides, size, strict=True)):
        return images.new_zeros(len(images), 1, *size)
    parts = blocks(images - baseband(images, math.lcm(*lattice)), sides)
    means = folded(parts, lattice) / (math.prod(sides) / math.prod(lattice))
    phases = tuple(range(-len(size), 0))
    means = means - parts.mean(inside(sides))[(..., *[None] * len(size))]
    amplitude = means.square().mean((1, *phases), keepdim=True).squeeze(phases).sqrt()
    return spread_over(amplitude, sides, size)


def locked_share(sums: Mapping[int, SpectralSums]) -> Tensor:
    """`checkerboard_energy` (N,) of a lattice's sums."""
    power = torch.stack([grid_power(s) for s in sums.values()]).sum(0)
    return _share(power, sums[max(sums)])


def share_of(reading: SpectralImages, sums: Mapping[int, SpectralSums]) -> Tensor:
    """`checkerboard_energy` (1,) of one image's best reading, which is of these sums; 0 where it has no period."""
    named = int(reading.period)
    return _share(reading.grid.square(), sums[named]) if named else reading.grid


def _share(power: Tensor, sums: SpectralSums) -> Tensor:
    """A grid's power over that of the residual and of rounding, at most 1."""
    residual = sums.residual / sums.grid.weight.clamp_min(1e-12)
    return (power / (residual + ROUNDING_VARIANCE)).clamp(0, 1)


def grid_power(sums: SpectralSums) -> Tensor:
    """Power of the constant grid at a period's own frequencies, as far as it counts, (N,)."""
    return counted(read(sums), "grid")


def _measured(images: Tensor, lattice: tuple[int, ...]) -> dict[int, SpectralSums]:
    """The lattice's sums; none where it does not fit the image."""
    fits = all(spacing <= size for spacing, size in zip(lattice, images.shape[SPATIAL:], strict=True))
    return lattice_sums(images, lattice, alone="grid") if fits and periods_of(lattice) else {}
