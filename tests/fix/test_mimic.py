"""A replacement starts where the old upsampler left off, less its lattice."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from artifactlab.errors import FixError
from artifactlab.fix.mimic import mimic, relative_difference
from artifactlab.fix.replacement import REPLACEABLE
from artifactlab.fix.response import apply_response, impulse_response
from artifactlab.fix.upsample import MODES, ResizeConvUpsample


def fresh(mode: str, scale: int = 2, inside: int = 5, outside: int = 3) -> nn.Module:
    options = {"kernel_size": 3 * scale} if mode == "deconv" else {}
    return MODES[mode](inside, outside, scale=scale, **options)


def smooth(count: int, side: int, channels: int) -> Tensor:
    """Features that are smooth, and not zero on average."""
    x = nn.functional.interpolate(torch.rand(count, channels, 5, 5), (side, side), mode="bicubic", align_corners=False)
    return x + 0.5


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("mode", [mode for mode in REPLACEABLE if mode != "bilinear"])
@torch.no_grad()
def test_every_mode_copies_a_smooth_layer(mode: str, scale: int) -> None:
    old = ResizeConvUpsample(5, 3, scale=scale)
    new = fresh(mode, scale)
    difference = mimic(new, impulse_response(old, 5))
    x = torch.randn(1, 5, 12, 10)
    if mode == "carafe":  # whose first kernels are Gaussians, not triangles
        assert difference < 0.15
        x = smooth(1, 12, 5)
        error = (new(x) - old(x)).square().mean().sqrt() / old(x).std()
        assert error < 0.15
    else:
        assert difference < 1e-3
        assert torch.allclose(new(x), old(x), atol=2e-4)


@torch.no_grad()
def test_bilinear_takes_the_mean_of_the_phases_and_fits_nothing() -> None:
    old = nn.ConvTranspose2d(5, 3, 4, 2, 1)
    new = fresh("bilinear")
    mimic(new, impulse_response(old, 5))
    x = torch.rand(1, 5, 9, 9)
    phases = nn.functional.pixel_unshuffle(old(x), 2).unflatten(1, (3, 4))
    torch.testing.assert_close(new.conv(x)[..., 1:-1, 1:-1], phases.mean(2)[..., 1:-1, 1:-1])


@pytest.mark.parametrize("mode", REPLACEABLE)
@torch.no_grad()
def test_a_layer_with_a_lattice_is_copied_without_it(mode: str) -> None:
    old = nn.ConvTranspose2d(5, 3, 3, 2, 1, output_padding=1)
    ramp = torch.tensor([0.5, 1.0, 0.6])
    old.weight.copy_(torch.randn(5, 3, 1, 1) * torch.outer(ramp, ramp))
    new = fresh(mode)
    mimic(new, impulse_response(old, 5))
    flat = torch.rand(1, 5, 1, 1).expand(1, 5, 9, 9)
    given, wanted = new(flat), old(flat)[..., 2:-2, 2:-2]
    assert wanted.std() > 0.05
    assert (given - given[..., :1, :1]).abs().max() < 1e-4
    assert torch.allclose(given.mean((2, 3)), wanted[..., :12, :12].mean((2, 3)), rtol=0.02, atol=0.02)


@torch.no_grad()
def test_the_fit_is_the_best_that_the_convolution_can_do_on_smooth_features() -> None:
    """No step in any direction gives a smaller error on features correlated as the fit assumes."""
    old = impulse_response(nn.ConvTranspose2d(2, 1, 4, 2, 1), 2)
    new = ResizeConvUpsample(2, 1)
    best = mimic(new, old)
    for _ in range(20):
        step = 0.01 * torch.randn_like(new.conv.weight)
        new.conv.weight += step
        assert relative_difference(impulse_response(new, 2), old) > best - 1e-6
        new.conv.weight -= step


@torch.no_grad()
def test_the_difference_is_relative_and_zero_for_a_copy() -> None:
    old = ResizeConvUpsample(4, 4)
    new = ResizeConvUpsample(4, 4)
    assert mimic(new, impulse_response(old, 4)) < 1e-3
    nearest = nn.Sequential(nn.Upsample(scale_factor=2), old.conv)
    assert 0.01 < mimic(new, impulse_response(nearest, 4)) < 0.5


@torch.no_grad()
def test_a_displaced_layer_is_copied_displaced() -> None:
    """An odd kernel at stride 2 without output padding lies half a pixel off; the copy must not shift the image."""
    old = nn.ConvTranspose2d(1, 1, 3, 2, 1, bias=False)
    old.weight.copy_(torch.tensor([[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]]))
    response = impulse_response(old, 1)
    new = ResizeConvUpsample(1, 1)
    mimic(new, response)
    ramp = torch.arange(20.0).expand(1, 1, 20, 20).contiguous()
    given, wanted = new(ramp)[..., 8:30, 8:30], apply_response(response, ramp)[..., 8:30, 8:30].float()
    assert (given - wanted).abs().max() < 0.06  # of 0.25, what an unshifted copy would be off by


def test_what_cannot_hold_a_copy_says_so() -> None:
    response = impulse_response(ResizeConvUpsample(2, 2), 2)
    with pytest.raises(FixError, match="kernel_size=6"):
        mimic(MODES["deconv"](2, 2), response)
    with pytest.raises(FixError, match="4 hidden channels"):
        mimic(MODES["conv_only_up"](2, 2, hidden=3), response)
    with pytest.raises(FixError, match="no closed form"):
        mimic(nn.Upsample(scale_factor=2), response)
