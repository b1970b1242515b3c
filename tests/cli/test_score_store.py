"""What `artifactlab score` promises of --store, --resume and --from-store, and of its progress."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from artifactlab.cli import progress
from artifactlab.cli.main import main

QUICK = ("out", "--metric", "axis_excess")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two images in `out`, and the working directory beside it."""
    (tmp_path / "out").mkdir()
    for number in range(2):
        image = np.random.default_rng(number).integers(0, 255, (16, 16), dtype=np.uint8)
        (tmp_path / "out" / f"{number}.png").write_bytes(cv2.imencode(".png", image)[1])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["score", *arguments])


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_every_form_of_report_is_the_same_with_a_store_without_and_from_it(folder: Path, form: str) -> None:
    plain = run(*QUICK, "--format", form).stdout
    kept = [run(*QUICK, "--format", form, "--store", "rows", *more).stdout for more in ((), ("--resume",))]
    assert kept == [plain, plain]
    read = run("--from-store", "rows", "--format", form).stdout
    assert read.replace('"rows"', '"out"') == plain  # which is where they come from


def test_gates_order_and_length_are_those_of_the_report_and_not_of_the_scoring(folder: Path) -> None:
    run(*QUICK, "--store", "rows")
    scores = [
        json.loads(line)["scores"]["axis_excess"] for line in next(Path("rows").glob("part*")).read_text().splitlines()
    ]
    result = run("--from-store", "rows", "--fail-on", "axis_excess>-1", "--sort", "axis_excess", "-o", "report.json")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    worst_first = [image["scores"]["axis_excess"] for image in json.loads(Path("report.json").read_text())["images"]]
    assert worst_first == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["out", "--resume"], "--resume goes on with what a store has; say which with --store DIR"),
        (["out", "--from-store", "rows"], "--from-store scores nothing, and PATH says what to score"),
        (["--from-store", "rows", "--workers", "2"], "--from-store scores nothing, and --workers says"),
        (["--from-store", "rows", "--store", "rows"], "--from-store scores nothing, and --store says"),
        (["--from-store", "rows"], "no rows of scores in 'rows'; make some with score --store"),
        (["out", "--store", "out/0.png"], "it is a file; give a folder for --store"),
        ([], "Missing argument 'PATH...'"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_2(folder: Path, arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr.splitlines()[-1]
    assert not Path("rows").exists()


def test_ctrl_c_says_that_the_rows_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("artifactlab.cli.score.score_images", interrupted)
    result = run(*QUICK, "--store", "rows")
    assert (result.exit_code, result.stderr) == (
        130,
        "rows has the rows that are done; the same with --resume goes on\nInterrupted.\n",
    )


def test_progress_says_how_many_a_second_and_how_long_is_left() -> None:
    clock = iter(np.arange(0, 1e3, 0.5))
    screen = Console(file=io.StringIO(), force_terminal=True, width=100)
    bar = progress._bar(screen, False, "images")
    bar.get_time = lambda: float(next(clock))
    task = bar.add_task("scoring", total=1000)
    for done in range(1, 11):
        bar.update(task, completed=done)
    screen.print(bar.get_renderable())
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "images/s" in text
    assert "left" in text
    assert "-:--:--" not in text.split("left")[1]
