"""The demo's verdict is measured, not asserted: plant the defect elsewhere and the verdict follows."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import cv2
import jsonschema
import torch
from click.testing import CliRunner

import artifactlab
from artifactlab.cli.main import main
from artifactlab.demo.run import noisy_photo
from artifactlab.demo.unet import broken, healthy

CROP = noisy_photo()[..., 64:256, 64:256]


def test_the_demo_names_the_swapped_layer_and_writes_its_report(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["demo", "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "dec.up2/conv_transpose2d#0 causes" in result.stdout
    data = json.loads((tmp_path / "out" / "diagnosis.json").read_text())
    schema = json.loads(resources.files("artifactlab").joinpath("schemas/diagnosis.json").read_text())
    jsonschema.validate(data, schema)
    assert [site["name"] for site in data["sites"] if site["verdict"] == "offender"] == ["dec.up2"]
    assert len(data["sites"]) == 3
    assert cv2.imread(str(tmp_path / "out" / "diagnosis.png")) is not None


def test_putting_the_original_layer_back_removes_the_artifact() -> None:
    """The truth behind the demo, without the method under test: only the output's own grid is measured."""
    with torch.no_grad():
        grids = [artifactlab.metrics.lattice_amplitude(model(CROP), 4).item() for model in (broken(), healthy())]
    assert grids[0] > 1 / 255
    assert grids[1] < grids[0] / 4


def test_the_healthy_network_has_no_offender() -> None:
    assert artifactlab.diagnose(healthy(), CROP, data_range=1.0).offenders == ()


def test_the_verdict_follows_the_defect_to_another_site() -> None:
    model = healthy()
    with torch.no_grad():
        model.dec.up3[0].weight[::4] *= 4  # one of the four sub-kernels that the pixel shuffle interleaves
    diagnosis = artifactlab.diagnose(model, CROP, data_range=1.0)
    assert [site.site.name for site in diagnosis.offenders] == ["dec.up3.1"]
    assert diagnosis.sites[0].effect.share > 0.9
