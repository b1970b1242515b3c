"""An operator's kernel, read off impulses, computes what the operator does."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix.response import apply_response, impulse_response

OPERATORS = {
    "k3 s2": lambda: nn.ConvTranspose2d(5, 3, 3, 2, 1, output_padding=1),
    "k3 s2, short": lambda: nn.ConvTranspose2d(5, 3, 3, 2, 1),
    "k4 s2": lambda: nn.ConvTranspose2d(5, 3, 4, 2, 1),
    "k5 s2, unpadded": lambda: nn.ConvTranspose2d(5, 3, 5, 2),
    "k2 s2, groups": lambda: nn.ConvTranspose2d(6, 4, 2, 2, groups=2),
    "k6 s3": lambda: nn.ConvTranspose2d(5, 3, 6, 3, 1),
    "shuffle": lambda: nn.Sequential(nn.Conv2d(5, 12, 3, padding=1), nn.PixelShuffle(2)),
    "nearest, reflected": lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), nn.Conv2d(5, 3, 3)),
    "bicubic x3": lambda: nn.Upsample(scale_factor=3, mode="bicubic"),
    "bilinear x4, 7x7": lambda: nn.Sequential(
        nn.Upsample(scale_factor=4, mode="bilinear"), nn.Conv2d(5, 2, 7, padding=3, padding_mode="replicate")
    ),
}


@pytest.mark.parametrize("name", OPERATORS)
@torch.no_grad()
def test_the_kernel_computes_what_the_operator_does(name: str) -> None:
    operator = OPERATORS[name]()
    channels = 6 if "groups" in name else 5
    response = impulse_response(operator, channels)
    x = torch.randn(2, channels, 17, 21)
    expected, given = operator(x), apply_response(response, x).float()
    assert tuple(expected.shape[2:]) == tuple(
        factor * size + more for factor, size, more in zip(response.scale, (17, 21), response.more, strict=True)
    )
    rim = 2 * response.scale[0] * (response.reach + 1)
    rows, columns = (min(a, b) for a, b in zip(expected.shape[2:], given.shape[2:], strict=True))
    inside = (..., slice(rim, rows - rim), slice(rim, columns - rim))
    assert torch.allclose(given[inside], expected[inside], atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 3), st.integers(1, 6), st.integers(0, 2))
def test_a_transposed_kernel_lands_where_its_definition_says(stride: int, size: int, padding: int) -> None:
    """Against the formula: output pixel o gets x[i] w[o + padding - stride i]."""
    if padding >= size:
        return
    operator = nn.ConvTranspose2d(1, 1, size, stride, padding).requires_grad_(False)
    response = impulse_response(operator, 1)
    kernel = response.kernel[0, 0]
    for a in range(stride):
        for u in range(kernel.shape[-1]):
            row = a + padding - stride * (u - response.reach)
            expected = operator.weight[0, 0, row, padding % size] if 0 <= row < size else torch.tensor(0.0)
            # column: phase 0, so that column padding - stride v for v = 0 is the middle tap
            assert float(kernel[a, 0, u, response.reach]) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize(
    "operator",
    [
        nn.Sequential(nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.ReLU()),
        nn.Sequential(nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.InstanceNorm2d(3)),
        nn.Sequential(nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.Hardtanh(-20, 20)),
    ],
    ids=["activation", "normalisation", "clipping of large values alone"],
)
def test_what_is_no_convolution_is_refused(operator: nn.Module) -> None:
    with pytest.raises(InputError, match="convolution"):
        impulse_response(operator, 4)


@pytest.mark.parametrize(
    ("operator", "channels", "message"),
    [
        (nn.Conv2d(3, 3, 3, padding=1), 3, "makes 9x9 pixels of 9x9, and 10x10 of 10x10; expected growth by a whole"),
        (nn.Upsample(scale_factor=(1.5, 2)), 3, "one kernel everywhere"),
        (nn.Conv2d(3, 3, 3, stride=(2, 1)), 3, "whole number along each axis"),
        (nn.ConvTranspose2d(3, 3, 4, 2, 1), 5, "failed on an input"),
        (lambda x: (x,), 3, "something else"),
    ],
)
def test_what_does_not_enlarge_is_refused(operator: nn.Module, channels: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        impulse_response(operator, channels)


def test_reading_an_operator_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    impulse_response(nn.Sequential(nn.Upsample(scale_factor=2), nn.Dropout(0.0)), 2)
    assert torch.equal(before, torch.get_rng_state())


def test_a_bias_that_differs_by_phase_is_kept_by_phase() -> None:
    conv = nn.Conv2d(1, 4, 3, padding=1)
    response = impulse_response(nn.Sequential(conv, nn.PixelShuffle(2)), 1)
    assert torch.allclose(response.bias.flatten().float(), conv.bias.detach())


def _constant(x: Tensor) -> Tensor:
    return torch.ones(x.shape[0], 1, 2 * x.shape[2], 2 * x.shape[3])


def test_an_operator_that_ignores_its_input_has_a_kernel_of_zeros() -> None:
    response = impulse_response(_constant, 2)
    assert response.reach == 0
    assert not response.kernel.any()
    assert bool((response.bias == 1).all())
