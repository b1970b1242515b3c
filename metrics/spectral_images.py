"""Grids and stair-steps, read off the spectral images that an enlargement leaves: one measurement, three forms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL
from artifactlab.metrics.inputs import as_lattice, as_signals
from artifactlab.metrics.spectral_reading import SpectralImages, read_best, read_lattice, too_small
from artifactlab.metrics.spectral_search import measurable_periods, measured, search_sums
from artifactlab.metrics.spectral_sums import Form, SpectralSums, lattice_sums, spectral_sums


def spectral_images(
    x: Tensor, period: int | tuple[int, ...] | None = None, *, data_range: float = 1.0
) -> SpectralImages:
    """How much of an image is in step with a lattice: constant grids, grids that follow the content, stair-steps.

    An upsampler by p that is no good interpolator leaves fixed multiples of the content around the frequencies k/p.
    They are found by regression on the content itself, so blur weakens the reading by what it takes from the artifact
    and no more, and what does not follow content and lattice (photos, noise, texture) averages out.

    Args:
        x: `(N, C, L)` signals, `(N, C, H, W)` images or `(N, C, D, H, W)` volumes; channels are pooled.
        period: lattice spacing in samples, one number or one per axis (1: no lattice along it); its divisors count,
            too. None looks for the periods 2 to 16, as far as 8 of them fit the image, and names the best.
        data_range: distance between the darkest and the brightest possible value.

    Returns:
        A `SpectralImages`. Nearest replication by p reads a `warp` of sqrt((p^2 - 1) / 12) samples, whatever the
        direction of the edges.

    Raises:
        InputError: if `x` is no finite tensor of that kind or an argument is out of range.

    Source: our regression, see `spectral_sums`; A. Popescu, H. Farid, IEEE Trans. Signal Processing 53(2), 2005.

    >>> import torch
    >>> stairs = torch.ones(64, 64).tril(3).repeat_interleave(4, 0).repeat_interleave(4, 1)[None, None]
    >>> found = spectral_images(stairs)
    >>> int(found.period), round(float(found.warp), 1)
    (4, 1.1)
    """
    images = as_signals(x, data_range)
    axes = images.ndim - SPATIAL
    if period is None:
        # one by one: which periods are measured must not depend on the other images
        return SpectralImages(*(torch.cat(field) for field in zip(*map(_best, images.split(1)), strict=True)))
    lattice = as_lattice(period, axes)
    fits = all(spacing <= size for spacing, size in zip(lattice, images.shape[SPATIAL:], strict=True))
    return read_lattice(lattice_sums(images, lattice)) if fits and max(lattice) > 1 else too_small(images)


def _best(image: Tensor) -> SpectralImages:
    """The best period of a single image."""
    axes = image.ndim - SPATIAL
    found = search_sums(image, measurable_periods(image.shape[SPATIAL:]))
    if not found:
        return too_small(image)

    def exactly(periods: Sequence[int], form: Form) -> list[SpectralSums]:
        return [spectral_sums(image, (period,) * axes, period, alone=form) for period in periods]

    return read_best(measured(found, exactly), axes)
