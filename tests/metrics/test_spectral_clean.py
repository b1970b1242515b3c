"""What keeps step with no lattice reads nothing; and where too little is there to say so, it is said."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage

from artifactlab.metrics import spectral_images
from artifactlab.metrics.period_reading import read
from artifactlab.metrics.spectral_sums import spectral_sums
from artifactlab.metrics.visible import VISIBLE_GRID, VISIBLE_STEPS

CLEAN = ["astronaut", "coffee", "camera", "coins", "grass", "gravel", "brick", "text", "page"]
SUBSAMPLED = ["chelsea", "rocket", "immunohistochemistry"]
"""whose colours were enlarged by their JPEG: it is found, and too faint to be seen"""


@pytest.mark.parametrize("name", CLEAN)
def test_clean_photos_and_text_read_nothing(name, photo, tensor):
    found = spectral_images(tensor(photo(name, 160)))
    assert int(found.period) == 0
    for form in ("grid", "modulation", "explained"):
        assert float(getattr(found, form)) < VISIBLE_GRID / 4, form
    assert float(found.warp) < VISIBLE_STEPS


@pytest.mark.parametrize("name", SUBSAMPLED)
def test_what_a_jpeg_left_in_a_photo_is_below_what_shows(name, photo, tensor):
    found = spectral_images(tensor(photo(name, 256)))
    assert float(found.explained) < VISIBLE_GRID
    assert float(found.warp) < VISIBLE_STEPS


@pytest.mark.parametrize("name", ["camera", "coins"])
def test_a_clean_large_photo_is_called_clean(name, photo, tensor):
    found = spectral_images(tensor(photo(name, None)))
    assert bool(found.told)
    assert int(found.period) == 0


@pytest.mark.parametrize("sigma", [0.01, 0.2])
def test_noise_reads_nothing(sigma):
    noise = 0.5 + sigma * torch.randn(2, 1, 96, 96, generator=torch.Generator().manual_seed(0))
    assert spectral_images(noise).period.tolist() == [0, 0]


@pytest.mark.parametrize("sigma", [0.7, 2.0])
def test_blurred_and_noisy_photos_read_nothing(sigma, photo, tensor):
    image = photo("coffee", 144, 60, 150)
    blurred = ndimage.gaussian_filter(image, (sigma, sigma, 0))
    noisy = blurred + np.random.default_rng(0).normal(0, 0.02, image.shape)
    assert spectral_images(torch.cat([tensor(blurred), tensor(noisy)])).period.tolist() == [0, 0]


def weave(spacing, degrees, size=160):
    rows, columns = np.indices((size, size))
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    along, across = columns * cosine + rows * sine, rows * cosine - columns * sine
    cloth = 0.5 + 0.2 * np.sin(2 * np.pi * along / spacing) * np.sin(2 * np.pi * across / spacing)
    return cloth + np.random.default_rng(0).normal(0, 0.01, cloth.shape)


@pytest.mark.parametrize(("spacing", "degrees"), [(2.3, 0), (3.61, 17), (5.37, 0), (8.42, 17)])
def test_texture_whose_spacing_is_no_whole_number_reads_nothing(spacing, degrees, tensor):
    found = spectral_images(tensor(weave(spacing, degrees)))
    assert int(found.period) == 0
    assert float(found.explained) == 0


@pytest.mark.parametrize("spacing", [4.72, 6.94])
def test_what_makes_no_visible_difference_is_not_said_to_displace_by_a_pixel(spacing, tensor):
    """Of texture finer than the triangle there is next to no slope left, so any residue would be many pixels."""
    found = spectral_images(tensor(weave(spacing, 0)))
    assert float(found.explained) < VISIBLE_GRID
    assert float(found.warp) < VISIBLE_STEPS


RESIZING = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "Lanczos": cv2.INTER_LANCZOS4}


@pytest.mark.parametrize("kernel", RESIZING)
@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_smooth_resizing_is_not_called_replication(kernel, factor, photo, shrink, tensor):
    """It is not free of steps: a bilinear kernel leaves less than a tenth of nearest's."""
    small = shrink(photo("coffee", 192, 60, 150), factor)
    image = cv2.resize(small, None, fx=factor, fy=factor, interpolation=RESIZING[kernel])
    found = spectral_images(tensor(image), factor)
    assert float(found.warp) < 0.1 * ((factor**2 - 1) / 12) ** 0.5
    assert float(found.grid) < VISIBLE_GRID


@pytest.mark.parametrize("degrees", [3, 20, 45, 90])
@pytest.mark.parametrize("sigma", [0.7, 2.0])
def test_a_smooth_straight_edge_reads_nothing(degrees, sigma, half_plane, shrink, tensor):
    edge = ndimage.gaussian_filter(shrink(half_plane(640, degrees), 4), sigma)
    assert float(spectral_images(tensor(edge), 4).warp) < 0.02


