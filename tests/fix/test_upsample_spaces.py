"""Upsamplers of signals and volumes: against the same arithmetic axis by axis, and what each refuses."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix.upsample import (
    MODES,
    GatedUpsample,
    LearnableInterpolationUpsample,
    ResizeConvUpsample,
    SubpixelUpsample,
    TransposedConvUpsample,
    icnr_,
)
from artifactlab.fix.upsample.spaces import shuffled

SPACES = {1: (7,), 2: (4, 5), 3: (3, 4, 5)}
SCALES = [(1, 2), (1, 5), (2, 3), (2, (1, 2)), (3, 2), (3, (1, 2, 2)), (3, (2, 3, 1))]
every_scale = pytest.mark.parametrize(("axes", "scale"), SCALES)
AVAILABLE = ("deconv", "bilinear", "interpolate_conv", "subpixel", "gated")
every_mode = pytest.mark.parametrize("mode", AVAILABLE)


def per_axis(scale: Any, axes: int) -> tuple[int, ...]:
    return scale if isinstance(scale, tuple) else (scale,) * axes


def grown(axes: int, scale: Any) -> tuple[int, ...]:
    return tuple(r * n for r, n in zip(per_axis(scale, axes), SPACES[axes], strict=True))


def inputs(mode: str, axes: int, scale: Any, fill: float | None = None) -> list[Tensor]:
    shapes = [(2, 4, *SPACES[axes]), (2, 3, *grown(axes, scale))][: 1 + (mode == "gated")]
    return [torch.rand(shape) if fill is None else torch.full(shape, fill) for shape in shapes]


@every_mode
@every_scale
def test_each_axis_grows_by_its_scale_and_constants_stay_constant(mode: str, axes: int, scale: Any) -> None:
    up = MODES[mode](4, 3, scale=scale, spatial_dims=axes)
    assert up(*inputs(mode, axes, scale)).shape == (2, 3, *grown(axes, scale))
    flat = up(*inputs(mode, axes, scale, fill=0.7)).flatten(2)
    assert (flat - flat[..., :1]).abs().max() < 1e-5


@every_scale
def test_a_shuffle_puts_each_channel_where_its_phase_is(axes: int, scale: Any) -> None:
    factors, space = per_axis(scale, axes), SPACES[axes]
    x = torch.rand(1, 2 * int(np.prod(factors)), *space)
    expected = torch.empty(1, 2, *grown(axes, scale))
    for channel, phases in itertools.product(range(2), itertools.product(*map(range, factors))):
        number = channel * int(np.prod(factors)) + int(np.ravel_multi_index(phases, factors))
        places = tuple(slice(phase, None, r) for phase, r in zip(phases, factors, strict=True))
        expected[(0, channel, *places)] = x[0, number]
    assert torch.equal(shuffled(x, factors), expected)


@every_scale
def test_a_fresh_deconvolution_is_linear_interpolation_along_each_axis(axes: int, scale: Any) -> None:
    up = TransposedConvUpsample(1, 1, scale=scale, spatial_dims=axes)
    nn.init.zeros_(up.conv.bias)
    x = torch.rand(1, 1, *SPACES[axes])
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[axes]
    expected = F.interpolate(x, grown(axes, scale), mode=mode, align_corners=False)
    given = up(x)
    factor = (given * expected).sum() / expected.square().sum()  # the mixing of one channel is a number of any sign
    assert factor.abs() > 0
    assert torch.allclose(given, factor * expected, atol=1e-5)


@every_scale
def test_a_fresh_shuffle_repeats_and_a_blurred_one_draws_nothing_on_flat_ground(axes: int, scale: Any) -> None:
    up = SubpixelUpsample(4, 3, scale=scale, spatial_dims=axes)
    y = up(torch.rand(1, 4, *SPACES[axes]))
    first = tuple(slice(None, None, r) for r in per_axis(scale, axes))
    assert torch.allclose(y, F.interpolate(y[(..., *first)], y.shape[2:]), atol=1e-6)
    blurred = SubpixelUpsample(4, 3, scale=scale, blur=True, spatial_dims=axes)
    nn.init.normal_(blurred.conv.weight)
    flat = blurred(torch.ones(1, 4, *(9,) * axes))
    inside = flat[(..., *[slice(r, -r) for r in per_axis(scale, axes)])].flatten(2)
    assert (inside - inside[..., :1]).abs().max() < 1e-4


@every_mode
@pytest.mark.parametrize("axes", [1, 3])
def test_they_are_differentiable_and_compile_and_export(mode: str, axes: int) -> None:
    torch._dynamo.reset()
    up = MODES[mode](4, 3, spatial_dims=axes)
    args = inputs(mode, axes, 2)
    up(*args).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in up.parameters())
    up = up.eval().requires_grad_(False)
    assert torch.allclose(torch.export.export(up, tuple(args)).module()(*args), up(*args), atol=1e-6)
    if axes == 3:  # of one axis, too, export has seen that there is no break in the graph
        assert torch.allclose(torch.compile(up, fullgraph=True, backend="eager")(*args), up(*args), atol=1e-6)


def test_a_gated_volume_takes_a_skip_that_is_off_by_one_along_each_axis() -> None:
    up, x = GatedUpsample(4, 3, spatial_dims=3), torch.rand(1, 4, 2, 3, 4)
    assert up(x, torch.rand(1, 3, 5, 5, 8)).shape == (1, 3, 4, 6, 8)
    with pytest.raises(InputError, match="skip is 4x9x8 where the upsampled features are 4x6x8"):
        up(x, torch.rand(1, 3, 4, 9, 8))


def test_icnr_makes_the_phases_of_a_volume_alike() -> None:
    conv = nn.Conv3d(2, 16, 3)
    icnr_(conv, 2)
    assert bool((conv.weight.view(2, 8, -1) == conv.weight.view(2, 8, -1)[:, :1]).all())
    assert not torch.equal(conv.weight[0], conv.weight[8])


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in AVAILABLE])
@pytest.mark.parametrize(("axes", "what"), [(1, "signals"), (3, "volumes")])
def test_what_is_for_images_only_says_what_to_use(mode: str, axes: int, what: str) -> None:
    message = rf"^{mode} works on images only; for {what} use interpolate_conv \(spatial_dims={axes}\)"
    with pytest.raises(InputError, match=message):
        MODES[mode](4, 3)(torch.rand(1, 4, *SPACES[axes]))


@pytest.mark.parametrize("mode", [mode for mode in AVAILABLE if mode != "gated"])
def test_features_of_other_axes_are_refused_with_the_argument_to_set(mode: str) -> None:
    wanted = r"\(1, 4, 3, 4, 5\); expected \(N, 4, H, W\); for volumes, make it with spatial_dims=3$"
    with pytest.raises(InputError, match=wanted):
        MODES[mode](4, 3)(torch.rand(1, 4, 3, 4, 5))
    with pytest.raises(InputError, match=r"expected \(N, 4, L\)"):
        MODES[mode](4, 3, spatial_dims=1)(torch.rand(1, 5, 8))


def test_a_level_of_a_decoder_of_images_names_the_upsamplers_of_volumes() -> None:
    with pytest.raises(InputError, match=r"for volumes, use ResizeConvUpsample, .* with spatial_dims=3$"):
        LearnableInterpolationUpsample(4, 3)(torch.rand(1, 4, 3, 4, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spatial_dims": 4}, "spatial_dims is 4; expected one of 1, 2, 3"),
        ({"spatial_dims": 3, "scale": (2, 2)}, r"scale is \(2, 2\); expected .* one per axis of volumes"),
        ({"spatial_dims": 3, "scale": (1, 1, 1)}, r"scale is \(1, 1, 1\)"),
        ({"spatial_dims": 3, "scale": (0, 2, 2)}, r"scale is \(0, 2, 2\)"),
        ({"spatial_dims": 3, "scale": (1.5, 2, 2)}, r"scale is \(1\.5, 2, 2\)"),
        ({"spatial_dims": 3, "resample": "bicubic"}, "resample is 'bicubic'; expected one of 'trilinear', 'nearest'"),
    ],
)
def test_what_no_layer_of_such_axes_is_made_of_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ResizeConvUpsample(4, 3, **options)
    if "resample" not in options:
        with pytest.raises(InputError, match=message):
            TransposedConvUpsample(4, 3, **options)


def test_a_kernel_may_be_given_along_each_axis() -> None:
    up = TransposedConvUpsample(2, 1, scale=(1, 2, 4), kernel_size=(3, 6, 4), spatial_dims=3)
    assert up.conv.kernel_size == (3, 6, 4)
    assert up(torch.rand(1, 2, 3, 4, 5)).shape == (1, 1, 3, 8, 20)
    with pytest.raises(InputError, match=r"kernel_size is \(3, 5, 4\) at scale \(1, 2, 4\); expected a multiple"):
        TransposedConvUpsample(2, 1, scale=(1, 2, 4), kernel_size=(3, 5, 4), spatial_dims=3)
