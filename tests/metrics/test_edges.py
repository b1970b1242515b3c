"""Edge points against known geometry and scikit-image's structure tensor."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.feature import structure_tensor
from skimage.transform import downscale_local_mean

from artifactlab.metrics.edges import CELL, edge_points

LEVELS = [0, 1]
SAMPLED = {0: 2, 1: 4}
"""pixels between the places an edge point can have; the steepest lies within that of the line"""


def signed_distance(size, degrees, offset):
    """Of each pixel to the line through (almost) the centre at `degrees`; its normal is at `degrees` + 90."""
    rows, columns = np.indices((size, size)) - (size - 1) / 2
    return rows * math.cos(math.radians(degrees)) - columns * math.sin(math.radians(degrees)) + offset


def anti_aliased(size, degrees, offset=0.3):
    return np.clip(signed_distance(size, degrees, offset) + 0.5, 0, 1)


def find(image, level):
    return edge_points(torch.from_numpy(image).float()[None], level)


def angle_between(a, b):
    """Difference of two directions modulo 180 degrees."""
    return np.abs((np.asarray(a) - np.asarray(b) + 90) % 180 - 90)


def cells_of(points):
    return list(zip((points.row // CELL).int().tolist(), (points.column // CELL).int().tolist(), strict=True))


oblique = st.one_of(*(st.floats(low + 12, low + 78) for low in (0.0, 90.0)))


# Where edges are


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(degrees=oblique, offset=st.floats(-20.0, 20.0), contrast=st.floats(0.2, 1.0), falling=st.booleans())
def test_points_lie_on_an_anti_aliased_line_and_know_its_normal(level, degrees, offset, contrast, falling):
    image = contrast * anti_aliased(160, degrees, offset)
    points = find(-image if falling else image, level)
    assert len(points.row) >= 10
    rows, columns = (t.numpy() - 159 / 2 for t in (points.row, points.column))
    angle = math.radians(degrees)
    assert np.abs(rows * math.cos(angle) - columns * math.sin(angle) + offset).max() < SAMPLED[level]
    away_from_the_border = np.maximum(np.abs(rows), np.abs(columns)) < 160 / 2 - 2 * CELL
    normals = np.degrees(points.normal.numpy())[away_from_the_border]
    assert angle_between(normals, degrees + 90).max() < 3
    assert float(points.normal.abs().max()) <= math.pi / 2 + 1e-6


@pytest.mark.parametrize(("name", "top", "left"), [("camera", 60, 120), ("coffee", 60, 150), ("coins", 0, 0)])
@pytest.mark.parametrize("level", LEVELS)
def test_normals_on_photos_are_the_eigenvectors_of_a_slow_structure_tensor(level, name, top, left, photo):
    """numpy's differences of scikit-image's block means under scipy's Gaussian, summed over cells; numpy's eigh."""
    image = photo(name, 256, top, left)
    plane = image if image.ndim == 2 else image[..., 1]
    small = ndimage.gaussian_filter(downscale_local_mean(plane, (SAMPLED[level],) * 2), 1.0)
    gy, gx = np.gradient(small)
    block = (CELL // SAMPLED[level],) * 2
    cells = [downscale_local_mean(product, block) for product in (gy * gy, gy * gx, gx * gx)]
    window = np.outer([1, 2, 1], [1, 2, 1]) / 16
    rr, rc, cc = (ndimage.correlate(cell, window, mode="nearest") for cell in cells)
    values, vectors = np.linalg.eigh(np.stack([np.stack([rr, rc], -1), np.stack([rc, cc], -1)], -2))
    expected = np.degrees(np.arctan2(vectors[..., 0, 1], vectors[..., 1, 1]))
    coherence = (values[..., 1] - values[..., 0]) / values.sum(-1)
    inner = find(plane, level).within(24, 232, 24, 232)
    assert len(inner.row) > 20
    at = tuple(np.array(cells_of(inner)).T)
    error = angle_between(np.degrees(inner.normal.numpy()), expected[at])
    assert np.median(error) < 0.5
    assert error.max() < 1.5
    assert coherence[at].min() > 0.69


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("degrees", [15, 33, 52, 108, 160])
def test_normals_of_soft_edges_are_those_of_scikit_images_structure_tensor(level, degrees):
    image = ndimage.gaussian_filter(anti_aliased(160, degrees), 2)
    rr, rc, cc = structure_tensor(image, sigma=4, mode="nearest", order="rc")
    expected = np.degrees(np.arctan2(2 * rc, cc - rr) / 2)
    inner = find(image, level).within(24, 136, 24, 136)
    assert len(inner.row) >= 10
    at = tuple(t.round().long().numpy() for t in (inner.row, inner.column))
    assert angle_between(np.degrees(inner.normal.numpy()), expected[at]).max() < 2


@pytest.mark.parametrize("level", LEVELS)
def test_points_of_a_stair_stepped_line_know_the_normal_of_its_smooth_path(level):
    stairs = np.kron(signed_distance(40, 30, 0.3) > 0, np.ones((4, 4)))
    points = find(stairs, level).within(24, 136, 24, 136)
    assert len(points.row) >= 8
    assert angle_between(np.degrees(points.normal.numpy()), 120).max() < 8
    assert angle_between(np.degrees(points.normal.numpy()).mean(), 120) < 1.5


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(degrees=oblique.filter(lambda a: abs(a % 90 - 45) > 3), offset=st.floats(-20.0, 20.0))
def test_a_line_has_one_point_in_each_row_or_column_of_cells_it_crosses(level, degrees, offset):
    """Where it runs more along the rows, one per column of cells; cells it ends in may see too little of it.

    On the diagonal, to within the error of its normal, rows and columns may each claim it; and where it passes from one
    cell into the next, seldom both may (one line in thirty has such a place, of 1470 random ones).
    """
    points = find(anti_aliased(160, degrees, offset), level)
    shallow = abs(math.cos(math.radians(degrees))) > abs(math.sin(math.radians(degrees)))
    crossed = points.column if shallow else points.row
    counts = Counter((crossed // CELL).int().tolist())
    assert max(counts.values()) <= 2
    assert sum(counts.values()) - len(counts) <= 2
    assert set(counts) == set(range(min(counts), max(counts) + 1))
    t = np.arange(160) - 159 / 2
    slope = math.tan(math.radians(degrees))
    other = t * slope - offset / math.cos(math.radians(degrees)) if shallow else t / slope
    if not shallow:
        other = other + offset / math.sin(math.radians(degrees))
    in_view = np.flatnonzero(np.abs(other) < 160 / 2 - 2 * CELL) // CELL
    assert set(in_view.tolist()) - {0, 19} <= set(counts)


@pytest.mark.parametrize("level", LEVELS)
def test_nearly_every_line_has_exactly_one_point_in_each_row_or_column_of_cells(level):
    rng = np.random.default_rng(0)
    lines = [
        (d, o) for d, o in zip(rng.uniform(12, 78, 200), rng.uniform(-20, 20, 200), strict=True) if abs(d - 45) > 3
    ]
    exact = 0
    for degrees, offset in lines:
        points = find(anti_aliased(160, degrees, offset), level)
        crossed = points.column if degrees < 45 else points.row
        exact += set(Counter((crossed // CELL).int().tolist()).values()) == {1}
    assert exact >= 0.95 * len(lines)


@pytest.mark.parametrize("level", LEVELS)
def test_no_cell_holds_two_points(level, photo):
    for name in ("coffee", "grass", "brick"):
        image = photo(name, 256)
        cells = cells_of(find(image if image.ndim == 2 else image[..., 1], level))
        assert len(cells) > 3
        assert len(set(cells)) == len(cells), name


def test_two_edges_a_few_cells_apart_have_points_of_their_own():
    distance = signed_distance(160, 60, 0.0)
    bar = np.clip(distance + 16 + 0.5, 0, 1) * np.clip(16 - distance + 0.5, 0, 1)
    points = find(bar, 0)
    rows, columns = (t.numpy() - 159 / 2 for t in (points.row, points.column))
    side = rows * 0.5 - columns * math.sqrt(0.75)
    assert np.abs(np.abs(side) - 16).max() < SAMPLED[0]
    assert min((side > 0).sum(), (side < 0).sum()) >= 17


def test_planes_are_looked_at_one_by_one():
    planes = np.stack([anti_aliased(96, 30), np.full((96, 96), 0.5), anti_aliased(96, 110)])
    together = edge_points(torch.from_numpy(planes).float())
    assert set(together.plane.tolist()) == {0, 2}
    for index in (0, 2):
        alone, part = find(planes[index], 0), together.only(together.plane == index)
        for field in ("row", "column", "normal"):
            torch.testing.assert_close(getattr(part, field), getattr(alone, field), rtol=0, atol=0)


@pytest.mark.parametrize("level", LEVELS)
def test_a_tile_has_the_points_of_the_whole_image(level, photo):
    """Everything is local: away from the borders a tile that starts at a multiple of a cell shows the same points."""
    planes = torch.from_numpy(photo("coffee", 256, 60, 150).transpose(2, 0, 1).copy()).float()
    whole = edge_points(planes, level).within(96, 160, 80, 176)
    tile = edge_points(planes[:, 64:192, 48:208], level).within(32, 96, 32, 128)
    assert len(whole.row) > 20
    torch.testing.assert_close(tile.plane, whole.plane)
    torch.testing.assert_close(tile.row + 64, whole.row, rtol=0, atol=0)
    torch.testing.assert_close(tile.column + 48, whole.column, rtol=0, atol=0)
    torch.testing.assert_close(tile.normal, whole.normal, rtol=0, atol=1e-5)


# Where none are


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("degrees", [0, 3, 7, 83, 87, 90, 93, 97, 173, 177])
def test_edges_within_ten_degrees_of_an_axis_have_no_point(level, degrees):
    assert len(find(anti_aliased(160, degrees), level).row) == 0


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("degrees", [13, 45, 77, 103, 135, 167])
def test_edges_more_than_ten_degrees_from_both_axes_have_points(level, degrees):
    assert len(find(anti_aliased(160, degrees), level).row) >= 15


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("at", [76, 77, 79, 80, 83])
def test_axis_parallel_corners_have_no_point(level, at):
    image = np.zeros((160, 160))
    image[at:, at:] = 1
    assert len(find(image, level).row) == 0
    image[:at, :at] = 1  # a saddle
    assert len(find(image, level).row) == 0


@pytest.mark.parametrize("level", LEVELS)
def test_flats_gentle_slopes_and_faint_edges_have_no_point(level):
    assert len(find(np.full((96, 96), 0.7), level).row) == 0
    rows, columns = np.indices((96, 96))
    assert len(find(0.004 * (rows + columns), level).row) == 0
    assert len(find(0.05 * anti_aliased(96, 30), level).row) == 0
    assert len(find(0.12 * anti_aliased(96, 30), level).row) > 5, "a little stronger it has"


@pytest.mark.parametrize("level", LEVELS)
def test_noise_has_no_point(level):
    rng = np.random.default_rng(0)
    for _ in range(4):
        assert len(find(0.5 + rng.normal(0, 0.05, (256, 256)), level).row) == 0


def test_noise_over_the_whole_range_has_hardly_a_point():
    """Averages of 4 x 4 pixels of it still vary by 7%, so some cells look like edges by chance; of 2 x 2, none."""
    planes = torch.from_numpy(np.random.default_rng(0).uniform(size=(4, 256, 256))).float()
    cells = 4 * (256 // CELL) ** 2
    assert len(edge_points(planes, 0).row) == 0
    assert len(edge_points(planes, 1).row) < 0.02 * cells


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("period", [2, 4, 8])
def test_checkerboards_have_no_point(level, period):
    rows, columns = np.indices((128, 128)) // (period // 2)
    assert len(find(((rows + columns) % 2).astype(float), level).row) == 0


@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (7, 60), (60, 7), (8, 8), (9, 11), (15, 200)])
def test_images_of_any_size_have_points_inside_only(shape):
    rows, columns = np.indices(shape)
    image = np.clip(0.5 + 0.5 * (columns - shape[1] / 2) + 0.3 * (rows - shape[0] / 2), 0, 1)
    for level in LEVELS:
        points = find(image, level)
        inside = points.within(0, shape[0], 0, shape[1])
        assert len(inside.row) == len(points.row) == len(points.normal)
        if min(shape) < CELL:
            assert len(points.row) == 0
