"""The monitor as a handler of an engine."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

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


def test_the_first_iteration_and_each_multiple_of_every_are_measured(
    generator: type[nn.Module], batches: Tensor, untouched: Callable[[nn.Module], bool]
) -> None:
    model, seen = generator(), []
    with artifactlab.capture(model.eval()) as found:  # norms and dropout are off, so the first pass is to read the same
        model(batches[:2])
    grids = {f"artifactlab/{of.site.name}/grid": of.evidence.checkerboard_energy for of in found.layers}
    engine = engine_of(model)
    ArtifactMonitor(model, every=2).attach(engine)
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: seen.append(dict(engine.state.metrics)))
    engine.run(batches.split(2), max_epochs=1)
    first, second, third, fourth = seen
    assert {name: value for name, value in first.items() if name.endswith("grid")} == grids
    assert first != second == third != fourth
    assert set(first) == set(fourth)
    assert len(first) == 3 * len(grids)
    assert untouched(model)


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
