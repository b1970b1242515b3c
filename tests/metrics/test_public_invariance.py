"""What every public metric reads whatever the type, the unit, the order and the layout of its input."""

from __future__ import annotations

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import artifactlab.metrics as metrics

FACTORS = ["replication_factor"]
"""Metrics that read 1 where there is nothing, and see nothing but stair-steps."""
MAPS = ["checkerboard_map", "edge_jaggedness_map", "remove_spectral_images", "spectral_images_map"]
NAMES = sorted(set(metrics.__all__) - {"SpectralImages"})


@pytest.mark.parametrize("name", NAMES)
def test_float64_stays_float64_and_everything_else_becomes_float32(name, specimen, call):
    assert call(name, specimen.double()).dtype == torch.float64
    for x in (specimen, specimen.half(), specimen.bfloat16(), (specimen * 255).clamp(0, 255).to(torch.uint8)):
        result = call(name, x)
        assert result.dtype == torch.float32
        assert result.device == x.device


@pytest.mark.parametrize("name", NAMES)
def test_float32_and_float64_agree(name, specimen, call):
    single, double = call(name, specimen), call(name, specimen.double())
    torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_reads_within_two_percent(name, dtype, specimen, call):
    """Of the whole map or spectrum: its entries one by one may be too small to keep two digits."""
    exact, rounded = call(name, specimen).flatten(), call(name, specimen.to(dtype)).flatten()
    if name in MAPS:
        exact, rounded = exact.mean(), rounded.mean()
    assert float((exact - rounded).abs().max()) <= 0.02 * float(exact.abs().max())


@pytest.mark.parametrize("name", NAMES)
def test_eight_bit_images_with_data_range_255_read_like_floats(name, specimen, call):
    bytes_ = (specimen.clamp(0, 1) * 255).round().to(torch.uint8)
    torch.testing.assert_close(call(name, bytes_, data_range=255), call(name, bytes_.float() / 255))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=2, deadline=None, derandomize=True)
@given(scale=st.floats(0.1, 300.0), offset=st.floats(-2.0, 2.0))
def test_brightness_and_units_do_not_matter_when_the_data_range_follows(
    name, scale, offset, defective, replicated, call
):
    """In float64, so that only the metric is tested and not the rounding of its input."""
    x = (replicated if name in FACTORS else defective).double()
    moved = call(name, scale * (x + offset), data_range=scale)
    torch.testing.assert_close(moved, call(name, x), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_a_negative_reads_like_its_positive(name, specimen, call):
    x = specimen.double()
    torch.testing.assert_close(call(name, 1 - x), call(name, x), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_reads_like_its_images_one_by_one(name, specimen, call):
    arguments = {"reduction": "none"} if "reduction" in inspect.signature(getattr(metrics, name)).parameters else {}
    batch = torch.cat([specimen, specimen.flip(3), torch.zeros_like(specimen[:1])])
    alone = torch.cat([call(name, image[None], **arguments) for image in batch])
    torch.testing.assert_close(call(name, batch, **arguments), alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_channels_does_not_matter(name, specimen, call):
    x, order = specimen.double(), [1, 2, 0]
    torch.testing.assert_close(call(name, x[:, order]), call(name, x), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_how_the_pixels_lie_in_memory_does_not_matter(name, specimen, call):
    room = torch.zeros(*specimen.shape[:3], 2 * specimen.shape[3])
    room[..., ::2] = specimen
    expected = call(name, specimen)
    for laid_out in (
        room[..., ::2],
        specimen.to(memory_format=torch.channels_last),
        specimen.transpose(2, 3).contiguous().transpose(2, 3),
    ):
        assert not laid_out.is_contiguous()
        torch.testing.assert_close(call(name, laid_out), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_the_input_is_not_modified(name, specimen, call):
    for x in (specimen.clone(), specimen.double()):
        before = x.clone()
        call(name, x)
        assert torch.equal(x, before)


@pytest.mark.parametrize("name", NAMES)
def test_two_calls_give_the_same_bits_and_leave_the_random_state_alone(name, specimen, call):
    state = torch.get_rng_state()
    assert torch.equal(call(name, specimen), call(name, specimen))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_not_needed_and_do_not_change_the_number(name, specimen, call):
    expected = call(name, specimen)
    with torch.inference_mode():
        assert torch.equal(call(name, specimen.clone()), expected)
    assert tracked_number(name, specimen, call).equal(expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_does_not_reach_the_measurement(name, dtype, specimen, call):
    expected = call(name, specimen)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(call(name, specimen), expected)


def tracked_number(name, x, call):
    """Of an image that autograd follows; every warning counts, though torch would give most only once."""
    tracked, always = x.clone().requires_grad_(), torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        result = call(name, tracked)
    finally:
        torch.set_warn_always(always)
    assert tracked.grad is None
    return result.detach()


@pytest.mark.parametrize("name", NAMES)
def test_an_expanded_pixel_is_a_constant_image(name, call):
    pixel = torch.full((1, 1, 1, 1), 0.5)
    assert bool((call(name, pixel.expand(2, 3, 96, 96)) == (name in FACTORS)).all())
