"""The repair removes the lattice and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.attribution.repair.lattice_removal import remove_lattice, repair, smooth_blocks
from artifactlab.attribution.sites.upsampling import Growth


def growth(output: Tensor, scale: tuple[int, int], source: Tensor | None = None, nearest: bool = False) -> Growth:
    n, c, h, w = output.shape
    return Growth("x", scale, (n, c, h // scale[0], w // scale[1]), tuple(output.shape), source, output, nearest)


@pytest.mark.parametrize("period", [2, 3, 4, 8])
def test_a_grid_on_a_flat_activation_is_gone_inside_and_weaker_at_the_border(period: int) -> None:
    pattern = torch.randn(1, 2, period, period)
    pattern -= pattern.mean((2, 3), keepdim=True)
    board = 0.5 + 0.1 * pattern.repeat(1, 1, 96 // period, 96 // period)
    left = remove_lattice(board, (period, period)) - 0.5
    assert left[..., 3 * period : -3 * period, 3 * period : -3 * period].abs().max() < 1e-5
    assert left.abs().max() < 0.7 * (board - 0.5).abs().max()


def test_constants_pass_unchanged_borders_included() -> None:
    flat = torch.full((1, 3, 20, 26), 0.7)
    assert torch.allclose(remove_lattice(flat, (2, 4)), flat, atol=1e-6)


def test_smooth_content_passes_nearly_unchanged() -> None:
    t = torch.linspace(0, 6.28, 64)
    wave = torch.sin(t)[:, None] * torch.cos(2 * t)[None, :]
    left = remove_lattice(wave[None, None], (2, 2))[0, 0] - wave
    assert left[8:-8, 8:-8].abs().max() < 2e-3


@pytest.mark.parametrize("period", [2, 3, 4])
def test_the_notch_is_what_its_definition_says_pixel_by_pixel(period: int) -> None:
    """Against loops: the triangle's remainder, averaged over blocks by two boxes of three, at the same phase."""
    image = np.random.default_rng(0).random((12 * period, 12 * period))
    size = 2 * period - 1
    triangle = np.convolve(np.ones(period), np.ones(period)) / period**2
    detail = np.zeros_like(image)
    for y in range(size, image.shape[0] - size):
        for x in range(size, image.shape[1] - size):
            patch = image[y - period + 1 : y + period, x - period + 1 : x + period]
            detail[y, x] = image[y, x] - triangle @ patch @ triangle
    weights = np.convolve(np.ones(3), np.ones(3)) / 9
    y, x = 6 * period, 5 * period

    def phase_mean(row: int, column: int) -> float:
        rows, columns = (range(start - 2 * period, start + 2 * period + 1, period) for start in (row, column))
        return float(weights @ detail[np.ix_(rows, columns)] @ weights)

    means = np.array([[phase_mean(y + i, x + j) for j in range(period)] for i in range(period)])
    expected = image[y : y + period, x : x + period] - (means - means.mean())
    found = remove_lattice(torch.from_numpy(image)[None, None].float(), (period, period))[0, 0]
    assert np.allclose(found[y : y + period, x : x + period].numpy(), expected, atol=1e-5)


def test_nearest_is_swapped_for_a_cubic_resize_of_the_same_input() -> None:
    t = torch.linspace(0, 3, 40)
    source = torch.sin(t)[:, None] * torch.cos(2 * t)[None, :] * torch.ones(1, 3, 1, 1)
    nearest = F.interpolate(source, scale_factor=2)
    cubic = F.interpolate(source, scale_factor=2, mode="bicubic", align_corners=False, antialias=True)
    left = repair(growth(nearest, (2, 2), source, nearest=True)) - cubic
    assert left.abs().max() < 0.1 * (nearest - cubic).abs().max()


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_nearest_resizes_to_any_size_are_swapped_for_the_same_cubic_one(mode: str) -> None:
    t = torch.linspace(0, 3, 40)
    source = torch.sin(t)[:, None] * torch.cos(2 * t)[None, :] * torch.ones(1, 3, 1, 1)
    output = F.interpolate(source, (90, 100), mode=mode)
    cubic = F.interpolate(source, (90, 100), mode="bicubic", align_corners=False, antialias=True)
    found = repair(Growth("x", (2.25, 2.5), (1, 3, 40, 40), (1, 3, 90, 100), source, output, nearest=True))
    assert (found - cubic).abs().mean() < 0.1 * (output - cubic).abs().mean()


def test_a_grid_that_came_in_with_the_input_of_a_nearest_resize_stays() -> None:
    board = 0.5 + 0.1 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(24, 24)[None, None]
    nearest = F.interpolate(board, scale_factor=2)
    left = repair(growth(nearest, (2, 2), board, nearest=True))
    assert torch.allclose(left[..., 12:-12, 12:-12], nearest[..., 12:-12, 12:-12], atol=1e-4)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_blocks_that_were_levelled_by_hand_get_their_ramps_back(share: float) -> None:
    t = torch.linspace(0, 3, 40)
    source = torch.sin(t)[:, None] * torch.cos(2 * t)[None, :] * torch.ones(1, 3, 1, 1)
    smooth = F.interpolate(source, scale_factor=3, mode="bicubic", align_corners=False, antialias=True)
    levelled = F.avg_pool2d(smooth, 3).repeat_interleave(3, 2).repeat_interleave(3, 3)
    mixed = share * levelled + (1 - share) * smooth
    before, after = (mixed - smooth).abs().mean(), (repair(growth(mixed, (3, 3))) - smooth).abs().mean()
    assert after < 0.3 * before


def test_channels_that_vary_within_their_blocks_are_left_alone() -> None:
    smooth = F.interpolate(torch.rand(1, 4, 20, 20), scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.equal(smooth_blocks(smooth, (2, 2)), smooth)
    stepped = smooth.clone()
    stepped[:, 1] = F.avg_pool2d(smooth[:, 1:2], 2).repeat_interleave(2, 2).repeat_interleave(2, 3)[:, 0]
    changed = (smooth_blocks(stepped, (2, 2)) != stepped).flatten(2).any(2)[0]
    assert changed.tolist() == [False, True, False, False]


def test_the_input_is_not_written_to_and_the_dtype_stays() -> None:
    board = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.bfloat16).repeat(8, 8)[None, None]
    before = board.clone()
    assert repair(growth(board, (2, 2))).dtype == torch.bfloat16
    assert torch.equal(board, before)


def test_a_scale_that_is_no_integer_has_no_lattice_to_remove() -> None:
    output = torch.rand(1, 1, 30, 30)
    assert torch.equal(repair(Growth("x", (1.5, 1.5), (1, 1, 20, 20), (1, 1, 30, 30), None, output)), output)


@pytest.mark.parametrize("period", [(1, 2), (2, 1), (1, 1), (2, 4)])
def test_the_activation_is_not_written_to(period: tuple[int, int]) -> None:
    activation = torch.rand(1, 4, 32, 32)
    before, version = activation.clone(), activation._version
    remove_lattice(activation, period)
    assert activation._version == version
    assert torch.equal(activation, before)
