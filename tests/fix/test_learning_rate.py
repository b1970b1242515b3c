"""The learning rate is chosen by a few steps at each of three, once per training, and nothing else comes of that."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from artifactlab.fix import Distilled, distil, learning_rate, replace_upsampler
from artifactlab.fix.learning_rate import RATES, search_rate
from artifactlab.fix.replace import Swap

Trained = tuple[Distilled, dict[str, Tensor]]


def spoiled(decoders: ModuleType, by: float = 0.9) -> tuple[nn.Module, nn.Module, Swap]:
    """A gridded decoder, the same with its upsampler replaced and scaled, and what was replaced."""
    old = decoders.gridded()
    new = copy.deepcopy(old)
    swap = replace_upsampler(new, "up")
    with torch.no_grad():
        new.up.conv.weight.mul_(by)
    return old, new, swap


def trained(decoders: ModuleType, by: float = 0.9, count: int = 2, **options: Any) -> Trained:
    old, new, swap = spoiled(decoders, by)
    made = distil(new, old, swap, decoders.images(count), **options)
    return made, new.state_dict()


def test_a_training_at_the_chosen_rate_is_one_that_was_given_it(decoders: ModuleType) -> None:
    chosen, weights = trained(decoders, steps=40)
    assert chosen.learning_rate in RATES
    given, expected = trained(decoders, steps=40, learning_rate=chosen.learning_rate)
    assert given.loss == chosen.loss
    assert all(torch.equal(value, expected[name]) for name, value in weights.items())
    assert f"from a learning rate of {chosen.learning_rate:g}," in str(chosen)


@pytest.mark.parametrize(("by", "rate"), [(0.2, RATES[2]), (0.998, RATES[0])], ids=["far off", "nearly there"])
def test_what_is_far_off_is_trained_faster_than_what_is_nearly_there(
    by: float, rate: float, decoders: ModuleType
) -> None:
    assert trained(decoders, by, steps=60)[0].learning_rate == rate


def test_trying_rates_takes_less_than_a_tenth_of_the_steps(
    decoders: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    real = learning_rate.take_step

    def counted(*given: Any) -> None:
        taken.append(1)
        real(*given)

    monkeypatch.setattr(learning_rate, "take_step", counted)
    for steps in (20, 60):
        taken.clear()
        made, _ = trained(decoders, steps=steps)
        assert made.steps == steps
        assert len(taken) < 0.1 * steps


def test_a_run_that_was_killed_goes_on_at_the_rate_that_was_chosen(
    decoders: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, weights = trained(decoders, steps=70)
    old, cut, swap = spoiled(decoders)
    inputs, state = decoders.images(2), tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        distil(cut, old, swap, inputs, steps=70, checkpoint=state, progress=_interrupted_at(40))

    def refused(*_: object) -> float:
        raise AssertionError("searched again")

    monkeypatch.setattr("artifactlab.fix.training.search_rate", refused)
    made = distil(cut, old, swap, inputs, steps=70, checkpoint=state)
    assert (made.loss, made.learning_rate) == (expected.loss, expected.learning_rate)
    assert all(torch.equal(value, weights[name]) for name, value in cut.state_dict().items())


def _interrupted_at(step: int) -> Callable[[int, int], None]:
    def progress(done: int, _: int) -> None:
        if done == step:
            raise KeyboardInterrupt

    return progress


def test_a_rate_at_which_the_loss_is_no_number_is_not_taken(
    decoders: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning_rate, "RATES", (1e30, 1e-3))
    assert trained(decoders, steps=40)[0].learning_rate == 1e-3


def test_without_time_to_try_it_is_the_middle_one(decoders: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def searched(*given: Any) -> float:
        seen.append(search_rate(*given))
        return seen[-1]

    monkeypatch.setattr("artifactlab.fix.training.search_rate", searched)
    trained(decoders, steps=10_000, seconds=0.05)
    assert seen == [RATES[1]]
