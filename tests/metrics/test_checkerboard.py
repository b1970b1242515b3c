"""Lattice energy: pure lattices against numpy's FFT, photos against a slow estimator, and planted checkerboards."""

from __future__ import annotations

import math
from functools import reduce
from itertools import permutations
from operator import add

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from artifactlab.metrics import checkerboard_energy, checkerboard_map, lattice_amplitude, lattice_spectrum
from artifactlab.metrics.checkerboard import locked_amplitude, locked_share
from artifactlab.metrics.lattice import (
    GRAY_LEVEL,
    SEGMENT,
    WINDOW,
    LatticeSums,
    lattice_sums,
    pooled_lattice,
    window_size,
)

EIGHT_BIT = 1 / 255
PHOTOS = ["astronaut", "coffee", "chelsea", "camera", "rocket", "coins", "immunohistochemistry", "grass", "gravel"]


def tile(pattern, height, width):
    rows, columns = pattern.shape
    return np.tile(pattern, (math.ceil(height / rows), math.ceil(width / columns)))[:height, :width]


def fft_powers(image, ph, pw):
    """Power at the lattice frequencies (i/ph, j/pw) of an image whose sides are multiples of ph, pw, by numpy's FFT."""
    height, width = image.shape
    spectrum = np.abs(np.fft.fft2(image) / image.size) ** 2
    powers = spectrum[:: height // ph, :: width // pw].copy()
    powers[0, 0] = 0
    return powers


def slow_locked_power(image, p):
    """The definition, pair by pair: what two different windows agree on, quiet windows counting more.

    Works with the phase means of scipy's triangle high-pass in the pixel domain; never takes a Fourier transform.
    """
    triangle = np.convolve(np.ones(p), np.ones(p)) / p**2
    low = ndimage.convolve1d(ndimage.convolve1d(image, triangle, axis=0), triangle, axis=1)
    detail = (image - low)[p - 1 : image.shape[0] - p + 1, p - 1 : image.shape[1] - p + 1]
    side = math.ceil(WINDOW / p) * p
    patterns, weights = [], []
    for top in range(0, detail.shape[0] - side + 1, side):
        for left in range(0, detail.shape[1] - side + 1, side):
            window = detail[top : top + side, left : left + side]
            pattern = np.array([[window[i::p, j::p].mean() for j in range(p)] for i in range(p)])
            pattern -= pattern.mean()
            content = (window**2).mean() - (pattern**2).mean()
            patterns.append(pattern)
            weights.append(1 / (content + GRAY_LEVEL))
    together = total = 0.0
    for a, b in permutations(range(len(patterns)), 2):
        together += weights[a] * weights[b] * (patterns[a] * patterns[b]).mean()
        total += weights[a] * weights[b]
    return together / total


# References


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**31),
    period=st.tuples(st.integers(1, 8), st.integers(1, 8)).filter(lambda p: p != (1, 1)),
    amplitude=st.floats(0.003, 0.3),
)
def test_amplitude_of_a_pure_lattice_is_what_numpys_fft_says(seed, period, amplitude, tensor):
    ph, pw = period
    pattern = np.random.default_rng(seed).normal(size=period)
    pattern *= amplitude / (pattern - pattern.mean()).std()
    image = tile(pattern, 6 * 8 * ph, 6 * 8 * pw)
    expected = math.sqrt(fft_powers(image, ph, pw).sum())
    assert expected == pytest.approx(amplitude)
    assert float(lattice_amplitude(tensor(image, torch.float64), period)) == pytest.approx(expected, rel=1e-3)
    assert float(checkerboard_energy(tensor(image, torch.float64), period)) > 0.85


@pytest.mark.parametrize("p", [2, 3, 4, 8])
def test_amplitude_of_a_photo_with_a_grid_agrees_with_a_slow_pairwise_estimate(p, photo, tensor):
    image = photo("camera", 100, 180, 200) + tile(np.random.default_rng(p).normal(0, 0.02, (p, p)), 100, 100)
    expected = math.sqrt(max(0, slow_locked_power(image, p)))
    assert expected > 0.01
    assert float(lattice_amplitude(tensor(image, torch.float64), p)) == pytest.approx(expected, rel=1e-4)


def test_amplitude_pools_channels_by_their_power(tensor):
    pattern = tile(np.array([[1.0, -1.0], [-1.0, 1.0]]), 66, 66)
    image = np.stack([0.03 * pattern, 0 * pattern, 0.04 * pattern], 2)
    assert float(lattice_amplitude(tensor(image))) == pytest.approx(math.sqrt((0.03**2 + 0.04**2) / 3), rel=1e-4)


