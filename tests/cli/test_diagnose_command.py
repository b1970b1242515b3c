"""`artifactlab diagnose` and `demo` as a user types them."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import artifactlab
from artifactlab.cli.main import main


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(main, list(arguments))


def diagnosis_schema() -> dict:
    return json.loads(resources.files("artifactlab").joinpath("schemas/diagnosis.json").read_text())


def test_the_table_ranks_the_sites_and_ends_with_the_verdict(zoo: Path) -> None:
    result = run("diagnose", "zoo.py:Net", "--input", "a.png")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    ranked = [line.split() for line in lines if "conv_transpose2d#0" in line]
    assert ranked[0][:2] == ["1", "up1/conv_transpose2d#0"]
    assert ranked[0][-1] == "offender"
    assert "up1/conv_transpose2d#0 causes the output's checkerboard" in " ".join(lines[-6:])


def test_json_goes_to_stdout_alone_validates_and_lies_in_the_report_with_pictures_and_maps(zoo: Path) -> None:
    torch.save({"state_dict": {}}, zoo / "unused.pth")
    result = run("diagnose", "zoo.py:Net", "--input", "*.png", "--format", "json", "-o", "deep/report")
    data = json.loads(result.stdout)
    jsonschema.validate(data, diagnosis_schema())
    assert data["model"] == {"source": "zoo.py:Net", "sha256": None}
    assert data["config"]["inputs"] == 2
    assert json.loads((zoo / "deep/report/diagnosis.json").read_text()) == data
    assert "wrote" in result.stderr
    assert sorted(path.name for path in (zoo / "deep/report").iterdir()) == [
        *("diagnosis.json", "diagnosis.png", "maps.npz", "maps.png", "report.html"),
    ]
    maps = np.load(zoo / "deep/report/maps.npz")
    assert all(maps[name].ndim == 2 for name in maps.files)
    picture = cv2.imread(str(zoo / "deep/report/diagnosis.png"))
    assert picture.shape == (750, 1300, 3)
    assert picture.std() > 20


def test_a_swap_may_be_tried_at_each_offender(zoo: Path) -> None:
    arguments = ["diagnose", "zoo.py:Net", "--input", "a.png", "--try", "bilinear"]
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert "Untrained, bilinear at up1/conv_transpose2d#0 would leave severity" in " ".join(result.stdout.split())
    assert "--suggest" in result.stderr
    data = json.loads(run(*arguments, "--format", "json").stdout)
    jsonschema.validate(data, diagnosis_schema())
    (trial,) = data["trials"]
    assert trial["severity"][1] < trial["severity"][0]
    (zoo / "tried.json").write_text(json.dumps(data))
    assert artifactlab.Diagnosis.load(zoo / "tried.json").offenders


def test_shell_expanded_globs_after_input_are_inputs(zoo: Path) -> None:
    result = run("diagnose", "zoo.py:Net", "--fast", "--format", "json", "--input", "a.png", "b.png")
    assert json.loads(result.stdout)["config"]["inputs"] == 2


def test_a_checkpoint_is_loaded_and_its_digest_reported(zoo: Path) -> None:
    import hashlib

    from artifactlab.models.factory import load_model

    torch.save({"params_ema": load_model("zoo.py:clean").state_dict()}, zoo / "clean.pth")
    result = run("diagnose", "zoo.py:Net", "--checkpoint", "clean.pth", "--input", "a.png", "--format", "json")
    data = json.loads(result.stdout)
    assert data["verdict"].startswith("No offender")
    assert data["model"]["sha256"] == hashlib.sha256((zoo / "clean.pth").read_bytes()).hexdigest()


@pytest.mark.parametrize("probe", ["constant", "ramp", "slanted-edge"])
def test_probes_need_no_images(zoo: Path, probe: str) -> None:
    result = run("diagnose", "zoo.py:Net", "--probe", probe, "--crop", "64", "--format", "json")
    data = json.loads(result.stdout)
    # where nothing but the grid itself has edges, as on a ramp, the grid is read as steps, and no interval holds
    if probe != "ramp":
        assert data["sites"][0]["name"] == "up1"
        assert data["sites"][0]["verdict"] == "offender"
    assert data["output"]["severity"] > 1
    shapes = {site["name"]: site["in_shape"] for site in data["sites"]}
    assert shapes == {"up1": [1, 3, 64, 64], "up2": [1, 3, 128, 128]}


def test_range_gray_crop_output_kwargs_and_sites_take_effect(zoo: Path) -> None:
    arguments = ("--kwargs", '{"channels": 1}', "--gray", "--crop", "48", "--input", "a.png", "--format", "json")
    data = json.loads(run("diagnose", "zoo.py:Two", *arguments, "--output", "image", "--sites", "up1*").stdout)
    assert [site["in_shape"] for site in data["sites"]] == [[1, 1, 48, 48]]
    assert data["config"]["output"] == "image"
    signed = run("diagnose", "zoo.py:Signed", "--range", "-1,1", "--input", "a.png", "--format", "json")
    assert json.loads(signed.stdout)["config"]["data_range"] == 2
    assert run("diagnose", "zoo.py:Signed", "--input", "a.png").exit_code == 2


def test_fail_on_offender_exits_with_one(zoo: Path) -> None:
    assert run("diagnose", "zoo.py:Net", "--input", "a.png", "--fail-on-offender").exit_code == 1
    assert run("diagnose", "zoo.py:clean", "--input", "a.png", "--fail-on-offender").exit_code == 0
    failed = run("diagnose", "zoo.py:Net", "--input", "a.png", "--fail-on", "severity>1", "--fail-on", "axis_excess>1")
    assert failed.exit_code == 1
    assert "gate severity>1.0 failed: " in failed.stderr
    assert "axis_excess" not in failed.stderr
    assert run("diagnose", "zoo.py:clean", "--input", "a.png", "--fail-on", "severity>1").exit_code == 0
    unknown = run("diagnose", "zoo.py:Net", "--input", "a.png", "--fail-on", "severty>1")
    assert unknown.exit_code == 2
    assert "did you mean severity?" in unknown.stderr


def test_what_a_model_prints_does_not_mix_with_the_data(zoo: Path) -> None:
    result = run("diagnose", "zoo.py:chatty", "--input", "a.png", "--fast", "--format", "json")
    assert json.loads(result.stdout)["sites"]
    assert "making attention" in result.stderr


def test_a_factory_may_import_its_neighbours_late(zoo: Path) -> None:
    (zoo / "helper_of_zoo.py").write_text("")
    assert run("diagnose", "zoo.py:late", "--input", "a.png", "--fast").exit_code == 0


MANY = """
import torch
from torch import nn
import torch.nn.functional as F

