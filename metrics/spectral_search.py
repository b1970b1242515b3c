"""Which periods are worth measuring: a search over many that shares nearly everything between them.

A period's own baseband and residual are what costs. Here three bands serve all periods, which is good enough to see
whether there is anything; only where there is, the period is measured for itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL, residual_above, strips
from artifactlab.metrics.inputs import in_full_precision
from artifactlab.metrics.lines import lines_across, warp_relations
from artifactlab.metrics.relations import grid_relations, squares_of
from artifactlab.metrics.spectral_sums import Form, SpectralSums, collected, nothing_seen, too_small_for
from artifactlab.metrics.synchronous import SynchronousSums, confirmed

BANDS = (2, 4, 8)
"""periods whose basebands are shared by those up to the next; nothing is lost for 2, 4 and 8 themselves"""
GRID_BAND = 4
"""whose baseband all grids are looked for above: what it takes from them at other periods is known"""
DOUBT = 3.0
"""standard deviations above chance from which on a period is measured for itself; it is `synchronous.CHANCE` there"""
DOUBT_ABOVE_OTHERS, DOUBT_AGREEMENT = 1.1, 0.2
"""likewise, of `synchronous.ABOVE_OTHERS` and `LEAST_AGREEMENT`: most photos hold regular texture of some period, and
measuring each for itself was half of all time"""


Exactly = Callable[[Sequence[int], Form], Sequence[SpectralSums]]
"""the sums of one form, of each of several periods"""


@in_full_precision
def search_sums(
    images: Tensor, periods: Sequence[int], origin: Sequence[int] | None = None, luma: Tensor | None = None
) -> dict[int, SpectralSums]:
    """Sums of each period, without modulation, of `(N, C, *space)` images of data range 1; they add up over tiles.

    Steps are looked for in `luma`, where it is given: it holds the edges of a photo at a third of the cost.
    """
    edges = images if luma is None else luma
    axes = range(images.ndim - SPATIAL)
    origin = origin or (0,) * len(axes)
    lattices = {period: ((period,) * len(axes), period) for period in periods}
    fitting = [period for period in periods if not too_small_for(images, lattices[period][0])]
    grids: dict[int, tuple[SynchronousSums, Tensor, Tensor]] = {}
    residual = residual_above(images, GRID_BAND)
    squares = torch.cat([squares_of(part) for _, part in strips(residual)], SPATIAL)
    sizes = residual.shape[SPATIAL:]

    def residuals(rows: int) -> Iterator[tuple[Tensor, Tensor]]:
        for start, part in strips(residual, rows):
            yield part, squares.narrow(SPATIAL, start, part.shape[SPATIAL])

    for _, own in _by_band(fitting):  # blocks suit the longest period that shares them, and short ones need small ones
        found = grid_relations(residuals, sizes, [lattices[p] for p in own], GRID_BAND, origin, searching=True)
        grids.update(zip(own, found, strict=True))
    warps: dict[int, list[tuple[SynchronousSums, Tensor]]] = {period: [] for period in fitting}
    for band, own in _by_band(fitting):
        for axis in axes:
            searching = [period != band for period in own]
            moved = warp_relations(lines_across(edges, axis, band), axis, own, origin, searching)
            for period, one in zip(own, moved, strict=True):
                warps[period].append(one)
    sums: dict[int, SpectralSums] = {}
    for period in periods:
        if period in grids:
            grid, weighted, _ = grids[period]
            sums[period] = collected(images, edges, grid, weighted, None, torch.zeros_like(weighted), warps[period])
        else:
            sums[period] = nothing_seen(images, *lattices[period])._replace(modulation=None)
    return sums


def suspects(sums: Mapping[int, SpectralSums]) -> tuple[int, ...]:
    """The periods at which any of the images may hold something."""
    return tuple(p for p, s in sums.items() if _suspected([s.grid]) or _suspected(list(s.warp)))


def _suspected(relations: list[SynchronousSums]) -> bool:
    return bool(confirmed(relations, DOUBT, DOUBT_ABOVE_OTHERS, DOUBT_AGREEMENT).any())


def measured(sums: Mapping[int, SpectralSums], exactly: Exactly) -> dict[int, SpectralSums]:
    """The sums of a search, with what is suspected measured for itself by `exactly`: forms, each of a period.

    The search has measured the steps of its bands' own periods. A modulation never counts alone, so it is measured
    where a grid or steps are confirmed.
    """
    found, chosen = dict(sums), suspects(sums)
    for period, steps in _asked(exactly, [p for p in chosen if p not in BANDS], "warp"):
        found[period] = found[period]._replace(warp=steps.warp, slopes=steps.slopes)
    likely = [p for p in chosen if _any_confirmed(found[p])]
    for period, grid in _asked(exactly, [p for p in chosen if p not in likely], "grid"):
        found[period] = found[period]._replace(grid=grid.grid, residual=grid.residual)
        if _any_confirmed(found[period]):
            likely.append(period)
    for period, grids in _asked(exactly, likely, "grids"):
        both = grids._replace(warp=found[period].warp, slopes=found[period].slopes)
        found[period] = both if _any_confirmed(both) else both._replace(modulation=None)
    return found


def _asked(exactly: Exactly, periods: Sequence[int], form: Form) -> Iterator[tuple[int, SpectralSums]]:
    return zip(periods, exactly(periods, form), strict=True)


def _any_confirmed(sums: SpectralSums) -> bool:
    return bool((confirmed([sums.grid]) | confirmed(list(sums.warp))).any())


def _by_band(periods: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """The widest band that is no longer than a period, and the periods it serves."""
    for band, longer in zip(BANDS, (*BANDS[1:], math.inf), strict=True):
        own = [period for period in periods if band <= period < longer]
        if own:
            yield band, own
