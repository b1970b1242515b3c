"""pix2pix's generator with any upsampler."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from artifactlab.errors import InputError
from artifactlab.fix.upsample import MODES, LearnableInterpolationUpsample, UNetGenerator, UnetSkipConnectionBlock

every_mode = pytest.mark.parametrize("mode", MODES)


def levels(net: UNetGenerator) -> list[UnetSkipConnectionBlock]:
    """From the outermost inwards."""
    return [module for module in net.modules() if isinstance(module, UnetSkipConnectionBlock)]


@every_mode
@pytest.mark.parametrize("fusion", ["concat", "none"])
def test_the_output_has_the_inputs_size_and_lies_within_one(mode: str, fusion: str) -> None:
    net = UNetGenerator(1, 2, num_downs=3, ngf=2, mode=mode, fusion=fusion)
    y = net(10 * torch.randn(2, 1, 8, 16))
    assert y.shape == (2, 2, 8, 16)
    assert y.abs().max() <= 1


@every_mode
def test_every_level_upsamples_by_the_mode_but_a_gate_without_skip(mode: str) -> None:
    ups = [level.up for level in levels(UNetGenerator(num_downs=3, ngf=2, mode=mode))]
    assert [type(up.up) for up in ups[1:]] == [MODES[mode]] * 2
    assert type(ups[0].up) is MODES["interpolate_conv" if mode == "gated" else mode]


def test_widths_double_up_to_eight_times_and_dropout_is_in_the_wide_middle() -> None:
    net = UNetGenerator(num_downs=7, ngf=2, use_dropout=True)
    assert [level.down[1].out_channels for level in levels(net)] == [2, 4, 8, 16, 16, 16, 16]
    assert [isinstance(level.dropout, nn.Dropout) for level in levels(net)] == [False] * 4 + [True] * 2 + [False]
    assert not [m for m in UNetGenerator(num_downs=7, ngf=2).modules() if isinstance(m, nn.Dropout)]


def test_a_level_fuses_what_came_in_with_what_comes_up() -> None:
    level, x = UnetSkipConnectionBlock(3, 4, norm=None).eval(), torch.randn(1, 3, 8, 8)
    assert torch.equal(level(x), level.up(level.down(x).relu(), x))
    outer = UnetSkipConnectionBlock(2, 3, input_nc=1, submodule=level, outermost=True)
    image = torch.randn(1, 1, 16, 16)
    assert torch.equal(outer(image), outer.up(level(outer.down(image)).relu()))


def test_one_bottleneck_pixel_trains_with_every_norm() -> None:
    for norm in ("batch", "instance", "group", None):
        net = UNetGenerator(num_downs=3, ngf=2, norm=norm)
        net(torch.randn(1, 3, 8, 8)).square().mean().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@every_mode
def test_a_generator_with_everything_is_exported_and_loaded_with_the_same_output(mode: str) -> None:
    options = {"num_downs": 2, "ngf": 2, "mode": mode, "res_skip": True, "attention": True, "film_dim": 2}
    net, again = UNetGenerator(**options).eval(), UNetGenerator(**options).eval()
    args = torch.randn(2, 3, 8, 8), torch.rand(2, 2)
    expected = net(*args)
    if mode in ("deconv", "gated"):  # the others differ in the upsampler alone, which is exported elsewhere
        assert torch.allclose(torch.export.export(net, args).module()(*args), expected, atol=1e-6)
    assert not torch.allclose(again(*args), expected)
    again.load_state_dict(net.state_dict(), strict=True)
    assert torch.equal(again(*args), expected)


def test_a_condition_reaches_every_level() -> None:
    net = UNetGenerator(num_downs=3, ngf=2, film_dim=2, norm=None)
    image, cond = torch.randn(2, 3, 8, 8), torch.rand(2, 2)
    before = net(image, cond)
    for level in levels(net):
        nn.init.normal_(level.up.film.affine.weight)
        after = net(image, cond)
        assert not torch.allclose(before, after)
        before = after
    with pytest.raises(InputError, match="no cond was given"):
        net(image)


@every_mode
def test_a_flat_image_stays_flat_at_first(mode: str) -> None:
    net = UNetGenerator(num_downs=2, ngf=2, mode=mode).eval()
    y = net(torch.full((1, 3, 8, 8), 0.7))
    assert (y - y[..., :1, :1]).abs().max() < 1e-5


def test_what_does_not_fit_is_refused() -> None:
    net = UNetGenerator(num_downs=3, ngf=2)
    with pytest.raises(InputError, match="weights of pix2pix's own U-Net"):
        net.load_state_dict({"model.model.0.weight": torch.zeros(1)})
    with pytest.raises(InputError, match=r"x has shape \(1, 1, 8, 8\)"):
        net(torch.rand(1, 1, 8, 8))
    with pytest.raises(InputError, match="num_downs is 1"):
        UNetGenerator(num_downs=1)
    with pytest.raises(InputError, match="mode is 'unpool'"):
        UNetGenerator(num_downs=2, mode="unpool")
    with pytest.raises(InputError, match="attention weighs a skip"):
        UNetGenerator(num_downs=2, fusion="none", attention=True)


def test_the_default_is_pix2pixs_for_256_pixels() -> None:
    with torch.device("meta"):
        net = UNetGenerator(ngf=8)
        assert net(torch.rand(1, 3, 256, 256)).shape == (1, 3, 256, 256)
    ups = [module for module in net.modules() if isinstance(module, LearnableInterpolationUpsample)]
    assert [(up.up.conv.kernel_size, up.up.conv.stride) for up in ups] == [((4, 4), (2, 2))] * 8


@pytest.mark.parametrize("size", [(8, 12), (65, 47), (3, 5)])
@every_mode
def test_an_image_of_any_size_comes_back_in_its_size(mode: str, size: tuple[int, int]) -> None:
    net = UNetGenerator(num_downs=3, ngf=2, mode=mode).eval()
    image = torch.rand(1, 3, *size)
    assert net(image).shape == image.shape
    padded = F.pad(image, (0, -size[1] % 8, 0, -size[0] % 8), mode="replicate")
    assert torch.equal(net(image), net(padded)[..., : size[0], : size[1]])
