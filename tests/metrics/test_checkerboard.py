"""Lattice energy, amplitude and spectrum: pure lattices against numpy's FFT, planted checkerboards, and the map."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from artifactlab.metrics import (
    checkerboard_energy,
    checkerboard_map,
    lattice_amplitude,
    lattice_spectrum,
    spectral_images,
)
from artifactlab.metrics.checkerboard import WINDOW, grid_power, locked_share
from artifactlab.metrics.spectral_sums import lattice_sums

EIGHT_BIT = 1 / 255
PHOTOS = ["astronaut", "coffee", "camera", "coins", "grass", "gravel"]


def fft_powers(image, ph, pw):
    """Power at the lattice frequencies (i/ph, j/pw) of an image whose sides are multiples of ph, pw, by numpy's FFT."""
    height, width = image.shape
    spectrum = np.abs(np.fft.fft2(image) / image.size) ** 2
    powers = spectrum[:: height // ph, :: width // pw].copy()
    powers[0, 0] = 0
    return powers


# References


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**31),
    period=st.tuples(st.integers(1, 6), st.integers(1, 6)).filter(lambda p: p != (1, 1)),
    amplitude=st.floats(0.003, 0.2),
)
def test_amplitude_of_a_pure_lattice_is_what_numpys_fft_says(seed, period, amplitude, pattern, tiled, tensor):
    image = tiled(pattern(period, amplitude, seed), 96 // period[0] * period[0], 96 // period[1] * period[1])
    expected = math.sqrt(fft_powers(image, *period).sum())
    assert expected == pytest.approx(amplitude)
    assert float(lattice_amplitude(tensor(image, torch.float64), period)) == pytest.approx(expected, rel=0.02)
    assert float(checkerboard_energy(tensor(image, torch.float64), period)) > 0.8


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), p=st.sampled_from([2, 3, 4, 6]))
def test_spectrum_of_a_pure_lattice_counts_only_the_frequencies_it_shares_with_no_divisor(
    seed, p, pattern, tiled, tensor
):
    image = tiled(pattern((p, p), 0.05, seed), 96, 96)
    powers = fft_powers(image, p, p)
    own = sum(powers[i, j] for i in range(p) for j in range(p) if math.gcd(i, j, p) == 1)
    assert float(lattice_spectrum(tensor(image, torch.float64), (p,))[0, 0]) == pytest.approx(own, rel=0.02)


def test_the_readings_of_a_lattice_are_those_of_spectral_images(photo, pattern, tiled, tensor):
    x = tensor(photo("coffee", 128, 60, 150) + tiled(pattern((4, 4), 0.02, 1), 128, 128)[..., None])
    sums = lattice_sums(x, (4, 4))
    assert float(lattice_amplitude(x, 4)) == pytest.approx(float(spectral_images(x, 4).grid), rel=1e-5)
    power = sum(float(grid_power(s)) for s in sums.values())
    assert float(lattice_amplitude(x, 4)) == pytest.approx(math.sqrt(power), rel=1e-5)
    assert float(lattice_spectrum(x, (2, 4)).sum()) == pytest.approx(power, rel=1e-5)
    residual = float(sums[4].residual / sums[4].grid.weight)
    assert float(locked_share(sums)) == pytest.approx(power / (residual + EIGHT_BIT**2 / 12), rel=1e-5)
    assert float(checkerboard_energy(x, 4)) == pytest.approx(float(locked_share(sums)), rel=1e-6)


def test_amplitude_pools_channels_by_their_power(board, tensor):
    image = board((66, 66, 1)) * np.array([0.03, 0, 0.04])
    assert float(lattice_amplitude(tensor(image))) == pytest.approx(math.sqrt((0.03**2 + 0.04**2) / 3), rel=1e-3)


# Planted checkerboards and their absence


