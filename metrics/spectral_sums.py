"""What an image's spectral images have in common: three regressions, as sums that add up.

An enlargement by p leaves copies of the content ("spectral images") around multiples of 1/p, each a fixed multiple of
the content: Y(f + k/p) = H_k(f) Y(f). In samples instead of frequencies: what the baseband leaves over, the residual
r = y - b, depends on the sample's phase in the lattice and on the content b in one of three ways, and what stands in
another way is at a right angle to it.

    r = c(phase)                    the grid: a constant pattern
    r = m(phase) (b - its mean)     the modulation: a pattern as strong as the content is bright
    r = u(phase) db/dx              the warp: content displaced by u pixels, which is a stair-step; for nearest
                                    replication u is a sawtooth of rms sqrt((p^2 - 1) / 12)

Each period is measured at its own frequencies alone, k/p with k and p coprime, below the baseband of just that period;
so what a lattice of period 8 shows is the sum of what is measured at 2, 4 and 8.

Sources: P. P. Vaidyanathan, "Multirate Systems and Filter Banks", 1993 (imaging); A. Popescu, H. Farid, "Exposing
digital forgeries by detecting traces of resampling", IEEE Trans. Signal Processing 53(2), 2005.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL, baseband, strips
from artifactlab.metrics.block_spectra import own_frequencies
from artifactlab.metrics.inputs import in_full_precision
from artifactlab.metrics.lines import lines_across, warp_relations
from artifactlab.metrics.relations import grid_relations, modulation_relation, squares_of
from artifactlab.metrics.synchronous import SynchronousSums, empty_sums, pooled_field

Form = Literal["grid", "grids", "warp"]
"""What may be measured alone; `grids` are the constant one and the modulation."""


class SpectralSums(NamedTuple):
    """One period's sums over an image; those of tiles, crops and images add up."""

    grid: SynchronousSums
    """The constant grid. Its halves are the quieter and the busier blocks."""
    modulation: SynchronousSums | None
    """The grid that follows the content; None where it was not asked for. Its halves: content above and below its mean.
    """
    warp: tuple[SynchronousSums, ...]
    """Stair-steps along each axis that has this period. Their halves: edges that rise and edges that fall along it."""
    contrast: Tensor
    """Squared content about its mean, (N,)."""
    slopes: Tensor
    """Squared slope of the content, (N, axes of warp)."""
    residual: Tensor
    """Weighted power of the residual, in units of `grid.weight`, (N,)."""
    samples: Tensor
    """How many samples were measured, over all channels, (N,)."""

    def __add__(self, other: SpectralSums) -> SpectralSums:  # type: ignore[override]
        warp = tuple(a + b for a, b in zip(self.warp, other.warp, strict=True))
        others = (a + b for a, b in zip(self[3:], other[3:], strict=True))
        modulation = None
        if self.modulation is not None and other.modulation is not None:
            modulation = self.modulation + other.modulation
        return SpectralSums(self.grid + other.grid, modulation, warp, *others)

    def pooled(self, counts: Tensor) -> SpectralSums:
        """Sums over choices of the N items, given as counts (R, N)."""
        warp = tuple(axis.pooled(counts) for axis in self.warp)
        others = (pooled_field(field, counts) for field in self[3:])
        modulation = None if self.modulation is None else self.modulation.pooled(counts)
        return SpectralSums(self.grid.pooled(counts), modulation, warp, *others)


def joined(parts: Sequence[SpectralSums]) -> SpectralSums:
    """The items of several sums, one behind the other."""

    def along(fields: Sequence[SynchronousSums]) -> SynchronousSums:
        return SynchronousSums(*(torch.cat(values) for values in zip(*fields, strict=True)))

    grid = along([part.grid for part in parts])
    modulations = [part.modulation for part in parts if part.modulation is not None]
    warp = tuple(along(axis) for axis in zip(*(part.warp for part in parts), strict=True))
    others = (torch.cat(values) for values in zip(*(part[3:] for part in parts), strict=True))
    return SpectralSums(grid, along(modulations) if modulations else None, warp, *others)


