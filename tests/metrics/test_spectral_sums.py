"""The three regressions against sums written out by block and frequency, in one, two and three dimensions."""

from __future__ import annotations

import cmath
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage

from artifactlab.metrics.block_spectra import own_frequencies
from artifactlab.metrics.spectral_sums import spectral_sums
from artifactlab.metrics.synchronous import as_spectrum

GRAY = 1 / 255
CASES = [
    ((2, 120), (4,), 4),
    ((1, 100), (6,), 3),
    ((2, 40, 48), (4, 4), 4),
    ((1, 66, 50), (2, 3), 3),
    ((1, 60, 72), (8, 8), 8),
    ((1, 60, 60), (2, 3), 6),
    ((1, 24, 18, 26), (2, 2, 2), 2),
    ((1, 24, 28, 24), (2, 1, 4), 4),
]
"""channels and sizes, lattice, period"""


def content_in_step(shape, lattice):
    """Smooth content and noise, with a grid, a modulation and some displacement, so that no relation is empty."""
    rng = np.random.default_rng(sum(shape))
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), (0, *(2.0,) * len(lattice)))
    smooth = 0.5 + 0.2 * smooth / smooth.std()
    grid = rng.normal(0, 0.05, lattice)[tuple(np.indices(shape[1:]) % np.reshape(lattice, (-1, *(1,) * len(lattice))))]
    return smooth * (1 + grid) + grid / 2 + rng.normal(0, 0.01, shape)


def lowpass(values, periods):
    """scipy's convolution with a triangle along every axis, behind the channels, that holds four periods."""
    for axis, period in enumerate(periods, 1):
        if values.shape[axis] >= 4 * period:
            triangle = np.convolve(np.ones(period), np.ones(period)) / period**2
            values = ndimage.convolve1d(values, triangle, axis=axis, mode="mirror")
    return values


