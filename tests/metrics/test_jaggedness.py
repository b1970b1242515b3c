"""Jaggedness: replicated lines against exact crossings and closed forms, planted stair-steps, and what is none."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from artifactlab.metrics import edge_jaggedness, edge_jaggedness_map
from artifactlab.metrics.contours import FITTED, HALF_LENGTH
from artifactlab.metrics.edges import CELL
from artifactlab.metrics.jaggedness import SMALLEST_SIDE, edge_statistics, pooled_jaggedness

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


def exact_rms(degrees, s, size=1600):
    """Rms distance, in pixels, of where each row (column, if flat) of a replicated half-plane changes from its line.

    A row of a binary image changes in one place, so this needs no contour, no window and no fit.
    """
    image = half_plane(size, degrees, s)
    angle = math.radians(degrees)
    flat = abs(math.cos(angle)) > abs(math.sin(angle))
    changes = np.diff(image.T if flat else image, axis=1) != 0
    lines = np.flatnonzero(changes.sum(1) == 1)
    crossings = changes[lines].argmax(1) + 0.5
    rows, columns = (crossings, lines) if flat else (lines, crossings)
    # centres of replicated pixels, in the coordinates the line was drawn in
    rows, columns = ((t + 0.5) / s - 0.5 - (image.shape[0] // s - 1) / 2 for t in (rows, columns))
    return float(s * (rows * math.cos(angle) - columns * math.sin(angle)).std())


# References


@pytest.mark.parametrize("s", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("degrees", [20, 25, 30, 35, 65, 70, 115, 150])
def test_replicated_lines_read_the_rms_distance_of_their_crossings(s, degrees, tensor):
    """The metric sees windows of 16 or 32 rows and takes a parabola off, which leaves it within an eighth."""
    assert float(edge_jaggedness(tensor(stripes(288, degrees, s)))) == pytest.approx(exact_rms(degrees, s), rel=0.12)


@pytest.mark.parametrize("s", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("degrees", [40, 50])
def test_near_the_diagonal_the_slow_beat_is_longer_than_the_window(s, degrees, tensor):
    """Steps one low-resolution pixel long come with one of two in every sixth row: a window sees less of that."""
    assert float(edge_jaggedness(tensor(stripes(288, degrees, s)))) == pytest.approx(exact_rms(degrees, s), rel=0.2)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(degrees=st.floats(12.0, 38.0), turned=st.booleans(), s=st.integers(2, 8))
def test_the_exact_rms_of_a_generic_line_is_s_over_root_twelve(degrees, turned, s):
    """Its crossings are spread evenly over s pixels; the rows inside a step, over the s - 1 between their centres."""
    exact = exact_rms(90 - degrees if turned else degrees, s)
    assert exact == pytest.approx(math.sqrt((s**2 - math.sin(math.radians(degrees)) ** 2) / 12), rel=0.03)


@pytest.mark.parametrize("s", [2, 3, 4, 6, 8])
def test_a_diagonal_binary_line_reads_s_over_root_twenty_four(s, tensor):
    """Each of its steps is a saw-tooth of s rows, which is sqrt((s ** 2 - 1) / 12) across a row, less by cos 45.

    A fit takes away next to nothing of so regular a wave, so allowing for it can only add.
    """
    expected = exact_rms(45, s)
    assert expected == pytest.approx(math.sqrt((s**2 - 1) / 24), rel=0.01)
    allowed = math.sqrt(HALF_LENGTH / (HALF_LENGTH - FITTED))
    assert 0.98 * expected < float(edge_jaggedness(tensor(stripes(288, 45, s)))) < allowed * expected


@pytest.mark.parametrize(("s", "degrees"), [(2, 30), (3, 30), (4, 20), (6, 30), (6, 20), (8, 30), (8, 20)])
def test_a_single_line_across_a_small_image_is_enough(s, degrees, tensor):
    image = half_plane(192, degrees, s)
    assert float(edge_jaggedness(tensor(image))) == pytest.approx(exact_rms(degrees, s), rel=0.2)


# Small images


@pytest.mark.parametrize("offset", np.linspace(-1, 1, 7).tolist())
def test_a_x4_stair_of_a_single_line_is_seen_in_64_pixels_wherever_it_runs(offset, tensor):
    image = np.kron(distance_to_line(16, 30, offset) > 0, np.ones((4, 4)))
    assert float(edge_jaggedness(tensor(image))) > 0.3


def test_the_smallest_side_has_room_for_a_stair(tensor):
    image = half_plane(SMALLEST_SIDE, 30, 4)
    assert image.shape == (SMALLEST_SIDE, SMALLEST_SIDE)
    assert float(edge_jaggedness(tensor(image))) > 0.5


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    size=st.integers(8, 32),
    degrees=st.floats(10.0, 80.0),
    s=st.integers(2, 6),
    width=st.floats(8.0, 40.0),
    channels=st.sampled_from([1, 3, 16]),
)
def test_images_of_less_than_33_pixels_have_no_room_for_five_edge_points_and_read_zero(
    size, degrees, s, width, channels, tensor
):
    """Of four contours chance is as much as they can have in common, and two by two cells are all that is in reach."""
    image = stripes(40 * s, degrees, s, width)[:size, :size]
    assert float(edge_jaggedness(tensor(image).expand(1, channels, size, size))) == 0


def test_fewer_than_a_handful_of_edge_points_say_nothing(tensor):
    statistics = edge_statistics(tensor(stripes(128, 30, 4)))[0, 0]
    assert float(statistics[0, 0]) > 20
    few = statistics * (5 / statistics[:, :1])
    assert float(pooled_jaggedness(few)) == 0
    assert float(pooled_jaggedness(statistics)) > 0.5


# Tiles


@pytest.mark.parametrize("halves", [(160, 192), (136, 200)])
def test_statistics_of_tiles_add_up_to_those_of_the_image(halves, photo, nearest, tensor):
    """Tiles start at multiples of a cell and see 64 pixels around the core that counts."""
    x = tensor(nearest(photo("astronaut", None)[:320, :384], 4), torch.float64)
    whole = edge_statistics(x)
    together, middle_row, middle_column = torch.zeros_like(whole), *halves
    for top, bottom in ((0, middle_row), (middle_row, 320)):
        for left, right in ((0, middle_column), (middle_column, 384)):
            first, left_most = max(0, top - 64), max(0, left - 64)
            tile = x[..., first : bottom + 64, left_most : right + 64]
            core = (top - first, bottom - first, left - left_most, right - left_most)
            part = edge_statistics(tile, origin=(first, left_most), core=core)
            assert float(part[0, 0, 0, 0]) > 20
            together += part
    torch.testing.assert_close(together, whole, rtol=1e-6, atol=1e-6)
    assert float(pooled_jaggedness(together)) == pytest.approx(float(edge_jaggedness(x)), rel=1e-6)


def test_a_tile_that_forgets_its_origin_is_out_of_step(tensor):
    """What makes origins matter: the phases of a period of 3 rows start anew every 8."""
    x = tensor(stripes(288, 60, 3), torch.float64)
    halves = [(0, (0, 136, 0, 288)), (64, (72, 224, 0, 288))]
    told = sum(edge_statistics(x[..., first : first + 224, :], origin=(first, 0), core=core) for first, core in halves)
    untold = sum(edge_statistics(x[..., first : first + 224, :], core=core) for first, core in halves)
    assert float(pooled_jaggedness(told)) == pytest.approx(float(edge_jaggedness(x)), rel=1e-6)
    assert float(pooled_jaggedness(untold)) < 0.8 * float(edge_jaggedness(x))


def test_equal_tiles_of_one_call_are_those_of_their_edges(photo, nearest, tensor):
    x = tensor(nearest(photo("coffee", 256, 60, 150), 4), torch.float64)
    tiles = edge_statistics(x, (2, 2))
    assert tiles.shape[1] == 4
    torch.testing.assert_close(tiles.sum(1, keepdim=True), edge_statistics(x), rtol=1e-9, atol=1e-9)
    for k, core in enumerate([(0, 128, 0, 128), (0, 128, 128, 256), (128, 256, 0, 128), (128, 256, 128, 256)]):
        torch.testing.assert_close(tiles[:, k], edge_statistics(x, core=core)[:, 0], rtol=1e-9, atol=1e-9)


# Planted stair-steps


@pytest.mark.parametrize(("name", "top", "left"), [("coffee", 60, 150), ("astronaut", 0, 100), ("coins", 0, 0)])
def test_nearest_x2_x3_x4_x8_are_ever_more_jagged(name, top, left, photo, nearest, tensor):
    image = photo(name, 264, top, left)
    scores = [float(edge_jaggedness(tensor(image if s == 1 else nearest(image, s)))) for s in (1, 2, 3, 4, 8)]
    assert scores[0] < PROMISED
    assert scores[1] > 0.3
    assert all(low + PROMISED / 2 < high for low, high in pairwise(scores)), scores


def test_x8_reads_more_than_x4_on_a_small_image_with_few_edges(photo, nearest, tensor):
    image = photo("coins", 240)
    assert float(edge_jaggedness(tensor(nearest(image, 8)))) > float(edge_jaggedness(tensor(nearest(image, 4))))


def test_the_moon_of_scikit_image_is_a_x2_replica_and_reads_like_one(photo, tensor):
    image = photo("moon", None)
    assert np.array_equal(image[::2, ::2], image[1::2, 1::2])
    assert float(edge_jaggedness(tensor(image))) > 0.3


@pytest.mark.parametrize("s", [2, 4, 8])
def test_replicated_curves_are_jagged_and_anti_aliased_ones_are_not(s, tensor):
    assert float(edge_jaggedness(tensor(rings()))) < 0.02
    assert float(edge_jaggedness(tensor(rings(s=s)))) > 0.15 * s


@settings(max_examples=10, deadline=None, derandomize=True)
@given(contrast=st.floats(0.2, 1.0), brightness=st.floats(-1.0, 1.0), negative=st.booleans())
def test_jaggedness_is_a_distance_so_contrast_and_brightness_do_not_matter(contrast, brightness, negative, tensor):
    """Rounding may decide which of two equal neighbours is the edge point; that shifts the rows seen by a step."""
    image = half_plane(128, 30, 4)
    upright = float(edge_jaggedness(tensor(image)))
    assert upright > 0.5
    scaled = brightness + (-contrast if negative else contrast) * image
    assert float(edge_jaggedness(tensor(scaled))) == pytest.approx(upright, rel=0.01)


def test_blurring_stair_steps_never_makes_them_more_jagged(photo, nearest, tensor):
    image = nearest(photo("coffee", 192, 60, 150), 4)
    scores = [float(edge_jaggedness(tensor(ndimage.gaussian_filter(image, (s, s, 0))))) for s in (0, 0.5, 1, 2, 3)]
    assert scores == sorted(scores, reverse=True)
    assert scores[1] > 0.2, "a slight blur does not hide steps of 4 pixels"
    assert max(scores[3:]) < 0.02


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


@pytest.mark.parametrize("degrees", [15, 30, 45, 70])
def test_a_noisy_straight_edge_is_not_jagged(degrees, tensor):
    rng = np.random.default_rng(degrees)
    noisy = smooth_edge(160, degrees, 0.7) + rng.normal(0, 0.05, (160, 160))
    assert float(edge_jaggedness(tensor(noisy))) < PROMISED


# Channels: what several show in one place is one observation


# Batches and precision


# The map


def cells(heat):
    """The map of `(H, W)` pixels, one value per cell, after checking that each cell has one."""
    rows, columns = -(-heat.shape[0] // CELL), -(-heat.shape[1] // CELL)
    each = heat[::CELL, ::CELL]
    np.testing.assert_array_equal(np.kron(each, np.ones((CELL, CELL)))[: heat.shape[0], : heat.shape[1]], heat)
    assert each.shape == (rows, columns)
    return each


@pytest.mark.parametrize(("bottom", "right"), [(False, False), (False, True), (True, False), (True, True)])
def test_map_is_hot_in_the_stepped_quadrant_and_cold_elsewhere(bottom, right, tensor):
    """A contour is followed 16 rows to both sides, so those that reach into the quadrant may be warm."""
    image, stepped = rings(), rings(s=4)
    quadrant = (slice(128 * bottom, 128 + 128 * bottom), slice(128 * right, 128 + 128 * right))
    image[quadrant] = stepped[quadrant]
    heat = edge_jaggedness_map(tensor(image))
    assert heat.shape == (1, 1, 256, 256)
    heat, inside = cells(heat[0, 0].numpy()), np.zeros((256, 256), bool)
    inside[quadrant] = True
    inside = inside[::CELL, ::CELL]
    outside = ~ndimage.binary_dilation(inside, np.ones((3, 3)), iterations=16 // CELL + 1)
    assert heat.min() >= 0
    assert (heat[inside] > 0.3).sum() > 20
    assert heat[inside][heat[inside] > 0].mean() > 0.5
    assert heat[outside].max() < PROMISED


@pytest.mark.parametrize(("name", "top", "left"), [("coins", 0, 0), ("coffee", 60, 150)])
def test_map_of_a_photo_is_hotter_where_it_was_replicated(name, top, left, photo, nearest, tensor):
    """Natural outlines wander too, and one edge alone cannot tell; the stepped quadrant still stands out."""
    image = photo(name, 256, top, left)
    for quadrant in [(slice(r, r + 128), slice(c, c + 128)) for r in (0, 128) for c in (0, 128)]:
        planted, inside = image.copy(), np.zeros((256, 256), bool)
        planted[quadrant] = nearest(image[quadrant], 4)
        inside[quadrant] = True
        heat = edge_jaggedness_map(tensor(planted))[0, 0].numpy()
        assert heat[inside].max() > 0.3, quadrant
        assert heat[inside].mean() > 3 * heat[~inside].mean(), quadrant


@pytest.mark.parametrize("name", ["astronaut", "coffee", "camera", "coins", "brick"])
def test_map_of_a_photo_that_keeps_step_with_no_lattice_is_zero(name, photo, nearest, tensor):
    image = photo(name, 256)
    assert float(edge_jaggedness(tensor(image))) == 0
    assert float(edge_jaggedness_map(tensor(image)).max()) == 0
    assert float(edge_jaggedness_map(tensor(nearest(image, 4))).max()) > 0.3


def test_map_of_clean_edges_and_rings_is_cold(tensor):
    for image in (smooth_edge(128, 30), smooth_edge(128, 65, 1.0), rings()):
        assert float(edge_jaggedness_map(tensor(image)).max()) < 0.02
    assert float(edge_jaggedness_map(torch.full((1, 1, 60, 60), 0.4)).max()) == 0


def test_map_is_the_largest_value_over_the_channels(photo, nearest, tensor):
    """Of channels that agree on a lattice: one that is flat adds nothing, and a copy takes nothing away."""
    grey = tensor(nearest(photo("coffee", 128, 120, 180)[..., 0], 4))
    expected = edge_jaggedness_map(grey)
    assert float(expected.max()) > 0.3
    flat = torch.full_like(grey, 0.5)
    for channels in ([grey, flat, flat], [flat, grey], [grey, grey]):
        torch.testing.assert_close(edge_jaggedness_map(torch.cat(channels, 1)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("degrees", [20, 30, 60, 110])
def test_map_marks_the_cells_of_edges_only(degrees, tensor):
    """An edge point lies within 2 pixels of the path of the stairs, which are half a low-resolution pixel off it."""
    heat = edge_jaggedness_map(tensor(half_plane(128, degrees, 4)))[0, 0].numpy()
    assert heat.max() > 0.3
    centres = np.abs(distance_to_line(128, degrees, 4 * 0.3))[heat > 0]
    cell = CELL * (abs(math.sin(math.radians(degrees))) + abs(math.cos(math.radians(degrees))))
    assert centres.max() < cell + 4
    assert (cells(heat) > 0).sum() <= 3 * 128 / CELL


@pytest.mark.parametrize("shape", [(123, 117), (128, 121), (97, 128)])
def test_map_has_the_size_of_the_image_also_where_cells_do_not_fill_it(shape, tensor):
    image = half_plane(128, 30, 4)[: shape[0], : shape[1]]
    heat = edge_jaggedness_map(tensor(image))
    assert heat.shape == (1, 1, *shape)
    assert cells(heat[0, 0].numpy()).max() > 0.3
