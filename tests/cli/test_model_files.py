"""Commands take the file that somebody has: weights of which spandrel knows the model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import spandrel_stand_in
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file

from artifactlab.cli.main import main


@pytest.fixture
def file(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """4x-foo.pth: a net whose pixel shuffle draws a grid; it takes sides that are multiples of 8."""
    spandrel_stand_in.install(zoo, monkeypatch)
    torch.save({"params": gridded(3)}, zoo / "4x-foo.pth")
    return "4x-foo.pth"


def gridded(channels: int) -> dict[str, torch.Tensor]:
    """A net that repeats pixels, the first of each four too bright."""
    weight = torch.zeros(channels, 4, channels, 3, 3)
    for channel in range(channels):
        weight[channel, :, channel, 1, 1] = torch.tensor([1.3, 1.0, 1.0, 1.0])
    return {"conv.weight": weight.flatten(0, 1), "conv.bias": torch.zeros(4 * channels)}


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(main, arguments)


def test_a_file_is_diagnosed_on_images_of_any_size(file: str, zoo: Path) -> None:
    for name in ("a.png", "b.png"):
        cv2.imwrite(name, np.pad(cv2.imread(name), ((0, 3), (0, 5), (0, 0)), mode="edge"))
    result = run("-v", "diagnose", file, "--input", "a.png", "b.png", "--format", "json")
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert [(site["name"], site["op"], site["verdict"]) for site in data["sites"]] == [
        ("shuffle", "pixel_shuffle", "offender")
    ]
    assert data["model"] == {"source": file, "sha256": hashlib.sha256(Path(file).read_bytes()).hexdigest()}
    assert result.stderr.count("images are cropped to sides of multiples of 8, as Tiny 2x takes them\n") == 1
    assert (
        "takes: Tiny 2x: 3 channels, sides of at least 16, multiples of 8, better whole than cropped" in result.stderr
    )


def test_gray_images_are_made_for_a_model_that_takes_those(file: str) -> None:
    torch.save(gridded(1), file)
    result = run("diagnose", file, "--input", "a.png", "b.png")
    assert result.exit_code == 0, result.stderr
    assert "images are made gray: Tiny 2x takes one channel\n" in result.stderr


def test_tensors_that_a_user_draws_are_taken_as_they_are(file: str) -> None:
    result = run("diagnose", file, "--noise", "1x3x30x30", "--count", "1")
    assert result.exit_code == 2
    assert "sides must be multiples of 8" in result.stderr


def test_a_file_is_linted_as_trained_weights(file: str) -> None:
    result = run("lint", file, "--format", "json")
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert data["config"]["trained"]
    assert data["model"]["sha256"] == hashlib.sha256(Path(file).read_bytes()).hexdigest()


def test_two_files_are_compared_as_models(file: str, zoo: Path) -> None:
    save_file(gridded(3) | {"conv.bias": torch.ones(12)}, zoo / "other.safetensors")
    result = run("compare", file, "other.safetensors", "--input", "a.png", "b.png", "--dtype", "float16")
    assert result.exit_code == 0, result.stderr
    assert "Tiny 2x was not made for float16" in result.stderr
    assert "shuffle/pixel_shuffle#0" in result.stdout


def test_what_was_fixed_loads_in_the_programs_that_load_the_file(file: str) -> None:
    result = run("fix", file, "--site", "shuffle", "--input", "a.png", "--crop", "32", "-o", "fixed.safetensors")
    assert "wrote fixed.elsewhere.pth" in result.stderr
    assert torch.load("fixed.elsewhere.pth", weights_only=True)["params"].keys() == gridded(3).keys()
    for again in (["fixed.elsewhere.pth"], [file, "--checkpoint", "fixed.safetensors"]):
        data = json.loads(run("diagnose", *again, "--input", "a.png", "--crop", "32", "--format", "json").stdout)
        assert data["output"]["severity"] < 0.5


@pytest.mark.parametrize("command", ["diagnose", "lint", "fix"])
def test_without_the_package_one_line_says_what_to_install(
    command: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spandrel_stand_in.uninstall(monkeypatch)
    options = {"diagnose": ["--probe", "ramp"], "lint": [], "fix": ["--probe", "ramp", "-o", "x.safetensors"]}
    result = run(command, file, *options[command])
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "pip install 'artifactlab[spandrel]'" in result.stderr


@pytest.mark.parametrize("content", [b"\x80\x02cos\nmkdir\nX\x07\x00\x00\x00planted\x85R.", b"PK\x03\x04 x/data.pkl"])
def test_a_hostile_file_is_one_line(content: bytes, file: str) -> None:
    Path(file).write_bytes(content)
    result = run("lint", file)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert not Path("planted").exists()
