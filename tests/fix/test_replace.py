"""A site's operator is found with its convolution, swapped all or nothing, and what cannot be swapped is told how."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab.errors import FixError, InputError
from artifactlab.fix import REPLACEABLE, Replacement, replace_upsampler
from artifactlab.fix.operator import find_operator
from artifactlab.fix.upsample import ResizeConvUpsample


def site_of(model: nn.Module) -> artifactlab.Site:
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(torch.rand(1, 1, 64, 64))
    return cap.sites[0].site


UPS = {
    "transposed": (lambda: nn.ConvTranspose2d(6, 4, 3, 2, 1, output_padding=1), 4, ("up",)),
    "short": (lambda: nn.ConvTranspose2d(6, 4, 3, 2, 1), 4, ("up",)),
    "shuffle": (lambda: nn.Sequential(nn.Conv2d(6, 16, 3, padding=1), nn.PixelShuffle(2)), 4, ("up.0", "up.1")),
    "resize and convolve": (
        lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), nn.Conv2d(6, 4, 3), nn.ReLU()),
        4,
        ("up.0", "up.1", "up.2"),
    ),
    "resize, then the head": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), 6, ("up", "head")),
    "shuffle after an activation": (
        lambda: nn.Sequential(nn.Conv2d(6, 16, 3, padding=1), nn.ReLU(), nn.PixelShuffle(2)),
        4,
        ("up.2",),
    ),
    "resize before an activation": (lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.ReLU()), 6, ("up.0",)),
}


@pytest.mark.parametrize("name", UPS)
def test_the_operator_is_found_with_its_convolution(name: str, decoders: ModuleType) -> None:
    make, channels, paths = UPS[name]
    model = decoders.Decoder(make(), channels)
    assert find_operator(model, site_of(model)).paths == paths


@pytest.mark.parametrize("mode", REPLACEABLE)
@pytest.mark.parametrize("name", UPS)
@torch.no_grad()
def test_any_mode_replaces_any_operator_in_its_shapes(name: str, mode: str, decoders: ModuleType) -> None:
    make, channels, paths = UPS[name]
    model = decoders.Decoder(make(), channels).eval()
    x = torch.rand(2, 1, 20, 23)
    before = model(x)
    swap = replace_upsampler(model, site_of(model), mode)
    after = model(x)
    assert after.shape == before.shape
    assert torch.isfinite(after).all()
    assert swap.replacement.paths == paths
    assert all(isinstance(model.get_submodule(path), nn.Identity) for path in paths[1:])
    assert mode in str(swap)
    assert f"untrained, its output is {swap.difference:.1%} off the old one's" in str(swap)
    assert all(path in str(swap) for path in paths)


@torch.no_grad()
def test_a_smooth_layer_is_replaced_without_a_change(decoders: ModuleType) -> None:
    model = decoders.Decoder(ResizeConvUpsample(6, 4)).eval()
    x = torch.rand(1, 1, 24, 24)
    before = model(x)
    swap = replace_upsampler(model, "up", "subpixel")
    assert swap.difference < 1e-3
    assert torch.allclose(model(x), before, atol=1e-4)


@torch.no_grad()
def test_a_users_own_upsampling_module_is_replaced_as_a_whole(decoders: ModuleType) -> None:
    model = decoders.Decoder(decoders.OwnUpsampler()).eval()
    site = site_of(model)
    assert site.key == "up/reshape#0"
    swap = replace_upsampler(model, site)
    assert swap.replacement.paths == ("up",)
    assert (swap.replacement.in_channels, swap.replacement.out_channels) == (6, 4)
    assert model(torch.rand(1, 1, 16, 16)).shape == (1, 1, 32, 32)


def test_a_call_in_a_forward_is_told_which_line_to_change_and_how(decoders: ModuleType) -> None:
    model = decoders.Functional()
    with pytest.raises(FixError) as error:
        replace_upsampler(model, "interpolate#0")
    said = str(error.value)
    assert "decoders.py:" in said
    assert "x = self.act(F.interpolate(x, scale_factor=2, mode='nearest'))" in said
    assert "self.resize = nn.Upsample(scale_factor=2, mode='nearest')" in said
    assert "x = self.act(self.resize(x))" in said
    assert "fix resize" in said


@torch.no_grad()
def test_what_the_advice_says_works(decoders: ModuleType) -> None:
    class Followed(decoders.Functional):
        def __init__(self) -> None:
            super().__init__()
            self.resize = nn.Upsample(scale_factor=2, mode="nearest")

        def forward(self, x: Tensor) -> Tensor:
            x = self.act(self.stem(x))
            x = self.act(self.resize(x))
            return self.head(x)

    old, new = decoders.Functional().eval(), Followed().eval()
    new.load_state_dict(old.state_dict())
    x = torch.rand(1, 1, 16, 16)
    assert torch.equal(old(x), new(x))
    assert replace_upsampler(new, site_of(new)).replacement.paths == ("resize",)  # an activation comes next


@pytest.mark.parametrize(
    ("site", "mode", "options", "kind", "message"),
    [
        ("up", "cubic", {}, InputError, "unknown mode 'cubic'; expected one of weights"),
        ("up", "gated", {}, InputError, "needs|skip"),
        ("upp", "subpixel", {}, InputError, "no module 'upp'.*did you mean up"),
        ("stem", "subpixel", {}, FixError, "growth by a whole number"),
        ("up", "subpixel", {"wings": 2}, InputError, "wings"),
        ("up", "deconv", {"kernel_size": 4}, FixError, "kernel_size=6"),
        ("up", "deconv", {"kernel_size": 5}, InputError, "multiple of the scale"),
    ],
)
def test_a_mistake_is_an_error_and_changes_nothing(
    site: str, mode: str, options: dict[str, int], kind: type[Exception], message: str, decoders: ModuleType
) -> None:
    model = decoders.Decoder(decoders.transposed())
    before, structure = copy.deepcopy(model.state_dict()), str(model)
    with pytest.raises(kind, match=message):
        replace_upsampler(model, site, mode, **options)
    assert str(model) == structure
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_new_module_takes_over_precision_and_train_flag(decoders: ModuleType) -> None:
    model = decoders.Decoder(decoders.transposed()).double().eval()
    model.stem.train()
    replace_upsampler(model, "up")
    assert model.up.conv.weight.dtype == torch.float64
    assert not model.up.training
    assert model.stem.training
    assert model(torch.rand(1, 1, 16, 16, dtype=torch.float64)).dtype == torch.float64


def test_reading_the_operator_does_not_move_or_change_the_old_one(decoders: ModuleType) -> None:
    model = decoders.Decoder(decoders.transposed()).to(torch.bfloat16)
    old, values = model.up, model.up.weight.clone()
    replace_upsampler(model, "up")
    assert old.weight.dtype == torch.bfloat16
    assert torch.equal(old.weight, values)


@torch.no_grad()
def test_a_replacement_as_data_installs_again(decoders: ModuleType) -> None:
    model = decoders.Decoder(nn.ConvTranspose2d(6, 4, 3, 2, 1)).eval()
    swap = replace_upsampler(model, "up", "carafe", compressed=8)
    again = decoders.Decoder(nn.ConvTranspose2d(6, 4, 3, 2, 1)).eval()
    made = Replacement.from_dict(swap.replacement.to_dict())
    assert made == swap.replacement
    made.install(again, made.build())
    again.load_state_dict(model.state_dict())
    x = torch.rand(1, 1, 16, 16)
    assert torch.equal(again(x), model(x))


class Aliased(nn.Module):
    """Runs its upsampler under another name than the one it was first given."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(1, 1, 4, 2, 1)
        self.alias = self.up

    def forward(self, x: Tensor) -> Tensor:
        return self.alias(x)


