"""From the readings of several periods to one answer: how strong, of which period, and what cannot be told."""

# no `from __future__ import annotations`: the API page resolves a named tuple's types only if they are no strings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.block_spectra import constant, own_frequencies
from artifactlab.metrics.inputs import total
from artifactlab.metrics.period_reading import Forms, Reading, counted, explained_error, is_clean, read
from artifactlab.metrics.spectral_sums import SpectralSums
from artifactlab.metrics.synchronous import components_of
from artifactlab.metrics.visible import VISIBLE_GRID, VISIBLE_STEPS

STRIDES = (2, 4, 8)
"""Periods that decoders enlarge by. An image is called clean where none of these can hide; coarser ones hide in most
crops. See docs/decisions.md, "Cannot tell is an answer"."""
MAX_STRIPE_PERIOD = 4
"""Longest period at which a pattern along one axis alone may be an artifact (interlaced video). Longer ones are lines
of text, fences and blinds, as an upsampler works along all axes. See docs/decisions.md, "False friends"."""
MIN_EVIDENCE_SHARE = 0.9
"""Share of all evidence that the lattice of the named period must hold; the smallest such period is named. All of it
would name a multiple of the period wherever noise adds a little there."""


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
    """The period that holds what was found, 0 where nothing was, (N,)."""
    told: Tensor
    """False where it cannot be told: nothing was found, but something visible may be there, or hide in the error, (N,).
    """
    grid: Tensor
    """Rms of the constant grid, as a fraction of the data range, (N,)."""
    grid_error: Tensor
    """Standard error of `grid`, (N,)."""
    modulation: Tensor
    """Rms of the grid that follows the content, as a fraction of the data range, (N,)."""
    modulation_error: Tensor
    """Standard error of `modulation`, (N,)."""
    warp: Tensor
    """Stair-steps: rms displacement of edges across themselves, in samples, (N,)."""
    warp_error: Tensor
    """Standard error of `warp`, (N,)."""
    explained: Tensor
    """Rms of all three, as a fraction of the data range, (N,)."""
    explained_error: Tensor
    """Standard error of `explained`, (N,)."""


def read_best(sums: Mapping[int, SpectralSums], axes: int) -> SpectralImages:
    """The reading at the period that holds the evidence best; where nothing is found, at the likeliest.

    Args:
        sums: of all periods that were looked for, at least one.
        axes: of the images.
    """
    return best_of(readings_of(sums, axes))


def readings_of(sums: Mapping[int, SpectralSums], axes: int) -> dict[int, Reading]:
    """What each period's sums hold, read as of images with so many axes."""
    return {period: read(one, _stripes(axes, period), period) for period, one in sums.items()}


def best_of(readings: Mapping[int, Reading]) -> SpectralImages:
    """The best of the readings of all periods that were looked for, see `read_best`."""
    best = _best_period(readings)
    if not bool((best.period > 0).all()):
        best = _either(best.period > 0, best, _likeliest(readings))
    clean = [is_clean(readings[period]) for period in STRIDES if period in readings]
    told = torch.stack(clean).all(0) if len(clean) == len(STRIDES) else torch.zeros_like(best.told)
    return best._replace(told=torch.where(best.period > 0, best.told, told & ~_visible(best)))


def read_lattice(sums: Mapping[int, SpectralSums]) -> SpectralImages:
    """The reading of all periods of a lattice, of sums of at least one period."""
    readings = {period: read(one) for period, one in sums.items()}
    held = _held_evidence(readings)
    most = held[max(held)]
    named = torch.zeros_like(most, dtype=torch.long)
    for period in sorted(held, reverse=True):
        named = torch.where((held[period] >= MIN_EVIDENCE_SHARE * most) & (most > 0), period, named)
    return together(list(readings.values()), max(readings))._replace(period=named)


def together(readings: Sequence[Reading], period: int) -> SpectralImages:
    """Several periods' readings added up; `period` is theirs.

    What is found counts in full, and what is possible less the part that chance has in it: weak steps read more than
    none, and known texture reads nothing.
    """
    found = torch.stack([reading.found.any() for reading in readings]).any(0)
    values = (torch.where(found, period, 0), found, *_values_and_errors(readings, period))
    combined = SpectralImages(*values)
    clean = torch.stack([is_clean(reading) for reading in readings]).all(0)
    # what would show only with forms that are not confirmed cannot be told
    visible = _visible(_confirmed_alone(combined, readings))
    return combined._replace(told=visible | ~_visible(combined) & (found | clean))


