"""The monitor as a handler of an engine."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn

import artifactlab
from artifactlab.integrations.ignite import ArtifactMonitor


class Interrupted(Exception):
    """What a test's own step raises."""


def engine_of(model: nn.Module, failing: int = 0) -> Engine:
    """Trains a model to be dark; an iteration may fail."""
    optimizer = torch.optim.Adam(model.parameters())

    def step(engine: Engine, batch: Tensor) -> float:
        loss = model(batch).square().mean()
        if engine.state.iteration == failing:
            raise Interrupted
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return Engine(step)


def test_the_first_iteration_and_each_multiple_of_every_are_measured_as_capture_does(
    generator: type[nn.Module], batches: Tensor, untouched: Callable[[nn.Module], bool]
) -> None:
    expected = []
    for _ in range(2):
        torch.manual_seed(0)
        model = generator()
        engine, seen = engine_of(model), {}
        if expected:
            ArtifactMonitor(model, every=2).attach(engine)
        else:
            step = engine._process_function

            def captured(engine: Engine, batch: Tensor, step: Any = step, model: nn.Module = model) -> float:
                with artifactlab.capture(model) as found:
                    loss = step(engine, batch)
                expected.append([of.evidence.checkerboard_energy for of in found.layers])
                return loss

            engine._process_function = captured
        engine.add_event_handler(
            Events.ITERATION_COMPLETED, lambda engine, seen=seen: seen.setdefault(engine.state.iteration, dict(engine.state.metrics))
        )
        engine.run(batches.split(2), max_epochs=1)
        assert untouched(model)
    grids = [[value for name, value in metrics.items() if name.endswith("grid")] for metrics in seen.values()]
    assert grids == [expected[0], expected[1], expected[1], expected[3]]
    assert set(seen[1]) == {f"artifactlab/{of}/{s}" for of in ("up", "last.1") for s in ("grid", "stair_steps", "axis_excess")}


@pytest.mark.parametrize("handled", [False, True])
def test_an_exception_leaves_no_hooks_and_is_raised_unless_somebody_handles_it(
    handled: bool, generator: type[nn.Module], batches: Tensor, untouched: Callable[[nn.Module], bool]
) -> None:
    model = generator()
    engine, seen = engine_of(model, failing=2), []
    ArtifactMonitor(model, every=1).attach(engine)
    if handled:
        engine.add_event_handler(Events.EXCEPTION_RAISED, lambda engine, error: seen.append(type(error)))
        engine.run(batches.split(2))
        assert seen == [Interrupted]
    else:
        with pytest.raises(Interrupted):
            engine.run(batches.split(2))
    assert untouched(model)


def test_without_ignite_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ignite.engine", None)
    monkeypatch.delitem(sys.modules, "artifactlab.integrations.ignite")
    with pytest.raises(ImportError, match=r"pip install artifactlab\[ignite\]"):
        importlib.import_module("artifactlab.integrations.ignite")
