"""What every mode promises: sizes, constants, gradients, precision, and to survive export, compilation and saving."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from artifactlab.fix.upsample import (
    MODES,
    CarafeUpsample,
    DySampleUpsample,
    HybridUpsample,
    MetaUpsample,
    SubpixelUpsample,
    icnr_,
)

every_mode = pytest.mark.parametrize("mode", MODES)
every_scale = pytest.mark.parametrize("scale", [2, 3, 4])


def inputs(mode: str, scale: int = 2, size: tuple[int, int] = (4, 5), fill: float | None = None) -> tuple[Tensor, ...]:
    """What the mode's forward takes: (2, 4, H, W), and the skip of 3 channels that "gated" needs."""
    h, w = size
    shapes = [(2, 4, h, w), (2, 3, scale * h, scale * w)][: 1 + (mode == "gated")]
    return tuple(torch.rand(shape) if fill is None else torch.full(shape, fill) for shape in shapes)


def is_flat(y: Tensor) -> bool:
    return bool((y - y[..., :1, :1]).abs().max() < 1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(list(MODES)),
    st.integers(2, 4),
    st.integers(1, 7),
    st.integers(1, 7),
    st.integers(1, 5),
    st.integers(1, 3),
)
def test_both_sides_grow_by_the_scale_whatever_the_sizes(
    mode: str, scale: int, height: int, width: int, inside: int, out: int
) -> None:
    skip = [torch.rand(1, out, scale * height, scale * width)] if mode == "gated" else []
    y = MODES[mode](inside, out, scale=scale)(torch.rand(1, inside, height, width), *skip)
    assert y.shape == (1, out, scale * height, scale * width)
    assert y.isfinite().all()


@settings(max_examples=40, deadline=None)
@given(st.floats(1, 4.5), st.integers(1, 6), st.integers(1, 6))
def test_meta_grows_by_any_scale_rounded_down_and_keeps_constants(scale: float, height: int, width: int) -> None:
    y = MetaUpsample(2, 3, hidden=4)(torch.ones(1, 2, height, width), scale)
    assert y.shape[1] == 3
    for size, grown in zip((height, width), y.shape[2:], strict=True):
        assert grown <= scale * size + 1e-6 < grown + 1 + 1e-5
    assert is_flat(y)


@every_mode
@every_scale
def test_constants_stay_constant_at_first_borders_included(mode: str, scale: int) -> None:
    y = MODES[mode](4, 3, scale=scale)(*inputs(mode, scale, fill=0.7))
    assert is_flat(y)


@pytest.mark.parametrize("mode", ["interpolate_conv", "gated", "carafe", "dysample"])
@every_scale
def test_constants_stay_constant_whatever_the_weights_where_that_is_promised(mode: str, scale: int) -> None:
    up = MODES[mode](4, 3, scale=scale)
    for parameter in up.parameters():
        nn.init.normal_(parameter, 0, 0.2)
    assert is_flat(up(*inputs(mode, scale, fill=0.7)))


@every_scale
def test_a_blurred_shuffle_keeps_constants_inside_whatever_its_weights(scale: int) -> None:
    for blur in (True, False):
        up = SubpixelUpsample(2, 1, scale=scale, blur=blur)
        nn.init.normal_(up.conv.weight)
        y = up(torch.ones(1, 2, 6, 6))[..., scale:-scale, scale:-scale]
        assert is_flat(y) == blur


@every_mode
def test_gradients_reach_every_weight(mode: str) -> None:
    up = MODES[mode](4, 3)
    optimiser = torch.optim.SGD(up.parameters(), 0.1)
    for _ in range(2 if mode == "carafe" else 1):  # its compression waits for the layer behind, which starts at zero
        optimiser.zero_grad()
        up(*inputs(mode)).square().mean().backward()
        optimiser.step()
    assert not [name for name, p in up.named_parameters() if p.grad is None or not p.grad.any()]


def test_a_hybrid_that_takes_one_per_image_teaches_that_one_and_the_share() -> None:
    up = HybridUpsample(4, 3, choice="image")
    for bias, taken, left in ((9.0, up.resize, up.subpixel), (-9.0, up.subpixel, up.resize)):
        up.zero_grad()
        nn.init.constant_(up.share.bias, bias)
        x = torch.rand(2, 4, 4, 5)
        y = up(x)
        assert torch.allclose(y, taken(x), atol=1e-6)
        y.square().mean().backward()
        assert taken.conv.weight.grad.any()
        assert not left.conv.weight.grad.any()
        assert up.share.weight.grad.any()


