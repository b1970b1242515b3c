"""Success is claimed only where the artifact went and the image stayed; files bring their replacements along."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from artifactlab import Site, capture, load_model
from artifactlab.errors import FixError, InputError, ModelError
from artifactlab.fix import FixCheck, check_fix, fix_site, replace_upsampler, save_fixed
from artifactlab.fix.weights import HEADER, read_replacements


def checked(decoders: ModuleType, old: nn.Module, new: nn.Module) -> FixCheck:
    with capture(old) as cap, torch.no_grad():
        old(decoders.images(1)[0])
    return check_fix(old, new, cap.sites[0].site, decoders.images(2))


def test_a_cure_is_called_a_cure(decoders: ModuleType) -> None:
    old = decoders.gridded()
    new = copy.deepcopy(old)
    replace_upsampler(new, "up")
    check = checked(decoders, old, new)
    assert check.cured
    assert check.verdict.startswith("Fixed: ")
    assert check.energy_drop is not None
    assert check.energy_drop > 0.95
    assert check.lattice_amplitude[0] > 2 / 255 > check.lattice_amplitude[1]
    assert check.psnr > 35


@pytest.mark.parametrize(
    ("strength", "brighter", "reason"),
    [
        (0.1, 0.0, "of the grid went"),
        (0.07, 0.0, "of the grid went"),
        (0.0, 0.1, "the image changed"),
    ],
    ids=["nothing was done", "too little was done", "the grid went, and the image with it"],
)
def test_what_is_no_cure_is_called_none(strength: float, brighter: float, reason: str, decoders: ModuleType) -> None:
    new = decoders.gridded(strength)
    with torch.no_grad():
        new.head.bias += brighter
    check = checked(decoders, decoders.gridded(), new)
    assert not check.cured
    assert check.verdict.startswith("Not fixed: ")
    assert reason in check.verdict


def test_where_nothing_showed_nothing_is_claimed(decoders: ModuleType) -> None:
    check = checked(decoders, decoders.gridded(0.0), decoders.gridded(0.0))
    assert not check.cured
    assert check.verdict.startswith("Nothing to fix")
    assert math.isinf(check.psnr)
    assert check.to_dict()["psnr"] is None


def test_a_new_artifact_is_no_cure(decoders: ModuleType) -> None:
    check = checked(decoders, decoders.gridded(0.0), decoders.gridded(0.2))
    assert not check.cured
    assert "now shows grid" in check.verdict


def test_outputs_of_other_sizes_are_refused(decoders: ModuleType) -> None:
    bigger = nn.Sequential(decoders.gridded(), nn.Upsample(scale_factor=2))
    site = Site("up", "conv_transpose2d", 0, (2.0, 2.0), (2.0, 2.0), (1, 6, 64, 64), (1, 4, 128, 128))
    with pytest.raises(FixError, match="output is"):
        check_fix(decoders.gridded(), bigger, site, decoders.images(1))


def test_the_whole_fix_names_the_offender_itself_and_leaves_the_model_alone(decoders: ModuleType) -> None:
    model = decoders.gridded()
    before = copy.deepcopy(model.state_dict())
    stages: list[str] = []
    made = fix_site(model, decoders.images(2), stage=lambda name: stages.append(name))
    assert [swap.replacement.site for swap in made.swaps] == ["up/conv_transpose2d#0"]
    assert made.check.cured
    assert [site.site.name for site in made.before.offenders] == ["up"]
    assert not made.after.offenders
    assert not made.warnings
    assert stages == ["diagnosing", "training", "diagnosing again"]
    assert isinstance(model.up, nn.ConvTranspose2d)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_without_an_offender_a_site_must_be_named(decoders: ModuleType) -> None:
    model = decoders.gridded(0.0)
    with pytest.raises(FixError, match=r"No offender.*Name a site"):
        fix_site(model, decoders.images(1))
    made = fix_site(model, decoders.images(1), "up")
    assert made.warnings == ("up/conv_transpose2d#0 is clean: it draws nothing.",)
    assert not made.check.cured
    with pytest.raises(InputError, match="no site 'down'; the model has up/conv_transpose2d#0"):
        fix_site(model, decoders.images(1), "down")


@torch.no_grad()
def test_a_fixed_file_loads_with_its_replacement(decoders: ModuleType, decoders_file: Path, tmp_path: Path) -> None:
    model = decoders.gridded()
    swap = replace_upsampler(model, "up", "conv_only_up", hidden=9)
    path = tmp_path / "fixed.safetensors"
    save_fixed(path, model, [swap.replacement])
    again = load_model(f"{decoders_file}:gridded", checkpoint=path).eval()
    x = decoders.images(1)[0]
    assert torch.equal(again(x), model(x))
    assert read_replacements(path) == [swap.replacement]
    assert [file.name for file in tmp_path.iterdir()] == ["fixed.safetensors"]


@torch.no_grad()
@pytest.mark.parametrize("saved_as", ["saved wrapped", "renamed by a wrapper"])
def test_what_dataparallel_wraps_is_fixed_saved_and_loaded_by_its_own_names(
    saved_as: str, decoders: ModuleType, decoders_file: Path, tmp_path: Path
) -> None:
    made = fix_site(nn.DataParallel(decoders.gridded()), decoders.images(1), "up")
    path, x = tmp_path / "fixed.safetensors", decoders.images(1)[0]
    save_fixed(path, nn.DataParallel(made.model), made.replacements)
    weights = load_file(path)
    assert weights.keys() == made.model.state_dict().keys()
    if saved_as == "renamed by a wrapper":
        with safe_open(path, "pt") as file:
            header = file.metadata()
        save_file({f"module.{name}": value for name, value in weights.items()}, path, metadata=header)
    again = load_model(f"{decoders_file}:gridded", checkpoint=path).eval()
    assert torch.equal(again(x), made.model(x))


def test_a_fixed_file_for_another_model_is_refused(decoders: ModuleType, decoders_file: Path, tmp_path: Path) -> None:
    model = nn.Sequential(decoders.transposed())
    swap = replace_upsampler(model, "0")
    save_fixed(tmp_path / "other.safetensors", model, [swap.replacement])
    with pytest.raises(FixError, match="has no 0; this fix was made for another model"):
        load_model(f"{decoders_file}:gridded", checkpoint=tmp_path / "other.safetensors")


@pytest.mark.parametrize("header", ["{", "[1]", '{"a": 1}', '[{"site": "up"}]'])
def test_a_damaged_header_is_an_error(header: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={HEADER: header})
    with pytest.raises((ModelError, InputError)):
        read_replacements(path)


def test_other_checkpoints_hold_no_replacements(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors")
    assert read_replacements(tmp_path / "x.safetensors") == []
    assert read_replacements(tmp_path / "x.pth") == []


@pytest.mark.parametrize("name", ["fixed.pth", "missing/fixed.safetensors"])
def test_where_the_weights_cannot_go_it_is_said(name: str, decoders: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(FixError, match=r"\.safetensors|folder is missing"):
        save_fixed(tmp_path / name, decoders.gridded(), [])
    assert not list(tmp_path.iterdir())


class Drawn(nn.Module):
    """The image with a chessboard of some period on it."""

    def __init__(self, period: int, strength: float) -> None:
        super().__init__()
        self.period, self.strength = period, strength

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        place = torch.arange(x.shape[-1]) * 2 // self.period % 2
        return x + self.strength * (place[:, None] ^ place[None, :]).float()


class Changed(nn.Module):
    """The image, changed by a function."""

    def __init__(self, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.change(x)


def blackened(x: torch.Tensor) -> torch.Tensor:
    x = x.clone()
    x[..., :1, :] = x[..., -1:, :] = x[..., :, :1] = x[..., :, -1:] = 0
    return x


def jagged(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.interpolate(nn.functional.avg_pool2d(x, 4), scale_factor=4)


SITE = Site("up", "interpolate", 0, (2.0, 2.0), (2.0, 2.0), (1, 1, 64, 64), (1, 1, 128, 128))


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (Drawn(4, 8 / 255), "a grid of another period"),
        (Changed(lambda x: 0.5 + 0 * x), "detail was lost"),
        (Changed(blackened), "the border changed"),
        (Changed(jagged), "now shows stair-steps"),
        (Changed(lambda x: 0.9 * x), "the image changed"),
    ],
    ids=["another grid", "a constant", "black borders", "stair-steps", "darker"],
)
def test_a_grid_that_went_with_something_else_is_no_cure(new: nn.Module, reason: str, decoders: ModuleType) -> None:
    check = check_fix(Drawn(2, 8 / 255), new, SITE, decoders.images(2, 128))
    assert check.energy_drop is not None
    assert check.energy_drop > 0.9
    assert not check.cured
    assert reason in check.verdict


class Enlarged(nn.Module):
    """The image at a quarter of its size, enlarged again."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=4, mode=mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(nn.functional.avg_pool2d(x, 4))


