"""From spectral sums to numbers: what is confirmed, how strong it is, which period holds it, what cannot be told."""

# no `from __future__ import annotations`: the API page resolves a named tuple's types only if they are no strings
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.block_spectra import constant, own_frequencies
from artifactlab.metrics.spectral_sums import SpectralSums, spectral_sums
from artifactlab.metrics.synchronous import (
    LEAST_EVIDENCE,
    SynchronousSums,
    as_numbers,
    evidence,
    like_a_lattice,
    significant,
)
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
WEAK = (LEAST_EVIDENCE, LEAST_EVIDENCE, 1.0)
"""times chance, that is taken off what is not confirmed: grid, modulation, warp. A grid is as strong in all content, so
that it must beat the chance of the busiest; steps grow with the edges that hide them, and Wiener's 1 is best"""
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
    """(N,) False where it cannot be told: nothing was found, but something visible may be there or hide in the error"""
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

    def any(self) -> Tensor:
        """(N,) whether any form is marked."""
        return self.grid | self.modulation | self.warp


class Reading(NamedTuple):
    """What one period's own frequencies hold."""

    power: Forms
    """squared, of the data range and, the warp, of samples; unbiased, so it may be negative"""
    error: Forms
    """its standard error"""
    moved: Tensor
    """(N,) squared difference that the warp makes, in data ranges"""
    moved_error: Tensor
    """(N,) its standard error"""
    found: Forms
    """more than chance, and like a lattice"""
    likely: Forms
    """like a lattice, though it may be chance"""
    possible: Forms
    """not known to be something else, as regular texture is"""
    strength: Forms
    """evidence beyond chance, added up over frequencies"""
    sure: Forms
    """share of the power that is no chance, 0 to 1"""

    def evidence(self) -> Tensor:
        """(N,) of what is found."""
        return _sum(s * f for s, f in zip(self.strength, self.found, strict=True))

    def less_chance(self) -> "Reading":
        """The same with its power shrunk, as Wiener would, by the part that chance has in it."""
        power = Forms(*(p * sure for p, sure in zip(self.power, self.sure, strict=True)))
        return self._replace(power=power, moved=self.moved * self.sure.warp)


def measurable_periods(sizes: Sequence[int], periods: Sequence[int] = PERIODS) -> tuple[int, ...]:
    """Those of which an image is large enough."""
    return tuple(p for p in periods if p * CYCLES <= min(sizes))


def periods_of(lattice: Sequence[int]) -> tuple[int, ...]:
    """The periods that a lattice contains."""
    whole = math.lcm(*lattice)
    return tuple(p for p in range(2, whole + 1) if whole % p == 0)


def lattice_sums(
    images: Tensor, lattice: Sequence[int], alone: Literal["grid", "warp"] | None = None
) -> dict[int, SpectralSums]:
    """The sums of each period that a lattice contains."""
    return {p: spectral_sums(images, lattice, p, alone=alone) for p in periods_of(lattice)}


def read_best(sums: Mapping[int, SpectralSums], axes: int) -> SpectralImages:
    """The reading at the period that holds the evidence best; where nothing is found, at the likeliest.

    Args:
        sums: of all periods that were looked for, at least one.
        axes: of the images.
    """
    readings = {p: read(s, _stripes(axes, p), p) for p, s in sums.items()}
    best = _best_of(readings)
    if not bool((best.period > 0).all()):
        best = _chosen(best.period > 0, best, _none(readings))
    clean = [is_clean(readings[p]) for p in STRIDES if p in readings]
    told = torch.stack(clean).all(0) if len(clean) == len(STRIDES) else torch.zeros_like(best.told)
    return best._replace(told=torch.where(best.period > 0, best.told, told & ~_visible(best)))


def _best_of(readings: Mapping[int, Reading]) -> SpectralImages:
    """All forms that are found, at the smallest period that holds nearly all of their evidence."""
    of_each = {p: r.evidence() for p, r in readings.items()}
    held = torch.stack([_sum(e for p, e in of_each.items() if period % p == 0) for period in readings])
    best = (held >= MOST_EVIDENCE * held.amax(0)).int().argmax(0)
    named = torch.tensor(list(readings), device=best.device)[best]
    found = None
    for period in sorted(set(named.tolist())):
        at = together([r for p, r in readings.items() if period % p == 0], period)
        found = at if found is None else _chosen(named == period, at, found)
    return found or too_small(held[0])


