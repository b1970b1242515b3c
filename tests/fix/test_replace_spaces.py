"""Upsamplers inside networks of signals and volumes: read, copied without their lattice, swapped, saved and refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.attribution.sites.records import Site
from artifactlab.errors import FixError, InputError
from artifactlab.fix import Replacement, replace_upsampler, save_fixed
from artifactlab.fix.mimic import mimic
from artifactlab.fix.operator import find_operator, neighbours_of
from artifactlab.fix.response import apply_response, impulse_response
from artifactlab.fix.upsample import MODES, ResizeConvUpsample
from artifactlab.fix.weights import install_from

CONVOLUTION = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class VolumeShuffle(nn.Module):
    """A pixel shuffle of a volume as people write it: 2 along depth, rows and columns."""

    def __init__(self, inside: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inside, 8 * out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        n, c, d, h, w = y.shape
        y = y.view(n, c // 8, 2, 2, 2, d, h, w).permute(0, 1, 5, 2, 6, 3, 7, 4)
        return y.reshape(n, c // 8, 2 * d, 2 * h, 2 * w)


UPS: dict[str, tuple[int, tuple[int, ...], Callable[[], nn.Module]]] = {
    "vocoder": (1, (4,), lambda: nn.ConvTranspose1d(4, 3, 8, 4, 2)),
    "uneven vocoder": (1, (2,), lambda: nn.ConvTranspose1d(4, 3, 5, 2, 2, output_padding=1)),
    "short signal": (1, (3,), lambda: nn.ConvTranspose1d(4, 3, 4, 3, 1)),
    "nearest signal": (1, (2,), lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv1d(4, 3, 3, padding=1))),
    "volume": (3, (2, 2, 2), lambda: nn.ConvTranspose3d(4, 3, 3, 2, 1, output_padding=1)),
    "even volume": (3, (2, 2, 2), lambda: nn.ConvTranspose3d(4, 3, 2, 2)),
    "anisotropic": (3, (1, 2, 2), lambda: nn.ConvTranspose3d(4, 3, (1, 2, 2), (1, 2, 2))),
    "trilinear": (
        3,
        (2, 2, 2),
        lambda: nn.Sequential(nn.Upsample(scale_factor=2, mode="trilinear"), nn.Conv3d(4, 3, 3, padding=1)),
    ),
    "shuffle of a volume": (3, (2, 2, 2), lambda: VolumeShuffle(4, 3)),
    "columns only": (2, (1, 2), lambda: nn.ConvTranspose2d(4, 3, (1, 4), (1, 2), (0, 1))),
}
every_up = pytest.mark.parametrize("name", UPS)


class Net(nn.Module):
    """`up` between two layers."""

    def __init__(self, up: nn.Module, axes: int, channels: int = 3) -> None:
        super().__init__()
        self.stem = CONVOLUTION[axes](1, 4, 3, padding=1)
        self.up = up
        self.act = nn.ReLU()
        self.head = CONVOLUTION[axes](channels, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.up(self.stem(x))))


def net(name: str) -> Net:
    axes, _, make = UPS[name]
    return Net(make(), axes).eval()


def features(name: str, channels: int = 1) -> Tensor:
    return torch.rand(2, channels, *(6, 7, 8)[: UPS[name][0]])


def site_of(name: str) -> Site:
    axes, scale, _ = UPS[name]
    factors = tuple(map(float, scale))
    return Site("up", "module", 0, factors, factors, (1, 4, *[8] * axes), (1, 3, *[8 * r for r in scale]))


@every_up
@torch.no_grad()
def test_the_kernel_computes_what_the_operator_does_inside(name: str) -> None:
    axes, scale, make = UPS[name]
    operator = make()
    response = impulse_response(operator, 4, axes)
    assert response.scale == scale
    x = torch.randn(1, 4, *[4 * response.reach + 6] * axes)
    given, expected = apply_response(response, x), operator(x)
    for axis, r in enumerate(scale, 2):
        rim = r * (response.reach + 1)
        given, expected = (y.narrow(axis, rim, r * 4) for y in (given, expected))
    assert torch.allclose(given.float(), expected, atol=1e-5)


@torch.no_grad()
def test_a_transposed_kernel_of_a_volume_lands_where_its_definition_says() -> None:
    """Against the formula: output voxel o gets x[i] w[o + padding - stride i], along each axis."""
    operator = nn.ConvTranspose3d(1, 1, (3, 4, 2), (1, 2, 2), (1, 1, 0))
    response = impulse_response(operator, 1, 3)
    kernel, taps = response.kernel[0, 0], response.kernel.shape[-1]
    for phases in itertools.product(range(1), range(2), range(2)):
        for places in itertools.product(range(taps), repeat=3):
            at = [
                phase + padding - stride * (place - response.reach)
                for phase, place, padding, stride in zip(phases, places, (1, 1, 0), (1, 2, 2), strict=True)
            ]
            inside = all(0 <= index < size for index, size in zip(at, (3, 4, 2), strict=True))
            expected = operator.weight[(0, 0, *at)].item() if inside else 0.0
            assert kernel[(*phases, *places)].item() == pytest.approx(expected, abs=1e-6)


@every_up
@pytest.mark.parametrize("mode", ["deconv", "interpolate_conv", "subpixel"])
@torch.no_grad()
def test_every_mode_replaces_every_operator_in_its_shapes(name: str, mode: str) -> None:
    model, x = net(name), features(name)
    before = model(x)
    swap = replace_upsampler(model, site_of(name), mode)
    after = model(x)
    assert after.shape == before.shape
    assert after.isfinite().all()
    assert swap.replacement.scale == UPS[name][1]
    assert ("x1x2x2" in str(swap)) == (name == "anisotropic")


@pytest.mark.parametrize("mode", ["deconv", "interpolate_conv", "subpixel"])
@pytest.mark.parametrize(("axes", "scale"), [(1, (3,)), (3, (2, 2, 2)), (3, (1, 2, 2)), (2, (1, 2))])
@torch.no_grad()
def test_every_mode_copies_a_smooth_layer(mode: str, axes: int, scale: tuple[int, ...]) -> None:
    old = ResizeConvUpsample(4, 3, scale=scale, spatial_dims=axes)
    options = {"kernel_size": tuple(3 * r for r in scale)} if mode == "deconv" else {}
    new = MODES[mode](4, 3, scale=scale, spatial_dims=axes, **options)
    assert mimic(new, impulse_response(old, 4, axes)) < 1e-3
    x = torch.randn(1, 4, *(6, 7, 8)[:axes])
    assert torch.allclose(new(x), old(x), atol=2e-3)  # noise, which the fit weighs least


@pytest.mark.parametrize("mode", ["deconv", "interpolate_conv", "subpixel"])
@pytest.mark.parametrize("name", ["uneven vocoder", "volume"])
@torch.no_grad()
def test_a_layer_with_a_lattice_is_copied_without_it(name: str, mode: str) -> None:
    model, axes = net(name), UPS[name][0]
    model.up.weight.copy_(torch.rand_like(model.up.weight) + 0.5)
    flat = torch.rand(1, 4, *[1] * axes).expand(1, 4, *[8] * axes)
    inside = (..., *[slice(4, 12)] * axes)
    old = model.up(flat)[inside]
    replace_upsampler(model, "up", mode)
    new = model.up(flat)[inside]
    assert old.flatten(2).std(2).min() > 0.05
    assert new.flatten(2).std(2).max() < 1e-4
    assert torch.allclose(new.flatten(2).mean(2), old.flatten(2).mean(2), rtol=0.05, atol=0.05)


@torch.no_grad()
def test_a_name_is_enough_where_convolutions_say_how_many_axes_there_are() -> None:
    model = Net(nn.Sequential(nn.Upsample(scale_factor=2), nn.ReplicationPad3d(1), nn.Conv3d(4, 3, 3)), 3)
    swap = replace_upsampler(model, "up.0")
    assert swap.replacement.paths == ("up.0", "up.1", "up.2")
    assert model(torch.rand(1, 1, 4, 5, 6)).shape == (1, 1, 8, 10, 12)


def test_a_resize_of_a_volume_comes_with_the_convolution_that_reads_it() -> None:
    model = nn.Sequential(nn.Conv3d(1, 2, 1), nn.Upsample(scale_factor=2, mode="trilinear"), nn.Conv3d(2, 1, 3))
    assert find_operator(model, "1").paths == ("1", "2")


def test_neighbours_of_a_volumes_layer_are_found() -> None:
    assert set(neighbours_of(net("volume"), ["up"])) == {"stem", "head"}


@torch.no_grad()
def test_what_replaced_a_volumes_layer_is_saved_and_loads_again(tmp_path: Path) -> None:
    for name, mode in (("anisotropic", "deconv"), ("uneven vocoder", "subpixel"), ("short signal", "interpolate_conv")):
        model, again = net(name), net(name)
        swap = replace_upsampler(model, "up", mode)
        assert Replacement.from_dict(swap.replacement.to_dict()) == swap.replacement
        path = tmp_path / f"{name}.safetensors".replace(" ", "_")
        save_fixed(path, model, [swap.replacement])
        install_from(again, path)
        again.load_state_dict(model.state_dict())
        x = features(name)
        assert torch.equal(again(x), model(x))


@pytest.mark.parametrize("mode", ["carafe", "dysample", "conv_only_up", "meta", "hybrid"])
def test_a_mode_for_images_is_refused_in_one_line_that_says_what_to_use(mode: str) -> None:
    for name, what in (("volume", "volumes"), ("vocoder", "signals")):
        model = net(name)
        with pytest.raises(InputError) as error:
            replace_upsampler(model, "up", mode)
        assert str(error.value) == f"{mode} works on images only; for {what} use interpolate_conv"
        assert isinstance(model.up, (nn.ConvTranspose1d, nn.ConvTranspose3d))
    with pytest.raises(InputError, match=f"{mode} enlarges rows and columns alike; for a scale of 1x2 use interpol"):
        replace_upsampler(net("columns only"), "up", mode)


def test_a_call_on_volumes_is_told_which_line_to_change() -> None:
    class Functional(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(x, scale_factor=(1, 2, 2), mode="trilinear")

    with pytest.raises(FixError, match=r"nn\.Upsample\(scale_factor=\(1, 2, 2\), mode='trilinear'\)"):
        replace_upsampler(nn.Sequential(Functional()), "0/interpolate#0")


def test_a_module_that_enlarges_otherwise_where_the_model_runs_it_is_refused() -> None:
    site = Site("up", "module", 0, (2.0, 2.0, 2.0), (2.0, 2.0, 2.0), (1, 4, 8, 8, 8), (1, 3, 16, 16, 16))
    with pytest.raises(FixError, match=r"enlarges by \(1, 2, 2\), but by \(2\.0, 2\.0, 2\.0\)"):
        find_operator(net("anisotropic"), site)
