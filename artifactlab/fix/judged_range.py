"""The data range that a fix is trained and judged in: the one that is given, or what `diagnose` takes it for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from artifactlab.fix.options import JudgingOptions
from artifactlab.models.calls import Call
from artifactlab.models.runner import Runner
from artifactlab.models.wrappers import unwrap
from artifactlab.scoring.data_range import data_range_of

MOST = 8
"""Inputs that are run to tell a range: what pictures are, the first ones show."""


def with_range(judging: JudgingOptions, model: nn.Module, calls: Sequence[Call]) -> JudgingOptions:
    """The same options with a range: where none is given, the one that `diagnose` would find in the outputs.

    Args:
        judging: which output is judged.
        model: the old one.
        calls: its inputs, of which the first are run.

    >>> import torch
    >>> from artifactlab.models.calls import as_calls
    >>> signed = as_calls(torch.linspace(-1, 1, 256).view(1, 1, 16, 16))
    >>> with_range(JudgingOptions(), nn.Upsample(scale_factor=2), signed).data_range
    2.0
    """
    if judging.data_range is not None:
        return judging
    with Runner(unwrap(model), judging.output, judging.seed) as runner:
        outputs = [runner.run(call).cpu() for call in calls[:MOST]]
        found = data_range_of(outputs, known=runner.judged.values.data_range)
    return replace(judging, data_range=found.size)
