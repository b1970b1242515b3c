"""What losses cost: CPU time of a training step, and of each loss alone."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np
import torch
from publish import mark
from training_loop import step
from training_records import Task
from training_runs import AIMED, OURS, PLAIN, added_loss, look

from artifactlab.fix import SitePenalty

REPEATS = 9
BASE = "focal frequency"


def step_times(task: Task, rows: Sequence[str]) -> dict[str, float]:
    """CPU time of a training step over that of plain L1, medians of turns."""
    model = task.net()
    sites = look(model, task).sites if AIMED in rows else []
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), 0.0)
    pairs, objective = task.batch(np.random.default_rng(0)), task.objective()

    def turn(row: str) -> None:
        with ExitStack() as stack:
            penalty = stack.enter_context(SitePenalty(model, sites[:1])) if row == AIMED else None
            step(model, optimiser, pairs, added_loss(row, 1.0), objective, penalty)

    times = timed({row: functools.partial(turn, row) for row in rows}, REPEATS)
    return {row: taken / times[PLAIN] for row, taken in times.items()}


def loss_cost(rows: Sequence[str]) -> str:
    """Forward and backward of each loss alone, over the focal frequency loss."""
    output, target = torch.rand(8, 3, 128, 128, requires_grad=True), torch.rand(8, 3, 128, 128)

    def turn(row: str) -> None:
        output.grad = None
        added_loss(row, 1.0)(output, target).backward()

    alone = [row for row in rows if row not in (PLAIN, AIMED)]
    times = timed({row: functools.partial(turn, row) for row in alone}, 4 * REPEATS)
    shown = ", ".join(f"{row} {taken / times[BASE]:.2f}" for row, taken in times.items())
    aim = f" EdgeAwareLoss is to be no slower: {mark(times[OURS] <= times[BASE])}." if OURS in times else ""
    return (
        f"Forward and backward of the loss alone on 8x3x128x128, CPU time over that of {BASE}"
        f" ({1e3 * times[BASE]:.0f} ms), medians in turns: {shown}.{aim}"
    )


def timed(turns: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each, taken in turns; the first warms up."""
    times: dict[str, list[float]] = {row: [] for row in turns}
    for _ in range(repeats + 1):
        for row, turn in turns.items():
            start = time.process_time()
            turn()
            times[row].append(time.process_time() - start)
    return {row: statistics.median(taken[1:]) for row, taken in times.items()}
