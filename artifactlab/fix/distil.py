"""Train replaced sites, without labels, to give what the old model gives where their lattice is taken out."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from artifactlab.fix.checkpoint import fingerprint, load_state
from artifactlab.fix.crops import training_crops
from artifactlab.fix.frozen import only_trainable
from artifactlab.fix.judged_range import with_range
from artifactlab.fix.objective import HELD_OUT_EVERY, Objective
from artifactlab.fix.operator import neighbours_of
from artifactlab.fix.options import (
    JudgingOptions,
    TrainingOptions,
    refuse_out_of_range,
    refuse_unknown,
    with_fields,
)
from artifactlab.fix.swap import Swap
from artifactlab.fix.teacher import teacher_outputs
from artifactlab.fix.training import EVALUATIONS, FIRST, STEPS_DONE, Progress, Report, copied, put_back, train
from artifactlab.models.calls import as_calls
from artifactlab.models.outputs import tensors
from artifactlab.models.wrappers import unwrap

TEACHER_SHARE = 0.3
"""Share of the time after which no more inputs are shown to the old model, so that most of it goes to training; its two
passes over an input cost about as much as one step."""


@dataclass(frozen=True)
class Distilled:
    """The result of `distil`."""

    trained: tuple[str, ...]
    """Qualified names of the modules whose weights were trained."""
    steps: int
    """How many steps were done, each a pass forward and back over one input; those before an interruption included."""
    seconds: float
    """How long it took, the time before an interruption included."""
    loss: tuple[float, float]
    """The loss on held-out inputs at the start and with the weights that were kept, in fractions of the data range."""
    notes: tuple[str, ...] = ()
    """What was trained on, in sentences, where that is not all inputs as they are."""
    ended: str = STEPS_DONE
    """Why it ended, in a clause: the steps were done, time ran out, or nothing more was gained."""

    def __str__(self) -> str:
        before, after = self.loss
        what = f"{' and '.join(self.trained)} for {self.steps} steps, {self.seconds:.0f} s ({self.ended})"
        gain = f"from {255 * before:.2f}/255 to {255 * after:.2f}/255 on held-out inputs."
        return " ".join([f"Trained {what}: {gain}", *self.notes])


def distil(
    model: nn.Module,
    old: nn.Module,
    swaps: Swap | Sequence[Swap],
    inputs: Any,
    *,
    training: TrainingOptions | None = None,
    judging: JudgingOptions | None = None,
    progress: Progress | None = None,
    report: Report | None = None,
    **fields: Any,
) -> Distilled:
    """Train the replaced sites of `model` together, in place, against `old` with their lattice taken out.

    Least squares of pixels, of Gaussian derivatives and of the phase pattern between the two outputs, away from the
    border, see `artifactlab.fix.training`: most is gone after 50 steps, on four inputs. The model runs in eval mode and
    everything but the trained weights is frozen. The weights kept are those that are best on held-out inputs (a fifth
    of them, eight at most; of fewer than five, all), the initial ones included, and show no more artifact than those:
    it can only get better there. A run that was killed and goes on from its checkpoint ends as one that was not, unless
    time ran out. The checkpoint stays, so that nothing is lost before weights are saved.
    Inputs whose output is larger than 256 pixels a side are cut to random crops; too small ones are left out.

    Args:
        model: after `replace_upsampler`.
        old: a copy of it from before.
        swaps: what `replace_upsampler` returned, once or several times.
        inputs: as for `diagnose`; any images of the kind that the model is used on, no labels.
        training: how to train, see `TrainingOptions`.
        judging: which output to match, see `JudgingOptions`.
        progress: called with (steps done, steps planned).
        report: called after each round with an `Evaluation`: how far held-out outputs are off, and what they show.
        fields: fields of either record by name, such as `steps=100`; the records are preferred, as type checkers see
            into them.

    Raises:
        InputError: if there are no usable inputs, all are too small, or a number is out of range.
        FixError: if the old model has no such site any more, or the checkpoint belongs to another run; the model's
            weights are then as they were.
        ModelError: if a model fails on an input.
        TypeError: if `fields` has a name that neither record has.

    >>> import copy, torch
    >>> from artifactlab.fix import replace_upsampler
    >>> old = nn.Sequential(nn.ConvTranspose2d(1, 1, 4, 2, 1))
    >>> new = copy.deepcopy(old)
    >>> swap = replace_upsampler(new, "0")
    >>> distil(new, old, swap, torch.rand(1, 1, 32, 32), training=TrainingOptions(steps=2)).trained
    ('0',)
    """
    refuse_unknown(fields, TrainingOptions, JudgingOptions)
    training = with_fields(training or TrainingOptions(), fields)
    judging = with_fields(judging or JudgingOptions(), fields)
    refuse_out_of_range(training, judging)
    start = time.monotonic()
    model, swaps = unwrap(model), [swaps] if isinstance(swaps, Swap) else list(swaps)
    crops = training_crops(old, swaps, as_calls(inputs), judging)
    calls = crops.calls[: _needed(training.steps)]
    judging = with_range(judging, old, calls)
    trained = _trained_paths(old, swaps, bool(training.neighbours))
    weights = _weights(model, trained)
    given = [*((call.args, dict(call.kwargs)) for call in calls), dict(unwrap(old).state_dict())]
    run = fingerprint(_settings(swaps, trained, weights, training, judging), (tensor for _, tensor in tensors(given)))
    state = load_state(training.checkpoint, run, weights) if training.checkpoint else None
    # a resumed run learns from what the killed one did, however long that takes this time
    until = start + TEACHER_SHARE * training.seconds if state is None else None
    shown = calls if state is None else calls[: state.inputs]
    targets, period = teacher_outputs(
        unwrap(old), swaps, shown, judging.output, judging.seed, until, judging.data_range or 1.0
    )
    count = len(targets)
    objective = Objective(model, weights, calls[:count], targets, period, training, judging, crops.images[:count])
    before = copied(weights)
    with only_trainable(model, weights):
        try:
            state = train(objective, run, start, progress, state, report)
        except BaseException:
            put_back(weights, before)
            raise
    put_back(weights, state.best)
    losses = state.first_loss, state.best_loss
    return Distilled(tuple(trained), state.step, state.seconds, losses, crops.notes, state.ended)


def _needed(steps: int) -> int:
    """How many inputs so many steps can look at, with those that are held out."""
    return max(FIRST, math.ceil(steps / EVALUATIONS * HELD_OUT_EVERY / (HELD_OUT_EVERY - 1)))


def _trained_paths(old: nn.Module, swaps: Sequence[Swap], neighbours: bool) -> list[str]:
    """Qualified names of the modules to train: the new ones, and their neighbours that are still there if wanted."""
    replaced = [path for swap in swaps for path in swap.replacement.paths]
    trained = [swap.replacement.paths[0] for swap in swaps]
    for swap in swaps if neighbours else ():
        near = neighbours_of(unwrap(old), swap.replacement.paths)
        trained += [path for path in near if not f"{path}.".startswith(tuple(f"{gone}." for gone in replaced))]
    return list(dict.fromkeys(trained))


def _weights(model: nn.Module, paths: list[str]) -> dict[str, nn.Parameter]:
    weights = {}
    for path in paths:
        for name, parameter in model.get_submodule(path).named_parameters():
            weights[f"{path}.{name}"] = parameter
    return weights


def _settings(
    swaps: Sequence[Swap],
    trained: list[str],
    weights: Mapping[str, nn.Parameter],
    training: TrainingOptions,
    judging: JudgingOptions,
) -> dict[str, Any]:
    """All that must be the same for a training to be gone on with, but for its inputs and the old model's weights."""
    return {
        "replacements": [swap.replacement.to_dict() for swap in swaps],
        "steps": training.steps,
        "lattice_weight": training.lattice_weight,
        "seed": judging.seed,
        "trained": trained,
        "output": judging.output,
        "data_range": judging.data_range,
        # rounded, as the last bits of what a layer starts with depend on the number of threads
        "weights": {
            name: f"{float(parameter.detach().double().abs().sum()):.6g}" for name, parameter in weights.items()
        },
    }
