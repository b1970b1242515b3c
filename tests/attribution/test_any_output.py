"""Depth, flow, logits, labels and masks are diagnosed as the same pixels in a plain (N, C, H, W) tensor would be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from importlib import resources
from typing import Any

import jsonschema
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.errors import ArtifactLabError, InputError, ModelError

COARSE = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
IMAGE = F.interpolate(COARSE, size=(64, 64), mode="bicubic").clamp(0, 1)


class Net(nn.Module):
    """An upsampler that draws a grid, and what is made of its three channels."""

    def __init__(self, made: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 3, 4, 2, 1, bias=False)
        ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
        with torch.no_grad():
            self.up.weight.copy_(0.9 * torch.eye(3)[:, :, None, None] * torch.outer(ramp, ramp))
            self.up.weight[:, :, 1::2, 1::2] *= torch.tensor([1.3, 1.2, 1.0])[:, None, None, None]
        self.made = made

    def forward(self, x: Tensor) -> Any:
        return self.made(self.up(x))


def one_hot(y: Tensor) -> Tensor:
    return F.one_hot(y.argmax(1), 3).permute(0, 3, 1, 2).float()


def found(made: Callable[[Tensor], Any], **settings: Any) -> Diagnosis:
    return artifactlab.diagnose(Net(made), IMAGE, **settings)


ALIKE: dict[str, tuple[Callable[[Tensor], Any], Callable[[Tensor], Tensor]]] = {
    "depth (N, H, W)": (lambda y: 30 * y.mean(1), lambda y: 30 * y.mean(1, keepdim=True)),
    "depth (H, W)": (lambda y: 30 * y.mean((0, 1)), lambda y: 30 * y.mean(1, keepdim=True)),
    "channels last": (lambda y: y.permute(0, 2, 3, 1), lambda y: y),
    "a dict with logits": (lambda y: {"aux": y[..., :32, :32], "logits": 40 * y - 20}, lambda y: 40 * y - 20),
    "flow": (lambda y: [y[:, :2] * 9 - 4], lambda y: y[:, :2] * 9 - 4),
    "labels (N, H, W)": (lambda y: y.argmax(1), one_hot),
    "labels (N, 1, H, W) of 8 bits": (lambda y: y.argmax(1, True).to(torch.uint8), one_hot),
    "a mask": (lambda y: y > 0.5, lambda y: (y > 0.5).float()),
    "8-bit pixels": (lambda y: (200 * y).to(torch.uint8), lambda y: (200 * y).floor()),
}


@pytest.mark.parametrize("name", ALIKE)
def test_an_output_is_diagnosed_as_the_same_pixels_would_be(name: str) -> None:
    made, plain = (found(made) for made in ALIKE[name])
    assert made.config.data_range == plain.config.data_range
    assert made.output.severity == pytest.approx(plain.output.severity, rel=1e-4)
    assert made.output.severity > 1
    assert made.sites[0].effect.value == pytest.approx(plain.sites[0].effect.value, rel=1e-4)
    assert [site.site.key for site in made.offenders] == ["up/conv_transpose2d#0"]
    jsonschema.validate(
        made.to_dict(), json.loads(resources.files("artifactlab").joinpath("schemas/diagnosis.json").read_text())
    )


def test_a_verdict_says_what_was_judged_and_against_what() -> None:
    made = found(lambda y: {"aux": [y[..., :32, :32]], "logits": 40 * y - 20})
    assert made.config.judged == "output['logits']"
    assert " Judged: output['logits'] (1, 3, 128, 128); name another with output=/--output." in made.verdict
    assert (made.config.range_from, made.config.layout) == ("quantiles", "NCHW")
    assert f" The data range, {made.config.data_range:.3g}, was read off the output's own quantiles" in made.verdict


def test_where_all_is_as_usual_a_verdict_says_nothing_of_it() -> None:
    plain, named = found(lambda y: y), found(lambda y: {"x": y, "aux": [y]}, output="aux[0]")
    assert plain.verdict == named.verdict
    assert "removes 100% of it. The weights look untrained" in plain.verdict
    assert (plain.config.judged, plain.config.range_from) == ("output", "pixels")
    assert named.config.judged == "output['x']"  # the same tensor
    assert asdict(plain.output) == asdict(named.output)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda y: y.argmax(1), "labels, judged as classes: 0, 1, 2 (one mask each)."),
        (lambda y: y > 0.5, "Its mask was judged as 0 and 1."),
        (
            lambda y: torch.from_numpy(y.mean(1).numpy()),  # where it came from is not known
            "Its axes (1, 128, 128) were taken for NHW; say otherwise with layout=/--layout.",
        ),
        (lambda y: 2 * y - 1, "Its values were taken for pixels from -1 to 1"),
    ],
)
def test_what_an_output_was_taken_for_is_said(made: Callable[[Tensor], Any], said: str) -> None:
    assert said in found(made).verdict


def test_repairs_are_judged_by_the_classes_of_the_first_pass() -> None:
    """20 bands of labels in one channel, whose order of frequency a repair of the grid changes."""
    made = found(lambda y: (y.mean(1) * 20).long())
    assert "(the 8 most frequent of " in made.verdict
    assert made.sites[0].effect.value == pytest.approx(made.output.severity, rel=0.3)


@pytest.mark.parametrize(
    ("made", "data_range", "asked"),
    [
        (lambda y: 2 * y - 1, 1.0, "Is it 2, as of pixels from -1 to 1"),
        (lambda y: 40 * y - 20, 1.0, "Is it "),
        (lambda y: y, 255.0, "Is it 1, as of pixels from 0 to 1"),
    ],
)
def test_a_verdict_by_a_wrong_range_begins_with_the_doubt(
    made: Callable[[Tensor], Any], data_range: float, asked: str
) -> None:
    verdict = found(made, data_range=data_range, fast=True).verdict
    assert verdict.startswith("Check the data range first: the output runs from ")
    assert asked in verdict


def test_the_axes_may_be_named() -> None:
    def eight(y: Tensor) -> Tensor:
        return torch.cat([y, y, y[:, :2]], 1).permute(0, 2, 3, 1)

    assert found(eight).config.layout == "NHWC"  # how it was made tells
    named = found(eight, layout="NHWC")
    assert named.config.layout == "NHWC"
    assert "NHWC" not in named.verdict
    assert [site.site.key for site in named.offenders] == ["up/conv_transpose2d#0"]
    with pytest.raises(InputError, match="no such layout 'XY': expected one such as NCHW"):
        found(eight, layout="XY")
    with pytest.raises(ModelError, match=r"expected a real NHW tensor, got output: \(1, 128, 128, 8\)"):
        found(eight, layout="NHW")


def test_complex_outputs_and_vectors_are_refused_with_what_to_do() -> None:
    with pytest.raises(ModelError, match=r"complex64; .*y\.abs\(\)"):
        found(lambda y: torch.complex(y, y))
    with pytest.raises(ModelError, match=r"is no image: output is \(1, 49152\), a vector, and up/conv_transpose2d#0"):
        found(lambda y: y.flatten(1))


def test_labels_have_no_gradient_for_a_fast_diagnosis() -> None:
    with pytest.raises(ModelError, match=r"gives no gradient .*; leave fast out"):
        found(lambda y: y.argmax(1), fast=True)


def test_a_fast_diagnosis_of_a_map_is_that_of_its_pixels() -> None:
    depth, pixels = (found(lambda y, keep=keep: 30 * y.mean(1, keep), fast=True) for keep in (False, True))
    assert depth.sites[0].effect.value == pytest.approx(pixels.sites[0].effect.value, rel=1e-4)


def test_three_classes_of_a_scan_are_no_film() -> None:
    """They have three channels and as many voxels as the scan; a film that latents are decoded to has more."""
    torch.manual_seed(0)
    up = torch.nn.Sequential(
        torch.nn.ConvTranspose3d(1, 3, 2, 2), torch.nn.AvgPool3d(2), torch.nn.ConvTranspose3d(3, 3, 2, 2)
    )
    segments = torch.nn.Sequential(torch.nn.Conv3d(1, 4, 3, 2, 1), torch.nn.ConvTranspose3d(4, 3, 2, 2))
    assert artifactlab.diagnose(segments, torch.rand(1, 1, 32, 32, 32)).directions == ("z", "y", "x")
    assert artifactlab.diagnose(up, torch.rand(1, 1, 16, 16, 16)).directions == ("t", "y", "x")


def test_a_layout_that_cannot_be_is_named_in_the_error() -> None:
    with pytest.raises(ArtifactLabError, match=r"is 3x128 pixels \(its axes read as NHWC\), too small"):
        artifactlab.diagnose(Net(lambda y: y), IMAGE, layout="NHWC")