def _none(readings: Mapping[int, Reading]) -> SpectralImages:
    """Where nothing is found: what is likeliest, with the errors of what decoders enlarge by.

    Coarser periods hide in most images, and hardly a decoder has them.
    """
    likely = _best_of({p: r.less_chance()._replace(found=r.likely) for p, r in readings.items()})
    hidden = together([r for p, r in readings.items() if p in STRIDES] or list(readings.values()), max(readings))
    values = {form: getattr(likely, form) * (likely.period > 0) for form in (*Forms._fields, "explained")}
    return hidden._replace(period=torch.zeros_like(hidden.period), **values)


def _chosen(which: Tensor, one: SpectralImages, other: SpectralImages) -> SpectralImages:
    return SpectralImages(*(torch.where(which, a, b) for a, b in zip(one, other, strict=True)))


def _visible(found: SpectralImages) -> Tensor:
    """(N,) whether what was read would just show, all forms together."""
    grids = (found.grid.square() + found.modulation.square()) / VISIBLE_GRID**2
    return grids + (found.warp / VISIBLE_STEPS).square() > 1


def read_lattice(sums: Mapping[int, SpectralSums]) -> SpectralImages:
    """The reading of all periods of a lattice, of sums of at least one period."""
    readings = {p: read(s) for p, s in sums.items()}
    held = {p: _sum(r.evidence() for q, r in readings.items() if p % q == 0) for p in readings}
    most = held[max(held)]
    named = torch.zeros_like(most, dtype=torch.long)
    for p in sorted(held, reverse=True):
        named = torch.where((held[p] >= MOST_EVIDENCE * most) & (most > 0), p, named)
    return together(list(readings.values()), max(readings))._replace(period=named)


def read(sums: SpectralSums, stripes: tuple[Tensor, ...] = (), period: int = 0) -> Reading:
    """What a period's own frequencies hold; where `stripes` are given, patterns along one axis alone do not count."""
    power, moved = powers_of(sums)
    contrast, slopes = per_sample(sums)
    zero = torch.zeros_like(contrast)
    moved_error = _sum(((slopes[:, axis] * one.error()).square() for axis, one in enumerate(sums.warp)), zero).sqrt()
    follows = [] if sums.modulation is None else [sums.modulation]
    error = [sums.grid.error(), _sum((contrast * one.error() for one in follows), zero), moved_error]
    relations = [[sums.grid], follows, list(sums.warp)]
    likely = [like_a_lattice(relation) if relation else zero.bool() for relation in relations]
    if stripes:
        likely[0] &= torch.stack([significant([sums.grid.only(~along.to(zero.device))]) for along in stripes]).all(0)
        likely[2] &= torch.stack([evidence([axis]) for axis in sums.warp]).amin(0) > LEAST_ON_EACH_AXIS
    if period > FEW_CYCLES:
        likely[2] &= like_a_lattice(list(sums.warp), above_others=ABOVE_OTHERS)
    surely = [significant(relation) if relation else zero.bool() for relation in relations]
    found = [one & other for one, other in zip(surely, likely, strict=True)]
    # nor are steps said to be found where they make no difference that anybody could see
    faint = moved <= (VISIBLE_GRID / 4) ** 2
    found[2] &= ~faint
    # a grid that follows the content is as strong as the content, which has a mean: it does not come alone
    alone = ~(found[0] | found[2])
    found[1] &= ~alone
    possible = [one | ~other for one, other in zip(likely, surely, strict=True)]
    possible[2] &= ~(faint & found[0])  # a grid on a flat image is content to itself
    ratios = [evidence(relation) if relation else zero + 1 for relation in relations]
    numbers = [sum(one.chance.shape[1] for one in relation) for relation in relations]
    return Reading(
        power,
        Forms(error[0], error[1], _per_slope(moved_error, slopes)),
        moved,
        moved_error,
        Forms(*found),
        Forms(*likely),
        Forms(*possible),
        Forms(*((ratio - 1).clamp_min(0) * n for ratio, n in zip(ratios, numbers, strict=True))),
        Forms(
            *(
                (1 - of_chance / ratio.clamp_min(1e-9)).clamp_min(0)
                for ratio, of_chance in zip(ratios, WEAK, strict=True)
            )
        ),
    )


def powers_of(
    sums: SpectralSums, of: Callable[[SynchronousSums], Tensor] = SynchronousSums.power
) -> tuple[Forms, Tensor]:
    """Each form's power (N,), squared, of data ranges and, the warp, of samples; and the warp's in data ranges."""
    contrast, slopes = per_sample(sums)
    zero = torch.zeros_like(contrast)
    modulation = zero if sums.modulation is None else contrast * of(sums.modulation)
    moved = _sum((slopes[:, axis] * of(one) for axis, one in enumerate(sums.warp)), zero)
    return Forms(of(sums.grid), modulation, _per_slope(moved, slopes)), moved


