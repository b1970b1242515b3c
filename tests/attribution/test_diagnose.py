"""Diagnosis names the planted offender, and nobody where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab import Diagnosis, InputError


@pytest.mark.parametrize("guilty", ["up1", "up2", "up3"])
def test_the_verdict_follows_the_planted_site(of_three_sites: Callable[..., Diagnosis], guilty: str) -> None:
    diagnosis = of_three_sites(guilty)
    assert [site.site.name for site in diagnosis.offenders] == [guilty]
    assert diagnosis.sites[0].rank == 1
    assert diagnosis.sites[0].effect.share > 0.8
    assert diagnosis.verdict.startswith(f"{guilty}/conv_transpose2d#0 causes the output's ")
    assert "checkerboard" in diagnosis.verdict


def test_a_clean_model_has_no_scapegoat(of_three_sites: Callable[..., Diagnosis]) -> None:
    diagnosis = of_three_sites()
    assert diagnosis.offenders == ()
    assert diagnosis.verdict.startswith("No offender")


def test_a_huge_defect_that_a_later_blur_hides_is_harmless(three_sites, scene: Tensor) -> None:
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = three_sites.plant("up1", 0.8).plant("up3", 0.12)

        def forward(self, x: Tensor) -> Tensor:
            hidden = F.avg_pool2d(F.pad(self.decoder.up1(x), (0, 1, 0, 1), mode="replicate"), 2, stride=1)
            return self.decoder.up3(self.decoder.up2(hidden))

    diagnosis = artifactlab.diagnose(Hidden(), scene, data_range=1.0)
    verdicts = {site.site.name: site.verdict for site in diagnosis.sites}
    assert verdicts == {"decoder.up1": "harmless", "decoder.up2": "clean", "decoder.up3": "offender"}
    evidence = {site.site.name: site.evidence.checkerboard_energy for site in diagnosis.sites}
    assert evidence["decoder.up1"] > evidence["decoder.up3"] / 2


def test_a_grid_that_later_layers_cancel_is_compensated_not_guilty(three_sites, scene: Tensor) -> None:
    class Cancelling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = three_sites.plant("up1", 0.5).up1
            cancel = torch.ones(1, 1, 2, 2)
            cancel[..., 0::2, 0::2] /= 1.5
            self.register_buffer("cancel", cancel)

        def forward(self, x: Tensor) -> Tensor:
            up = self.up(x)
            return up * self.cancel.repeat(1, 1, up.shape[2] // 2, up.shape[3] // 2)

    diagnosis = artifactlab.diagnose(
        Cancelling(), F.interpolate(scene, scale_factor=4, mode="bilinear"), data_range=1.0
    )
    assert diagnosis.sites[0].verdict == "compensated"
    assert diagnosis.sites[0].effect.value < -1
    assert "Leave up/conv_transpose2d#0 alone" in diagnosis.verdict


def test_nearest_upsampling_is_an_offender_by_its_stair_steps(scene: Tensor) -> None:
    class Nearest(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            smooth = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            return F.interpolate(smooth, scale_factor=4, mode="nearest")

    diagnosis = artifactlab.diagnose(Nearest(), scene, data_range=1.0)
    assert [site.site.key for site in diagnosis.offenders] == ["interpolate#1"]
    assert diagnosis.offenders[0].effect.kind == "stair-step"
    assert "stair-steps" in diagnosis.verdict


def test_results_are_deterministic_also_for_a_model_that_draws_noise(two_sites, scene: Tensor) -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = two_sites

        def forward(self, x: Tensor) -> Tensor:
            return self.decoder(x + 0.02 * torch.randn_like(x))

    first, second = (artifactlab.diagnose(Noisy(), scene, data_range=1.0) for _ in range(2))
    assert first.to_json() == second.to_json()
    assert artifactlab.diagnose(Noisy(), scene, data_range=1.0, seed=1).to_json() != first.to_json()
    assert [site.site.name for site in first.offenders] == ["decoder.1"]


def test_sites_are_selected_by_glob(three_sites, scene: Tensor) -> None:
    diagnosis = artifactlab.diagnose(three_sites.plant("up2"), scene, data_range=1.0, sites="up[12]*")
    assert {site.site.name for site in diagnosis.sites} == {"up1", "up2"}
    with pytest.raises(InputError, match=r"no site matches 'dec\.\*'; the model has up1/conv_transpose2d#0"):
        artifactlab.diagnose(three_sites, scene, sites="dec.*")


def test_the_interval_needs_more_than_one_crop(three_sites, scene: Tensor) -> None:
    single = artifactlab.diagnose(three_sites, scene[..., :12, :12], data_range=1.0).sites[0].effect
    assert single.low is None
    assert single.high is None


def test_the_interval_contains_the_effect_and_shares_refer_to_the_severity_of_the_output(
    of_three_sites: Callable[..., Diagnosis],
) -> None:
    diagnosis = of_three_sites("up2")
    for site in diagnosis.sites:
        assert site.effect.low <= site.effect.value <= site.effect.high
    data = diagnosis.to_dict()
    assert data["schema_version"] == "1.5"
    for site in data["sites"]:
        share = site["effect"]["value"] / data["output"]["severity"]
        assert math.isclose(site["effect"]["share"], share, rel_tol=1e-5)


def test_progress_counts_every_repaired_pass(two_sites, scene: Tensor) -> None:
    seen: list[tuple[int, int]] = []
    artifactlab.diagnose(two_sites, [scene] * 3, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 6) for i in range(1, 7)]


def test_a_grid_in_the_input_is_not_passed_off_as_the_models_alone() -> None:
    class Identity(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.pixel_shuffle(F.pixel_unshuffle(x, 2), 2)

    board = torch.tensor([[0.5, 0.55], [0.55, 0.5]]).repeat(128, 128)[None, None]
    gridded = artifactlab.diagnose(Identity(), board, data_range=1.0)
    assert "the inputs carry a grid of their own" in gridded.verdict
    plain = artifactlab.diagnose(Identity(), torch.rand(1, 1, 256, 256), data_range=1.0)
    assert "inputs carry" not in plain.verdict


def test_leaving_sites_out_does_not_change_what_the_output_shows(three_sites, scene: Tensor) -> None:
    three_sites.plant("up2", 0.3).plant("up3", 0.03)
    model = nn.Sequential(three_sites.up2, three_sites.up3)
    everything = artifactlab.diagnose(model, scene, data_range=1.0)
    only = artifactlab.diagnose(model, scene, data_range=1.0, sites="1")
    assert only.output == everything.output
    assert only.sites[0].effect == next(s.effect for s in everything.sites if s.site.name == "1")


def test_a_model_that_shows_nothing_of_its_inside_is_not_convicted_as_a_module(scene: Tensor) -> None:
    class Opaque(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.from_numpy(np.kron(x.numpy(), np.ones((1, 1, 4, 4), np.float32)))

    diagnosis = artifactlab.diagnose(Opaque(), scene, data_range=1.0)
    assert diagnosis.offenders == ()
    assert diagnosis.sites[0].site.opaque
    assert "nothing inside the model could be seen" in diagnosis.verdict


def test_the_calls_of_a_layer_are_repaired_together_and_listed_on_request(two_sites, scene: Tensor) -> None:
    class Ensemble(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = two_sites

        def forward(self, x: Tensor) -> Tensor:
            return (self.net(x) + self.net(x.flip(3)).flip(3)) / 2

    model = Ensemble()
    together = artifactlab.diagnose(model, scene, data_range=1.0)
    assert {site.site.calls for site in together.sites} == {(0, 1)}
    assert together.offenders[0].site.key == "net.1/conv_transpose2d#0"
    assert together.offenders[0].site.label == "net.1/conv_transpose2d#0 (2 calls)"
    assert ", period 2, 2 calls" in together.to_html()
    each = artifactlab.diagnose(model, scene, data_range=1.0, calls=True)
    assert len(each.sites) == 2 * len(together.sites)
    assert each.sites[0].effect.value < together.sites[0].effect.value


def test_behind_a_sigmoid_a_repair_draws_no_stripes_along_the_edge_of_a_mask() -> None:
    """Logits of hundreds: the lattice is taken out where the signal is bounded."""

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(1, 1, 4, 2, 1, bias=False)
            kernel = torch.tensor([0.25, 0.75, 0.75, 0.25])
            self.up.weight.data = (kernel[:, None] * kernel)[None, None].clone()
            self.up.weight.data[..., 1::2, 1::2] *= 1.6

        def forward(self, x: Tensor) -> Tensor:
            return torch.sigmoid(self.up(x))

    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    mask = 12 * (30 - torch.hypot(rows - 48, columns - 45))[None, None]
    soft = (1 + torch.sin(rows / 9) + torch.cos(columns / 7 + rows / 20))[None, None]
    diagnosis = artifactlab.diagnose(Head(), [soft, mask], data_range=1.0)
    (site,) = diagnosis.sites
    assert site.site.followed_by == "bounding"
    assert site.verdict == "offender"
    assert site.effect.share is not None
    assert site.effect.share > 0.8