# Planted checkerboards and their absence


@pytest.mark.parametrize("name", [*PHOTOS, "brick", "text", "page"])
def test_one_percent_checkerboard_is_seen_on_every_photo(name, photo, board, tensor):
    image = photo(name, 256)
    marked = image + 0.01 * board(image.shape)
    assert float(lattice_amplitude(tensor(marked))) == pytest.approx(0.01, rel=0.02)
    assert float(checkerboard_energy(tensor(marked))) > 10 * float(checkerboard_energy(tensor(image)))


@pytest.mark.parametrize("name", [*PHOTOS, "brick", "text", "page"])
@pytest.mark.parametrize("p", [2, 3, 4, 8])
def test_natural_photos_bricks_and_text_have_no_lattice(name, p, photo, tensor):
    """A third of an 8-bit step is the most that any of them shows (gravel at period 8)."""
    x = tensor(photo(name, 320))
    assert float(lattice_amplitude(x, p)) < 0.5 * EIGHT_BIT
    assert float(checkerboard_energy(x, p)) < 0.01


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.2])
def test_noise_has_no_lattice(sigma):
    noise = 0.5 + sigma * torch.randn(4, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    for p in (2, 3, 4, 8):
        assert float(checkerboard_energy(noise, p, reduction="none").max()) < 0.01


@pytest.mark.parametrize("name", ["coffee", "astronaut", "coins", "immunohistochemistry"])
@pytest.mark.parametrize("s", [2, 3, 4, 8])
def test_stair_steps_are_not_a_checkerboard(name, s, photo, nearest, board, tensor):
    """A slope that runs through the whole photo (the light on the coins) leaves a faint saw-tooth: not quite 0."""
    stepped = nearest(photo(name, 384), s)
    assert float(lattice_amplitude(tensor(stepped), s)) < EIGHT_BIT
    energy = float(checkerboard_energy(tensor(stepped), s))
    assert energy < 0.12
    assert float(checkerboard_energy(tensor(stepped + 0.05 * board(stepped.shape)), 2)) > 2 * energy


def test_a_flat_image_with_nothing_but_a_grid_scores_one(board, tensor):
    assert float(checkerboard_energy(tensor(0.5 + 0.02 * board((64, 64))))) > 0.99


def test_a_grid_far_below_eight_bit_rounding_does_not_count(board, tensor):
    assert float(checkerboard_energy(tensor(0.5 + 0.01 * EIGHT_BIT * board((64, 64))))) < 0.01


@settings(max_examples=20, deadline=None, derandomize=True)
@given(amplitude=st.floats(0.005, 0.2))
def test_amplitude_is_proportional_to_the_planted_amplitude(amplitude, photo, board, tensor):
    image = photo("coffee", 130, 100, 200)
    got = float(lattice_amplitude(tensor(image + amplitude * board(image.shape))))
    assert got == pytest.approx(amplitude, rel=0.03)


def test_energy_grows_with_the_planted_amplitude(photo, board, tensor):
    image = photo("coffee", 256, 100, 200)
    scores = [float(checkerboard_energy(tensor(image + a * board(image.shape)))) for a in (0, 0.005, 0.01, 0.02, 0.05)]
    assert scores == sorted(scores)
    assert scores[0] < 0.01
    assert scores[-1] > 0.5


# Periods


@pytest.mark.parametrize("p", [2, 3, 4, 8])
@pytest.mark.parametrize("name", ["coffee", "camera", None])
def test_lattice_spectrum_names_the_period(p, name, photo, tensor):
    image = np.full((256, 256), 0.5) if name is None else np.atleast_3d(photo(name))[..., 0]
    comb = np.zeros((p, p))
    comb[0, 0] = 0.06 * p  # one phase that stands out, as after a transposed convolution
    periods = (2, 3, 4, 8)
    powers = lattice_spectrum(tensor(image + tile(comb, 256, 256)), periods)[0]
    assert periods[int(powers.argmax())] == p


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), p=st.sampled_from([2, 3, 4, 6]))
def test_spectrum_of_a_pure_lattice_counts_only_the_frequencies_it_shares_with_no_divisor(seed, p, tensor):
    pattern = np.random.default_rng(seed).normal(0, 0.05, (p, p))
    image = tile(pattern, 120, 120)
    powers = fft_powers(image, p, p)
    own = sum(powers[i, j] for i in range(p) for j in range(p) if math.gcd(i, j, p) == 1)
    assert float(lattice_spectrum(tensor(image, torch.float64), (p,))[0, 0]) == pytest.approx(own, rel=1e-3)


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


