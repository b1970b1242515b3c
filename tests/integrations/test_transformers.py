"""The monitor in a Trainer of transformers, or in a stand-in for one where the package is not installed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import artifactlab
from artifactlab import InputError

PACKAGES = Path(__file__).parent.parent / "support" / "packages"
INTEGRATION = "artifactlab.integrations.transformers"
NAMES = {
    f"artifactlab/net.{layer}/{score}" for layer in ("up", "last.1") for score in ("grid", "stair_steps", "axis_excess")
}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The package, and our integration imported beside it."""
    if find_spec("transformers") and find_spec("accelerate"):
        yield importlib.import_module("transformers")
        return
    monkeypatch.syspath_prepend(str(PACKAGES))
    for name in ("transformers", INTEGRATION):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("transformers")
    for name in ("transformers", INTEGRATION):
        sys.modules.pop(name, None)


class WithLoss(nn.Module):
    """A generator whose forward returns its loss, as trainers want it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, Tensor]:
        output = self.net(pixel_values)
        return {"loss": (output - labels).square().mean(), "output": output}


@pytest.fixture
def trainer(library: Any, tmp_path: Path, generator: type[nn.Module], batches: Tensor) -> Callable[..., Any]:
    """A trainer of four batches of two images, with the model that it trains."""
    targets = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    data = [{"pixel_values": image, "labels": target} for image, target in zip(batches, targets, strict=True)]

    def make(**changed: Any) -> Any:
        torch.manual_seed(0)
        settings = {
            "output_dir": str(tmp_path),
            "per_device_train_batch_size": 2,
            "gradient_accumulation_steps": 1,
            "learning_rate": 1e-3,
            "num_train_epochs": 1,
            "logging_steps": 3,
            "report_to": "none",
            "save_strategy": "no",
            "use_cpu": True,
            "disable_tqdm": True,
        }
        arguments = library.TrainingArguments(**(settings | changed))
        return library.Trainer(WithLoss(generator()), arguments, train_dataset=data)

    return make


def monitored(trainer: Any, **settings: Any) -> Any:
    callback = importlib.import_module(INTEGRATION).ArtifactMonitor(trainer, **settings)
    trainer.add_callback(callback)
    trainer.train()
    return trainer


def logged(trainer: Any) -> dict[int, dict[str, float]]:
    """What the monitor logged, by the number of the step."""
    ours = [{k: v for k, v in entry.items() if k.startswith("artifactlab/")} for entry in trainer.state.log_history]
    steps = [entry["step"] for entry in trainer.state.log_history]
    return {step: scalars for step, scalars in zip(steps, ours, strict=True) if scalars}


def test_every_layer_is_logged_every_n_steps(trainer: Any, untouched: Callable[[nn.Module], bool]) -> None:
    done = monitored(trainer(), every_n_steps=2)
    assert {step: set(scalars) for step, scalars in logged(done).items()} == {1: NAMES, 3: NAMES}
    assert untouched(done.model)


def test_what_is_logged_is_what_capture_says_of_the_first_batch(trainer: Any) -> None:
    plain = trainer(per_device_train_batch_size=8)  # all of the data at once
    with artifactlab.capture(plain.model) as found:
        plain.train()
    grids = {f"artifactlab/{of.site.name}/grid": of.evidence.checkerboard_energy for of in found.layers}
    first = logged(monitored(trainer(per_device_train_batch_size=8)))[1]
    assert {name: first[name] for name in grids} == grids


def test_the_trainers_own_log_of_a_measured_step_is_not_lost(trainer: Any) -> None:
    history = monitored(trainer(), every_n_steps=2).state.log_history
    assert [entry["step"] for entry in history if "loss" in entry] == [3]


def test_of_accumulated_batches_one_is_measured_and_logged_as_one_step(trainer: Any) -> None:
    done = monitored(trainer(gradient_accumulation_steps=2), every_n_steps=1)
    assert list(logged(done)) == [1, 2]
    assert logged(done)[1] == logged(monitored(trainer(), every_n_steps=4))[1]


def test_training_does_not_notice(trainer: Any) -> None:
    plain = trainer()
    plain.train()
    watched = monitored(trainer(), every_n_steps=1, data_range=1.0)
    assert "artifactlab/output/severity" in logged(watched)[1]
    weights, same = plain.model.state_dict(), watched.model.state_dict()
    assert all(torch.equal(weights[name], same[name]) for name in weights)


def test_an_exception_leaves_no_hooks_and_the_next_training_is_monitored(
    trainer: Any, untouched: Callable[[nn.Module], bool]
) -> None:
    failing = trainer()
    handle = failing.model.register_forward_hook(lambda *_: pytest.fail("at the end of a pass"))
    with pytest.raises(pytest.fail.Exception):
        monitored(failing)
    handle.remove()
    assert untouched(failing.model)
    failing.train()
    assert list(logged(failing)) == [1]
    assert failing.training_step.__name__ == "training_step"


def test_wrong_arguments_are_refused(trainer: Any) -> None:
    with pytest.raises(InputError, match="every_n_steps must be a positive integer"):
        monitored(trainer(), every_n_steps=0)
    with pytest.raises(InputError, match="data_range must be a positive number"):
        monitored(trainer(), data_range=0)


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module(INTEGRATION), "TrainerCallback", object)
    with pytest.raises(ImportError, match=r"pip install artifactlab\[transformers\]"):
        importlib.import_module(INTEGRATION).ArtifactMonitor(None)
