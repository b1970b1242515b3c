"""What replaced an upsampler, as weights of that upsampler: exact where its kernel holds the new one's."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

from artifactlab.errors import FixError
from artifactlab.fix import Replacement, replace_upsampler
from artifactlab.fix.fold import Folded, fold
from artifactlab.lint.model_copy import full_copy


class Enlarging(nn.Module):
    """A convolution and a shuffle by a function, in a module that insists on its channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(5, 12, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == 5
        return nn.functional.pixel_shuffle(self.conv(x), 2)


class Nearest(nn.Module):
    """A resize by a function, in a module of its own, as diffusers has them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"))


class Twice(nn.Module):
    """Two convolutions, either of which could be another one."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow, self.up = nn.Conv2d(4, 2, 1), nn.ConvTranspose2d(2, 4, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.narrow(x))


def shuffling(scale: int = 2, kernel: int | tuple[int, int] = 3, **options: object) -> nn.Sequential:
    torch.manual_seed(0)
    padding = tuple(k // 2 for k in ((kernel, kernel) if isinstance(kernel, int) else kernel))
    up = nn.Conv2d(4, 4 * scale**2, kernel, padding=padding, **options)  # type: ignore[arg-type]
    return nn.Sequential(nn.Conv2d(3, 4, 1), up, nn.PixelShuffle(scale), nn.Conv2d(4, 3, 1))


def between(*layers: nn.Module) -> nn.Sequential:
    """The layers behind a convolution that makes their channels of three."""
    conv = next(part for layer in layers for part in layer.modules() if hasattr(part, "in_channels"))
    kinds = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
    return nn.Sequential(kinds[conv.weight.ndim](3, conv.in_channels, 1), *layers)


def fixed_and_folded(
    model: nn.Module, site: str, mode: str = "interpolate_conv", **options: object
) -> tuple[nn.Module, Folded]:
    fixed = full_copy(model)
    swap = replace_upsampler(fixed, site, mode, **options)
    return fixed, fold(model, fixed, [swap.replacement])


def assert_same_inside(model: nn.Module, other: nn.Module, axes: int = 2, border: int = 8) -> None:
    sizes = {1: 24, 2: 12, 3: 10}
    x = torch.rand(1, 3, *[sizes[axes]] * axes, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        given, expected = (net.eval()(x) for net in (model, other))
    middle = (..., *[slice(border, -border)] * axes)
    torch.testing.assert_close(given[middle], expected[middle], rtol=1e-4, atol=1e-5)


SHUFFLES = {
    "x2": (shuffling(), "2"),
    "x3": (shuffling(3), "2"),
    "without bias": (shuffling(bias=False), "2"),
    "rectangular": (shuffling(kernel=(3, 5)), "2"),
    "in groups": (shuffling(groups=2), "2"),
    "one module": (between(Enlarging()), "1"),
    "5x5 after nearest": (between(nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 5, padding=2)), "1"),
    "k6 s2": (between(nn.ConvTranspose2d(4, 4, 6, 2, 2)), "1"),
}


@pytest.mark.parametrize(
    ("mode", "case"), [*itertools.product(["interpolate_conv"], SHUFFLES), ("subpixel", "x2"), ("deconv", "x2")]
)
def test_the_original_with_these_weights_is_the_fixed_model_but_for_its_border(mode: str, case: str) -> None:
    model, site = SHUFFLES[case]
    fixed, made = fixed_and_folded(model, site, mode)
    assert made.is_exact
    assert list(made.model.state_dict()) == list(model.state_dict())
    assert_same_inside(made.model, fixed)


SMALLEST = {
    "k4 s2": nn.ConvTranspose2d(4, 4, 4, 2, 1),
    "k4 s2 in groups": nn.ConvTranspose2d(4, 4, 4, 2, 1, groups=2),
    "k6 s3": nn.ConvTranspose2d(4, 4, 6, 3, 1, output_padding=0),
    "1-D, k16 s8": nn.ConvTranspose1d(4, 4, 16, 8, 4),
    "3-D, k4 s2": nn.ConvTranspose3d(2, 2, 4, 2, 1),
    "nearest": Nearest(),
}


@pytest.mark.parametrize("case", SMALLEST)
def test_a_bilinear_resize_and_1x1_is_a_transposed_convolution_of_twice_the_stride_and_nearest_with_3x3(
    case: str,
) -> None:
    torch.manual_seed(0)
    model = between(SMALLEST[case])
    fixed, made = fixed_and_folded(model, "1", kernel_size=1)
    assert made.is_exact
    assert_same_inside(made.model, fixed, next(iter(model.parameters())).ndim - 2)


def test_bilinear_by_two_has_the_weights_that_the_literature_gives_it() -> None:
    model = nn.Sequential(nn.Identity(), nn.ConvTranspose2d(1, 1, 4, 2, 1))
    along = (
        torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    )  # Long, Shelhamer and Darrell 2015, bilinear upsampling by deconvolution
    with torch.no_grad():
        model[1].weight.copy_(torch.outer(along, along))
    _, made = fixed_and_folded(model, "1", kernel_size=1)
    torch.testing.assert_close(made.model[1].weight, model[1].weight, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("kernel", "padding", "more"), [(4, 1, 0), (3, 1, 1), (2, 0, 0)])
def test_what_does_not_fit_is_as_near_as_can_be_without_a_grid_on_flat_features(
    kernel: int, padding: int, more: int
) -> None:
    torch.manual_seed(0)
    model = between(nn.ConvTranspose2d(4, 4, kernel, 2, padding, output_padding=more))
    fixed, made = fixed_and_folded(model, "1")
    assert 0.01 < made.difference < 0.5
    flat = made.model(torch.ones(1, 3, 12, 12))[..., 4:-4, 4:-4]
    assert (flat - flat[..., :1, :1]).abs().max() < 1e-5
    assert (flat - fixed(torch.ones(1, 3, 12, 12))[..., 4:-4, 4:-4]).abs().max() < 1e-5


@pytest.mark.parametrize(
    "norm", [parametrizations.weight_norm, parametrizations.spectral_norm, weight_norm, spectral_norm]
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize(
    "layer", [nn.Conv2d(4, 16, 3, padding=1), nn.ConvTranspose2d(4, 4, 6, 2, 2)], ids=["shuffle", "k6"]
)
def test_weights_that_are_computed_come_out_as_wanted(norm: object, layer: nn.Module) -> None:
    torch.manual_seed(0)
    up = norm(full_copy(layer))  # type: ignore[operator]
    model = between(up, *([nn.PixelShuffle(2)] if isinstance(layer, nn.Conv2d) else [])).eval()
    with torch.no_grad():
        model(torch.rand(1, 3, 8, 8))
    keys = list(model.state_dict())
    fixed, made = fixed_and_folded(model, "2" if isinstance(layer, nn.Conv2d) else "1")
    assert made.is_exact
    loaded = full_copy(model)
    loaded.load_state_dict(made.model.state_dict())
    assert list(loaded.state_dict()) == keys
    assert_same_inside(loaded, fixed)


def test_what_was_trained_in_another_place_of_the_model_is_in_them() -> None:
    model = shuffling()
    fixed = full_copy(model)
    made = replace_upsampler(fixed, "2").replacement
    nn.init.ones_(fixed[3].weight)
    weights = fold(model, fixed, [made]).model.state_dict()
    assert weights["3.weight"].eq(1).all()
    assert weights["0.weight"].equal(model[0].weight)


def test_of_two_fixes_both_are_folded_and_of_two_at_one_place_the_last() -> None:
    model = nn.Sequential(*shuffling(), *shuffling())
    fixed = full_copy(model)
    made: list[Replacement] = [replace_upsampler(fixed, site).replacement for site in ("2", "6")]
    made.append(replace_upsampler(fixed, "1", "interpolate_conv", kernel_size=1).replacement)
    found = fold(model, fixed, made)
    assert found.is_exact
    assert_same_inside(found.model, fixed, border=16)


def test_what_has_two_convolutions_is_not_told_which_one_to_change() -> None:
    model = between(Twice())
    with pytest.raises(FixError, match="1 has 2 convolutions"):
        fixed_and_folded(model, "1")


def test_a_layer_that_weighs_by_what_it_reads_is_no_convolution() -> None:
    model = shuffling()
    fixed = full_copy(model)
    made = replace_upsampler(fixed, "2", "carafe").replacement
    for weight in fixed[1].parameters():
        nn.init.normal_(weight)
    with pytest.raises(FixError, match="is no convolution"):
        fold(model, fixed, [made])
