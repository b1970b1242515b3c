"""Phase sums are what layers answer to constants."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from artifactlab.lint.ops import Shuffle
from artifactlab.lint.phases import shares_of_directions, shuffled_sums, taps_per_phase, transposed_sums, unequal_share


@given(kernel=st.integers(1, 12), stride=st.integers(1, 5), dilation=st.integers(1, 4))
def test_taps_per_phase_are_those_of_a_layer_of_ones(kernel: int, stride: int, dilation: int) -> None:
    length = 3 * stride * kernel * dilation
    ones = F.conv_transpose1d(torch.ones(1, 1, length), torch.ones(1, 1, kernel), stride=stride, dilation=dilation)
    middle = ones.shape[-1] // 2 // stride * stride
    assert ones[0, 0, middle : middle + stride].tolist() == taps_per_phase(kernel, stride, dilation)


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
    flat_answer: Any,
    rms_share: Any,
) -> None:
    torch.manual_seed(seed)
    more = min(more, *(max(s, dilation) - 1 for s in stride))
    layer = nn.ConvTranspose2d(4, 8, kernel, stride, padding, more, groups, dilation=dilation)
    answer = flat_answer(layer, 4, stride)
    answer = answer[answer.abs().sum(-1) > 0]  # pairs of channels in one group
    sums = transposed_sums(layer.weight, stride, (dilation, dilation))
    assert unequal_share(sums) == pytest.approx(rms_share(answer), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    axes=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 2)), min_size=1, max_size=3),
    seed=st.integers(0, 1000),
)
def test_phase_sums_of_every_direction_are_what_a_layer_answers_to_ones(
    axes: list[tuple[int, int, int]], seed: int
) -> None:
    kernel, stride, dilation = (tuple(sizes) for sizes in zip(*axes, strict=True))
    weight = torch.randn(2, 3, *kernel, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    ones = torch.eye(2, dtype=torch.float64).view(2, 2, *[1] * len(axes)).expand(-1, -1, *[10] * len(axes))
    call = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(axes) - 1]
    answer = call(ones, weight, stride=stride, dilation=dilation)
    inside = (slice(None), slice(None), *(slice(8 * s, 9 * s) for s in stride))  # beyond every kernel, in step
    assert torch.allclose(transposed_sums(weight, stride, dilation), answer[inside].flatten(2).flatten(0, 1))


@given(seed=st.integers(0, 1000), stride=st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple))
def test_shares_of_directions_are_parts_of_one_whole(seed: int, stride: tuple[int, ...]) -> None:
    phases = torch.Size(stride).numel()
    sums = torch.randn(5, phases, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    shares = shares_of_directions(sums, stride)
    assert sum(shares) <= 1 + 1e-9
    assert [share for share, s in zip(shares, stride, strict=True) if s == 1] == pytest.approx([0.0] * stride.count(1))
    if sum(s > 1 for s in stride) == 1:
        assert sum(shares) == pytest.approx(1)


@settings(max_examples=20, deadline=None)
@given(factor=st.integers(2, 3), groups=st.sampled_from([1, 2]), bias=st.booleans(), seed=st.integers(0, 1000))
def test_shuffled_sums_are_what_layer_and_shuffle_answer_to_constants(
    factor: int, groups: int, bias: bool, seed: int, flat_answer: Any, rms_share: Any
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
    sums = shuffled_sums(conv.weight, conv.bias, Shuffle((factor, factor)).channels(4 * factor**2))
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
