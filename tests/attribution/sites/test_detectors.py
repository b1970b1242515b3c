"""Kinds of sites are added by name, from an installed package too, and no call has two kinds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab.attribution.sites import SITE_DETECTORS, FunctionCall, Growth, SiteDetector, growth_by_size
from artifactlab.attribution.sites.axis_flow import AxisFlow
from artifactlab.attribution.sites.detectors import GrowthDetection
from artifactlab.errors import RegistryError

PLUGIN = """
import torch
from artifactlab.attribution.sites import SiteDetector, growth_by_size

KRON = SiteDetector(functions=(torch.kron,), growth=growth_by_size("kron", nearest=True))
"""
USE = """
import artifactlab, torch

class Blocks(torch.nn.Module):
    def forward(self, x):
        return torch.kron(x, torch.ones(2, 3))

model = Blocks()
with artifactlab.capture(model) as cap:
    model(torch.rand(1, 3, 8, 8))
print([(found.site.key, found.site.scale) for found in cap.sites])
"""


class Blocks(nn.Module):
    """A nearest resize by hand, of a function that is no kind of site of ours: it is named after the call."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.kron(x, torch.ones(2, 3))


@pytest.fixture
def plant() -> Iterator[object]:
    """Adds a kind of site for the time of a test."""
    planted: list[str] = []

    def add(name: str, detector: SiteDetector) -> None:
        SITE_DETECTORS.register(name, detector, owner="a test")
        planted.append(name)

    yield add
    for name in planted:
        del SITE_DETECTORS._things[name], SITE_DETECTORS._owners[name]


def sites(model: nn.Module) -> list[tuple[str, tuple[float, float], tuple[float, float]]]:
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(torch.rand(1, 3, 8, 8))
    return [(found.site.key, found.site.scale, found.site.period) for found in cap.sites]


def test_a_package_of_one_file_adds_a_kind_of_site(tmp_path: Path) -> None:
    (tmp_path / "kron_site.py").write_text(PLUGIN)
    metadata = tmp_path / "kron_site-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: kron-site\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[artifactlab.sites]\nkron = kron_site:KRON\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", USE], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert run.stdout == "[('kron#0', (2, 3))]\n", run.stderr


def test_a_new_kind_of_site_is_found_by_the_next_capture(plant: object) -> None:
    assert sites(Blocks()) == [("kron#0", (2, 3), (2, 3))]
    plant("blocks", SiteDetector((torch.kron,), growth_by_size("blocks")))  # type: ignore[operator]
    assert sites(Blocks()) == [("blocks#0", (2, 3), (2, 3))]


def test_growth_that_is_no_ratio_of_two_sizes_is_read_off_the_arguments(plant: object) -> None:
    def growth(call: FunctionCall) -> Growth:
        rows, columns = call.argument(1, "other").shape
        n, c, h, w = call.output.shape
        return Growth("kron", (rows, columns), (n, c, h // rows, w // columns), (n, c, h, w), None, call.output)

    class Factors(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(torch.kron(input=x, other=torch.ones(4, 4)), scale_factor=2)

    plant("kron", SiteDetector((torch.kron,), growth))  # type: ignore[operator]
    assert sites(Factors()) == [("kron#0", (4, 4), (8, 8)), ("interpolate#0", (2, 2), (2, 2))]


def test_two_kinds_for_one_function_are_refused_with_both_names(plant: object) -> None:
    plant("my_shuffle", SiteDetector((F.pixel_shuffle,), growth_by_size("my_shuffle")))  # type: ignore[operator]
    with pytest.raises(RegistryError, match="'pixel_shuffle' and 'my_shuffle' both say what a call of pixel_shuffle"):
        GrowthDetection(AxisFlow())


def test_what_is_no_detector_is_refused_with_its_type() -> None:
    with pytest.raises(RegistryError, match=r"'kron' of artifactlab is a tuple, expected a SiteDetector"):
        SITE_DETECTORS.register("kron", (torch.kron,))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "arguments", "nearest"),
    [
        (F.interpolate, {"mode": "nearest"}, True),
        (F.interpolate, {"mode": "nearest-exact"}, True),
        (F.interpolate, {}, True),
        (F.interpolate, {"mode": "bilinear"}, False),
        (F.upsample_nearest, {}, True),
        (F.upsample_bilinear, {}, False),
        (F.pixel_shuffle, {}, False),
    ],
)
def test_nearest_neighbour_resizes_are_told_from_others(function: object, arguments: dict, nearest: bool) -> None:
    x, output = torch.rand(1, 4, 8, 8), torch.rand(1, 4, 16, 16)
    growth = GrowthDetection(AxisFlow()).of_call(function, (x,), arguments, output)
    assert growth is not None
    assert growth.nearest == nearest
