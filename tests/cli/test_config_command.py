"""`--config FILE` and `init-config`: what stands in a file is what could have been typed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from artifactlab.cli.main import main

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MODEL = """
import torch

def make(channels=3, scale=2):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.ConvTranspose2d(channels, 1, 3, scale))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.py").write_text(MODEL)
    (tmp_path / "photos").mkdir()
    image = np.random.default_rng(0).integers(0, 255, (64, 80), np.uint8)
    cv2.imwrite("photos/a.png", image)
    cv2.imwrite("photos/b.png", image.T)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def config(text: str) -> None:
    Path("run.toml").write_text(text)


def test_a_file_alone_is_the_same_as_typing_it(folder: Path) -> None:
    config("""
        [diagnose]
        target = "models.py:make"
        kwargs = { channels = 1, scale = 3 }
        input = ["photos/a.png", "photos/b.png"]
        gray = true
        crop = 64
        seed = 3
        format = "json"
    """)
    typed = ("models.py:make", "--kwargs", '{"channels": 1, "scale": 3}', "--input", "photos/a.png")
    typed += ("--input", "photos/b.png", "--gray", "--crop", "64", "--seed", "3", "--format", "json")
    from_file, from_line = run("diagnose", "--config", "run.toml"), run("diagnose", *typed)
    assert from_file.exit_code == from_line.exit_code == 0, from_file.output
    assert from_file.stdout == from_line.stdout
    assert json.loads(from_file.stdout)["sites"][0]["scale"] == [3, 3]


def test_the_command_line_wins_over_the_file(folder: Path) -> None:
    config('[score]\npaths = ["photos/a.png"]\nmetric = ["axis_excess", "edge_jaggedness"]\nformat = "json"\n')
    data = json.loads(run("score", "--config", "run.toml", "--metric", "axis_excess", "photos/b.png").stdout)
    assert data["config"]["metrics"] == ["axis_excess"]
    assert [image["path"] for image in data["images"]] == ["photos/b.png"]


def test_a_lone_value_of_a_repeatable_option_and_json_in_a_string_are_taken(folder: Path) -> None:
    config('[lint]\ntarget = "models.py:make"\nkwargs = \'{"scale": 4}\'\nformat = "json"\n')
    assert run("lint", "--config", "run.toml").exit_code == 0
    config('[score]\npaths = "photos/a.png"\nmetric = "axis_excess"\n')
    assert run("score", "--config", "run.toml").exit_code == 0


def test_a_gate_in_the_file_fails_with_1(folder: Path) -> None:
    config('[score]\npaths = "photos/a.png"\nfail-on = "replication_factor>=1"\n')
    assert run("score", "--config", "run.toml").exit_code == 1


def test_only_the_table_of_the_command_counts(folder: Path) -> None:
    config('[diagnose]\nseed = 3\n[score]\npaths = ["photos/a.png"]\n')
    assert run("score", "--config", "run.toml").exit_code == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[scores]\npaths = "x"', ["run.toml", "no command 'scores'", "did you mean 'score'?"]),
        ("[score]\nworker = 2", ["[score] has no option 'worker'", "did you mean 'workers'?"]),
        ('[score]\nfail_on = "x"', ["has no option 'fail_on'", "did you mean 'fail-on'?"]),
        ('[score]\nconfig = "x"', ["has no option 'config'"]),
        ('[score]\nworkers = "two"', ["workers in [score] must be a whole number", "'two'"]),
        ("[score]\nworkers = true", ["workers in [score] must be a whole number", "True"]),
        ("[score]\nworkers = 0", ["workers in [score]", "0"]),
        ("[score]\nrecursive = 1", ["recursive in [score] must be true or false"]),
        ("[score]\nmetric = [1]", ["metric in [score] must be a string or a list of them", "got 1"]),
        ('[score]\nformat = "xml"', ["format in [score]", "'xml'", "'table', 'json'"]),
        ("[diagnose]\nkwargs = 3", ["kwargs in [diagnose] must be a table or JSON in a string"]),
        ("score = 3", ["score must be a table, [score], got 3"]),
        ("[score", ["run.toml is no TOML"]),
        ("", ["has no table [score]", "it has nothing"]),
        ("[lint]\n", ["has no table [score]", "it has [lint]"]),
    ],
)
def test_mistakes_are_named_with_file_key_and_what_would_be_right(folder: Path, text: str, words: list[str]) -> None:
    config(text)
    command = "diagnose" if text.startswith("[diagnose") else "score"
    result = run(command, "--config", "run.toml", "photos/a.png")
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize("kwargs", ["{ since = 2026-01-01 }", "'[1]'", "'{'"])
def test_kwargs_that_json_has_no_word_for_are_a_mistake(folder: Path, kwargs: str) -> None:
    config(f'[lint]\ntarget = "models.py:make"\nkwargs = {kwargs}\n')
    result = run("lint", "--config", "run.toml")
    assert result.exit_code == 2
    assert "run.toml: kwargs in [lint]" in result.stderr


def test_a_file_that_is_not_there_or_not_text_is_one_line(folder: Path) -> None:
    assert "cannot read the config 'no.toml'" in run("score", "--config", "no.toml", "photos").stderr
    Path("binary.toml").write_bytes(b"\xff\xfe\x00")
    assert "binary.toml is no TOML" in run("score", "--config", "binary.toml", "photos").stderr