# Symmetries


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), p=st.sampled_from([2, 3, 4, 8]), windows=st.integers(2, 4))
def test_flips_and_turns_leave_every_lattice_score_unchanged(seed, p, windows, tensor, symmetries):
    """Where whole windows fill the image inside its border, the only difference left is rounding."""
    rng = np.random.default_rng(seed)
    size = windows * math.ceil(WINDOW / p) * p + 2 * (p - 1)
    image = ndimage.gaussian_filter(rng.normal(size=(size, size)), 2) + tile(rng.normal(0, 0.02, (p, p)), size, size)
    x = tensor(image, torch.float64)
    for score in (checkerboard_energy, lattice_amplitude, lambda x, p: lattice_spectrum(x, (p,))):
        upright = float(score(x, p))
        assert upright > 0
        for name, turn in symmetries.items():
            assert float(score(turn(x), p)) == pytest.approx(upright, rel=1e-6), name


@pytest.mark.parametrize("name", ["coffee", "camera"])
def test_flips_and_turns_hardly_matter_at_other_sizes(name, photo, board, tensor, symmetries):
    image = photo(name, 151, 100, 150)
    x = tensor(image + 0.01 * board(image.shape))
    upright = float(lattice_amplitude(x))
    for turned, turn in symmetries.items():
        assert float(lattice_amplitude(turn(x))) == pytest.approx(upright, rel=0.03), turned


# Tiles


SUMMED = [field for field in LatticeSums._fields if not field.startswith("line_")]
"""what adds up over tiles that start at multiples of the window size; lines are cut where tiles are, see below"""


def assert_equal_sums(together, whole, fields):
    for field in fields:
        got, expected = getattr(together, field), getattr(whole, field)
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-9, msg=field)


@pytest.mark.parametrize("strips", [[(0, 128), (128, 256), (256, 302)], [(0, 16), (16, 302)], [(0, 240), (240, 302)]])
def test_sums_of_row_strips_add_up_to_those_of_the_image(strips, photo, tensor):
    """Of period 8: strips start at multiples of 16 rows, a window, and end 14 rows, two filter radii, further down."""
    image = photo("coffee", 302, 60, 150)
    x = tensor(image + tile(np.random.default_rng(1).normal(0, 0.02, (8, 8)), 302, 302)[..., None], torch.float64)
    whole = lattice_sums(x, (8, 8))
    parts = [lattice_sums(x[:, :, top : min(302, bottom + 14)], (8, 8), (top, 0), (302, 302)) for top, bottom in strips]
    assert all(float(part.weight) > 0 for part in parts)
    together = reduce(add, parts)
    assert_equal_sums(together, whole, SUMMED)
    torch.testing.assert_close(together.line_squares[:, 0], whole.line_squares[:, 0], rtol=1e-6, atol=0)
    assert float(pooled_lattice(whole).locked.sum()) > 0.01**2
    for got, expected in zip(pooled_lattice(together)[:2], pooled_lattice(whole)[:2], strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-12)
    assert float(locked_amplitude(together)) == pytest.approx(float(lattice_amplitude(x, 8)), rel=1e-6)
    assert float(locked_share(together)) == pytest.approx(float(checkerboard_energy(x, 8)), rel=1e-6)


