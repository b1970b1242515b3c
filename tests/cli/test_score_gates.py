"""Gates in a file: chosen from good and bad images, and held against others, on the command line."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from artifactlab.cli.main import main


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slanted edges in `good`, stairs of 4 pixels along them in `bad`, and a gate between them in gates.toml."""
    root = tmp_path_factory.mktemp("gates")
    y, x = np.mgrid[:64, :64]
    for name, count, step in (("good", 6, 1), ("bad", 4, 4)):
        (root / name).mkdir()
        for number in range(count):
            way = y // step * step - (0.5 + number / 10) * (x // step * step) - 10
            cv2.imwrite(str(root / name / f"{number}.png"), (255 / (1 + np.exp(-way))).astype(np.uint8))
    (root / "gates.toml").write_text('gates = ["axis_excess>0.1"]')
    return root


@pytest.fixture(autouse=True)
def inside(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["score", "--metric", "axis_excess", *arguments])


def test_calibrate_writes_gates_that_score_takes_and_says_what_they_catch() -> None:
    chosen = run("good", "--calibrate", "bad", "--false-alarms", "0.34", "-o", "chosen.toml")
    assert (chosen.exit_code, chosen.stderr) == (0, "")
    assert "2 of 2 (22.4% to 100.0%)" in chosen.stdout
    assert run("good", "--gates", "chosen.toml").exit_code == 0
    assert run("bad", "--gates", "chosen.toml").exit_code == 1


def test_a_failed_gate_is_a_line_for_people_an_annotation_or_a_testcase() -> None:
    arguments = ("good/0.png", "bad/1.png", "--gates", "gates.toml")
    assert run(*arguments).stderr.startswith("gate axis_excess>0.1 failed in 1 of 2 images: ")
    github = run(*arguments, "--format", "github")
    assert github.exit_code == 1
    assert github.stdout.startswith("::error file=bad/1.png,title=")
    assert github.stdout.count("\n") == 1
    assert run(*arguments, "-o", "junit.xml").exit_code == 1
    (suite,) = ElementTree.parse("junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")


def test_gates_of_a_file_and_of_the_command_line_hold_together() -> None:
    assert run("good/0.png", "--gates", "gates.toml", "--fail-on", "axis_excess>=0").exit_code == 1


def test_too_few_images_write_nothing_and_say_how_many_it_takes() -> None:
    result = run("good", "--calibrate", "bad", "-o", "none.toml")
    assert result.exit_code == 2
    assert "0.01 of good images as false alarms takes 197 good images" in result.stderr
    assert not Path("none.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--calibrate", "bad"], "say where, with -o gates.toml"),
        (["--calibrate", "bad", "-o", "x.toml", "--top", "3"], "--top says nothing to --calibrate"),
        (["--calibrate", "bad", "-o", "x.toml", "--gates", "gates.toml"], "--gates says nothing to --calibrate"),
        (["--false-alarms", "0.1"], "--false-alarms is for --calibrate"),
        (["--format", "junit"], "give --gates FILE or --fail-on EXPR"),
        (["--gates", "nowhere.toml"], "cannot read the gates 'nowhere.toml'"),
    ],
)
def test_options_that_say_nothing_are_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr("artifactlab.cli.score.score_images", lambda *_: pytest.fail("scored"))
    result = run("good", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_by_folder_ranks_and_says_what_it_is_not_sure_of() -> None:
    result = run("good", "bad", "--by", "folder", "--sort", "axis_excess")
    assert (result.exit_code, result.stderr) == (0, "")
    ranks = [line.split()[:3] for line in result.stdout.splitlines()[1:3]]
    assert ranks == [["1", "good", "6"], ["2", "bad", "4"]]
    assert "Cannot tell which is best" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "["], "cannot read '['"),
        (["--by", "folder"], "ranks by severity, which is not measured; name another metric with --sort"),
        (["--by", "folder", "--sort", "axis_excess", "--format", "csv"], "as table or json"),
        (["--by", "folder", "--sort", "axis_excess", "--top", "1"], "--top is for a table of images"),
    ],
)
def test_a_ranking_that_cannot_be_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr("artifactlab.cli.score.score_images", lambda *_: pytest.fail("scored"))
    result = run("good", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
