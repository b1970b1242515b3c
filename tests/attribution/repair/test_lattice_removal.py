"""The repair removes the lattice and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.attribution.repair import lattice_removal
from artifactlab.attribution.repair.lattice_removal import remove_lattice, repair, smooth_blocks, without_lattice
from artifactlab.attribution.sites.upsampling import Growth


def growth(output: Tensor, scale: tuple[int, ...], source: Tensor | None = None, nearest: bool = False) -> Growth:
    small = [size // by for size, by in zip(output.shape[2:], scale, strict=True)]
    return Growth("x", scale, (*output.shape[:2], *small), tuple(output.shape), source, output, nearest)


def wave(*sizes: int) -> Tensor:
    """Smooth content along any number of axes, (1, 3, *sizes)."""
    field = torch.ones(1, 3, *sizes)
    for axis, size in enumerate(sizes):
        line = torch.sin((axis + 1) * torch.linspace(0.3, 3, size))
        field = field * line.view(-1, *[1] * (len(sizes) - axis - 1))
    return field


def enlarged(source: Tensor, by: int) -> Tensor:
    """By repeating samples along all axes."""
    for axis in range(2, source.ndim):
        source = source.repeat_interleave(by, axis)
    return source


def inside(field: Tensor, margin: int) -> Tensor:
    return field[(..., *[slice(margin, -margin)] * (field.ndim - 2))]


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


@pytest.mark.parametrize(
    "period", [(1, 2), (2, 1), (1, 1), (2, 4), (2,), (1,), (1, 1, 2), (2, 1, 1), (1, 2, 2), (1, 1, 1), (2, 2, 2)]
)
def test_the_activation_is_not_written_to(period: tuple[int, ...]) -> None:
    activation = torch.rand(1, 4, *[24] * len(period))
    before, version = activation.clone(), activation._version
    remove_lattice(activation, period)
    assert activation._version == version
    assert torch.equal(activation, before)


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("period", [2, 3, 4])
def test_a_grid_of_a_signal_or_a_volume_is_gone_and_smooth_content_stays(axes: int, period: int) -> None:
    pattern = torch.randn(1, 3, *[period] * axes)
    pattern -= pattern.flatten(2).mean(2).view(1, 3, *[1] * axes)
    size, content = 12 * period, wave(*[12 * period] * axes)
    gridded = content + 0.1 * pattern.repeat(1, 1, *[12] * axes)
    left = remove_lattice(gridded, (period,) * axes) - content
    assert inside(left, 4 * period).abs().max() < 0.05 * inside(gridded - content, 4 * period).abs().max()
    assert left.shape == (1, 3, *[size] * axes)


@pytest.mark.parametrize("across", [0, 1, 2])
def test_a_volume_that_is_the_same_in_all_slices_is_repaired_like_a_slice(across: int) -> None:
    image = enlarged(torch.rand(1, 2, 12, 12), 2) + torch.rand(1, 2, 24, 24)
    volume = image.unsqueeze(2 + across).repeat_interleave(10, 2 + across)
    period = [2, 4]
    expected = without_lattice(image, period)
    for third in (1, 2):
        found = without_lattice(volume, [*period[:across], third, *period[across:]])
        assert torch.allclose(found, expected.unsqueeze(2 + across).expand_as(found), atol=1e-5)


@pytest.mark.parametrize("axes", [1, 3])
def test_a_nearest_resize_of_a_signal_or_a_volume_is_swapped_for_a_smooth_one(axes: int) -> None:
    truth = wave(*[48] * axes)
    source = truth.clone()
    for axis in range(2, 2 + axes):
        source = source.unflatten(axis, (-1, 4)).mean(axis + 1)
    nearest = enlarged(source, 4)
    linear = F.interpolate(source, [48] * axes, mode="linear" if axes == 1 else "trilinear")
    far = [
        float(inside(x - truth, 8).square().mean().sqrt())
        for x in (repair(growth(nearest, (4,) * axes, source, nearest=True)), linear, nearest)
    ]
    assert far[0] < far[1] < far[2] / 2


@pytest.mark.parametrize("axes", [1, 3])
def test_levelled_blocks_of_a_signal_or_a_volume_get_their_ramps_back(axes: int) -> None:
    truth = wave(*[48] * axes)
    source = truth.clone()
    for axis in range(2, 2 + axes):
        source = source.unflatten(axis, (-1, 4)).mean(axis + 1)
    nearest = enlarged(source, 4)
    after = smooth_blocks(nearest, (4,) * axes)
    assert inside(after - truth, 8).abs().mean() < 0.3 * inside(nearest - truth, 8).abs().mean()
    assert torch.equal(smooth_blocks(truth, (4,) * axes), truth)


def test_few_frames_are_no_reason_to_leave_blocks_of_their_pictures_as_they_are() -> None:
    frames = enlarged(F.avg_pool2d(wave(48, 48), 4), 4).unsqueeze(2).repeat_interleave(2, 2)
    after = smooth_blocks(frames, (1, 4, 4))
    assert torch.allclose(after[:, :, 0], smooth_blocks(frames[:, :, 0], (4, 4)), atol=1e-6)
    assert not torch.equal(after, frames)


@pytest.mark.parametrize("shape", [(1, 1, 700, 301), (1, 2, 70, 61, 33), (3, 1, 300_001)])
def test_what_is_repaired_in_strips_is_what_is_repaired_in_one_go(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    activation, period = torch.rand(shape), (4,) * (len(shape) - 2)
    in_strips = remove_lattice(activation, period)
    monkeypatch.setattr(lattice_removal, "CACHED", activation.numel())
    assert torch.equal(remove_lattice(activation, period), in_strips)


@pytest.mark.parametrize("sizes", [(32,), (16, 12), (8, 6, 10)])
def test_a_nearest_resize_is_made_cubic_the_same_in_parts_as_in_one_go(
    sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = torch.rand(2, 5, *sizes)
    resize = growth(enlarged(source, 2), (2,) * len(sizes), source, nearest=True)
    in_one_go = repair(resize)
    monkeypatch.setattr(lattice_removal, "CACHED", 3 * resize.output[0, 0].numel())
    assert torch.allclose(repair(resize), in_one_go, atol=1e-6)
