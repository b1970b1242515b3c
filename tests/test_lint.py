"""Lint finds each planted defect, leaves its clean counterpart alone, and leaves no trace on the model."""

from __future__ import annotations

import copy
import math
import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from artifactlab import LintFinding, ModelError, lint
from artifactlab.demo.unet import DemoUNet, broken, healthy
from artifactlab.lint_rules import RULES
from artifactlab.phases import shuffled_sums, taps_per_phase, transposed_sums, unequal_share

CONVOLVED = nn.Conv2d(4, 3, 3, padding=1, padding_mode="reflect")


class Net(nn.Module):
    """Named parts and a forward made of one function of (self, x)."""

    def __init__(self, forward: Callable[[Any, Tensor], Any], **parts: nn.Module) -> None:
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def found(model: nn.Module, rule: str, *, trained: bool = True) -> list[str]:
    """Sites that a rule names."""
    return [finding.site for finding in lint(model, trained=trained) if finding.rule == rule]


def number(model: nn.Module, rule: str, *, trained: bool = True) -> tuple[float, ...]:
    (finding,) = (finding for finding in lint(model, trained=trained) if finding.rule == rule)
    return finding.number


def bilinear(channels: int = 4) -> nn.ConvTranspose2d:
    """A transposed convolution all of whose phases sum to one."""
    layer = nn.ConvTranspose2d(channels, channels, 4, 2, 1)
    ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
    layer.weight = nn.Parameter((torch.eye(channels)[:, :, None, None] * torch.outer(ramp, ramp)).contiguous())
    return layer


def icnr(conv: nn.Conv2d, factor: int = 2) -> nn.Conv2d:
    """The convolution with one sub-kernel and one bias for all phases of a pixel shuffle."""
    with torch.no_grad():
        conv.weight.copy_(conv.weight[:: factor**2].repeat_interleave(factor**2, 0))
        if conv.bias is not None:
            conv.bias.copy_(conv.bias[:: factor**2].repeat_interleave(factor**2, 0))
    return conv


def flat_answer(layer: nn.Module, channels: int, period: tuple[int, int]) -> Tensor:
    """(in, out, phases): one period of a layer's output, far from its border, per input channel that is 1."""
    with torch.no_grad():
        images = torch.eye(channels, dtype=torch.float64)[:, :, None, None].expand(-1, -1, 24, 24)
        output = layer.double()(images) - layer(torch.zeros_like(images[:1]))
    top, left = output.shape[2] // 2, output.shape[3] // 2
    return output[:, :, top : top + period[0], left : left + period[1]].flatten(2)


def rms_share(answer: Tensor) -> float:
    values = answer.numpy()
    return float(np.sqrt(values.var(-1).mean() / np.square(values).mean()))


# --- rule by rule: a planted defect, and its clean counterpart ---


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "expected"),
    [
        (3, 2, 1, (0.5, 0.5)),
        (5, 3, 1, (0.5, 0.5)),
        ((4, 3), 2, 1, (1, 0.5)),
        (1, 2, 1, (0, 0)),  # holes
        (4, 2, 2, (0, 0)),  # all taps on the even pixels
        (5, (1, 4), 1, (1, 0.5)),
    ],
)
def test_uneven_overlap_is_told_per_axis(kernel: Any, stride: Any, dilation: int, expected: Any) -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, kernel, stride, dilation=dilation))
    assert number(model, "uneven-overlap") == expected


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(4, 2, 1), (2, 2, 1), (6, 3, 1), (4, 2, 3), (3, 1, 1)])
def test_even_overlap_is_no_finding(kernel: int, stride: int, dilation: int) -> None:
    assert found(nn.ConvTranspose2d(4, 4, kernel, stride, dilation=dilation), "uneven-overlap") == []


@given(kernel=st.integers(1, 12), stride=st.integers(1, 5), dilation=st.integers(1, 4))
def test_taps_per_phase_are_those_of_a_layer_of_ones(kernel: int, stride: int, dilation: int) -> None:
    length = 3 * stride * kernel * dilation
    ones = F.conv_transpose1d(torch.ones(1, 1, length), torch.ones(1, 1, kernel), stride=stride, dilation=dilation)
    middle = ones.shape[-1] // 2 // stride * stride
    assert ones[0, 0, middle : middle + stride].tolist() == taps_per_phase(kernel, stride, dilation)


