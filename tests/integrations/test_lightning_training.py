"""Training does not notice the monitor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch.utilities.compile import from_compiled
from torch import Tensor, nn

import artifactlab
from artifactlab.integrations.lightning import ArtifactMonitor

Lit = Callable[..., Any]
Fit = Callable[..., dict[int, dict[str, float]]]
SITES = ["up/conv_transpose2d#0", "up/conv_transpose2d#1", "last.1/pixel_shuffle#0"]
LAYERS = ["up", "last.1"]


def names(layers: list[str]) -> set[str]:
    scores = ("grid", "stair_steps", "axis_excess")
    return {f"artifactlab/generator.{layer}/{score}" for layer in layers for score in scores}


@pytest.mark.parametrize(
    ("settings", "in_turns", "checkpointed"),
    [
        ({}, False, None),
        ({"accumulate_grad_batches": 2, "gradient_clip_val": 0.1}, False, True),
        ({"precision": "bf16-mixed"}, False, False),
        ({"max_steps": 4}, True, None),
    ],
    ids=["plain", "accumulated reentrant", "bf16 checkpointed", "alternating"],
)
def test_weights_and_random_numbers_are_bit_identical_to_training_without(
    settings: dict[str, Any],
    in_turns: bool,
    checkpointed: bool | None,
    lit: Lit,
    fit: Fit,
    untouched: Callable[[nn.Module], bool],
    generator: type[nn.Module],
    alternating: dict[str, Any],
) -> None:
    results = []
    for monitors in ([], [ArtifactMonitor(1), ArtifactMonitor(2, module="generator", figures=not settings)]):
        torch.manual_seed(0)
        model = lit(generator=generator(checkpointed), **(alternating if in_turns else {}))
        start = {key: value.clone() for key, value in model.state_dict().items()}
        fit(model, *monitors, **({"max_steps": 2} | settings))
        results.append((model.state_dict(), torch.get_rng_state()))
        assert untouched(model)
    (plain, state), (watched, watched_state) = results
    assert torch.equal(state, watched_state)
    assert all(torch.equal(plain[key], watched[key]) for key in plain)
    assert not torch.equal(plain["generator.up.weight"], start["generator.up.weight"])


def test_the_parts_of_models_that_lightning_has_compiled_are_seen(
    lit: Lit, fit: Fit, untouched: Callable[[nn.Module], bool]
) -> None:
    model = lit()
    torch._dynamo.reset()
    logged = fit(torch.compile(model, backend="eager"), ArtifactMonitor(2, module="generator"))
    assert {step: set(metrics) for step, metrics in logged.items()} == dict.fromkeys((0, 2), names(LAYERS))
    assert untouched(model)


def test_capture_sees_models_that_lightning_has_compiled(lit: Lit, batches: Tensor) -> None:
    model = from_compiled(torch.compile(lit(), backend="eager"))
    torch._dynamo.reset()
    with artifactlab.capture(model) as cap:
        model.training_step(batches[:2], 0)
    assert [found.site.key for found in cap.sites] == [f"generator.{site}" for site in SITES]