@pytest.mark.parametrize("period", [None, 3, 8])
def test_boxes_whose_sides_keep_no_step_read_nothing(period, tensor):
    rng, image = np.random.default_rng(0), np.full((160, 160), 0.2)
    for _ in range(20):
        top, left, height, width = rng.integers(0, 130), rng.integers(0, 130), *rng.integers(9, 40, 2)
        image[top : top + height, left : left + width] = rng.uniform()
    assert int(spectral_images(tensor(image), period).period) == 0


def test_a_lone_edge_along_an_axis_is_nothing(tensor):
    for at in (40, 61):
        image = np.zeros((96, 96))
        image[:, at:] = 0.7
        found = spectral_images(torch.cat([tensor(image), tensor(image.T)]))
        assert found.period.tolist() == [0, 0]


# What cannot be told


@pytest.mark.parametrize("sigma", [0.05, 0.2])
def test_of_a_crop_of_noise_of_32_pixels_nothing_is_told(sigma):
    noise = 0.5 + sigma * torch.randn(12, 1, 32, 32, generator=torch.Generator().manual_seed(3))
    found = spectral_images(noise)
    assert found.period.tolist() == [0] * 12
    assert found.told.tolist() == [False] * 12


@pytest.mark.parametrize("side", [32, 48, 64])
@pytest.mark.parametrize("period", [2])
def test_small_crops_of_noise_are_accused_in_less_than_one_of_a_hundred_cases(side, period):
    noise = 0.5 + 0.1 * torch.randn(400, 1, side, side, generator=torch.Generator().manual_seed(1))
    assert int((spectral_images(noise, period).period > 0).sum()) <= 4


@pytest.mark.parametrize("period", [2, 4])
def test_the_powers_of_noise_are_none_on_average(period):
    """Of 300 crops: the grid's within four of its standard errors, the warp's within one crop's own error.

    Samples where content rises and those beside them where it falls share the noise of the pixels between them.
    """
    noise = 0.5 + 0.1 * torch.randn(300, 1, 64, 64, generator=torch.Generator().manual_seed(2)).double()
    reading = read(spectral_sums(noise, (period, period), period))
    assert abs(float(reading.power.grid.mean())) < 4 * float(reading.power.grid.std()) / 300**0.5
    assert abs(float(reading.power.warp.mean())) < float(reading.error.warp.mean())
    for form in ("grid", "warp"):
        power, error = getattr(reading.power, form), getattr(reading.error, form)
        assert 0.8 < float(error.mean()) / float(power.std()) < 3.0, form


@pytest.mark.parametrize("size", [(1, 1), (7, 7), (15, 200), (8, 8), (16, 16), (31, 31)], ids=str)
def test_of_a_tiny_image_nothing_is_told(size, photo, tensor):
    found = spectral_images(tensor(photo("camera", 200, 180, 200)[: size[0], : size[1]]))
    assert not bool(found.told)
    assert int(found.period) == 0


@pytest.mark.parametrize(("size", "period"), [((7, 7), 2), ((7, 7), 4), ((3, 3), 4), ((20, 20), 16), ((31, 31), 8)])
def test_of_an_image_too_small_for_its_given_period_nothing_is_told(size, period, photo, tensor):
    """Not "clean": it has no baseband of its own, or not a block."""
    found = spectral_images(tensor(photo("camera", 200, 180, 200)[: size[0], : size[1]]), period)
    assert int(found.period) == 0
    assert not bool(found.told)


def test_what_is_found_is_told_also_on_a_small_crop(photo, nearest, board, tensor):
    marked = spectral_images(tensor(photo("camera", 32, 180, 200) + 0.1 * board((32, 32))), 2)
    assert (bool(marked.told), int(marked.period)) == (True, 2)
    stepped = spectral_images(tensor(nearest(photo("astronaut", 64, 100, 200), 2)))
    assert (bool(stepped.told), int(stepped.period)) == (True, 2)


def test_told_or_not_is_decided_by_what_shows(photo, tensor):
    """A clean answer needs errors below what a person sees; more content makes them smaller."""
    image = photo("coffee", None)
    told = []
    for side in (48, 96, 384):
        found = spectral_images(tensor(image[:side, 100 : 100 + side]), 4)
        told.append(bool(found.told))
        assert bool(found.told) <= (float(found.grid_error) <= VISIBLE_GRID)
    assert told == sorted(told)
    assert told[-1]


def test_where_there_is_no_edge_steps_do_not_show_and_a_flat_image_is_clean():
    flat = 0.5 + torch.randn(1, 1, 160, 160, generator=torch.Generator().manual_seed(0)) / 2550
    found = spectral_images(flat)
    assert (bool(found.told), int(found.period)) == (True, 0)