@pytest.mark.parametrize("name", [*PHOTOS, "brick", "text", "page"])
def test_one_percent_checkerboard_is_seen_on_every_photo(name, photo, board, tensor):
    image = photo(name, 256)
    marked = image + 0.01 * board(image.shape)
    assert float(lattice_amplitude(tensor(marked))) == pytest.approx(0.01, rel=0.05)
    assert float(checkerboard_energy(tensor(marked))) > 10 * float(checkerboard_energy(tensor(image)))


@pytest.mark.parametrize("name", [*PHOTOS, "brick", "text", "page"])
@pytest.mark.parametrize("p", [8])
def test_natural_photos_bricks_and_text_have_no_lattice(name, p, photo, tensor):
    x = tensor(photo(name, 192))
    assert float(lattice_amplitude(x, p)) < 0.5 * EIGHT_BIT
    assert float(checkerboard_energy(x, p)) < 0.01


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.2])
def test_noise_has_no_lattice(sigma):
    noise = 0.5 + sigma * torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    for p in (2, 3, 8):
        assert float(checkerboard_energy(noise, p, reduction="none").max()) < 0.001


@pytest.mark.parametrize("name", ["coffee", "astronaut"])
@pytest.mark.parametrize("s", [2, 4, 8])
def test_stair_steps_are_not_a_checkerboard(name, s, photo, nearest, board, tensor):
    stepped = nearest(photo(name, 192), s)
    assert float(lattice_amplitude(tensor(stepped), s)) < EIGHT_BIT
    assert float(checkerboard_energy(tensor(stepped), s)) < 0.02
    assert float(checkerboard_energy(tensor(stepped + 0.05 * board(stepped.shape)), 2)) > 0.5


def test_a_flat_image_with_nothing_but_a_grid_scores_one(board, tensor):
    assert float(checkerboard_energy(tensor(0.5 + 0.02 * board((64, 64))))) > 0.99


def test_a_grid_far_below_eight_bit_rounding_does_not_count(board, tensor):
    assert float(checkerboard_energy(tensor(0.5 + 0.01 * EIGHT_BIT * board((64, 64))))) < 0.01


@settings(max_examples=10, deadline=None, derandomize=True)
@given(amplitude=st.floats(0.005, 0.2))
def test_amplitude_is_proportional_to_the_planted_amplitude(amplitude, photo, board, tensor):
    image = photo("coffee", 130, 100, 200)
    got = float(lattice_amplitude(tensor(image + amplitude * board(image.shape))))
    assert got == pytest.approx(amplitude, rel=0.05)


def test_energy_grows_with_the_planted_amplitude(photo, board, tensor):
    image = photo("coffee", 256, 100, 200)
    scores = [float(checkerboard_energy(tensor(image + a * board(image.shape)))) for a in (0, 0.005, 0.01, 0.02, 0.05)]
    assert scores == sorted(scores)
    assert scores[0] < 0.001
    assert scores[-1] > 0.5


# Periods


@pytest.mark.parametrize("p", [2, 3, 4, 8])
@pytest.mark.parametrize("name", ["coffee", "camera", None])
def test_lattice_spectrum_names_the_period(p, name, photo, tiled, tensor):
    image = np.full((192, 192), 0.5) if name is None else np.atleast_3d(photo(name, 192))[..., 0]
    comb = np.zeros((p, p))
    comb[0, 0] = 0.06 * p  # one phase that stands out, as after a transposed convolution
    periods = (2, 3, 4, 8)
    powers = lattice_spectrum(tensor(image + tiled(comb, 192, 192)), periods)[0]
    assert periods[int(powers.argmax())] == p


def test_a_period_two_board_counts_for_two_only(board, tensor):
    powers = lattice_spectrum(tensor(0.5 + 0.1 * board((128, 128))), (2, 3, 4, 8))[0]
    assert float(powers[0]) == pytest.approx(0.01, rel=1e-3)
    assert float(powers[1:].max()) < 1e-8


