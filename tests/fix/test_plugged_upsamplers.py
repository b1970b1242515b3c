"""Upsamplers of an installed package of one file: `fix` replaces by them, and what it writes loads again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from torch import nn

from artifactlab.errors import RegistryError
from artifactlab.fix.upsample import MODES

PACKAGE = """
import torch
from torch import nn
from artifactlab.fix.upsample import ResizeConvUpsample


class Keys(ResizeConvUpsample):
    def __init__(self, in_channels, out_channels, *, scale=2):
        super().__init__(in_channels, out_channels, scale=scale, resample="bicubic")


class Shuffled(nn.Module):
    def __init__(self, in_channels, out_channels, *, scale=2):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x):
        return self.shuffle(self.conv(x))

    def copy_response(self, response):
        self.conv.weight.copy_(response.kernel.permute(0, 2, 3, 1, 4, 5).flatten(0, 2))
        self.conv.bias.copy_(response.bias.flatten())


class Stranger(nn.Upsample):
    def __init__(self, in_channels, out_channels, *, scale=2):
        super().__init__(scale_factor=scale)
"""
ENTRIES = "keys = plugged:Keys\nshuffled = plugged:Shuffled\nstranger = plugged:Stranger\n"
DECODERS = Path(__file__).parent / "decoders.py"
TARGET = f"{DECODERS}:gridded"
USE = f"""
import plugged  # before any of ours: no circle
import contextlib, io, json, sys
from pathlib import Path
import decoders, torch
from artifactlab import load_model
from artifactlab.cli.main import main
from artifactlab.errors import FixError
from artifactlab.fix import REPLACEABLE, replace_upsampler
from artifactlab.fix.upsample import LearnableInterpolationUpsample

seen = {{"modes": list(REPLACEABLE)}}
seen["block"] = list(LearnableInterpolationUpsample(4, 3, mode="keys")(torch.rand(1, 4, 6, 6)).shape)

model = decoders.gridded()
seen["copy"] = replace_upsampler(model, "up", "shuffled").replacement.mode
flat = model.up(torch.ones(1, 6, 8, 8))[..., 2:-2, 2:-2]
seen["lattice"] = float((flat - flat[..., :1, :1]).abs().max())

try:
    replace_upsampler(decoders.gridded(), "up", "stranger")
except FixError as error:
    seen["refused"] = str(error)

with contextlib.redirect_stdout(io.StringIO()) as said:
    arguments = ["fix", {TARGET!r}, "--gray", "--probe", "slanted-edge", "--crop", "64", "--with", "keys"]
    main([*arguments, "-o", "fixed.safetensors", "--format", "json"], standalone_mode=False)
seen["json"] = said.getvalue()
seen["loaded"] = type(load_model({TARGET!r}, checkpoint=Path("fixed.safetensors")).up).__name__
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is installed, and where the process that uses it works."""
    folder = tmp_path_factory.mktemp("plugged")
    (folder / "plugged-1.0.dist-info").mkdir()
    (folder / "plugged.py").write_text(PACKAGE)
    (folder / "plugged-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n")
    (folder / "plugged-1.0.dist-info" / "entry_points.txt").write_text(f"[artifactlab.upsamplers]\n{ENTRIES}")
    return folder


@pytest.fixture(scope="module")
def seen(folder: Path) -> dict[str, Any]:
    """What a process sees in which these entry points are installed; one for all, as each imports torch anew."""
    paths = [str(folder), str(DECODERS.parent)]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}\n{USE}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_command_replaces_by_it_and_the_weights_load_again(seen: dict[str, Any], folder: Path) -> None:
    assert json.loads(seen["json"])["swaps"][0]["replacement"]["mode"] == "keys"
    assert seen["loaded"] == "Keys"
    with safe_open(folder / "fixed.safetensors", framework="pt") as file:
        assert "keys" in file.metadata()["artifactlab.fix"]


def test_one_that_copies_a_response_by_itself_starts_without_a_lattice(seen: dict[str, Any]) -> None:
    assert seen["copy"] == "shuffled"
    assert seen["lattice"] < 1e-4


def test_one_that_cannot_start_as_a_copy_is_refused_in_a_line(seen: dict[str, Any]) -> None:
    assert seen["refused"].startswith("no closed form is known that starts a Stranger; derive it from")
    assert len(seen["refused"].splitlines()) == 1


def test_blocks_take_it_and_importing_the_package_first_is_no_circle(seen: dict[str, Any]) -> None:
    assert seen["modes"][-3:] == ["keys", "shuffled", "stranger"]
    assert seen["block"] == [1, 3, 12, 12]


@pytest.mark.parametrize(
    ("name", "added", "message"),
    [
        ("made", lambda in_channels, out_channels: nn.Upsample(2), "'made' of plugged is a function, expected a type"),
        ("subpixel", nn.Upsample, "'subpixel' comes from artifactlab and from plugged"),
    ],
)
def test_what_cannot_be_added_is_named_with_its_package(name: str, added: Any, message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        MODES.register(name, added, owner="plugged")
