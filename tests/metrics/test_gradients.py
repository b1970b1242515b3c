"""Gaussian derivatives against scipy and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from artifactlab.metrics.gradients import gaussian, gradient, separable


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


@settings(max_examples=15, deadline=None, derandomize=True)
@given(degrees=st.floats(-180.0, 180.0))
def test_gradient_points_up_the_slope_at_any_angle(degrees):
    rows, columns = np.indices((40, 40), dtype=np.float64)
    angle = math.radians(degrees)
    ramp = torch.from_numpy(0.1 * (columns * math.cos(angle) + rows * math.sin(angle)))[None, None]
    gy, gx = (part[0, 0, 20, 20].item() for part in gradient(ramp, 0.7))
    assert math.hypot(gy, gx) == pytest.approx(0.1)
    assert math.cos(math.atan2(gy, gx) - angle) == pytest.approx(1)


def test_gradient_turns_with_the_image_by_a_quarter(photo):
    plane = torch.from_numpy(photo("camera", 96, 150, 150))[None, None]
    (gy, gx), (turned_gy, turned_gx) = gradient(plane, 0.7), gradient(plane.rot90(1, (2, 3)), 0.7)
    assert float(gy.abs().max()) > 0.1
    torch.testing.assert_close(turned_gy, -gx.rot90(1, (2, 3)), rtol=0, atol=1e-12)
    torch.testing.assert_close(turned_gx, gy.rot90(1, (2, 3)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (5, 7), (40, 40)])
def test_a_flat_image_of_any_size_has_no_gradient(shape):
    for part in gradient(torch.full((2, 1, *shape), 0.4, dtype=torch.float64), 1.5):
        assert part.shape == (2, 1, *shape)
        assert part.abs().max() < 1e-12
