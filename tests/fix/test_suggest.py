"""The menu of cures: what was measured, in which order, and at which price."""

from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from artifactlab import diagnose
from artifactlab.errors import FixError, InputError
from artifactlab.fix import Suggestion, Suggestions, fix_site, suggest
from artifactlab.fix.pipeline import START_IS_BETTER
from artifactlab.fix.suggest import TRIED
from artifactlab.fix.trials import trial_swaps


@pytest.fixture(scope="module")
def menu(decoders: ModuleType) -> Suggestions:
    """Of the decoder that draws a grid."""
    return suggest(decoders.gridded(), decoders.images(1))


def by_mode(menu: Suggestions) -> dict[str, Suggestion]:
    return {one.mode: one for one in menu.cures}


def test_every_cure_is_tried_and_the_recommended_one_stands_first(menu: Suggestions) -> None:
    assert menu.sites == ("up/conv_transpose2d#0",)
    assert by_mode(menu).keys() == set(TRIED)
    assert menu.refused == ()
    assert menu.recommended is menu.cures[0]
    ranks = [(not one.cured, one.mode == "post", -one.psnr) for one in menu.cures]
    assert ranks == sorted(ranks)


def test_each_says_what_is_left_and_what_it_costs(menu: Suggestions) -> None:
    found = by_mode(menu)
    for one in menu.cures:
        assert one.severity[0] > 1
        assert one.cured == (one.severity[1] < 1)
        assert one.energy_drop is not None
        assert one.energy_drop > 0.9
        assert min(one.milliseconds) > 0
        assert f"{one.mode}: {'cures' if one.cured else 'no cure'}" in str(menu)
    assert {mode for mode, one in found.items() if not one.new_layer} == {"weights", "blur", "icnr"}
    assert {mode for mode, one in found.items() if one.keeps_format} == {"weights", "blur", "icnr"}


def test_the_same_is_measured_by_the_fix_itself(menu: Suggestions, decoders: ModuleType) -> None:
    made = fix_site(decoders.gridded(), decoders.images(1), mode="blur")
    one = by_mode(menu)["blur"]
    assert (one.arguments, one.options) == ("mode='blur'", ("--with", "blur"))
    assert (one.severity, one.psnr, one.verdict) == (made.check.severity, made.check.psnr, made.check.verdict)


class Planted(nn.Module):
    """An uneven shuffle, or a nearest resize and a convolution that smooths nothing."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        shuffles = kind == "shuffle"
        conv = nn.Conv2d(1, 4 if shuffles else 1, 3, padding=1)
        with torch.no_grad():
            conv.weight.zero_()
            conv.bias.zero_()  # a new layer's, once it is trained, is not
            conv.weight[:, 0, 1, 1] = torch.tensor([1.0, 1.1, 0.9, 1.0]) if shuffles else 1.0
        up = nn.PixelShuffle(2) if shuffles else nn.Upsample(scale_factor=2)
        self.first, self.second = (conv, up) if shuffles else (up, conv)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


@pytest.mark.parametrize("kind", ["shuffle", "nearest"])
def test_a_planted_layer_of_every_kind_has_a_cure_that_keeps_it(kind: str, decoders: ModuleType) -> None:
    net = Planted(kind).eval()
    menu = suggest(net, decoders.images(1), modes=["padding", "interpolate_conv"])
    assert menu.refused[0].startswith("Not padding: ")
    found = by_mode(menu)
    untrained = fix_site(net, decoders.images(1), mode="weights", steps=0)
    assert untrained.check.cured, untrained.check.verdict
    # a 3x3 kernel before a shuffle holds the new layer, and behind a nearest resize only a smaller one
    assert found["interpolate_conv"].keeps_format == (kind == "shuffle")


def test_a_cure_as_it_starts_is_not_trained_away_on_synthetic_images(decoders: ModuleType) -> None:
    made = fix_site(Planted("shuffle").eval(), decoders.images(1), mode="weights")
    assert made.check.cured, made.check.verdict
    assert made.distilled is None
    assert made.warnings == (START_IS_BETTER,)


def test_a_layer_that_is_called_with_more_than_features_has_cures_that_keep_it(decoders: ModuleType) -> None:
    class Sized(decoders.Decoder):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.up(self.stem(x), output_size=[2 * side for side in x.shape[2:]]))

    model, images = Sized(nn.ConvTranspose2d(6, 4, 3, 2, 1)).eval(), decoders.images(1)
    menu = suggest(model, images, "up", modes=["bilinear", "blur"])
    assert [one.mode for one in menu.cures] == ["blur"]
    assert menu.refused[0].startswith("Not bilinear: ")
    (trial,) = trial_swaps(model, diagnose(model, images), images, ["bilinear"])
    assert "output_size" in trial.refused
    with pytest.raises(InputError, match="unknown mode 'smooth'"):
        trial_swaps(model, diagnose(model, images), images, ["smooth"])


def test_without_an_offender_there_is_nothing_to_suggest(decoders: ModuleType) -> None:
    with pytest.raises(FixError, match="Name a site"):
        suggest(decoders.gridded(0.0), decoders.images(1))


def test_where_nothing_cures_nothing_is_recommended(menu: Suggestions) -> None:
    worst = replace(menu, cures=(replace(menu.cures[-1], cured=False),))
    assert worst.recommended is None
    assert "train the first of these" in worst._repr_html_()


def test_a_notebook_shows_a_row_for_each(menu: Suggestions) -> None:
    html = menu._repr_html_()
    assert html.count("<tr title=") == len(TRIED)
    assert f"Recommended: {menu.cures[0].mode}." in html
    equal = replace(menu, cures=(replace(menu.cures[0], psnr=math.inf, steps_drop=None),))
    assert "<td>equal</td>" in equal._repr_html_()
    assert "the same output" in str(equal)
    assert equal.to_dict()["cures"][0]["psnr"] is None
