"""Resizes and borders: each planted defect is found, and its clean counterpart is left alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from artifactlab import lint
from artifactlab.lint.phases import taps_per_phase


def test_align_corners_is_named_with_its_shift(net: Any, found: Any, number: Any) -> None:
    model = nn.Sequential(nn.Upsample(scale_factor=4, mode="bilinear", align_corners=True))
    assert number(model, "align-corners") == (1.5, 1.5)
    assert found(nn.UpsamplingBilinear2d(scale_factor=2), "align-corners") == ["(model)"]
    sized = net(lambda self, x: F.interpolate(x, (9, 9), None, "bicubic", True))
    assert number(sized, "align-corners") == ()


def test_grid_sample_is_not_named_for_align_corners(net: Any, found: Any) -> None:
    model = net(lambda self, x: F.grid_sample(x, torch.zeros(1, 8, 8, 2), align_corners=True))
    assert found(model, "align-corners") == []


def test_the_shift_is_where_a_ramp_is_sampled(number: Any) -> None:
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
    ],
)
def test_other_resizes_are_not_named_for_align_corners(model: nn.Module, found: Any) -> None:
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
def test_nearest_blocks_that_reach_the_output_are_named(
    forward: Any, named: bool, net: Any, found: Any, number: Any
) -> None:
    parts = {"conv": nn.Conv2d(4, 4, 3, padding=1), "point": nn.Conv2d(4, 4, 1), "norm": nn.BatchNorm2d(4)}
    model = net(forward, **parts)
    assert found(model, "bare-nearest") == (["interpolate#0"] if named else [])
    if named:
        assert set(number(model, "bare-nearest")) == {3}


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


def test_zero_padding_is_a_note_where_it_meets_a_lattice(found: Any, number: Any, icnr: Any) -> None:
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
