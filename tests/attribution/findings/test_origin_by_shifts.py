"""Inputs of the output's size: what moves along with them is theirs, and what stands still is the model's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skimage
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab.attribution.findings.origin import _remaining_power


@pytest.mark.parametrize("period", [2, 4])
def test_a_grid_that_moves_along_with_the_input_is_the_inputs(
    polygons: Callable[..., Tensor], gridded: Callable[..., Tensor], denoiser: Any, period: int
) -> None:
    class FourPhases(denoiser):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(F.pixel_shuffle(F.pixel_unshuffle(x, 4), 4))

    inputs = [gridded(polygons(seed, False, 128), period, 0.06) for seed in (0, 1)]
    diagnosis = artifactlab.diagnose(FourPhases(), inputs, data_range=1.0)
    assert diagnosis.output.severity > 1
    assert diagnosis.offenders == ()
    share = {2: "100%", 4: "95%"}[period]
    assert f"the inputs carry a grid of their own: {share} of what shows moves along" in diagnosis.verdict
    assert "filter them before" in diagnosis.verdict


def test_so_are_the_steps_of_a_drawing_that_was_enlarged_before(polygons: Callable[..., Tensor], denoiser: Any) -> None:
    inputs = [F.interpolate(polygons(seed, False, 64), scale_factor=2) for seed in (0, 1)]
    diagnosis = artifactlab.diagnose(denoiser(), inputs, data_range=1.0)
    assert diagnosis.output.edge_jaggedness > 0.1
    assert diagnosis.offenders == ()
    assert "moves along" in diagnosis.verdict


@pytest.mark.parametrize("gridded_by", [None, 4])
def test_a_grid_that_stands_still_is_the_nets_whatever_the_input_carries(
    polygons: Callable[..., Tensor], gridded: Callable[..., Tensor], denoiser: Any, gridded_by: int | None
) -> None:
    inputs = [polygons(seed, False, 128) for seed in (0, 1)]
    inputs = [gridded(image, gridded_by) for image in inputs] if gridded_by else inputs
    diagnosis = artifactlab.diagnose(denoiser(0.3), inputs, data_range=1.0)
    assert [site.site.key for site in diagnosis.offenders] == ["up/conv_transpose2d#0"]
    assert "moves along" not in diagnosis.verdict


def test_a_grid_of_both_names_the_layer_and_the_inputs_part(
    polygons: Callable[..., Tensor], gridded: Callable[..., Tensor], denoiser: Any
) -> None:
    inputs = [gridded(polygons(seed, False, 128), 2, 0.06) for seed in (0, 1)]
    diagnosis = artifactlab.diagnose(denoiser(0.05), inputs, data_range=1.0)
    assert [site.site.key for site in diagnosis.offenders] == ["up/conv_transpose2d#0"]
    assert "Besides, the inputs carry a grid of their own" in diagnosis.verdict


def test_strong_steps_of_the_input_acquit_no_grid(smooth_deconvolution: Callable[[], nn.ConvTranspose2d]) -> None:
    """A photo replicated by 4, and a net that draws a checkerboard of 3.4/255 of its own beside steps of a pixel."""

    class Pyramid(nn.Module):
        def __init__(self, strength: float) -> None:
            super().__init__()
            self.low, self.up = nn.Sequential(smooth_deconvolution(), smooth_deconvolution()), smooth_deconvolution()
            self.up.weight.data[..., 1::2, 1::2] *= 1 + strength

        def forward(self, x: Tensor) -> Tensor:
            return 0.7 * x + 0.3 * self.up(self.low(F.avg_pool2d(x, 8)))

    coffee = torch.from_numpy(skimage.data.coffee() / 255).permute(2, 0, 1).float().mean(0, keepdim=True)[None]
    replicated = F.interpolate(coffee[..., 40:296:4, 40:296:4], scale_factor=4)
    for strength, guilty in ((0.0, []), (0.3, ["up/conv_transpose2d#0"])):
        diagnosis = artifactlab.diagnose(Pyramid(strength), [replicated], data_range=1.0)
        assert [site.site.key for site in diagnosis.offenders] == guilty
        assert "the inputs carry a grid of their own" in diagnosis.verdict


@pytest.mark.parametrize("period", range(2, 17))
def test_what_stands_still_is_never_read_smaller_than_it_is(period: int) -> None:
    """Of a grid at any of its own frequencies, the mean over shifts keeps at most what is allowed for."""
    step, x = period // 2, np.arange(period)
    for k in (k for k in range(1, period) if np.gcd(k, period) == 1):
        wave = np.exp(2j * np.pi * k * x / period)
        mean = (wave + np.roll(wave, -step) + wave) / 3  # a shift along the other axis leaves it as it is
        assert np.abs(mean[0]) ** 2 <= _remaining_power(period, step) + 1e-12
