"""What a fix is judged on where only inputs to train on are given: some of them, which it is then not trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from artifactlab.errors import CaptureError, ModelError
from artifactlab.fix.crops import MULTIPLE, input_size, part_of
from artifactlab.fix.options import JudgingOptions
from artifactlab.models.calls import Call
from artifactlab.models.image_needs import needs_of
from artifactlab.models.outputs import tensors
from artifactlab.models.runner import Runner
from artifactlab.models.wrappers import unwrap
from artifactlab.scoring.crops import crop_counts
from artifactlab.scoring.periods import smallest_side

EVERY = 5
"""Every so many inputs one is judged on: a fifth, as in five-fold cross-validation."""
SHARE = 4
"""The part of each input that is judged on where there are fewer: a quarter, its last rows or samples."""
PERIOD = 8
"""The period of three doublings, whose lattice outputs have to hold that are judged."""
ENOUGH_CROPS = 8
"""Crops of outputs from which on they alone tell which layer it is, as many as `compare` takes intervals of."""


@dataclass(frozen=True)
class Apart:
    """Inputs in two lots."""

    judged: list[Call]
    """What the fix is judged on."""
    taught: list[Call]
    """What it is trained on."""
    diagnosed: list[Call]
    """What the layers are found on: what is judged, or all inputs where that is little to tell them by."""
    note: str
    """What was done, in a sentence."""


def hold_out(model: nn.Module, calls: Sequence[Call], judging: JudgingOptions) -> Apart:
    """A fifth of the inputs to judge on, and the others to train on; of fewer than five, the lower quarter of each.

    Args:
        model: tells whether it takes parts of inputs.
        calls: the inputs.
        judging: which output is judged.

    >>> import torch
    >>> from artifactlab.models.calls import as_calls
    >>> apart = hold_out(nn.Upsample(scale_factor=2), as_calls([torch.zeros(1, 3, 128, 64)]), JudgingOptions())
    >>> apart.judged[0].args[0].shape, apart.taught[0].args[0].shape
    (torch.Size([1, 3, 32, 64]), torch.Size([1, 3, 96, 64]))
    """
    judged, taught = _lots(model, calls)
    crops = _crops(model, judged, taught, judging) if judged else 0
    if not crops:
        note = "Judged on what it was trained on: the inputs are too few and too small to keep some apart."
        return Apart(list(calls), list(calls), list(calls), note)
    note = f"Judged on {len(judged)} of the {len(calls)} inputs, trained on the others."
    if len(calls) < EVERY:
        note = "Judged on the lower quarter of each input, trained on what lies above."
    return Apart(judged, taught, judged if crops >= ENOUGH_CROPS else list(calls), note)


def _lots(model: nn.Module, calls: Sequence[Call]) -> tuple[list[Call], list[Call]]:
    """What is judged and what is trained on; nothing where inputs are few and have no parts."""
    if len(calls) >= EVERY:
        return list(calls[::EVERY]), [call for number, call in enumerate(calls) if number % EVERY]
    parts = [part for call in calls if (part := _parts(model, call)) is not None]
    if len(parts) < len(calls):
        return [], []
    return [lower for lower, _ in parts], [upper for _, upper in parts]


def are_same(judged: Sequence[Call], taught: Sequence[Call]) -> bool:
    """Whether all that is judged on is also trained on: the very same tensors."""
    known = {id(tensor) for call in taught for _, tensor in tensors((call.args, dict(call.kwargs)))}
    given = {id(tensor) for call in judged for _, tensor in tensors((call.args, dict(call.kwargs)))}
    return bool(given) and given <= known


def _parts(model: nn.Module, call: Call) -> tuple[Call, Call] | None:
    """The last quarter along the rows, and what lies before it; None where it has no such parts."""
    size = input_size(call)
    if not size:
        return None
    axis = max(0, len(size) - 2)  # the rows of images and volumes, the samples of signals
    needs, length = needs_of(model), size[axis]
    # what a model was given whole has a size that it takes, and a part of as many halvings does, too
    multiple = needs.multiple_of if needs else min(MULTIPLE, length & -length, _power_within(length / SHARE))
    kept = max(1, round(length / SHARE / multiple)) * multiple
    if 2 * kept > length:
        return None
    starts, corner = [0] * len(size), [0] * len(size)
    upper, lower = list(size), list(size)
    starts[axis], upper[axis], lower[axis] = length - kept, length - kept, kept
    return part_of(call, starts, lower), part_of(call, corner, upper)


def _power_within(number: float) -> int:
    """The largest power of two that is no larger; 1 of less than that."""
    return 1 << (max(1, int(number)).bit_length() - 1)


def _crops(model: nn.Module, judged: Sequence[Call], taught: Sequence[Call], judging: JudgingOptions) -> int:
    """How many crops what is judged has at least, see `ENOUGH_CROPS`; none where the model does not take the parts."""
    crops = 0
    with Runner(unwrap(model), judging.output, judging.seed) as runner:
        try:
            runner.run(taught[0])
            for call in judged:
                size = runner.run(call).shape[2:]
                if min(size[-2:]) < smallest_side(PERIOD):
                    return 0
                crops += math.prod(crop_counts(size, (PERIOD,) * len(size)))
                if crops >= ENOUGH_CROPS:
                    break
        except (ModelError, CaptureError):
            return 0
    return crops