def together(readings: Sequence[Reading], period: int) -> SpectralImages:
    """Several periods' readings added up; `period` is theirs.

    What is found counts in full, and what is possible less the part that chance has in it: weak steps read more than
    none, and known texture reads nothing.
    """
    found = torch.stack([r.found.any() for r in readings]).any(0)
    by_form = [_sum(counted(r, form) for r in readings) for form in Forms._fields]
    moved = _sum(counted(r, "warp", "moved") for r in readings)
    powers = [*by_form, by_form[0] + by_form[1] + moved]
    errors = [_sum(getattr(r.error, form).square() for r in readings) for form in Forms._fields]
    errors.append(_sum(_whole_error(r).square() for r in readings))
    fields = []
    for power, square, most in zip(powers, errors, (1.0, 1.0, float(period), 1.0), strict=True):
        value, error = power.clamp(0, most**2).sqrt(), square.sqrt()
        # of a square root: error / (2 value) where it is small, its own root where there is nothing
        fields += [value, (error / (value + (value.square() + error).sqrt()).clamp_min(1e-12)).clamp_max(most)]
    clean = torch.stack([is_clean(r) for r in readings]).all(0)
    read = SpectralImages(torch.where(found, period, 0), found, *fields)
    # what would show only with forms that are not confirmed cannot be told
    shown = _visible(_found_alone(read, readings))
    return read._replace(told=shown | ~_visible(read) & (found | clean))


def _found_alone(read: SpectralImages, readings: Sequence[Reading]) -> SpectralImages:
    """A reading with the forms alone that are confirmed."""
    values = {
        form: _sum(getattr(r.power, form) * getattr(r.found, form) for r in readings).clamp_min(0).sqrt()
        for form in Forms._fields
    }
    return read._replace(**values)


def counted(reading: Reading, form: str, of: str | None = None) -> Tensor:
    """A form's power, or the field `of`, where it is found; the part of it that is no chance where it is possible."""
    sure, less = (getattr(r, of) if of else getattr(r.power, form) for r in (reading, reading.less_chance()))
    return torch.where(getattr(reading.found, form), sure, less * getattr(reading.possible, form))


def is_clean(reading: Reading) -> Tensor:
    """(N,) whether nothing visible could hide in the errors of what was not found."""
    return content_wanted(reading) <= 1


def content_wanted(reading: Reading, visible: float = VISIBLE_GRID) -> Tensor:
    """(N,) how many times as much content it takes, so that nothing visible could hide in the errors.

    The error of a power falls as the number of blocks grows.

    Args:
        reading: of a period.
        visible: rms of a grid that just shows.
    """
    # where there is hardly an edge, steps of any height do not show
    steps = torch.minimum(reading.error.warp / VISIBLE_STEPS**2, _whole_error(reading) / visible**2)
    return torch.maximum(reading.error.grid / visible**2, steps)


def _whole_error(reading: Reading) -> Tensor:
    """(N,) of all forms together, in squared data ranges."""
    return torch.stack([reading.error.grid, reading.error.modulation, reading.moved_error]).square().sum(0).sqrt()


def too_small(images: Tensor) -> SpectralImages:
    """Of images that hold no period often enough: cannot tell."""
    zero, one = images.new_zeros(len(images)), images.new_ones(len(images))
    none = torch.zeros(len(images), dtype=torch.long, device=images.device)
    return SpectralImages(none, none.bool(), zero, one, zero, one, zero, 2 * one, zero, one)


@constant
def _stripes(axes: int, period: int) -> tuple[Tensor, ...]:
    """For each axis, which of a grid's numbers belong to stripes across it; none where stripes may be an artifact."""
    if axes == 1 or period <= STRIPES:
        return ()
    frequencies, stands_for = own_frequencies((period,) * axes, period)
    alone = [[sum(map(bool, k)) == 1 and k[axis] > 0 for k in frequencies] for axis in range(axes)]
    return tuple(as_numbers(chosen, stands_for) for chosen in alone)


def per_sample(sums: SpectralSums) -> tuple[Tensor, Tensor]:
    """Squared content about its mean (N,) and squared slopes (N, axes of warp), of a sample."""
    samples = sums.samples.clamp_min(1)
    return sums.contrast / samples, sums.slopes / samples[:, None]


def _per_slope(moved: Tensor, slopes: Tensor) -> Tensor:
    """Squared displacement from the squared difference that it makes."""
    return moved / slopes.sum(1).clamp_min(1e-12)


def _sum(values: object, start: Tensor | float = 0.0) -> Tensor:
    return sum(values, start)  # type: ignore[call-overload]
