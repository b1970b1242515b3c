"""Edge jaggedness is the warp of `spectral_images` in pixels: units, reductions and what moves it and what does not."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage

from artifactlab.metrics import edge_jaggedness, edge_jaggedness_map, spectral_images

PROMISED = 0.1
"""pixels: what the docstring promises for smooth resizing, blur, sharpening, noise and natural outlines"""


def rings(size=256, s=1):
    """Anti-aliased concentric rings, edges of every direction; sampled at every s-th pixel, replicated s times."""
    rows, columns = (np.indices((size // s, size // s)) + 0.5) * s
    distance = np.hypot(rows - size / 2, columns - size / 2)
    return np.kron(np.clip(np.abs(distance % 61.3 - 30.65) - 15.3 + 0.5, 0, 1), np.ones((s, s)))


@pytest.mark.parametrize("period", [None, 4, (4, 2)])
def test_it_is_the_warp_of_spectral_images(period, photo, nearest, tensor):
    x = torch.cat([tensor(nearest(photo("coffee", 96, 60, 150), 4)), tensor(photo("coffee", 96, 60, 150))])
    torch.testing.assert_close(edge_jaggedness(x, period, reduction="none"), spectral_images(x, period).warp)


def test_a_batch_reduces_by_mean_or_sum(photo, nearest, tensor):
    image = photo("coins", 128)
    batch = torch.cat([tensor(version) for version in (nearest(image, 4), image, nearest(image, 2))])
    each = edge_jaggedness(batch, 4, reduction="none")
    assert float(each[0]) > float(each[2]) > 0.4 > 0.05 > float(each[1])
    torch.testing.assert_close(edge_jaggedness(batch, 4), each.mean())
    torch.testing.assert_close(edge_jaggedness(batch, 4, reduction="sum"), each.sum())


@pytest.mark.parametrize("s", [2, 4, 8])
def test_replicated_curves_are_jagged_and_anti_aliased_ones_are_not(s, tensor):
    assert float(edge_jaggedness(tensor(rings(s=s)), s)) == pytest.approx(math.sqrt((s**2 - 1) / 12), rel=0.1)
    assert float(edge_jaggedness(tensor(rings()), s)) < 0.02


def test_blurring_stair_steps_never_makes_them_more_jagged(photo, nearest, tensor):
    image = nearest(photo("coffee", 192, 60, 150), 4)
    blurred = torch.cat([tensor(ndimage.gaussian_filter(image, (s, s, 0))) for s in (0, 0.5, 1, 1.5, 2)])
    scores = edge_jaggedness(blurred, 4, reduction="none").tolist()
    assert scores == sorted(scores, reverse=True)
    assert scores[1] > 0.7 * scores[0], "a slight blur does not hide steps of 4 pixels"
    assert scores[2] > 0.2, "nor does one of a pixel"


def test_a_one_hot_mask_that_was_enlarged_is_jagged(tensor):
    rows, columns = np.indices((24, 24))
    labels = np.stack([np.hypot(rows - 11, columns - 12) < r for r in (5, 8)]).astype(float)
    mask = np.stack([labels[0], labels[1] - labels[0], 1 - labels[1]], 2)
    assert float(edge_jaggedness(tensor(np.kron(mask, np.ones((8, 8, 1)))))) > 1.5


# What is not a stair-step

SMOOTH = {
    "bilinear x2": lambda image: cv2.resize(image[::2, ::2], None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR),
    "bicubic x4": lambda image: cv2.resize(image[::4, ::4], None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC),
    "blur": lambda image: cv2.GaussianBlur(image, (0, 0), 1.5),
    "noise": lambda image: image + np.random.default_rng(0).normal(0, 0.05, image.shape),
    "sharpening": lambda image: np.clip(2 * image - cv2.GaussianBlur(image, (0, 0), 1), 0, 1),
    "JPEG": None,
}


@pytest.mark.parametrize("how", SMOOTH)
@pytest.mark.parametrize(("name", "top", "left"), [("coffee", 60, 150), ("astronaut", 0, 100)])
def test_smooth_and_noisy_photos_keep_the_promised_bound(how, name, top, left, photo, jpeg, tensor):
    image = photo(name, 192, top, left)
    changed = jpeg(image, 90) if how == "JPEG" else SMOOTH[how](image)
    assert float(edge_jaggedness(tensor(changed), 4)) < PROMISED


@pytest.mark.parametrize("amplitude", [0.01, 0.03])
def test_a_checkerboard_is_not_jagged(amplitude, photo, board, tensor):
    assert float(edge_jaggedness(tensor(0.5 + amplitude * board((128, 128))))) == 0
    for name, top, left in [("coffee", 60, 150), ("astronaut", 0, 100), ("camera", 40, 140)]:
        image = photo(name, 160, top, left)
        assert float(edge_jaggedness(tensor(image + amplitude * board(image.shape)), 2)) < 0.02, name


def test_a_checkerboard_on_stair_steps_does_not_hide_them(photo, nearest, board, tensor):
    image = nearest(photo("coins", 192), 4)
    alone, marked = (float(edge_jaggedness(tensor(x), 4)) for x in (image, image + 0.05 * board(image.shape)))
    assert marked == pytest.approx(alone, rel=0.1)


# The map; more of it in `test_spectral_repair`


@pytest.mark.parametrize(("bottom", "right"), [(False, False), (False, True), (True, True)])
def test_map_is_hot_in_the_stepped_quadrant_and_cold_elsewhere(bottom, right, tensor):
    image, stepped = rings(), rings(s=4)
    quadrant = (slice(128 * bottom, 128 + 128 * bottom), slice(128 * right, 128 + 128 * right))
    image[quadrant] = stepped[quadrant]
    heat = edge_jaggedness_map(tensor(image), 4)
    assert heat.shape == (1, 1, 256, 256)
    heat, inside = heat[0, 0].numpy(), np.zeros((256, 256), bool)
    inside[quadrant] = True
    outside = ~ndimage.binary_dilation(inside, np.ones((3, 3)), iterations=16)
    assert heat.min() >= 0
    assert (heat[inside] > 0.3).mean() > 0.2
    assert heat[inside].mean() > 2.5 * heat[outside].mean()


@pytest.mark.parametrize("degrees", [20, 30, 60, 110])
def test_map_marks_the_blocks_of_edges_only(degrees, half_plane, tensor):
    image = half_plane(128, degrees, 4)
    heat = edge_jaggedness_map(tensor(image), 4)[0, 0].numpy()
    assert heat.max() > 0.8
    flat = ndimage.maximum_filter(image, 49) == ndimage.minimum_filter(image, 49)
    assert heat[flat].max() == 0


@pytest.mark.parametrize("shape", [(123, 117), (128, 121), (97, 128)])
def test_map_has_the_size_of_the_image_also_where_blocks_do_not_fill_it(shape, half_plane, tensor):
    heat = edge_jaggedness_map(tensor(half_plane(128, 30, 4)[: shape[0], : shape[1]]), 4)
    assert heat.shape == (1, 1, *shape)
    assert float(heat.max()) > 0.3
