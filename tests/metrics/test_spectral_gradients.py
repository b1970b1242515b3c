"""Sums and readings are differentiable in the image: what a loss needs. Only the blocks' weights are held."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from artifactlab.metrics import relations
from artifactlab.metrics.period_reading import read
from artifactlab.metrics.spectral_sums import spectral_sums


@pytest.fixture
def frozen(monkeypatch):
    """Weights of 1: the only part that is not differentiated."""
    monkeypatch.setattr(relations, "GRAY_LEVEL", 1e12)


def specimen(shape, period, seed=0):
    small = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=[n // period for n in shape]), 1.2)
    steps = np.kron(0.5 + 0.2 * small / small.std(), np.ones((period,) * len(shape)))
    grid = np.random.default_rng(seed).normal(0, 0.02, (period,) * len(shape))
    where = tuple(np.indices(shape) % period)
    return torch.from_numpy(steps + grid[where])[None, None].requires_grad_()


def powers(x, period):
    sums = spectral_sums(x, (period,) * (x.ndim - 2), period)
    return sums.grid.power(), *(one.power() for one in sums.warp)


@pytest.mark.parametrize(("shape", "period"), [((24,), 2), ((24,), 3)], ids=str)
def test_powers_have_the_gradients_of_finite_differences(shape, period, frozen):
    assert torch.autograd.gradcheck(lambda x: powers(x, period), (specimen(shape, period),), atol=1e-6)


@pytest.mark.parametrize("form", ["grid", "modulation", "warp"])
@pytest.mark.parametrize("period", [2, 4])
def test_a_readings_gradient_is_that_of_a_step_along_it(form, period, frozen):
    """In one direction, a symmetric difference."""
    x = specimen((96, 96), period)

    def value(image):
        return getattr(read(spectral_sums(image, (period, period), period)).power, form).sum()

    (gradient,) = torch.autograd.grad(value(x), x)
    assert bool(torch.isfinite(gradient).all())
    way = torch.from_numpy(np.random.default_rng(1).normal(size=x.shape))
    way = way / way.norm() + gradient / gradient.norm()
    step = 1e-5
    with torch.no_grad():
        expected = (value(x + step * way) - value(x - step * way)) / (2 * step)
    assert float((gradient * way).sum()) == pytest.approx(float(expected), rel=1e-3)


@pytest.mark.parametrize("form", ["grid", "warp"])
@pytest.mark.parametrize("period", [2, 4])
def test_a_step_against_the_gradient_lowers_the_reading(form, period):
    """With the weights as they are."""
    x = specimen((96, 96), period)
    power = getattr(read(spectral_sums(x, (period, period), period)).power, form)
    power.sum().backward()
    before = float(power.detach())
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())
    assert float(x.grad.norm()) > 0
    lower = (x - 0.2 * before * x.grad / x.grad.square().sum()).detach()
    after = getattr(read(spectral_sums(lower, (period, period), period)).power, form)
    assert 0 < float(after) < 0.95 * before


def test_a_clean_image_and_a_constant_one_have_finite_gradients():
    for image in (torch.full((1, 1, 64, 64), 0.5), torch.zeros(1, 2, 64, 64), torch.rand(1, 1, 64, 64)):
        x = image.double().requires_grad_()
        sum(power.sum() for power in read(spectral_sums(x, (2, 2), 2)).power).backward()
        assert bool(torch.isfinite(x.grad).all())


def test_what_was_measured_in_inference_mode_before_does_not_stop_gradients():
    """Waves and their phases are kept from one call to the next."""
    x = torch.rand(1, 1, 88, 72, dtype=torch.float64)
    with torch.inference_mode():
        spectral_sums(x, (11, 11), 11)
    y = x.clone().requires_grad_()
    read(spectral_sums(y, (11, 11), 11)).power.grid.sum().backward()
    assert y.grad is not None
    assert bool(y.grad.isfinite().all())