@pytest.mark.parametrize("period", [(2, 2), (3, 3), (4, 2), (8, 3), (1, 4)])
def test_sums_of_a_grid_of_tiles_add_up_to_those_of_the_image(period, photo, tensor):
    """Tiles start at multiples of the window size both ways, and overlap by what the filter cannot reach."""
    pattern = tile(np.random.default_rng(2).normal(0, 0.02, period), 200, 200)
    x = tensor(photo("camera", 200, 60, 120) + pattern, torch.float64)
    whole = lattice_sums(x, period)
    step, overlap = [6 * window_size(p) for p in period], [2 * (p - 1) for p in period]
    tiles = [
        lattice_sums(x[..., r : r + step[0] + overlap[0], c : c + step[1] + overlap[1]], period, (r, c), (200, 200))
        for r in range(0, 200, step[0])
        for c in range(0, 200, step[1])
    ]
    together = reduce(add, tiles)
    assert len(tiles) >= 4
    assert_equal_sums(together, whole, SUMMED)
    assert float(pooled_lattice(whole).locked.sum()) > 0.005**2
    for got, expected in zip(pooled_lattice(together)[:2], pooled_lattice(whole)[:2], strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
def test_all_sums_add_up_where_tiles_start_at_multiples_of_a_segment_of_windows(axis, tensor):
    """Lines of windows are added up in segments, so that tiles of whole segments have the lines of the whole image."""
    segment = SEGMENT * window_size(2)
    shape = (segment + 122, 50) if axis == 0 else (50, segment + 122)
    rng = np.random.default_rng(3)
    image = 0.1 * rng.normal(size=shape) + tile(rng.normal(0, 0.05, (2, 2)), *shape)
    x = tensor(image, torch.float64)
    whole = lattice_sums(x, (2, 2))
    cut = segment if axis == 0 else 0, segment if axis == 1 else 0
    first = x[..., : segment + 2, :] if axis == 0 else x[..., : segment + 2]
    together = lattice_sums(first, (2, 2), (0, 0), shape) + lattice_sums(x[..., cut[0] :, cut[1] :], (2, 2), cut, shape)
    assert_equal_sums(together, whole, LatticeSums._fields)
    for got, expected in zip(pooled_lattice(together), pooled_lattice(whole), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-12)


def test_sums_of_two_images_are_those_of_all_their_windows(photo, tensor):
    """What both agree on is one estimate: two grids in opposite step cancel, the same one twice is the same again."""
    pattern = tile(np.array([[0.02, -0.02], [-0.02, 0.02]]), 98, 98)
    image = photo("camera", 98, 180, 200)
    marked, opposite = (lattice_sums(tensor(image + sign * pattern, torch.float64), (2, 2)) for sign in (1, -1))
    assert float(locked_amplitude(marked + marked)) == pytest.approx(float(locked_amplitude(marked)), rel=0.03)
    assert float(locked_amplitude(marked + opposite)) < 0.1 * float(locked_amplitude(marked))


# The map


@pytest.mark.parametrize("p", [2, 3, 4])
@pytest.mark.parametrize(("bottom", "right"), [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize("size", [128, 150])
def test_map_is_hot_in_the_planted_quadrant_and_cold_elsewhere(p, bottom, right, size, photo, tensor):
    """One window of blur at the quadrant's border is allowed; the image's outermost pixels belong to it too."""
    half, blur = size // 2, 18
    image = np.full((size, size), 0.5)
    rows, columns = slice(half * bottom, half * (1 + bottom)), slice(half * right, half * (1 + right))
    pattern = np.random.default_rng(p).normal(size=(p, p))
    pattern *= 0.05 / pattern.std()
    image[rows, columns] += tile(pattern, half, half)
    heat = checkerboard_map(tensor(image), p)
    assert heat.shape == (1, 1, size, size)
    inside, outside = np.zeros((2, size, size), bool)
    inside[rows, columns] = True
    outside = ~ndimage.binary_dilation(inside, np.ones((3, 3)), iterations=blur)
    inside = ndimage.binary_erosion(inside, np.ones((3, 3)), iterations=blur, border_value=1)
    heat = heat[0, 0].numpy()
    assert heat[inside].min() > 0.03
    assert heat[outside].max() < 0.005


@pytest.mark.parametrize("where", [(16, 16), (64, 64), (96, 96), (16, 96)])
def test_map_puts_a_small_patch_where_it_was_planted(where, board, tensor):
    top, left = where
    image = np.full((128, 128), 0.5)
    image[top : top + 16, left : left + 16] += 0.05 * board((16, 16))
    heat = checkerboard_map(tensor(image))[0, 0].numpy()
    centre = ndimage.center_of_mass(heat)
    assert centre == pytest.approx((top + 7.5, left + 7.5), abs=8)


def test_map_of_a_uniform_board_is_its_amplitude_everywhere(board, tensor):
    heat = checkerboard_map(tensor(0.5 + 0.05 * board((100, 120))))
    assert heat.shape == (1, 1, 100, 120)
    torch.testing.assert_close(heat, torch.full_like(heat, 0.05), rtol=1e-3, atol=0)


def test_map_turns_with_the_image(board, tensor, symmetries, photo):
    """Whole windows only, so that both orientations see the same ones."""
    image = photo("coffee", 4 * WINDOW + 2, 100, 200)
    image[:33, :33] += 0.05 * board((33, 33, 3))
    x = tensor(image, torch.float64)
    for name, turn in symmetries.items():
        torch.testing.assert_close(checkerboard_map(turn(x)), turn(checkerboard_map(x)), rtol=0, atol=1e-9, msg=name)
