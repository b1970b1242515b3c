"""Where `-o` of `score` and `compare` asks for a page."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from artifactlab.cli.main import main

STAIRS = (np.tri(24, dtype=np.uint8) * 255).repeat(4, 0).repeat(4, 1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        cv2.imwrite(str(tmp_path / side / "stairs.png"), STAIRS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_score_writes_a_folder_with_page_and_numbers(folder: Path) -> None:
    result = run("score", "a", "--metric", "severity", "-o", "report/", "--fail-on", "severity>1")
    assert result.exit_code == 1
    assert "The worst is a/stairs.png" in result.stdout
    assert sorted(path.name for path in (folder / "report").iterdir()) == ["report.html", "scores.csv", "scores.json"]
    assert json.loads((folder / "report" / "scores.json").read_text())["images"][0]["path"] == "a/stairs.png"
    assert run("compare", "report/scores.json", "report/scores.csv").exit_code == 0


def test_compare_writes_one_file_or_a_folder(folder: Path) -> None:
    (folder / "there").mkdir()
    for target in ("compare.html", "there"):
        assert run("compare", "a", "b", "--metric", "severity", "-o", target).exit_code == 0
    assert (folder / "compare.html").read_text().count('class="pair"') == 1
    assert sorted(path.name for path in (folder / "there").iterdir()) == ["compare.json", "report.html"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("score", "a", "-o", "report/", "--top", "3"), "--top is for the table"),
        (("score", "a", "-o", "nowhere/page.html"), "there is no folder"),
        (("score", "a", "-o", "a/stairs.png/"), "is a file; give a folder"),
        (("score", "a", "--format", "csv", "-o", "a"), "it is a folder"),
        (("compare", "m.py:f", "m.py:g", "--input", "a", "-o", "page.html"), "there is no page of two models"),
    ],
)
def test_mistakes_are_named_before_the_work(
    folder: Path, arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("artifactlab.cli.score.score_images")
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
