"""Of many layers, those that matter are repaired; the outcome is that of repairing all of them."""

from __future__ import annotations

import io
import json
import math
from importlib import resources

import jsonschema
import pytest
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor, nn

import artifactlab
from artifactlab import Diagnosis, InputError
from artifactlab.report.diagnosis_table import diagnosis_table


class Chain(nn.Module):
    """Many transposed convolutions with bilinear kernels, each of which adds a part of the image's own low band.

    Args:
        layers, steps: how many, and how often all of them run.
        planted: number of a layer -> how much brighter one of its pixel phases is.
        share: of the image that each layer puts in its place.
    """

    def __init__(
        self, layers: int = 14, steps: int = 1, planted: dict[int, float] | None = None, share: float = 0.1
    ) -> None:
        super().__init__()
        ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
        self.steps, self.share = steps, share
        self.up = nn.ModuleList(nn.ConvTranspose2d(3, 3, 4, 2, 1, bias=False) for _ in range(layers))
        for number, up in enumerate(self.up):
            up.weight = nn.Parameter((torch.eye(3)[:, :, None, None] * torch.outer(ramp, ramp)).contiguous())
            with torch.no_grad():
                up.weight[:, :, 1::2, 1::2] *= 1 + (planted or {}).get(number, 0.0)

    def between(self, x: Tensor, number: int) -> Tensor:
        """What happens before a layer."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.steps):
            for number, up in enumerate(self.up):
                x = self.between(x, number)
                x = (1 - self.share) * x + self.share * up(F.avg_pool2d(x, 2))
        return x


class Rounding(Chain):
    """The gradient that comes to the layers before number 7 is a hundredth of what it should be, or none."""

    passes = 0.01

    def between(self, x: Tensor, number: int) -> Tensor:
        if number != 7:
            return x
        rounded = (x * 1024).round() / 1024
        return rounded.detach() + self.passes * (x - x.detach()) if self.passes else rounded


class Clipping(Chain):
    """Bright parts are clipped, and pass no gradient."""

    def between(self, x: Tensor, number: int) -> Tensor:
        return x.clamp(0, 0.6)


@pytest.fixture(scope="module")
def picture() -> Tensor:
    t = torch.arange(128.0)
    y, x = t[:, None], t[None, :]
    edge = (0.5 + (y * math.cos(0.4) + x * math.sin(0.4) - 70)).clamp(0, 1)
    disc = (0.5 + 28 - torch.hypot(y - 38, x - 67)).clamp(0, 1)
    plane = 0.25 + 0.3 * edge + 0.25 * disc + 0.03 * torch.sin(x / 7 + y / 11)
    return torch.stack([plane, 0.9 * plane, 0.2 + 0.6 * plane])[None]


def offenders(diagnosis: Diagnosis) -> set[str]:
    return {site.site.name for site in diagnosis.offenders}


def repaired(diagnosis: Diagnosis) -> set[str]:
    return {site.site.name for site in diagnosis.sites if site.verified}


PLANTED: list[dict[int, float]] = [
    {},
    {0: 0.8, 9: 0.4},
    {1: 1.0, 4: 0.05, 8: 0.2},
]


@pytest.mark.parametrize("planted", PLANTED, ids=str)
def test_the_same_layers_are_named_as_by_repairing_every_one(planted: dict[int, float], picture: Tensor) -> None:
    model = Chain(10, planted=planted).eval()
    screened = artifactlab.diagnose(model, picture, data_range=1.0)
    everything = artifactlab.diagnose(model, picture, data_range=1.0, verify_all=True)
    assert offenders(screened) == offenders(everything)
    assert len(repaired(screened)) < 8
    assert len(repaired(everything)) == 10
    effects = {site.site.key: site.effect for site in everything.sites}
    for site in screened.sites:
        if site.verified:
            assert site.effect == effects[site.site.key]
    assert f"Of 10 layers {len(repaired(screened))} were repaired" in screened.verdict
    assert "were repaired" not in everything.verdict


def test_layers_that_are_not_repaired_are_never_accused_and_say_so(picture: Tensor) -> None:
    diagnosis = artifactlab.diagnose(Chain(planted={3: 0.8}), picture, data_range=1.0)
    estimated = [site for site in diagnosis.sites if not site.verified]
    assert {site.verdict for site in estimated} <= {"harmless", "clean"}
    assert len(estimated) > 5
    key = estimated[0].site.key
    with pytest.raises(InputError, match="was not repaired, its effect is an estimate"):
        diagnosis.artifact_map(key)
    assert diagnosis.plot_maps().axes
    assert "estimated from the gradient, not repaired" in diagnosis.to_html()
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(diagnosis_table(diagnosis))
    text = " ".join(console.export_text().split())
    assert text.count("~") == len(estimated) + 1
    assert "~: estimated from the gradient, not repaired" in text
    data = json.loads(diagnosis.to_json())
    assert {site["verified"] for site in data["sites"]} == {True, False}
    schema = resources.files("artifactlab").joinpath("schemas", "diagnosis.json").read_text()
    jsonschema.validate(data, json.loads(schema))


def test_a_layer_is_found_that_the_gradient_misses(picture: Tensor) -> None:
    """The layers after the rounding have the larger estimates, and little of what shows."""
    model = Rounding(planted={2: 1.2, 9: 0.08, 10: 0.08, 12: 0.08}).eval()
    everything = offenders(artifactlab.diagnose(model, picture, data_range=1.0, verify_all=True))
    assert "up.2" in everything
    for model.passes in (0.01, 0.0):
        assert offenders(artifactlab.diagnose(model, picture, data_range=1.0)) == everything


def test_where_layers_are_clipped_the_same_are_named(picture: Tensor) -> None:
    model = Clipping(10, planted={2: 1.6, 8: 0.6}).eval()
    screened = artifactlab.diagnose(model, picture, data_range=1.0)
    everything = artifactlab.diagnose(model, picture, data_range=1.0, verify_all=True)
    assert offenders(screened) == offenders(everything) != set()


def test_where_no_gradient_comes_through_every_layer_is_repaired_and_that_is_said(picture: Tensor) -> None:
    class Rounded(Chain):
        def forward(self, x: Tensor) -> Tensor:
            return (255 * super().forward(x)).round() / 255

    class Frozen(Chain):
        @torch.no_grad()
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)

    with torch.inference_mode():
        made_without = Chain(9, planted={3: 0.8})
    for model in (Rounded(9, planted={3: 0.8}), Frozen(9, planted={3: 0.8}), made_without):
        diagnosis = artifactlab.diagnose(model, picture, data_range=1.0)
        assert offenders(diagnosis) == {"up.3"}
        assert len(repaired(diagnosis)) == 9
        assert "No gradient comes through the model: every layer was repaired." in diagnosis.verdict


def test_few_layers_are_all_repaired(picture: Tensor) -> None:
    diagnosis = artifactlab.diagnose(Chain(8, planted={3: 0.8}), picture, data_range=1.0)
    assert len(repaired(diagnosis)) == 8
    chosen = artifactlab.diagnose(Chain(9, planted={3: 0.8}), picture, data_range=1.0, sites="up.[1-5]")
    assert repaired(chosen) == {f"up.{k}" for k in range(1, 6)}


def test_a_fast_diagnosis_verifies_nothing(picture: Tensor) -> None:
    diagnosis = artifactlab.diagnose(Chain(9, planted={3: 0.8}), picture, data_range=1.0, fast=True)
    assert repaired(diagnosis) == set()
    assert offenders(diagnosis) == {"up.3"}


def test_forty_layers_that_run_again_and_again_take_less_than_twenty_passes(picture: Tensor) -> None:
    """`benchmarks/cost.py` has eighty layers, and twenty calls of each."""
    model = Chain(40, 2, planted={20: 1.5, 35: 1.5}, share=0.05).eval()
    passes: list[int] = []
    model.register_forward_hook(lambda *_: passes.append(1))
    diagnosis = artifactlab.diagnose(model, picture, data_range=1.0)
    backward = 2
    assert len(passes) + backward < 20
    assert {"up.35"} <= offenders(diagnosis) <= {"up.20", "up.35"}
    assert all(len(site.site.calls) == 2 for site in diagnosis.sites)
