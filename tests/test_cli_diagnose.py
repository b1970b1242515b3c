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

from artifactlab.cli.main import main

ZOO = """
import torch
import torch.nn.functional as F
from torch import nn

class Net(nn.Module):
    def __init__(self, strength=0.5, channels=3):
        super().__init__()
        self.up1, self.up2 = (nn.ConvTranspose2d(channels, channels, 4, 2, 1, bias=False) for _ in range(2))
        ramp = torch.tensor([.25, .75, .75, .25])
        for up in (self.up1, self.up2):
            kernel = torch.eye(channels)[:, :, None, None] * torch.outer(ramp, ramp)
            up.weight = nn.Parameter(kernel.contiguous())
        with torch.no_grad():
            self.up1.weight[:, :, 1::2, 1::2] *= 1 + strength

    def forward(self, x):
        return self.up2(self.up1(x))

class Two(Net):
    def forward(self, x):
        return {"mask": x, "image": super().forward(x)}

class Signed(Net):
    def forward(self, x):
        if x.min() >= 0: raise ValueError("expected -1 to 1")
        return super().forward(x)

def clean(): return Net(0.0)
def flat(): return nn.Conv2d(3, 3, 1)
def vector(): return nn.Sequential(nn.Upsample(scale_factor=2), nn.Flatten())
def scripted(): return torch.jit.script(nn.Upsample(None, 2.0))
def diverged():
    net = Net(); nn.init.constant_(net.up2.weight, float("nan")); return net
def explodes(): raise RuntimeError("no such config")
def needs(depth): return Net()
def no_module(): return 7
def leaves(): raise SystemExit(0)
def chatty(): print("making attention"); return Net()
def late():
    import helper_of_zoo
    return Net()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoo.py").write_text(ZOO)
    y, x = np.mgrid[:64, :64]
    for name, angle in (("a", 0.4), ("b", 1.1)):
        plane = 60 + 120 * np.clip(0.5 + y * np.cos(angle) + x * np.sin(angle) - 45, 0, 1)
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.stack([plane] * 3, 2).astype(np.uint8))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(main, list(arguments))


def diagnosis_schema() -> dict:
    return json.loads(resources.files("artifactlab").joinpath("schemas/diagnosis.json").read_text())


def test_the_table_ranks_the_sites_and_ends_with_the_verdict(folder: Path) -> None:
    result = run("diagnose", "zoo.py:Net", "--input", "a.png")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    ranked = [line.split() for line in lines if "conv_transpose2d#0" in line]
    assert ranked[0][:2] == ["1", "up1/conv_transpose2d#0"]
    assert ranked[0][-1] == "offender"
    assert "up1/conv_transpose2d#0 causes the output's checkerboard" in " ".join(lines[-3:])


def test_json_goes_to_stdout_alone_and_validates(folder: Path) -> None:
    torch.save({"state_dict": {}}, folder / "unused.pth")
    result = run("diagnose", "zoo.py:Net", "--input", "*.png", "--format", "json", "-o", "report")
    data = json.loads(result.stdout)
    jsonschema.validate(data, diagnosis_schema())
    assert data["model"] == {"source": "zoo.py:Net", "sha256": None}
    assert data["config"]["inputs"] == 2
    assert json.loads((folder / "report" / "diagnosis.json").read_text()) == data
    assert "wrote" in result.stderr


def test_the_report_folder_holds_numbers_pictures_and_maps(folder: Path) -> None:
    assert run("diagnose", "zoo.py:Net", "--input", "a.png", "-o", "deep/report").exit_code == 0
    assert sorted(path.name for path in (folder / "deep/report").iterdir()) == [
        *("diagnosis.json", "diagnosis.png", "maps.npz", "maps.png", "report.html"),
    ]
    maps = np.load(folder / "deep/report/maps.npz")
    assert all(maps[name].ndim == 2 for name in maps.files)
    picture = cv2.imread(str(folder / "deep/report/diagnosis.png"))
    assert picture.shape == (750, 1300, 3)
    assert picture.std() > 20


def test_shell_expanded_globs_after_input_are_inputs(folder: Path) -> None:
    result = run("diagnose", "zoo.py:Net", "--format", "json", "--input", "a.png", "b.png")
    assert json.loads(result.stdout)["config"]["inputs"] == 2


def test_a_checkpoint_is_loaded_and_its_digest_reported(folder: Path) -> None:
    import hashlib

    from artifactlab.models import load_model

    torch.save({"params_ema": load_model("zoo.py:clean").state_dict()}, folder / "clean.pth")
    result = run("diagnose", "zoo.py:Net", "--checkpoint", "clean.pth", "--input", "a.png", "--format", "json")
    data = json.loads(result.stdout)
    assert data["verdict"].startswith("No offender")
    assert data["model"]["sha256"] == hashlib.sha256((folder / "clean.pth").read_bytes()).hexdigest()


@pytest.mark.parametrize("probe", ["constant", "ramp", "slanted-edge"])
def test_probes_need_no_images(folder: Path, probe: str) -> None:
    result = run("diagnose", "zoo.py:Net", "--probe", probe, "--crop", "64", "--format", "json")
    data = json.loads(result.stdout)
    # where nothing but the grid itself has edges, as on a ramp, the grid is read as steps, and no interval holds
    if probe != "ramp":
        assert data["sites"][0]["name"] == "up1"
        assert data["sites"][0]["verdict"] == "offender"
    assert data["output"]["severity"] > 1
    shapes = {site["name"]: site["in_shape"] for site in data["sites"]}
    assert shapes == {"up1": [1, 3, 64, 64], "up2": [1, 3, 128, 128]}


def test_range_gray_crop_output_kwargs_and_sites_take_effect(folder: Path) -> None:
    arguments = ("--kwargs", '{"channels": 1}', "--gray", "--crop", "48", "--input", "a.png", "--format", "json")
    data = json.loads(run("diagnose", "zoo.py:Two", *arguments, "--output", "image", "--sites", "up1*").stdout)
    assert [site["in_shape"] for site in data["sites"]] == [[1, 1, 48, 48]]
    assert data["config"]["output"] == "image"
    signed = run("diagnose", "zoo.py:Signed", "--range", "-1,1", "--input", "a.png", "--format", "json")
    assert json.loads(signed.stdout)["config"]["data_range"] == 2
    assert run("diagnose", "zoo.py:Signed", "--input", "a.png").exit_code == 2


def test_fail_on_offender_exits_with_one(folder: Path) -> None:
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


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("zoo.py:Net",), "give --input PATH (files, folders, globs) or --probe NAME"),
        (("zoo.py:Net", "a.png"), "give images with --input"),
        (("zoo.py:Net", "--input", "none.png"), "no such file or folder: 'none.png'"),
        (("zoo.py:Net", "--input", "empty"), "no image in folder 'empty'"),
        (("zoo.py:Net", "--input", "*.tif"), "matches no image"),
        (("zoo.py:Net", "--input", "cut.png"), "the PNG is cut off"),
        (("zoo.py:Net", "--input", "text.png"), "cannot read image 'text.png'"),
        (("zoo.py:Net", "--input", "tiny.png"), "tiny.png is 15x15 pixels; a diagnosis needs at least 16x16"),
        (("zoo.py:Net", "--input", "dot.png"), "dot.png is 1x1 pixels"),
        (("zoo.py:Net", "--input", "a.png", "--crop", "128"), "smaller than the crop of 128"),
        (("zoo.py:explodes", "--input", "a.png"), "raised RuntimeError: no such config"),
        (("zoo.py:needs", "--input", "a.png"), "pass --kwargs"),
        (("zoo.py:no_module", "--input", "a.png"), "returned a int"),
        (("zoo.py:flat", "--input", "a.png"), "no upsampling was seen"),
        (("zoo.py:vector", "--input", "a.png"), "the model's output is no image"),
        (("zoo.py:scripted", "--input", "a.png"), "ScriptModule"),
        (("zoo.py:diverged", "--input", "a.png"), "up2/conv_transpose2d holds NaN or Inf"),
        (("zoo.py:Net", "--gray", "--input", "a.png"), "the model failed on an input of shape (1, 1, 64, 64)"),
        (("zoo.py:Net", "--input", "a.png", "--checkpoint", "none.pth"), "none.pth: no such file"),
        (("zoo.py:Net", "--input", "a.png", "--checkpoint", "extra.pth"), "1 extra: head"),
        (("zoo.py:Net", "--input", "a.png", "--output", "depth"), "has no 'depth'"),
        (("zoo.py:Net", "--input", "a.png", "--sites", "dec.*"), "no site matches 'dec.*'"),
        (("zoo.py:Net", "--input", "a.png", "--device", "nonsense"), "cannot move the model to device 'nonsense'"),
        (("zoo.py:Net", "--input", "a.png", "--kwargs", "{"), "is no JSON"),
        (("zoo.py:Net", "--input", "a.png", "-o", "a.png"), "cannot write the report to a.png"),
        (("zoo.py:leaves", "--input", "a.png", "--fail-on-offender"), "raised SystemExit: 0"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_two(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    (folder / "empty").mkdir()
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:-20])
    (folder / "text.png").write_text("hello")
    cv2.imwrite(str(folder / "tiny.png"), np.zeros((15, 15), np.uint8))
    cv2.imwrite(str(folder / "dot.png"), np.zeros((1, 1), np.uint8))
    torch.save(
        {"up1.weight": torch.zeros(3, 3, 4, 4), "up2.weight": torch.zeros(3, 3, 4, 4), "head": torch.zeros(1)},
        folder / "extra.pth",
    )
    before = sorted(folder.rglob("*"))
    result = run("diagnose", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert "Traceback" not in result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert len(errors) == 1
    created = [path for path in sorted(folder.rglob("*")) if path not in before and "__pycache__" not in str(path)]
    assert created == []


def test_what_a_model_prints_does_not_mix_with_the_data(folder: Path) -> None:
    result = run("diagnose", "zoo.py:chatty", "--input", "a.png", "--format", "json")
    assert json.loads(result.stdout)["sites"]
    assert "making attention" in result.stderr


def test_a_factory_may_import_its_neighbours_late(folder: Path) -> None:
    (folder / "helper_of_zoo.py").write_text("")
    assert run("diagnose", "zoo.py:late", "--input", "a.png").exit_code == 0


def test_an_unexpected_error_does_not_look_like_a_failed_gate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def defective(*_: object, **__: object) -> None:
        raise AttributeError("a defect")

    monkeypatch.setattr("artifactlab.diagnose", defective)
    result = run("diagnose", "zoo.py:Net", "--input", "a.png")
    assert result.exit_code == 2
    assert "Error: unexpected AttributeError: a defect" in result.stderr


def test_data_range_overrides_the_range_of_the_input(folder: Path) -> None:
    result = run("diagnose", "zoo.py:Net", "--input", "a.png", "--data-range", "2", "--format", "json")
    assert json.loads(result.stdout)["config"]["data_range"] == 2


def test_debug_shows_the_traceback(folder: Path) -> None:
    result = run("--debug", "diagnose", "zoo.py:flat", "--input", "a.png")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


def test_interrupting_does_not_look_like_a_failed_gate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("artifactlab.diagnose", interrupted)
    assert run("diagnose", "zoo.py:Net", "--input", "a.png").exit_code == 130


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


def test_of_more_than_8_layers_some_are_repaired_and_all_on_request(folder: Path) -> None:
    (folder / "many.py").write_text(MANY)
    arguments = ("diagnose", "many.py:Many", "--probe", "slanted-edge", "--crop", "128", "--format", "json")
    screened, everything = (json.loads(run(*arguments, *more).stdout) for more in ((), ("--verify-all",)))
    assert 0 < sum(site["verified"] for site in screened["sites"]) < 10
    assert all(site["verified"] for site in everything["sites"])
    assert everything["config"]["verify_all"]
    for data in (screened, everything):
        assert [site["name"] for site in data["sites"] if site["verdict"] == "offender"] == ["up.4"]


def test_until_sure_takes_the_images_crop_by_crop(folder: Path) -> None:
    arguments = ("diagnose", "zoo.py:clean", "--input", "a.png", "b.png", "--crop", "32", "--format", "json")
    data = json.loads(run(*arguments, "--until-sure", "600").stdout)
    # a flat crop is clean at once, or all of 2 x 4 crops do not tell
    assert 1 <= data["config"]["inputs"] <= 4
    assert "taken" in data["verdict"]
    assert data["config"]["until_sure"] == 600
    assert json.loads(run(*arguments).stdout)["config"]["inputs"] == 2
    refused = run(*arguments, "--until-sure", "0")
    assert refused.exit_code == 2
