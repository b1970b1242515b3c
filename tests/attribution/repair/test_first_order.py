"""The fast diagnosis: first order, one backward pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab import Diagnosis, InputError, ModelError
from artifactlab.attribution.repair.first_order import _by_crop
from artifactlab.scoring.crops import crop_counts, split_crops


@pytest.mark.parametrize("guilty", ["up1", "up2", "up3"])
def test_it_names_the_planted_site_with_nearly_the_effect_of_a_real_repair(
    of_three_sites: Callable[..., Diagnosis], guilty: str
) -> None:
    fast, full = of_three_sites(guilty, fast=True), of_three_sites(guilty)
    assert [site.site.name for site in fast.offenders] == [guilty]
    assert fast.offenders[0].effect.value == pytest.approx(full.offenders[0].effect.value, rel=0.2)
    assert fast.output == full.output
    assert fast.config.fast


def test_it_takes_two_forward_passes_whatever_the_number_of_sites(three_sites, scene: Tensor) -> None:
    passes: list[int] = []
    three_sites.register_forward_hook(lambda *_: passes.append(1))
    artifactlab.diagnose(three_sites, scene, data_range=1.0, fast=True)
    assert len(passes) == 2


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


def test_in_place_operations_after_a_site_do_not_spoil_the_gradient(two_sites, scene: Tensor) -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = two_sites

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.decoder(x), inplace=True)

    diagnosis = artifactlab.diagnose(InPlace(), scene, data_range=1.0, fast=True)
    assert [site.site.name for site in diagnosis.offenders] == ["decoder.1"]


def test_a_model_without_gradients_is_sent_to_the_full_diagnosis(two_sites, scene: Tensor) -> None:
    class Spoilt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = two_sites

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.decoder(x)).mul_(0.5)  # overwrites what the gradient of relu needs

    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = two_sites

        @torch.no_grad()
        def forward(self, x: Tensor) -> Tensor:
            return self.decoder(x)

    for model in (Spoilt(), Frozen()):
        with pytest.raises(ModelError, match=r"no gradient .* leave fast out"):
            artifactlab.diagnose(model, scene, data_range=1.0, fast=True)
    assert artifactlab.diagnose(Spoilt(), scene, data_range=1.0).sites


def test_a_site_that_the_output_does_not_depend_on_is_not_listed(two_sites, scene: Tensor) -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = two_sites

        def forward(self, x: Tensor) -> Tensor:
            F.interpolate(x, scale_factor=2)
            return self.decoder(x)

    diagnosis = artifactlab.diagnose(Unused(), scene, data_range=1.0, fast=True)
    assert [site.site.name for site in diagnosis.offenders] == ["decoder.1"]
    assert sorted(site.site.name for site in diagnosis.sites) == ["decoder.0", "decoder.1"]


def test_it_carries_no_maps_but_can_be_drawn(of_three_sites: Callable[..., Diagnosis]) -> None:
    diagnosis = of_three_sites("up2", fast=True)
    with pytest.raises(InputError, match="fast diagnosis carries no artifact maps"):
        diagnosis.artifact_map("up2/conv_transpose2d#0")
    assert diagnosis.plot().axes


class Batched(nn.Module):
    """A decoder that is run on flipped copies, whose mean is returned."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, x: Tensor) -> Tensor:
        both = self.decoder(torch.cat([x, x.flip(-1)]))
        return (both[: len(x)] + both[len(x) :].flip(-1)) / 2


def test_a_batch_of_another_size_inside_the_model_is_no_obstacle(two_sites, scene: Tensor) -> None:
    diagnosis = artifactlab.diagnose(Batched(two_sites), scene, data_range=1.0, fast=True)
    assert [site.site.name for site in diagnosis.offenders] == ["decoder.1"]


def test_a_clean_output_makes_nobody_an_offender_or_compensated(of_three_sites: Callable[..., Diagnosis]) -> None:
    diagnosis = of_three_sites(fast=True)
    assert diagnosis.offenders == ()
    assert {site.verdict for site in diagnosis.sites} <= {"harmless", "clean"}
    assert all(abs(site.effect.value) < 1 for site in diagnosis.sites)
    assert all(site.effect.share is None for site in diagnosis.sites)


def test_buffers_written_in_place_come_back_outside_any_graph(two_sites, scene: Tensor) -> None:
    class Averaging(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = two_sites
            self.register_buffer("ema", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            y = self.decoder(x)
            self.ema.mul_(0.9).add_(0.1 * y.mean())
            return y

    model = Averaging()
    artifactlab.diagnose(model, scene, data_range=1.0, fast=True)
    assert model.ema.is_leaf
    assert not model.ema.requires_grad
    assert float(model.ema) == 0


def test_a_rounded_output_is_no_all_clear(two_sites, scene: Tensor) -> None:
    class Rounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = two_sites

        def forward(self, x: Tensor) -> Tensor:
            return (255 * self.decoder(x)).round() / 255

    with pytest.raises(ModelError, match=r"no gradient comes through the model .*leave fast out"):
        artifactlab.diagnose(Rounded(), scene, data_range=1.0, fast=True)


def test_a_model_made_in_inference_mode_is_sent_to_the_full_diagnosis(scene: Tensor) -> None:
    with torch.inference_mode():
        model = nn.Sequential(nn.ConvTranspose2d(3, 3, 4, 2, 1))
    with pytest.raises(ModelError, match="made in inference mode"):
        artifactlab.diagnose(model, scene, data_range=1.0, fast=True)


def test_the_sentence_speaks_of_estimates(three_sites, scene: Tensor) -> None:
    model = three_sites.plant("up2", 0.3).plant("up3", 0.2)
    text = artifactlab.diagnose(model, scene, data_range=1.0, fast=True).verdict
    assert "repairing it alone would remove an estimated" in text
    assert "Also suspect: " in text
    assert "All repaired" not in text


@pytest.mark.parametrize("size", [(9 * 1024,), (128, 192), (128, 128, 128), (8, 192, 192)])
def test_each_crop_gets_the_part_of_the_activation_under_it(size: tuple[int, ...]) -> None:
    period = (2,) * len(size)
    gradient, change = torch.rand(2, 3, *size), torch.rand(2, 3, *size)
    found = _by_crop(gradient, change, (2, *crop_counts(size, period)))
    expected = split_crops(gradient * change, period).flatten(1).sum(1)
    assert len(expected) > 8
    assert torch.allclose(found, expected, rtol=1e-4)


def test_frames_that_are_worked_on_one_by_one_are_shared_out_to_all_crops_alike() -> None:
    found = _by_crop(torch.ones(8, 1, 32, 32), torch.ones(8, 1, 32, 32), (1, 1, 2, 2))
    assert found.tolist() == [8 * 32 * 32 / 4] * 4
