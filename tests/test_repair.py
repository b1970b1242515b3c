"""The repair removes the lattice and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.repair import remove_lattice, repair
from artifactlab.sites import Growth


def growth(output: Tensor, scale: tuple[int, int], source: Tensor | None = None, nearest: bool = False) -> Growth:
    n, c, h, w = output.shape
    return Growth("x", scale, (n, c, h // scale[0], w // scale[1]), tuple(output.shape), source, output, nearest)


@pytest.mark.parametrize("period", [2, 3, 4, 8])
def test_a_grid_on_a_flat_activation_is_gone_inside_and_at_the_border(period: int) -> None:
    pattern = torch.randn(1, 2, period, period)
    pattern -= pattern.mean((2, 3), keepdim=True)
    board = 0.5 + 0.1 * pattern.repeat(1, 1, 96 // period, 96 // period)
    left = remove_lattice(board, (period, period)) - 0.5
    assert left[..., 3 * period : -3 * period, 3 * period : -3 * period].abs().max() < 2e-3
    assert left.abs().max() < 0.5 * (board - 0.5).abs().max()


def test_constants_pass_unchanged_borders_included() -> None:
    flat = torch.full((1, 3, 20, 26), 0.7)
    assert torch.allclose(remove_lattice(flat, (2, 4)), flat, atol=1e-6)


def test_smooth_content_passes_nearly_unchanged() -> None:
    t = torch.linspace(0, 6.28, 64)
    wave = torch.sin(t)[:, None] * torch.cos(2 * t)[None, :]
    left = remove_lattice(wave[None, None], (2, 2))[0, 0] - wave
    assert left[8:-8, 8:-8].abs().max() < 2e-3


@pytest.mark.parametrize("period", [2, 4])
def test_the_notch_is_a_gaussian_around_each_lattice_frequency(period: int) -> None:
    """Against the filter built in the frequency domain: 1 - sum over lattice frequencies of Gaussians."""
    impulse = torch.zeros(1, 1, 96, 96)
    impulse[..., 48, 48] = 1
    response = np.fft.fft2(np.fft.ifftshift(remove_lattice(impulse, (period, period))[0, 0].numpy()))
    f = np.fft.fftfreq(96)
    sigma = 1 / (2 * np.pi * period)
    expected = np.ones((96, 96))
    for i in range(period):
        for j in range(period):
            if (i, j) != (0, 0):
                dy, dx = ((f - k / period + 0.5) % 1 - 0.5 for k in (i, j))
                expected -= np.exp(-(dy[:, None] ** 2 + dx[None, :] ** 2) / (2 * sigma**2))
    assert np.abs(response.real - expected).max() < 0.03
    assert np.abs(response.imag).max() < 1e-6


def test_nearest_is_swapped_for_bilinear_of_the_same_input() -> None:
    source = torch.rand(1, 3, 12, 10)
    nearest = F.interpolate(source, scale_factor=2)
    bilinear = F.interpolate(source, scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.equal(repair(growth(nearest, (2, 2), source, nearest=True)), bilinear)


def test_hand_made_replication_is_recognised_by_its_constant_blocks() -> None:
    source = torch.rand(1, 3, 12, 10)
    replicated = source.repeat_interleave(3, 2).repeat_interleave(3, 3)
    bilinear = F.interpolate(source, scale_factor=3, mode="bilinear", align_corners=False)
    assert torch.allclose(repair(growth(replicated, (3, 3))), bilinear)


def test_the_input_is_not_written_to_and_the_dtype_stays() -> None:
    board = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.bfloat16).repeat(8, 8)[None, None]
    before = board.clone()
    assert repair(growth(board, (2, 2))).dtype == torch.bfloat16
    assert torch.equal(board, before)


def test_a_scale_that_is_no_integer_has_no_lattice_to_remove() -> None:
    output = torch.rand(1, 1, 30, 30)
    assert torch.equal(repair(Growth("x", (1.5, 1.5), (1, 1, 20, 20), (1, 1, 30, 30), None, output)), output)
