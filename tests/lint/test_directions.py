"""Signals, images and volumes: each rule finds its planted defect in one, two and three directions, and no other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab import LintFinding, lint

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
DECONV = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
FUNCTIONS = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
EACH = pytest.mark.parametrize("directions", [1, 2, 3])


def interpolating(directions: int, channels: int = 4) -> nn.Module:
    """A transposed convolution all of whose phases sum to one."""
    kernel = ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
    for _ in range(directions - 1):
        kernel = kernel[..., None] * ramp
    layer = DECONV[directions](channels, channels, 4, 2, 1, bias=False)
    weight = torch.eye(channels).view(channels, channels, *[1] * directions) * kernel
    layer.weight = nn.Parameter(weight.contiguous())
    return layer


def one(model: nn.Module, rule: str, *, trained: bool = True) -> LintFinding:
    (finding,) = (finding for finding in lint(model, trained=trained) if finding.rule == rule)
    return finding


@EACH
@pytest.mark.parametrize("functional", [False, True], ids=["module", "function"])
def test_a_kernel_that_is_no_multiple_of_its_stride_overlaps_unevenly(
    directions: int, functional: bool, net: Any, number: Any, found: Any
) -> None:
    def model(kernel: int) -> nn.Module:
        up = DECONV[directions](4, 4, kernel, 2)
        call = FUNCTIONS[directions]
        return net(lambda self, x: call(x, self.up.weight, stride=2), up=up) if functional else up

    assert number(model(3), "uneven-overlap") == (0.5,) * directions
    assert found(model(4), "uneven-overlap") == []


@EACH
def test_phases_that_sum_up_alike_are_no_finding_and_others_are(directions: int, found: Any) -> None:
    healthy, broken = interpolating(directions), interpolating(directions)
    with torch.no_grad():
        broken.weight[..., ::2] *= 3  # every other phase of the last direction
    for trained in (True, False):
        assert found(nn.Sequential(healthy), "unequal-sums", trained=trained) == []
        assert found(nn.Sequential(broken), "unequal-sums", trained=trained) == ["0"]


@EACH
def test_align_corners_is_named_with_its_shift(directions: int, number: Any, found: Any) -> None:
    shifted, straight = (nn.Upsample(None, 3.0, LINEAR[directions], corners) for corners in (True, False))
    assert number(shifted, "align-corners") == (1.0,) * directions
    assert found(straight, "align-corners") == []


@EACH
def test_bare_blocks_are_named_with_a_side_per_direction(directions: int, number: Any, found: Any) -> None:
    point, wide = (CONV[directions](4, 4, kernel, padding="same") for kernel in (1, 3))
    up = nn.Upsample(scale_factor=2)  # written alike for all
    assert number(nn.Sequential(point, up, nn.ReLU()), "bare-nearest") == (2.0,) * directions
    assert found(nn.Sequential(point, up, nn.ReLU(), wide), "bare-nearest") == []


@EACH
def test_zeros_beyond_the_border_of_an_upsamplers_convolution_are_noted(directions: int, number: Any) -> None:
    conv = CONV[directions](4, 4, 5, padding=2)
    assert number(nn.Sequential(nn.Upsample(scale_factor=2), conv), "border") == (2.0,) * directions
    assert number(DECONV[directions](4, 4, 6, 2, 1), "border") == (3.0,) * directions


def test_directions_are_named_where_they_differ() -> None:
    kernel, stride = one(DECONV[3](4, 4, (4, 3, 3), 2), "uneven-overlap"), DECONV[3](4, 4, (3, 3, 4), (1, 2, 2))
    assert kernel.detail == "kernel 4x3x3, stride 2x2x2: 2:2 (t/z) and 2:1 (y) and 2:1 (x) taps per phase"
    assert kernel.number == (1.0, 0.5, 0.5)
    assert one(stride, "uneven-overlap").number == (1.0, 0.5, 1.0)
    assert "kernel sums of the 4 phases along y and x differ" in one(stride, "unequal-sums").detail


@pytest.mark.parametrize(("index", "name"), [(0, "t/z"), (1, "y"), (2, "x")])
def test_the_direction_that_has_the_lattice_is_named(index: int, name: str) -> None:
    layer = interpolating(3)
    with torch.no_grad():
        layer.weight.movedim(2 + index, 0)[::2] *= 2
    assert one(layer, "unequal-sums").detail.endswith(f", mostly along {name}")


def test_a_signals_lattice_is_a_tone_where_the_layer_puts_one() -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose1d(8, 1, 16, 8, 4, bias=False)
    with torch.no_grad():
        signal = layer(torch.randn(1, 8, 1).expand(-1, -1, 512))[0, 0, 64:-64]  # beyond the border
    spectrum = torch.fft.rfft(signal).abs()[1:]
    tones = 1 + (spectrum > 1e-3 * spectrum.max()).nonzero().flatten()
    assert set((8 * tones / len(signal)).tolist()) <= {1.0, 2.0, 3.0, 4.0}  # 1/8 of the rate and its harmonics
    assert "a tone at 1/8 of the sampling rate" in one(layer, "unequal-sums", trained=False).detail
    assert "tone" not in one(nn.ConvTranspose2d(4, 4, 3, 2), "unequal-sums").detail


def test_blocks_are_bare_along_each_direction_that_no_convolution_is_wide_in(number: Any, found: Any) -> None:
    def upsampled(*kernels: tuple[int, int, int], scale: Any = 2) -> nn.Module:
        convs = [nn.Conv3d(4, 4, kernel, padding="same") for kernel in kernels]
        return nn.Sequential(nn.Conv3d(4, 4, 1), nn.Upsample(scale_factor=scale), *convs)

    assert one(upsampled((3, 1, 1)), "bare-nearest").detail.endswith(
        "than one pixel along y and x on the way to the output"
    )
    assert one(upsampled((1, 3, 3)), "bare-nearest").detail.endswith(
        "than one pixel along t/z on the way to the output"
    )
    assert found(upsampled((1, 3, 3), (3, 1, 1)), "bare-nearest") == []  # a factorised one is wide in all
    assert found(upsampled((1, 3, 3), scale=(1, 2, 2)), "bare-nearest") == []
    assert number(upsampled((3, 1, 1), scale=(1, 2, 2)), "bare-nearest") == (1.0, 2.0, 2.0)


def test_convolutions_of_a_videos_frames_are_taken_to_smooth_blocks(net: Any, found: Any) -> None:
    parts = {"first": nn.Conv3d(4, 4, 1), "frame": nn.Conv2d(4, 4, 3, padding=1)}
    model = net(lambda self, x: self.frame(F.interpolate(self.first(x), scale_factor=2)), **parts)
    assert found(model, "bare-nearest") == []


@pytest.mark.parametrize(
    ("dim", "scale"),
    [(2, (2.0, 1.0, 1.0)), (3, (1.0, 2.0, 1.0)), (-1, (1.0, 1.0, 2.0)), (0, None), (1, None), (-4, None)],
)
def test_repeated_samples_are_bare_along_their_axis(dim: int, scale: Any, net: Any, found: Any, number: Any) -> None:
    for repeat in (lambda x: x.repeat_interleave(2, dim=dim), lambda x: torch.repeat_interleave(x, 2, dim)):
        model = net(lambda self, x, repeat=repeat: repeat(self.conv(x)), conv=nn.Conv3d(4, 4, 1))
        assert found(model, "bare-nearest") == (["repeat_interleave#0"] if scale else [])
        if scale:
            assert number(model, "bare-nearest") == scale


def test_repeats_that_only_the_input_knows_are_no_lattice(net: Any) -> None:
    model = net(lambda self, x: torch.repeat_interleave(x, x.sum(0).long(), dim=2))
    assert lint(model, trained=True) == ()


def test_a_strided_convolution_draws_none(found: Any) -> None:
    for directions, conv in CONV.items():
        assert lint(nn.Sequential(conv(4, 4, 3, 2, 1), conv(4, 4, 3)), trained=False) == (), directions


class Residual(nn.Module):
    """Of HiFi-GAN: dilated convolutions, added to what came in."""

    def __init__(self, channels: int, norm: Any) -> None:
        super().__init__()
        convs = (nn.Conv1d(channels, channels, 3, padding=step, dilation=step) for step in (1, 3))
        self.convs = nn.ModuleList(map(norm, convs))

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = x + conv(F.leaky_relu(x, 0.1))
        return x


class Vocoder(nn.Module):
    """The generator of HiFi-GAN in small."""

    def __init__(self, norm: Any, kernels: tuple[int, ...] = (16, 4)) -> None:
        super().__init__()
        self.conv_pre = norm(nn.Conv1d(8, 16, 7, padding=3))
        steps = ((16, 8, kernels[0], 8), (8, 4, kernels[1], 2))
        self.ups = nn.ModuleList(norm(nn.ConvTranspose1d(i, o, k, s, (k - s) // 2)) for i, o, k, s in steps)
        self.blocks = nn.ModuleList(Residual(channels, norm) for channels in (8, 8, 4, 4))
        self.conv_post = norm(nn.Conv1d(4, 1, 7, padding=3))

    def forward(self, mel: Tensor) -> Tensor:
        x = self.conv_pre(mel if mel.dim() == 3 else mel.unsqueeze(0))
        for index, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, 0.1))
            x = sum(block(x) for block in self.blocks[2 * index : 2 * index + 2]) / 2
        return torch.tanh(self.conv_post(F.leaky_relu(x)))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
@pytest.mark.parametrize(
    "norm",
    [lambda layer: layer, nn.utils.weight_norm, nn.utils.parametrizations.weight_norm],
    ids=["plain", "hooks", "parametrized"],
)
def test_a_vocoders_tones_are_found_with_every_kind_of_weight_norm(norm: Any, found: Any) -> None:
    model = Vocoder(norm)
    assert sorted(found(model, "unequal-sums", trained=False)) == ["ups.0", "ups.1"]
    assert found(model, "uneven-overlap") == found(model, "not-seen") == []
    assert found(Vocoder(norm, kernels=(16, 3)), "uneven-overlap") == ["ups.1"]


def test_a_vocoder_that_resizes_and_convolves_has_no_warning(net: Any) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=4.0, mode="nearest")))
        return x

    model = net(forward, convs=nn.ModuleList(nn.Conv1d(4, 4, 9, padding=4) for _ in range(2)))
    assert {finding.level for finding in lint(model, trained=False)} == {"note"}
