"""Lint sees functional calls, computed weights, wrapped, lost and uncalled layers, and says what it cannot see."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab import capture, lint
from artifactlab.demo.unet import broken


def test_functional_calls_with_weights_of_modules_are_seen_once(net: Any, found: Any) -> None:
    up = nn.ConvTranspose2d(4, 4, 3, 2)
    model = net(lambda self, x: F.conv_transpose2d(x, self.up.weight, self.up.bias, stride=2), up=up)
    assert found(model, "uneven-overlap") == ["conv_transpose2d#0"]
    nested = nn.Sequential(nn.Identity(), model)
    assert found(nested, "uneven-overlap") == ["1/conv_transpose2d#0"]


def test_functional_shuffles_and_rescaled_weights_are_seen(net: Any, found: Any, bilinear: Any) -> None:
    conv = nn.Conv2d(4, 16, 3)
    shuffled = net(lambda self, x: F.pixel_shuffle(F.leaky_relu(self.conv(x), 0.1) * 0.5, 2), conv=conv)
    assert found(shuffled, "unequal-shuffle") == ["conv"]
    equalised = net(lambda self, x: F.conv_transpose2d(x, 0.5 * self.up.weight, stride=2), up=bilinear())
    assert found(equalised, "unequal-sums") == []


def test_calls_are_counted_per_module_and_op(net: Any, found: Any) -> None:
    model = net(lambda self, x: F.interpolate(F.interpolate(x, scale_factor=3), scale_factor=2))
    assert found(model, "bare-nearest") == ["interpolate#0", "interpolate#1"]


class Counting(nn.Module):
    """Growing calls between others that do not grow, in two modules."""

    def __init__(self, inner: nn.Module | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4, 3, 3))
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=0.5)
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        x = F.conv_transpose2d(x, self.weight, padding=1)
        x = F.conv_transpose2d(x, self.weight, stride=2)
        x = F.interpolate(x, scale_factor=(0.5, 2.0), mode="bilinear", align_corners=True)
        x = x if self.inner is None else self.inner(x)
        return F.interpolate(x, scale_factor=2)


def test_calls_are_numbered_as_capture_numbers_them(found: Any) -> None:
    model = Counting(Counting())
    with capture(model) as cap:
        model(torch.rand(1, 4, 16, 16))
    captured = [site.site.key for site in cap.sites]
    named = {rule: found(model, rule) for rule in ("align-corners", "uneven-overlap", "bare-nearest")}
    assert named == {
        "align-corners": ["interpolate#0", "inner/interpolate#0"],
        "uneven-overlap": ["conv_transpose2d#0", "inner/conv_transpose2d#0"],
        "bare-nearest": ["inner/interpolate#1", "interpolate#1"],
    }
    assert sorted(captured) == sorted(site for sites in named.values() for site in sites)


def test_optional_arguments_take_their_defaults(number: Any) -> None:
    class Optional(nn.Module):
        def forward(self, x: Tensor, skip: Tensor | None = None, scale: int = 2) -> Tensor:
            if skip is not None:
                x = torch.cat([x, skip], 1)
            return F.interpolate(x, scale_factor=scale) if scale > 1 else x

    assert number(Optional(), "bare-nearest") == (2,)  # of signals, images or volumes


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: nn.Sequential(nn.Identity(), m)], ids=["root", "inner"])
def test_what_cannot_be_followed_is_said_and_read_in_order(wrap: Any, branching: Any, found: Any) -> None:
    model = wrap(branching())
    prefix = "1." if isinstance(model, nn.Sequential) else ""
    findings = lint(model, trained=True)
    assert [f.site for f in findings if f.rule == "not-seen"] == [prefix.removesuffix(".") or "(model)"]
    assert found(model, "uneven-overlap") == [prefix + "up"]
    assert found(model, "unequal-shuffle") == [prefix + "expand"]
    assert len(found(model, "align-corners")) == 1  # seen before the forward was lost


def test_the_rest_of_a_model_is_followed_past_a_block_that_is_not(net: Any, branching: Any, found: Any) -> None:
    model = net(lambda self, x: F.interpolate(self.block(x), scale_factor=2), block=branching())
    assert found(model, "bare-nearest") == ["interpolate#0"]
    assert found(model, "not-seen") == ["block"]


def test_what_is_lost_deep_inside_costs_no_more_than_what_is_not(branching: Any, found: Any) -> None:
    class Unpacking(nn.Module):
        """Goes over a number of outputs that nobody knows beforehand."""

        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Any:
            return list(self.inner(x))

    model: nn.Module = branching()
    for _ in range(14):
        model = Unpacking(model)
    assert len(found(model, "uneven-overlap")) == 1
    assert len(found(model, "not-seen")) == 15


def test_a_model_that_is_followed_has_no_such_note(found: Any) -> None:
    assert found(broken(), "not-seen") == []


def test_a_learned_constant_is_an_activation(found: Any) -> None:
    class Start(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.start = nn.Parameter(torch.ones(1, 4, 8, 8))
            self.up = nn.ConvTranspose2d(4, 4, 3, 2)

        def forward(self, style: Tensor) -> Tensor:
            return style * F.interpolate(F.conv_transpose2d(input=self.start, weight=self.up.weight, stride=2), (9, 9))

    assert found(Start(), "uneven-overlap") == ["conv_transpose2d#0"]
    assert found(Start(), "bare-nearest") == ["interpolate#0"]


def test_parametrized_weights_in_functional_calls_are_seen(net: Any, found: Any, bilinear: Any) -> None:
    up = nn.utils.parametrizations.weight_norm(bilinear())
    model = net(lambda self, x: F.conv_transpose2d(x, self.up.weight.flip(0), stride=2), up=up)
    assert found(model, "not-seen") == []
    assert found(model, "unequal-sums") == []


@pytest.mark.parametrize("computed", [lambda weight: weight, lambda weight: 0.5 * weight.flip(0)])
@pytest.mark.parametrize("norm", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm])
def test_a_computed_weight_in_a_functional_call_is_named_once(norm: Any, computed: Any, net: Any, found: Any) -> None:
    up = norm(nn.ConvTranspose2d(4, 4, 3, 2))
    model = net(lambda self, x: F.conv_transpose2d(x, computed(self.up.weight), stride=2), up=up)
    assert found(model, "uneven-overlap") == ["conv_transpose2d#0"]


def test_two_hundred_residual_blocks_are_followed(net: Any, found: Any) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        for _ in range(200):
            x = x + F.conv2d(torch.relu(x), self.conv.weight, padding=1)
        return F.interpolate(x, scale_factor=2)

    assert found(net(forward, conv=nn.Conv2d(4, 4, 3)), "bare-nearest") == ["interpolate#0"]


def test_weights_computed_from_data_are_said(net: Any, found: Any, bilinear: Any) -> None:
    model = net(lambda self, x: F.conv_transpose2d(x, x.mean() * self.up.weight, stride=2), up=bilinear())
    assert found(model, "not-seen") == ["conv_transpose2d#0"]


def test_layers_that_no_forward_calls_are_read_all_the_same(net: Any, found: Any) -> None:
    model = net(lambda self, x: x, heads=nn.ModuleList([nn.ConvTranspose2d(4, 4, 3, 2)]))
    assert found(model, "uneven-overlap") == ["heads.0"]


def test_a_shared_module_is_named_once(found: Any) -> None:
    up = nn.ConvTranspose2d(4, 4, 3, 2)
    assert found(nn.Sequential(up, nn.ReLU(), up), "uneven-overlap") == ["0"]


def test_a_subclass_with_a_forward_of_its_own_is_looked_into(found: Any) -> None:
    class ResizeConv(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(super().forward(x), scale_factor=2)

    class Plain(nn.ConvTranspose2d):
        pass

    assert found(nn.Sequential(ResizeConv(4, 4, 3)), "bare-nearest") == ["0/interpolate#0"]
    assert found(nn.Sequential(Plain(4, 4, 3, 2)), "uneven-overlap") == ["0"]


@pytest.mark.parametrize(
    "layer",
    [
        nn.ConvTranspose2d(4, 4, 3, 1, 1),
        nn.ConvTranspose1d(4, 4, 3, 1, 1),
        nn.ConvTranspose3d(4, 4, 3, 1, 1),
        nn.Conv2d(4, 4, 3, 2, 1),
        nn.PixelUnshuffle(2),
        nn.Identity(),
        nn.ModuleList(),
    ],
)
def test_layers_without_a_lattice_have_no_findings(layer: nn.Module) -> None:
    assert lint(layer, trained=False) == ()


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda model: torch.compile(model, backend="eager")])
def test_wrappers_do_not_change_names(wrap: Any, net: Any) -> None:
    model = net(lambda self, x: F.interpolate(self.up(x), scale_factor=2), up=nn.ConvTranspose2d(4, 4, 3, 2))
    expected = lint(model, trained=True)
    assert lint(wrap(model), trained=True) == expected
    assert [f.rule for f in lint(nn.Sequential(wrap(model)), trained=True)] == [f.rule for f in expected]


@pytest.mark.filterwarnings("ignore")  # torch's own, about scripting
def test_a_scripted_part_is_said_to_be_unseen(found: Any) -> None:
    scripted = torch.jit.script(nn.ConvTranspose2d(4, 4, 3, 2))
    assert found(nn.Sequential(scripted), "not-seen") == ["0"]
