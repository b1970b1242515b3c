"""The lattice that outputs are measured at, and outputs that are hardly large enough."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab.scoring.crops import split_crops
from artifactlab.scoring.periods import joint_period


def test_crops_keep_the_phase_of_the_lattice() -> None:
    t = torch.arange(300)
    image = ((t[:, None] % 8) * 8 + t[None, :] % 8).float()[None, None]
    crops = split_crops(image, (8, 8))
    assert crops.shape == (9, 1, 96, 96)
    assert all(torch.equal(crop, crops[0]) for crop in crops)


def test_the_joint_period_contains_every_site_that_a_crop_can_hold() -> None:
    assert joint_period([(8, 8), (4, 4), (2, 2)], (256, 256)) == (8, 8)
    assert joint_period([(2, 1), (3, 4)], (256, 256)) == (6, 4)
    assert joint_period([(1.5, 1.5)], (256, 256)) == (1, 1)
    assert joint_period([(64, 64), (2, 2)], (512, 512)) == (64, 64)
    assert joint_period([(64, 64), (2, 2)], (128, 128)) == (2, 2)


def test_a_wide_lattice_is_found_in_a_large_output() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(1, 1, 2, 2, bias=False)
            self.up.weight = nn.Parameter(torch.tensor([[[[1.3, 0.9], [0.9, 0.9]]]]))

        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(self.up(x), scale_factor=16, mode="bilinear")

    diagnosis = artifactlab.diagnose(Early(), torch.full((1, 1, 16, 16), 0.5), data_range=1.0)
    assert diagnosis.config.period == (32, 32)
    assert [site.site.name for site in diagnosis.offenders] == ["up"]


def test_a_32_pixel_output_is_measured_but_accuses_nobody_for_want_of_an_interval() -> None:
    up = nn.ConvTranspose2d(1, 1, 2, 2, bias=False)
    up.weight = nn.Parameter(torch.eye(2)[None, None])
    diagnosis = artifactlab.diagnose(nn.Sequential(up), torch.full((1, 1, 16, 16), 0.5), data_range=1.0)
    assert diagnosis.offenders == ()
    assert diagnosis.verdict.startswith("Cannot tell for sure: the output shows checkerboard")
    assert diagnosis.sites[0].verdict == "suspect"
    several = artifactlab.diagnose(nn.Sequential(up), torch.rand(8, 1, 16, 16), data_range=1.0)
    assert [site.site.name for site in several.offenders] == ["0"]
