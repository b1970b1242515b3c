"""Where an output came from: periods follow from what a site's result passes, whatever happens to its size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab.attribution.sites.capture import Capture
from artifactlab.attribution.sites.records import CapturedSite
from artifactlab.attribution.sites.watch import watch

IMAGE = torch.rand(1, 3, 60, 60, generator=torch.Generator().manual_seed(0))


def captured(model: nn.Module, image: Tensor) -> list[CapturedSite]:
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(image)
    return cap.sites


class Of(nn.Module):
    """Runs a function that is given its layers."""

    def __init__(self, forward: Any, **layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(layers)
        self._forward = forward

    def forward(self, x: Tensor) -> Any:
        return self._forward(x, **self.layers)


def up(stride: int = 2, channels: int = 3) -> nn.Module:
    return nn.ConvTranspose2d(3, channels, stride, stride)


def periods(model: nn.Module, x: Tensor = IMAGE) -> dict[str, tuple[float, float]]:
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(x)
    return {found.site.name.removeprefix("layers."): found.site.period for found in cap.sites}


def layers(model: nn.Module, x: Tensor = IMAGE) -> list[artifactlab.Site]:
    found = Capture()
    with watch(model, found.visit, found.finish), torch.no_grad():
        model(x)
    return [layer.site for layer in found.layers]


@pytest.mark.parametrize("multiple", [8, 16, 64, 256])
def test_padding_inside_forward_that_is_cropped_again_changes_no_period(multiple: int) -> None:
    def forward(x: Tensor, up: nn.Module) -> Tensor:
        h, w = x.shape[2:]
        padded = F.pad(x, (0, -w % multiple, 0, -h % multiple), mode="constant")
        return up(padded)[..., : 2 * h, : 2 * w]

    assert periods(Of(forward, up=up())) == {"up": (2, 2)}


@pytest.mark.parametrize("convolutions", [1, 4, 9])
def test_valid_convolutions_change_sizes_and_no_period(convolutions: int) -> None:
    valid = nn.Sequential(*(nn.Conv2d(3, 3, 3) for _ in range(convolutions)))
    model = Of(lambda x, a, b, valid: valid(b(valid(a(x)))), a=up(), b=up(3), valid=valid)
    assert periods(model) == {"a": (6, 6), "b": (3, 3)}


def test_tiles_that_are_written_into_the_output_keep_their_period() -> None:
    def forward(x: Tensor, up: nn.Module) -> Tensor:
        whole = x.new_zeros(1, 3, 120, 120)
        for top in (0, 30):
            for left in (0, 30):
                whole[..., 2 * top : 2 * top + 60, 2 * left : 2 * left + 60] = up(
                    x[..., top : top + 30, left : left + 30]
                )
        return whole

    (layer,) = layers(Of(forward, up=up()))
    assert (layer.period, layer.calls) == ((2, 2), (0, 1, 2, 3))


def test_tiles_that_are_copied_or_added_through_a_view_keep_their_period() -> None:
    def forward(x: Tensor, up: nn.Module) -> Tensor:
        whole = x.new_zeros(1, 3, 120, 120)
        for half in (0, 1):
            part = whole[..., 60 * half : 60 * half + 60, :]
            part.copy_(up(x[..., 30 * half : 30 * half + 30, :]))
        return whole.clamp(0, 1)

    (layer,) = layers(Of(forward, up=up()))
    assert (layer.period, layer.calls) == ((2, 2), (0, 1))


def test_what_shrinks_the_result_again_divides_its_period() -> None:
    shrinks = {
        "conv": nn.Conv2d(3, 3, 3, stride=2, padding=1),
        "avg": nn.AvgPool2d(2),
        "max": nn.MaxPool2d(2, 2),
        "unshuffle": nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 3, 1)),
        "resize": nn.Upsample(scale_factor=0.5),
    }
    for name, shrink in shrinks.items():
        model = Of(lambda x, a, shrink, b: b(shrink(a(x))), a=up(4), shrink=shrink, b=up(3))
        assert periods(model) == {"a": (6, 6), "b": (3, 3)}, name
    model = Of(lambda x, a: a(x)[..., ::2, ::2], a=up(4))
    assert periods(model) == {"a": (2, 2)}


def test_parallel_paths_of_different_scale_give_the_smallest_period_that_holds_both() -> None:
    def forward(x: Tensor, up: nn.Module) -> Tensor:
        small = up(x)
        return F.interpolate(small, scale_factor=3.0) + F.pad(small, (0, 240, 0, 240))[..., :360, :360]

    assert periods(Of(forward, up=up())) == {"up": (6, 6), "": (3, 3)}


def test_a_direction_that_a_site_does_not_grow_has_no_lattice_of_it() -> None:
    model = Of(lambda x: x.repeat_interleave(2, 2).repeat_interleave(3, dim=3))
    assert [site.period for site in layers(model)] == [(2, 1), (1, 3)]


def test_where_no_way_to_the_output_is_seen_the_sizes_decide() -> None:
    model = Of(lambda x, up: torch.from_numpy(up(x).detach().numpy()), up=up())
    assert periods(model) == {"up": (2, 2)}


def test_calls_of_a_module_are_one_layer() -> None:
    """An ensemble of flips, and a net that is run over and over on its own output."""
    ensemble = Of(lambda x, up: up(x) + up(x.flip(3)).flip(3) + up(x.flip(2)).flip(2), up=up())
    (layer,) = layers(ensemble)
    assert (layer.key, layer.calls, layer.period) == ("layers.up/conv_transpose2d#0", (0, 1, 2), (2, 2))

    def sample(x: Tensor, down: nn.Module, up: nn.Module) -> Tensor:
        for _ in range(4):
            x = x - 0.1 * up(down(x))
        return x

    (layer,) = layers(Of(sample, down=nn.Conv2d(3, 3, 3, 2, 1), up=up()))
    assert (layer.calls, layer.period) == ((0, 1, 2, 3), (2, 2))


def test_a_line_of_code_is_a_layer_and_two_lines_are_two() -> None:
    def forward(x: Tensor) -> Tensor:
        first = F.interpolate(x, scale_factor=2.0)
        return first + F.interpolate(x.flip(3), scale_factor=2.0)

    assert [site.calls for site in layers(Of(forward))] == [(0,), (1,)]

    def loop(x: Tensor) -> Tensor:
        return sum(F.interpolate(turned, scale_factor=2.0) for turned in (x, x.flip(2), x.flip(3)))  # type: ignore[return-value]

    assert [site.calls for site in layers(Of(loop))] == [(0, 1, 2)]


def test_a_loop_over_the_stages_of_a_decoder_is_a_layer_per_stage() -> None:
    """One line, but lattices of different period: the stage is what the reader wants to know."""

    def forward(x: Tensor) -> Tensor:
        for _ in range(3):
            x = F.interpolate(x, scale_factor=2.0)
        return x

    assert [(site.calls, site.period[0]) for site in layers(Of(forward))] == [((0,), 8), ((1,), 4), ((2,), 2)]


def test_what_only_pointwise_functions_follow_is_known() -> None:
    found: dict[str, bool] = {}

    def last(name: str, forward: Any, **modules: nn.Module) -> None:
        model = Of(forward, **modules)
        with watch(model, lambda visit: None, lambda out, wiring: found.update({name: _pointwise(wiring.paths(out))})):
            model(IMAGE)

    last("sigmoid", lambda x, up: torch.sigmoid(up(x)), up=up())
    last("softmax", lambda x, up: F.softmax(up(x), 1)[:, :2], up=up())
    last("conv", lambda x, up, conv: torch.sigmoid(conv(up(x))), up=up(), conv=nn.Conv2d(3, 3, 3, padding=1))
    assert found == {"sigmoid": True, "softmax": True, "conv": False}


def _pointwise(paths: Any) -> bool:
    (path,) = paths.values()
    return bool(path.pointwise)


@pytest.mark.parametrize(("through", "period"), [(2, None), (1, (4, 4))])
def test_a_lattice_that_a_stride_passes_over_is_gone_and_no_later_resize_brings_it_back(
    through: int, period: tuple[int, int] | None
) -> None:
    model = nn.Sequential(
        nn.Upsample(scale_factor=2), nn.Conv2d(1, 1, 3, through, padding=1), nn.ConvTranspose2d(1, 1, 2, 2)
    )
    found = {s.site.name: s.site.period for s in captured(model, torch.rand(1, 1, 32, 32))}
    assert found.get("0") == period
    assert found["2"] == (2, 2)


def test_a_lattice_that_space_to_depth_lays_into_the_features_is_gone() -> None:
    class Swallows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.mix, self.out = nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 1), nn.PixelShuffle(2)

        def forward(self, x: Tensor) -> Tensor:
            n, c, h, w = x.shape
            depth = self.up(x).view(n, c, h, 2, w, 2).permute(0, 1, 3, 5, 2, 4).reshape(n, 4 * c, h, w)
            return self.out(self.mix(depth))

    assert [s.site.name for s in captured(Swallows(), torch.rand(1, 1, 32, 32))] == ["out"]
