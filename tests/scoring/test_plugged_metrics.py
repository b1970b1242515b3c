"""A metric of an installed package of one file: scored, gated, in the JSON, and in worker processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest

SCHEMA = json.loads((files("artifactlab") / "schemas" / "score.json").read_text())
PACKAGE = """
import torch
from artifactlab.scoring import Metric


def sums(tile):
    return torch.tensor([[tile.luma_inside.double().sum(), tile.luma_inside.numel()]], dtype=torch.float64)


def loss_of_light(sums):
    return sums[:, 0] / sums[:, 1] - 1


darkness = Metric(sums=sums, read=loss_of_light, unit="fraction of white", description="mean less white")
"""
"""a metric that is never positive"""
RUN = "import sys; from artifactlab.cli.main import main; main(sys.argv[1:])"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`artifactlab` in a process of its own, in which these entry points are installed."""

    def started(*arguments: str, entries: str = "darkness = dark:darkness") -> subprocess.CompletedProcess[str]:
        site = tmp_path / "site"
        (site / "dark-1.0.dist-info").mkdir(parents=True)
        (site / "dark.py").write_text(PACKAGE)
        (site / "dark-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: dark\nVersion: 1.0\n")
        (site / "dark-1.0.dist-info" / "entry_points.txt").write_text(f"[artifactlab.metrics]\n{entries}\n")
        code = f"import sys; sys.path.insert(0, {str(site)!r}); {RUN}"
        return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)

    return started


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, value in enumerate((51, 204)):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((20, 24), value, np.uint8))
    return folder


def test_it_is_scored_last_and_the_report_validates(run, images: Path) -> None:
    done = run("score", str(images), "--format", "json", "--workers", "2")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    jsonschema.validate(data, SCHEMA, jsonschema.Draft202012Validator)
    assert data["config"]["metrics"][-1] == "darkness"
    assert [image["scores"]["darkness"] for image in data["images"]] == pytest.approx([-0.8, -0.2])


def test_it_can_be_chosen_and_gated_whatever_it_is_called(run, images: Path) -> None:
    arguments = ["score", str(images), "--metric", "my-darkness", "--fail-on", "my-darkness<-0.5", "--format", "json"]
    done = run(*arguments, entries="my-darkness = dark:darkness")
    assert done.returncode == 1, done.stderr
    data = json.loads(done.stdout)
    jsonschema.validate(data, SCHEMA, jsonschema.Draft202012Validator)
    assert data["config"]["gates"] == ["my-darkness<-0.5"]


def test_what_is_no_metric_is_refused(run, images: Path) -> None:
    done = run("score", str(images), entries="sums = dark:sums")
    assert done.returncode != 0
    assert "'sums' of dark is a function, expected a Metric" in done.stderr