@in_full_precision
def spectral_sums(
    images: Tensor,
    lattice: Sequence[int],
    period: int,
    origin: Sequence[int] | None = None,
    alone: Form | None = None,
    luma: Tensor | None = None,
) -> SpectralSums:
    """The sums of `(N, C, *space)` images of data range 1 at a period's own frequencies.

    Args:
        images: of one to three spatial axes.
        lattice: spacing along each axis; 1 where there is none.
        period: a divisor of their least common multiple.
        origin: place of the first sample in a larger image that this is a tile of, along each axis; by default 0.
        alone: measure this form only; the others are empty.
        luma: of the images, which steps are measured in where it is given, at a third of the cost.
    """
    folds = tuple(math.gcd(period, spacing) for spacing in lattice)
    origin = origin or (0,) * len(folds)
    nothing = empty_spectral_sums(images, folds, period)
    if too_small_for(images, folds):
        return nothing
    edges = images if luma is None else luma
    along = [axis for axis, fold in enumerate(folds) if fold == period and alone in ("warp", None)]
    warps = [warp_relations(lines_across(edges, axis, period), axis, [period], origin)[0] for axis in along]
    if alone == "warp":
        return collected(images, edges, nothing.grid, nothing.residual, None, nothing.contrast, warps)

    content = baseband(images, period)

    def residuals(rows: int) -> Iterator[tuple[Tensor, Tensor]]:
        for start, part in strips(images, rows):
            residual = part - content.narrow(SPATIAL, start, part.shape[SPATIAL])
            yield residual, squares_of(residual)

    sizes = images.shape[SPATIAL:]
    ((grid, weighted, power),) = grid_relations(residuals, sizes, [(folds, period)], period, origin)
    if alone == "grid":
        return collected(images, edges, grid, weighted, None, nothing.contrast, [])
    modulation, contrast = modulation_relation(images, content, power, folds, period, origin)
    return collected(images, edges, grid, weighted, modulation, contrast, warps)


def collected(
    images: Tensor,
    edges: Tensor,
    grid: SynchronousSums,
    residual: Tensor,
    modulation: SynchronousSums | None,
    contrast: Tensor,
    warps: Sequence[tuple[SynchronousSums, Tensor]],
) -> SpectralSums:
    """The relations of one period, as one; the warps were measured in `edges`."""
    slopes = torch.stack([square for _, square in warps], 1) if warps else contrast.new_zeros(len(contrast), 0)
    slopes = slopes * (images.shape[1] / edges.shape[1])  # of luma alone, they stand for those of all channels
    samples = torch.full_like(contrast, images[0].numel())
    return SpectralSums(grid, modulation, tuple(sums for sums, _ in warps), contrast, slopes, residual, samples)


def too_small_for(images: Tensor, folds: Sequence[int]) -> bool:
    """Whether an axis that has the lattice holds no block of it, or there is nothing to compare along another."""
    needed = (4 * fold if fold > 1 else 2 for fold in folds)  # from fewer periods there is no baseband
    return any(size < least for size, least in zip(images.shape[SPATIAL:], needed, strict=True))


def empty_spectral_sums(images: Tensor, folds: tuple[int, ...], period: int) -> SpectralSums:
    """The sums of images too small for a period."""
    axes = len(folds)
    zero = images.new_zeros(len(images))
    in_space, along_axis = own_frequencies(folds, period)[1], own_frequencies((period,), period)[1]
    grid = empty_sums(images, images.shape[1], in_space, axes)
    modulation = empty_sums(images, 1, in_space, axes)
    warp = empty_sums(images, 1, along_axis, axes)
    warps = [(warp, zero)] * sum(fold == period for fold in folds)
    return collected(images, images, grid, zero, modulation, zero, warps)


def periods_of(lattice: Sequence[int]) -> tuple[int, ...]:
    """The periods that a lattice contains."""
    longest = math.lcm(*lattice)
    return tuple(period for period in range(2, longest + 1) if longest % period == 0)


def lattice_sums(
    images: Tensor, lattice: Sequence[int], alone: Literal["grid", "warp"] | None = None
) -> dict[int, SpectralSums]:
    """The sums of each period that a lattice contains."""
    return {period: spectral_sums(images, lattice, period, alone=alone) for period in periods_of(lattice)}
