"""Unequal weights: each planted defect is found, and its clean counterpart is left alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from artifactlab import lint


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
def test_uneven_overlap_is_told_per_axis(kernel: Any, stride: Any, dilation: int, expected: Any, number: Any) -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, kernel, stride, dilation=dilation))
    assert number(model, "uneven-overlap") == expected


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(4, 2, 1), (2, 2, 1), (6, 3, 1), (4, 2, 3), (3, 1, 1)])
def test_even_overlap_is_no_finding(kernel: int, stride: int, dilation: int, found: Any) -> None:
    assert found(nn.ConvTranspose2d(4, 4, kernel, stride, dilation=dilation), "uneven-overlap") == []


def test_unequal_phase_sums_are_a_warning_and_equal_ones_nothing(found: Any, bilinear: Any) -> None:
    uneven = bilinear()
    with torch.no_grad():
        uneven.weight[:, :, 1::2, 1::2] *= 5
    assert found(nn.Sequential(bilinear()), "unequal-sums") == []
    assert found(nn.Sequential(bilinear()), "unequal-sums", trained=False) == []
    (finding,) = (f for f in lint(nn.Sequential(uneven), trained=True) if f.rule == "unequal-sums")
    assert (finding.site, finding.level) == ("0", "warning")
    # sums 1, 1, 1, 5 of each pair: deviations 1, 1, 1, 3
    assert finding.number == pytest.approx((math.sqrt(12 / 28),))


def test_a_kernel_of_uneven_overlap_can_have_equal_sums(found: Any) -> None:
    layer = nn.ConvTranspose2d(1, 1, 3, 2)
    ramp = torch.tensor([0.5, 1.0, 0.5])
    layer.weight = nn.Parameter(torch.outer(ramp, ramp)[None, None])
    assert found(layer, "uneven-overlap") == ["(model)"]
    assert found(layer, "unequal-sums") == []


def test_small_differences_of_trained_sums_are_notes_and_smaller_ones_nothing(bilinear: Any) -> None:
    levels = []
    for strength in (0.05, 0.3, 5.0):
        layer = bilinear()
        with torch.no_grad():
            layer.weight[:, :, 1::2, 1::2] *= 1 + strength
        levels.append([f.level for f in lint(layer, trained=True) if f.rule == "unequal-sums"])
    assert levels == [[], ["note"], ["warning"]]


def test_unequal_shuffles_are_told_at_the_convolution(found: Any, icnr: Any) -> None:
    conv = icnr(nn.Conv2d(4, 16, 3))
    clean = nn.Sequential(conv, nn.PixelShuffle(2), nn.Conv2d(4, 3, 3, padding=1, padding_mode="reflect"))
    assert found(clean, "unequal-shuffle") == []
    with torch.no_grad():
        conv.weight[3::4] *= 3
    assert found(clean, "unequal-shuffle") == ["0"]


def test_biases_alone_can_be_unequal(found: Any, icnr: Any) -> None:
    conv = icnr(nn.Conv2d(4, 16, 3))
    model = nn.Sequential(conv, nn.PixelShuffle(2))
    with torch.no_grad():
        conv.bias[::4] += 0.5
    for trained in (True, False):
        (finding,) = (f for f in lint(model, trained=trained) if f.rule == "unequal-shuffle")
        assert finding.detail.startswith("biases")
    conv.bias = None
    assert found(model, "unequal-shuffle") == []


def test_icnr_with_torchs_own_biases_is_named_before_training(found: Any, icnr: Any) -> None:
    conv = nn.Conv2d(64, 256, 3)
    bias = conv.bias.detach().clone()
    icnr(conv).bias = nn.Parameter(bias)
    assert found(nn.Sequential(conv, nn.PixelShuffle(2)), "unequal-shuffle", trained=False) == ["0"]


def test_an_untrained_shuffle_is_named_by_one_rule_only(icnr: Any) -> None:
    model = nn.Sequential(nn.Conv2d(4, 16, 3), nn.ReLU(), nn.PixelShuffle(2))
    assert [f.rule for f in lint(model, trained=False)] == ["no-icnr"]
    assert [f.rule for f in lint(model, trained=True)] == ["unequal-shuffle"]
    icnr(model[0])
    assert lint(model, trained=False) == ()


def test_equal_sums_of_unlike_subkernels_are_no_icnr_but_equal(icnr: Any) -> None:
    conv = icnr(nn.Conv2d(1, 4, 3, bias=False))
    with torch.no_grad():
        conv.weight[0] = conv.weight[0].flip(1)
    model = nn.Sequential(conv, nn.PixelShuffle(2))
    assert [f.rule for f in lint(model, trained=False)] == ["no-icnr"]
    assert lint(model, trained=True) == ()


@pytest.mark.parametrize("between", [nn.BatchNorm2d(16), nn.GroupNorm(4, 16), nn.PReLU(16), nn.Conv2d(16, 16, 1)])
def test_a_shuffle_behind_what_treats_channels_unlike_holds_nothing_against_the_convolution(
    between: nn.Module, found: Any
) -> None:
    conv = nn.Conv2d(4, 16, 3)
    sites = found(nn.Sequential(conv, between, nn.PixelShuffle(2)), "unequal-shuffle")
    assert "0" not in sites


@pytest.mark.parametrize("between", [nn.ReLU(True), nn.PReLU(), nn.Dropout(), nn.Identity(), nn.Tanh()])
def test_activations_dropout_and_identity_may_stand_between(between: nn.Module, found: Any) -> None:
    model = nn.Sequential(nn.Conv2d(4, 16, 3), between, nn.PixelShuffle(2))
    assert found(model, "unequal-shuffle") == ["0"]


def test_a_depthwise_convolution_before_a_shuffle_has_nothing_to_equal() -> None:
    assert lint(nn.Sequential(nn.Conv2d(16, 16, 3, groups=16), nn.PixelShuffle(2)), trained=False) == ()
