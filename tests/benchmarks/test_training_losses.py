"""The losses that the edge-aware loss is compared with, against slow references of their formulas."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.metrics import structural_similarity

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "training_losses.py"
spec = importlib.util.spec_from_file_location("training_losses", FILE)
training_losses = importlib.util.module_from_spec(spec)
spec.loader.exec_module(training_losses)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    output, target = (ndimage.gaussian_filter(rng.uniform(size=(26, 30)), 1) for _ in range(2))
    return output, target


def on_tensors(loss, output, target):
    return float(loss(torch.from_numpy(output)[None, None].float(), torch.from_numpy(target)[None, None].float()))


def test_ssim_is_skimages(pair):
    expected, full = structural_similarity(
        *pair, data_range=1.0, gaussian_weights=True, use_sample_covariance=False, full=True
    )
    assert on_tensors(training_losses.one_minus_ssim, *pair) == pytest.approx(1 - full[5:-5, 5:-5].mean(), abs=1e-5)
    assert 0 < expected < 1


def test_gradient_magnitude_is_that_of_central_differences(pair):
    def magnitude(image):
        rows, columns = (ndimage.correlate1d(image, [-1, 0, 1], axis=axis, mode="constant") for axis in (0, 1))
        return np.sqrt(rows**2 + columns**2 + training_losses.SMALL)

    expected = np.abs(magnitude(pair[0]) - magnitude(pair[1])).mean()
    assert on_tensors(training_losses.gradient_magnitude, *pair) == pytest.approx(expected, rel=1e-5)


def test_mprnets_laplacian_is_what_a_pyramid_level_leaves_over(pair):
    def blurred(image):
        for axis in (0, 1):
            image = ndimage.correlate1d(image, training_losses.PYRAMID, axis=axis, mode="nearest")
        return image

    def laplacian(image):
        kept = np.zeros_like(image)
        kept[::2, ::2] = 4 * blurred(image)[::2, ::2]
        return image - blurred(kept)

    difference = laplacian(pair[0]) - laplacian(pair[1])
    expected = np.sqrt(difference**2 + training_losses.CHARBONNIER**2).mean()
    assert on_tensors(training_losses.mprnet_edge, *pair) == pytest.approx(expected, rel=1e-5)


def test_focal_frequency_weights_each_frequency_by_its_own_distance(pair):
    distance = np.abs(np.fft.fft2(pair[0] - pair[1], norm="ortho"))
    expected = (distance / distance.max() * distance**2).mean()
    assert on_tensors(training_losses.focal_frequency, *pair) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "loss",
    [
        training_losses.one_minus_ssim,
        training_losses.gradient_magnitude,
        training_losses.mprnet_edge,
        training_losses.focal_frequency,
    ],
)
def test_gradients_are_finite_where_output_is_target(loss):
    target = torch.full((1, 1, 16, 16), 0.5)
    output = target.clone().requires_grad_()
    loss(output, target).backward()
    assert output.grad.isfinite().all()
