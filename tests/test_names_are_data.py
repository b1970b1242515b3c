"""What a module, a file or a weight is called does nothing to a terminal, a table or a picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from matplotlib.figure import Figure

import artifactlab
from artifactlab.cli.main import main
from artifactlab.cli.progress import progress_bar
from artifactlab.printable import LONGEST_WORD, printable
from artifactlab.report.diagnosis_table import diagnosis_table
from artifactlab.report.files import write_report
from artifactlab.report.lint_table import lint_table
from artifactlab.report.plots import plot_artifact_map, plot_sites
from artifactlab.report.terminal import as_text, print_out

TITLE, CLEAR, CLIPBOARD = "\x1b]0;PWNED\x07", "\x1b[2J", "\x1b]52;c;cHduZWQ=\x07"
HOSTILE = [
    *(TITLE, CLEAR, CLIPBOARD, "\x9b2J", "a\rb", "a\nb", "a\x85b", "a\u2028b", "\u202egnp", "\udcff", "tab\t", "nul\0"),
    *("$^^$", r"\$x$", "$", "$a$b$", r"$\frac$", "[/red]", "[bold]", "[link=x]", ":smile:", r"\[red]", "{x}", "%s"),
    "long" * 20_000,
    "many words " * 20_000,
]
NAMES = [name.replace(".", "_") for name in HOSTILE]
DANGEROUS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]")


def net(name: str) -> torch.nn.Sequential:
    """A model with one bad layer, called so."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1))
    model.add_module(name, torch.nn.ConvTranspose2d(4, 3, 3, 2, 1, 1))
    return model


def diagnosis_of(name: str) -> artifactlab.Diagnosis:
    return artifactlab.diagnose(net(name), torch.rand(1, 3, 32, 32), data_range=1.0)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_printable_text_is_one_visible_line(name: str) -> None:
    text = printable(f"no file {name}: give another")
    assert text.isprintable()
    assert (text[:8], text[-14:]) == ("no file ", ": give another")
    assert len(text) < 30_000


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("dec.up2/conv_transpose2d#0", "Fotos/Äpfel und 梨 🍐.png", r"C:\images\a.png", "x" * LONGEST_WORD):
        assert printable(name) == name


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_tables_show_every_name_letter_by_letter(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = net(name)
    with artifactlab.capture(model) as seen:
        model(torch.rand(1, 3, 32, 32))
    assert seen.sites[0].site.name == name
    table = lint_table(artifactlab.lint(model))
    for width in (60, 400):
        assert not DANGEROUS.search(as_text(table, width))
    assert printable(name)[:20] in as_text(table, 400)
    print_out(table)
    assert not DANGEROUS.search(capsys.readouterr().out)


@pytest.mark.parametrize("name", [f"$^^$[/red]:smile:{TITLE}{CLEAR}a$b\n$c\udcff\0", "word $x$ " * 2_000])
def test_a_diagnosis_is_shown_and_written_whatever_the_layer_is_called(name: str, tmp_path: Path) -> None:
    diagnosis = diagnosis_of(name)
    assert not DANGEROUS.search(as_text(diagnosis_table(diagnosis), 80))
    assert len(write_report(diagnosis, tmp_path)) == 5
    for draw in (plot_sites, plot_artifact_map):
        figure = Figure()
        draw(diagnosis, ax=figure.subplots())
        figure.savefig(tmp_path / "panel.png")


def test_no_dollar_in_a_picture_is_mathematics() -> None:
    diagnosis = diagnosis_of("$x$")
    figure = diagnosis.plot()
    figure.canvas.draw()
    texts: list[Any] = figure.findobj(lambda artist: "$" in getattr(artist, "get_text", str)())
    lines = [(text, line) for text in texts for line in text.get_text().split("\n")]
    assert lines
    assert all(text._preprocess_math(line) == (line.replace(r"\$", "$"), False) for text, line in lines)


def test_a_progress_bar_takes_its_title_literally(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar(f"[/red]{CLEAR}", then=f"[/bold]{CLEAR}") as move:
        move(1, 2)
        move(2, 2)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with images of hostile names, one of which is no image."""
    monkeypatch.chdir(tmp_path)
    picture = cv2.imencode(".png", np.tri(64, dtype=np.uint8) * 200)[1].tobytes()
    for name in (TITLE, CLEAR, "a\nb", "[red]", "\udcff"):
        (tmp_path / f"{name}.png").write_bytes(picture)
    (tmp_path / f"{CLIPBOARD}.png").write_bytes(b"no image")
    (tmp_path / "m.py").write_text(
        "from torch import nn\n"
        f"NAME = {TITLE + '[/red]$x$'!r}\n"
        "def net():\n"
        "    made = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1))\n"
        "    made.add_module(NAME, nn.ConvTranspose2d(4, 3, 3, 2, 1, 1))\n"
        "    return made\n"
        "def fails(): raise ValueError(NAME)\n"
        "class Explodes(nn.Upsample):\n"
        "    def forward(self, x): raise ValueError(NAME)\n"
    )
    torch.save({TITLE: torch.zeros(1), "long" * 50_000: torch.zeros(1)}, tmp_path / "c.pt")
    return tmp_path


def run(*words: str) -> Result:
    result = CliRunner(env={"TERM": "xterm", "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}).invoke(main, [*words])
    assert not isinstance(result.exception, Exception), result.exception
    return result


PROBE = ("--probe", "constant", "--crop", "32")
COMMANDS: dict[str, tuple[str, ...]] = {
    "scores": ("score", ".", "--metric", "axis_excess", "--fail-on", "axis_excess>=0"),
    "a comparison": ("compare", ".", ".", "--metric", "axis_excess"),
    "a checkpoint's keys": ("lint", "m.py:net", "--checkpoint", "c.pt"),
    "lint": ("-v", "lint", "m.py:net"),
    "a diagnosis": ("-v", "diagnose", "m.py:net", *PROBE, "-o", f"rep{CLEAR}", "--fail-on", "severity>=0"),
    "a fix": ("fix", "m.py:net", *PROBE, "-o", "f.safetensors"),
    "two models": ("compare", "m.py:net", "m.py:net", "--probe", "wheel", "--crop", "32"),
    "a file that is not there": ("score", f"none{TITLE}.png"),
    "a pattern of sites": ("diagnose", "m.py:net", *PROBE, "--sites", CLEAR),
    "a factory's error": ("diagnose", "m.py:fails", *PROBE),
    "a model's error and its traceback": ("--debug", "diagnose", "m.py:Explodes", *PROBE),
    "an option": ("lint", f"--{TITLE}"),
    "an option of the group": (f"--{TITLE}", "lint"),
    "a command": (TITLE,),
    "a choice": ("lint", "m.py:net", "--format", CLEAR),
    "JSON": ("lint", "m.py:net", "--format", "json"),
    "JSON of scores": ("score", ".", "--metric", "axis_excess", "--format", "json"),
    "JSON lines": ("score", ".", "--metric", "axis_excess", "--format", "jsonl"),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_nothing_that_is_printed_commands_the_terminal(words: tuple[str, ...], folder: Path) -> None:
    result = run(*words)
    ours = re.compile(r"\x1b\[[0-9;?]*[mlhKA]|\r")  # colours, and what moves a progress bar
    assert not DANGEROUS.search(ours.sub("", result.output))
    assert len(result.output) < 50_000


def test_an_error_that_quotes_a_name_with_ends_of_lines_is_one_line(folder: Path) -> None:
    result = CliRunner().invoke(main, ["score", "none\nError: a\r\n.png"])
    assert result.stderr.count("\n") == 1
