"""Guilty sites are repaired together, and every site says where it acts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab import Diagnosis, InputError
from artifactlab.attribution.verdict_text import signed
from artifactlab.report.diagnosis_table import diagnosis_table
from artifactlab.report.terminal import as_text


def test_two_guilty_sites_are_repaired_on_top_of_each_other_until_nothing_shows(three_sites, scene: Tensor) -> None:
    diagnosis = artifactlab.diagnose(three_sites.plant("up2", 0.1).plant("up3", 0.08), scene, data_range=1.0)
    assert {site.site.name for site in diagnosis.offenders} == {"up2", "up3"}
    first, second = diagnosis.joint
    assert {first.key.split("/")[0], second.key.split("/")[0]} == {"up2", "up3"}
    assert first.key == diagnosis.sites[0].site.key
    assert first.adds == diagnosis.sites[0].effect
    assert second.severity < 1 < first.severity < diagnosis.output.severity
    assert f"Also guilty: {second.key.split('/')[0]}" in diagnosis.verdict
    assert "All repaired, nothing shows." in diagnosis.verdict


def test_one_guilty_site_needs_no_second_repair(three_sites, scene: Tensor) -> None:
    passes: list[int] = []
    model = three_sites.plant("up2")
    model.register_forward_hook(lambda *_: passes.append(1))
    diagnosis = artifactlab.diagnose(model, scene, data_range=1.0)
    assert [step.key for step in diagnosis.joint] == ["up2/conv_transpose2d#0"]
    looked_for = 3  # an anti-aliased twin of the input, and two constant inputs
    assert len(passes) == 1 + 3 + looked_for


def test_what_convicts_a_site_behind_a_louder_one_is_shown_beside_what_it_does_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    grid = nn.ConvTranspose2d(1, 1, 3, 2, 1, output_padding=1, bias=False)
    with torch.no_grad():
        grid.weight.copy_(torch.outer(*[torch.tensor([0.5, 1.0, 0.5])] * 2))
        grid.weight[:, :, ::2, ::2] *= 2
    model = nn.Sequential(grid, nn.Upsample(scale_factor=2))
    diagnosis = artifactlab.diagnose(model, torch.rand(1, 1, 64, 64, generator=generator), data_range=1.0)
    loud, quiet = diagnosis.offenders
    second = diagnosis.joint[1]
    assert second.key == quiet.site.key == "1/interpolate#0"
    assert quiet.effect.low < 0 < loud.effect.low
    assert second.adds.low > 0
    table, page = as_text(diagnosis_table(diagnosis), 120), diagnosis.to_html()
    for end in (quiet.effect.low, second.adds.low):
        assert f"[{signed(end)}, " in table
    assert "what it is an offender for" in page
    assert f"90%: {signed(second.adds.low)} to " in page


def test_stacked_nearest_resizes_share_the_blame(scene: Tensor) -> None:
    class Stacked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            smooth = F.interpolate(x, scale_factor=2, mode="bilinear")
            return F.interpolate(F.interpolate(smooth, scale_factor=2, mode="nearest"), scale_factor=2, mode="nearest")

    diagnosis = artifactlab.diagnose(Stacked(), scene, data_range=1.0)
    assert {step.key for step in diagnosis.joint} == {"interpolate#1", "interpolate#2"}
    assert diagnosis.joint[-1].severity < 0.3 * diagnosis.output.severity


def test_an_innocent_model_has_no_joint_repair(of_three_sites: Callable[..., Diagnosis]) -> None:
    assert of_three_sites().joint == ()


def test_the_artifact_map_shows_where_in_the_output_a_site_acts(three_sites) -> None:
    half = torch.cat([torch.full((1, 3, 48, 24), 0.5), torch.zeros(1, 3, 48, 24)], 3)
    diagnosis = artifactlab.diagnose(three_sites.plant("up2"), half, data_range=1.0)
    where = diagnosis.artifact_map("up2/conv_transpose2d#0")
    assert where.shape == (384, 384)
    assert where[:, :170].mean() > 0.01
    assert where[:, 214:].mean() < 1e-4
    assert diagnosis.artifact_map("up3/conv_transpose2d#0")[40:-40, 40:150].max() < 2e-3
    with pytest.raises(InputError, match="no site 'up9'; the diagnosis has up1/conv_transpose2d#0, up2"):
        diagnosis.artifact_map("up9")
    with pytest.raises(InputError, match="no example 3: this diagnosis carries 1"):
        diagnosis.artifact_map("up2/conv_transpose2d#0", example=3)


def test_the_maps_are_drawn_one_panel_per_site(of_three_sites: Callable[..., Diagnosis]) -> None:
    figure = of_three_sites("up2").plot_maps()
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles[0] == "output"
    assert titles[1] == "up2/conv_transpose2d#0\noffender"
    assert len(titles) == 4
