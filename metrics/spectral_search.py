"""Which periods are worth measuring: a search over many that shares nearly everything between them.

A period's own baseband and residual are what costs. Here three bands serve all periods, which is good enough to see
whether there is anything; only where there is, the period is measured for itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL, residual_above, strips
from artifactlab.metrics.block_spectra import Lattice
from artifactlab.metrics.inputs import in_full_precision
from artifactlab.metrics.lines import lines_across, warp_relations
from artifactlab.metrics.relations import grid_relations, squares_of
from artifactlab.metrics.significance import confirmed
from artifactlab.metrics.spectral_sums import Form, SpectralSums, collected, empty_spectral_sums, too_small_for
from artifactlab.metrics.synchronous import SynchronousSums

PERIODS = tuple(range(2, 17))
"""Periods that are looked for where none is given: those of decoders that enlarge up to 16 times in all. See
docs/decisions.md, "Search over all periods, then measure"."""
MIN_REPEATS = 8
"""Periods that an axis must hold for that period to be looked for. In fewer, texture of about that spacing cannot be
told from it: its phase turns by less than what is still taken for a lattice, see `significance.MAX_DRIFT`."""
BANDS = (2, 4, 8)
"""Periods whose basebands are shared by those up to the next. Nothing is lost for 2, 4 and 8 themselves. See
docs/decisions.md, "Search over all periods, then measure"."""
GRID_BAND = 4
"""Period above whose baseband all grids are looked for: what that takes from grids of other periods is known, and given
back. See docs/decisions.md, "Search over all periods, then measure"."""
SEARCH_DEVIATIONS = 3.0
"""Standard deviations above chance from which on a period is measured for itself. It is less than
`significance.SIGNIFICANCE`, so that the search, which measures less exactly, misses nothing that is confirmed then."""
SEARCH_PROMINENCE = 1.1
"""The search's `significance.MIN_PROMINENCE`, lower for the same reason. It is above 1, as most photos hold regular
texture of some period, and measuring each for itself was half of all time."""
SEARCH_AGREEMENT = 0.2
"""The search's `significance.MIN_AGREEMENT`, lower for the same reason and above 0 for that of `SEARCH_PROMINENCE`."""

MeasureForm = Callable[[Sequence[int], Form], Sequence[SpectralSums]]
"""Gives the sums of one form, of each of several periods."""


class _Grid(NamedTuple):
    """What `grid_relations` gives of one period."""

    sums: SynchronousSums
    """The grid's sums."""
    residual: Tensor
    """Weighted power of the residual, (N,)."""
    power: Tensor
    """Power of the residual in each block, without any grid."""


@in_full_precision
def search_sums(
    images: Tensor, periods: Sequence[int], origin: Sequence[int] | None = None, luma: Tensor | None = None
) -> dict[int, SpectralSums]:
    """Sums of each period, without modulation, of `(N, C, *space)` images of data range 1; they add up over tiles.

    Steps are looked for in `luma`, where it is given: it holds the edges of a photo at a third of the cost.
    """
    edges = images if luma is None else luma
    axes = images.ndim - SPATIAL
    origin = origin or (0,) * axes
    lattices: dict[int, Lattice] = {period: ((period,) * axes, period) for period in periods}
    fitting = [period for period in periods if not too_small_for(images, lattices[period][0])]
    grids = _search_grids(images, {period: lattices[period] for period in fitting}, origin)
    warps = _search_warps(edges, fitting, origin)
    sums: dict[int, SpectralSums] = {}
    for period in periods:
        if period in grids:
            grid, residual, _ = grids[period]
            sums[period] = collected(images, edges, grid, residual, None, torch.zeros_like(residual), warps[period])
        else:
            sums[period] = empty_spectral_sums(images, *lattices[period])._replace(modulation=None)
    return sums


def _search_grids(images: Tensor, lattices: Mapping[int, Lattice], origin: Sequence[int]) -> dict[int, _Grid]:
    """Grids of each period, all above the same baseband."""
    residual = residual_above(images, GRID_BAND)
    squares = torch.cat([squares_of(part) for _, part in strips(residual)], SPATIAL)
    sizes = residual.shape[SPATIAL:]

    def residuals(rows: int) -> Iterator[tuple[Tensor, Tensor]]:
        for start, part in strips(residual, rows):
            yield part, squares.narrow(SPATIAL, start, part.shape[SPATIAL])

    grids: dict[int, _Grid] = {}
    # blocks suit the longest period that shares them, and short ones need small ones
    for _, periods in _by_band(list(lattices)):
        own = [lattices[period] for period in periods]
        found = grid_relations(residuals, sizes, own, GRID_BAND, origin, searching=True)
        grids.update({period: _Grid(*one) for period, one in zip(periods, found, strict=True)})
    return grids


def _search_warps(
    edges: Tensor, periods: Sequence[int], origin: Sequence[int]
) -> dict[int, list[tuple[SynchronousSums, Tensor]]]:
    """Stair-steps of each period along each axis, above the baseband of the period's band."""
    warps: dict[int, list[tuple[SynchronousSums, Tensor]]] = {period: [] for period in periods}
    for band, own in _by_band(periods):
        searching = [period != band for period in own]
        for axis in range(edges.ndim - SPATIAL):
            along = warp_relations(lines_across(edges, axis, band), axis, own, origin, searching)
            for period, one in zip(own, along, strict=True):
                warps[period].append(one)
    return warps


def suspects(sums: Mapping[int, SpectralSums]) -> tuple[int, ...]:
    """The periods at which any of the images may hold something."""
    return tuple(p for p, s in sums.items() if _suspected([s.grid]) or _suspected(list(s.warp)))


def _suspected(relations: list[SynchronousSums]) -> bool:
    """Whether any of the images may hold a lattice."""
    return bool(confirmed(relations, SEARCH_DEVIATIONS, SEARCH_PROMINENCE, SEARCH_AGREEMENT).any())


def measured(sums: Mapping[int, SpectralSums], exactly: MeasureForm) -> dict[int, SpectralSums]:
    """The sums of a search, with what is suspected measured for itself by `exactly`: forms, each of a period.

    The search has measured the steps of its bands' own periods. A modulation never counts alone, so it is measured
    where a grid or steps are confirmed.
    """
    found = dict(sums)
    chosen = suspects(sums)
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


def _asked(exactly: MeasureForm, periods: Sequence[int], form: Form) -> Iterator[tuple[int, SpectralSums]]:
    """Each period with its sums of one form."""
    return zip(periods, exactly(periods, form), strict=True)


def _any_confirmed(sums: SpectralSums) -> bool:
    """Whether any of the images holds a grid or steps."""
    return bool((confirmed([sums.grid]) | confirmed(list(sums.warp))).any())


def _by_band(periods: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """The widest band that is no longer than a period, and the periods it serves."""
    for band, longer in zip(BANDS, (*BANDS[1:], math.inf), strict=True):
        own = [period for period in periods if band <= period < longer]
        if own:
            yield band, own


def measurable_periods(sizes: Sequence[int], periods: Sequence[int] = PERIODS) -> tuple[int, ...]:
    """The periods for which an image is large enough."""
    return tuple(period for period in periods if period * MIN_REPEATS <= min(sizes))
