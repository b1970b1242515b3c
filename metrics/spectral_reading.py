"""From spectral sums to numbers: what is confirmed, how strong it is, which period holds it, what cannot be told."""

# no `from __future__ import annotations`: the API page resolves a named tuple's types only if they are no strings
import functools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL
from artifactlab.metrics.relations import own_frequencies
from artifactlab.metrics.spectral_sums import SpectralSums, spectral_sums
from artifactlab.metrics.synchronous import SynchronousSums, as_numbers, confirmed, evidence, significant
from artifactlab.metrics.visible import VISIBLE_GRID, VISIBLE_STEPS

PERIODS = tuple(range(2, 17))
"""that are looked for where none is given"""
STRIDES = (2, 4, 8)
"""what decoders enlarge by: an image is called clean where none of these can hide. Coarser ones hide in most crops"""
CYCLES = 8
"""of a period that an axis must hold for it to be looked for; texture of about that spacing cannot be told from it"""
STRIPES = 4
"""periods up to which a pattern along one axis alone may be an artifact (interlaced video); longer ones are lines of
text, fences and blinds, as an upsampler works along all axes"""
LEAST_ON_EACH_AXIS = 1.5
"""times chance, that stair-steps of such a period must have along each axis"""
FEW_CYCLES, ABOVE_OTHERS = 8, 1.75
"""periods above which stair-steps must stand out more from other frequencies: masonry and text do by 1.5"""
MOST_EVIDENCE = 0.9
"""of all evidence, that the lattice of the named period must hold: the smallest such period is named"""


class SpectralImages(NamedTuple):
    """What `spectral_images` reads, one value per image, all finite.

    Args:
        period, told: which lattice was found, and whether anything can be told.
        grid, grid_error, modulation, modulation_error, explained, explained_error: fractions of the data range.
        warp, warp_error: samples.

    >>> import torch
    >>> from artifactlab.metrics import spectral_images
    >>> found = spectral_images(torch.zeros(1, 1, 256, 256))
    >>> bool(found.told), float(found.grid), float(found.warp)
    (True, 0.0, 0.0)
    """

    period: Tensor
    """(N,) the period that holds what was found, 0 where nothing was"""
    told: Tensor
    """(N,) False where it cannot be told: nothing was found, but something visible could hide in the error"""
    grid: Tensor
    """(N,) rms of the constant grid, as a fraction of the data range"""
    grid_error: Tensor
    """(N,) its standard error"""
    modulation: Tensor
    """(N,) rms of the grid that follows the content, as a fraction of the data range"""
    modulation_error: Tensor
    """(N,) its standard error"""
    warp: Tensor
    """(N,) stair-steps: rms displacement of edges across themselves, in samples"""
    warp_error: Tensor
    """(N,) its standard error"""
    explained: Tensor
    """(N,) rms of all three, as a fraction of the data range"""
    explained_error: Tensor
    """(N,) its standard error"""


class Forms(NamedTuple):
    """Of each form of spectral images, (N,)."""

    grid: Tensor
    modulation: Tensor
    warp: Tensor
    """in squared samples, the others in squared data ranges"""
    explained: Tensor


class Reading(NamedTuple):
    """What one period's own frequencies hold."""

    power: Forms
    """unbiased, so it may be negative"""
    error: Forms
    """its standard error"""
    found: Forms
    """boolean"""
    evidence: Tensor
    """(N,) of what was found, added up over frequencies"""


def measurable_periods(sizes: Sequence[int], periods: Sequence[int] = PERIODS) -> tuple[int, ...]:
    """Those of which an image is large enough."""
    return tuple(p for p in periods if p * CYCLES <= min(sizes))


def periods_of(lattice: Sequence[int]) -> tuple[int, ...]:
    """The periods that a lattice contains."""
    whole = math.lcm(*lattice)
    return tuple(p for p in range(2, whole + 1) if whole % p == 0)


def lattice_sums(images: Tensor, lattice: Sequence[int], grid_alone: bool = False) -> dict[int, SpectralSums]:
    """The sums of each period that a lattice contains."""
    return {p: spectral_sums(images, lattice, p, grid_alone=grid_alone) for p in periods_of(lattice)}


def read_best(sums: Mapping[int, SpectralSums], others: Mapping[int, Reading], like: Tensor) -> SpectralImages:
    """The reading at the period that holds the evidence best.

    Args:
        sums: of the periods that are suspected, and of all that these contain.
        others: what a search has read of all other periods; nothing is found there, but something may hide.
        like: the images.
    """
    axes = like.ndim - SPATIAL
    readings = {p: read(s, _stripes(axes, p), p) for p, s in sums.items()}
    every = {**others, **readings}
    clean = [is_clean(every[p]) for p in STRIDES if p in every]
    told = torch.stack(clean).all(0) & (len(clean) == len(STRIDES)) if clean else None
    best = too_small(like)
    if readings:
        held = torch.stack([_sum(r.evidence for p, r in readings.items() if named % p == 0) for named in readings])
        named = (held >= MOST_EVIDENCE * held.amax(0)).int().argmax(0)
        each = [together([r for p, r in readings.items() if period % p == 0], period) for period in readings]
        best = SpectralImages(*(torch.stack(field).gather(0, named[None])[0] for field in zip(*each, strict=True)))
    if every:  # where nothing is found, the errors are those of what decoders enlarge by
        none = together([r for p, r in every.items() if p in STRIDES] or list(every.values()), max(every))
        none = none._replace(period=torch.zeros_like(none.period))
        chosen = (torch.where(best.period > 0, one, other) for one, other in zip(best, none, strict=True))
        best = SpectralImages(*chosen)
    return best if told is None else best._replace(told=(best.period > 0) | told)


