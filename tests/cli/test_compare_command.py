"""What `artifactlab compare` promises on the command line: streams, files, formats and exit codes."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file

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
    data = {"schema_version": "3.0", "tool": {"name": "artifactlab", "version": "0"}, "images": rows}
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
    printed = run("bad.json", "good.json", "--format", form).stdout
    result = run("bad.json", "good.json", "--format", form, "-o", "out.txt")
    assert (result.exit_code, result.stdout) == (0, "")
    assert (folder / "out.txt").read_text() == printed


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


NETS = """
import torch

class Net(torch.nn.Module):
    def __init__(self, mode):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 3, 3, padding=1)
        self.up = torch.nn.Upsample(scale_factor=2, mode=mode)

    def forward(self, x):
        print("running")
        return self.head(self.up(torch.relu(self.body(x))))

def make(mode="bilinear"):
    return Net(mode)

def small():
    return torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Upsample(scale_factor=2))
"""
MODELS_SCHEMA = json.loads((files("artifactlab") / "schemas" / "compare_models.json").read_text())
NET, PROBE = "nets.py:make", ("--probe", "slanted-edge", "--crop", "64")
BLOCKY = ("--kwargs", "{}", "--kwargs", '{"mode": "nearest"}')


@pytest.fixture
def nets(folder: Path) -> Path:
    (folder / "nets.py").write_text(NETS)
    return folder


def test_two_models_are_run_and_the_layer_at_which_they_part_is_named(nets: Path) -> None:
    result = run(NET, NET, *BLOCKY, *PROBE)
    assert (result.exit_code, result.stderr.replace("running\n", "")) == (0, "")
    lines = result.stdout.splitlines()
    blocky = '--kwargs {"mode": "nearest"}'
    assert lines[0] == f"{NET} --kwargs {{}} and {NET} {blocky}, 1 input"  # what they differ in
    assert max(map(len, lines)) <= 100
    row = next(line for line in lines if line.split()[:1] == ["up/interpolate#0"])
    assert (row.split()[1], row.split()[-1]) == ("2", "part")
    assert "The lattices part at up/interpolate#0: stair-steps of" in " ".join(lines)


def test_of_two_models_json_and_files_are_as_of_two_measurements(nets: Path) -> None:
    result = run(NET, NET, *BLOCKY, *PROBE, "--range", "0,1", "--format", "json", "-o", "out.json")
    assert (result.exit_code, result.stdout) == (0, "")
    data = json.loads((nets / "out.json").read_text())
    jsonschema.Draft202012Validator.check_schema(MODELS_SCHEMA)
    jsonschema.validate(data, MODELS_SCHEMA)
    assert (data["parts_at"], data["config"]["data_range"]) == ("up/interpolate#0", 1)
    assert [model["source"] for model in data["model"]] == [
        f"{NET} --kwargs {{}}",
        f'{NET} --kwargs {{"mode": "nearest"}}',
    ]


@pytest.mark.parametrize(("options", "code"), [(BLOCKY, 1), (("--dtype", "float32", "--dtype", "bfloat16"), 0)])
def test_fail_on_difference_exits_with_1_only_where_they_part(nets: Path, options: tuple[str, ...], code: int) -> None:
    assert run(NET, NET, *options, *PROBE).exit_code == 0
    assert run(NET, NET, *options, *PROBE, "--fail-on-difference").exit_code == code


def test_what_nobody_could_measure_is_no_pass(nets: Path) -> None:
    result = run("nets.py:small", "nets.py:small", "--probe", "ramp", "--crop", "16", "--fail-on-difference")
    assert result.exit_code == 2
    assert "Cannot tell" in result.stderr


def test_two_checkpoints_of_one_model_are_told_apart(nets: Path) -> None:
    weights = {
        "body.weight": torch.rand(8, 3, 3, 3),
        "body.bias": torch.rand(8),
        "head.weight": torch.rand(3, 8, 3, 3),
        "head.bias": torch.rand(3),
    }
    for name in "ab":
        by = 1.0 if name == "a" else 0.5
        save_file({key: by * value for key, value in weights.items()}, nets / f"{name}.safetensors")
    both = ("--checkpoint", "a.safetensors", "--checkpoint", "b.safetensors")
    first, second = json.loads(run(NET, NET, *both, *PROBE, "--format", "json").stdout)["model"]
    assert len({first["sha256"], second["sha256"]} - {None}) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([NET, "good.json", *PROBE], f"cannot compare the model '{NET}' with 'good.json'"),
        ([NET, NET], "give --input PATH"),
        ([NET, NET, "photo.png", *PROBE], "unexpected 'photo.png'"),
        ([NET, NET, *PROBE, "--metric", "edge_jaggedness"], "--metric is for measurements"),
        ([NET, NET, *PROBE, "--fail-on-regression"], "--fail-on-regression is for measurements"),
        (["bad.json", "good.json", "--fail-on-difference"], "--fail-on-difference is for two models"),
        (["bad.json", "good.json", "--crop", "64"], "--crop is for two models, given as file.py:factory"),
        ([NET, NET, *PROBE, *(["--device", "cpu"] * 3)], "--device was given 3 times"),
        ([NET, "nets.py:other", *PROBE], "nets.py has no 'other'"),
    ],
)
def test_a_mistake_with_models_is_one_line_on_stderr_and_exits_with_2(
    nets: Path, arguments: list[str], message: str
) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert message in line


def test_a_file_whose_name_looks_like_a_model_is_a_file(folder: Path) -> None:
    for name, scores in (("a:b", BAD), ("a:c", GOOD)):
        write(folder / name, scores)
    assert "better" in run("a:b", "a:c").stdout
