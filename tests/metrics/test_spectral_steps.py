"""Stair-steps of known height: replication by p displaces by sqrt((p^2 - 1) / 12), and a filter takes its part."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from artifactlab.metrics import spectral_images

FACTORS = [2, 3, 4, 5, 6, 7, 8]
PHOTOS = [("astronaut", 0, 100), ("coffee", 60, 150)]


def sawtooth(period):
    """rms of the displacements -(p - 1) / 2, ..., (p - 1) / 2, written out."""
    steps = np.arange(period) - (period - 1) / 2
    return float(np.sqrt((steps**2).mean()))


def left_of_a_sawtooth(period, sigma):
    """Harmonic by harmonic, what scipy's own Gaussian kernel passes of it."""
    harmonics = np.abs(np.fft.fft(np.arange(period) - (period - 1) / 2))[1:] ** 2
    impulse = np.zeros(64 * period)
    impulse[32 * period] = 1
    passed = np.abs(np.fft.fft(ndimage.gaussian_filter1d(impulse, sigma)))[64::64]
    return math.sqrt((harmonics * passed**2).sum() / harmonics.sum())


def test_the_truth_of_these_tests_is_the_closed_form():
    """Harmonics k of amplitude 1 / sin(pi k / p), of which a wide Gaussian passes exp(-2 pi^2 sigma^2 (k / p)^2)."""
    for period in FACTORS:
        assert sawtooth(period) == pytest.approx(math.sqrt((period**2 - 1) / 12))
    k = np.arange(1, 8)
    amplitude, frequency = 1 / np.sin(np.pi * k / 8), np.minimum(k, 8 - k) / 8
    passed = amplitude * np.exp(-2 * (np.pi * 2.0 * frequency) ** 2)
    expected = math.sqrt((passed**2).sum() / (amplitude**2).sum())
    assert left_of_a_sawtooth(8, 2.0) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("factor", "degrees"),
    [(2, 15), (2, 70), (3, 30), (3, 115), (4, 40), (4, 115), (5, 15), (6, 70), (7, 30), (7, 115), (8, 30), (8, 40)],
)
def test_a_replicated_half_plane_reads_the_sawtooths_displacement_at_any_angle(factor, degrees, half_plane, tensor):
    found = spectral_images(tensor(half_plane(384, degrees, factor)), factor)
    assert float(found.warp) == pytest.approx(sawtooth(factor), rel=0.10)
    assert int(found.period) == factor
    assert bool(found.told)


