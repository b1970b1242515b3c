"""`artifactlab lint` as a user types it."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import torch
from click.testing import CliRunner, Result

from artifactlab.cli.main import main
from artifactlab.lint.rules import RULES
from artifactlab.models.factory import load_model

ZOO = """
import torch
import torch.nn.functional as F
from torch import nn

class Net(nn.Module):
    def __init__(self, kernel=3):
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 3, kernel, 2)

    def forward(self, x):
        return self.up(x)

class Sized(nn.Module):
    def forward(self, x):
        return F.interpolate(x, (64, 64), mode="bilinear", align_corners=True)

class Branching(Net):
    def forward(self, x):
        return self.up(x) if x.mean() > 0 else x

def padded(): return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 3, 3, padding=1))
def clean(): return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 3, 3))
def chatty(): print("making attention"); return Net()
def lazy(): return nn.LazyConvTranspose2d(3, 2)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoo.py").write_text(ZOO)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(main, ["lint", *arguments])


def report(*arguments: str) -> dict:
    result = run(*arguments, "--format", "json")
    data = json.loads(result.stdout)
    jsonschema.validate(data, json.loads(resources.files("artifactlab").joinpath("schemas/lint.json").read_text()))
    return data


def rules(data: dict) -> list[tuple[str, str]]:
    return [(finding["site"], finding["rule"]) for finding in data["findings"]]


def test_the_table_names_the_site_its_number_and_what_to_do() -> None:
    result = run("artifactlab.demo.unet:broken", "--trained")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[2][:4] == ["warning", "dec.up2", "uneven-overlap", "0.50"]
    assert rows[3][:4] == ["warning", "dec.up2", "unequal-sums", "0.76"]
    text = " ".join(result.stdout.split())
    assert "make the kernel a multiple of the stride" in text
    assert text.endswith("2 warnings, 2 notes.")
    assert text.count("uneven-overlap: ") == 1


def test_json_validates_and_holds_the_same() -> None:
    data = report("artifactlab.demo.unet:broken", "--trained")
    assert data["config"] == {"trained": True}
    assert data["model"] == {"source": "artifactlab.demo.unet:broken", "sha256": None}
    assert data["complete"] is True
    assert data["findings"][0]["site"] == "dec.up2"
    assert data["findings"][0]["number"] == [0.5, 0.5]
    assert data["findings"][0]["unit"] == "fewest / most taps"


def test_a_finding_without_a_number_and_one_without_findings_validate(folder: Path) -> None:
    assert report("zoo.py:Sized")["findings"][0]["number"] == []
    assert report("zoo.py:clean")["findings"] == []


def test_nothing_found_says_so(folder: Path) -> None:
    result = run("zoo.py:clean", "--fail-on-warning")
    assert (result.exit_code, result.stdout) == (0, "Nothing found in the weights and structure.\n")


def test_a_checkpoint_makes_the_model_a_trained_one_and_its_digest_is_reported(folder: Path) -> None:
    torch.save(load_model("zoo.py:Net").state_dict(), folder / "net.pth")
    data = report("zoo.py:Net", "--checkpoint", "net.pth")
    assert data["config"]["trained"] is True
    assert data["model"]["sha256"] == hashlib.sha256((folder / "net.pth").read_bytes()).hexdigest()
    assert report("zoo.py:Net")["config"]["trained"] is False


def test_the_demo_is_held_to_icnr_only_if_its_weights_are_not_said_to_be_trained() -> None:
    assert ("dec.up3.0", "no-icnr") in rules(report("artifactlab.demo.unet:broken"))
    assert ("dec.up3.0", "no-icnr") not in rules(report("artifactlab.demo.unet:broken", "--trained"))


def test_kwargs_reach_the_factory(folder: Path) -> None:
    assert ("up", "uneven-overlap") in rules(report("zoo.py:Net"))
    assert ("up", "uneven-overlap") not in rules(report("zoo.py:Net", "--kwargs", '{"kernel": 4}'))


@pytest.mark.parametrize(("target", "code"), [("zoo.py:Net", 1), ("zoo.py:padded", 0), ("zoo.py:clean", 0)])
def test_only_warnings_fail_and_only_when_asked_to(folder: Path, target: str, code: int) -> None:
    assert run(target, "--fail-on-warning").exit_code == code
    assert run(target).exit_code == 0


@pytest.mark.parametrize("form", ["table", "json"])
def test_what_the_model_prints_stays_off_stdout(folder: Path, form: str) -> None:
    result = run("zoo.py:chatty", "--format", form)
    assert "making attention" not in result.stdout
    assert "making attention" in result.stderr


def test_a_forward_that_could_not_be_followed_is_said_in_both_formats(folder: Path) -> None:
    text = " ".join(run("zoo.py:Branching").stdout.split())
    assert "not-seen" in text
    assert text.endswith("Not everything could be seen: 1 place not followed.")
    assert report("zoo.py:Branching")["complete"] is False


def test_rules_are_listed_without_a_target() -> None:
    text = " ".join(run("--rules").stdout.split())
    for rule in RULES:
        assert f"{rule.name} ({rule.level})" in text
        assert " ".join(rule.source.split()) in text
    assert [rule["name"] for rule in report("--rules")["rules"]] == [rule.name for rule in RULES]


def test_rule_names_are_stable() -> None:
    assert [rule.name for rule in RULES] == [
        "uneven-overlap",
        "unequal-sums",
        "unequal-shuffle",
        "no-icnr",
        "align-corners",
        "bare-nearest",
        "border",
        "not-seen",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--rules"),
        (("zoo.py:none",), "zoo.py has no 'none'"),
        (("zoo.py:lazy",), "lazy"),
        (("zoo.py:Net", "--kwargs", "[1]"), "JSON object"),
        (("zoo.py:Net", "--checkpoint", "none.pth"), "no such file"),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_errors_are_one_line_and_exit_with_2(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert words in result.stderr.splitlines()[-1]


def test_weights_that_look_trained_are_pointed_out_on_stderr_alone() -> None:
    told, quiet = run("artifactlab.demo.unet:broken"), run("artifactlab.demo.unet:DemoUNet")
    assert "the weights look trained" in told.stderr
    assert "look trained" not in told.stdout
    assert "look trained" not in run("artifactlab.demo.unet:broken", "--trained").stderr
    assert "look trained" not in quiet.stderr
