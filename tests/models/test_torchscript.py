"""A TorchScript file is converted to a graph, whose layers are named by their weights."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab import ModelError, load_model
from artifactlab.models import torchscript
from artifactlab.models.exported_program import quietly


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(5, 8, 3, padding=1), nn.ReLU())
        self.up = nn.ConvTranspose2d(8, 12, 3, 2, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.up(self.body(x)), 2)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return Decoder().eval()


@pytest.fixture(scope="module")
def file(model: nn.Module, tmp_path_factory: Any) -> Path:
    path: Path = tmp_path_factory.mktemp("script") / "decoder.bin"
    with quietly():
        torch.jit.script(model).save(str(path))
    return path


def test_sites_names_and_verdicts_are_those_of_the_module_for_inputs_of_any_size(file: Path, model: nn.Module) -> None:
    opened, x = load_model(str(file)), torch.rand(1, 5, 24, 32)
    ours, theirs = (artifactlab.diagnose(m, x, data_range=1.0, fast=True) for m in (model, opened))
    assert [s.site for s in theirs.sites] == [s.site for s in ours.sites]
    assert [s.verdict for s in theirs.sites] == [s.verdict for s in ours.sites]
    assert {s.site.key for s in theirs.sites} == {"up/conv_transpose2d#0", "pixel_shuffle#0"}


def test_what_cannot_be_given_an_example_is_refused_with_what_to_type(tmp_path: Path) -> None:
    path = tmp_path / "linear.pt"
    with quietly():
        torch.jit.script(nn.Linear(3, 3)).save(str(path))
    with pytest.raises(ModelError, match=r"does not tell what it takes: give the shape .*--kwargs '\{\"shape\""):
        load_model(str(path))


def test_other_arguments_than_a_shape_are_refused(file: Path) -> None:
    with pytest.raises(ModelError, match="takes only shape in --kwargs, got 'width'"):
        load_model(str(file), {"width": 3})


def copied(file: Path, path: Path, line: str = "", packed: str = "") -> Path:
    """A copy with a line of code more, or with a record that is packed."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name) + (line.encode() if name.endswith(".py") else b"")
            new.writestr(name, content, zipfile.ZIP_DEFLATED if packed and packed in name else zipfile.ZIP_STORED)
    return path


@pytest.mark.parametrize(
    "line",
    [
        "  torch.save(x, 'weights')",
        "  torch.from_file('weights', True, 9)",
        "  ops.aten.from_file('weights', True, 9)",
        "  ops.image.read_file(x)",
    ],
)
def test_code_that_opens_files_or_needs_other_libraries_is_refused(file: Path, tmp_path: Path, line: str) -> None:
    with pytest.raises(ModelError, match=r"was refused: its code calls .*, which works on more than tensors"):
        load_model(str(copied(file, tmp_path / "hostile.pt", line)))


class Endless(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter, self.turns = nn.Conv2d(3, 3, 1), 1 << 60

    def forward(self, x: Tensor) -> Tensor:
        x, turns = self.enter(x), 0
        while turns < self.turns:
            x, turns = x.relu(), turns + 1
        return x


def test_a_loop_that_does_not_end_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "endless.ts"
    with quietly():
        torch.jit.script(Endless()).save(str(path))
    monkeypatch.setattr(torchscript, "MAX_SECONDS", 0.1)
    with pytest.raises(ModelError, match=r"loops that did not end within 0 s .*; trace the model"):
        load_model(str(path))


class Doubling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for _ in range(14):
            x = torch.cat([x, x], 1)
        return x


def test_tensors_far_larger_than_the_input_are_refused_before_they_are_made(tmp_path: Path) -> None:
    path = tmp_path / "doubling.ts"
    with quietly():
        torch.jit.trace(Doubling(), torch.rand(1, 3, 1, 1)).save(str(path))
    with pytest.raises(
        ModelError, match=r"makes far larger tensors of \(2, 3, 128, 128\) than most nets, and is not run"
    ):
        load_model(str(path))


@pytest.mark.parametrize("line", ["  x = " + "(" * 101 + "1" + ")" * 101, "  x = (1" + "+1\n" * 20_000 + ")"])
def test_code_that_is_nested_without_end_is_refused_before_it_is_parsed(file: Path, tmp_path: Path, line: str) -> None:
    with pytest.raises(ModelError, match="its code is nested or goes on in one statement without end"):
        load_model(str(copied(file, tmp_path / "nested.pt", line)))


def test_packed_weights_are_refused_before_they_are_unpacked(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="its records are compressed"):
        load_model(str(copied(file, tmp_path / "bomb.pt", packed="/data/")))


def test_a_small_net_that_was_traced_with_a_large_image_is_opened(model: nn.Module, tmp_path: Path) -> None:
    with quietly():
        torch.jit.trace(model, torch.rand(1, 5, 256, 256)).save(str(tmp_path / "traced.ts"))
    assert load_model(str(tmp_path / "traced.ts"))(torch.rand(1, 5, 64, 64)).shape == (1, 3, 256, 256)


def test_an_older_torch_is_told_what_is_needed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.6.0+cpu")
    with pytest.raises(ModelError, match=r"TorchScript need torch 2\.8 or newer, and this is 2\.6\.0\+cpu"):
        load_model(str(file))
