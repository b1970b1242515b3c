"""What a diagnosis says of outputs: of volumes their slices, too."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.resources import files

import jsonschema
import pytest
import torch
from torch import Tensor

from artifactlab.attribution.measures import output_measures
from artifactlab.attribution.records import OutputMeasures
from artifactlab.metrics import axis_excess
from artifactlab.scoring.severity import measure_severity
from artifactlab.serialize import json_data

SIGNS = (-1.0) ** torch.arange(32)
BOARD = SIGNS[:, None, None] * SIGNS[:, None] * SIGNS


def measured(output: Tensor, period: tuple[int, ...]) -> OutputMeasures:
    return output_measures(measure_severity(output, period, 1.0), [output, output], period, 1.0)


def test_a_grid_that_alternates_from_slice_to_slice_shows_in_the_slices_of_each_direction() -> None:
    found = measured(0.5 + 0.02 * BOARD[None, None], (2, 2, 2))
    assert [one.axes for one in found.slices] == [(0, 1), (0, 2), (1, 2)]
    for one in found.slices:
        assert one.severity == pytest.approx(found.severity, rel=0.02)
        assert one.lattice_amplitude == pytest.approx(0.02, rel=0.02)
        assert one.edge_jaggedness == 0
    assert found.checkerboard_energy > 0.9


def test_planes_of_a_grid_are_not_seen_by_who_looks_along_them() -> None:
    planes = (0.5 + 0.02 * SIGNS[:, None, None]).expand(1, 1, 32, 32, 32)
    by_axes = {one.axes: one.severity for one in measured(planes, (2, 2, 2)).slices}
    assert by_axes[1, 2] == 0
    assert by_axes[0, 1] == pytest.approx(by_axes[0, 2]) == pytest.approx(measured(planes, (2, 2, 2)).severity, rel=0.1)


def test_axis_excess_of_a_volume_is_the_mean_over_its_slices() -> None:
    t = torch.arange(40.0)
    volume = ((t[:, None, None] * 0.5 + t[:, None] * 0.9 + t * 0.3).remainder(16) > 8).float()[None, None]
    across = [axis_excess(volume[0, 0].movedim(axis, 0)[:, None], reduction="none") for axis in range(3)]
    found = float(axis_excess(volume))
    assert min(float(one.min()) for one in across) < found < max(float(one.max()) for one in across)
    alone = volume[:, :, :1].repeat_interleave(2, 2)  # across the others, slices are too thin for an edge
    assert 3 * float(axis_excess(alone)) == pytest.approx(float(axis_excess(alone[:, :, 0])))


@pytest.mark.parametrize("axes", [1, 2])
def test_images_and_signals_have_no_slices_and_signals_no_edges(axes: int) -> None:
    found = measured(0.1 * torch.randn(1, 1, *[64] * axes), (2,) * axes)
    assert found.slices == ()
    assert (found.axis_excess is None) == (axes == 1)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_schema_knows_what_is_measured_of_any_output(axes: int) -> None:
    schema = json.loads((files("artifactlab") / "schemas" / "diagnosis.json").read_text())
    output = {**schema["properties"]["output"], "$defs": schema["$defs"]}
    jsonschema.validate(json_data(asdict(measured(torch.rand(1, 1, *[32] * axes), (2,) * axes))), output)
