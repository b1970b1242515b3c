"""The share of an activation's variance that keeps step with a lattice, against a slow reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from artifactlab.fix.site_penalty import lattice_share


def slow_share(activation: np.ndarray, period: tuple[int, int]) -> float:
    """Of an activation whose grid is the same everywhere, and without slopes."""
    shares = []
    for image in activation:
        cells = [
            image[:, i :: period[0], j :: period[1]].mean((1, 2)) for i in range(period[0]) for j in range(period[1])
        ]
        shares.append(np.var(cells, 0).mean() / image.var((1, 2)).mean())
    return float(np.mean(shares))


@pytest.mark.parametrize("period", [(2, 2), (4, 4), (2, 1), (1, 4)])
def test_the_share_is_that_of_the_phases_in_an_images_variance(period: tuple[int, int]) -> None:
    cell = torch.rand(3, 2, *period, dtype=torch.float64)
    slow = torch.cos(2 * math.pi * torch.arange(64, dtype=torch.float64) / 64)  # smooth across cells
    activation = (
        cell.repeat(1, 1, 64 // period[0], 64 // period[1]) + torch.tensor([0.1, 0.5, 0.0])[:, None, None, None] * slow
    )
    assert lattice_share(activation, period).item() == pytest.approx(slow_share(activation.numpy(), period), rel=0.02)


def test_a_checkerboard_alone_is_all_grid_and_content_alone_is_none() -> None:
    t = torch.arange(32.0)
    board = (-1.0) ** (t + t[:, None]).expand(1, 2, 32, 32)
    smooth = (t + 2 * t[:, None]).expand(1, 2, 32, 32)
    assert lattice_share(board, (2, 2)).item() == pytest.approx(1, abs=1e-3)
    assert lattice_share(smooth, (2, 2)) < 1e-6
    assert lattice_share(torch.ones(1, 2, 32, 32), (2, 2)) == 0


def test_stair_steps_are_a_share_and_noise_is_none() -> None:
    drawn = F.interpolate(torch.rand(1, 2, 9, 9), (64, 64), mode="bicubic")
    stairs = F.interpolate(F.avg_pool2d(drawn, 4), scale_factor=4.0)
    assert lattice_share(stairs, (4, 4)) > 5 * lattice_share(drawn, (4, 4))
    assert lattice_share(torch.randn(8, 4, 64, 64), (4, 4)) < 0.02


def test_the_gradient_takes_the_artifact_away_and_not_its_content() -> None:
    drawn = F.interpolate(torch.rand(1, 1, 9, 9), (64, 64), mode="bicubic")
    board = (-1.0) ** (torch.arange(64) + torch.arange(64)[:, None])
    activation = (drawn * (1 + 0.1 * board)).requires_grad_()
    (gradient,) = torch.autograd.grad(lattice_share(activation, (2, 2)), activation)
    along = [float(F.cosine_similarity(gradient.flatten(), part.flatten(), 0)) for part in (drawn * board, drawn)]
    assert along[0] > 0.8
    assert abs(along[1]) < 0.1


def test_shares_of_images_are_averaged_so_that_a_loud_one_does_not_drown_the_others() -> None:
    loud, quiet = (scale * torch.rand(1, 2, 32, 32) for scale in (10, 1))
    loud[..., ::2] += 5
    both, alone = lattice_share(torch.cat([loud, quiet]), (2, 2)), [lattice_share(x, (2, 2)) for x in (loud, quiet)]
    torch.testing.assert_close(both, sum(alone) / 2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_activations_are_read_as_what_they_stand_for(dtype: torch.dtype) -> None:
    activation = (300 * torch.rand(1, 2, 16, 16)).to(dtype)  # whose squares overflow in half precision
    share = lattice_share(activation, (2, 2))
    assert share.dtype == torch.float32
    assert share == lattice_share(activation.float(), (2, 2)) > 0


def test_shrinking_an_activation_does_not_lower_its_share() -> None:
    activation = torch.rand(1, 2, 16, 16)
    torch.testing.assert_close(
        lattice_share(1e-3 * activation, (2, 2)), lattice_share(activation, (2, 2)), rtol=1e-3, atol=0
    )
