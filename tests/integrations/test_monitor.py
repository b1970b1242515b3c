"""The monitor in a loop of one's own: its numbers, its names, and what it leaves alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab import InputError, ModelError, Monitor


def training(model: nn.Module, batches: Tensor, watched: nn.Module | None = None, **settings: Any) -> Iterator[Monitor]:
    """A training of batches of two, and its monitor after each step that was measured."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Monitor(watched if watched is not None else model, **settings) as monitor:
        for images in batches.split(2):
            model(images).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            if monitor.step():
                yield monitor


def test_every_so_many_steps_it_says_what_capture_says(generator: type[nn.Module], batches: Tensor) -> None:
    model = generator().eval()  # as where norms are frozen
    with artifactlab.capture(model) as first:
        model(batches[:2])
    measured = [monitor.scalars() for monitor in training(model, batches, every=2)]
    expected = {}
    for found in first.layers:
        expected[f"artifactlab/{found.site.name}/grid"] = found.evidence.checkerboard_energy
        expected[f"artifactlab/{found.site.name}/stair_steps"] = found.evidence.edge_jaggedness
        expected[f"artifactlab/{found.site.name}/axis_excess"] = found.evidence.axis_excess
    assert len(measured) == 2
    assert measured[0] == expected
    assert set(measured[1]) == set(expected)
    assert measured[1] != expected


@pytest.mark.parametrize("mixed", [False, True], ids=["plain", "bfloat16 accumulated"])
def test_outputs_gradients_weights_and_random_numbers_are_the_same_to_the_last_bit(
    mixed: bool, generator: type[nn.Module], batches: Tensor, untouched: Callable[[nn.Module], bool]
) -> None:
    results = []
    for every in (None, 1):
        torch.manual_seed(3)
        model, outputs = generator(), []
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with Monitor(model, every=1, data_range=None if mixed else 1.0) if every else nullcontext() as monitor:
            for images in batches[:4].split(2):
                with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                    outputs.append(model(images))
                outputs[-1].float().square().mean().backward()
                if not mixed or len(outputs) == 2:
                    optimizer.step()
                    assert monitor is None or monitor.step()
        gradients = [parameter.grad for parameter in model.parameters()]
        results.append([*outputs, *gradients, *model.state_dict().values(), torch.get_rng_state()])
        assert untouched(model)
    assert all(map(torch.equal, *results))


def test_the_output_is_judged_where_its_range_is_known(three_sites: Any, scene: Tensor) -> None:
    severities = []
    for strength in (0.0, 0.15):
        with Monitor(three_sites.plant("up3", strength), ["up3/conv_transpose2d#0"], data_range=1.0) as monitor:
            three_sites(scene)
            monitor.step()
        scalars = monitor.scalars()
        severities.append(scalars.pop("artifactlab/output/severity"))
        assert set(scalars) == {f"artifactlab/up3/{score}" for score in ("grid", "stair_steps", "axis_excess")}
    assert severities[0] < 1 < 5 < severities[1]


def test_validation_does_not_count_and_passes_of_a_generator_without_gradients_do(
    generator: type[nn.Module], batches: Tensor
) -> None:
    model = generator()
    with Monitor(model) as monitor, torch.no_grad():
        model.eval()(100 * batches)
        with pytest.warns(UserWarning, match="Monitor, step 0: no upsampling was seen in this step"):
            assert not monitor.step()
    with Monitor(model) as monitor, torch.no_grad():
        model.train()(batches)
        assert monitor.step()


class Forward(nn.Module):
    """Calls of its own, two of them alike, the second only when it is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.dec = nn.ModuleDict({"x2": nn.Upsample(scale_factor=2)})
        self.conv = nn.Conv2d(3, 12, 1)

    def forward(self, x: Tensor, more: bool = True) -> Tensor:
        x = F.interpolate(x, scale_factor=2)
        if more:
            x = F.interpolate(x, scale_factor=2, mode="bilinear")
        return F.pixel_shuffle(self.conv(self.dec["x2"](x)), 2)


def test_names_are_the_layers_own_whatever_else_runs_and_such_as_every_logger_takes() -> None:
    model, seen = Forward(), []
    with Monitor(model, every=1, prefix="art", name="net") as monitor:
        for more in (True, False):
            model(torch.rand(1, 3, 8, 8), more)
            monitor.step()
            seen.append([name.removesuffix("/grid") for name in monitor.scalars() if name.endswith("/grid")])
    assert seen[0] == ["art/net.interpolate", "art/net.interpolate-1", "art/net.dec.x2", "art/net.pixel_shuffle"]
    assert seen[1] == ["art/net.interpolate", "art/net.dec.x2", "art/net.pixel_shuffle"]
    assert all(re.fullmatch(r"[\w.\-/]+", name) for name in monitor.scalars())  # of MLflow's


def test_flagged_layers_alone_are_measured_and_one_that_does_not_run_is_warned_of(
    generator: type[nn.Module], batches: Tensor
) -> None:
    model = generator()
    with artifactlab.capture(model) as found:
        model(batches)
    [monitor] = training(model, batches[:2], sites=[found.layers[0].site])
    assert {name.split("/")[1] for name in monitor.scalars()} == {"up"}
    with pytest.warns(UserWarning, match="no upsampling was seen at elsewhere/interpolate#0 in this step"):
        assert list(training(model, batches[:2], sites=["elsewhere/interpolate#0"])) == []


def test_a_model_that_a_compiled_one_was_made_of_is_watched_and_compiled_no_second_time(
    generator: type[nn.Module], batches: Tensor
) -> None:
    torch._dynamo.reset()
    compilations = []

    def backend(graph: Any, _example: Any) -> Any:
        compilations.append(graph)
        return graph.forward

    model = generator()
    compiled = torch.compile(model, backend=backend)
    compiled(batches[:2]).sum().backward()
    before = len(compilations)
    for watched in (model, compiled):
        [monitor] = training(compiled, batches[:4], watched)
        assert {name.split("/")[1] for name in monitor.scalars()} == {"up", "last.1"}
    assert len(compilations) == before


def test_autocast_does_not_reach_what_is_measured(batches: Tensor) -> None:
    model = nn.Sequential(nn.Upsample(scale_factor=2))  # which autocast leaves alone
    measured = []
    for enabled in (False, True):
        with Monitor(model, data_range=1.0) as monitor, torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            model(batches)
            monitor.step()
        measured.append(monitor.scalars())
    assert measured[0] == measured[1]


def test_an_exception_leaves_nothing_behind(
    generator: type[nn.Module], batches: Tensor, untouched: Callable[[nn.Module], bool]
) -> None:
    model = generator()
    with Monitor(model):
        assert not untouched(model)
    with pytest.raises(RuntimeError, match="channels"), Monitor(model):
        model(batches[:, :2])
    assert untouched(model)


def test_a_loop_that_never_ends_a_step_is_told(generator: type[nn.Module], batches: Tensor) -> None:
    with Monitor(generator()) as monitor, pytest.raises(InputError, match=r"call the monitor's step\(\)"):
        monitor.scalars()


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"every": 0}, InputError, "every must be a positive integer"),
        ({"data_range": 0}, InputError, "data_range must be a positive number"),
        ({"sites": ["up"]}, InputError, "'up' is no site"),
        ({"model": torch.jit.ScriptModule()}, ModelError, "ScriptModule"),
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Monitor(**{"model": nn.Identity(), **wrong})
