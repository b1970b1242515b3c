"""What the program prints stays what it is: JSON, tables and help, against copies in `golden/`.

A change that is meant: `UPDATE_GOLDEN=1 python -m pytest -k unchanged`, and read the difference in the commit.
"""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from artifactlab.cli.main import main

GOLDEN = Path(__file__).resolve().parent / "golden"
MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, strength=0.6):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.up1 = nn.ConvTranspose2d(3, 4, 4, 2, 1, bias=False)
        self.out = nn.Conv2d(4, 3, 3, padding=1, bias=False)
        ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
        with torch.no_grad():
            self.up1.weight.copy_(torch.outer(ramp, ramp) * torch.eye(3, 4)[:, :, None, None])
            self.up1.weight[:, :, 1::2, 1::2] *= 1 + strength
            self.out.weight.copy_(torch.rand(self.out.weight.shape, generator=generator) / 18)

    def forward(self, x):
        y = self.out(self.up1(x))
        return nn.functional.interpolate(y, scale_factor=2, mode="bilinear")
"""
DIAGNOSE = ["diagnose", "net.py:Net", "--input", "images"]
COMMANDS = {
    "diagnose.json": [*DIAGNOSE, "--format", "json"],
    "diagnose_fast.json": [*DIAGNOSE, "--fast", "--seed", "1", "--format", "json"],
    "diagnose.txt": DIAGNOSE,
    "lint.json": ["lint", "net.py:Net", "--format", "json"],
    "score.json": ["score", "images", "--format", "json"],
    "score.csv": ["score", "images", "--format", "csv"],
    "score.txt": ["score", "images"],
    "compare.json": ["compare", "images", "again", "--format", "json"],
    "compare_models.json": ["compare", "net.py:Net", "other.py:Net", "--input", "images", "--format", "json"],
    "metrics.txt": ["metrics"],
    "init_config.toml": ["init-config", "-o", "all.toml"],
}
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def _picture(seed: int) -> np.ndarray:
    """Edges at several angles over a soft ground, with a trace of noise; every second one is pixel-doubled."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :96].astype(float)
    image = 0.4 + 0.1 * np.sin(x / 17 + seed) + 0.1 * np.cos(y / 23)
    for _ in range(6):
        angle, offset = rng.uniform(0, math.pi), rng.uniform(20, 80)
        image += rng.uniform(-0.2, 0.2) / (1 + np.exp(-2 * (x * math.cos(angle) + y * math.sin(angle) - offset)))
    colours = image[..., None] * rng.uniform(0.7, 1, 3) + rng.normal(0, 0.004, (96, 96, 3))
    picture = (colours.clip(0, 1) * 255).round().astype(np.uint8)
    return picture[::2, ::2].repeat(2, 0).repeat(2, 1) if seed % 2 else picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("golden")
    (root / "net.py").write_text(MODEL)
    (root / "other.py").write_text(MODEL.replace("strength=0.6", "strength=0.3"))
    for name in ("images", "again"):
        (root / name).mkdir()
    for seed in range(4):
        picture = _picture(seed)
        cv2.imwrite(str(root / "images" / f"{seed}.png"), picture)
        cv2.imwrite(str(root / "again" / f"{seed}.png"), cv2.GaussianBlur(picture, (0, 0), 1.2))
    return root


def check(name: str, text: str) -> None:
    """The text is the golden one: words exactly, numbers to rounding."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    if path.suffix == ".json":
        same(json.loads(text), json.loads(path.read_text()), name)
        return
    lines, wanted = text.splitlines(), path.read_text().splitlines()
    assert len(lines) == len(wanted)
    for line, golden in zip(lines, wanted, strict=True):
        assert NUMBER.sub("#", line).split() == NUMBER.sub("#", golden).split()
        same([float(n) for n in NUMBER.findall(line)], [float(n) for n in NUMBER.findall(golden)], golden)


def same(found: Any, wanted: Any, where: str) -> None:
    """Equal data, with numbers to 1% (arithmetic differs between processors) and digests of nothing left out."""
    if isinstance(wanted, dict):
        assert list(found) == list(wanted), where
        for key in wanted:
            if key not in ("version", "tool"):
                same(found[key], wanted[key], f"{where}.{key}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), where
        for place, (one, other) in enumerate(zip(found, wanted, strict=True)):
            same(one, other, f"{where}[{place}]")
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=1e-2, abs=2e-4), where
    elif isinstance(wanted, str):
        assert NUMBER.sub("#", found) == NUMBER.sub("#", wanted), where
    else:
        assert found == wanted, where


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_print_what_they_printed(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(main, COMMANDS[name], catch_exceptions=False, env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output
    check(name, result.stdout)


@pytest.mark.parametrize("command", ["", *sorted(main.commands)])
def test_help_says_what_it_said(command: str) -> None:
    arguments = [command, "--help"] if command else ["--help"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False, prog_name="artifactlab")
    assert isinstance(main, click.Group)
    check(f"help_{command or 'artifactlab'}.txt", result.stdout)
