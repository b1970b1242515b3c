"""Axis excess against a slow reference, with planted stair-steps and on what it must not see."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.draw import line_aa

from artifactlab.metrics import axis_excess, gradient_direction_histogram
from artifactlab.metrics.directions import axis_statistics, pooled_axis_excess
from artifactlab.metrics.edges import edge_points


def slow_axis_excess(image):
    """Loop over the quads of 2 x 2 pixels around each edge point: each one's plane by least squares, and its angle.

    Where the points are is tested in `test_edges`.
    """
    total = along = 0.0
    corners = np.array([[1, -0.5, -0.5], [1, -0.5, 0.5], [1, 0.5, -0.5], [1, 0.5, 0.5]])
    for channel in np.moveaxis(np.atleast_3d(image), 2, 0):
        height, width = channel.shape
        points = edge_points(torch.from_numpy(channel.copy())[None])
        for row, column in zip(points.row.tolist(), points.column.tolist(), strict=True):
            top, left = round(row - 4.5), round(column - 4.5)
            if min(top, left) < 0 or top + 9 >= height or left + 9 >= width:
                continue
            for i in range(top, top + 9):
                for j in range(left, left + 9):
                    _, gy, gx = np.linalg.lstsq(corners, channel[i : i + 2, j : j + 2].ravel(), rcond=None)[0]
                    slope = math.hypot(gy, gx)
                    if slope <= 0.02:
                        continue
                    total += slope**2
                    if abs((math.degrees(math.atan2(gy, gx)) + 45) % 90 - 45) < 5:
                        along += slope**2
    return along / total if total else 0.0


def facade(size=160):
    """A building: windows with horizontal and vertical edges only."""
    image = np.full((size, size), 0.7)
    for top in range(12, size - 20, 32):
        for left in range(10, size - 20, 28):
            image[top : top + 18, left : left + 12] = 0.2
    return image


@pytest.mark.parametrize(("name", "top", "left"), [("coffee", 100, 200), ("astronaut", 0, 128), ("coins", 0, 0)])
@pytest.mark.parametrize("s", [1, 2, 4])
def test_axis_excess_agrees_with_a_slow_reference(name, top, left, s, photo, nearest, tensor):
    image = photo(name, 96, top, left)
    image = nearest(image, s) if s > 1 else image
    expected = slow_axis_excess(image)
    assert expected > 0
    assert float(axis_excess(tensor(image, torch.float64))) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("degrees", [20, 30, 45, 65, 110])
@pytest.mark.parametrize("s", [2, 3, 4])
def test_axis_excess_of_a_binary_line_is_the_share_of_quads_that_are_no_corners(degrees, s, tensor):
    """A quad across a stair has unit slope, one at a corner of the stairs half the energy and points at 45 degrees.

    Points are where an edge is steepest, so corners of short stairs are seen a little more, or less, than elsewhere.
    """
    size = 240 // s * s
    rows, columns = np.indices((size // s, size // s)) - (size // s - 1) / 2
    angle = math.radians(degrees)
    image = np.kron(rows * math.cos(angle) - columns * math.sin(angle) + 0.3 > 0, np.ones((s, s)))
    inner = image[24:-24, 24:-24]
    ones = inner[1:, 1:] + inner[1:, :-1] + inner[:-1, 1:] + inner[:-1, :-1]
    across, corner = (ones == 2).sum(), (ones % 2 == 1).sum()
    assert float(axis_excess(tensor(image))) == pytest.approx(across / (across + corner / 2), rel=0.06)


@pytest.mark.parametrize("name", ["coffee", "astronaut", "coins"])
def test_axis_excess_grows_with_every_nearest_scale(name, photo, nearest, tensor):
    image = photo(name)
    scores = [float(axis_excess(tensor(image if s == 1 else nearest(image, s)))) for s in (1, 2, 3, 4, 8)]
    assert all(low + 0.02 < high for low, high in pairwise(scores)), scores
    assert scores[0] < 0.1
    assert scores[1] > 0.5


def test_axis_excess_sees_stair_steps_not_buildings(tensor):
    stairs = np.kron(np.tril(np.ones((40, 40))), np.ones((4, 4)))
    buildings = facade()
    assert float(axis_excess(tensor(stairs))) > 0.5
    assert float(axis_excess(tensor(buildings))) == 0
    plain = gradient_direction_histogram(tensor(buildings))[0]
    assert plain[0] + plain[18] > 0.8, "the plain histogram is fooled by the same building"


def test_axis_excess_of_masonry_is_well_below_that_of_its_own_stair_steps(photo, nearest, tensor):
    """Joints that are nearly, not quite, axis-parallel are the hard case: a fifth of their energy lies on the axes."""
    image = photo("brick", None)
    natural, stepped = float(axis_excess(tensor(image))), float(axis_excess(tensor(nearest(image, 2))))
    assert natural < 0.25
    assert stepped > 2.5 * natural


def test_axis_excess_of_smooth_oblique_lines_is_small(tensor):
    image = np.zeros((160, 160))
    for end in (30, 70, 110, 159):
        rows, columns, value = line_aa(0, 0, end, 159)
        image[rows, columns] = np.maximum(image[rows, columns], value)
    blurred = tensor(ndimage.gaussian_filter(image, 1.0) * 2)
    assert float(axis_statistics(blurred)[0, 1]) > 1, "there is something to measure"
    assert float(axis_excess(blurred)) < 0.05


@settings(max_examples=20, deadline=None, derandomize=True)
@given(degrees=st.one_of(st.floats(17.0, 73.0), st.floats(107.0, 163.0)), sigma=st.floats(0.7, 2.0))
def test_a_smooth_edge_well_off_the_axes_has_no_axis_excess(degrees, sigma, tensor):
    rows, columns = np.indices((96, 96)) - 47.5
    angle = math.radians(degrees)
    edge = np.clip(rows * math.cos(angle) - columns * math.sin(angle) + 0.5, 0, 1)
    blurred = tensor(ndimage.gaussian_filter(edge, sigma))
    assert float(axis_statistics(blurred)[0, 1]) > 1
    assert float(axis_excess(blurred)) < 0.02


@pytest.mark.parametrize(("name", "s"), [("coffee", 2), ("coffee", 4), ("coins", 2)])
def test_axis_excess_survives_flips_and_turns(name, s, photo, nearest, tensor, symmetries):
    """Where cells fill the image. The quads around a point lie half a pixel off its middle, always the same way."""
    x = tensor(nearest(photo(name, 256), s))
    upright = float(axis_excess(x))
    assert upright > 0.3
    for name, turn in symmetries.items():
        assert float(axis_excess(turn(x))) == pytest.approx(upright, rel=0.01), name


@pytest.mark.parametrize("size", [17, 19, 24, 25, 27, 33, 40, 43])
def test_axis_excess_takes_lines_anywhere_in_images_of_any_size(size, tensor):
    """Also where they meet the border: odd sizes leave a row over that cells do not reach."""
    rows, columns = np.indices((size, size))
    for shift in range(-size, size, 2):
        for turned in (rows, rows[::-1]):
            image = np.clip(0.5 * columns + 0.8 * turned - size / 2 - shift, 0, 1)
            assert 0 <= float(axis_excess(tensor(image))) < 0.05, shift


def test_axis_excess_of_an_image_does_not_depend_on_those_beside_it_in_the_batch(tensor):
    rows, columns = np.indices((43, 41))
    for shift in range(-40, 44, 4):
        image = tensor(np.clip(0.5 * columns + 0.8 * rows - 20 - shift, 0, 1))
        batch = torch.cat([image, 1 - image.roll(7, 3)])
        torch.testing.assert_close(axis_statistics(batch)[:1], axis_statistics(image), rtol=1e-6, atol=1e-9)


def test_axis_statistics_of_tiles_add_up_to_those_of_the_image(photo, nearest, tensor):
    """Tiles start at multiples of a cell and see 64 pixels around the core that counts."""
    x = tensor(nearest(photo("astronaut", None)[:320, :384], 4), torch.float64)
    together = torch.zeros(1, 2, dtype=torch.float64)
    for top, bottom in ((0, 160), (160, 320)):
        for left, right in ((0, 192), (192, 384)):
            first, left_most = max(0, top - 64), max(0, left - 64)
            tile = x[..., first : bottom + 64, left_most : right + 64]
            core = (top - first, bottom - first, left - left_most, right - left_most)
            part = axis_statistics(tile, core)
            assert float(part[0, 1]) > 1
            together += part
    torch.testing.assert_close(together, axis_statistics(x), rtol=1e-6, atol=0)
    assert float(pooled_axis_excess(together)) == pytest.approx(float(axis_excess(x)), rel=1e-6)
