"""What replaced a convolution and its pixel shuffle, as weights of that convolution."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from artifactlab.fix import replace_upsampler
from artifactlab.fix.fold import folded


def shuffling(scale: int = 2, **options: object) -> nn.Sequential:
    torch.manual_seed(0)
    up = nn.Conv2d(5, 4 * scale**2, 3, padding=1, **options)  # type: ignore[arg-type]
    return nn.Sequential(nn.Conv2d(3, 5, 1), up, nn.PixelShuffle(scale), nn.Conv2d(4, 3, 1))


def fixed_and_folded(model: nn.Module, site: str, mode: str, **options: object) -> tuple[nn.Module, dict | None]:
    fixed = copy.deepcopy(model)
    return fixed, folded(model, fixed, replace_upsampler(fixed, site, mode, **options).replacement)


def inside(image: Tensor, border: int) -> Tensor:
    return image[..., border:-border, border:-border]


@pytest.mark.parametrize("mode", ["interpolate_conv", "subpixel", "deconv"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_original_with_these_weights_is_the_fixed_model_but_for_its_border(mode: str, scale: int) -> None:
    model = shuffling(scale)
    fixed, weights = fixed_and_folded(model, "2", mode)
    assert weights is not None
    model.load_state_dict(weights)
    with torch.no_grad():
        given, expected = (
            net(torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(1))) for net in (model, fixed)
        )
    torch.testing.assert_close(inside(given, scale), inside(expected, scale), rtol=1e-4, atol=1e-5)


def test_what_was_trained_elsewhere_in_the_model_is_in_them() -> None:
    model = shuffling()
    fixed = copy.deepcopy(model)
    made = replace_upsampler(fixed, "2").replacement
    nn.init.ones_(fixed[3].weight)
    weights = folded(model, fixed, made)
    assert weights is not None
    assert weights["3.weight"].eq(1).all()
    assert weights["0.weight"].equal(model[0].weight)


@pytest.mark.parametrize(
    ("model", "site", "mode", "options"),
    [
        (nn.Sequential(nn.ConvTranspose2d(3, 3, 4, 2, 1)), "0", "interpolate_conv", {}),
        (shuffling(bias=False), "2", "interpolate_conv", {}),
        (shuffling(), "2", "interpolate_conv", {"resample": "bicubic"}),
        (nn.Sequential(nn.Conv2d(3, 12, 1), nn.PixelShuffle(2)), "1", "interpolate_conv", {}),
    ],
    ids=["a deconvolution", "without bias", "reads further", "a small kernel"],
)
def test_what_the_convolution_cannot_hold_is_not_folded(model: nn.Module, site: str, mode: str, options: dict) -> None:
    assert fixed_and_folded(model, site, mode, **options)[1] is None
