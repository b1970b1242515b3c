"""What two measurements of one lattice differ by: the relations of residual and content, coefficient by coefficient.

The relations are what a lattice is (`spectral_sums`). They do not depend on how much content there is, nor on which, so
they can be compared where the two were given other content, or other pieces of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.period_reading import per_sample, powers_of
from artifactlab.metrics.significance import least_ratio
from artifactlab.metrics.spectral_sums import SpectralSums
from artifactlab.metrics.synchronous import SynchronousSums

Sums = Mapping[int, SpectralSums]
"""Sums by period, each of whose items is a channel."""


class Powers(NamedTuple):
    """Squared strength of a lattice, over all channels and periods."""

    grid: float
    """Of the grid, constant and following the content, in squared data ranges."""
    steps: float
    """Of the stair-steps, in squared samples."""
    moved: float
    """Of the difference that stair-steps make, in squared data ranges."""


def beyond_chance(sums: Sums) -> Powers:
    """The strength of one lattice."""
    return _over_channels(sums, SynchronousSums.beyond_chance)


def difference(one: Sums, other: Sums) -> Powers:
    """How strong the difference of two lattices is, of the same periods and channels; chance is in it."""
    return _over_channels(_differences(one, other), SynchronousSums.raw_power)


def chance_of_difference(one: Sums, other: Sums, unlike: float) -> Powers:
    """What a difference must exceed to be none of chance.

    Chance is what content has at frequencies beside the lattice's. Two measurements of the same content share it, so of
    their difference it is the part of the content that is `unlike`, 0 to 1: at 1 the two are independent.
    """
    power = _over_channels(_differences(one, other), SynchronousSums.chance_power)
    follows = [sums.modulation for sums in one.values() if sums.modulation is not None]
    grids = _least_ratio([*(sums.grid for sums in one.values()), *follows])
    steps = _least_ratio([axis for sums in one.values() for axis in sums.warp])
    return Powers(unlike * grids * power.grid, unlike * steps * power.steps, unlike * steps * power.moved)


def _least_ratio(measured: Sequence[SynchronousSums]) -> float:
    """The ratio of difference and chance that chance does not reach: the fewer components there are, the larger."""
    return least_ratio(max(1, sum(sums.chance.numel() for sums in measured)))


def _differences(one: Sums, other: Sums) -> dict[int, SpectralSums]:
    """The difference at each period."""
    return {period: _difference(sums, other[period]) for period, sums in one.items()}


def _difference(one: SpectralSums, other: SpectralSums) -> SpectralSums:
    """As sums of weight 1; what follows content counts as far as both have content that shows it."""
    longer = one.samples / other.samples
    contrast = torch.minimum(one.contrast, other.contrast * longer)
    slopes = torch.minimum(one.slopes, other.slopes * longer[:, None])
    modulation = None
    if one.modulation is not None and other.modulation is not None:
        modulation = _of_coefficients(one.modulation, other.modulation)
    warp = tuple(_of_coefficients(a, b) for a, b in zip(one.warp, other.warp, strict=True))
    grid = _of_coefficients(one.grid, other.grid)
    return one._replace(grid=grid, modulation=modulation, warp=warp, contrast=contrast, slopes=slopes)


def _of_coefficients(one: SynchronousSums, other: SynchronousSums) -> SynchronousSums:
    """The difference of coefficients, as sums whose halves weigh 1/2 each; neighbours and drift are not known."""
    coefficients, chance = one.coefficients()
    others, their_chance = other.coefficients()
    half = torch.full_like(one.first_weight, 0.5)
    return SynchronousSums(
        first=others,
        second=-coefficients,
        first_weight=half,
        second_weight=half,
        chance=chance + their_chance,
        best_neighbour=half,
        drift=torch.zeros_like(one.drift),
        drift_weight=half,
    )


def _over_channels(sums: Sums, of: Callable[[SynchronousSums], Tensor]) -> Powers:
    """Grids are averaged over channels; steps, by how much a channel's slopes have to show of them."""
    grid = steps = moves = 0.0
    for measured in sums.values():
        # the product of two slopes, which of noise may fall below nothing
        one = measured._replace(slopes=measured.slopes.clamp_min(0))
        power, moved = powers_of(one, of)
        slopes = per_sample(one)[1].sum(1)
        grid += float((power.grid + power.modulation).mean())
        steps += float(moved.sum() / slopes.sum().clamp_min(1e-12))
        moves += float(moved.mean())
    return Powers(grid, steps, moves)
