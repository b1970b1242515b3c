"""Sites in signals, volumes and video: which direction of the output each lattice lies along."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab

Found = list[tuple[tuple[float, ...], tuple[float, ...]]]


class Runs(nn.Module):
    """A layer of the model's own, and then whatever the function does."""

    def __init__(self, function: Callable[[Tensor], Tensor], first: nn.Module | None = None) -> None:
        super().__init__()
        self.first, self.function = first or nn.Identity(), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.first(x))


def scales_and_periods(model: nn.Module, x: Tensor) -> Found:
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(x)
    return [(found.site.scale, found.site.period) for found in cap.sites]


def framewise(x: Tensor, layer: Callable[[Tensor], Tensor]) -> Tensor:
    """A layer of images, run on the frames of (N, C, T, H, W) in the batch."""
    n, t = x.shape[0], x.shape[2]
    return layer(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (n, t)).transpose(1, 2)


def double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2)


def on_frames(x: Tensor) -> Tensor:
    return framewise(F.interpolate(framewise(x, double), scale_factor=(1, 2, 2)), double)


def causal(x: Tensor) -> Tensor:
    """The first frame is not doubled in time, as in CogVideoX."""
    return torch.cat([double(x[:, :, 0])[:, :, None], double(x[:, :, 1:])], 2)


def unpatchified(x: Tensor) -> Tensor:
    """Three merges, one after the other, and a frame less, as in LTX."""
    n, _, t, h, w = x.shape
    parts = x.reshape(n, -1, 2, 4, 4, t, h, w).permute(0, 1, 5, 2, 6, 4, 7, 3)
    return parts.flatten(6, 7).flatten(4, 5).flatten(2, 3)[:, :, 1:]


def halves_in_time(x: Tensor) -> Tensor:
    """Two halves of the features are the even and the odd frames, as in Wan."""
    n, c, t, h, w = x.shape
    halves = x.reshape(n, 2, c // 2, t, h, w)
    return torch.stack([halves[:, 0], halves[:, 1]], 3).reshape(n, c // 2, 2 * t, h, w)


def along_time(x: Tensor) -> Tensor:
    """A transposed convolution of signals along time, a signal for each pixel."""
    n, c, t, h, w = x.shape
    signals = x.permute(0, 3, 4, 1, 2).reshape(n * h * w, c, t)
    longer = F.conv_transpose1d(signals, torch.ones(c, c, 2), stride=2)
    return longer.view(n, h, w, c, 2 * t).permute(0, 3, 4, 1, 2)


VIDEO = torch.rand(1, 3, 5, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("model", "x", "expected"),
    [
        (Runs(on_frames), VIDEO, [((2, 2), (1, 8, 8)), ((1, 2, 2), (1, 4, 4)), ((2, 2), (1, 2, 2))]),
        (Runs(causal), VIDEO, [((2, 2), (1, 2, 2)), ((2, 2, 2), (2, 2, 2))]),
        (Runs(unpatchified, nn.Conv3d(3, 96, 1)), VIDEO, [((2, 4, 4), (2, 4, 4))]),
        (Runs(halves_in_time, nn.Conv3d(3, 8, 1)), VIDEO, [((2, 1, 1), (2, 1, 1))]),
        (Runs(along_time, nn.Conv3d(3, 2, 1)), VIDEO, [((2,), (2, 1, 1))]),
        (nn.Sequential(nn.ConvTranspose3d(3, 2, 2, (1, 2, 2)), nn.Upsample(scale_factor=2)), VIDEO, None),
        (nn.Sequential(nn.ConvTranspose1d(2, 2, 4, 4), nn.Upsample(scale_factor=3)), torch.rand(1, 2, 50), None),
    ],
    ids=["frames", "causal", "unpatchify", "halves in time", "along time", "volume", "signal"],
)
def test_periods_lie_along_the_directions_of_the_output(model: nn.Module, x: Tensor, expected: Found | None) -> None:
    if expected is None:  # each layer's own, times those of the layers that follow
        first, second = (scale for scale, _ in scales_and_periods(model, x))
        expected = [
            (first, tuple(a * b if a > 1 else 1 for a, b in zip(first, second, strict=True))),
            (second, second),
        ]
    assert scales_and_periods(model, x) == expected


@pytest.mark.parametrize(
    ("function", "layout"),
    [
        (lambda y: y, "NCDHW"),
        (lambda y: y.transpose(1, 2), "NDCHW"),
        (lambda y: y.permute(0, 2, 3, 4, 1), "NDHWC"),
        (lambda y: y[:, 0], "NDHW"),
    ],
)
def test_how_an_output_was_made_tells_its_layout(function: Callable[[Tensor], Tensor], layout: str) -> None:
    model = Runs(function, nn.ConvTranspose3d(2, 2, 2, 2))
    diagnosis = artifactlab.diagnose(model, torch.rand(1, 2, 12, 16, 16), data_range=1.0, fast=True)
    assert (diagnosis.config.layout, diagnosis.sites[0].site.period) == (layout, (2, 2, 2))


def test_frames_that_came_in_the_batch_are_time() -> None:
    class Frames(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(4, 4, 2, 2)

        def forward(self, x: Tensor) -> Tensor:
            n, t = x.shape[:2]
            return self.up(x.flatten(0, 1)).unflatten(0, (n, t))

    diagnosis = artifactlab.diagnose(Frames(), torch.rand(1, 6, 4, 32, 32), data_range=1.0, fast=True)
    assert (diagnosis.config.layout, diagnosis.sites[0].site.period) == ("NTCHW", (1, 2, 2))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.ConvTranspose1d(1, 1, 4, 4, bias=False), (2, 1, 512)),
        (nn.ConvTranspose3d(1, 1, 2, 2, bias=False), (2, 1, 12, 12, 12)),
    ],
    ids=["signal", "volume"],
)
def test_the_layer_that_draws_a_grid_into_signals_and_volumes_is_named(
    layer: nn.Module, shape: tuple[int, ...]
) -> None:
    healthy = nn.Upsample(scale_factor=2, mode="linear" if len(shape) == 3 else "trilinear")
    model = nn.Sequential(healthy, layer)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.weight.view(-1)[::2] = 0.9
    x = F.interpolate(torch.rand(*shape[:2], *(side // 4 for side in shape[2:])), shape[2:])
    diagnosis = artifactlab.diagnose(model, x, data_range=1.0)
    assert [site.site.name for site in diagnosis.offenders] == ["1"]
