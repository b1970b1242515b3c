"""The demo's verdict is measured, not asserted: plant the defect elsewhere and the verdict follows."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import cv2
import jsonschema
import pytest
import torch
from click.testing import CliRunner
from torch import nn

import artifactlab
from artifactlab.cli.main import main
from artifactlab.demo.run import noisy_photo
from artifactlab.demo.unet import DemoUNet, broken, healthy

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


def plant(model: DemoUNet, site: str) -> DemoUNet:
    """Uneven phases at one site of the healthy network."""
    with torch.no_grad():
        if site == "dec.up2":
            model.dec.up2.weight[:, :, 1::2, 1::2] *= 1.6
        elif site == "dec.up3":
            model.dec.up3[0].weight[::4] *= 1.6
        else:
            model.dec.up1 = nn.Sequential(UnevenPhases(), model.dec.up1)
    return model


class UnevenPhases(nn.Module):
    """Brightens one of four phases, as a resize with a faulty kernel would."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gain = torch.ones(2, 2)
        gain[0, 0] = 3.0
        return x * gain.repeat(x.shape[2] // 2, x.shape[3] // 2)


@pytest.mark.parametrize("site", ["dec.up2", "dec.up3"])
def test_the_verdict_follows_the_defect_to_another_site(site: str) -> None:
    diagnosis = artifactlab.diagnose(plant(healthy(), site), CROP, data_range=1.0)
    assert diagnosis.offenders[0].site.name.startswith(site)
    assert diagnosis.sites[0].effect.share > 0.5