@every_mode
def test_gradients_are_those_of_finite_differences(mode: str) -> None:
    up = MODES[mode](4, 3).double()
    args = tuple(a[:1, ..., :6, :6].double().requires_grad_() for a in inputs(mode, size=(3, 3)))
    # places that lie exactly on a pixel are a kink of bilinear reading
    for name, parameter in up.named_parameters():
        if name.startswith(("offset", "encoder.1.weight")):
            nn.init.normal_(parameter, 0, 0.1)
    assert torch.autograd.gradcheck(lambda *a: up(*a).sum((2, 3)), args)


@every_mode
def test_an_exported_mode_gives_the_same_at_sizes_left_open(mode: str) -> None:
    up, args = MODES[mode](4, 3, scale=3).eval(), inputs(mode, 3)
    auto = torch.export.Dim.AUTO
    exported = torch.export.export(up, args, dynamic_shapes=tuple({0: auto, 2: auto, 3: auto} for _ in args)).module()
    for again in (inputs(mode, 3), inputs(mode, 3, size=(7, 6))):
        assert torch.allclose(exported(*again), up(*again), atol=1e-6)


def test_meta_is_exported_and_compiled_at_a_scale_that_is_no_integer() -> None:
    up, args = MetaUpsample(4, 3, scale=2.37).eval(), inputs("meta", size=(2, 3))
    assert torch.allclose(torch.export.export(up, args).module()(*args), up(*args), atol=1e-6)
    assert torch.allclose(torch.compile(up, fullgraph=True, backend="eager")(*args), up(*args), atol=1e-6)


@every_mode
def test_a_compiled_mode_gives_the_same_without_a_graph_break(mode: str) -> None:
    torch._dynamo.reset()
    up, args = MODES[mode](4, 3), inputs(mode)
    assert torch.allclose(torch.compile(up, fullgraph=True, backend="aot_eager")(*args), up(*args), atol=1e-6)


@every_mode
def test_autocast_and_half_precision_stay_close(mode: str) -> None:
    up, args = MODES[mode](4, 3), inputs(mode)
    full = up(*args)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = up(*args)
    half = up.bfloat16()(*(a.bfloat16() for a in args))
    assert half.dtype == torch.bfloat16
    assert (mixed - full).abs().max() < 0.03
    assert (half - full).abs().max() < 0.05


def test_places_on_a_large_map_are_as_exact_in_half_precision_as_the_values() -> None:
    step = (torch.arange(600.0) >= 301).expand(1, 1, 2, 600)
    up = DySampleUpsample(1, 1)
    exact, half = up.sampled(step.float()), up.bfloat16().sampled(step.bfloat16())
    assert (half.float() - exact).abs().max() < 0.01


@every_mode
def test_weights_are_saved_and_loaded_strictly(mode: str, tmp_path: object) -> None:
    first, second = MODES[mode](4, 3), MODES[mode](4, 3)
    torch.save(first.state_dict(), f"{tmp_path}/up.pt")
    args = inputs(mode)
    assert not torch.equal(first(*args), second(*args))
    second.load_state_dict(torch.load(f"{tmp_path}/up.pt", weights_only=True), strict=True)
    assert torch.equal(first(*args), second(*args))


@every_mode
def test_channels_last_gives_the_same(mode: str) -> None:
    up, args = MODES[mode](4, 3), inputs(mode)
    rearranged = up.to(memory_format=torch.channels_last)(*(a.to(memory_format=torch.channels_last) for a in args))
    assert torch.allclose(rearranged, up(*args), atol=1e-6)


def test_carafe_keeps_nothing_of_every_tap_times_every_channel() -> None:
    up, kept = CarafeUpsample(64, 4, compressed=4), {}

    def keep(value: Tensor) -> Tensor:
        kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        y = up(torch.rand(1, 64, 16, 16))
    assert sum(kept.values()) < 4 * 64 * y.shape[2] * y.shape[3] * 4  # four times the output before the convolution


def test_icnr_takes_a_convolution_without_bias() -> None:
    conv = nn.Conv2d(2, 8, 3, bias=False)
    icnr_(conv, 2)
    assert torch.equal(conv.weight[4], conv.weight[7])
    assert not torch.equal(conv.weight[0], conv.weight[4])
