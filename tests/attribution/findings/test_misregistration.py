"""Features that meet displaced are found, with size, direction and words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.attribution.findings.misregistration import features_of, measure_shifts, misregistrations
from artifactlab.attribution.findings.off_centre import off_centre, off_centre_text
from artifactlab.attribution.records import Finding
from artifactlab.attribution.sites.watch import watch
from artifactlab.demo.unet import healthy
from artifactlab.models.calls import as_calls
from artifactlab.models.runner import Runner

SkipNet = Callable[[Any], nn.Module]


def measured(function: Any, runner: Runner, inputs: Any) -> Any:
    """What it says of the inputs, each of which is run straight first."""
    calls = as_calls(inputs)
    return function(runner, calls, [features_of(runner, call) for call in calls])


def displace(x: Tensor) -> Tensor:
    """Half a pixel to the right: the mean of neighbours."""
    return (x + x.roll(1, 3)) / 2


def shifts(model: nn.Module, x: Tensor) -> dict[str, tuple[float, float]]:
    with Runner(model, None, 0) as runner:
        return {shift.name: shift.value for shift in measured(measure_shifts, runner, x)}


def test_registered_features_read_zero_whatever_the_kernels_are(skip_net: SkipNet, image: Tensor) -> None:
    for function in (lambda a, b: torch.cat([a, b], 1), lambda a, b: a + b):
        ((_, value),) = shifts(skip_net(function), image).items()
        assert value == pytest.approx((0, 0), abs=1e-3)


def test_the_demos_net_is_registered(image: Tensor) -> None:
    with Runner(healthy(), None, 0) as runner:
        assert measured(misregistrations, runner, image.repeat(1, 1, 2, 2)) == ()


@pytest.mark.parametrize(
    ("function", "truth"),
    [
        (lambda a, b: torch.cat([displace(a), b], 1), (0, 0.5)),
        (lambda a, b: displace(a) + b, (0, 0.5)),
        (lambda a, b: a.roll((1, -1), (2, 3)) + b, (1, -1)),
        (lambda a, b: a + b.roll(1, 2), (-1, 0)),
    ],
)
def test_planted_displacements_are_found_with_size_direction_and_words(
    skip_net: SkipNet, function: Any, truth: tuple[float, float], image: Tensor
) -> None:
    with Runner(skip_net(function), None, 0) as runner:
        (finding,) = measured(misregistrations, runner, [image, image.flip(3)])
    assert finding.kind == "misregistration"
    assert finding.value == pytest.approx(truth, abs=0.1)
    assert max(finding.error) < 0.05
    assert finding.where in ("dec/cat#0", "dec/add#0")
    assert finding.where in finding.text
    assert f"{max(map(abs, truth)):.1f}" in finding.text


def test_odd_strided_kernels_sit_half_a_pixel_off_what_bilinear_assumes(image: Tensor) -> None:
    class Strided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fine = nn.Conv2d(3, 6, 3, padding=1)
            self.coarse = nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6)
            nn.init.constant_(self.coarse.weight, 1 / 9)  # random kernels alias too much of what they sample

        def forward(self, x: Tensor) -> Tensor:
            full = self.fine(x)
            return torch.cat([F.interpolate(self.coarse(full), scale_factor=2, mode="bilinear"), full], 1)

    assert shifts(Strided(), image)["cat#0"] == pytest.approx((0.5, 0.5), abs=0.1)


def test_later_merges_refer_to_the_first(skip_net: SkipNet, image: Tensor) -> None:
    def chain(a: Tensor, b: Tensor) -> Tensor:
        first = torch.cat([a.roll(1, 3), b], 1)
        return torch.cat([F.interpolate(first[..., ::2, ::2], scale_factor=2), b], 1)

    with Runner(skip_net(chain), None, 0) as runner:
        found = measured(misregistrations, runner, image)
    assert [finding.where for finding in found] == ["dec/cat#0", "dec/cat#1"]
    assert "may follow from dec/cat#0" in found[1].text


def test_half_precision_and_flat_or_broken_features_are_survived(skip_net: SkipNet, image: Tensor) -> None:
    net = skip_net(lambda a, b: torch.cat([a.roll(1, 2), b], 1)).bfloat16()
    assert shifts(net, image.bfloat16())["dec/cat#0"] == pytest.approx((1, 0), abs=0.1)
    assert shifts(skip_net(lambda a, b: torch.cat([a, 0 * b], 1)), image) == {}
    assert shifts(skip_net(lambda a, b: torch.cat([a, b / 0], 1)[:, :6]), image) == {}


def found(model: nn.Module, inputs: Any) -> tuple[Finding, ...]:
    with Runner(model, None, 0) as runner:
        return measured(misregistrations, runner, inputs)


class Twice(nn.Module):
    """Runs a net several times, in one of the ways in which that is done."""

    def __init__(self, net: nn.Module, forward: Any) -> None:
        super().__init__()
        self.net, self._forward = net, forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self.net, x)


def sampled(net: nn.Module, x: Tensor) -> Tensor:
    for _ in range(3):
        x = 0.7 * x + 0.3 * net(x)[:, :3]
    return x


def mirrored(net: nn.Module, x: Tensor) -> Tensor:
    return net(x) + net(x.flip(2)).flip(2)


def tiled(net: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([torch.cat([net(part) for part in row.split(64, 3)], 3) for row in x.split(64, 2)], 2)


@pytest.mark.parametrize("again", [sampled, mirrored, tiled])
def test_a_merge_is_found_once_however_often_its_layer_runs(skip_net: SkipNet, again: Any, image: Tensor) -> None:
    model = Twice(skip_net(lambda a, b: torch.cat([displace(a), b], 1)), again)
    calls: list[Any] = []
    with watch(model, lambda visit: None, merged=lambda merge: calls.append(merge.key)), torch.no_grad():
        model(image)
    assert calls.count(("net.dec", "cat", 0)) == 1
    assert ("net.dec", "cat", 1) in calls
    findings = [finding for finding in found(model, image) if finding.where.startswith("net.dec")]
    assert [finding.where for finding in findings] == ["net.dec/cat#0"]
    assert findings[0].value == pytest.approx((0, 0.5), abs=0.1)


def test_a_line_that_a_loop_runs_again_is_one_merge_and_a_stage_of_another_size_another(image: Tensor) -> None:
    class Loop(nn.Module):
        def __init__(self, sides: list[int]) -> None:
            super().__init__()
            self.sides = sides

        def forward(self, x: Tensor) -> Tensor:
            state = F.avg_pool2d(x, 4)
            for side in self.sides:
                up = F.interpolate(F.adaptive_avg_pool2d(state, side // 2), scale_factor=2, mode="bilinear")
                state = displace(up) + F.adaptive_avg_pool2d(x, side)
            return state

    assert [finding.where for finding in found(Loop([128, 128, 128]), image)] == ["add#0"]
    assert [finding.where for finding in found(Loop([64, 128]), image)] == ["add#0", "add#1"]


@pytest.mark.parametrize("op", ["cat", "add"])
def test_either_spelling_gives_the_same_text_about_the_same_branch(skip_net: SkipNet, op: str, image: Tensor) -> None:
    straight, turned_around = (
        (lambda a, b: torch.cat([displace(a), b], 1), lambda a, b: torch.cat([b, displace(a)], 1))
        if op == "cat"
        else (lambda a, b: displace(a) + b, lambda a, b: b + displace(a))
    )
    torch.manual_seed(0)
    (one,) = found(skip_net(straight), image)
    torch.manual_seed(0)
    (other,) = found(skip_net(turned_around), image)
    assert one == other
    assert one.text.startswith(
        f"dec/{op}#0: the upsampled features of dec.coarse lie 0.50 px right of the skip of dec.fine that they meet"
    )


def test_of_two_upsampled_branches_either_order_of_running_gives_the_same_text(image: Tensor) -> None:
    class Branches(nn.Module):
        def __init__(self, forward: Any) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(3, 6, 3, 2, 1)
            for way in (self.left, self.right):
                nn.init.constant_(way.weight, 1 / 27)
            self._forward = forward

        def forward(self, x: Tensor) -> Tensor:
            return self._forward(lambda: displace(self.up(self.left(x))), lambda: self.up(self.right(x)))

        def up(self, x: Tensor) -> Tensor:
            return F.interpolate(x, scale_factor=2, mode="bilinear")

    orders = (
        lambda one, other: one() + other(),
        lambda one, other: other() + one(),
        lambda one, other: torch.cat([one(), other()], 1),
        lambda one, other: torch.cat([other(), one()], 1),
    )
    findings = [found(Branches(order), image)[0] for order in orders]
    for finding in findings:
        assert finding.value == pytest.approx((0, 0.5), abs=0.1)
        assert "the features of left lie 0.50 px right of those of right that they meet" in finding.text
    assert findings[0].text == findings[1].text
    assert findings[2].text == findings[3].text


class WithMap(nn.Module):
    """A branch that is, or has in it, what does not depend on the input, meets the features of the image."""

    def __init__(self, content: float, of: str, moved: bool = False) -> None:
        super().__init__()
        self.content, self.moved = content, moved
        t = torch.arange(64.0)
        spot = torch.exp(-((t[:, None] - 31) ** 2 + (t - 32) ** 2) / 200)  # half a pixel above, and below, the middle
        self.map = nn.Parameter((spot + 0.1 * torch.rand(6, 1, 1) * spot)[None])
        self.bias = nn.Conv2d(3, 6, 3, padding=1)
        self.stack = nn.Sequential(*(nn.ConvTranspose2d(6, 6, 3, padding=(1, 1)) for _ in range(3)))
        self.fine = nn.Conv2d(3, 6, 3, padding=1)
        self.of = of

    def forward(self, x: Tensor) -> Tensor:
        small = F.avg_pool2d(x, 2)
        features = self.content * self.fine(small)
        if self.of == "map":
            features = features + self.map
        else:
            features = features + F.pad(self.stack(self.bias(0 * small)), (1, 0, 1, 0))[..., :-1, :-1]
        up = F.interpolate(features, scale_factor=2, mode="bilinear")
        return torch.cat([displace(up) if self.moved else up, self.fine(x)], 1)


@pytest.mark.parametrize("content", [0.0, 0.2])
def test_a_map_of_positions_is_not_displaced(content: float, image: Tensor) -> None:
    model = WithMap(content, "map")
    with Runner(model, None, 0) as runner:
        shifts = measured(measure_shifts, runner, image)
        assert [shift.is_significant for shift in shifts] == [True]  # where it is not turned
    assert found(model, image) == ()


def test_what_biases_and_padding_draw_is_not_displaced(image: Tensor) -> None:
    assert found(WithMap(0.0, "bias"), image) == ()


def test_a_displacement_beside_a_map_of_positions_is_found_with_its_size(image: Tensor) -> None:
    (finding,) = found(WithMap(1.0, "map", moved=True), image)
    assert finding.value == pytest.approx((0, 0.5), abs=0.1)


def test_features_that_meet_others_when_the_input_is_turned_are_left_alone() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.three, self.four = nn.Upsample(scale_factor=2), nn.Conv2d(3, 3, 1), nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            is_darker_above = x[..., 0, :].mean() < x[..., -1, :].mean()
            other = (self.three if is_darker_above else self.four)(x.repeat_interleave(2, 2).repeat_interleave(2, 3))
            return torch.cat([self.up(x), other], 1)[:, :3]

    scene = torch.linspace(0, 1, 64)[:, None].expand(1, 3, 64, 64).contiguous()
    assert shifts(Branches(), scene) == {}


def test_the_layers_that_sit_half_a_pixel_off_are_named_and_even_kernels_are_not() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 1, 4, 2, 1),
        nn.Conv2d(1, 1, 3, 2, 1),
        nn.MaxPool2d(2),
        nn.MaxPool2d(3, 2, 1),
        nn.ConvTranspose2d(1, 1, 4, 2, 1),
        nn.ConvTranspose2d(1, 1, 3, 2, 1, output_padding=1),
        nn.Conv2d(1, 1, 3, padding="same"),
    )
    assert list(off_centre(net)) == ["1", "3", "5"]
    text = off_centre_text(off_centre(net), ("5", "2"))
    assert text.startswith("5, 1, 3 (Conv2d of kernel 3, stride 2, padding 1; ConvTranspose2d of kernel 3, stride 2")
