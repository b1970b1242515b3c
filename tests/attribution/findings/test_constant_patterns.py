"""What biases and embeddings of positions draw whatever the input, told from what follows the content, and named."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.findings.constant_patterns import _finding, constant_patterns
from artifactlab.attribution.findings.pattern_causes import Cause
from artifactlab.attribution.findings.phase_patterns import phase_pattern
from artifactlab.attribution.records import Finding
from artifactlab.metrics import spectral_images
from artifactlab.models.calls import as_calls, constant_call
from artifactlab.models.runner import Runner
from artifactlab.scoring.severity import measure_severity


def scene(side: int, shift: float = 0.0) -> Tensor:
    """A smooth scene of a slanted edge and a disc, (1, 1, side, side)."""
    t = torch.arange(float(side))
    y, x = t[:, None], t[None, :]
    edge = torch.sigmoid((y * math.cos(0.4) + x * math.sin(0.4) - 0.6 * side - shift) / 2)
    disc = torch.sigmoid((side / 4 - torch.hypot(y - side / 3, x - 0.6 * side)) / 2)
    return (0.25 + 0.3 * edge + 0.25 * disc)[None, None]


class Shuffling(nn.Module):
    """A residual upscaler whose shuffle serves all phases alike, but for what is planted in a bias or the weights."""

    def __init__(self, bias: float = 0.0, weight: float = 0.0, scale: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scale = scale
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2d(8, scale**2, 3, padding=1)
        for parameter in (self.head.weight, self.head.bias):
            parameter.data = parameter.data[:1].repeat_interleave(scale**2, 0).clone()
        self.head.bias.data += bias * torch.randn(scale**2)
        self.head.weight.data *= 1 + weight * torch.randn(scale**2, 1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        smooth = F.interpolate(x, scale_factor=self.scale, mode="bilinear")
        return 0.8 * smooth + F.pixel_shuffle(self.head(self.body(x)), self.scale)


class Tokens(nn.Module):
    """A decoder of patches of 4x4 pixels with an embedding of positions, periodic in two patches, or white."""

    def __init__(self, height: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch = nn.Conv2d(1, 16, 4, 4)
        self.pos_embed = nn.Parameter(0.005 * torch.randn(1, 32 * 32, 16))
        self.pos_embed.data.view(32, 32, 16)[::2, ::2] += height
        self.block = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
        self.head = nn.Linear(16, 16)
        self.head.weight.data[:] = 3 * self.head.weight.data.mean(0, keepdim=True)
        self.head.bias.data.zero_()

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2) + self.pos_embed
        tokens = self.head(tokens + 0.1 * self.block(tokens))
        patches = tokens.view(-1, 32, 32, 1, 4, 4).permute(0, 3, 1, 4, 2, 5)
        return 0.5 * x + 0.3 * patches.reshape(-1, 1, 128, 128)


def named(diagnosis: Diagnosis) -> list[Finding]:
    return [finding for finding in diagnosis.findings if finding.kind == "constant pattern"]


def found(model: nn.Module, inputs: Any, period: int) -> tuple[Finding, ...]:
    with Runner(model, None, 0) as runner:
        calls = as_calls(inputs)
        outputs = [runner.run(call) for call in calls]
        severity = measure_severity(torch.cat(outputs), (period, period), 1.0)
        return constant_patterns(runner, calls, outputs, severity, (period, period), 1.0)


def test_a_bias_before_a_shuffle_is_named_beside_the_layer() -> None:
    diagnosis = artifactlab.diagnose(Shuffling(bias=0.02), [scene(64), scene(64, 9)], data_range=1.0)
    assert [site.site.key for site in diagnosis.offenders] == ["pixel_shuffle#0"]
    (finding,) = named(diagnosis)
    assert (finding.where, finding.value, finding.error) == ("head.bias", (4.0, 4.0), (0.0, 0.0))
    assert "the same whatever the input, and 100% of it goes without head.bias" in diagnosis.verdict
    assert "bias=False" in finding.text
    assert diagnosis.to_dict()["findings"][-1]["kind"] == "constant pattern"


def test_an_embedding_of_positions_is_named_at_a_period_that_no_site_has() -> None:
    diagnosis = artifactlab.diagnose(Tokens(0.3), [scene(128), scene(128, 9)], data_range=1.0)
    (finding,) = named(diagnosis)
    assert (finding.where, finding.value) == ("pos_embed", (8.0, 8.0))
    assert "goes without pos_embed" in diagnosis.verdict
    assert "shifted crops" in finding.text
    assert not [other for other in diagnosis.findings if other.kind == "seam" and other.value == finding.value]


def test_an_embedding_that_is_the_same_for_all_tokens_draws_the_patches_own_grid() -> None:
    model = Tokens(0.0)
    model.pos_embed.data += 1.5 * model.head.weight.data[0].sign()  # the mean over positions is as constant as a bias
    model.head.weight.data *= 1 + 0.05 * torch.randn(16, 1)
    (finding,) = named(artifactlab.diagnose(model, [scene(128), scene(128, 9)], data_range=1.0))
    assert (finding.where, finding.value) == ("pos_embed", (4.0, 4.0))


def test_a_buffer_of_a_decoder_from_latents_is_named() -> None:
    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.Upsample(scale_factor=4, mode="bilinear")
            grid = torch.zeros(1, 1, 64, 64)
            grid[..., ::4, ::4] = 0.3
            self.register_buffer("places", grid)

        def forward(self, z: Tensor) -> Tensor:
            return self.up(z.mean(1, keepdim=True) + self.places)

    latent = F.interpolate(torch.rand(1, 4, 8, 8), scale_factor=8, mode="bilinear")
    (finding,) = named(artifactlab.diagnose(Decoder(), [latent, latent.flip(3)], data_range=1.0))
    assert (finding.where, finding.value) == ("places", (16.0, 16.0))


def test_a_generator_from_vectors_is_run_on_their_mean() -> None:
    class Generator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(8, 4 * 16 * 16)
            self.up = Shuffling(bias=0.02)

        def forward(self, z: Tensor) -> Tensor:
            seed = self.first(z).view(-1, 4, 16, 16).mean(1, keepdim=True)
            return self.up(F.interpolate(seed, scale_factor=2, mode="bilinear"))

    (finding,) = named(artifactlab.diagnose(Generator(), torch.randn(4, 8), data_range=1.0))
    assert finding.where == "up.head.bias"


@pytest.mark.parametrize(
    ("model", "side"),
    [
        (Shuffling(), 64),
        (Shuffling(weight=0.6), 64),  # as strong as the features: the layer's own, and what follows the content
        (Tokens(0.0), 128),
    ],
    ids=["healthy", "weights", "tokens"],
)
def test_a_healthy_net_and_uneven_weights_draw_no_constant_pattern(model: nn.Module, side: int) -> None:
    assert named(artifactlab.diagnose(model, [scene(side), scene(side, 9)], data_range=1.0)) == []


def test_a_grid_that_follows_the_content_is_none_though_a_constant_input_has_it() -> None:
    """A constant input shows it as well, and no bias is to blame."""

    class Uneven(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(1, 1, 2, 2)
            self.up.weight.data = torch.tensor([[[[1.1, 1.0], [1.0, 1.0]]]])

        def forward(self, x: Tensor) -> Tensor:
            return self.up(x)

    assert artifactlab.diagnose(Uneven(), scene(64), data_range=1.0).output.lattice_amplitude > 3 / 255
    assert found(Uneven(), scene(64), 2) == ()


def test_what_multiplies_and_what_a_kernel_turns_into_a_grid_are_no_biases() -> None:
    """A norm before an uneven transposed convolution: nothing is left without its scale; its shift has no phases."""
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.ConvTranspose2d(8, 8, 3, 2, 1, 1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1)),
    )
    model[1].bias.data[:] = 0.3
    diagnosis = artifactlab.diagnose(model, scene(64))
    assert [site.site.key for site in diagnosis.offenders] == ["3/conv_transpose2d#0"]
    assert named(diagnosis) == []


def test_a_shift_of_a_norm_before_a_shuffle_is_named_and_not_its_scale() -> None:
    class Normed(Shuffling):
        def __init__(self) -> None:
            super().__init__()
            self.head.bias = None
            self.norm = nn.BatchNorm2d(16)
            self.norm.bias.data += 0.02 * torch.randn(16)

        def forward(self, x: Tensor) -> Tensor:
            smooth = F.interpolate(x, scale_factor=4, mode="bilinear")
            return 0.8 * smooth + F.pixel_shuffle(self.norm(self.head(self.body(x))), 4)

    (finding,) = named(artifactlab.diagnose(Normed(), [scene(64), scene(64, 9)], data_range=1.0))
    assert finding.where == "norm.bias"


def test_a_sites_own_grid_is_not_found_again_at_a_multiple_of_its_period() -> None:
    """The input brings blocks of 4, which make the search name 4; what stands on constant inputs is of period 2."""

    class Denoiser(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(1, 1, 2, 2, bias=False)
            self.up.weight.data = torch.tensor([[[[1.2, 1.0], [1.0, 1.0]]]])

        def forward(self, x: Tensor) -> Tensor:
            return 0.5 * x + 0.5 * self.up(F.avg_pool2d(x, 2))

    blocks = torch.zeros(4, 4)
    blocks[0, 0] = 0.02
    image = scene(128) + blocks.repeat(32, 32)
    assert spectral_images(image).period.item() == 4
    assert found(Denoiser(), image, 2) == ()


def test_rings_that_zero_padding_draws_on_a_constant_input_are_no_pattern() -> None:
    class Rings(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(1, 1, 4, 2, 1, bias=False)
            ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
            self.up.weight.data = torch.outer(ramp, ramp)[None, None].clone()
            self.rings = nn.Conv2d(1, 1, 9, padding=4)
            self.rings.weight.data[:] = 1 / 81

        def forward(self, x: Tensor) -> Tensor:
            return self.rings(self.up(self.rings(x)))

    with Runner(Rings(), None, 0) as runner:
        flat = runner.run(constant_call(as_calls(scene(64))[0], 1.0))
        assert float(flat.std()) > 0.01
        assert float(phase_pattern(flat, (2, 2)).abs().max()) < 1e-6
    assert found(Rings(), scene(64), 2) == ()


def test_what_it_costs_and_that_no_trace_is_left() -> None:
    for model, passes in ((Shuffling(), 1), (Shuffling(bias=0.02), 4)):
        state = {key: value.clone() for key, value in model.state_dict().items()}
        count: list[int] = []
        model.body[0].register_forward_pre_hook(lambda *arguments, count=count: count.append(1))
        found(model, scene(64), 4)
        assert len(count) == passes  # the given one; the mean and half of it; without the bias
        assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
        assert isinstance(model.head.bias, nn.Parameter)
        assert not model._forward_pre_hooks
        assert not any(module._forward_hooks for module in model.modules())


def test_constant_calls_keep_what_is_no_image_beside_images() -> None:
    image, time, label = torch.rand(2, 3, 8, 8), torch.rand(2), torch.arange(2)
    (call,) = as_calls((image, time, {"label": label, "other": [image + 1]}))
    flat = constant_call(call, 0.5)
    assert flat.args[0].shape == image.shape
    assert torch.allclose(flat.args[0][1, :, 3, 4], 0.5 * image.mean((0, 2, 3)))
    assert torch.allclose(flat.args[2]["other"][0][0, :, 0, 0], 0.5 * (image + 1).mean((0, 2, 3)))
    assert flat.args[1] is time
    assert flat.args[2]["label"] is label
    tokens = torch.rand(2, 5, 3)
    (call,) = as_calls((tokens, label))
    assert torch.allclose(constant_call(call, 1.0).args[0][1, 4], tokens.mean((0, 1)))
    assert constant_call(call, 0.0).args[1] is label


def test_a_pattern_of_phases_is_counted_from_the_images_first_pixel() -> None:
    board = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]).repeat(25, 25)[None, None]
    pattern = phase_pattern(board, (2, 3))
    expected = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]) - 1 / 6
    assert torch.allclose(pattern[0], expected, atol=0.02)


def test_a_model_that_takes_no_constant_input_is_judged_as_before() -> None:
    class Picky(Shuffling):
        def forward(self, x: Tensor) -> Tensor:
            if float(x.std()) < 1e-5:
                raise ValueError("no content")
            return super().forward(x)

    diagnosis = artifactlab.diagnose(Picky(bias=0.02), [scene(64), scene(64, 9)], data_range=1.0)
    assert [site.site.key for site in diagnosis.offenders] == ["pixel_shuffle#0"]
    assert named(diagnosis) == []


def test_a_pattern_is_told_in_the_words_of_the_verdict() -> None:
    cause = Cause("classes.weight", 0.9, bias=False)
    assert _finding((1, 4, 4), 0.01, cause, ("t", "y", "x")).text.startswith("a grid of period t 1, y 4, x 4 (2.6/255 ")
    assert _finding((4, 4), 0.01, cause, ("y", "x")).text.startswith("a grid of period 4 (2.6/255 rms) is the same")
    assert _finding((8,), 0.01, None, ("t",)).text.startswith("a tone of period 8 (-40 dB rms) is the same")
    assert "one of classes or times" in _finding((4, 4), 0.01, cause, ("y", "x")).text
