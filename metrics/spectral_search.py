"""Which periods are worth measuring: a search over many that shares nearly everything between them.

A period's own baseband and residual are what costs. Here three bands serve all periods, which is good enough to see
whether there is anything; only where there is, the period is measured for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL, baseband
from artifactlab.metrics.inputs import in_full_precision
from artifactlab.metrics.relations import grid_relation, lines_across, squares_of, warp_relation
from artifactlab.metrics.spectral_reading import Reading, read
from artifactlab.metrics.spectral_sums import SpectralSums, collected, nothing_seen, too_small_for
from artifactlab.metrics.synchronous import significant

BANDS = (2, 4, 8)
"""periods whose basebands are shared by those up to the next; nothing is lost for 2, 4 and 8 themselves"""
GRID_BANDS = (2, 4)
"""likewise, for grids, which need no baseband of their own"""
DOUBT = 3.0
"""standard deviations above chance from which on a period is measured for itself; it is `synchronous.CHANCE` there"""


@in_full_precision
def search_sums(images: Tensor, periods: Sequence[int], origin: Sequence[int] | None = None) -> dict[int, SpectralSums]:
    """Sums of each period, without modulation, of `(N, C, *space)` images of data range 1; they add up over tiles."""
    axes = range(images.ndim - SPATIAL)
    origin = origin or (0,) * len(axes)
    found = {}
    residuals: dict[int, tuple[Tensor, Tensor]] = {}
    lines = {}
    for period in periods:
        folds = (period,) * len(axes)
        if too_small_for(images, folds):
            found[period] = nothing_seen(images, folds, period)._replace(modulation=None)
            continue
        band = _shared(BANDS, period)
        if band not in lines:
            lines[band] = [lines_across(images, axis, band) for axis in axes]
        of_grid = _shared(GRID_BANDS, period)
        if of_grid not in residuals:
            residual = images - baseband(images, of_grid)
            residuals[of_grid] = residual, squares_of(residual)
        grid, weighted, _ = grid_relation(*residuals[of_grid], folds, period, of_grid, origin, searching=True)
        warps = [warp_relation(line, axis, period, origin, searching=True) for axis, line in enumerate(lines[band])]
        found[period] = collected(images, grid, weighted, None, torch.zeros_like(weighted), warps)
    return found


def suspects(sums: Mapping[int, SpectralSums]) -> tuple[int, ...]:
    """The periods at which any of the images may hold something, and what these contain."""
    seen = [p for p, s in sums.items() if bool((significant([s.grid], DOUBT) | significant(list(s.warp), DOUBT)).any())]
    return tuple(q for q in sums if any(p % q == 0 for p in seen))


def measured(
    sums: Mapping[int, SpectralSums], exactly: Callable[[int], SpectralSums]
) -> tuple[dict[int, SpectralSums], dict[int, Reading]]:
    """The sums of the suspects, measured one by one by `exactly`, and the search's reading of all others."""
    chosen = suspects(sums)
    return {p: exactly(p) for p in chosen}, {p: read(s) for p, s in sums.items() if p not in chosen}


def _shared(bands: Sequence[int], period: int) -> int:
    """The widest band that is no longer than the period."""
    return max(band for band in bands if band <= period)
