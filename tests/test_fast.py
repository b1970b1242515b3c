"""The fast diagnosis: first order, one backward pass."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab import InputError, ModelError


@pytest.mark.parametrize("guilty", ["up1", "up2", "up3"])
def test_it_names_the_planted_site_with_nearly_the_effect_of_a_real_repair(
    three_sites, scene: Tensor, guilty: str
) -> None:
    model = three_sites.plant(guilty)
    fast = artifactlab.diagnose(model, scene, data_range=1.0, fast=True)
    full = artifactlab.diagnose(model, scene, data_range=1.0)
    assert [site.site.name for site in fast.offenders] == [guilty]
    assert fast.offenders[0].effect.value == pytest.approx(full.offenders[0].effect.value, rel=0.1)
    assert fast.output == full.output
    assert fast.config["fast"]


def test_it_takes_two_forward_passes_whatever_the_number_of_sites(three_sites, scene: Tensor) -> None:
    passes: list[int] = []
    three_sites.register_forward_hook(lambda *_: passes.append(1))
    artifactlab.diagnose(three_sites, scene, data_range=1.0, fast=True)
    assert len(passes) == 2


def test_a_clean_model_has_no_scapegoat(three_sites, scene: Tensor) -> None:
    assert artifactlab.diagnose(three_sites, scene, data_range=1.0, fast=True).offenders == ()


def test_stair_steps_of_nearest_are_seen_too(scene: Tensor) -> None:
    class Nearest(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(F.interpolate(x, scale_factor=2, mode="bilinear"), scale_factor=4, mode="nearest")

    diagnosis = artifactlab.diagnose(Nearest(), scene, data_range=1.0, fast=True)
    assert diagnosis.sites[0].site.key == "interpolate#1"
    assert diagnosis.sites[0].effect.value > 0


def test_the_model_and_gradient_flags_come_back_as_they_were(three_sites, scene: Tensor) -> None:
    model = three_sites.plant("up2")
    model.up1.weight.requires_grad_(False)
    flags = [parameter.requires_grad for parameter in model.parameters()]
    weights = [parameter.clone() for parameter in model.parameters()]
    with torch.no_grad():
        artifactlab.diagnose(model, scene, data_range=1.0, fast=True)
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(map(torch.equal, weights, model.parameters()))


def test_in_place_operations_after_a_site_do_not_spoil_the_gradient(three_sites, scene: Tensor) -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = three_sites.plant("up3")

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.decoder(x), inplace=True)

    diagnosis = artifactlab.diagnose(InPlace(), scene, data_range=1.0, fast=True)
    assert [site.site.name for site in diagnosis.offenders] == ["decoder.up3"]


def test_a_model_without_gradients_is_sent_to_the_full_diagnosis(three_sites, scene: Tensor) -> None:
    class Spoilt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = three_sites

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.decoder(x)).mul_(0.5)  # overwrites what the gradient of relu needs

    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = three_sites

        @torch.no_grad()
        def forward(self, x: Tensor) -> Tensor:
            return self.decoder(x)

    for model in (Spoilt(), Frozen()):
        with pytest.raises(ModelError, match=r"no gradient .* leave fast out"):
            artifactlab.diagnose(model, scene, data_range=1.0, fast=True)
    assert artifactlab.diagnose(Spoilt(), scene, data_range=1.0).sites


def test_a_site_that_the_output_does_not_depend_on_has_no_effect(three_sites, scene: Tensor) -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = three_sites.plant("up2")

        def forward(self, x: Tensor) -> Tensor:
            F.interpolate(x, scale_factor=2)
            return self.decoder(x)

    diagnosis = artifactlab.diagnose(Unused(), scene, data_range=1.0, fast=True)
    assert [site.site.name for site in diagnosis.offenders] == ["decoder.up2"]
    assert diagnosis.sites[-1].effect.value <= 0.01


def test_it_carries_no_maps_but_can_be_drawn(three_sites, scene: Tensor) -> None:
    diagnosis = artifactlab.diagnose(three_sites.plant("up2"), scene, data_range=1.0, fast=True)
    with pytest.raises(InputError, match="no site 'up2/conv_transpose2d#0'"):
        diagnosis.artifact_map("up2/conv_transpose2d#0")
    assert diagnosis.plot().axes