@pytest.mark.parametrize("degrees", [20, 65])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_an_anti_aliased_half_plane_reads_the_same(factor, degrees, half_plane, shrink, tensor):
    small = shrink(half_plane(160 // factor * 8, degrees), 8)
    found = spectral_images(tensor(np.kron(small, np.ones((factor, factor)))), factor)
    assert float(found.warp) == pytest.approx(sawtooth(factor), rel=0.10)


@pytest.mark.parametrize(
    ("factor", "where"), [*((s, PHOTOS[1]) for s in (2, 3, 4, 5, 8)), (2, PHOTOS[0]), (8, PHOTOS[0])]
)
def test_a_replicated_photo_reads_the_sawtooths_displacement_and_names_the_period(
    factor, where, photo, nearest, tensor
):
    found = spectral_images(tensor(nearest(photo(where[0], 160, *where[1:]), factor)))
    assert int(found.period) == factor
    assert bool(found.told)
    assert float(found.warp) == pytest.approx(sawtooth(factor), rel=0.10)
    assert float(found.grid) < 1 / 255
    assert float(found.warp_error) < 0.1 * sawtooth(factor)


@pytest.mark.parametrize(("name", "top", "left"), PHOTOS)
def test_of_a_given_lattice_the_smallest_period_that_holds_it_all_is_named(name, top, left, photo, nearest, tensor):
    x = tensor(nearest(photo(name, 192, top, left), 2))
    for lattice in (2, 4, 6, 8):
        found = spectral_images(x, lattice)
        assert int(found.period) == 2, lattice
        assert float(found.warp) == pytest.approx(sawtooth(2), rel=0.10)


def test_larger_steps_read_larger(photo, nearest, tensor):
    image = photo("coffee", 192, 60, 150)
    scores = [float(spectral_images(tensor(nearest(image, s)), s).warp) for s in (2, 3, 4, 5, 6, 7, 8)]
    assert all(low * 1.1 < high for low, high in pairwise(scores)), scores


@pytest.mark.parametrize(
    ("factor", "where"), [(2, PHOTOS[0]), (3, PHOTOS[1]), (4, PHOTOS[0]), (8, PHOTOS[0]), (8, PHOTOS[1])]
)
def test_after_a_filter_is_read_what_it_leaves_of_the_steps(factor, where, photo, nearest, tensor):
    """Within 15% up to a sixth of the period."""
    steps = nearest(photo(where[0], 192, *where[1:]), factor)
    before = float(spectral_images(tensor(steps), factor).warp)
    for sigma in (factor / 10, factor / 6):
        filtered = ndimage.gaussian_filter(steps, (sigma, sigma, 0))
        after = float(spectral_images(tensor(filtered), factor).warp)
        assert after == pytest.approx(before * left_of_a_sawtooth(factor, sigma), rel=0.15), sigma


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_a_wider_filter_leaves_more_of_what_stands_beside_the_lattices_frequencies(factor, photo, nearest, tensor):
    """Of the images of content at f, those at k/p - f are kept better, by up to two fifths and more."""
    steps = nearest(photo("coffee", 192, 60, 150), factor)
    before, last = float(spectral_images(tensor(steps), factor).warp), math.inf
    for sigma in (factor / 4, factor / 3):
        filtered = ndimage.gaussian_filter(steps, (sigma, sigma, 0))
        found = spectral_images(tensor(filtered), factor)
        expected = before * left_of_a_sawtooth(factor, sigma)
        assert expected < float(found.warp) < 2.2 * expected
        assert int(found.period) == factor
        assert float(found.warp) < 0.7 * last
        last = float(found.warp)


@pytest.mark.parametrize("factor", [2, 4])
def test_steps_along_one_axis_are_those_of_that_axis(factor, photo, tensor):
    """Given as one spacing per axis; along the other one there is none to be found."""
    image = photo("coffee", 192, 60, 150)
    stretched = np.repeat(image.reshape(192 // factor, factor, 192, 3).mean(1), factor, 0)
    found = spectral_images(tensor(stretched), (factor, 1))
    assert float(found.warp) == pytest.approx(sawtooth(factor), rel=0.10)
    assert float(spectral_images(tensor(stretched), (1, factor)).warp) < 0.05
    assert float(spectral_images(tensor(stretched.transpose(1, 0, 2)), (1, factor)).warp) == pytest.approx(
        float(found.warp), rel=1e-3
    )


def test_different_factors_of_both_axes_are_found_together(photo, tensor):
    image = photo("coffee", 192, 60, 150)
    small = image.reshape(96, 2, 48, 4, 3).mean((1, 3))
    found = spectral_images(tensor(np.kron(small, np.ones((2, 4, 1)))), (2, 4))
    assert int(found.period) == 4
    assert float(found.warp) == pytest.approx(sawtooth(4), rel=0.10), "that of the coarser axis"


@pytest.mark.parametrize(("name", "top", "left"), [("coins", 0, 0), ("camera", 60, 120)])
def test_noise_on_stair_steps_hides_little_of_them(name, top, left, photo, nearest, tensor):
    """Content is read off the image itself, so its noise makes slopes look steeper than they are."""
    noisy = nearest(photo(name, 240, top, left), 4) + np.random.default_rng(0).normal(0, 0.03, (240, 240))
    found = spectral_images(tensor(noisy))
    assert int(found.period) == 4
    assert 0.75 * sawtooth(4) < float(found.warp) < 1.05 * sawtooth(4)


def test_the_moon_of_scikit_image_is_a_x2_replica_and_reads_like_one(photo, tensor):
    image = photo("moon", 256, 100, 100)
    assert np.array_equal(image[::2, ::2], image[1::2, 1::2])
    found = spectral_images(tensor(image))
    assert int(found.period) == 2
    assert float(found.warp) == pytest.approx(sawtooth(2), rel=0.15)


@pytest.mark.parametrize("factor", [5, 7])
def test_long_steps_along_one_axis_alone_are_texture_unless_that_lattice_is_given(factor, photo, tensor):
    """Blinds and lines of text: upsamplers work along all axes."""
    rows = 175 // factor
    image = photo("coffee", 175, 60, 150)[: rows * factor]
    stretched = tensor(np.repeat(image.reshape(rows, factor, 175, 3).mean(1), factor, 0))
    assert float(spectral_images(stretched).warp) == 0
    assert float(spectral_images(stretched, (factor, 1)).warp) == pytest.approx(sawtooth(factor), rel=0.10)
