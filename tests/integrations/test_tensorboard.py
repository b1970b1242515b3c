"""What is written can be read back with TensorBoard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import by_hand
import pytest
import torch
from matplotlib import pyplot
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from artifactlab import InputError, diagnose
from artifactlab.integrations.tensorboard import log_comparison, log_diagnosis, plot_comparison
from artifactlab.metrics import checkerboard_map, edge_jaggedness_map


def read_back(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    return events


def decoder() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(4, 1, 1))


IMAGE = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(1))


def test_diagnoses_during_training_become_curves_and_pictures(tmp_path: Path) -> None:
    model, said = decoder(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with SummaryWriter(tmp_path) as writer:
        for step in (0, 1):
            optimizer.zero_grad()
            (model(IMAGE) - 0.5).square().mean().backward()
            optimizer.step()
            said.append(diagnose(model, IMAGE, data_range=1.0, fast=step == 0))
            log_diagnosis(writer, said[-1], step)
    events = read_back(tmp_path)
    for tag, expected in {
        "artifactlab/output/severity": [d.output.severity for d in said],
        "artifactlab/output/checkerboard_energy": [d.output.checkerboard_energy for d in said],
        "artifactlab/effect/1/conv_transpose2d#0": [d.sites[0].effect.value for d in said],
    }.items():
        assert [(e.step, e.value) for e in events.Scalars(tag)] == [
            (step, pytest.approx(value)) for step, value in enumerate(expected)
        ]
    assert said[0].output.severity != said[1].output.severity
    assert sorted(events.Tags()["images"]) == ["artifactlab/diagnosis", "artifactlab/maps"]
    assert [e.step for e in events.Images("artifactlab/diagnosis")] == [0, 1]
    assert [e.step for e in events.Images("artifactlab/maps")] == [1]
    assert pyplot.get_fignums() == []


class Recorder:
    """A writer that is no SummaryWriter."""

    def __init__(self) -> None:
        self.scalars: list[str] = []
        self.figures: list[str] = []

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self.scalars.append(tag)

    def add_figure(self, tag: str, figure: object, step: int) -> None:
        self.figures.append(tag)


def test_a_fast_diagnosis_has_no_maps_and_one_without_examples_no_pictures() -> None:
    fast, writer = diagnose(decoder(), IMAGE, fast=True), Recorder()
    log_diagnosis(writer, fast, 0, tag="mine")
    assert writer.figures == ["mine/diagnosis"]
    object.__setattr__(fast, "examples", ())
    bare = Recorder()
    log_diagnosis(bare, fast, 0, tag="mine")
    assert bare.figures == []
    assert bare.scalars == writer.scalars != []


def stairs(grid: float) -> Tensor:
    image = 0.2 + 0.5 * torch.ones(16, 16).tril(2).repeat_interleave(4, 0).repeat_interleave(4, 1)
    return (image + grid * (-1.0) ** torch.arange(64))[None, None]


def test_a_comparison_shows_where_grids_and_steps_are_on_one_scale() -> None:
    output, target = stairs(0.02), stairs(0.0)
    figure = plot_comparison(output, target)
    panels = {f"{ax.get_title()} {i // 3}": ax.images[0] for i, ax in enumerate(figure.axes[:6])}
    for row, image in enumerate((output, target)):
        shown = torch.tensor(panels[f"grid {row}"].get_array())
        torch.testing.assert_close(shown, 255 * checkerboard_map(image)[0, 0])
        shown = torch.tensor(panels[f"stair-steps {row}"].get_array())
        torch.testing.assert_close(shown, edge_jaggedness_map(image)[0, 0])
    assert panels["grid 0"].get_clim() == panels["grid 1"].get_clim()
    assert panels["grid 0"].get_array().mean() > 4 > panels["grid 1"].get_array().mean()


def test_comparisons_are_written_for_the_first_image_of_a_batch(tmp_path: Path) -> None:
    batch = torch.cat([stairs(0.02), torch.full((1, 1, 64, 64), torch.nan)]).requires_grad_()
    with SummaryWriter(tmp_path) as writer:
        log_comparison(writer, batch, None, 7, tag="output")
    assert [e.step for e in read_back(tmp_path).Images("output")] == [7]
    recorder = Recorder()
    log_comparison(recorder, batch[:1], torch.rand(1, 3, 48, 48), 8, period=(2, 4), data_range=2.0)
    assert recorder.figures == ["artifactlab/comparison"]


def test_what_cannot_write_is_refused() -> None:
    with pytest.raises(InputError, match=r"which str has not; pass a torch\.utils\.tensorboard\.SummaryWriter"):
        log_comparison("runs", stairs(0.0), None, 0)
    with pytest.raises(InputError, match="add_scalar and add_figure"):
        log_diagnosis(None, diagnose(decoder(), IMAGE, fast=True), 0)


def test_wrong_images_and_periods_are_refused() -> None:
    with pytest.raises(InputError, match="N, C, H, W"):
        log_comparison(Recorder(), stairs(0.0)[0], None, 0)
    with pytest.raises(InputError, match="period"):
        log_comparison(Recorder(), stairs(0.0), None, 0, period=0)


def test_of_a_signal_what_is_a_number_is_written_and_its_pictures() -> None:
    found = by_hand.a_signal()
    writer = Recorder()
    log_diagnosis(writer, replace(found, output=replace(found.output, axis_excess=None)), 3)  # type: ignore[arg-type]
    assert "artifactlab/output/severity" in writer.scalars
    assert "artifactlab/output/axis_excess" not in writer.scalars
    assert writer.figures == ["artifactlab/diagnosis", "artifactlab/maps"]
