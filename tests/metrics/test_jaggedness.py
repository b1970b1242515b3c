"""Jaggedness: replicated half-planes against contours and closed forms, planted stair-steps, and what is none."""

from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import find_contours

from artifactlab.metrics import edge_jaggedness, edge_jaggedness_map

CLEAN = 0.05
"""pixels: what these specimens, which are not stair-stepped, stay below"""
PROMISED = 0.1
"""pixels: what the docstring promises for smooth resizing, blur, JPEG, sharpening, noise and natural outlines"""


def distance_to_line(size, degrees, offset=0.3):
    rows, columns = np.indices((size, size)) - (size - 1) / 2
    return rows * math.cos(math.radians(degrees)) - columns * math.sin(math.radians(degrees)) + offset


def half_plane(size, degrees, s):
    """A binary half-plane whose edge runs at `degrees`, replicated s times."""
    return np.kron(distance_to_line(size // s, degrees) > 0, np.ones((s, s)))


def stripes(size, degrees, s, width=48):
    """Binary stripes `width` pixels wide, replicated s times: many long edges of one direction."""
    return np.kron(np.floor(distance_to_line(size // s, degrees) * s / width) % 2, np.ones((s, s)))


def smooth_edge(size, degrees, sigma=0.0):
    edge = np.clip(distance_to_line(size, degrees) + 0.5, 0, 1)
    return ndimage.gaussian_filter(edge, sigma) if sigma else edge


def rings(size=256, s=1):
    """Anti-aliased concentric rings, edges of every direction; sampled at every s-th pixel, replicated s times."""
    rows, columns = (np.indices((size // s, size // s)) + 0.5) * s
    distance = np.hypot(rows - size / 2, columns - size / 2)
    return np.kron(np.clip(np.abs(distance % 64 - 32) - 16 + 0.5, 0, 1), np.ones((s, s)))


def contour_rms(image, degrees, margin=17):
    """Rms distance, in pixels, of scikit-image's iso-contours from their own straight lines."""
    angle, size = math.radians(degrees), image.shape[0]
    squares = lengths = 0.0
    for contour in find_contours(image, 0.5):
        inside = contour[((contour > margin) & (contour < size - margin)).all(1)]
        if len(inside) < 60:
            continue
        length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(inside, axis=0).T))])
        along = np.arange(0, length[-1], 0.05)
        rows, columns = (np.interp(along, length, inside[:, k]) for k in (0, 1))
        forward = columns * math.cos(angle) + rows * math.sin(angle)
        across = rows * math.cos(angle) - columns * math.sin(angle)
        residual = across - np.polyval(np.polyfit(forward, across, 1), forward)
        squares += (residual**2).mean() * length[-1]
        lengths += length[-1]
    return math.sqrt(squares / lengths)


# References


@pytest.mark.parametrize("s", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("degrees", [20, 35, 45, 65])
def test_replicated_half_planes_read_the_rms_of_their_contour(s, degrees, tensor):
    """The metric follows 17 pixels of a contour and fits a parabola, so it reads up to a fifth less on long steps."""
    image = stripes(240, degrees, s)
    expected = contour_rms(image, degrees)
    assert 0.8 * expected < float(edge_jaggedness(tensor(image))) < 1.08 * expected


@pytest.mark.parametrize("s", [2, 3, 4, 6, 8])
def test_a_shallow_binary_line_approaches_s_over_root_twelve(s, tensor):
    """A saw-tooth of height s cos(angle) has an rms of s cos(angle) / sqrt(12)."""
    expected = s * math.cos(math.radians(20)) / math.sqrt(12)
    assert float(edge_jaggedness(tensor(stripes(288, 20, s)))) == pytest.approx(expected, rel=0.12)


@pytest.mark.parametrize("s", [4, 6, 8])
def test_a_diagonal_binary_line_reads_s_over_root_twenty_four(s, tensor):
    """On the diagonal the contour is a triangle wave of height s / sqrt(2)."""
    assert float(edge_jaggedness(tensor(stripes(288, 45, s)))) == pytest.approx(s / math.sqrt(24), rel=0.12)


@pytest.mark.parametrize(("s", "degrees"), [(2, 30), (3, 30), (4, 20), (6, 30), (6, 20), (8, 30), (8, 20)])
def test_a_single_line_across_a_small_image_is_enough(s, degrees, tensor):
    image = half_plane(192, degrees, s)
    assert float(edge_jaggedness(tensor(image))) > 0.7 * contour_rms(image, degrees)


# Planted stair-steps


@pytest.mark.parametrize(("name", "top", "left"), [("coffee", 60, 150), ("astronaut", 0, 100), ("coins", 0, 0)])
def test_nearest_x2_x3_x4_x8_are_ever_more_jagged(name, top, left, photo, nearest, tensor):
    image = photo(name, 264, top, left)
    scores = [float(edge_jaggedness(tensor(image if s == 1 else nearest(image, s)))) for s in (1, 2, 3, 4, 8)]
    assert scores[0] < CLEAN
    assert scores[1] > 2 * CLEAN
    assert all(low + CLEAN < high for low, high in pairwise(scores)), scores


def test_x8_reads_more_than_x4_on_a_small_image_with_few_edges(photo, nearest, tensor):
    image = photo("coins", 240)
    assert float(edge_jaggedness(tensor(nearest(image, 8)))) > float(edge_jaggedness(tensor(nearest(image, 4))))


def test_the_moon_of_scikit_image_is_a_x2_replica_and_reads_like_one(photo, tensor):
    image = photo("moon", None)
    assert np.array_equal(image[::2, ::2], image[1::2, 1::2])
    assert float(edge_jaggedness(tensor(image))) > CLEAN


@pytest.mark.parametrize("s", [2, 4, 8])
def test_replicated_curves_are_jagged_and_anti_aliased_ones_are_not(s, tensor):
    assert float(edge_jaggedness(tensor(rings()))) < 0.02
    assert float(edge_jaggedness(tensor(rings(s=s)))) > 0.08 * s


@settings(max_examples=10, deadline=None, derandomize=True)
@given(contrast=st.floats(0.2, 1.0), brightness=st.floats(-1.0, 1.0), negative=st.booleans())
def test_jaggedness_is_a_distance_so_contrast_and_brightness_do_not_matter(contrast, brightness, negative, tensor):
    image = half_plane(128, 30, 4)
    scaled = brightness + (-contrast if negative else contrast) * image
    assert float(edge_jaggedness(tensor(scaled))) == pytest.approx(float(edge_jaggedness(tensor(image))), rel=1e-3)


def test_blurring_stair_steps_never_makes_them_more_jagged(photo, nearest, tensor):
    image = nearest(photo("coffee", 192, 60, 150), 4)
    scores = [float(edge_jaggedness(tensor(ndimage.gaussian_filter(image, (s, s, 0))))) for s in (0, 1, 2, 3)]
    assert scores == sorted(scores, reverse=True)
    assert scores[1] > CLEAN, "a slight blur does not hide steps of 4 pixels"
    assert scores[3] < CLEAN


# What is not a stair-step


@pytest.mark.parametrize("s", [1, 2, 4, 8])
def test_jaggedness_ignores_axis_parallel_edges(s, tensor):
    image = np.zeros((160, 160))
    for top in range(16, 128, 48):
        for left in range(16, 128, 40):
            image[top : top + 32, left : left + 24] = 0.8
    replicated = np.kron(image[::s, ::s], np.ones((s, s)))
    assert float(edge_jaggedness(tensor(replicated))) == 0
    assert float(edge_jaggedness_map(tensor(replicated)).max()) == 0


def test_axis_parallel_edges_beside_stair_steps_do_not_dilute_them(tensor):
    stairs = half_plane(128, 30, 4)
    bars = np.kron(np.arange(16)[None] % 2, np.ones((128, 8)))
    alone, beside = float(edge_jaggedness(tensor(stairs))), float(edge_jaggedness(tensor(np.hstack([stairs, bars]))))
    assert beside == pytest.approx(alone, rel=0.1)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(degrees=st.floats(0.0, 180.0), sigma=st.sampled_from([0.0, 0.7, 1.5, 3.0]))
def test_a_smooth_straight_edge_at_any_angle_is_not_jagged(degrees, sigma, tensor):
    assert float(edge_jaggedness(tensor(smooth_edge(96, degrees, sigma)))) < 0.02


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "camera", "coins", "grass"])
def test_natural_photos_are_not_jagged(name, photo, tensor):
    assert float(edge_jaggedness(tensor(photo(name, 256)))) < CLEAN


@pytest.mark.parametrize("name", ["text", "page", "brick"])
def test_pages_of_text_and_bricks_are_not_jagged(name, photo, tensor):
    assert float(edge_jaggedness(tensor(photo(name, None)))) < CLEAN


def test_noise_is_not_jagged(photo, tensor):
    generator = torch.Generator().manual_seed(0)
    assert float(edge_jaggedness(torch.rand(2, 3, 128, 128, generator=generator), reduction="none").max()) < CLEAN
    for name in ("coffee", "astronaut", "camera"):
        image = photo(name, 200, 40, 150)
        x = tensor(image)
        for sigma in (0.02, 0.05):
            noisy = x + sigma * torch.randn(x.shape, generator=generator)
            assert float(edge_jaggedness(noisy)) < CLEAN, (name, sigma)


@pytest.mark.parametrize(("name", "seed"), [("grass", 4), ("gravel", 1)])
def test_a_few_edge_points_found_in_heavy_noise_say_nothing(name, seed, photo, tensor):
    """One or two edge points in a quarter of a million pixels: too few to tell stair-steps from wiggle."""
    image = photo(name, None)
    noisy = image + np.random.default_rng(seed).normal(0, 0.2, image.shape).astype(np.float32)
    assert float(edge_jaggedness(tensor(noisy))) < PROMISED


def test_noise_and_sharpening_of_a_whole_photo_keep_the_promised_bound(photo, tensor):
    image = photo("coffee", None)
    noisy = image + np.random.default_rng(0).normal(0, 0.05, image.shape)
    sharper = np.clip(2 * image - cv2.GaussianBlur(image, (0, 0), 1), 0, 1)
    scores = {"noise": float(edge_jaggedness(tensor(noisy))), "sharpening": float(edge_jaggedness(tensor(sharper)))}
    assert max(scores.values()) < PROMISED, scores


@pytest.mark.parametrize("degrees", [15, 30, 45, 70])
def test_a_noisy_straight_edge_is_not_jagged(degrees, tensor):
    rng = np.random.default_rng(degrees)
    noisy = smooth_edge(160, degrees, 0.7) + rng.normal(0, 0.05, (160, 160))
    assert float(edge_jaggedness(tensor(noisy))) < CLEAN


RESIZING = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "Lanczos": cv2.INTER_LANCZOS4}
SMOOTH = [f"{name} x{s}" for name in RESIZING for s in (2, 4)] + ["blur 1", "blur 2", "JPEG 90", "JPEG 50", "JPEG 30"]


def smoothed(image, how, shrink, jpeg):
    kind, amount = how.split()
    if kind == "blur":
        return cv2.GaussianBlur(image, (0, 0), float(amount))
    if kind == "JPEG":
        return jpeg(image, int(amount))
    small = shrink(image, int(amount[1:]))
    return cv2.resize(small, None, fx=int(amount[1:]), fy=int(amount[1:]), interpolation=RESIZING[kind])


@pytest.mark.parametrize("how", SMOOTH)
def test_blur_jpeg_and_smooth_resizing_are_not_jagged(how, photo, shrink, jpeg, tensor):
    for name, top, left in [("coffee", 60, 150), ("coins", 0, 0)]:
        image = photo(name, 192, top, left)
        assert float(edge_jaggedness(tensor(smoothed(image, how, shrink, jpeg)))) < CLEAN, name


@pytest.mark.parametrize("how", ["blur 1", "blur 2", "bilinear x2", "bilinear x4", "bicubic x4", "JPEG 30"])
def test_bricks_with_rounded_corners_read_less_than_x3_steps(how, photo, shrink, jpeg, tensor):
    """Bricks are the hard case: their outlines are nearly, not quite, axis-parallel and bend onto the axes.

    A known weakness: blurred they read up to 0.2, as x2 steps do. See the docstring of `edge_jaggedness`.
    """
    assert float(edge_jaggedness(tensor(smoothed(photo("brick", None), how, shrink, jpeg)))) < 0.2


@pytest.mark.parametrize("how", ["bicubic x2", "JPEG 30"])
def test_blur_jpeg_and_smooth_resizing_of_fur_are_not_jagged(how, photo, shrink, jpeg, tensor):
    assert float(edge_jaggedness(tensor(smoothed(photo("chelsea", None), how, shrink, jpeg)))) < CLEAN


@pytest.mark.parametrize("amplitude", [0.01, 0.03])
def test_a_checkerboard_is_not_jagged(amplitude, photo, board, tensor):
    assert float(edge_jaggedness(tensor(0.5 + amplitude * board((128, 128))))) == 0
    for name, top, left in [("coffee", 60, 150), ("astronaut", 0, 100), ("camera", 40, 140)]:
        image = photo(name, 200, top, left)
        assert float(edge_jaggedness(tensor(image + amplitude * board(image.shape)))) < CLEAN, name


@pytest.mark.parametrize("cell", [2, 4, 16, 40])
def test_a_coarse_chessboard_is_not_jagged(cell, tensor):
    rows, columns = np.indices((160, 160)) // cell
    assert float(edge_jaggedness(tensor(((rows + columns) % 2).astype(float)))) == 0


# Symmetries


def test_flips_and_turns_leave_jaggedness_unchanged(photo, nearest, tensor, symmetries):
    """Where every edge point is measured the only difference is rounding and ties between equal neighbours."""
    x = tensor(nearest(photo("coins", 256), 4))
    upright = float(edge_jaggedness(x))
    assert upright > 0.3
    for name, turn in symmetries.items():
        assert float(edge_jaggedness(turn(x))) == pytest.approx(upright, rel=0.01), name


def test_flips_and_turns_hardly_matter_where_edges_are_sampled(photo, nearest, tensor, symmetries):
    """A busy photo has more edge points than are measured, and the choice depends on the reading direction."""
    x = tensor(nearest(photo("coffee", 256), 2))
    upright = float(edge_jaggedness(x))
    assert upright > 0.1
    for name in ("left-right", "transpose", "quarter turn"):
        assert float(edge_jaggedness(symmetries[name](x))) == pytest.approx(upright, rel=0.06), name


def test_equal_channels_read_like_one(tensor):
    grey = tensor(half_plane(128, 30, 4))
    assert float(edge_jaggedness(grey.expand(1, 3, 128, 128))) == pytest.approx(float(edge_jaggedness(grey)), rel=1e-3)


# The map


@pytest.mark.parametrize(("bottom", "right"), [(False, False), (False, True), (True, False), (True, True)])
def test_map_is_hot_in_the_stepped_quadrant_and_cold_elsewhere(bottom, right, tensor):
    image, stepped = rings(), rings(s=4)
    quadrant = (slice(128 * bottom, 128 + 128 * bottom), slice(128 * right, 128 + 128 * right))
    image[quadrant] = stepped[quadrant]
    heat = edge_jaggedness_map(tensor(image))
    assert heat.shape == (1, 1, 256, 256)
    assert heat.min() >= 0
    heat, inside = heat[0, 0].numpy(), np.zeros((256, 256), bool)
    inside[quadrant] = True
    outside = ~ndimage.binary_dilation(inside, np.ones((3, 3)), iterations=20)
    assert (heat[inside] > 0).sum() > 300
    assert heat[inside][heat[inside] > 0].mean() > 0.3
    assert heat[outside].max() < CLEAN


@pytest.mark.parametrize(("name", "top", "left"), [("coins", 0, 0), ("coffee", 60, 150)])
def test_map_of_a_photo_is_hotter_where_it_was_replicated(name, top, left, photo, nearest, tensor):
    """Natural outlines wander too, and one edge alone cannot tell; the stepped quadrant still stands out."""
    image = photo(name, 256, top, left)
    for quadrant in [(slice(r, r + 128), slice(c, c + 128)) for r in (0, 128) for c in (0, 128)]:
        planted, inside = image.copy(), np.zeros((256, 256), bool)
        planted[quadrant] = nearest(image[quadrant], 4)
        inside[quadrant] = True
        heat = edge_jaggedness_map(tensor(planted))[0, 0].numpy()
        assert heat[inside & (heat > 0)].mean() > 1.5 * heat[~inside & (heat > 0)].mean(), quadrant


def test_map_is_the_largest_value_over_the_channels(photo, nearest, tensor):
    x = tensor(nearest(photo("coffee", 96, 120, 180), 4))
    channels = torch.stack([edge_jaggedness_map(x[:, c : c + 1]) for c in range(3)])
    torch.testing.assert_close(edge_jaggedness_map(x), channels.amax(0), rtol=1e-4, atol=1e-6)


def test_map_marks_edges_only(tensor):
    heat = edge_jaggedness_map(tensor(half_plane(128, 30, 4)))[0, 0].numpy()
    assert heat.max() > 0.3
    assert heat[np.abs(distance_to_line(128, 30)) > 8].max() == 0


def test_map_has_the_size_of_the_image_also_where_levels_do_not_divide_it(tensor):
    image = half_plane(128, 30, 4)[:123, :117]
    heat = edge_jaggedness_map(tensor(image))
    assert heat.shape == (1, 1, 123, 117)
    assert heat.max() > 0.3
