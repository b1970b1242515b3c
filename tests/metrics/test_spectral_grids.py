"""Grids of known strength: constant ones, and those that follow the content."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from artifactlab.metrics import spectral_images
from artifactlab.metrics.period_reading import read
from artifactlab.metrics.significance import confirmed
from artifactlab.metrics.spectral_sums import spectral_sums

PERIODS = [2, 3, 4, 5, 8, 12]
PHOTOS = [("astronaut", 60, 100), ("coffee", 60, 100), ("camera", 180, 200)]


@pytest.mark.parametrize(
    ("period", "where"), [*((period, PHOTOS[1]) for period in PERIODS), (3, PHOTOS[0]), (8, PHOTOS[2])]
)
def test_a_one_percent_grid_on_a_photo_reads_its_rms_and_names_its_period(period, where, photo, pattern, tiled, tensor):
    image = photo(where[0], 160, *where[1:])
    grid = tiled(pattern((period, period), 0.01, period), 160, 160).reshape(160, 160, *(1,) * (image.ndim - 2))
    found = spectral_images(tensor(image + grid))
    assert int(found.period) == period
    assert float(found.grid) == pytest.approx(0.01, rel=0.05)
    assert float(found.grid_error) < 0.0005
    assert bool(found.told)


@pytest.mark.parametrize(("period", "size"), [*((period, 96) for period in PERIODS), (4, 192), (8, 192)])
def test_a_grid_on_a_flat_image_reads_its_rms_and_names_its_period(period, size, pattern, tiled, tensor):
    found = spectral_images(tensor(0.5 + tiled(pattern((period, period), 0.01, period), size, size)))
    assert int(found.period) == period
    assert float(found.grid) == pytest.approx(0.01, rel=0.05)
    # the long waves of a grid of period 8 are content to the shorter periods, and its short ones follow them
    assert float(found.warp) == 0 or period == 8
    assert float(found.modulation) < 0.0015


@pytest.mark.parametrize("period", [2, 3, 8])
@pytest.mark.parametrize(("name", "top", "left"), PHOTOS)
def test_a_grid_of_half_a_grey_level_is_read_when_its_period_is_given(
    name, top, left, period, photo, pattern, tiled, tensor
):
    image = photo(name, 256, top, left)
    grid = tiled(pattern((period, period), 0.5 / 255, period), 256, 256).reshape(256, 256, *(1,) * (image.ndim - 2))
    found = spectral_images(tensor(image + grid), period)
    assert float(found.grid) == pytest.approx(0.5 / 255, abs=3 * float(found.grid_error))
    assert float(found.grid_error) < 0.25 / 255


@pytest.mark.parametrize("period", [3, 4])
def test_a_grid_between_two_times_its_error_and_none_is_not_shown(period, photo, pattern, tiled, tensor):
    grid = tiled(pattern((period, period), 1e-5, period), 192, 192)[..., None]
    assert float(spectral_images(tensor(photo("coffee", 192, 60, 100) + grid), period).grid) == 0


@pytest.mark.parametrize("lattice", [(1, 2), (2, 1), (3, 1), (2, 4), (3, 2)], ids=str)
def test_a_grid_with_a_spacing_of_its_own_along_each_axis(lattice, photo, pattern, tiled, tensor):
    grid = tiled(pattern(lattice, 0.01, 1), 192, 192)[..., None]
    found = spectral_images(tensor(photo("coffee", 192, 60, 100) + grid), lattice)
    assert float(found.grid) == pytest.approx(0.01, rel=0.05)
    assert int(found.period) == np.lcm(*lattice)


def test_a_lattice_without_a_spacing_finds_nothing_and_tells_nothing(photo, board, tensor):
    found = spectral_images(tensor(photo("camera", 96, 180, 200) + 0.02 * board((96, 96))), 1)
    assert (int(found.period), bool(found.told), float(found.grid)) == (0, False, 0)


def test_only_the_period_that_is_asked_for_and_its_divisors_count(pattern, tiled, photo, tensor):
    image = photo("coffee", 192, 60, 100)
    threes, sixes = (tensor(image + tiled(pattern((p, p), 0.01, 0), 192, 192)[..., None]) for p in (3, 6))
    assert float(spectral_images(threes, 2).grid) == 0
    assert float(spectral_images(threes, 4).grid) == 0
    assert int(spectral_images(threes, 6).period) == 3
    assert int(spectral_images(sixes, 6).period) == 6
    assert 0.001 < float(spectral_images(sixes, 3).grid) < 0.009


@pytest.mark.parametrize("rms", [0.005, 0.02, 0.08])
def test_channels_are_pooled_by_their_power(rms, photo, board, tensor):
    image = photo("coffee", 128, 60, 100)
    image[..., 1] += rms * board((128, 128))
    assert float(spectral_images(tensor(image), 2).grid) == pytest.approx(rms / 3**0.5, rel=0.1)


@pytest.mark.parametrize("period", [2, 3, 4, 8])
def test_a_grid_that_follows_the_content_is_read_as_constant_and_modulated_parts(period, pattern, tiled, tensor):
    """On content wider than the blocks within which it is compared with its mean, all of it is accounted for."""
    rng = np.random.default_rng(period)
    side = 32 if period != 3 else 33
    content = ndimage.gaussian_filter(rng.normal(size=(8 * side, 8 * side)), 9)
    content = 0.5 + 0.1 * content / content.std()
    gain = tiled(pattern((period, period), 0.2, period), 8 * side, 8 * side)
    found = spectral_images(tensor(content * (1 + gain)), period)
    of_blocks = content.reshape(8, side, 8, side)
    about = np.sqrt(((of_blocks - of_blocks.mean((1, 3), keepdims=True)) ** 2).mean())
    assert float(found.modulation) == pytest.approx(0.2 * about, rel=0.2)
    assert float(found.grid) == pytest.approx(0.2 * 0.5, rel=0.1)
    assert float(found.explained) == pytest.approx(np.hypot(float(found.grid), float(found.modulation)), rel=0.05)
    assert int(found.period) == period


@pytest.mark.parametrize("period", [2, 3, 4, 8])
def test_a_grid_that_follows_the_content_does_not_come_alone(period, pattern, tiled, tensor):
    """Content has a mean, which makes part of such a grid constant; about none there is something else at work."""
    content = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(192, 192)), 6)
    content *= 0.1 / content.std()
    gain = 1 + tiled(pattern((period, period), 0.2, 0), 192, 192)
    sums = spectral_sums(tensor(content * gain, torch.float64), (period, period), period)
    assert bool(confirmed([sums.modulation]))
    assert not bool(read(sums).found.modulation)
    brighter = read(spectral_sums(tensor((content + 0.5) * gain, torch.float64), (period, period), period))
    assert bool(brighter.found.modulation & brighter.found.grid)


@pytest.mark.parametrize("period", [2, 4])
def test_all_three_forms_together_are_what_is_explained(period, photo, nearest, pattern, tiled, tensor):
    image = nearest(photo("coffee", 192, 60, 100), period)
    marked = image * (1 + tiled(pattern((period, period), 0.05, period), 192, 192)[..., None])
    found = spectral_images(tensor(marked), period)
    forms = [float(form) for form in (found.grid, found.modulation)]
    steps = float(spectral_images(tensor(image), period).explained)
    assert min(forms) > 0.002
    assert float(found.explained) == pytest.approx(np.sqrt(forms[0] ** 2 + forms[1] ** 2 + steps**2), rel=0.1)


def test_the_explained_steps_are_what_differs_from_their_content(photo, nearest, shrink, tensor):
    """Difference of a replica to a smooth enlargement of the same small image: the steps and nothing else."""
    image = photo("coffee", 192, 60, 100)
    small = shrink(image, 4)
    smooth = ndimage.zoom(small, (4, 4, 1), order=1, mode="grid-mirror", grid_mode=True)
    truth = float(np.sqrt(((nearest(image, 4) - smooth) ** 2).mean()))
    assert float(spectral_images(tensor(nearest(image, 4)), 4).explained) == pytest.approx(truth, rel=0.3)


@pytest.mark.parametrize("period", [6, 8])
def test_stripes_of_a_long_period_are_texture_unless_that_period_is_given(period, photo, tensor):
    """Blinds, fences and lines of text: upsamplers work along all axes."""
    stripes = 0.02 * 2**0.5 * np.cos(2 * np.pi * np.arange(192) / period + 0.3)[:, None, None]
    x = tensor(photo("coffee", 192, 60, 100) + stripes)
    assert float(spectral_images(x).grid) < 0.001
    assert float(spectral_images(x, period).grid) == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("period", [2, 3, 4])
def test_stripes_of_a_short_period_are_interlace(period, photo, pattern, tiled, tensor):
    stripes = tiled(pattern((period, 1), 0.02, period), 192, 192)[..., None]
    found = spectral_images(tensor(photo("coffee", 192, 60, 100) + stripes))
    assert int(found.period) == period
    assert float(found.grid) == pytest.approx(0.02, rel=0.05)
