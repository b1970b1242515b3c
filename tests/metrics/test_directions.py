"""Direction histogram, axis excess and divergence, against numpy and scipy and with planted stair-steps."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.distance import jensenshannon
from skimage.draw import line_aa

from artifactlab.errors import InputError
from artifactlab.metrics import axis_excess, direction_divergence, gradient_direction_histogram
from artifactlab.metrics.directions import axis_statistics, pooled_axis_excess
from artifactlab.metrics.edges import edge_points


def slow_histogram(image, bins, derive):
    """numpy's histogram of scipy's gradient directions over all channels of an (H, W, C) image."""
    angles, weights = [], []
    for channel in np.moveaxis(np.atleast_3d(image), 2, 0):
        gy, gx = derive(channel, 0.7)
        power = gx**2 + gy**2
        angles.append(np.degrees(np.arctan2(gy, gx)).ravel())
        weights.append(np.where(np.sqrt(power) > 0.02, power, 0).ravel())
    width = 180 / bins
    shifted = (np.concatenate(angles) + width / 2) % 180
    counts, _ = np.histogram(shifted, bins=bins, range=(0, 180), weights=np.concatenate(weights))
    return counts / counts.sum() if counts.sum() else counts


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


def ramp(degrees, size=40, slope=0.05):
    rows, columns = np.indices((size, size), dtype=np.float64)
    angle = math.radians(degrees)
    return slope * (columns * math.cos(angle) + rows * math.sin(angle))


# The direction histogram


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**31),
    shape=st.tuples(st.integers(2, 20), st.integers(2, 20), st.sampled_from([1, 3])),
    bins=st.sampled_from([2, 4, 36, 90]),
)
def test_histogram_is_numpys(seed, shape, bins, reference_gradient, tensor):
    image = np.random.default_rng(seed).uniform(size=shape)
    got = gradient_direction_histogram(tensor(image, torch.float64), bins)[0].numpy()
    np.testing.assert_allclose(got, slow_histogram(image, bins, reference_gradient), atol=1e-5)


def test_histogram_is_numpys_on_a_photo(photo, reference_gradient, tensor):
    image = photo("coffee", 128, 100, 200)
    got = gradient_direction_histogram(tensor(image, torch.float64))[0].numpy()
    np.testing.assert_allclose(got, slow_histogram(image, 36, reference_gradient), atol=1e-4)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(k=st.integers(0, 35), within=st.floats(-0.4, 0.4))
def test_bin_k_is_centred_on_k_times_180_over_bins(k, within, tensor):
    histogram = gradient_direction_histogram(tensor(ramp((k + within) * 5, size=120)))[0]
    assert int(histogram.argmax()) == k
    assert histogram[k] > 0.85  # the rest lies in the replicated border


def test_opposite_gradients_are_one_direction(tensor):
    rising = tensor(ramp(30))
    torch.testing.assert_close(
        gradient_direction_histogram(-rising), gradient_direction_histogram(rising), rtol=0, atol=1e-6
    )


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), size=st.integers(1, 24))
def test_shares_are_never_negative_and_sum_to_one_or_zero(seed, size):
    x = torch.from_numpy(np.random.default_rng(seed).uniform(size=(3, 2, size, size)))
    histogram = gradient_direction_histogram(x)
    assert histogram.shape == (3, 36)
    assert histogram.min() >= 0
    sums = histogram.sum(1)
    assert bool(((sums - 1).abs().lt(1e-6) | sums.eq(0)).all())


def test_gradients_too_weak_to_have_a_direction_are_not_counted(tensor):
    columns = np.tile(np.arange(40.0), (40, 1))
    assert gradient_direction_histogram(tensor(0.019 * columns)).sum() == 0
    assert gradient_direction_histogram(tensor(0.021 * columns)).sum() == pytest.approx(1)


def test_flips_and_turns_permute_the_bins_and_nothing_else(photo, tensor, symmetries):
    x = tensor(photo("coffee", 128, 100, 200))
    upright = gradient_direction_histogram(x)
    k = torch.arange(36)
    came_from = {
        "left-right": -k,
        "upside-down": -k,
        "half turn": k,
        "transpose": 18 - k,
        "anti-transpose": 18 - k,
        "quarter turn": k + 18,
        "three quarters": k + 18,
    }
    for name, turn in symmetries.items():
        torch.testing.assert_close(
            gradient_direction_histogram(turn(x)), upright[:, came_from[name] % 36], rtol=0, atol=1e-5, msg=name
        )


# Axis excess


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


# Divergence


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), bins=st.sampled_from([4, 36]), blur=st.floats(0.0, 1.0))
def test_divergence_is_scipys_jensen_shannon_squared(seed, bins, blur, tensor):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(size=(16, 20)), ndimage.gaussian_filter(rng.uniform(size=(24, 18)), (blur, 0))
    p = gradient_direction_histogram(tensor(a, torch.float64), bins)[0].numpy()
    q = gradient_direction_histogram(tensor(b, torch.float64), bins)[0].numpy()
    got = float(direction_divergence(tensor(a, torch.float64), tensor(b, torch.float64), bins))
    assert got == pytest.approx(jensenshannon(p, q, base=2) ** 2, abs=1e-9)


def test_divergence_is_symmetric_and_zero_only_for_equal_directions(photo, nearest, tensor):
    sharp, stepped = (tensor(photo("coffee", 128, 100, 200)), tensor(nearest(photo("coffee", 128, 100, 200), 4)))
    assert float(direction_divergence(sharp, sharp)) == pytest.approx(0, abs=1e-6)
    there, back = float(direction_divergence(sharp, stepped)), float(direction_divergence(stepped, sharp))
    assert there == pytest.approx(back, abs=1e-6)
    assert 0.02 < there <= 1


def test_divergence_from_the_original_grows_with_the_nearest_scale(photo, nearest, tensor):
    image = photo()
    scores = [float(direction_divergence(tensor(nearest(image, s)), tensor(image))) for s in (2, 4, 8)]
    assert scores[0] < scores[1] < scores[2]


def test_perpendicular_gradients_have_no_direction_in_common(tensor):
    assert float(direction_divergence(tensor(ramp(0)), tensor(ramp(90)))) == pytest.approx(1)


def test_an_image_without_gradients_is_at_one_from_one_with_and_at_zero_from_another_without(tensor):
    flat, other, edge = tensor(np.full((20, 20), 0.3)), tensor(np.zeros((9, 30))), tensor(ramp(20))
    assert float(direction_divergence(flat, edge)) == 1
    assert float(direction_divergence(edge, flat)) == 1
    assert float(direction_divergence(flat, other)) == 0


def test_divergence_compares_any_sizes_but_only_equally_many_images():
    x = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    assert direction_divergence(x, x[..., :13, :9], reduction="none").shape == (2,)
    with pytest.raises(InputError, match=r"2 images and 1 references"):
        direction_divergence(x, x[:1])
    with pytest.raises(InputError, match=r"\(3, 20, 20\)"):
        direction_divergence(x, x[0])
