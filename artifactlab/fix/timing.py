"""How long a forward pass takes, before a fix and after."""

from __future__ import annotations

import time
from statistics import median

import torch
from torch import nn

from artifactlab.fix.options import JudgingOptions
from artifactlab.models.calls import Call, on_device
from artifactlab.models.runner import Runner
from artifactlab.models.wrappers import unwrap

ROUNDS = 5
"""Passes at least that are timed of each model: the median of five is not moved by two that something interrupted."""
SECONDS = 0.3
"""Time until which more are taken: of a pass of milliseconds, five are over before a busy machine turns elsewhere."""


def pass_times(old: nn.Module, new: nn.Module, call: Call, judging: JudgingOptions) -> tuple[float, float]:
    """Milliseconds of a forward pass of each model, where it is: medians of passes that take turns.

    Taking turns, what slows the machine for a while slows both.

    >>> from artifactlab.models.calls import as_calls
    >>> (call,) = as_calls(torch.rand(1, 3, 32, 32))
    >>> before, after = pass_times(nn.Identity(), nn.Conv2d(3, 8, 9, padding=4), call, JudgingOptions())
    >>> before < after
    True
    """
    found: tuple[list[float], list[float]] = ([], [])
    with (
        Runner(unwrap(old), judging.output, judging.seed) as first,
        Runner(unwrap(new), judging.output, judging.seed) as second,
    ):
        runners = [first, second]
        for runner in runners:  # the first pass of a model takes longer than the others
            runner.run(call)
        placed = [on_device(call, next((one.device for one in r.model.parameters()), None)) for r in runners]
        until = time.perf_counter() + SECONDS
        while len(found[1]) < ROUNDS or time.perf_counter() < until:
            for runner, given, times in zip(runners, placed, found, strict=True):
                times.append(_timed(runner.model, given))
    return median(found[0]), median(found[1])


def _timed(model: nn.Module, call: Call) -> float:
    """Milliseconds until a pass is done, on the GPU, too."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    model(*call.args, **call.kwargs)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)