def too_small(images: Tensor) -> SpectralImages:
    """The reading of images that hold no period often enough: it cannot be told."""
    zero, one = images.new_zeros(len(images)), images.new_ones(len(images))
    none = torch.zeros(len(images), dtype=torch.long, device=images.device)
    return SpectralImages(
        period=none,
        told=none.bool(),
        grid=zero,
        grid_error=one,
        modulation=zero,
        modulation_error=one,
        warp=zero,
        warp_error=2 * one,
        explained=zero,
        explained_error=one,
    )


def _best_period(readings: Mapping[int, Reading]) -> SpectralImages:
    """All forms that are found, at the smallest period that holds nearly all of their evidence."""
    held = torch.stack(list(_held_evidence(readings).values()))
    best = (held >= MIN_EVIDENCE_SHARE * held.amax(0)).int().argmax(0)
    named = torch.tensor(list(readings), device=best.device)[best]
    found = None
    for period in sorted(set(named.tolist())):
        within = [reading for divisor, reading in readings.items() if period % divisor == 0]
        combined = together(within, period)
        found = combined if found is None else _either(named == period, combined, found)
    return found or too_small(held[0])


def _held_evidence(readings: Mapping[int, Reading]) -> dict[int, Tensor]:
    """The evidence (N,) that the lattice of each period holds: its own, and that of the periods it contains."""
    own = {period: reading.evidence() for period, reading in readings.items()}
    return {period: total(own[divisor] for divisor in own if period % divisor == 0) for period in own}


def _likeliest(readings: Mapping[int, Reading]) -> SpectralImages:
    """Where nothing is found: what is likeliest, with the errors of what decoders enlarge by.

    Coarser periods hide in most images, and hardly a decoder has them.
    """
    likely = _best_period({p: reading.less_chance()._replace(found=reading.likely) for p, reading in readings.items()})
    strides = [reading for period, reading in readings.items() if period in STRIDES]
    hidden = together(strides or list(readings.values()), max(readings))
    values = {form: getattr(likely, form) * (likely.period > 0) for form in (*Forms._fields, "explained")}
    return hidden._replace(period=torch.zeros_like(hidden.period), **values)


def _either(which: Tensor, one: SpectralImages, other: SpectralImages) -> SpectralImages:
    """`one` for the images that are marked, (N,), and `other` for the rest."""
    return SpectralImages(*(torch.where(which, a, b) for a, b in zip(one, other, strict=True)))


def _visible(found: SpectralImages) -> Tensor:
    """(N,) whether what was read would just show, all forms together."""
    grids = (found.grid.square() + found.modulation.square()) / VISIBLE_GRID**2
    return grids + (found.warp / VISIBLE_STEPS).square() > 1


def _values_and_errors(readings: Sequence[Reading], period: int) -> list[Tensor]:
    """Value and error of each form and of all, one after the other, from several periods' powers."""
    by_form = [total(counted(reading, form) for reading in readings) for form in Forms._fields]
    moved = total(counted(reading, "warp", "moved") for reading in readings)
    powers = [*by_form, by_form[0] + by_form[1] + moved]
    squares = [total(getattr(reading.error, form).square() for reading in readings) for form in Forms._fields]
    squares.append(total(explained_error(reading).square() for reading in readings))
    largest = (1.0, 1.0, float(period), 1.0)  # the data range; of the warp, as far as its lattice reaches
    fields: list[Tensor] = []
    for power, square, most in zip(powers, squares, largest, strict=True):
        value, error = power.clamp(0, most**2).sqrt(), square.sqrt()
        fields += [value, _error_of_root(value, error).clamp_max(most)]
    return fields


def _error_of_root(value: Tensor, error: Tensor) -> Tensor:
    """Standard error of a square root, from that of the square.

    It is error / (2 value) where that is small, and the error's own root where the value is nothing.
    """
    return error / (value + (value.square() + error).sqrt()).clamp_min(1e-12)


def _confirmed_alone(combined: SpectralImages, readings: Sequence[Reading]) -> SpectralImages:
    """A reading with the forms alone that are confirmed."""
    values = {}
    for form in Forms._fields:
        power = total(getattr(reading.power, form) * getattr(reading.found, form) for reading in readings)
        values[form] = power.clamp_min(0).sqrt()
    return combined._replace(**values)


@constant
def _stripes(axes: int, period: int) -> tuple[Tensor, ...]:
    """For each axis, a grid's components that belong to stripes across it; none where stripes may be an artifact."""
    if axes == 1 or period <= MAX_STRIPE_PERIOD:
        return ()
    frequencies, multiplicities = own_frequencies((period,) * axes, period)
    stripes = []
    for axis in range(axes):
        chosen = [index[axis] > 0 and sum(map(bool, index)) == 1 for index in frequencies]
        stripes.append(components_of(chosen, multiplicities))
    return tuple(stripes)
