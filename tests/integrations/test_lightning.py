"""The monitor logs what capture says of the training steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch
import pytest
import pytorch_lightning
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

import artifactlab
from artifactlab.integrations import lightning as integration
from artifactlab.integrations.lightning import ArtifactMonitor
from artifactlab.scoring.data_range import spread

PACKAGES = [lightning.pytorch, pytorch_lightning]
Lit = Callable[..., Any]
Fit = Callable[..., dict[int, dict[str, float]]]
LAYERS = ["up", "last.1"]


def names(layers: list[str]) -> set[str]:
    scores = ("grid", "stair_steps", "axis_excess")
    return {f"artifactlab/generator.{layer}/{score}" for layer in layers for score in scores}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_trainers_of_both_packages_log_every_site_every_n_steps(
    package: Any, lit: Lit, fit: Fit, untouched: Callable[[nn.Module], bool]
) -> None:
    model = lit(package)
    logged = fit(model, ArtifactMonitor(every_n_steps=2), package=package)
    assert {step: set(metrics) for step, metrics in logged.items()} == dict.fromkeys((0, 2), names(LAYERS))
    assert untouched(model)


def test_what_is_logged_is_what_capture_says_of_the_training_steps(lit: Lit, fit: Fit) -> None:
    captured_metrics = []

    def captured_step(self: Any, batch: Tensor, batch_idx: int) -> Tensor:
        with artifactlab.capture(self.generator) as cap:
            image = self.generator(batch)
        evidence = [(f"artifactlab/generator.{found.site.name}", found.evidence) for found in cap.layers]
        captured_metrics.append(
            {f"{name}/grid": of.checkerboard_energy for name, of in evidence}
            | {f"{name}/stair_steps": of.edge_jaggedness for name, of in evidence}
            | {f"{name}/axis_excess": of.axis_excess for name, of in evidence}
        )
        return self.critic(image).square().mean()

    torch.manual_seed(0)
    captured, monitored = lit(training_step=captured_step), lit()
    monitored.load_state_dict(captured.state_dict())
    fit(captured)
    assert list(fit(monitored, ArtifactMonitor(1)).values()) == captured_metrics
    assert len(captured_metrics) == 3
    assert max(captured_metrics[0].values()) > 0.1


def test_the_named_module_alone_is_watched_and_its_sites_keep_their_names(lit: Lit, fit: Fit) -> None:
    for module, sites in (("generator", LAYERS), ("generator.last", LAYERS[-1:])):
        assert set(fit(lit(), ArtifactMonitor(module=module), max_steps=1)[0]) == names(sites)


def test_batches_whose_gradients_are_accumulated_are_measured_once(lit: Lit, fit: Fit) -> None:
    assert list(fit(lit(), ArtifactMonitor(2), accumulate_grad_batches=2)) == [0, 2]


def test_manual_optimisation_of_two_parts_counts_the_trainers_steps(
    lit: Lit, fit: Fit, alternating: dict[str, Any]
) -> None:
    assert list(fit(lit(**alternating), ArtifactMonitor(3), max_steps=8)) == [0, 4, 6]


@pytest.mark.parametrize("reentrant", [True, False])
def test_what_checkpointing_runs_again_is_not_measured_again(
    reentrant: bool, lit: Lit, fit: Fit, generator: type[nn.Module]
) -> None:
    torch.manual_seed(0)
    plain, checkpointed = generator(), generator(reentrant)
    checkpointed.load_state_dict(plain.state_dict())
    expected = fit(lit(generator=plain), ArtifactMonitor(module="generator"), max_steps=1)
    assert fit(lit(generator=checkpointed), ArtifactMonitor(module="generator"), max_steps=1) == expected


def test_several_loggers_and_those_on_disk_get_the_numbers(tmp_path: Path, lit: Lit, fit: Fit, recorder: Any) -> None:
    loggers = [CSVLogger(tmp_path, "csv", ""), TensorBoardLogger(tmp_path, "board", ""), recorder]
    fit(lit(), ArtifactMonitor(2), logger=loggers)
    expected = recorder.logged
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    name = "artifactlab/generator.up/grid"
    written = [(event.step, event.value) for event in events.Scalars(name)]
    assert written == [(step, pytest.approx(metrics[name])) for step, metrics in expected.items()] != []
    assert name in (tmp_path / "csv" / "metrics.csv").read_text()
    assert events.Tags()["images"] == []  # nobody asked for figures


def test_figures_go_to_loggers_that_take_them_if_asked_for(tmp_path: Path, lit: Lit, fit: Fit) -> None:
    fit(lit(), ArtifactMonitor(2, figures=True), logger=[TensorBoardLogger(tmp_path, "", ""), CSVLogger(tmp_path)])
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.step for event in events.Images("artifactlab/output")] == [0, 2]


def test_what_is_drawn_is_the_generators_image_not_the_critics(
    monkeypatch: pytest.MonkeyPatch, lit: Lit, fit: Fit
) -> None:
    drawn = []
    draw = integration.plot_comparison
    monkeypatch.setattr(integration, "plot_comparison", lambda image, **kw: drawn.append((image, kw)) or draw(image))
    images = []

    def keeps(self: Any, batch: Tensor, batch_idx: int) -> Tensor:
        images.append(self.generator(batch))
        return self.critic(images[-1]).square().mean()

    fit(lit(training_step=keeps), ArtifactMonitor(1, figures=True), max_steps=1)
    [(image, settings)] = drawn
    assert torch.equal(image, images[0][:1])
    assert settings == {"period": (8, 8), "data_range": spread(image)}
