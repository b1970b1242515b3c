"""Gaussian derivatives and the structure tensor, against scipy, scikit-image and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.feature import structure_tensor, structure_tensor_eigenvalues

from artifactlab.metrics.gradients import gaussian, gradient, orientation, separable


def grating(degrees, size=64, wavelength=12.0):
    """A sine wave whose normal points at `degrees` (0 is right, 90 is down)."""
    rows, columns = np.indices((size, size), dtype=np.float64)
    angle = math.radians(degrees)
    return 0.5 + 0.5 * np.sin(2 * math.pi / wavelength * (columns * math.cos(angle) + rows * math.sin(angle)))


def angle_between(a, b):
    """Difference of two directions modulo pi, in degrees."""
    return np.degrees(np.abs((np.asarray(a) - np.asarray(b) + math.pi / 2) % math.pi - math.pi / 2))


@pytest.mark.parametrize("sigma", [0.7, 1.5, 3.0])
def test_gaussian_is_scipys_and_sums_to_one(sigma):
    impulse = np.zeros(41)
    impulse[20] = 1
    kernel = gaussian(sigma, torch.zeros(1, dtype=torch.float64)).numpy()
    radius = len(kernel) // 2
    assert len(kernel) % 2 == 1
    assert kernel.sum() == pytest.approx(1, abs=1e-12)
    expected = ndimage.gaussian_filter1d(impulse, sigma)[20 - radius : 21 + radius]
    np.testing.assert_allclose(kernel, expected, atol=0.005 * kernel.max())


@pytest.mark.parametrize("sigma", [0.7, 1.5, 3.0])
def test_derivative_kernel_measures_a_unit_ramp_as_one_and_a_constant_as_zero(sigma):
    kernel = gaussian(sigma, torch.zeros(1, dtype=torch.float64), derivative=True).numpy()
    offsets = np.arange(len(kernel)) - len(kernel) // 2
    assert kernel.sum() == pytest.approx(0, abs=1e-12)
    assert kernel @ offsets == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(kernel, -kernel[::-1], atol=1e-15)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), height=st.integers(1, 12), width=st.integers(1, 12))
def test_separable_correlates_rows_and_columns_like_scipy(seed, height, width):
    rng = np.random.default_rng(seed)
    plane, vertical, horizontal = rng.normal(size=(height, width)), rng.normal(size=5), rng.normal(size=3)
    expected = ndimage.correlate1d(plane, vertical, axis=0, mode="nearest")
    expected = ndimage.correlate1d(expected, horizontal, axis=1, mode="nearest")
    got = separable(torch.from_numpy(plane)[None, None], torch.from_numpy(vertical), torch.from_numpy(horizontal))
    np.testing.assert_allclose(got[0, 0].numpy(), expected, atol=1e-12)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), sigma=st.sampled_from([0.7, 1.5]))
def test_gradient_agrees_with_scipys_gaussian_derivative(seed, sigma, reference_gradient):
    plane = np.random.default_rng(seed).uniform(size=(23, 31))
    for got, expected in zip(
        gradient(torch.from_numpy(plane)[None, None], sigma), reference_gradient(plane, sigma), strict=True
    ):
        np.testing.assert_allclose(got[0, 0].numpy(), expected, atol=0.01 * np.abs(expected).max())


def test_gradient_of_a_sine_wave_is_damped_as_the_closed_form_says():
    size, sigma, omega = 96, 1.5, 2 * math.pi / 16
    columns = np.arange(size)
    plane = torch.from_numpy(np.tile(np.sin(omega * columns), (size, 1)))[None, None]
    gy, gx = gradient(plane, sigma)
    expected = omega * math.exp(-((sigma * omega) ** 2) / 2) * np.cos(omega * columns)
    np.testing.assert_allclose(gx[0, 0, size // 2, 8:-8].numpy(), expected[8:-8], atol=0.01 * omega)
    assert gy.abs().max() < 1e-12


def test_gradient_of_a_ramp_is_its_slope_away_from_the_border():
    rows, columns = np.indices((30, 40), dtype=np.float64)
    gy, gx = gradient(torch.from_numpy(0.25 * rows - 0.5 * columns)[None, None], 1.5)
    np.testing.assert_allclose(gy[0, 0, 6:-6, 6:-6].numpy(), 0.25, atol=1e-12)
    np.testing.assert_allclose(gx[0, 0, 6:-6, 6:-6].numpy(), -0.5, atol=1e-12)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(degrees=st.floats(-89.0, 89.0))
def test_a_grating_at_any_angle_has_its_own_normal_and_is_coherent(degrees):
    field = orientation(torch.from_numpy(grating(degrees))[None, None], 1.5, 3.0)
    inner = (0, 0, slice(16, -16), slice(16, -16))
    assert angle_between(field.normal[inner].numpy(), math.radians(degrees)).max() < 0.5
    assert field.coherence[inner].min() > 0.98


def test_orientation_agrees_with_scikit_image_on_a_photo(photo):
    """scikit-image differentiates with a 3 x 3 Sobel filter, itself a blur of variance about 0.4."""
    plane = photo("camera", 256, 100, 100)
    field = orientation(torch.from_numpy(plane)[None, None], 1.5, 3.0)
    rr, rc, cc = structure_tensor(
        ndimage.gaussian_filter(plane, math.sqrt(1.5**2 - 0.4)), sigma=3.0, mode="nearest", order="rc"
    )
    large, small = structure_tensor_eigenvalues([rr, rc, cc])
    coherence = (large - small) / (large + small)
    inner = np.zeros(plane.shape, bool)
    inner[16:-16, 16:-16] = True
    strong = inner & (coherence > 0.5) & (large > 0.01 * large.max())
    assert strong.sum() > 5000
    error = angle_between(field.normal[0, 0].numpy()[strong], 0.5 * np.arctan2(2 * rc, cc - rr)[strong])
    assert np.median(error) < 0.25
    assert np.quantile(error, 0.99) < 1.5
    difference = np.abs(field.coherence[0, 0].numpy() - coherence)[inner & (large > 0.01 * large.max())]
    assert np.quantile(difference, 0.99) < 0.04


def test_magnitude_is_the_length_of_the_gradient(photo, reference_gradient):
    plane = photo("camera", 96, 150, 150)
    expected = np.hypot(*reference_gradient(plane, 1.5))
    got = orientation(torch.from_numpy(plane)[None, None], 1.5, 3.0).magnitude[0, 0].numpy()
    np.testing.assert_allclose(got, expected, atol=0.01 * expected.max())


def test_normals_turn_with_the_image_by_a_quarter(photo):
    plane = torch.from_numpy(photo("camera", 96, 150, 150))[None, None]
    upright, turned = orientation(plane, 1.5, 3.0), orientation(plane.rot90(1, (2, 3)), 1.5, 3.0)
    coherent = upright.coherence.rot90(1, (2, 3)) > 0.3
    expected = (upright.normal - math.pi / 2).rot90(1, (2, 3))
    assert angle_between(turned.normal[coherent].numpy(), expected[coherent].numpy()).max() < 1e-6
    torch.testing.assert_close(turned.coherence, upright.coherence.rot90(1, (2, 3)), rtol=0, atol=1e-9)
    torch.testing.assert_close(turned.magnitude, upright.magnitude.rot90(1, (2, 3)), rtol=0, atol=1e-12)


def test_noise_has_no_single_direction():
    noise = torch.rand(1, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    assert orientation(noise, 1.5, 8.0).coherence.mean() < 0.35


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (5, 7), (40, 40)])
def test_a_flat_image_of_any_size_has_no_gradient_and_no_direction(shape):
    field = orientation(torch.full((2, 1, *shape), 0.4, dtype=torch.float64), 1.5, 3.0)
    assert field.magnitude.shape == (2, 1, *shape)
    assert field.magnitude.max() < 1e-12
    assert all(bool(torch.isfinite(part).all()) for part in field)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 40)])
def test_an_all_black_image_is_not_coherent(shape):
    field = orientation(torch.zeros(1, 1, *shape), 1.5, 3.0)
    assert float(field.coherence.max()) == 0
    assert float(field.magnitude.max()) == 0
