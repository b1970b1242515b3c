"""Upsamplers of an installed package of one file: `fix` replaces by them, and what it writes loads again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from safetensors import safe_open

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


def make(in_channels, out_channels, *, scale=2):
    return Keys(in_channels, out_channels, scale=scale)
"""
ENTRIES = "keys = plugged:Keys\nshuffled = plugged:Shuffled\nstranger = plugged:Stranger\n"
DECODERS = Path(__file__).parent / "decoders.py"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, decoders: ModuleType) -> Run:
    """Python code in a process of its own, in which these entry points are installed."""

    def started(code: str, entries: str = ENTRIES) -> subprocess.CompletedProcess[str]:
        site = tmp_path / "site"
        (site / "plugged-1.0.dist-info").mkdir(parents=True)
        (site / "plugged.py").write_text(PACKAGE)
        (site / "plugged-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n")
        (site / "plugged-1.0.dist-info" / "entry_points.txt").write_text(f"[artifactlab.upsamplers]\n{entries}")
        paths = [str(site), str(DECODERS.parent)]
        command = [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}\n{code}"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return started


def test_the_command_replaces_by_it_and_the_weights_load_again(run: Run, tmp_path: Path) -> None:
    target = f"{DECODERS}:gridded"
    done = run(
        "from pathlib import Path\n"
        "from artifactlab import load_model\n"
        "from artifactlab.cli.main import main\n"
        f"arguments = ['fix', {target!r}, '--gray', '--crop', '96', '--with', 'keys', '-o', 'fixed.safetensors']\n"
        "main([*arguments, '--format', 'json'], standalone_mode=False)\n"
        f"fixed = load_model({target!r}, checkpoint=Path('fixed.safetensors'))\n"
        "print(type(fixed.up).__name__, file=sys.stderr)\n"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["replacement"]["mode"] == "keys"
    assert done.stderr.splitlines()[-1] == "Keys"
    with safe_open(tmp_path / "fixed.safetensors", framework="pt") as file:
        assert "keys" in file.metadata()["artifactlab.fix"]


def test_one_that_copies_a_response_by_itself_starts_without_a_lattice(run: Run) -> None:
    done = run(
        "import torch, decoders\n"
        "from artifactlab.fix import replace_upsampler\n"
        "model = decoders.gridded()\n"
        "print(replace_upsampler(model, 'up', 'shuffled').replacement.mode)\n"
        "flat = model.up(torch.ones(1, 6, 8, 8))[..., 2:-2, 2:-2]\n"
        "print(bool((flat - flat[..., :1, :1]).abs().max() < 1e-4))\n"
    )
    assert done.stdout.split() == ["shuffled", "True"], done.stderr


def test_one_that_cannot_start_as_a_copy_is_refused_in_a_line(run: Run) -> None:
    done = run(
        "import decoders\n"
        "from artifactlab.errors import FixError\n"
        "from artifactlab.fix import replace_upsampler\n"
        "try:\n"
        "    replace_upsampler(decoders.gridded(), 'up', 'stranger')\n"
        "except FixError as error:\n"
        "    print(error)\n"
    )
    assert done.stdout.startswith("no closed form is known that starts a Stranger; derive it from"), done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_blocks_take_it_and_importing_the_package_first_is_no_circle(run: Run) -> None:
    done = run(
        "import plugged, torch\n"
        "from artifactlab.fix import REPLACEABLE\n"
        "from artifactlab.fix.upsample import LearnableInterpolationUpsample\n"
        "print(tuple(REPLACEABLE)[-3:])\n"
        "print(tuple(LearnableInterpolationUpsample(4, 3, mode='keys')(torch.rand(1, 4, 6, 6)).shape))\n"
    )
    assert done.stdout.splitlines() == ["('keys', 'shuffled', 'stranger')", "(1, 3, 12, 12)"], done.stderr


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("made = plugged:make", "'made' of plugged is a function, expected a type"),
        ("subpixel = plugged:Keys", "'subpixel' comes from artifactlab and from plugged"),
    ],
)
def test_what_cannot_be_added_is_named_with_its_package(run: Run, entry: str, message: str) -> None:
    done = run("from artifactlab.fix import REPLACEABLE\nlist(REPLACEABLE)\n", entries=entry)
    assert message in done.stderr
