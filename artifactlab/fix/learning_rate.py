"""The learning rate of a training: chosen by a few steps at each of three, and how it falls from there."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from artifactlab.errors import ModelError
from artifactlab.fix.options import LEARNING_RATE, TrainingOptions

RATES = (LEARNING_RATE / 4, LEARNING_RATE, 4 * LEARNING_RATE)
"""Rates that are tried: a factor of four apart, as the loss after a training changes little within two."""
SHARE = 0.09
"""Part of the steps, and of the time, that trying them may take."""
MOST_STEPS = 18
"""Steps at each rate at most: of 600, all three take 9%."""


class Trained(Protocol):
    """What is trained, and on what."""

    @property
    def weights(self) -> Mapping[str, nn.Parameter]:
        """The parameters that are trained."""

    @property
    def options(self) -> TrainingOptions:
        """How to train."""

    def loss(self, number: int) -> Tensor:
        """The loss of one input."""

    def number_at(self, step: int) -> int:
        """Which input a step is on."""

    def held_out_loss(self) -> float:
        """The mean loss over inputs that no step is on."""


def search_rate(training: Trained, start: float) -> float:
    """The rate of `RATES` after a few steps at which held-out inputs are least off; the weights are as before then.

    Each trial falls along a cosine as the training does, so that a rate at which weights merely jitter is not refused
    for that. Where steps or time are too few to try them, it is `LEARNING_RATE`.

    Args:
        training: what is trained, and on what.
        start: the time of `time.monotonic` from which the training's seconds count.

    Raises:
        ModelError: if the model fails, or runs without gradients.
    """
    options = training.options
    steps = min(MOST_STEPS, int(SHARE * options.steps / len(RATES)))
    until = time.monotonic() + SHARE * max(0.0, options.seconds - (time.monotonic() - start))
    if not steps:
        return LEARNING_RATE
    before, losses = copied(training.weights), {}
    for rate in RATES:
        losses[rate] = _loss_after(training, rate, steps, until)
        put_back(training.weights, before)
        if time.monotonic() > until:
            return LEARNING_RATE
    return min(losses, key=losses.__getitem__)


def _loss_after(training: Trained, rate: float, steps: int, until: float) -> float:
    """The loss on held-out inputs after so many steps; infinite where it is no number any more, or time is over."""
    optimiser = torch.optim.Adam(training.weights.values(), lr=rate)
    for step in range(steps):
        take_step(training, optimiser, step, falling(rate, step / steps))
        if time.monotonic() > until:
            return math.inf
    loss = training.held_out_loss()
    return loss if math.isfinite(loss) else math.inf


def falling(rate: float, done: float) -> float:
    """The rate when a part of the steps is done: it falls along a cosine."""
    return rate * 0.5 * (1 + math.cos(math.pi * done))


def take_step(training: Trained, optimiser: torch.optim.Optimizer, step: int, rate: float) -> None:
    """One step of an optimiser, on the input whose turn it is.

    Raises:
        ModelError: if the model fails, or runs without gradients.
    """
    for group in optimiser.param_groups:
        group["lr"] = rate
    loss = training.loss(training.number_at(step))
    if not loss.requires_grad:
        raise ModelError("nothing can be trained: the model's forward runs without gradients (no_grad, or detach)")
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def copied(weights: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The values of weights, apart from them."""
    return {name: parameter.detach().clone() for name, parameter in weights.items()}


def put_back(weights: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
    """Set weights, in place, to values that were copied."""
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.copy_(values[name])
