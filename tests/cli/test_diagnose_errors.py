"""What `artifactlab diagnose` does where something is wrong: one line, an exit code, and no file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from artifactlab.cli.main import main


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(main, list(arguments))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("zoo.py:Net",), "give --input PATH (files, folders, globs) or --probe NAME"),
        (("zoo.py:Net", "a.png"), "give images with --input"),
        (("zoo.py:Net", "--input", "none.png"), "no such file or folder: 'none.png'"),
        (("zoo.py:Net", "--input", "empty"), "no input file in folder 'empty'"),
        (("zoo.py:Net", "--input", "*.tif"), "matches no input file"),
        (("zoo.py:Net", "--input", "cut.png"), "the PNG is cut off"),
        (("zoo.py:Net", "--input", "text.png"), "cannot read image 'text.png'"),
        (("zoo.py:Net", "--input", "tiny.png"), "tiny.png is 15x15 pixels; a diagnosis needs at least 16x16"),
        (("zoo.py:Net", "--input", "dot.png"), "dot.png is 1x1 pixels"),
        (("zoo.py:Net", "--input", "a.png", "--crop", "128"), "smaller than the crop of 128"),
        (("zoo.py:explodes", "--input", "a.png"), "raised RuntimeError: no such config"),
        (("zoo.py:needs", "--input", "a.png"), "pass --kwargs"),
        (("zoo.py:no_module", "--input", "a.png"), "returned a int"),
        (("zoo.py:flat", "--input", "a.png"), "no upsampling was seen"),
        (("zoo.py:vector", "--input", "a.png"), "the model's output is no image"),
        (("zoo.py:scripted", "--input", "a.png"), "ScriptModule"),
        (("zoo.py:diverged", "--input", "a.png"), "up2/conv_transpose2d holds NaN or Inf"),
        (("zoo.py:Net", "--gray", "--input", "a.png"), "the model failed on an input of shape (1, 1, 64, 64)"),
        (("zoo.py:Net", "--input", "a.png", "--checkpoint", "none.pth"), "none.pth: no such file"),
        (("zoo.py:Net", "--input", "a.png", "--checkpoint", "extra.pth"), "1 extra: head"),
        (("zoo.py:Net", "--input", "a.png", "--output", "depth"), "has no 'depth'"),
        (("zoo.py:Net", "--input", "a.png", "--sites", "dec.*"), "no site matches 'dec.*'"),
        (("zoo.py:Net", "--input", "a.png", "--device", "nonsense"), "cannot move the model to device 'nonsense'"),
        (("zoo.py:Net", "--input", "a.png", "--kwargs", "{"), "is no JSON"),
        (("zoo.py:Net", "--input", "a.png", "-o", "a.png"), "cannot write the report to a.png"),
        (("zoo.py:leaves", "--input", "a.png", "--fail-on-offender"), "raised SystemExit: 0"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_two(zoo: Path, arguments: tuple[str, ...], message: str) -> None:
    (zoo / "empty").mkdir()
    (zoo / "cut.png").write_bytes((zoo / "a.png").read_bytes()[:-20])
    (zoo / "text.png").write_text("hello")
    cv2.imwrite(str(zoo / "tiny.png"), np.zeros((15, 15), np.uint8))
    cv2.imwrite(str(zoo / "dot.png"), np.zeros((1, 1), np.uint8))
    torch.save(
        {"up1.weight": torch.zeros(3, 3, 4, 4), "up2.weight": torch.zeros(3, 3, 4, 4), "head": torch.zeros(1)},
        zoo / "extra.pth",
    )
    before = sorted(zoo.rglob("*"))
    result = run("diagnose", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert "Traceback" not in result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert len(errors) == 1
    created = [path for path in sorted(zoo.rglob("*")) if path not in before and "__pycache__" not in str(path)]
    assert created == []


def test_an_unexpected_error_does_not_look_like_a_failed_gate(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def defective(*_: object, **__: object) -> None:
        raise AttributeError("a defect")

    monkeypatch.setattr("artifactlab.diagnose", defective)
    result = run("diagnose", "zoo.py:Net", "--input", "a.png")
    assert result.exit_code == 2
    assert "Error: unexpected AttributeError: a defect" in result.stderr


def test_debug_shows_the_traceback(zoo: Path) -> None:
    result = run("--debug", "diagnose", "zoo.py:flat", "--input", "a.png")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


def test_interrupting_does_not_look_like_a_failed_gate(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("artifactlab.diagnose", interrupted)
    assert run("diagnose", "zoo.py:Net", "--input", "a.png").exit_code == 130