def test_unequal_phase_sums_are_a_warning_and_equal_ones_nothing() -> None:
    uneven = bilinear()
    with torch.no_grad():
        uneven.weight[:, :, 1::2, 1::2] *= 5
    assert found(nn.Sequential(bilinear()), "unequal-sums") == []
    assert found(nn.Sequential(bilinear()), "unequal-sums", trained=False) == []
    (finding,) = (f for f in lint(nn.Sequential(uneven), trained=True) if f.rule == "unequal-sums")
    assert (finding.site, finding.level) == ("0", "warning")
    # sums 1, 1, 1, 5 of each pair: deviations 1, 1, 1, 3
    assert finding.number == pytest.approx((math.sqrt(12 / 28),))


def test_a_kernel_of_uneven_overlap_can_have_equal_sums() -> None:
    layer = nn.ConvTranspose2d(1, 1, 3, 2)
    ramp = torch.tensor([0.5, 1.0, 0.5])
    layer.weight = nn.Parameter(torch.outer(ramp, ramp)[None, None])
    assert found(layer, "uneven-overlap") == ["(model)"]
    assert found(layer, "unequal-sums") == []


def test_small_differences_of_trained_sums_are_notes_and_smaller_ones_nothing() -> None:
    levels = []
    for strength in (0.05, 0.3, 5.0):
        layer = bilinear()
        with torch.no_grad():
            layer.weight[:, :, 1::2, 1::2] *= 1 + strength
        levels.append([f.level for f in lint(layer, trained=True) if f.rule == "unequal-sums"])
    assert levels == [[], ["note"], ["warning"]]


