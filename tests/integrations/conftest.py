"""Trainings that the monitor is tried on: a generator with two sites, a critic, and a few batches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import lightning.pytorch
import pytest
import torch
from lightning.pytorch.loggers.logger import DummyLogger
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader

BATCHES = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(5))


class Generator(nn.Module):
    """Two sites, one of them run twice, with batch norm and dropout; parts may be checkpointed."""

    def __init__(self, checkpointed: bool | None = None) -> None:
        super().__init__()
        self.reentrant = checkpointed
        self.head = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.2))
        self.up = nn.ConvTranspose2d(4, 4, 4, 2, 1)
        self.last = nn.Sequential(nn.Conv2d(4, 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        up = self.up
        if self.reentrant is not None:
            up = partial(checkpoint, self.up, use_reentrant=self.reentrant)
        return self.last(up(torch.relu(up(self.head(x)))))


def lightning_module(package: Any = lightning.pytorch, generator: nn.Module | None = None, **replaced: Any) -> Any:
    """A LightningModule of the package that trains a generator; methods may be replaced."""

    class Painter(package.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.generator = generator or Generator()
            self.critic = nn.Conv2d(3, 1, 4, 4)

        def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
            return self.critic(self.generator(batch)).square().mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters())

    for name, method in replaced.items():
        setattr(Painter, name, method)
    return Painter()


class Recorder(DummyLogger):
    """A logger that remembers what the monitor logged, and at which step."""

    def __init__(self) -> None:
        super().__init__()
        self.logged: dict[int, dict[str, float]] = {}

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        if any(name.startswith("artifactlab/") for name in metrics):
            self.logged.setdefault(step, {}).update(metrics)


def trained(
    model: Any, *monitors: Any, package: Any = lightning.pytorch, **settings: Any
) -> dict[int, dict[str, float]]:
    """Train for a few steps from a fixed seed; what was logged at which step."""
    torch.manual_seed(2)
    recorder = Recorder()
    settings = {"logger": recorder, "max_steps": 3, "max_epochs": -1} | settings
    trainer = package.Trainer(
        accelerator="cpu",
        callbacks=list(monitors),
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )
    trainer.fit(model, DataLoader(BATCHES, batch_size=2))
    return recorder.logged


def alternate(self: Any, batch: Tensor, batch_idx: int) -> None:
    """A step of the critic, then one of the generator, which runs twice."""
    for optimizer, sign in zip(self.optimizers(), (1, -1), strict=True):
        optimizer.zero_grad()
        self.manual_backward(sign * self.critic(self.generator(batch)).mean())
        optimizer.step()


def two_optimizers(self: Any) -> Any:
    self.automatic_optimization = False
    return [torch.optim.Adam(part.parameters()) for part in (self.critic, self.generator)]


def without_hooks(model: nn.Module) -> bool:
    """No hooks, no mode left on the stack."""
    hooks = [m._forward_hooks or m._forward_pre_hooks or m._forward_hooks_with_kwargs for m in model.modules()]
    return not any(hooks) and torch._C._len_torch_function_stack() == 0


@pytest.fixture
def generator() -> type[Generator]:
    return Generator


@pytest.fixture
def batches() -> Tensor:
    return BATCHES


@pytest.fixture
def lit() -> Callable[..., Any]:
    return lightning_module


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def fit() -> Callable[..., dict[int, dict[str, float]]]:
    return trained


@pytest.fixture
def untouched() -> Callable[[nn.Module], bool]:
    return without_hooks


@pytest.fixture
def alternating() -> dict[str, Any]:
    """The methods of a training that takes turns between the two parts, for `lit`."""
    return {"training_step": alternate, "configure_optimizers": two_optimizers}
