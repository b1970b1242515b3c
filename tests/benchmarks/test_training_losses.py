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


def test_one_scale_of_ms_ssim_is_skimages_ssim(pair):
    expected, full = structural_similarity(
        *pair, data_range=1.0, gaussian_weights=True, use_sample_covariance=False, full=True
    )
    luminance, structure = training_losses.similarity(*(torch.from_numpy(image)[None, None].float() for image in pair))
    assert float((luminance * structure).mean()) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-5)
    assert 0 < expected < 1


def test_ms_ssim_multiplies_scales_and_takes_luminance_from_the_coarsest(pair):
    output, target = (torch.from_numpy(image)[None, None].float() for image in pair)
    coarse, wanted = (torch.nn.functional.avg_pool2d(image, 2) for image in (output, target))
    structure = training_losses.similarity(output, target)[1].mean()
    luminance, last = training_losses.similarity(coarse, wanted)
    exponents = np.array([0.0448, 0.2856]) / 0.3304
    expected = 1 - float(structure) ** exponents[0] * float((luminance * last).mean()) ** exponents[1]
    assert float(training_losses.one_minus_ms_ssim(output, target)) == pytest.approx(expected, abs=1e-5)


def test_charbonnier_is_the_root_of_square_and_small_square():
    output, target = np.zeros((4, 4)), np.full((4, 4), 3e-3)
    assert on_tensors(training_losses.charbonnier, output, target) == pytest.approx(10**0.5 * 1e-3, rel=1e-5)


def test_sobel_edge_tells_a_turned_gradient_from_its_own():
    """Slopes of 1/16 per pixel along the two axes: the vectors, two pixels wide, differ by 1/8 in each component."""
    ramp = np.arange(16.0)[None] / 16 + np.zeros((16, 1))
    inner = training_losses.sobel(torch.from_numpy(ramp - ramp.T)[None, None].float())
    assert torch.allclose(inner[0][..., 1:-1, 1:-1], torch.tensor(-1 / 8))
    assert torch.allclose(inner[1][..., 1:-1, 1:-1], torch.tensor(1 / 8))
    square = sum(ndimage.sobel(ramp - ramp.T, axis, mode="constant") ** 2 for axis in (0, 1)) / 16
    assert on_tensors(training_losses.sobel_edge, ramp, ramp.T) == pytest.approx(square.mean() / 2, rel=1e-5)


def test_gradient_variance_compares_patches(pair):
    def variances(image, axis):
        gradient = ndimage.sobel(image, axis, mode="constant")[:24, :24]
        return gradient.reshape(3, 8, 3, 8).var((1, 3), ddof=1)

    expected = sum(np.square(variances(pair[0], axis) - variances(pair[1], axis)).mean() for axis in (0, 1))
    assert on_tensors(training_losses.gradient_variance, *pair) == pytest.approx(expected, rel=1e-4)


def test_locally_discriminative_weighs_a_residual_by_its_variance_around(pair):
    residual = np.abs(pair[0] - pair[1])
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(residual, 3, mode="reflect"), (7, 7))
    weight = residual.var(ddof=1) ** 0.2 * windows.var((2, 3), ddof=1)
    expected = (weight * residual).mean()
    assert on_tensors(training_losses.local_discriminative, *pair) == pytest.approx(expected, rel=1e-4)


def test_the_wavelets_low_pass_keeps_a_constant_and_the_others_lose_it():
    output, target = np.full((16, 16), 0.75), np.full((16, 16), 0.5)
    assert on_tensors(training_losses.wavelet, output, target) == pytest.approx(0.25, abs=1e-5)


def test_the_wavelets_bands_hold_what_the_impulse_had():
    """Of an impulse every band is the outer product of two filters, whose absolute values are what is averaged."""
    impulse = np.zeros((16, 16))
    impulse[3, 11] = 1
    low, high = np.array(training_losses.SYMLET) / 2**0.5, np.array(training_losses.SYMLET)
    sums = np.abs(low).sum() + np.abs(high).sum()
    assert on_tensors(training_losses.wavelet, impulse, 0 * impulse) == pytest.approx(sums**2 / 256, rel=1e-5)
    assert np.square(high).sum() == pytest.approx(1)
    assert all(abs(np.dot(high[k:], high[: len(high) - k])) < 1e-6 for k in (2, 4, 6))  # orthogonal to its own shifts


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
        training_losses.charbonnier,
        training_losses.mprnet_edge,
        training_losses.gradient_magnitude,
        training_losses.sobel_edge,
        training_losses.gradient_variance,
        training_losses.focal_frequency,
        training_losses.one_minus_ms_ssim,
        training_losses.local_discriminative,
        training_losses.wavelet,
    ],
)
def test_gradients_are_finite_where_output_is_target(loss):
    target = torch.full((1, 1, 16, 16), 0.5)
    output = target.clone().requires_grad_()
    loss(output, target).backward()
    assert output.grad.isfinite().all()
