"""All offenders in one run: swapped, trained and judged together, and what cannot be swapped stops nobody."""

from __future__ import annotations

import copy
import json
from importlib import resources
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest
import torch
from torch import Tensor, nn

import artifactlab
from artifactlab import Site
from artifactlab.errors import FixError
from artifactlab.fix import check_fix, distil, fix_site, replace_upsampler, save_fixed
from artifactlab.fix.common_period import common_period, holds
from artifactlab.fix.fold import fold
from artifactlab.fix.pipeline import choose_sites
from artifactlab.fix.replace_sites import replace_sites
from artifactlab.fix.teacher import teacher_outputs
from artifactlab.models.calls import as_calls
from artifactlab.report.fix_report import fix_json

KEYS = ("up2/conv_transpose2d#0", "up1/conv_transpose2d#0")


def sites_of(model: nn.Module, image: Tensor) -> list[Site]:
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(image)
    return [found.site for found in cap.sites]


def test_two_offenders_are_cured_in_one_run_where_one_of_them_leaves_the_other(decoders: ModuleType) -> None:
    model, images = decoders.twofold(), decoders.images(1, 32)
    both = fix_site(model, images)
    assert both.check.sites == KEYS
    assert both.check.period == (4, 4)
    assert both.check.cured, both.check.verdict
    assert [made.paths for made in both.replacements] == [("up2",), ("up1",)]
    assert not both.after.offenders
    assert not both.warnings
    assert both.next_step is None
    data = json.loads(fix_json(both))
    jsonschema.validate(data, json.loads(resources.files("artifactlab").joinpath("schemas/fix.json").read_text()))
    assert [swap["replacement"]["site"] for swap in data["swaps"]] == list(KEYS)


def test_an_offender_that_was_not_named_stays_and_is_what_to_name_next(decoders: ModuleType) -> None:
    one = fix_site(decoders.twofold(), decoders.images(1, 32), "up1")
    assert not one.check.cured
    assert [site.site.name for site in one.after.offenders] == ["up2"]
    assert one.warnings == (f"Other offenders stay: {KEYS[0]}; name them, too, or no site at all.",)
    assert one.next_step is not None
    assert one.next_step.options == ("--site", KEYS[1], "--site", KEYS[0])


def test_a_call_that_cannot_be_swapped_stops_none_of_the_others_and_is_told_what_to_write(decoders: ModuleType) -> None:
    model = decoders.Twofold(0.1, 0.1, called=True).eval()
    made = fix_site(model, decoders.images(1, 12), ["interpolate#0", "up1", "up2"])
    assert made.check.sites == (KEYS[1], KEYS[0])
    (told,) = [warning for warning in made.warnings if warning.startswith("Not swapped: ")]
    assert "self.resize = nn.Upsample(scale_factor=2, mode='nearest')" in told


def test_where_nothing_can_be_swapped_the_fix_fails_with_the_advice(decoders: ModuleType) -> None:
    model = decoders.Functional().eval()
    (site,) = sites_of(model, decoders.images(1)[0])
    with pytest.raises(FixError, match="Give it a module"):
        replace_sites(model, [site], "interpolate_conv", {})


class Shared(nn.Module):
    """One layer that enlarges twice."""

    def __init__(self, up: nn.Module) -> None:
        super().__init__()
        self.up = up

    def forward(self, x: Tensor) -> Tensor:
        return self.up(torch.relu(self.up(x)))


class TwoCalls(nn.Module):
    """A user's own layer that enlarges in two ways, and adds what comes of them."""

    def forward(self, x: Tensor) -> Tensor:
        return sum(nn.functional.interpolate(x, scale_factor=2, mode=mode) for mode in ("nearest", "bilinear"))


def test_a_transposed_convolution_that_runs_at_two_sites_is_one_swap(decoders: ModuleType) -> None:
    model = Shared(nn.ConvTranspose2d(1, 1, 4, 2, 1)).eval()
    sites = sites_of(model, decoders.images(1, 16)[0])
    assert [site.key for site in sites] == ["up/conv_transpose2d#0", "up/conv_transpose2d#1"]
    replaced = replace_sites(model, sites, "interpolate_conv", {})
    assert len(replaced.swaps) == 1
    assert list(replaced.sites) == sites
    assert not replaced.refused


def test_the_second_call_of_a_layer_may_be_named(decoders: ModuleType) -> None:
    model = Shared(nn.ConvTranspose2d(1, 1, 4, 2, 1)).eval()
    found = artifactlab.diagnose(model, decoders.images(1, 16), fast=True)
    both = choose_sites(found, [f"up/conv_transpose2d#{call}" for call in range(2)])
    assert [site.key for site in both] == ["up/conv_transpose2d#0"]


def shared(strength: float) -> Shared:
    """A transposed convolution that draws a grid at each of its two sites."""
    ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
    model = Shared(nn.ConvTranspose2d(1, 1, 4, 2, 1, bias=False)).eval()
    with torch.no_grad():
        model.up.weight.copy_(torch.outer(ramp, ramp))
        model.up.weight[:, :, 1::2, 1::2] *= 1 + strength
    return model


