"""What is not a stair-step: photos, text, noise, and what resizing, JPEG and grids make of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from artifactlab.metrics import edge_jaggedness

PROMISED = 0.1
"""pixels: what the docstring promises for smooth resizing, blur, JPEG, sharpening, noise and natural outlines"""


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "camera", "coins", "grass"])
def test_natural_photos_are_not_jagged(name, photo, tensor):
    assert float(edge_jaggedness(tensor(photo(name, 256)))) < PROMISED


def test_most_natural_photos_read_exactly_zero(photo, tensor):
    names = ["astronaut", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "immunohistochemistry", "rocket"]
    scores = {name: float(edge_jaggedness(tensor(photo(name, 256)))) for name in names}
    assert sum(score == 0 for score in scores.values()) > len(names) / 2, scores


@pytest.mark.parametrize("name", ["text", "page", "brick"])
def test_pages_of_text_and_bricks_are_not_jagged(name, photo, tensor):
    assert float(edge_jaggedness(tensor(photo(name, None)))) < PROMISED


def test_noise_is_not_jagged(photo, tensor):
    generator = torch.Generator().manual_seed(0)
    assert float(edge_jaggedness(torch.rand(2, 3, 128, 128, generator=generator), reduction="none").max()) < PROMISED
    for name in ("coffee", "astronaut", "camera"):
        image = photo(name, 200, 40, 150)
        x = tensor(image)
        for sigma in (0.02, 0.05):
            noisy = x + sigma * torch.randn(x.shape, generator=generator)
            assert float(edge_jaggedness(noisy)) < PROMISED, (name, sigma)


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
        assert float(edge_jaggedness(tensor(smoothed(image, how, shrink, jpeg)))) < PROMISED, name


@pytest.mark.parametrize("how", ["blur 1", "blur 2", "bilinear x2", "bilinear x4", "bicubic x4", "JPEG 30"])
def test_bricks_with_rounded_corners_are_not_jagged(how, photo, shrink, jpeg, tensor):
    """Bricks are the hard case: their outlines are nearly, not quite, axis-parallel and bend onto the axes."""
    assert float(edge_jaggedness(tensor(smoothed(photo("brick", None), how, shrink, jpeg)))) < PROMISED


@pytest.mark.parametrize("how", ["bicubic x2", "JPEG 30"])
def test_blur_jpeg_and_smooth_resizing_of_fur_are_not_jagged(how, photo, shrink, jpeg, tensor):
    assert float(edge_jaggedness(tensor(smoothed(photo("chelsea", None), how, shrink, jpeg)))) < PROMISED


@pytest.mark.parametrize("amplitude", [0.01, 0.03])
def test_a_checkerboard_is_not_jagged(amplitude, photo, board, tensor):
    assert float(edge_jaggedness(tensor(0.5 + amplitude * board((128, 128))))) == 0
    for name, top, left in [("coffee", 60, 150), ("astronaut", 0, 100), ("camera", 40, 140)]:
        image = photo(name, 200, top, left)
        assert float(edge_jaggedness(tensor(image + amplitude * board(image.shape)))) < PROMISED, name


@pytest.mark.parametrize("cell", [2, 4, 16, 40])
def test_a_coarse_chessboard_is_not_jagged(cell, tensor):
    rows, columns = np.indices((160, 160)) // cell
    assert float(edge_jaggedness(tensor(((rows + columns) % 2).astype(float)))) == 0


@pytest.mark.parametrize(("name", "top", "left"), [("coffee", 60, 150), ("astronaut", 0, 100), ("coins", 0, 0)])
def test_a_checkerboard_moves_jaggedness_by_less_than_a_tenth_of_what_nearest_x4_does(
    name, top, left, photo, nearest, board, tensor
):
    image = photo(name, 256, top, left)
    clean, stepped, marked = (
        float(edge_jaggedness(tensor(version)))
        for version in (image, nearest(image, 4), image + 0.05 * board(image.shape))
    )
    assert stepped - clean > 0.4
    assert abs(marked - clean) < 0.1 * (stepped - clean)


def test_a_checkerboard_on_stair_steps_does_not_hide_them(photo, nearest, board, tensor):
    image = nearest(photo("coins", 256), 4)
    assert float(edge_jaggedness(tensor(image + 0.05 * board(image.shape)))) > 0.4


def test_colour_channels_are_no_independent_evidence(photo, tensor):
    """The same fur wanders in all of them, so together they say no more than the one that says most."""
    image = photo("chelsea", 256)
    together = float(edge_jaggedness(tensor(image)))
    each = [float(edge_jaggedness(tensor(image[..., c]))) for c in range(3)]
    assert together <= max(each)
    assert together < PROMISED / 2