def read_lattice(sums: Mapping[int, SpectralSums]) -> SpectralImages:
    """The reading of all periods of a lattice, of sums of at least one period."""
    readings = {p: read(s) for p, s in sums.items()}
    held = {p: _sum(r.evidence for q, r in readings.items() if p % q == 0) for p in readings}
    most = held[max(held)]
    named = torch.zeros_like(most, dtype=torch.long)
    for p in sorted(held, reverse=True):
        named = torch.where((held[p] >= MOST_EVIDENCE * most) & (most > 0), p, named)
    return together(list(readings.values()), max(readings))._replace(period=named)


def read(sums: SpectralSums, stripes: tuple[Tensor, ...] = (), period: int = 0) -> Reading:
    """What a period's own frequencies hold; where `stripes` are given, patterns along one axis alone do not count."""
    samples = sums.samples.clamp_min(1)
    contrast, slopes = sums.contrast / samples, sums.slopes / samples[:, None]
    zero = torch.zeros_like(contrast)
    moved = _sum((slopes[:, axis] * one.power() for axis, one in enumerate(sums.warp)), zero)
    moved_error = _sum(((slopes[:, axis] * one.error()).square() for axis, one in enumerate(sums.warp)), zero).sqrt()
    follows = [] if sums.modulation is None else [sums.modulation]
    power = [sums.grid.power(), _sum((contrast * one.power() for one in follows), zero), moved]
    error = [sums.grid.error(), _sum((contrast * one.error() for one in follows), zero), moved_error]
    relations = [[sums.grid], follows, list(sums.warp)]
    found = [confirmed(relation) if relation else zero.bool() for relation in relations]
    if stripes:
        found[0] &= torch.stack([significant([sums.grid.only(~along.to(zero.device))]) for along in stripes]).all(0)
        found[2] &= torch.stack([evidence([axis]) for axis in sums.warp]).amin(0) > LEAST_ON_EACH_AXIS
    if period > FEW_CYCLES:
        found[2] &= confirmed(list(sums.warp), ABOVE_OTHERS)
    # nor are steps called steps where they make no difference that anybody could see
    found[2] &= moved > (VISIBLE_GRID / 4) ** 2
    # a grid that follows the content is as strong as the content, which has a mean: it does not come alone
    found[1] &= found[0] | found[2]
    return Reading(
        Forms(
            power[0],
            power[1],
            _per_slope(moved, slopes),
            _sum(p.where(f, zero) for p, f in zip(power, found, strict=True)),
        ),
        Forms(error[0], error[1], _per_slope(moved_error, slopes), torch.stack(error).square().sum(0).sqrt()),
        Forms(found[0], found[1], found[2], found[0] | found[2]),
        _sum(
            _strength(relation).where(sure, zero) for relation, sure in zip(relations, found, strict=True) if relation
        ),
    )


def together(readings: Sequence[Reading], period: int) -> SpectralImages:
    """Several periods' readings added up; `period` is theirs."""
    fields = []
    for form, most in zip(Forms._fields, (1.0, 1.0, float(period), 1.0), strict=True):
        power = _sum(getattr(r.power, form).where(getattr(r.found, form), r.evidence.new_zeros(())) for r in readings)
        error = torch.stack([getattr(r.error, form) for r in readings]).square().sum(0).sqrt()
        value = power.clamp(0, most**2).sqrt()
        # of a square root: error / (2 value) where it is small, its own root where there is nothing
        fields += [value, (error / (value + (value.square() + error).sqrt()).clamp_min(1e-12)).clamp_max(most)]
    found = torch.stack([r.found.explained for r in readings]).any(0)
    clean = torch.stack([is_clean(r) for r in readings]).all(0)
    return SpectralImages(torch.where(found, period, 0), found | clean, *fields)


def is_clean(reading: Reading) -> Tensor:
    """(N,) whether nothing visible could hide in what was not found."""
    error = reading.error
    # where there is hardly an edge, steps of any height do not show
    steps = (error.warp <= VISIBLE_STEPS**2) | (error.explained <= VISIBLE_GRID**2)
    return (error.grid <= VISIBLE_GRID**2) & steps


def too_small(images: Tensor) -> SpectralImages:
    """Of images that hold no period often enough: cannot tell."""
    zero, one = images.new_zeros(len(images)), images.new_ones(len(images))
    none = torch.zeros(len(images), dtype=torch.long, device=images.device)
    return SpectralImages(none, none.bool(), zero, one, zero, one, zero, 2 * one, zero, one)


@functools.cache
def _stripes(axes: int, period: int) -> tuple[Tensor, ...]:
    """For each axis, which of a grid's numbers belong to stripes across it; none where stripes may be an artifact."""
    if axes == 1 or period <= STRIPES:
        return ()
    frequencies, stands_for = own_frequencies((period,) * axes, period)
    alone = [[sum(map(bool, k)) == 1 and k[axis] > 0 for k in frequencies] for axis in range(axes)]
    return tuple(as_numbers(chosen, stands_for) for chosen in alone)


def _strength(relation: list[SynchronousSums]) -> Tensor:
    """(N,) evidence beyond chance, added up over frequencies."""
    return (evidence(relation) - 1).clamp_min(0) * sum(one.chance.shape[1] for one in relation)


def _per_slope(moved: Tensor, slopes: Tensor) -> Tensor:
    """Squared displacement from the squared difference that it makes."""
    return moved / slopes.sum(1).clamp_min(1e-12)


def _sum(values: object, start: Tensor | float = 0.0) -> Tensor:
    return sum(values, start)  # type: ignore[call-overload]
