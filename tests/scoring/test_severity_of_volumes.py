"""Severity of volumes and videos: the same as of images, along one more axis."""

from __future__ import annotations

import math
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab import InputError, severity
from artifactlab.metrics.visible import visible_grid
from artifactlab.scoring.crops import crop_counts, split_crops
from artifactlab.scoring.periods import joint_period, smallest_sides
from artifactlab.scoring.severity import measure_severity


def balls(size: tuple[int, int, int] = (64, 64, 64), seed: int = 0) -> Tensor:
    """Balls with soft edges in a little noise, (1, 1, *size): nothing keeps step with a lattice."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.stack(torch.meshgrid(*map(torch.arange, size), indexing="ij"), -1).float()
    volume = torch.full(size, 0.35)
    for *middle, radius, height in torch.rand(8, 5, generator=generator):
        distance = (places - torch.stack(middle) * torch.tensor(size)).norm(dim=-1)
        volume += 0.3 * (height - 0.4) * (0.5 + (5 + 10 * radius - distance) / 2).clamp(0, 1)
    return (volume + 0.004 * torch.randn(size, generator=generator))[None, None]


def board(size: tuple[int, int, int] = (64, 64, 64)) -> Tensor:
    """A grid of period 2 along all axes, of rms 1."""
    signs = [(-1.0) ** torch.arange(length) for length in size]
    return signs[0][:, None, None] * signs[1][:, None] * signs[2]


def discs(frames: int, side: int = 48, seed: int = 0, fades: bool = False) -> Tensor:
    """A video of discs that move, (1, 1, frames, side, side)."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.arange(float(frames))[:, None, None]
    y, x = torch.arange(float(side))[:, None], torch.arange(float(side))
    video = torch.full((frames, side, side), 0.4)
    for cy, cx, vy, vx, radius, height in torch.rand(8, 6, generator=generator).tolist():
        distance = torch.hypot(y - cy * side - (6 * vy - 3) * t, x - cx * side - (6 * vx - 3) * t)
        video += 0.5 * (height - 0.5) * (0.5 + (4 + 12 * radius - distance) / 1.5).clamp(0, 1)
    if fades:
        video = video * torch.linspace(0.3, 1.2, frames)[:, None, None]
    return (video + 0.005 * torch.randn(video.shape, generator=generator))[None, None]


def total(x: Tensor, period: tuple[int, ...]) -> float:
    return sum(measure_severity(x, period, 1.0).together())


@pytest.mark.parametrize("period", [2, 4, 8])
def test_a_grid_that_just_shows_is_a_severity_of_1(period: int) -> None:
    t = 2 * math.pi * torch.arange(64) / period
    wave = t.cos()[:, None, None] + t.cos()[:, None] + t.cos()
    x = balls() + visible_grid(period) * wave / wave.square().mean().sqrt()
    assert total(x, (period,) * 3) == pytest.approx(1, rel=0.1)
    assert float(severity(x, period) - severity(balls(), period)) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("period", [2, 4, 8])
def test_content_and_smooth_enlargements_do_not_show(period: int) -> None:
    assert total(balls(), (period,) * 3) == 0
    smooth = F.interpolate(F.avg_pool3d(balls(), period), scale_factor=period, mode="trilinear")
    assert total(smooth, (period,) * 3) < 1


@pytest.mark.parametrize("period", [2, 4])
def test_repeated_voxels_are_steps_of_a_sawtooth(period: int) -> None:
    x = F.interpolate(F.avg_pool3d(balls(), period), scale_factor=period)
    found = measure_severity(x, (period,) * 3, 1.0)
    assert found.displacement == pytest.approx(math.sqrt((period**2 - 1) / 12), rel=0.1)
    assert found.together()[0] < 0.05 * found.together()[1]


@pytest.mark.parametrize("across", [0, 1, 2])
def test_what_is_the_same_in_all_slices_reads_like_a_slice(across: int) -> None:
    rows = torch.arange(96)
    signs = (-1.0) ** (rows[:, None] + rows)
    image = balls((96, 96, 1))[..., 0] + 0.02 * signs
    volume = image.unsqueeze(2 + across).repeat_interleave(16, 2 + across)
    period = [2, 2]
    period.insert(across, 1)
    flat = measure_severity(image, (2, 2), 1.0)
    found = measure_severity(volume, tuple(period), 1.0)
    assert found.together() == pytest.approx(flat.together(), rel=0.02)
    assert found.amplitude == pytest.approx(flat.amplitude, rel=0.02)