class Many(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ModuleList(nn.ConvTranspose2d(3, 3, 4, 2, 1, bias=False) for _ in range(10))
        ramp = torch.tensor([.25, .75, .75, .25])
        for up in self.up:
            up.weight = nn.Parameter((torch.eye(3)[:, :, None, None] * torch.outer(ramp, ramp)).contiguous())
        with torch.no_grad():
            self.up[4].weight[:, :, 1::2, 1::2] *= 2

    def forward(self, x):
        for up in self.up:
            x = .9 * x + .1 * up(F.avg_pool2d(x, 2))
        return x
"""


def test_of_more_than_8_layers_some_are_repaired_and_all_on_request(zoo: Path) -> None:
    (zoo / "many.py").write_text(MANY)
    arguments = ("diagnose", "many.py:Many", "--probe", "slanted-edge", "--crop", "128", "--format", "json")
    screened, everything = (json.loads(run(*arguments, *more).stdout) for more in ((), ("--verify-all",)))
    assert 0 < sum(site["verified"] for site in screened["sites"]) < 10
    assert all(site["verified"] for site in everything["sites"])
    assert everything["config"]["verify_all"]
    for data in (screened, everything):
        assert [site["name"] for site in data["sites"] if site["verdict"] == "offender"] == ["up.4"]


def test_until_sure_takes_the_images_crop_by_crop(zoo: Path) -> None:
    arguments = ("diagnose", "zoo.py:clean", "--input", "a.png", "b.png", "--crop", "32", "--format", "json")
    data = json.loads(run(*arguments, "--until-sure", "600").stdout)
    # a flat crop is clean at once, or all of 2 x 4 crops do not tell
    assert 1 <= data["config"]["inputs"] <= 4
    assert "taken" in data["verdict"]
    assert data["config"]["until_sure"] == 600
    assert json.loads(run(*arguments).stdout)["config"]["inputs"] == 2
    refused = run(*arguments, "--until-sure", "0")
    assert refused.exit_code == 2


def settings(*options: str) -> dict:
    result = run("diagnose", "zoo.py:Two", "--input", "a.png", "--fast", "--format", "json", *options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["config"]


def test_an_output_is_named_by_any_path_that_the_verdict_prints(zoo: Path) -> None:
    table = run("diagnose", "zoo.py:Two", "--input", "a.png", "--fast").stdout
    assert "Judged: output['image'] (1, 3, 256, 256)" in " ".join(table.split())
    for path in ("image", "output['image']", '["image"]'):
        assert settings("--output", path)["judged"] == "output['image']"


@pytest.mark.parametrize(
    ("options", "data_range", "known"),
    [
        ((), 1.0, "pixels"),
        (("--range", "-1,1"), 2.0, "given"),
        (("--range", "-1,1", "--data-range", "3"), 3.0, "given"),
        (("--data-range", "3"), 3.0, "given"),
    ],
)
def test_the_outputs_range_is_that_of_the_inputs_only_where_somebody_said_so(
    zoo: Path, options: tuple[str, ...], data_range: float, known: str
) -> None:
    config = settings(*options)
    assert (config["data_range"], config["range_from"]) == (data_range, known)


def test_a_layout_is_taken_and_typed_again(zoo: Path) -> None:
    assert run("diagnose", "zoo.py:Net", "--input", "a.png", "--layout", "NCHW", "--fast", "-o", "out").exit_code == 0
    assert "--layout NCHW" in (zoo / "out" / "report.html").read_text()
    result = run("diagnose", "zoo.py:Net", "--input", "a.png", "--layout", "HWC3")
    assert (result.exit_code, "no such layout 'HWC3': expected one such as NCHW" in result.stderr) == (2, True)


def test_words_are_explained_where_that_is_asked_for_and_never_to_programs(zoo: Path) -> None:
    assert (
        "--explain is for the table"
        in run("diagnose", "zoo.py:Net", "--probe", "constant", "--explain", "--format", "json").stderr
    )