# --- init-config ---


def test_the_written_file_has_every_option_of_every_command_commented_out(folder: Path) -> None:
    result = run("init-config")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "wrote artifactlab.toml\n")
    text = Path("artifactlab.toml").read_text()
    assert all(not any(table.values()) for table in tomllib.loads(text).values()), "nothing is set"
    assert max(map(len, text.splitlines())) <= 100
    tables = tomllib.loads(uncommented(text))
    assert list(tables) == ["demo", "lint", "diagnose", "fix", "score", "compare", "metrics"]
    for name, table in tables.items():
        listed = run(name, "--help").stdout.partition("Options:")[2]
        options = set(re.findall(r"^  (?:-\w, )?--([a-z][a-z-]+)", listed, re.MULTILINE)) - {"help", "config"}
        assert options, name
        assert options <= set(table), name


def uncommented(text: str) -> str:
    return re.sub(r"^#([a-z][a-z-]* = )", r"\1", text, flags=re.MULTILINE)


def test_every_line_of_it_can_be_uncommented_and_the_file_loads_again(folder: Path) -> None:
    run("init-config", "-o", "run.toml")
    Path("run.toml").write_text(uncommented(Path("run.toml").read_text()))
    for name in tomllib.loads(Path("run.toml").read_text()):
        command = main.commands[name]
        with command.make_context(name, ["--config", "run.toml"], parent=main.make_context("artifactlab", [name])):
            pass  # everything was read, and of the right type


def test_a_file_that_is_there_is_kept_unless_forced(folder: Path) -> None:
    Path("artifactlab.toml").write_text("mine")
    result = run("init-config")
    assert result.exit_code == 2
    assert "artifactlab.toml is there already" in result.stderr
    assert Path("artifactlab.toml").read_text() == "mine"
    assert run("init-config", "--force").exit_code == 0
    assert Path("artifactlab.toml").read_text().startswith("# Options of artifactlab")


def test_a_folder_that_cannot_be_written_to_is_named(folder: Path) -> None:
    result = run("init-config", "-o", "nowhere/run.toml")
    assert result.exit_code == 2
    assert "cannot write 'nowhere/run.toml'" in result.stderr


def test_a_write_that_fails_leaves_nothing_that_blocks_the_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        assert run("init-config").exit_code == 2
    assert not list(folder.glob("*artifactlab*"))
    assert run("init-config").exit_code == 0


def test_a_link_that_leads_nowhere_is_there_already(folder: Path) -> None:
    Path("artifactlab.toml").symlink_to("elsewhere.toml")
    assert "is there already" in run("init-config").stderr
    assert not Path("elsewhere.toml").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[lint]\ntarget=" + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("[lint]\nkwargs = { a = " + "9" * 6000 + " }", "digits"),
        ("[diagnose]\ncrop = " + "9" * 6000, "digits"),
        ("[diagnose]\nseconds = 1\n", "no option 'seconds'"),
        ('[diagnose]\no = "x\\u0000y"', "holds a NUL"),
        ('[diagnose]\ninput = ["x\\u0000.png"]', "holds a NUL"),
        ("[diagnose]\ndata-range = " + "9" * 400, "fits into 64 bits"),
        ("[diagnose]\nprobe = 'constant'\ncrop = " + "9" * 300, "at most 8192 pixels"),
        ("[diagnose]\nseed = " + "9" * 30, "does not fit into 64 bits"),
    ],
    ids=range(9),
)
def test_what_is_too_deep_or_too_long_is_one_short_line(folder: Path, text: str, words: str) -> None:
    config(text)
    command = text[1 : text.index("]")]
    result = run(command, "models.py:make", "--config", "run.toml")
    assert result.exit_code == 2
    assert words in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert len(result.stderr) < 600


@pytest.mark.parametrize(
    "kwargs", ["[" * 20000 + "]" * 20000, '{"a": ' + "9" * 6000 + "}", '{"a":' * 3000 + "1" + "}" * 3000]
)
def test_arguments_that_are_too_deep_or_too_long_are_one_short_line(folder: Path, kwargs: str) -> None:
    result = run("lint", "models.py:make", "--kwargs", kwargs)
    assert result.exit_code == 2
    assert "Invalid value for '--kwargs'" in result.stderr
    assert len(result.stderr) < 600


@pytest.mark.parametrize(
    "words",
    [
        ("lint", "models.py:make", "--checkpoint", "x" * 5000 + ".pt"),
        ("lint", "models.py:make", "--checkpoint", "\udcff.pt"),
        ("lint", "x" * 5000 + ".py:make"),
        ("lint", "x" * 5000 + ":make"),
        ("lint", "\udcff.py:make"),
        ("lint", "--config", "x" * 5000),
        ("score", "photos", "-o", "x" * 5000),
        ("diagnose", "models.py:make", "--probe", "constant", "-o", "x" * 5000),
        ("compare", "x" * 5000, "photos"),
    ],
    ids=range(9),
)
def test_names_that_no_file_has_are_an_error_without_a_traceback(folder: Path, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_a_byte_order_mark_is_no_part_of_the_file(folder: Path) -> None:
    Path("run.toml").write_bytes(b"\xef\xbb\xbf[lint]\ntarget = 'models.py:make'\n")
    assert run("lint", "--config", "run.toml").exit_code == 0
