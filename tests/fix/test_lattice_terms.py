"""What keeps step with a lattice, against a slow reference and against what must cost something, or nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from artifactlab.fix.lattice_terms import LatticePower, lattice_power

PERIODS = [(2,), (5,), (2, 2), (3, 1), (2, 4), (2, 2, 2), (4, 1, 1)]
every_period = pytest.mark.parametrize("period", PERIODS, ids=str)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def smooth(axes: int = 2, side: int = 64, knots: int = 9) -> Tensor:
    """Content without a lattice."""
    knotted = noise(1, 1, *[knots] * min(axes, 2))
    if axes == 1:
        return F.interpolate(knotted[:, :, None], (1, side), mode="bicubic")[:, :, 0]
    drawn = F.interpolate(knotted, (side, side), mode="bicubic")
    return drawn if axes == 2 else drawn[..., None] * smooth(1, side)


def ramp(sizes: tuple[int, ...]) -> Tensor:
    """A product of one along each axis."""
    drawn = torch.ones((), dtype=torch.float64)
    for axis, size in enumerate(sizes):
        drawn = drawn[..., None] * (0.3 + (axis - 1.5) * torch.linspace(-1, 1, size, dtype=torch.float64))
    return drawn[None, None]


def grid(period: tuple[int, ...], shift: tuple[int, ...], side: int) -> Tensor:
    """One sample of each cell is brighter by one."""
    bright = torch.ones((), dtype=torch.bool)
    for s, p in zip(shift, period, strict=True):
        bright = bright[..., None] & ((torch.arange(side) + s) % p == 0)
    return bright.double()[None, None]


def side_of(period: tuple[int, ...]) -> int:
    """Of an image with at least two windows."""
    return {1: 480, 2: 60, 3: 24}[len(period)]


# --- the reference ---


def slow_trend(means: NDArray[np.float64], y: int, x: int, p: int) -> NDArray[np.float64]:
    """At the pixels of a cell, the polynomial of degree 2 along each axis that has the neighbours' means."""
    pixels = (np.arange(-p, 2 * p) + 0.5) / p - 0.5  # those of three cells, of which the middle one is about 0
    along = np.stack([pixels**k for k in range(3)], 1)
    of_means = along.reshape(3, p, 3).mean(1)
    wanted = means[y - 1 : y + 2, x - 1 : x + 2]
    bends = np.linalg.solve(np.kron(of_means, of_means), wanted.ravel()).reshape(3, 3)
    return along[p : 2 * p] @ bends @ along[p : 2 * p].T


def slow_power(values: NDArray[np.float64], content: NDArray[np.float64], p: int) -> list[float]:
    """By least squares at each phase, of an image of 8x8 cells, which are one window."""
    cells, wanted = (image.reshape(8, p, 8, p) for image in (values, content))
    means, of = (np.pad(image.mean((1, 3)), 1, "reflect", reflect_type="odd") for image in (cells, wanted))
    left = np.array([[cells[y, :, x] - slow_trend(means, y + 1, x + 1, p) for x in range(8)] for y in range(8)])
    down, across = (of[2:, 1:-1] - of[:-2, 1:-1]) / 2, (of[1:-1, 2:] - of[1:-1, :-2]) / 2
    steep = np.hypot(down, across)
    columns = [np.ones((8, 8)), of[1:-1, 1:-1], down * abs(across) / steep, across * abs(down) / steep]
    explained = []
    for count in (1, 2, 4):
        orthonormal, _ = np.linalg.qr(np.stack([column.ravel() for column in columns[:count]], 1))
        sums = orthonormal.T @ left.reshape(64, p * p) / 8  # over the root of 64 cells
        explained.append(((sums - sums.mean(1, keepdims=True)) ** 2).sum(0).mean())
    return list(np.diff(explained, prepend=0))


@pytest.mark.parametrize("p", [2, 3, 4])
def test_it_is_the_least_squares_fit_at_each_phase(p: int) -> None:
    values, content = noise(8 * p, 8 * p), noise(8 * p, 8 * p, seed=1)
    found = lattice_power(values[None, None], content[None, None], (p, p))
    expected = slow_power(values.numpy(), content.numpy(), p)
    assert [float(part) for part in found[:3]] == pytest.approx(expected, rel=0.02)


# --- what must cost nothing ---


@every_period
def test_ramps_cost_nothing(period: tuple[int, ...]) -> None:
    sizes = tuple(side_of(period) + 3 * axis for axis in range(len(period)))
    content = noise(1, 1, *sizes)
    assert lattice_power(ramp(sizes), content, period).explained < 1e-20


def test_blur_costs_next_to_nothing_beside_stairs_of_the_same_error() -> None:
    sharp = smooth()
    blurred = F.avg_pool2d(F.pad(sharp, [4] * 4, mode="reflect"), 9, 1)
    stairs = F.interpolate(F.avg_pool2d(sharp, 4), scale_factor=4.0)
    shares = []
    for output in (blurred, stairs):
        error = output - sharp
        shares.append(float(lattice_power(error, sharp, (4, 4)).explained / error.square().mean()))
    assert shares[0] < 0.02
    assert shares[1] > 0.6