def boxes(sizes, sides):
    """Block index -> its slices."""
    counts = [size // side for size, side in zip(sizes, sides, strict=True)]
    for index in np.ndindex(*counts):
        yield index, tuple(slice(i * side, (i + 1) * side) for i, side in zip(index, sides, strict=True))


def smoothed(power):
    """[1 2 1] / 4 along each axis, the ends repeated."""
    for axis in range(power.ndim):
        power = ndimage.convolve1d(power, np.array([1, 2, 1]) / 4, axis=axis, mode="nearest")
    return power


def powers_of_eights(residual):
    """Mean square of each block of 8 samples a side."""
    sizes = residual.shape[1:]
    sides = [min(8, size) for size in sizes]
    power = np.zeros([size // side for size, side in zip(sizes, sides, strict=True)])
    for index, box in boxes(sizes, sides):
        power[index] = (residual[(slice(None), *box)] ** 2).mean()
    return smoothed(power)


def powers_without_grids(residual, folds):
    """Of the grid's blocks: what differs from its own mean over each phase, divided by the degrees of freedom."""
    sides = grid_sides(residual.shape[1:], folds)
    power = np.zeros([size // side for size, side in zip(residual.shape[1:], sides, strict=True)])
    samples, phases = math.prod(sides), math.prod(folds)
    for index, box in boxes(residual.shape[1:], sides):
        for plane in residual:
            apart = plane[box].copy()
            for phase in itertools.product(*(range(fold) for fold in folds)) if samples > phases else ():
                same = tuple(slice(start, None, fold) for start, fold in zip(phase, folds, strict=True))
                apart[same] -= apart[same].mean()
            power[index] += (apart**2).sum() / (samples - phases if samples > phases else samples) / len(residual)
    return smoothed(power)


def trust(power, counts):
    """Of each of so many blocks: 1 / (1 + power in grey levels)."""
    weight = np.zeros(counts)
    for index in np.ndindex(*counts):
        near = [
            slice(math.floor(i * n / m), math.ceil((i + 1) * n / m))
            for i, n, m in zip(index, power.shape, counts, strict=True)
        ]
        weight[index] = 1 / (power[tuple(near)].mean() / GRAY**2 + 1)
    return weight


def side_of(size, fold, least):
    """A multiple of the fold, at least 8 (content: 32) and at most 64 samples, in between a twentieth of the axis."""
    wanted = math.ceil(max(least, min(64, size // 20)) / fold) * fold
    return max(fold, min(wanted, size // fold * fold))


def grid_sides(sizes, folds):
    """Two periods at least, where an image holds sixteen."""
    repeats = 2 if all(size >= 16 * fold for size, fold in zip(sizes, folds, strict=True)) else 1
    return [side_of(size, fold, max(8, repeats * fold)) for size, fold in zip(sizes, folds, strict=True)]


def at_frequencies(product, starts, folds, period):
    """Explicit sums over all samples of a block at its own frequencies, turned by where in the image each sample is."""
    places = np.indices(product.shape)
    spectrum = []
    for k in own_frequencies(folds, period)[0]:
        turn = sum(f * (p + s) / fold for f, p, s, fold in zip(k, places, starts, folds, strict=True))
        spectrum.append((product * np.exp(-2j * np.pi * turn)).sum())
    return np.array(spectrum)


def quietest_half(power, trusted):
    """The quietest blocks, as many as hold no more than half of what all are worth."""
    quiet, held = set(), 0.0
    for index in sorted(np.ndindex(*power.shape), key=lambda index: power[index]):
        held += trusted[index]
        if held <= trusted.sum() / 2:
            quiet.add(index)
    return quiet


def slow_grid(image, lattice, period):
    folds = [math.gcd(n, period) for n in lattice]
    residual = image - lowpass(image, (period,) * len(lattice))
    sides = grid_sides(image.shape[1:], folds)
    power = powers_without_grids(residual, folds)
    trusted = trust(power, power.shape)
    halves = np.zeros((2, *trusted.shape, len(image), len(own_frequencies(tuple(folds), period)[0])), complex)
    weights = np.zeros((2, *trusted.shape))
    quiet = quietest_half(power, trusted)
    for index, box in boxes(image.shape[1:], sides):
        half = 0 if index in quiet else 1
        for channel, plane in enumerate(residual):
            spectrum = at_frequencies(plane[box], [b.start for b in box], tuple(folds), period)
            halves[(half, *index, channel)] = trusted[index] * spectrum
        weights[(half, *index)] = trusted[index] * math.prod(sides)
    squares = (trusted**2).sum() * math.prod(sides)
    return SimpleNamespace(first=halves[0], second=halves[1], weights=weights, squares=squares)


def slow_modulation(image, lattice, period):
    folds = [math.gcd(n, period) for n in lattice]
    content = lowpass(image, (period,) * len(lattice))
    residual = image - content
    sides = [side_of(n, fold, 32) for n, fold in zip(image.shape[1:], folds, strict=True)]
    counts = [n // side for n, side in zip(image.shape[1:], sides, strict=True)]
    trusted = trust(powers_without_grids(residual, folds), counts)
    halves = np.zeros((2, *trusted.shape, 1, len(own_frequencies(tuple(folds), period)[0])), complex)
    weights, squares = np.zeros((2, *trusted.shape)), 0.0
    for index, box in boxes(image.shape[1:], sides):
        for y, b, r in zip(image, content, residual, strict=True):
            about = b[box] - b[box].mean()
            for half, part in enumerate((np.where(about > 0, about, 0), np.where(about < 0, about, 0))):
                part = part - part.mean()
                spectrum = at_frequencies(r[box] * part, [s.start for s in box], tuple(folds), period)
                halves[(half, *index, 0)] += trusted[index] * spectrum
                weights[(half, *index)] += trusted[index] * (y[box] * part).sum()
            squares += trusted[index] ** 2 * (about**2).sum()
    return SimpleNamespace(first=halves[0], second=halves[1], weights=weights, squares=squares)


def slow_warp(image, period, axis):
    """Along lines across the axis, thinned to a quarter of the period to a half, covariances of residual and slope."""
    thinned = {2: 2, 3: 2, 4: 2, 6: 2, 8: 4}[period]
    before = image.size
    for other in range(1, image.ndim):
        if other != axis + 1 and image.shape[other] >= 4 * thinned:
            parts = np.split(
                image.take(range(image.shape[other] // thinned * thinned), other), image.shape[other] // thinned, other
            )
            image = np.stack([part.mean(other) for part in parts], other)
    samples = before / image.size
    content = lowpass(image, [period if a == axis else max(1, period // thinned) for a in range(image.ndim - 1)])
    residual = image - content
    slopes = [np.zeros_like(image), np.zeros_like(image)]
    for slope, values in zip(slopes, (content, image), strict=True):
        along, of = np.moveaxis(slope, axis + 1, -1), np.moveaxis(values, axis + 1, -1)
        along[..., 1:-1] = (of[..., 2:] - of[..., :-2]) / 2
    below, whole = slopes
    np.moveaxis(below, axis + 1, -1)[..., :period] = 0  # seen through the mirrored border
    np.moveaxis(below, axis + 1, -1)[..., -period:] = 0
    across = max(24, 4 * period) // thinned
    side = side_of(image.shape[axis + 1], period, 8)
    sides = [side if a == axis else min(across, n) for a, n in enumerate(image.shape[1:])]
    trusted = trust(powers_of_eights(residual), [n // s for n, s in zip(image.shape[1:], sides, strict=True)])
    halves = np.zeros((2, *trusted.shape, 1, len(own_frequencies((period,), period)[0])), complex)
    weights, squares = np.zeros((2, *trusted.shape)), 0.0
    for index, box in boxes(image.shape[1:], sides):
        slopes_here = 0.0
        for channel, place in itertools.product(range(len(image)), range(side)):
            line = list(box)
            line[axis] = box[axis].start + place
            r, b, f = (values[(channel, *line)].ravel() for values in (residual, below, whole))
            if r.size > 1:
                r, f = r - r.mean(), f - f.mean()
            for half, part in enumerate((b.clip(min=0), b.clip(max=0))):
                own = own_frequencies((period,), period)[0]
                turn = np.array([cmath.exp(-2j * math.pi * k * line[axis] / period) for (k,) in own])
                halves[(half, *index, 0)] += trusted[index] * (r * part).sum() * turn
                weights[(half, *index)] += trusted[index] * (f * part).sum()
            slopes_here += (f * b).sum()
        squares += trusted[index] ** 2 * abs(slopes_here) / samples
    return SimpleNamespace(first=halves[0], second=halves[1], weights=weights, squares=squares)


def slow_chance(slow, number):
    """Mean square at two and more cycles over the blocks, of those that the weights tell from none; and rounding."""
    both, weight = slow.first + slow.second, slow.weights.sum(0)
    counts = weight.shape
    place = np.indices(counts)

    def turned(values, cycles):
        angle = sum(m * p / n for m, p, n in zip(cycles, place, counts, strict=True))
        return np.tensordot(np.exp(-2j * np.pi * angle), values, len(counts))

    beside, all_away = [], 0
    for cycles in np.ndindex(*counts):
        away = any(min(m, n - m) > 1 for m, n in zip(cycles, counts, strict=True))
        all_away += away
        if away and abs(turned(weight, cycles)) ** 2 <= 0.1 * weight.sum() ** 2:
            beside.append((np.abs(turned(both, cycles)) ** 2).mean(0))
    if len(beside) < 6 or len(beside) < 0.8 * all_away:  # four times what these blocks would add up to out of step
        return 4 * (np.abs(both) ** 2).sum(tuple(range(len(counts)))).mean(0), 1.0
    chance = (np.mean(beside, 0) + GRAY**2 / 12 * slow.squares) * (1 + 8 / len(beside))
    best = max((power / chance) @ number / number.sum() for power in beside)
    return chance, best


@pytest.mark.parametrize(("shape", "lattice", "period"), CASES, ids=str)
def test_the_sums_are_those_of_explicit_loops(shape, lattice, period):
    image = content_in_step(shape, lattice)
    sums = spectral_sums(torch.from_numpy(image)[None], lattice, period)
    folds = tuple(math.gcd(n, period) for n in lattice)
    along = [axis for axis, fold in enumerate(folds) if fold == period]
    relations = [(sums.grid, slow_grid(image, lattice, period), folds)]
    relations += [(sums.modulation, slow_modulation(image, lattice, period), folds)]
    relations += [(one, slow_warp(image, period, a), (period,)) for one, a in zip(sums.warp, along, strict=True)]
    for got, slow, own in relations:
        number = np.array(own_frequencies(own, period)[1])
        blocks = tuple(range(slow.weights.ndim - 1))
        halves = [half.sum(blocks) for half in (slow.first, slow.second)]
        weights = [float(weight.sum()) for weight in slow.weights]
        for numbers, expected in zip((got.first, got.second), halves, strict=True):
            np.testing.assert_allclose(as_spectrum(numbers, number)[0], expected, rtol=1e-8, atol=1e-10)
        assert (float(got.first_weight), float(got.second_weight)) == pytest.approx(tuple(weights), rel=1e-8)
        if min(weights) > 0.02 * sum(weights):
            power = ((halves[0] * halves[1].conj()).real.mean(0) * number).sum() / math.prod(weights)
            assert float(got.power()) == pytest.approx(float(power), rel=1e-7)
        chance, best = slow_chance(slow, number)
        in_numbers = np.concatenate([chance[number == 2], chance[number == 2], chance[number == 1]])
        np.testing.assert_allclose(got.chance[0], in_numbers, rtol=1e-8)
        assert float(got.best_neighbour / got.weight) == pytest.approx(best, rel=1e-8)


@pytest.mark.parametrize("shape", [(2, 120), (1, 48, 56)], ids=str)
def test_what_turns_a_relation_into_power_is_measured_over_the_whole_image(shape):
    """Squared content about its local mean, squared slopes, and the residual's power where the grid is looked for."""
    lattice = (4,) * (len(shape) - 1)
    image = content_in_step(shape, lattice)
    sums = spectral_sums(torch.from_numpy(image)[None], lattice, 4)
    content = lowpass(image, lattice)
    assert float(sums.samples) == image.size
    side = [side_of(n, 4, 32) for n in shape[1:]]
    spread = sum(((b[box] - b[box].mean()) ** 2).sum() for b in content for _, box in boxes(shape[1:], side))
    assert float(sums.contrast) == pytest.approx(spread, rel=1e-8)
    residual = image - content
    power = powers_without_grids(residual, lattice)
    trusted, sides = trust(power, power.shape), grid_sides(shape[1:], lattice)
    assert float(sums.grid.weight) == pytest.approx(math.prod(sides) * trusted.sum(), rel=1e-8)
    squares = {index: (residual[(slice(None), *box)] ** 2).sum() for index, box in boxes(shape[1:], sides)}
    weighted = sum(trusted[index] * square / len(image) for index, square in squares.items())
    assert float(sums.residual) == pytest.approx(weighted, rel=1e-8)