def test_stair_steps_that_went_are_a_cure_and_those_that_stay_are_none(decoders: ModuleType) -> None:
    inputs, jagged = decoders.images(1, 192), Enlarged("nearest")
    with capture(jagged) as cap:
        jagged(inputs[0])
    gone = check_fix(jagged, Enlarged("bicubic"), cap.sites[0].site, inputs)
    assert gone.steps_drop is not None
    assert gone.steps_drop > 0.9
    assert "100% of the stair-steps" in gone.verdict
    assert gone.cured
    kept = check_fix(jagged, jagged, cap.sites[0].site, inputs)
    assert "0% of the stair-steps went" in kept.verdict
    assert not kept.cured


class Squared(nn.Module):
    """A chessboard of period 2 on a bilinear enlargement, squared by what follows: that makes it brighter as well."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1, padding_mode="replicate")
        taps = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]])
        phases = torch.einsum("ai,bj->abij", taps, taps).reshape(4, 1, 3, 3)
        self.conv.weight = nn.Parameter(phases)
        self.conv.bias = nn.Parameter(strength * torch.tensor([1.0, -1.0, -1.0, 1.0]))
        self.up = nn.PixelShuffle(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(self.conv(nn.functional.avg_pool2d(x, 9, 2, 4))).square()


def test_where_a_defect_moved_more_than_its_lattice_a_cure_may_keep_what_a_repair_keeps(decoders: ModuleType) -> None:
    old, inputs = Squared(0.15), decoders.images(2, 128)
    with capture(old) as cap, torch.no_grad():
        old(inputs[0])
    site = cap.sites[0].site
    check = check_fix(old, Squared(0.0), site, inputs)
    assert 30 < check.psnr < 35
    assert check.cured
    darker = nn.Sequential(Squared(0.0), Changed(lambda x: 0.94 * x))
    assert "the image changed" in check_fix(old, darker, site, inputs).verdict


def test_less_than_four_fifths_is_no_cure_even_if_nothing_shows_then(decoders: ModuleType) -> None:
    check = check_fix(Drawn(2, 5.1 / 255), Drawn(2, 3.2 / 255), SITE, decoders.images(2, 128))
    assert check.severity[0] > 1 > check.severity[1]
    assert not check.cured
    assert "of the grid went" in check.verdict


def test_outputs_too_small_for_the_period_are_refused_instead_of_judged(decoders: ModuleType) -> None:
    wide = Site("up", "interpolate", 0, (2.0, 2.0), (16.0, 16.0), (1, 1, 4, 4), (1, 1, 8, 8))
    with pytest.raises(FixError, match="too small to measure a grid of period 16"):
        check_fix(Drawn(16, 0.1), Changed(lambda x: 0 * x), wide, decoders.images(1, 64))


def test_a_signal_is_called_one_and_the_share_that_went_is_one_number() -> None:
    torch.manual_seed(0)
    old = nn.ConvTranspose1d(1, 1, 8, 4, 2, bias=False)
    with torch.no_grad():
        old.weight.copy_(torch.tensor([1.0, 3, 5, 7, 7, 5, 3, 1]) / 8)
        old.weight[..., ::4] += 0.2
        new = copy.deepcopy(old)
        new.weight[..., ::4] -= 0.08
    sound = 0.5 + 0.2 * torch.sin(torch.linspace(0, 60, 512)).view(1, 1, -1)
    with capture(old) as cap, torch.no_grad():
        old(sound)
    check = check_fix(old, new, cap.sites[0].site, sound)
    assert "image" not in check.verdict
    assert "grid" not in check.verdict
    assert f"{check.energy_drop:.0%} of the tones went" in check.verdict