def test_period_one_means_no_lattice_in_that_direction(tensor):
    stripes = tensor(np.tile([0.4, 0.6], (64, 32)))
    assert float(lattice_amplitude(stripes, (1, 2))) == pytest.approx(0.1, rel=1e-3)
    assert float(lattice_amplitude(stripes, (2, 1))) == 0
    assert float(lattice_amplitude(stripes, 1)) == 0
    assert float(lattice_amplitude(stripes.transpose(2, 3), (2, 1))) == pytest.approx(0.1, rel=1e-3)


def test_a_period_that_does_not_fit_reads_nothing(board, tensor):
    x = tensor(0.5 + 0.1 * board((20, 48)))
    powers = lattice_spectrum(x, (2, 32))[0]
    assert powers[0] > 0 == powers[1]
    assert float(lattice_amplitude(x, 32)) == float(checkerboard_energy(x, 32)) == 0


# The map


@pytest.mark.parametrize("p", [2, 3, 4])
@pytest.mark.parametrize(("bottom", "right"), [(False, False), (False, True), (True, True)])
def test_map_is_hot_in_the_planted_quadrant_and_cold_elsewhere(p, bottom, right, pattern, tiled, tensor):
    """One window of blur at the quadrant's border is allowed; the image's outermost pixels belong to it too."""
    image = np.full((128, 128), 0.5)
    rows, columns = slice(64 * bottom, 64 * (1 + bottom)), slice(64 * right, 64 * (1 + right))
    image[rows, columns] += tiled(pattern((p, p), 0.05, p), 64, 64)
    heat = checkerboard_map(tensor(image), p)
    assert heat.shape == (1, 1, 128, 128)
    inside, outside = np.zeros((2, 128, 128), bool)
    inside[rows, columns] = True
    outside = ~ndimage.binary_dilation(inside, np.ones((3, 3)), iterations=18)
    inside = ndimage.binary_erosion(inside, np.ones((3, 3)), iterations=18, border_value=1)
    heat = heat[0, 0].numpy()
    assert heat[inside].min() > 0.03
    assert heat[outside].max() < 0.005


@pytest.mark.parametrize("where", [(16, 16), (64, 64), (96, 96), (16, 96)])
def test_map_puts_a_small_patch_where_it_was_planted(where, board, tensor):
    top, left = where
    image = np.full((128, 128), 0.5)
    image[top : top + 16, left : left + 16] += 0.05 * board((16, 16))
    heat = checkerboard_map(tensor(image))[0, 0].numpy()
    assert ndimage.center_of_mass(heat) == pytest.approx((top + 7.5, left + 7.5), abs=8)


def test_map_of_a_uniform_board_is_its_amplitude_everywhere(board, tensor):
    heat = checkerboard_map(tensor(0.5 + 0.05 * board((100, 120))))
    assert heat.shape == (1, 1, 100, 120)
    torch.testing.assert_close(heat, torch.full_like(heat, 0.05), rtol=1e-3, atol=0)


def test_map_turns_with_the_image(board, tensor, symmetries, photo):
    """Whole windows only, so that both orientations see the same ones."""
    image = photo("coffee", 4 * WINDOW, 100, 200)
    image[:24, :24] += 0.05 * board((24, 24, 3))
    x = tensor(image, torch.float64)
    for name, turn in symmetries.items():
        torch.testing.assert_close(checkerboard_map(turn(x)), turn(checkerboard_map(x)), rtol=0, atol=1e-9, msg=name)


def test_curved_content_has_no_grid_in_the_map(tensor):
    """What the triangle leaves of a parabola is a constant, which is no pattern."""
    parabola = np.tile(0.001 * (np.arange(96) - 48.0) ** 2, (96, 1))
    heat = checkerboard_map(tensor(parabola, torch.float64), 4)[..., 12:-12, 12:-12]
    assert float(heat.max()) < 1e-9