def test_its_gradient_points_at_the_grid_and_is_that_of_finite_differences_along_it() -> None:
    size = (48, 48, 48)
    x = (0.5 + 0.02 * board(size)[None, None]).double().requires_grad_()
    value = severity(x, 2)
    (slope,) = torch.autograd.grad(value.sum(), x)
    along = board(size).double()
    ahead, behind = (severity(x.detach() + h * along, 2) for h in (1e-5, -1e-5))
    assert float((slope * along).sum()) == pytest.approx(float(ahead - behind) / 2e-5, rel=0.02)
    assert torch.equal(slope[0, 0].sign(), along.sign())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_comes_to_about_the_same_and_keeps_its_type(dtype: torch.dtype) -> None:
    x = 0.5 + 0.02 * board((32, 32, 32)).expand(2, 1, -1, -1, -1)
    leaf = x.to(dtype).requires_grad_()
    value = severity(leaf, 2)
    value.sum().backward()
    assert value.detach().tolist() == pytest.approx(severity(x, 2).tolist(), rel=0.1)
    assert leaf.grad is not None
    assert leaf.grad.dtype == dtype


@pytest.mark.parametrize("frames", [16, 17])
def test_a_flicker_is_found_in_a_video_of_four_periods(frames: int) -> None:
    flicker = torch.tensor([1.5, -0.5, -0.5, -0.5])[torch.arange(frames) % 4].view(-1, 1, 1) * 4 / 255
    for seed in range(3):
        assert total(discs(frames, seed=seed) + flicker, (4, 1, 1)) > 2


@pytest.mark.parametrize(("frames", "period"), [(8, 2), (16, 4), (17, 4), (49, 8)])
def test_videos_that_do_not_flicker_have_none(frames: int, period: int) -> None:
    for seed in range(3):
        assert total(discs(frames, seed=seed), (period, 1, 1)) == 0
        assert total(discs(frames, seed=seed, fades=True), (period, 1, 1)) < 1


def test_few_frames_are_enough_where_pictures_are_large() -> None:
    assert joint_period([(4, 8, 8)], (17, 256, 256)) == (4, 8, 8)
    assert joint_period([(4, 8, 8)], (13, 256, 256)) == (1, 8, 8)
    assert joint_period([(4, 8, 8)], (17, 48, 24)) == (1, 8, 1)  # 24 columns hold no 8 rows' neighbours
    assert joint_period([(8, 8, 8)], (33, 256, 256)) == (1, 8, 8)  # a fade would be taken for a flicker
    assert joint_period([(4, 4)], (17, 256)) == (1, 4)
    assert smallest_sides((2, 2, 2), (24, 24, 24)) == (24, 24, 24)


def test_a_volume_that_is_too_small_is_an_error_that_says_what_it_takes() -> None:
    with pytest.raises(InputError, match=r"of 20x32x40 pixels is too small .* 8, which takes 48x48x48"):
        severity(torch.zeros(1, 1, 20, 32, 40))


@pytest.mark.parametrize(
    ("size", "counts"),
    [((64, 128, 128), (1, 2, 2)), ((256, 256, 256), (2, 2, 2)), ((17, 256, 256), (1, 3, 3)), ((300, 300), (3, 3))],
)
def test_volumes_are_cut_into_eight_or_nine_crops_whatever_is_long(size: tuple[int, ...], counts: tuple) -> None:
    assert crop_counts(size, (4,) * len(size)) == counts


def test_crops_of_volumes_keep_the_phase_and_stand_in_the_order_of_memory() -> None:
    places = torch.arange(200 * 196 * 8).view(1, 1, 200, 196, 8)
    crops = split_crops(places, (4, 4, 2))
    assert crops.shape == (9, 1, 64, 64, 8)
    corners = [(i, j) for i in (0, 64, 128) for j in (0, 64, 128)]
    assert [int(crop[0, 0, 0, 0]) for crop in crops] == [(i * 196 + j) * 8 for i, j in corners]


def test_crops_of_volumes_are_measured_one_by_one_to_save_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    module = sys.modules[measure_severity.__module__]  # the package has a function of the module's name
    monkeypatch.setattr(module, "lattice_sums", lambda crops, _: seen.append(crops.shape) or {})
    found = measure_severity(torch.rand(2, 1, 16, 128, 128), (1, 2, 2), 1.0)
    assert seen == [(1, 1, 16, 64, 64)] * 8
    assert found.crops == 8