def test_an_image_too_small_for_two_periods_costs_nothing_and_keeps_its_graph() -> None:
    values = noise(2, 3, 7, 30).requires_grad_()
    power = lattice_power(values, values, (4, 4))
    assert [part.tolist() for part in power] == [[0, 0]] * 5
    power.grid.sum().backward()
    assert not values.grad.any()


# --- what must cost something ---


@every_period
def test_a_grid_costs_the_same_wherever_it_starts_and_is_nothing_but_a_grid(period: tuple[int, ...]) -> None:
    cells = int(np.prod(period))
    side = side_of(period)
    content = noise(1, 1, *[side] * len(period))
    for shift in itertools.product(*map(range, period)):
        power = lattice_power(grid(period, shift, side), content, period)
        assert power.grid.item() == pytest.approx((cells - 1) / cells**2, rel=1e-4)
        assert power.modulation + power.steps < 1e-4 * power.grid


@pytest.mark.parametrize("period", [(4,), (2, 2), (4, 4)], ids=str)
def test_a_grid_that_follows_the_content_is_modulation(period: tuple[int, ...]) -> None:
    content = smooth(len(period))
    board = (-1.0) ** torch.stack(torch.meshgrid(*[torch.arange(64.0)] * len(period), indexing="ij")).sum(0)
    content = content - content.mean()
    power = lattice_power(content * board, content, period)
    assert power.modulation / power.explained > 0.5


@pytest.mark.parametrize("p", [2, 4])
def test_replicated_pixels_are_stair_steps(p: int) -> None:
    sharp = smooth()
    error = F.interpolate(F.avg_pool2d(sharp, p), scale_factor=float(p)) - sharp
    power = lattice_power(error, sharp, (p, p))
    assert power.steps / error.square().mean() > 0.6
    assert power.grid + power.modulation < 0.2 * power.steps


def test_it_is_quadratic_in_the_artifacts_height() -> None:
    values, content = noise(2, 2, 40, 40), noise(2, 2, 40, 40, seed=1)
    low, high = (lattice_power(height * values, content, (4, 4)).explained for height in (1, 3))
    torch.testing.assert_close(high, 9 * low)


def test_steps_are_not_told_from_blur_at_edges_along_an_axis() -> None:
    upright = smooth(1).expand(1, 1, 64, 64)
    error = F.avg_pool2d(F.pad(upright, [1] * 4, mode="replicate"), 3, 1) - upright
    assert lattice_power(error, upright, (4, 4)).steps < 1e-9


# --- how it hangs together ---


def test_axes_may_be_swapped() -> None:
    values, content = noise(1, 1, 16, 24, 32), noise(1, 1, 16, 24, 32, seed=1)
    expected = lattice_power(values, content, (2, 3, 4))
    for order in itertools.permutations(range(3)):
        turned = [image.permute(0, 1, *(axis + 2 for axis in order)) for image in (values, content)]
        found = lattice_power(*turned, tuple((2, 3, 4)[axis] for axis in order))
        torch.testing.assert_close(found.grid, expected.grid)
        torch.testing.assert_close(found.modulation, expected.modulation)
        torch.testing.assert_close(found.explained, expected.explained, rtol=1e-6, atol=0)


def test_gradients_are_those_of_finite_differences_and_reach_the_values_alone() -> None:
    values, content = noise(1, 2, 20, 18).requires_grad_(), noise(1, 2, 20, 18, seed=1).requires_grad_()

    def of(x: Tensor) -> LatticePower:
        return lattice_power(x, content, (4, 3))

    assert torch.autograd.gradcheck(lambda x: of(x)[:3], values, fast_mode=True)
    of(values).explained.sum().backward()
    assert content.grad is None


@pytest.mark.parametrize("period", [(4,), (2, 2), (4, 4), (2, 2, 2)], ids=str)
def test_chance_is_about_what_noise_costs(period: tuple[int, ...]) -> None:
    sizes = (24, 3, *[{1: 512, 2: 64, 3: 16}[len(period)]] * len(period))
    values, content = noise(*sizes), noise(*sizes, seed=1)
    power = lattice_power(values, content, period)
    expected = power.explained.mean().item()
    assert power.chance.mean().item() == pytest.approx(expected, rel=0.35)


def test_agreement_is_the_share_of_the_content_that_an_output_has() -> None:
    content = smooth()
    board = (-1.0) ** (torch.arange(64) + torch.arange(64)[:, None])
    outputs = {1.0: content + 0.3 + 0.2 * board, 0.75: content / 2, 0.0: torch.zeros_like(content)}
    for expected, output in outputs.items():
        found = lattice_power(output - content, content, (4, 4)).agreement
        assert found.item() == pytest.approx(expected, abs=0.02)
    other = noise(1, 1, 64, 64, seed=3)
    assert lattice_power(3 * other - content, content, (4, 4)).agreement == 0