def test_a_swap_that_runs_at_two_sites_is_trained_and_judged_at_the_periods_of_both(decoders: ModuleType) -> None:
    old, images = shared(0.1), decoders.images(2, 48)
    made = fix_site(old, images)
    assert len(made.swaps) == 1
    assert made.check.period == (4, 4)
    assert made.check.cured, made.check.verdict
    assert teacher_outputs(old, made.swaps, as_calls(images))[1] == (4, 4)
    # what the second call draws alone, of period 2, is judged, too
    (first, second) = sites_of(old, images[0])
    assert (first.period, second.period) == ((4.0, 4.0), (2.0, 2.0))
    half = nn.Sequential(made.model, Board(0.02))
    for sites in (first, [first, second]):
        check = check_fix(old, half, sites, images)
        assert not check.cured
        assert check.period == (4, 4)


class Board(nn.Module):
    """A chessboard of period 2 on an image."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (torch.arange(size) for size in x.shape[-2:])
        return x + self.strength * (-1.0) ** (rows[:, None] + columns)


def test_two_calls_in_one_module_are_one_swap(decoders: ModuleType) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), TwoCalls()).eval()
    sites = sites_of(model, decoders.images(1, 16)[0])
    assert [site.key for site in sites] == ["1/interpolate#0", "1/interpolate#1"]
    replaced = replace_sites(model, sites, "interpolate_conv", {})
    assert [swap.replacement.paths for swap in replaced.swaps] == [("1",)]
    assert list(replaced.sites) == sites


@pytest.mark.parametrize(
    ("periods", "size", "common"),
    [
        ([(2, 2), (3, 3)], (64, 64), (6, 6)),
        ([(4, 4), (8, 8)], (64, 64), (8, 8)),
        ([(3, 3), (16, 16)], (80, 240), (16, 48)),
        ([(32, 32)], (64, 64), (1, 1)),
    ],
    ids=["two", "one holds the other", "too large along one axis", "too large"],
)
def test_sites_are_judged_at_their_least_common_multiple_or_the_largest_that_fits(
    periods: list[tuple[int, int]], size: tuple[int, int], common: tuple[int, int]
) -> None:
    assert common_period(periods, holds(size)) == common


def test_several_sites_are_repaired_at_once_to_train_on_and_trained_together(
    decoders: ModuleType, tmp_path: Path
) -> None:
    old, images = decoders.twofold(), decoders.images(5, 24)
    new = copy.deepcopy(old)
    swaps = [replace_upsampler(new, name) for name in ("up1", "up2")]
    targets, period = teacher_outputs(old, swaps, as_calls(images[:1]))
    assert period == (4, 4)
    clean = decoders.Twofold(0.0, 0.0)(images[0])
    inside = (..., slice(16, -16), slice(16, -16))
    with torch.no_grad():
        # two grids that brighten one phase of four by 10% brighten all by 2.5% each, and that stays
        good, bad = 1.025**2 * clean[inside], old(images[0])[inside]
        assert (targets[0][inside] - good).abs().mean() < 0.1 * (bad - good).abs().mean()
        for up in (new.up1, new.up2):
            up.conv.weight.mul_(0.95)
    before = copy.deepcopy(new)
    made = distil(new, old, swaps, images, steps=25, checkpoint=tmp_path / "state")
    assert made.trained == ("up1", "up2")
    assert made.loss[1] < made.loss[0]
    assert not torch.equal(new.up1.conv.weight, before.up1.conv.weight)
    assert not torch.equal(new.up2.conv.weight, before.up2.conv.weight)
    with pytest.raises(FixError, match="another run"):  # as it is with one of the layers alone
        distil(copy.deepcopy(before), old, swaps[0], images, steps=25, checkpoint=tmp_path / "state")


def test_two_layers_are_checked_together_folded_and_saved(decoders: ModuleType, tmp_path: Path) -> None:
    old, images = decoders.twofold(), decoders.images(1, 32)
    sites = sites_of(old, images[0])
    new = copy.deepcopy(old)
    replaced = replace_sites(new, sites, "interpolate_conv", {"kernel_size": 1})
    check = check_fix(old, new, replaced.sites, images)
    assert check.sites == tuple(site.key for site in sites)
    assert check.cured
    replacements = [swap.replacement for swap in replaced.swaps]
    assert fold(old, new, replacements).is_exact
    save_fixed(tmp_path / "fixed.safetensors", nn.DataParallel(new), replacements)
    factory = f"{Path(decoders.__file__)}:twofold"
    again = artifactlab.load_model(factory, checkpoint=tmp_path / "fixed.safetensors")
    assert again.state_dict().keys() == new.state_dict().keys()
    assert torch.equal(again(images[0]), new(images[0]))