@settings(max_examples=40, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2, 4]),
    padding=st.integers(0, 1),
    more=st.integers(0, 1),
    seed=st.integers(0, 1000),
)
def test_phase_sums_are_what_the_layer_answers_to_constants(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: int,
    groups: int,
    padding: int,
    more: int,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    more = min(more, *(max(s, dilation) - 1 for s in stride))
    layer = nn.ConvTranspose2d(4, 8, kernel, stride, padding, more, groups, dilation=dilation)
    answer = flat_answer(layer, 4, stride)
    answer = answer[answer.abs().sum(-1) > 0]  # pairs of channels in one group
    sums = transposed_sums(layer.weight, stride, (dilation, dilation))
    assert unequal_share(sums) == pytest.approx(rms_share(answer), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(factor=st.integers(2, 3), groups=st.sampled_from([1, 2]), bias=st.booleans(), seed=st.integers(0, 1000))
def test_shuffled_sums_are_what_layer_and_shuffle_answer_to_constants(
    factor: int, groups: int, bias: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    conv = nn.Conv2d(4, 4 * factor**2, 3, padding=1, groups=groups, bias=bias)
    layer = nn.Sequential(conv, nn.PixelShuffle(factor))
    answer = flat_answer(layer, 4, (factor, factor))
    pairs = answer[answer.abs().sum(-1) > 0]
    if bias:
        with torch.no_grad():
            zero = layer(torch.zeros(1, 4, 24, 24, dtype=torch.float64))
        pairs = torch.cat([pairs, zero[0, :, :factor, :factor].flatten(1)])
    sums = shuffled_sums(conv.weight, conv.bias, factor)
    assert unequal_share(sums) == pytest.approx(rms_share(pairs), abs=1e-9)


@given(stride=st.integers(1, 4), multiple=st.integers(1, 3), gain=st.floats(-5, 5))
def test_constant_kernels_of_a_multiple_of_the_stride_have_equal_sums(stride: int, multiple: int, gain: float) -> None:
    weight = torch.full((2, 3, stride * multiple, stride * multiple), gain)
    assert unequal_share(transposed_sums(weight, (stride, stride))) == pytest.approx(0, abs=1e-12)


@given(exponent=st.floats(-30, 30), sign=st.sampled_from([-1, 1]), seed=st.integers(0, 1000))
def test_no_gain_changes_the_number(exponent: float, sign: int, seed: int) -> None:
    weight = torch.randn(3, 4, 3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    plain, scaled = (unequal_share(transposed_sums(gain * weight, (2, 2))) for gain in (1, sign * 10**exponent))
    assert scaled == pytest.approx(plain, rel=1e-9)
    assert 0 <= plain <= 1


def test_unequal_shuffles_are_told_at_the_convolution() -> None:
    conv = icnr(nn.Conv2d(4, 16, 3))
    clean = nn.Sequential(conv, nn.PixelShuffle(2), CONVOLVED)
    assert found(clean, "unequal-shuffle") == []
    with torch.no_grad():
        conv.weight[3::4] *= 3
    assert found(clean, "unequal-shuffle") == ["0"]


def test_biases_alone_can_be_unequal() -> None:
    conv = icnr(nn.Conv2d(4, 16, 3))
    model = nn.Sequential(conv, nn.PixelShuffle(2))
    with torch.no_grad():
        conv.bias[::4] += 0.5
    for trained in (True, False):
        (finding,) = (f for f in lint(model, trained=trained) if f.rule == "unequal-shuffle")
        assert finding.detail.startswith("biases")
    conv.bias = None
    assert found(model, "unequal-shuffle") == []


def test_icnr_with_torchs_own_biases_is_named_before_training() -> None:
    conv = nn.Conv2d(64, 256, 3)
    bias = conv.bias.detach().clone()
    icnr(conv).bias = nn.Parameter(bias)
    assert found(nn.Sequential(conv, nn.PixelShuffle(2)), "unequal-shuffle", trained=False) == ["0"]


def test_an_untrained_shuffle_is_named_by_one_rule_only() -> None:
    model = nn.Sequential(nn.Conv2d(4, 16, 3), nn.ReLU(), nn.PixelShuffle(2))
    assert [f.rule for f in lint(model, trained=False)] == ["no-icnr"]
    assert [f.rule for f in lint(model, trained=True)] == ["unequal-shuffle"]
    icnr(model[0])
    assert lint(model, trained=False) == ()


def test_equal_sums_of_unlike_subkernels_are_no_icnr_but_equal() -> None:
    conv = icnr(nn.Conv2d(1, 4, 3, bias=False))
    with torch.no_grad():
        conv.weight[0] = conv.weight[0].flip(1)
    model = nn.Sequential(conv, nn.PixelShuffle(2))
    assert [f.rule for f in lint(model, trained=False)] == ["no-icnr"]
    assert lint(model, trained=True) == ()


@pytest.mark.parametrize("between", [nn.BatchNorm2d(16), nn.GroupNorm(4, 16), nn.PReLU(16), nn.Conv2d(16, 16, 1)])
def test_a_shuffle_behind_what_treats_channels_unlike_holds_nothing_against_the_convolution(between: nn.Module) -> None:
    conv = nn.Conv2d(4, 16, 3)
    sites = found(nn.Sequential(conv, between, nn.PixelShuffle(2)), "unequal-shuffle")
    assert "0" not in sites


@pytest.mark.parametrize("between", [nn.ReLU(True), nn.PReLU(), nn.Dropout(), nn.Identity(), nn.Tanh()])
def test_activations_dropout_and_identity_may_stand_between(between: nn.Module) -> None:
    model = nn.Sequential(nn.Conv2d(4, 16, 3), between, nn.PixelShuffle(2))
    assert found(model, "unequal-shuffle") == ["0"]


def test_a_depthwise_convolution_before_a_shuffle_has_nothing_to_equal() -> None:
    assert lint(nn.Sequential(nn.Conv2d(16, 16, 3, groups=16), nn.PixelShuffle(2)), trained=False) == ()


def test_align_corners_is_named_with_its_shift() -> None:
    model = nn.Sequential(nn.Upsample(scale_factor=4, mode="bilinear", align_corners=True))
    assert number(model, "align-corners") == (1.5, 1.5)
    assert found(nn.UpsamplingBilinear2d(scale_factor=2), "align-corners") == ["(model)"]
    sized = Net(lambda self, x: F.interpolate(x, (9, 9), None, "bicubic", True))
    assert number(sized, "align-corners") == ()


def test_the_shift_is_where_a_ramp_is_sampled() -> None:
    ramp = torch.arange(32.0)[None, None, None].expand(1, 1, 32, 32)
    up = nn.Upsample(scale_factor=4, mode="bilinear", align_corners=True)
    (shift, _) = number(up, "align-corners")
    middle = torch.arange(128) / 4 - 0.375  # of output pixels, in input pixels
    assert 4 * (up(ramp)[0, 0, 0] - middle).abs().max() == pytest.approx(shift)


@pytest.mark.parametrize(
    "model",
    [
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        nn.Upsample(scale_factor=0.5, mode="bilinear", align_corners=True),
        nn.Upsample(scale_factor=2, mode="trilinear", align_corners=True),
        nn.Upsample(scale_factor=2, mode="linear", align_corners=True),
        Net(lambda self, x: F.grid_sample(x, torch.zeros(1, 8, 8, 2), align_corners=True)),
    ],
)
def test_other_resizes_are_not_named_for_align_corners(model: nn.Module) -> None:
    assert found(model, "align-corners") == []


@pytest.mark.parametrize(
    ("forward", "named"),
    [
        (lambda self, x: torch.tanh(F.interpolate(self.conv(x), scale_factor=3)), True),
        (lambda self, x: self.point(F.interpolate(x, scale_factor=3)), True),
        (lambda self, x: self.conv(x) + F.interpolate(x, scale_factor=3), True),
        (lambda self, x: (up := F.interpolate(x, scale_factor=3)) + self.conv(up), True),
        (lambda self, x: self.norm(F.interpolate(x, scale_factor=3)).clamp(0, 1), True),
        (lambda self, x: {"image": F.interpolate(x, scale_factor=3)}, True),
        (lambda self, x: self.conv(F.relu(F.interpolate(x, scale_factor=3))), False),
        (lambda self, x: F.avg_pool2d(F.interpolate(x, scale_factor=3), 3, 1, 1), False),
        (lambda self, x: F.interpolate(x, scale_factor=3, mode="bilinear"), False),
        (lambda self, x: F.interpolate(x, scale_factor=0.5), False),
    ],
)
def test_nearest_blocks_that_reach_the_output_are_named(forward: Any, named: bool) -> None:
    parts = {"conv": nn.Conv2d(4, 4, 3, padding=1), "point": nn.Conv2d(4, 4, 1), "norm": nn.BatchNorm2d(4)}
    model = Net(forward, **parts)
    assert found(model, "bare-nearest") == (["interpolate#0"] if named else [])
    if named:
        assert number(model, "bare-nearest") == (3, 3)


@settings(max_examples=40, deadline=None)
@given(
    kernel=st.integers(1, 7),
    stride=st.integers(2, 3),
    padding=st.integers(0, 3),
    more=st.integers(0, 1),
)
def test_the_border_is_as_wide_as_the_frame_of_a_constant(kernel: int, stride: int, padding: int, more: int) -> None:
    layer = nn.ConvTranspose2d(1, 1, kernel, stride, padding, more, bias=False)
    nn.init.ones_(layer.weight)
    with torch.no_grad():
        row = layer(torch.ones(1, 1, 20, 20))[0, 0, stride * 10]
    inside = (torch.arange(len(row)) + padding) % stride
    complete = torch.tensor(taps_per_phase(kernel, stride), dtype=row.dtype)[inside] * row[len(row) // 2 :].max()
    complete *= 1 / taps_per_phase(kernel, stride)[0]
    missing = ((complete - row).abs() > 1e-3).nonzero().flatten()
    frame = max((int(min(i + 1, len(row) - i)) for i in missing), default=0)
    widths = [f.number for f in lint(layer, trained=True) if f.rule == "border"]
    assert widths == ([(frame, frame)] if frame else [])


def test_zero_padding_is_a_note_where_it_meets_a_lattice() -> None:
    zeros, reflect = (nn.Conv2d(4, 16, 5, padding=2, padding_mode=mode) for mode in ("zeros", "reflect"))
    assert number(nn.Sequential(icnr(zeros), nn.PixelShuffle(2)), "border") == (4, 4)
    assert found(nn.Sequential(icnr(reflect), nn.PixelShuffle(2)), "border") == []
    assert number(nn.Sequential(nn.Upsample(scale_factor=2), nn.ReLU(), zeros), "border") == (2, 2)
    assert found(nn.Sequential(nn.Upsample(scale_factor=2), reflect), "border") == []
    assert found(nn.Sequential(zeros, nn.ReLU()), "border") == []
    same = nn.Conv2d(4, 16, 4, padding="same")
    assert number(nn.Sequential(nn.Upsample(scale_factor=2), same), "border") == (2, 2)
    levels = {f.level for f in lint(nn.Sequential(nn.Upsample(scale_factor=2), zeros), trained=True)}
    assert levels == {"note"}


# --- what is seen ---


def test_functional_calls_with_weights_of_modules_are_seen_once() -> None:
    up = nn.ConvTranspose2d(4, 4, 3, 2)
    model = Net(lambda self, x: F.conv_transpose2d(x, self.up.weight, self.up.bias, stride=2), up=up)
    assert found(model, "uneven-overlap") == ["conv_transpose2d#0"]
    nested = nn.Sequential(nn.Identity(), model)
    assert found(nested, "uneven-overlap") == ["1/conv_transpose2d#0"]


def test_functional_shuffles_and_rescaled_weights_are_seen() -> None:
    conv = nn.Conv2d(4, 16, 3)
    shuffled = Net(lambda self, x: F.pixel_shuffle(F.leaky_relu(self.conv(x), 0.1) * 0.5, 2), conv=conv)
    assert found(shuffled, "unequal-shuffle") == ["conv"]
    equalised = Net(lambda self, x: F.conv_transpose2d(x, 0.5 * self.up.weight, stride=2), up=bilinear())
    assert found(equalised, "unequal-sums") == []


def test_calls_are_counted_per_module_and_op() -> None:
    model = Net(lambda self, x: F.interpolate(F.interpolate(x, scale_factor=3), scale_factor=2))
    assert found(model, "bare-nearest") == ["interpolate#0", "interpolate#1"]


def test_optional_arguments_take_their_defaults() -> None:
    class Optional(nn.Module):
        def forward(self, x: Tensor, skip: Tensor | None = None, scale: int = 2) -> Tensor:
            if skip is not None:
                x = torch.cat([x, skip], 1)
            return F.interpolate(x, scale_factor=scale) if scale > 1 else x

    assert number(Optional(), "bare-nearest") == (2, 2)


class Branching(nn.Module):
    """A block that cannot be followed."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(4, 16, 3)
        self.act = nn.ReLU()
        self.shuffle = nn.PixelShuffle(2)
        self.up = nn.ConvTranspose2d(4, 4, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        if x.mean() > 0:
            x = self.up(x)
        return self.shuffle(self.act(self.expand(x)))


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: nn.Sequential(nn.Identity(), m)], ids=["root", "inner"])
def test_what_cannot_be_followed_is_said_and_read_in_order(wrap: Any) -> None:
    model = wrap(Branching())
    prefix = "" if isinstance(model, Branching) else "1."
    findings = lint(model, trained=True)
    assert [f.site for f in findings if f.rule == "not-seen"] == [prefix.removesuffix(".") or "(model)"]
    assert found(model, "uneven-overlap") == [prefix + "up"]
    assert found(model, "unequal-shuffle") == [prefix + "expand"]
    assert len(found(model, "align-corners")) == 1  # seen before the forward was lost


def test_the_rest_of_a_model_is_followed_past_a_block_that_is_not() -> None:
    model = Net(lambda self, x: F.interpolate(self.block(x), scale_factor=2), block=Branching())
    assert found(model, "bare-nearest") == ["interpolate#0"]
    assert found(model, "not-seen") == ["block"]


def test_what_is_lost_deep_inside_costs_no_more_than_what_is_not() -> None:
    class Unpacking(nn.Module):
        """Goes over a number of outputs that nobody knows beforehand."""

        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Any:
            return list(self.inner(x))

    model: nn.Module = Branching()
    for _ in range(14):
        model = Unpacking(model)
    assert len(found(model, "uneven-overlap")) == 1
    assert len(found(model, "not-seen")) == 15


def test_a_model_that_is_followed_has_no_such_note() -> None:
    assert found(broken(), "not-seen") == []


def test_a_learned_constant_is_an_activation() -> None:
    class Start(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.start = nn.Parameter(torch.ones(1, 4, 8, 8))
            self.up = nn.ConvTranspose2d(4, 4, 3, 2)

        def forward(self, style: Tensor) -> Tensor:
            return style * F.interpolate(F.conv_transpose2d(input=self.start, weight=self.up.weight, stride=2), (9, 9))

    assert found(Start(), "uneven-overlap") == ["conv_transpose2d#0"]
    assert found(Start(), "bare-nearest") == ["interpolate#0"]


def test_parametrized_weights_in_functional_calls_are_seen() -> None:
    up = nn.utils.parametrizations.weight_norm(bilinear())
    model = Net(lambda self, x: F.conv_transpose2d(x, self.up.weight.flip(0), stride=2), up=up)
    assert found(model, "not-seen") == []
    assert found(model, "unequal-sums") == []


def test_two_hundred_residual_blocks_are_followed() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        for _ in range(200):
            x = x + F.conv2d(torch.relu(x), self.conv.weight, padding=1)
        return F.interpolate(x, scale_factor=2)

    assert found(Net(forward, conv=nn.Conv2d(4, 4, 3)), "bare-nearest") == ["interpolate#0"]


def test_weights_computed_from_data_are_said() -> None:
    model = Net(lambda self, x: F.conv_transpose2d(x, x.mean() * self.up.weight, stride=2), up=bilinear())
    assert found(model, "not-seen") == ["conv_transpose2d#0"]


def test_layers_that_no_forward_calls_are_read_all_the_same() -> None:
    model = Net(lambda self, x: x, heads=nn.ModuleList([nn.ConvTranspose2d(4, 4, 3, 2)]))
    assert found(model, "uneven-overlap") == ["heads.0"]


def test_a_shared_module_is_named_once() -> None:
    up = nn.ConvTranspose2d(4, 4, 3, 2)
    assert found(nn.Sequential(up, nn.ReLU(), up), "uneven-overlap") == ["0"]


def test_a_subclass_with_a_forward_of_its_own_is_looked_into() -> None:
    class ResizeConv(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(super().forward(x), scale_factor=2)

    class Plain(nn.ConvTranspose2d):
        pass

    assert found(nn.Sequential(ResizeConv(4, 4, 3)), "bare-nearest") == ["0/interpolate#0"]
    assert found(nn.Sequential(Plain(4, 4, 3, 2)), "uneven-overlap") == ["0"]


@pytest.mark.parametrize(
    "layer",
    [
        nn.ConvTranspose2d(4, 4, 3, 1, 1),
        nn.ConvTranspose1d(4, 4, 3, 2),
        nn.ConvTranspose3d(4, 4, 3, 2),
        nn.Conv2d(4, 4, 3, 2, 1),
        nn.PixelUnshuffle(2),
        nn.Identity(),
        nn.ModuleList(),
    ],
)
def test_layers_without_a_lattice_in_the_plane_have_no_findings(layer: nn.Module) -> None:
    assert lint(layer, trained=False) == ()


@pytest.mark.parametrize("norm", ["parametrized", "hook", "spectral", "spectral hook"])
def test_effective_weights_are_read(norm: str) -> None:
    layer = nn.ConvTranspose2d(4, 4, 4, 2, 1)
    if norm == "parametrized":
        layer = nn.utils.parametrizations.weight_norm(layer)
        scale = layer.parametrizations.weight.original0
    elif norm == "hook":
        with pytest.warns(FutureWarning):
            layer = nn.utils.weight_norm(layer)
        scale = layer.weight_g
    elif norm == "spectral":
        layer = nn.utils.parametrizations.spectral_norm(layer)
        scale = layer.parametrizations.weight.original
    else:
        layer = nn.utils.spectral_norm(layer)
        scale = layer.weight_orig
    with torch.no_grad():
        scale[0] *= 50  # an input channel, so the weights are other ones than before
    before = copy.deepcopy(layer.state_dict())
    (share,) = number(layer, "unequal-sums")
    assert layer.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())
    answer = flat_answer(layer.eval(), 4, (2, 2))
    assert share == pytest.approx(rms_share(answer), rel=1e-4)


def test_half_precision_does_not_matter() -> None:
    layer = nn.ConvTranspose2d(4, 4, 4, 2, 1)
    expected = number(layer, "unequal-sums")
    assert number(layer.bfloat16(), "unequal-sums") == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda model: torch.compile(model, backend="eager")])
def test_wrappers_do_not_change_names(wrap: Any) -> None:
    model = Net(lambda self, x: F.interpolate(self.up(x), scale_factor=2), up=nn.ConvTranspose2d(4, 4, 3, 2))
    expected = lint(model, trained=True)
    assert lint(wrap(model), trained=True) == expected
    assert [f.rule for f in lint(nn.Sequential(wrap(model)), trained=True)] == [f.rule for f in expected]


@pytest.mark.filterwarnings("ignore")  # torch's own, about scripting
def test_a_scripted_part_is_said_to_be_unseen() -> None:
    scripted = torch.jit.script(nn.ConvTranspose2d(4, 4, 3, 2))
    assert found(nn.Sequential(scripted), "not-seen") == ["0"]


# --- what is refused, and what is left alone ---


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: nn.LazyConvTranspose2d(4, 3), "lazy"),
        (lambda: nn.ConvTranspose2d(4, 4, 3, 2, device="meta"), "meta"),
        (lambda: torch.jit.script(nn.Upsample(None, 2.0)), "ScriptModule"),
        (lambda: torch.zeros(3), "nn.Module"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # torch's own, about scripting and lazy modules
def test_models_that_cannot_be_read_are_refused(model: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        lint(model(), trained=True)


def test_weights_that_are_no_numbers_are_refused() -> None:
    layer = nn.ConvTranspose2d(4, 4, 4, 2)
    nn.init.constant_(layer.weight, float("nan"))
    with pytest.raises(ModelError, match="NaN"):
        lint(layer, trained=True)
    nn.init.zeros_(layer.weight)
    assert found(layer, "unequal-sums") == []


def test_a_model_that_cannot_be_copied_is_refused() -> None:
    model = Net(lambda self, x: x)
    model.lock = threading.Lock()
    with pytest.raises(ModelError, match="cannot be copied"):
        lint(model, trained=True)


def test_the_model_and_the_random_states_are_left_as_they_were() -> None:
    class Untidy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.utils.parametrizations.spectral_norm(nn.ConvTranspose2d(4, 4, 4, 2, 1))
            self.norm = nn.BatchNorm2d(4)
            self.register_buffer("count", torch.zeros(1))
            self.seen: list[Any] = []

        def forward(self, x: Tensor) -> Tensor:
            self.count += 1
            self.seen.append(x)
            self.last = x
            noise = torch.rand(1) + random.random() + np.random.rand()
            return self.norm(self.up(x)) + noise

    model = Untidy().train()
    model.norm.eval()
    called = []
    model.up.register_forward_hook(lambda *_: called.append(1))
    hooks = dict(model.up._forward_hooks)
    state = copy.deepcopy(model.state_dict())
    flags = [module.training for module in model.modules()]
    parameters = [id(parameter) for parameter in model.parameters()]
    randoms = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())
    assert found(model, "unequal-sums") == ["up"]
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == flags
    assert [id(parameter) for parameter in model.parameters()] == parameters
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert (model.seen, hasattr(model, "last"), called, dict(model.up._forward_hooks)) == ([], False, [], hooks)
    assert torch.equal(torch.get_rng_state(), randoms[0])
    assert random.getstate() == randoms[1]
    assert (np.random.get_state()[1] == randoms[2]).all()


# --- real nets ---


def test_the_demos_broken_layer_is_named_first() -> None:
    findings = lint(broken(), trained=True)
    assert [(f.site, f.rule) for f in findings if f.level == "warning"] == [
        ("dec.up2", "uneven-overlap"),
        ("dec.up2", "unequal-sums"),
    ]


def test_the_healthy_demo_has_no_warning() -> None:
    assert {f.level for f in lint(healthy(), trained=True)} == {"note"}


def test_the_untrained_demo_is_told_what_to_initialise() -> None:
    warnings = [(f.site, f.rule) for f in lint(DemoUNet(), trained=False) if f.level == "warning"]
    assert warnings == [("dec.up2", "unequal-sums"), ("dec.up3.0", "no-icnr")]


def test_warnings_come_first_in_the_order_of_the_rules() -> None:
    order = [rule.name for rule in RULES]
    findings = lint(nn.Sequential(nn.ConvTranspose2d(4, 4, 3, 2), Branching(), nn.Upsample(None, 2)), trained=True)
    keys = [(f.level == "note", order.index(f.rule)) for f in findings]
    assert keys == sorted(keys)
    assert len({(f.site, f.rule) for f in findings}) == len(findings)


def test_findings_are_frozen_and_explain_themselves() -> None:
    for finding in lint(broken(), trained=True):
        assert isinstance(finding, LintFinding)
        assert finding.detail
        assert finding.why
        assert finding.advice
        with pytest.raises(AttributeError):
            finding.level = "note"
