"""How a net of `training.py` is trained: from the same start, on the same images in the same order, for every loss."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from training_objectives import Objective
from training_records import Pairs, Task

from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.fix import SitePenalty

RATE, BETAS = 1e-2, (0.9, 0.999)
"""at a fifth of this rate none of the nets gets as far in so few steps: L1 alone ends 1 to 2 dB lower"""
PENALTY = 0.03
"""weight of the penalty on the offenders' activations, where a loss is aimed: that of docs/how-to/training.md"""
Loss = Callable[[Tensor, Tensor], Tensor]
"""(output, target) -> what is added to L1"""


def nothing(output: Tensor, target: Tensor) -> Tensor:
    """L1 alone."""
    return output.new_zeros(())


def fresh(task: Task, seed: int) -> nn.Module:
    """The net before its training."""
    torch.manual_seed(seed)
    return task.net()


def go_on(model: nn.Module, task: Task, added: Loss, seed: int, rate: float, steps: int, aim: Diagnosis | None) -> None:
    """Adam, one cycle, on L1, what the task needs and what is added; with a penalty on the activations of the offenders
    that it is aimed at."""
    model.train()
    rng, objective = np.random.default_rng(seed), task.objective()
    optimiser = torch.optim.Adam(model.parameters(), rate, BETAS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    with ExitStack() as stack:
        penalty: Callable[[], Tensor] | None = None
        if aim and aim.offenders:
            penalty = stack.enter_context(SitePenalty.from_diagnosis(model, aim, PENALTY))
        for _ in range(steps):
            step(model, optimiser, task.batch(rng), added, objective, penalty)
            schedule.step()
    model.eval()


def step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    pairs: Pairs,
    added: Loss,
    objective: Objective,
    penalty: Callable[[], Tensor] | None = None,
) -> None:
    """One step."""
    output = model(pairs.given)
    loss = F.l1_loss(output, pairs.wanted) + objective(model, output, pairs.wanted) + added(output, pairs.wanted)
    if penalty:
        loss = loss + penalty()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


@torch.no_grad()
def outputs(model: nn.Module, given: Tensor) -> Tensor:
    """What a net makes of inputs, in [0, 1]."""
    return torch.cat([model(part) for part in given.split(8)]).clamp(0, 1)