@torch.no_grad()
def test_a_module_is_replaced_under_all_its_names() -> None:
    model, x = Aliased(), torch.rand(1, 1, 16, 16)
    before = model(x)
    replace_upsampler(model, "up", "subpixel")
    assert model.alias is model.up
    assert not torch.equal(model(x), before)


@torch.no_grad()
def test_a_compiled_submodule_is_replaced_with_its_wrapper(decoders: ModuleType) -> None:
    model = decoders.Decoder(decoders.transposed()).eval()
    model.up = torch.compile(model.up, backend="eager")
    replace_upsampler(model, "up._orig_mod")
    assert isinstance(model.up, ResizeConvUpsample)


@pytest.mark.parametrize(
    ("up", "message"),
    [
        (nn.Upsample(size=(64, 64)), "whatever comes in"),
        (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), "align_corners=True"),
        (nn.LazyConvTranspose2d(6, 4, 2, 2), "not initialised"),
    ],
)
def test_what_has_no_single_kernel_is_refused_with_the_reason(
    up: nn.Module, message: str, decoders: ModuleType
) -> None:
    site = artifactlab.Site("up", "interpolate", 0, (2.0, 2.0), (2.0, 2.0), (1, 6, 32, 32), (1, 6, 64, 64))
    with pytest.raises(FixError, match=message):
        find_operator(decoders.Decoder(nn.Sequential(up, nn.ReLU()), 6), replace(site, name="up.0"))


