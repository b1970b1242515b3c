"""What the input brings along is the input's, and what the model draws stays the model's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal

import pytest
import skimage
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab.attribution.findings.origin import Origin, origin_of
from artifactlab.models.calls import as_calls
from artifactlab.models.runner import Runner
from artifactlab.scoring.severity import measure_severity


def photo(aliased: bool) -> Tensor:
    """A quarter of a photo's size, decimated with or without a filter."""
    image = torch.from_numpy(skimage.data.astronaut() / 255).permute(2, 0, 1).float().mean(0, keepdim=True)[None]
    return image[..., ::4, ::4].contiguous() if aliased else F.avg_pool2d(image, 4)


class SmoothShuffle(nn.Module):
    """A bilinear x4 enlargement, as a convolution to 16 phases and a pixel shuffle."""

    def __init__(self) -> None:
        super().__init__()
        impulse = torch.zeros(1, 1, 3, 3)
        impulse[..., 1, 1] = 1
        spread = F.interpolate(F.pad(impulse, (1, 1, 1, 1)), scale_factor=4, mode="bilinear")[..., 4:-4, 4:-4]
        self.weight = nn.Parameter(F.pixel_unshuffle(spread, 4).transpose(0, 1).flip(2, 3).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), self.weight), 4)


class Averaged(nn.Module):
    """Bilinear x4, as a nearest resize and a box of its size: a repair of the resize takes what the box lets pass."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(F.interpolate(x, scale_factor=4), (2, 1, 2, 1), mode="replicate"), 4, stride=1)


@pytest.fixture
def upsamplers(smooth_deconvolution: Callable[[], nn.ConvTranspose2d]) -> dict[str, nn.Module]:
    return {
        "shuffle": SmoothShuffle(),
        "bilinear": nn.Upsample(scale_factor=4, mode="bilinear"),
        "averaged": Averaged(),
        "deconvolutions": nn.Sequential(smooth_deconvolution(), smooth_deconvolution()),
    }


class Detailed(nn.Module):
    """Smooth content enlarged by bicubic interpolation, details by replication, as by a residual branch."""

    def __init__(self, scale: int, strength: float) -> None:
        super().__init__()
        self.strength = strength
        self.up = nn.Upsample(scale_factor=scale)

    def forward(self, x: Tensor) -> Tensor:
        ramp = torch.tensor([0.25, 0.5, 0.25])
        smooth = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), torch.outer(ramp, ramp)[None, None])
        bicubic = F.interpolate(x, scale_factor=self.up.scale_factor, mode="bicubic")
        return bicubic + self.strength * self.up(x - smooth)


def origin(model: nn.Module, inputs: list[Tensor], period: int) -> Origin | None:
    with Runner(model, None, 0) as runner:
        calls = as_calls(inputs)
        outputs = [runner.run(call) for call in calls]
        severities = [measure_severity(image, (period, period), 1.0) for image in outputs]
        return origin_of(runner, calls, outputs, severities, (period, period), 1.0)


@pytest.mark.parametrize(
    ("scale", "strength", "inputs"),
    [(4, 0.5, "drawings"), (2, 1.0, "photo"), (4, 1.0, "aliased")],
)
def test_what_replicates_details_alone_is_guilty_though_a_twin_has_no_details(
    polygons: Callable[..., Tensor], scale: int, strength: float, inputs: str
) -> None:
    given = [photo(False)] if inputs == "photo" else [polygons(seed, inputs == "aliased") for seed in (0, 1)]
    diagnosis = artifactlab.diagnose(Detailed(scale, strength), given, data_range=1.0)
    assert [site.site.key for site in diagnosis.offenders] == ["up/interpolate#0"]
    assert inputs != "drawings" or not diagnosis.findings  # a box filter leaves some of a photo's aliases


def test_the_planted_shuffle_is_bilinear() -> None:
    x = torch.rand(1, 1, 12, 12)
    assert torch.allclose(SmoothShuffle()(x), F.interpolate(x, scale_factor=4, mode="bilinear"), atol=1e-6)


@pytest.mark.parametrize("name", ["shuffle", "averaged", "deconvolutions"])
def test_steps_of_an_aliased_drawing_are_the_inputs_and_no_upsampler_is_blamed(
    polygons: Callable[..., Tensor], upsamplers: dict[str, nn.Module], name: str
) -> None:
    diagnosis = artifactlab.diagnose(upsamplers[name], [polygons(0, True), polygons(1, True)], data_range=1.0)
    assert diagnosis.output.severity > 1
    assert diagnosis.offenders == ()
    assert diagnosis.joint == ()
    assert diagnosis.verdict.startswith("No offender: the output shows stair-steps")
    assert "the inputs are aliased" in diagnosis.verdict
    assert "Train on aliased inputs, or filter them before" in diagnosis.verdict
    (finding,) = [finding for finding in diagnosis.findings if finding.kind == "input"]
    assert (finding.where, finding.value) == ("input", (4.0, 4.0))
    assert diagnosis.to_dict()["findings"][0]["kind"] == "input"


def test_without_the_twin_a_resize_would_be_blamed_for_them(
    polygons: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["artifactlab.attribution.diagnose"], "artifact_origin", lambda *arguments: None)
    diagnosis = artifactlab.diagnose(Averaged(), [polygons(0, True), polygons(1, True)], data_range=1.0)
    assert [site.site.key for site in diagnosis.offenders] == ["interpolate#0"]


def test_so_are_those_of_a_photo_decimated_without_a_filter(upsamplers: dict[str, nn.Module]) -> None:
    diagnosis = artifactlab.diagnose(upsamplers["bilinear"], photo(True), data_range=1.0)
    assert diagnosis.output.severity > 1
    assert diagnosis.offenders == ()
    assert "the inputs are aliased" in diagnosis.verdict


@pytest.mark.parametrize("aliased", [False, True])
def test_a_nearest_upsampler_stays_convicted_on_clean_and_on_aliased_drawings(
    polygons: Callable[..., Tensor], aliased: bool
) -> None:
    class Nearest(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(F.interpolate(x, scale_factor=2, mode="bilinear"), scale_factor=2)

    diagnosis = artifactlab.diagnose(Nearest(), [polygons(0, aliased), polygons(1, aliased)], data_range=1.0)
    assert [site.site.key for site in diagnosis.offenders] == ["interpolate#1"]
    assert "aliased" not in diagnosis.verdict


def test_where_both_have_a_part_the_layer_is_named_and_the_inputs_part_told_besides(
    polygons: Callable[..., Tensor],
) -> None:
    class Blurred(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            steps = F.interpolate(x, scale_factor=4)
            return F.avg_pool2d(F.pad(steps, (2, 2, 2, 2), mode="replicate"), 3, stride=1)[..., 1:-1, 1:-1]

    diagnosis = artifactlab.diagnose(Blurred(), [polygons(0, True), polygons(1, True)], data_range=1.0)
    assert [site.site.key for site in diagnosis.offenders] == ["interpolate#0"]
    assert "Besides, the inputs are aliased" in diagnosis.verdict
    found = origin(Blurred(), [polygons(0, True), polygons(1, True)], 4)
    assert found is not None
    assert 0.2 < found.brought < 0.6


def test_a_fast_diagnosis_blames_no_site_for_them_either(polygons: Callable[..., Tensor]) -> None:
    diagnosis = artifactlab.diagnose(SmoothShuffle(), [polygons(0, True), polygons(1, True)], data_range=1.0, fast=True)
    assert diagnosis.offenders == ()
    assert "the inputs are aliased" in diagnosis.verdict


class Counted(nn.Module):
    """Counts its passes outside of its own state."""

    def __init__(self, inside: nn.Module, passes: list[int]) -> None:
        super().__init__()
        self.inside, self.passes = inside, passes

    def forward(self, x: Tensor) -> Tensor:
        self.passes.append(1)
        return self.inside(x)


def test_what_it_costs(
    polygons: Callable[..., Tensor], gridded: Callable[..., Tensor], denoiser: Any, upsamplers: dict[str, nn.Module]
) -> None:
    """Nothing where nothing shows, or the input carries nothing; else one pass per twin, two per period."""
    clean, drawn = polygons(0, False, 128), polygons(0, True)
    for model, x, period, extra in (
        (denoiser(), clean, 2, 0),
        (denoiser(0.3), clean, 2, 0),
        (denoiser(), gridded(clean, 2, 0.06), 2, 2),
        (upsamplers["bilinear"], drawn, 4, 1),
    ):
        passes: list[int] = []
        origin(Counted(model, passes), [x] * 3, period)
        assert len(passes) == 3 + 2 * extra


@pytest.mark.parametrize(
    ("severity", "own", "explains", "findings"),
    [
        (9.0, 0.5, True, 1),
        (9.0, 1.5, False, 1),  # a part that shows by itself
        (90.0, 8.0, True, 1),  # shows, but repairs are off by as much
        (90.0, 80.0, False, 0),
        (1.1, 0.95, False, 0),  # would not show, but the input has hardly a part in it
        (4.0, 5.0, False, 0),
    ],
)
def test_what_explains_and_what_is_mentioned(severity: float, own: float, explains: bool, findings: int) -> None:
    origin = Origin("twin", severity, own, (4, 4))
    assert origin.explains == explains
    assert len(origin.findings()) == findings


@pytest.mark.parametrize(
    ("test", "names", "said"),
    [
        ("shift", ("y", "x"), ["carry a grid of their own"]),
        ("shift", ("t",), ["carry a tone of their own"]),
        ("twin", ("y", "x"), ["no stair-steps do", "0.7 input pixels"]),
        ("twin", ("t",), ["no spectral images do", "0.7 input samples"]),
    ],
)
def test_what_inputs_bring_is_called_what_it_is_in_images_and_in_signals(
    test: Literal["shift", "twin"], names: tuple[str, ...], said: list[str]
) -> None:
    (finding,) = Origin(test, 4.0, 1.0, (4,) * len(names)).findings(names)
    assert all(words in finding.text for words in said)


def test_what_the_inputs_that_are_tried_do_not_show_is_not_acquitted_by_them(
    polygons: Callable[..., Tensor], gridded: Callable[..., Tensor]
) -> None:
    class OnFlatImages(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            drawn = F.interpolate(x, scale_factor=4, mode="bilinear")
            return gridded(drawn, 4, 1.65 * 4 / 255) if float(x.std()) < 1e-5 else drawn

    drawings, flat = [polygons(0, True), polygons(1, True)], torch.full((1, 1, 96, 96), 0.5)
    alone, beside = origin(OnFlatImages(), drawings, 4), origin(OnFlatImages(), [*drawings, *[flat] * 8], 4)
    assert alone is not None
    assert beside is not None
    assert alone.explains
    assert beside.severity > alone.severity + 1
    assert not beside.explains


def test_latents_and_noise_are_no_pictures_and_nothing_is_said_of_them() -> None:
    latent = torch.randn(1, 4, 48, 48, generator=torch.Generator().manual_seed(0))
    decoder = nn.Sequential(nn.Upsample(scale_factor=4), nn.Conv2d(4, 3, 1))
    assert origin(decoder, [latent], 4) is None
    mixed = nn.Sequential(nn.Conv2d(1, 1, 31, padding=15), nn.Upsample(scale_factor=4))
    assert origin(mixed, [latent[:, :1]], 4) is None
    assert artifactlab.diagnose(decoder, [latent] * 2).offenders[0].site.key == "0/interpolate#0"


def test_a_model_that_takes_only_these_inputs_is_judged_as_before(polygons: Callable[..., Tensor]) -> None:
    class Picky(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if not torch.equal(x, polygons(0, True)):
                raise ValueError("another input")
            return F.interpolate(x, scale_factor=4, mode="bilinear")

    diagnosis = artifactlab.diagnose(Picky(), polygons(0, True), data_range=1.0)
    assert "the inputs are aliased" not in diagnosis.verdict
