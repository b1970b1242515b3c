"""Cures that keep the layer: other weights for its own kernel, with which flat features are answered alike."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from artifactlab.errors import FixError, InputError
from artifactlab.fix import REFITS, fix_site, replace_upsampler, save_fixed
from artifactlab.fix.flat_answers import blurred
from artifactlab.fix.fold import fold
from artifactlab.fix.nearest_weights import nearest_weights, store
from artifactlab.fix.response import apply_response, impulse_response
from artifactlab.fix.weights import read_replacements
from artifactlab.lint.model_copy import full_copy


def between(*layers: nn.Module) -> nn.Sequential:
    """The layers behind a convolution that makes their channels of three."""
    torch.manual_seed(0)
    conv = next(layer for layer in layers if hasattr(layer, "in_channels"))
    kinds = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
    return nn.Sequential(kinds[conv.weight.ndim](3, conv.in_channels, 1), *layers)


LAYERS = {
    "k3 s2": lambda: (between(nn.ConvTranspose2d(4, 4, 3, 2, 1, output_padding=1)), "1"),
    "k3 s2, odd": lambda: (between(nn.ConvTranspose2d(4, 4, 3, 2, 1)), "1"),
    "k4 s2 in groups": lambda: (between(nn.ConvTranspose2d(4, 4, 4, 2, 1, groups=2)), "1"),
    "shuffle": lambda: (between(nn.Conv2d(4, 8, 3, padding=1), nn.PixelShuffle(2)), "2"),
    "nearest": lambda: (between(nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 3, padding=1)), "1"),
    "1-D, k16 s8": lambda: (between(nn.ConvTranspose1d(4, 4, 16, 8, 4)), "1"),
    "3-D, k4 s2": lambda: (between(nn.ConvTranspose3d(2, 2, 4, 2, 1)), "1"),
}


def flat_answer(model: nn.Module, border: int = 8) -> Tensor:
    """What a model makes of flat features, away from the border."""
    axes = next(iter(model.parameters())).ndim - 2
    with torch.no_grad():
        y = model(torch.ones(1, 3, *[8 if axes == 3 else 14] * axes))
    inside: Tensor = y[(..., *[slice(border, -border)] * axes)]
    return inside - inside[(..., *[slice(1)] * axes)]


@pytest.mark.parametrize("mode", REFITS)
@pytest.mark.parametrize("case", LAYERS)
def test_flat_features_are_answered_alike_and_nothing_but_the_layers_own_weights_changed(case: str, mode: str) -> None:
    model, site = LAYERS[case]()
    changed = full_copy(model)
    swap = replace_upsampler(changed, site, mode)
    border = 6 if "3-D" in case else 16 if "1-D" in case else 8
    if case != "nearest":
        assert flat_answer(model, border).abs().max() > 0.01
    assert flat_answer(changed, border).abs().max() < 1e-5
    assert [type(layer) for layer in changed] == [type(layer) for layer in model]
    before, after = model.state_dict(), changed.state_dict()
    other = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.partition(".")[0] for name in other} == {swap.replacement.paths[0]}
    assert swap.replacement.is_refit
    assert str(swap).startswith("Changed the weights of ")
    assert f" by {mode}; the layer stays" in str(swap)


def test_saved_it_needs_no_entry_in_the_file_and_folds_to_itself(tmp_path: Path) -> None:
    model, site = LAYERS["shuffle"]()
    fresh = full_copy(model)
    swap = replace_upsampler(model, site, "weights")
    save_fixed(tmp_path / "fixed.safetensors", model, [swap.replacement])
    assert read_replacements(tmp_path / "fixed.safetensors") == []
    folded = fold(fresh, model, [swap.replacement])
    assert folded.is_exact
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in folded.model.state_dict().items())


def test_icnr_makes_the_sub_kernels_of_a_shuffle_the_mean_of_what_they_were() -> None:
    model, site = LAYERS["shuffle"]()
    before = model[1].weight.detach().clone().unflatten(0, (2, 4))
    bias = model[1].bias.detach().clone().unflatten(0, (2, 4))
    replace_upsampler(model, site, "icnr")
    expected = before.mean(1, keepdim=True).expand_as(before).flatten(0, 1)
    torch.testing.assert_close(model[1].weight, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(model[1].bias, bias.mean(1).repeat_interleave(4), rtol=0, atol=1e-6)


def test_weights_of_a_kernel_that_has_room_do_what_the_new_layer_does() -> None:
    model, site = LAYERS["shuffle"]()
    replaced = full_copy(model)
    replace_upsampler(model, site, "weights")
    replace_upsampler(replaced, site, "interpolate_conv")
    x = torch.rand(1, 3, 12, 12)
    with torch.no_grad():
        given, expected = (net(x)[..., 4:-4, 4:-4] for net in (model, replaced))
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("axes", [1, 2])
def test_blur_is_the_layer_and_a_triangle_of_twice_the_scale_behind_it(axes: int) -> None:
    torch.manual_seed(0)
    layer = (nn.ConvTranspose1d, nn.ConvTranspose2d)[axes - 1](2, 3, 6, 3, 2, output_padding=1)
    response = impulse_response(layer, 2, axes)
    taps = torch.tensor([1.0, 2.0, 3.0, 2.0, 1.0]).double() / 9
    x = torch.rand(1, 2, *[16] * axes).double()
    y = apply_response(response, x)
    for axis in range(2, 2 + axes):
        lines = y.movedim(axis, -1)
        shape = lines.shape
        lines = nn.functional.conv1d(lines.reshape(-1, 1, shape[-1]), taps.view(1, 1, -1), padding=2)
        y = lines.view(shape).movedim(-1, axis)
    inside = (..., *[slice(12, -12)] * axes)
    # of the bias the mean of the phases is kept, and it is the same in each
    torch.testing.assert_close(apply_response(blurred(response), x)[inside], y[inside], rtol=1e-6, atol=1e-7)


def test_what_has_no_kernel_of_its_own_or_options_is_refused_and_left_alone(decoders: ModuleType) -> None:
    model = decoders.Decoder(nn.Sequential(nn.Upsample(scale_factor=2), nn.ReLU()), 6)
    with torch.no_grad():
        seen = model(torch.rand(1, 1, 16, 16))
    assert seen.shape[-1] == 32
    with pytest.raises(InputError, match="'blur' changes weights alone and takes no options, got kernel_size"):
        replace_upsampler(decoders.gridded(), "up", "blur", kernel_size=5)
    twice = decoders.Decoder(nn.Sequential(nn.Conv2d(6, 6, 1), nn.ConvTranspose2d(6, 4, 4, 2, 1)))
    with pytest.raises(FixError, match="up has 2 convolutions"):
        replace_upsampler(twice, "up", "weights")


@pytest.mark.parametrize("mode", REFITS)
def test_a_planted_grid_is_cured_without_a_new_layer(mode: str, decoders: ModuleType) -> None:
    model = decoders.gridded()
    made = fix_site(model, decoders.images(1), "up", mode)
    assert made.replacements == []
    assert made.model.state_dict().keys() == model.state_dict().keys()
    assert made.check.energy_drop is not None
    assert made.check.energy_drop > 0.99
    if mode != "icnr":  # which replicates what it is given
        assert made.check.cured, made.check.verdict


@pytest.mark.parametrize(("mode", "trained"), [("icnr", ("up", "stem", "head")), ("blur", ("up",))])
def test_trained_the_layer_still_draws_no_grid_on_flat_features(
    mode: str, trained: tuple[str, ...], decoders: ModuleType
) -> None:
    made = fix_site(decoders.gridded(), decoders.images(1), "up", mode, distil_on=decoders.images(2), steps=25)
    assert made.distilled is not None
    assert made.distilled.trained == trained
    up = made.model.up
    assert type(up) is nn.ConvTranspose2d
    with torch.no_grad():
        flat = up(torch.rand(1, 6, 1, 1).expand(1, 6, 9, 9))[..., 2:-2, 2:-2]
    assert (flat - flat[..., :1, :1]).abs().max() < 1e-5


@pytest.mark.parametrize("scale", [2, 3])
def test_slopes_are_straighter_where_they_count(scale: int) -> None:
    """A kernel of twice the stride has room for straight slopes, not for the blurred layer."""
    torch.manual_seed(0)
    up = nn.ConvTranspose2d(1, 1, 2 * scale, scale, scale // 2, bias=False)
    with torch.no_grad():
        up.weight.copy_(torch.rand(1, 1, 2 * scale, 2 * scale))
        ramp = torch.arange(16.0).expand(1, 1, 16, 16)
        wanted, uneven = blurred(impulse_response(up, 1)), []
        for straight in (False, True):
            changed = full_copy(up)
            store(changed, nearest_weights([up], wanted, straight))  # type: ignore[arg-type]
            steps = changed(ramp)[..., 12:-12, 12:-12].diff(dim=-1)
            uneven.append(float(steps.std() / steps.mean()))
    assert 0.01 < uneven[1] < 0.7 * uneven[0]


def test_neighbours_are_left_alone_where_the_user_says_so(decoders: ModuleType) -> None:
    made = fix_site(
        decoders.gridded(), decoders.images(1), "up", "icnr", distil_on=decoders.images(2), steps=1, neighbours=False
    )
    assert made.distilled is not None
    assert made.distilled.trained == ("up",)
