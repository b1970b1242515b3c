"""What `artifactlab score` promises on the command line: streams, files, formats and exit codes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from artifactlab.cli.main import main

STAIRS = (np.tri(24, dtype=np.uint8) * 255).repeat(4, 0).repeat(4, 1)
FLAT = np.full((64, 64, 3), 128, np.uint8)
COLUMNS = [
    *("severity", "worst_window", "edge_jaggedness", "axis_excess", "checkerboard_energy", "lattice_amplitude"),
    *("period", "replication_factor"),
]
PLACE = ["window_top", "window_left", "window_side"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two good images in `out`, and the working directory beside it."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "flat.png").write_bytes(cv2.imencode(".png", FLAT)[1])
    (tmp_path / "out" / "stairs.png").write_bytes(cv2.imencode(".png", STAIRS)[1])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["score", *arguments])


def test_table_lists_every_image_within_80_columns_and_ends_with_a_summary(folder: Path) -> None:
    result = run("out")
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line.count(".") >= 4] == [
        "flat.png",
        "stairs.png",
        "mean",
        "median",
        "max",
    ]
    conclusion = " ".join(lines[len(lines) - lines[::-1].index("") :])
    assert conclusion.startswith("Artifacts show in 1, clean 1. The worst is out/stairs.png")


def test_table_of_all_metrics_shows_full_numbers_and_long_names_in_80_columns(folder: Path) -> None:
    name = "a_rather_long_file_name_of_a_run_with_many_digits_00000000001.png"
    for place in ("out", "ref"):
        (folder / place).mkdir(exist_ok=True)
        (folder / place / name).write_bytes(cv2.imencode(".png", STAIRS)[1])
    lines = run(f"out/{name}", "--reference", "ref").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    _, word, *numbers = next(line for line in lines if "0.0000" in line).split()
    assert (word, len(numbers)) == ("shows", 6)
    assert all(len(number.partition(".")[2]) == len("0000") for number in numbers)
    first = next(index for index, line in enumerate(lines) if line.startswith("a_rather"))
    assert "".join(line.split()[0] for line in lines[first:] if line.strip()).startswith(name)


def test_table_shows_brackets_in_names_as_they_are(folder: Path) -> None:
    (folder / "out" / "[red]x.png").write_bytes(cv2.imencode(".png", FLAT)[1])
    assert "[red]x.png" in run("out").stdout


def test_json_is_the_whole_report(folder: Path) -> None:
    result = run("out", "--format", "json")
    data = json.loads(result.stdout)
    assert [Path(image["path"]).name for image in data["images"]] == ["flat.png", "stairs.png"]
    assert data["passed"] is None
    assert list(data["summary"]) == COLUMNS


def test_jsonl_has_one_image_per_line(folder: Path) -> None:
    rows = [json.loads(line) for line in run("out", "--format", "jsonl").stdout.splitlines()]
    assert [set(row) for row in rows] == [{"path", "verdict", "scores", "error", "note", "window"}] * 2


def test_csv_has_path_metrics_and_error(folder: Path) -> None:
    (folder / "out" / "bad, very.png").touch()
    rows = list(csv.DictReader(run("out", "--format", "csv").stdout.splitlines()))
    assert list(rows[0]) == ["path", "verdict", *COLUMNS, *PLACE, "error", "note"]
    bad, flat, stairs = rows
    assert [row["verdict"] for row in rows] == ["", "clean", "shows"]
    assert (flat["window_top"], stairs["window_side"]) == ("", "64")
    assert bad["axis_excess"] == ""
    assert "empty" in bad["error"]
    assert (flat["error"], float(flat["edge_jaggedness"])) == ("", 0)
    assert float(stairs["edge_jaggedness"]) > 0.5


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_file_gets_exactly_what_stdout_would_and_stdout_stays_empty(folder: Path, form: str) -> None:
    printed = run("out", "--format", form)
    (folder / "report").write_text("old")
    result = run("out", "--format", form, "-o", "report")
    assert (result.exit_code, result.stdout) == (0, "")
    assert (folder / "report").read_text() == printed.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["out", "report"]


def test_old_file_survives_a_write_that_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (folder / "report").write_text("old")
    monkeypatch.setattr("os.replace", full)
    result = run("out", "-o", "report")
    assert result.exit_code == 2
    assert "No space left on device" in result.stderr
    assert (folder / "report").read_text() == "old"
    assert sorted(path.name for path in folder.iterdir()) == ["out", "report"]


def test_file_that_cannot_be_written_is_an_error_before_any_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("artifactlab.cli.score.score_images", lambda *_, **__: pytest.fail("scored"))
    result = run("out", "-o", "nowhere/report.json")
    assert result.exit_code == 2
    assert "no folder 'nowhere'" in result.stderr


def test_passed_gate_exits_with_0(folder: Path) -> None:
    result = run("out", "--format", "json", "--fail-on", "edge_jaggedness>5", "--fail-on", "axis_excess<0")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["passed"] is True


def test_failed_gate_exits_with_1_and_names_metric_value_and_image(folder: Path) -> None:
    result = run("out", "--format", "json", "--fail-on", "edge_jaggedness>0.3")
    data = json.loads(result.stdout)
    assert result.exit_code == 1
    assert data["passed"] is False
    (line,) = result.stderr.splitlines()
    assert f"{data['images'][1]['scores']['edge_jaggedness']:.4g}" in line
    assert "edge_jaggedness>0.3" in line
    assert "stairs.png" in line
    assert "flat.png" not in line


def test_unreadable_image_exits_with_2_after_a_complete_report(folder: Path) -> None:
    (folder / "out" / "broken.png").write_text("no image")
    result = run("out", "--format", "json", "--fail-on", "edge_jaggedness>0.3")
    assert result.exit_code == 2
    assert [image["error"] is None for image in json.loads(result.stdout)["images"]] == [False, True, True]
    assert result.stderr.splitlines()[-1] == "1 of 3 images could not be read"


def test_table_says_why_an_image_could_not_be_read(folder: Path) -> None:
    (folder / "out" / "broken.png").write_text("no image")
    text = " ".join(run("out").stdout.split())
    assert "broken.png error ? ? ? ? ?" in text
    assert "no image, or a" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no such file or folder: 'nowhere'"),
        (["out", "--metric", "jag"], "unknown metric 'jag'"),
        (["out", "--metric", "direction_divergence"], "needs a reference"),
        (["out", "--fail-on", "edge_jaggedness=1"], "cannot read the gate 'edge_jaggedness=1'"),
        (["out", "--metric", "axis_excess", "--fail-on", "edge_jaggedness>1"], "not measured"),
        (["out", "--reference", "ref"], "no such file or folder: 'ref'"),
        (["out", "--sort", "period"], "cannot sort by 'period'; sort by one of severity, "),
        (
            ["out", "--sort", "severity", "--metric", "axis_excess"],
            "cannot sort by 'severity'; sort by one of axis_excess",
        ),
        (["out", "--top", "3", "--format", "csv"], "--top is for the table, and csv holds all images"),
        (["out", "--metric", "axis_excess", "--fail-on", "shows"], "not measured"),
        (["out", "--device", "abacus"], "cannot use device 'abacus'"),
    ],
)
def test_wrong_argument_is_one_line_on_stderr_and_exits_with_2(
    folder: Path, arguments: list[str], message: str
) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert message in line


@pytest.mark.parametrize("arguments", [[], ["out", "--format", "xml"], ["out", "--workers", "0"]])
def test_clicks_own_usage_errors_exit_with_2(folder: Path, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_recursive_looks_into_folders_inside(folder: Path) -> None:
    (folder / "out" / "deep").mkdir()
    (folder / "out" / "deep" / "more.png").write_bytes(cv2.imencode(".png", FLAT)[1])
    assert "more.png" not in run("out", "--format", "csv").stdout
    assert "more.png" in run("out", "--format", "csv", "--recursive").stdout


def test_named_metrics_are_the_columns(folder: Path) -> None:
    header = run("out", "--format", "csv", "--metric", "axis_excess", "--metric", "edge_jaggedness").stdout
    assert (
        header.splitlines()[0]
        == "path,verdict,axis_excess,edge_jaggedness,window_top,window_left,window_side,error,note"
    )


def test_help_lists_every_metric() -> None:
    text = run("--help").stdout
    assert all(name in text for name in [*COLUMNS, "direction_divergence"])
    assert max(map(len, text.splitlines())) <= 80


def test_image_above_max_pixels_exits_with_2_beside_the_others(folder: Path) -> None:
    result = run("out", "--format", "csv", "--max-pixels", "4096")
    assert result.exit_code == 2
    assert "flat.png,clean,0.0" in result.stdout
    assert "--max-pixels 9216" in result.stdout


def test_sorted_table_begins_with_the_worst_and_top_leaves_the_summary_of_all(folder: Path) -> None:
    everything, worst = (run("out", "--sort", "severity", *more).stdout for more in ([], ["--top", "1"]))
    assert everything.index("stairs.png") < everything.index("flat.png")
    assert "flat.png" not in worst
    assert everything[everything.index("mean") :] == worst[worst.index("mean") :]


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv", "CSV"])
def test_format_follows_the_suffix_and_format_overrules_it(folder: Path, suffix: str) -> None:
    run("out", "-o", f"scores.{suffix}")
    assert (folder / f"scores.{suffix}").read_text() == run("out", "--format", suffix.lower()).stdout
    run("out", "-o", f"scores.{suffix}", "--format", "table")
    assert "Artifacts show in 1" in (folder / f"scores.{suffix}").read_text()


def test_shows_is_short_for_the_gates_of_the_verdict(folder: Path) -> None:
    result = run("out", "--format", "json", "--fail-on", "shows")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["config"]["gates"] == ["severity>1.0", "worst_window>1.0"]
    assert [line.split()[1] for line in result.stderr.splitlines()] == ["severity>1.0", "worst_window>1.0"]
    assert run("out/flat.png", "--fail-on", "shows").exit_code == 0


def test_table_without_severity_says_that_there_is_no_verdict(folder: Path) -> None:
    assert run("out", "--metric", "axis_excess").stdout.splitlines()[-1] == "No verdict: severity was not measured."


def test_what_cannot_be_read_is_said_in_lines_of_full_width_below_the_table(folder: Path) -> None:
    (folder / "out" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nxxxx")
    lines = run("out", "--metric", "axis_excess").stdout.splitlines()
    assert any(line.split()[:2] == ["broken.png", "error"] for line in lines)
    assert any(line.startswith("cannot read image 'out/broken.png': ") for line in lines)
