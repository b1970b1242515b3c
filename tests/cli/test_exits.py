"""How the command ends when its output goes nowhere, or when it is interrupted: never with 1 and never with words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest

from artifactlab.cli.main import main

PRINTING = [["--help"], ["--version"], ["metrics"], ["metrics", "--help"], ["metrics", "--format", "json"]]


@pytest.fixture(autouse=True)
def _interrupts() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def ended(arguments: list[str], stdout: TextIO | None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The exit code with that stdout."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        with pytest.raises(SystemExit) as raised:
            main(arguments)  # as the script does, and not main.main
        if stdout is None:
            sys.stdout.close()
    return raised.value.code


@pytest.mark.parametrize("arguments", PRINTING)
def test_a_reader_that_goes_away_ends_it_without_a_word(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as stdout:
        assert ended(arguments, stdout, monkeypatch) == 141
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("arguments", PRINTING)
def test_a_full_disk_is_one_line_and_2(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as stdout:
        assert ended(arguments, stdout, monkeypatch) == 2
    assert capfd.readouterr().err == "Error: cannot write the output: No space left on device\n"


def test_a_closed_stdout_takes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended(["metrics"], None, monkeypatch) in (0, None)


@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError(32, "Broken pipe")])
def test_whatever_ends_a_command_is_not_taken_for_a_failed_gate(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("artifactlab.cli.score.score_images", fail)
    code = ended(["score", "x.png"], sys.stdout, monkeypatch)
    said = capfd.readouterr().err
    assert (code, said) == ((130, "Interrupted.\n") if error is KeyboardInterrupt else (141, ""))


def interrupted_while_importing() -> tuple[int, list[str]]:
    """Exit code and words of a command that was interrupted when its first module of ours was imported."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-X", "importtime", "-m", "artifactlab", "--version"]  # says what has been imported
    with subprocess.Popen(command, stderr=pipe, stdout=pipe, text=True) as process:
        assert process.stderr
        while "artifactlab.errors" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        said = [line for line in process.stderr if not line.startswith("import time:")]
    return process.returncode, said


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_ctrl_c_while_importing_is_one_word() -> None:
    # on a busy machine the command may be done before the signal comes, and then nothing was tried
    tried = (interrupted_while_importing() for _ in range(5))
    assert next(result for result in tried if result != (0, [])) == (130, ["Interrupted.\n"])