def test_a_model_that_is_itself_the_upsampler_is_refused() -> None:
    model = nn.ConvTranspose2d(1, 1, 4, 2, 1)
    with pytest.raises(FixError, match=r"put it into an nn\.Sequential"):
        replace_upsampler(model, "conv_transpose2d#0")
    assert not list(model.children())


def test_a_layer_with_hooks_is_refused_but_weight_norm_is_folded_in(decoders: ModuleType) -> None:
    model = decoders.Decoder(decoders.transposed())
    handle = model.up.register_forward_hook(lambda module, given, made: 2 * made)
    with pytest.raises(FixError, match="hooks"):
        replace_upsampler(model, "up")
    handle.remove()
    nn.utils.parametrizations.weight_norm(model.up)
    assert replace_upsampler(model, "up").replacement.paths == ("up",)


def test_what_was_removed_is_named_in_one_line() -> None:
    up = nn.utils.parametrizations.weight_norm(nn.ConvTranspose1d(8, 4, 4, 2, 1))
    swap = replace_upsampler(nn.Sequential(up), "0")
    assert str(swap).startswith("Replaced 0: ConvTranspose1d(8, 4, kernel_size=(4,), stride=(2,), padding=(1,)) by")


def test_a_frozen_layer_stays_frozen(decoders: ModuleType) -> None:
    model = decoders.Decoder(decoders.transposed()).requires_grad_(False)
    replace_upsampler(model, "up")
    assert not any(p.requires_grad for p in model.parameters())


def test_an_unpadded_layer_of_a_large_kernel_is_read_with_its_real_scale() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ConvTranspose2d(2, 2, 16, 8))
    swap = replace_upsampler(model, "1")
    assert (swap.replacement.scale, swap.replacement.more) == ((8, 8), (8, 8))
    assert model(torch.rand(1, 1, 9, 11)).shape == (1, 2, 80, 96)


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 10**6},
        {"scale": [2]},
        {"paths": [""]},
        {"in_channels": -1},
        {"more": []},
        {"more": [0, 0, 0, 0]},
        {"options": {"kernel_size": -2}},
        {"options": {"kernel_size": [6, 10**9]}},
    ],
)
def test_a_replacement_from_a_file_is_not_trusted(change: dict[str, object], decoders: ModuleType) -> None:
    swap = replace_upsampler(decoders.Decoder(decoders.transposed()), "up")
    with pytest.raises(InputError):
        Replacement.from_dict(swap.replacement.to_dict() | change).build()


def test_an_argument_that_only_forward_has_is_not_advised_for_init() -> None:
    class ToSkip(nn.Module):
        def forward(self, x: Tensor, skip: Tensor) -> Tensor:
            return F.interpolate(x, size=skip.shape[2:])

    with pytest.raises(FixError) as error:
        replace_upsampler(nn.Sequential(ToSkip()), "0/interpolate#0")
    assert "nn.Upsample" not in str(error.value)
    assert "Move it into a module" in str(error.value)
