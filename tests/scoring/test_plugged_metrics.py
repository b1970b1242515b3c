"""A metric of an installed package of one file: scored, gated, in the JSON, and in worker processes."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest

from artifactlab.errors import RegistryError
from artifactlab.scoring.measures import METRICS

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
ENTRIES = "darkness = dark:darkness\nmy-darkness = dark:darkness\n"
USE = """
import json, sys
from click.testing import CliRunner
from artifactlab.cli.main import main

ended = [CliRunner().invoke(main, arguments) for arguments in json.loads(sys.argv[1])]
print(json.dumps([[one.exit_code, one.stdout, one.stderr] for one in ended]))
"""
CHOSEN = ["--metric", "my-darkness", "--fail-on", "my-darkness<-0.5"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The reports of `artifactlab score`, in a process in which the package is installed: of all, and of one metric."""
    site = tmp_path_factory.mktemp("site")
    (site / "dark-1.0.dist-info").mkdir()
    (site / "dark.py").write_text(PACKAGE)
    (site / "dark-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: dark\nVersion: 1.0\n")
    (site / "dark-1.0.dist-info" / "entry_points.txt").write_text(f"[artifactlab.metrics]\n{ENTRIES}")
    images = tmp_path_factory.mktemp("images")
    for number, value in enumerate((51, 204)):
        cv2.imwrite(str(images / f"{number}.png"), np.full((20, 24), value, np.uint8))
    commands = [["score", str(images), "--format", "json", *more] for more in (["--workers", "2"], CHOSEN)]
    code = f"import sys; sys.path.insert(0, {str(site)!r}){USE}"
    started = [sys.executable, "-c", code, json.dumps(commands)]
    done = subprocess.run(started, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout)
    assert [code for code, *_ in ended] == [0, 1], ended
    return [json.loads(stdout) for _, stdout, _ in ended]


def test_it_is_scored_last_and_the_report_validates(runs: list[dict[str, Any]]) -> None:
    data = runs[0]
    jsonschema.validate(data, SCHEMA, jsonschema.Draft202012Validator)
    assert data["config"]["metrics"][-2:] == ["darkness", "my-darkness"]
    assert [image["scores"]["darkness"] for image in data["images"]] == pytest.approx([-0.8, -0.2])


def test_it_can_be_chosen_and_gated_whatever_it_is_called(runs: list[dict[str, Any]]) -> None:
    data = runs[1]
    jsonschema.validate(data, SCHEMA, jsonschema.Draft202012Validator)
    assert data["config"]["metrics"] == ["my-darkness"]
    assert data["config"]["gates"] == ["my-darkness<-0.5"]


def test_what_is_no_metric_is_refused() -> None:
    with pytest.raises(RegistryError, match="'sums' of dark is a function, expected a Metric"):
        METRICS.register("sums", lambda tile: tile, owner="dark")  # type: ignore[arg-type]
