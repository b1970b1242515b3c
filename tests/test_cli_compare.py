"""What `artifactlab compare` promises on the command line: streams, files, formats and exit codes."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from artifactlab.cli.main import main

SCHEMA = json.loads((files("artifactlab") / "schemas" / "compare.json").read_text())
BAD = [0.5, 0.6, 0.4, 0.5, 0.6, 0.5]
GOOD = [0.1, 0.0, 0.0, 0.1, 0.0, 0.0]


def write(path: Path, scores: list[float | None], broken: bool = False) -> None:
    """Scores of 0.png, 1.png, ... as `score -o` writes them."""
    rows: list[dict] = [
        {"path": f"out/{n}.png", "scores": {"edge_jaggedness": score}, "error": None} for n, score in enumerate(scores)
    ]
    if broken:
        rows[-1] = {**rows[-1], "scores": {"edge_jaggedness": None}, "error": "cannot read it"}
    data = {"schema_version": "2.0", "tool": {"name": "artifactlab", "version": "0"}, "images": rows}
    path.write_text(json.dumps({**data, "config": {"metrics": ["edge_jaggedness"], "periods": [2, 16]}}))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`bad.json` and `good.json`, and the working directory beside them."""
    write(tmp_path / "bad.json", BAD)
    write(tmp_path / "good.json", GOOD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["compare", *arguments])


def test_table_shows_the_numbers_and_ends_with_the_verdict(folder: Path) -> None:
    result = run("bad.json", "good.json")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "bad.json -> good.json, 6 images"
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if line.split()[:1] == ["edge_jaggedness"])
    assert row.split()[1:4] == ["0.517", "0.0333", "-0.483"]
    assert row.split()[-1] == "better"
    assert " ".join(lines).rpartition("Better: ")[2].startswith("edge_jaggedness fell from 0.517 to 0.0333 (by 0.483")


def test_json_is_the_whole_comparison(folder: Path) -> None:
    data = json.loads(run("bad.json", "good.json", "--format", "json").stdout)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(data, SCHEMA)
    assert (data["verdict"], data["config"]["before"]) == ("better", "bad.json")


@pytest.mark.parametrize("form", ["table", "json"])
def test_file_gets_exactly_what_stdout_would(folder: Path, form: str) -> None:
    shown = run("bad.json", "good.json", "--format", form).stdout
    result = run("bad.json", "good.json", "--format", form, "-o", "out.txt")
    assert (result.exit_code, result.stdout) == (0, "")
    assert (folder / "out.txt").read_text() == shown


@pytest.mark.parametrize(
    ("before", "after", "code"), [("good", "bad", 1), ("bad", "good", 0), ("bad", "bad", 0), ("good", "good", 0)]
)
def test_fail_on_regression_exits_with_1_only_where_it_got_worse(
    folder: Path, before: str, after: str, code: int
) -> None:
    result = run(f"{before}.json", f"{after}.json", "--fail-on-regression")
    assert result.exit_code == code
    assert result.stderr.startswith("Worse: ") == bool(code)
    assert run(f"{before}.json", f"{after}.json").exit_code == 0


def test_unreadable_image_exits_with_2_after_a_complete_report(folder: Path) -> None:
    write(folder / "broken.json", [*BAD[:-1], None], broken=True)
    result = run("good.json", "broken.json", "--fail-on-regression", "--format", "json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["unreadable"] == ["out/5.png"]
    assert "1 image could not be read: out/5.png" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bad.json", "nowhere"], "cannot read 'nowhere'"),
        (["bad.json", "good.json", "--metric", "jag"], "unknown metric 'jag'"),
        (["bad.json", "good.json", "-o", "no/where"], "there is no folder 'no'"),
        (["bad.json", "."], "no image in folder '.'"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_exits_with_2(folder: Path, arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert message in line


def test_the_table_fits_80_columns_with_its_numbers_whole(folder: Path) -> None:
    for path in ("bad.json", "good.json"):
        data = json.loads((folder / path).read_text())
        data["images"] = [
            {**image, "scores": {"edge_jaggedness": 12345.678 * number}} for number, image in enumerate(data["images"])
        ]
        (folder / path).write_text(json.dumps(data))
    lines = run("bad.json", "good.json").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
