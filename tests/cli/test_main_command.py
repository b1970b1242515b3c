"""What all commands share: help, versions, exit codes, how much is said, completion."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from artifactlab.cli.main import main
from artifactlab.scoring.measures import METRICS

MODEL = """
import torch

def make():
    print("hello from the model")
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.ConvTranspose2d(3, 3, 3, 2))

def broken():
    raise RuntimeError("no such weights")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.py").write_text(MODEL)
    cv2.imwrite("a.png", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_help_lists_every_command_in_the_order_of_work_with_a_line_that_fits() -> None:
    text = run("--help").stdout
    listed = re.findall(r"^  ([a-z-]+)  +(\S.*)$", text.partition("Commands:")[2], re.MULTILINE)
    assert [name for name, _ in listed] == [
        "demo",
        "lint",
        "diagnose",
        "fix",
        "score",
        "compare",
        "metrics",
        "init-config",
    ]
    assert all(summary.endswith(".") and "..." not in summary for _, summary in listed)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("command", main.commands)
def test_every_command_has_help_that_fits_80_columns_and_the_shared_options(command: str) -> None:
    text = run(command, "--help").stdout
    assert max(map(len, text.splitlines())) <= 80
    for option in ("--config", "--quiet", "--verbose"):
        assert option in text


def test_version_says_what_a_bug_report_needs() -> None:
    lines = dict(line.split(" ", 1) for line in run("--version").stdout.splitlines())
    assert list(lines) == ["artifactlab", "python", "torch", "numpy", "opencv", "scikit-image", "platform", "devices"]
    assert lines["artifactlab"] == version("artifactlab")
    assert lines["torch"].startswith(version("torch"))
    assert lines["numpy"] == version("numpy")
    assert lines["devices"].startswith("cpu")


def test_quiet_before_or_after_the_command_leaves_the_data_alone(folder: Path) -> None:
    command = ("diagnose", "models.py:make", "--probe", "constant", "--fast", "-o", "report")
    usual = run(*command)
    assert usual.exit_code == 0
    assert "wrote report/report.html" in usual.stderr
    assert "open report/report.html in a browser" in usual.stderr
    for quiet in (run("--quiet", *command), run(*command, "-q")):
        assert (quiet.exit_code, quiet.stdout) == (0, usual.stdout)
        assert quiet.stderr == "hello from the model\n"


def test_quiet_leaves_what_was_written_unsaid(folder: Path) -> None:
    assert run("init-config", "--quiet").stderr == ""
    assert (folder / "artifactlab.toml").is_file()


def test_quiet_does_not_silence_errors(folder: Path) -> None:
    assert "no.png" in run("score", "-q", "no.png").stderr


def test_verbose_says_what_is_done_with_what_and_how_long_it_takes(folder: Path) -> None:
    command = ("diagnose", "models.py:make", "--input", "a.png", "--fast")
    result = run(*command, "--verbose")
    assert result.stdout == run(*command).stdout
    assert "inputs: 1 of 3x64x64" in result.stderr
    assert "model: models.py:make, a Sequential with 84 parameters" in result.stderr
    assert "sites: 1 (0/conv_transpose2d#0)" in result.stderr
    assert re.search(r"^loading the model: \d+\.\d s$", result.stderr, re.MULTILINE)


@pytest.mark.parametrize("words", [("-q", "metrics", "-v"), ("metrics", "-q", "-v"), ("-v", "metrics", "-q")])
def test_quiet_and_verbose_together_are_refused(words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "--quiet and --verbose contradict each other" in result.stderr


def test_an_error_is_one_line_and_debug_shows_where_it_came_from(folder: Path) -> None:
    usual = run("lint", "models.py:broken")
    assert usual.exit_code == 2
    assert "no such weights" in usual.stderr
    assert "Traceback" not in usual.stderr
    debug = run("--debug", "lint", "models.py:broken")
    assert debug.exit_code == 2
    assert "Traceback" in debug.stderr


def test_an_unknown_command_or_option_names_the_nearest() -> None:
    assert "diagnose" in run("diagnos").stderr
    assert "--checkpoint" in run("diagnose", "--chekpoint", "x").stderr
    assert run("diagnos").exit_code == run("diagnose", "--chekpoint", "x").exit_code == 2


# --- metrics ---


def test_metrics_lists_every_score_with_unit_and_which_way_is_better() -> None:
    data = json.loads(run("metrics", "--format", "json").stdout)
    listed = {metric["name"]: metric for metric in data["score"]}
    assert list(listed) == list(METRICS)
    for name, metric in METRICS.items():
        assert (listed[name]["unit"], listed[name]["better"]) == (metric.unit, metric.better)
        assert tuple(listed[name]["smallest"]) == metric.smallest
    text = " ".join(run("metrics").stdout.split())
    for name, metric in METRICS.items():
        better = f"; {metric.better} is better" if metric.better else ""
        assert f"{name} {metric.unit}{better}; image from" in text
        assert metric.description in text


def test_metrics_explains_every_number_a_diagnosis_has(folder: Path) -> None:
    explained = {number["name"] for number in json.loads(run("metrics", "--format", "json").stdout)["diagnose"]}
    data = json.loads(run("diagnose", "models.py:make", "--input", "a.png", "--fast", "--format", "json").stdout)
    assert set(data["output"]) - {"slices"} <= explained  # the same numbers, of the slices of volumes
    assert {"effect", "evidence"} <= explained


# --- completion ---


def completed(*words: str) -> list[str]:
    """What a shell is offered for the last of these words; that bash itself takes it, tests/test_readme.py tries."""
    *before, incomplete = words
    offered = ShellComplete(main, {}, "artifactlab", "_ARTIFACTLAB_COMPLETE").get_completions(before, incomplete)
    return [item.value for item in offered]


def test_commands_are_completed() -> None:
    assert completed("di") == ["diagnose"]


def test_options_and_choices_are_completed() -> None:
    assert completed("diagnose", "--fa") == ["--fast", "--fail-on-offender", "--fail-on"]
    assert completed("fix", "--with", "sub") == ["subpixel"]


def test_a_package_that_cannot_be_used_is_one_line_for_the_commands_that_need_it(folder: Path) -> None:
    information = folder / "bad-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[artifactlab.metrics]\nwrong = nowhere:X\n")
    code = (
        "from click.testing import CliRunner; from artifactlab.cli.main import main\n"
        "ended = [CliRunner().invoke(main, words) for words in (['lint', '--rules'], ['score', 'a.png'])]\n"
        "import json; print(json.dumps([[one.exit_code, one.stderr] for one in ended]))"
    )
    env = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (rules, _), (score, said) = json.loads(done.stdout)
    assert (rules, score) == (0, 2)
    assert said.startswith("Error: artifactlab.metrics: 'wrong' of bad cannot be imported from nowhere:X")
    assert said.count("\n") == 1
