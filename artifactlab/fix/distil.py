"""Train a replaced site, without labels, to give what the old model gives where the site's lattice is taken out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from artifactlab.fix.checkpoint import fingerprint, load_state
from artifactlab.fix.frozen import only_trainable
from artifactlab.fix.operator import neighbours_of
from artifactlab.fix.options import (
    JudgingOptions,
    TrainingOptions,
    refuse_out_of_range,
    refuse_unknown,
    with_fields,
)
from artifactlab.fix.replace import Swap
from artifactlab.fix.teacher import teacher_outputs
from artifactlab.fix.training import Progress, Training, copied, put_back, train
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
    """How many steps were done, those before an interruption included."""
    seconds: float
    """How long it took, the time before an interruption included."""
    loss: tuple[float, float]
    """The loss on held-out inputs at the start and with the weights that were kept, in fractions of the data range."""

    def __str__(self) -> str:
        before, after = self.loss
        what = f"{' and '.join(self.trained)} for {self.steps} steps, {self.seconds:.0f} s"
        return f"Trained {what}: from {255 * before:.2f}/255 to {255 * after:.2f}/255 on held-out inputs."


def distil(
    model: nn.Module,
    old: nn.Module,
    swap: Swap,
    inputs: Any,
    *,
    training: TrainingOptions | None = None,
    judging: JudgingOptions | None = None,
    progress: Progress | None = None,
    **fields: Any,
) -> Distilled:
    """Train the replaced site of `model`, in place, against `old` with that site's lattice taken out.

    L1 of pixels, of Gaussian derivatives and of the phase pattern between the two outputs, away from the border; Adam,
    its rate falling along a cosine. The model runs in eval mode and everything but the trained weights is frozen. The
    weights kept are those that are best on held-out inputs (a fifth of them, eight at most; of fewer than five, all),
    the initial ones included: it can only get better there. A run that was killed and goes on from its checkpoint ends
    as one that was not, unless time ran out. The checkpoint stays, so that nothing is lost before weights are saved.

    Args:
        model: after `replace_upsampler`.
        old: a copy of it from before.
        swap: what `replace_upsampler` returned.
        inputs: as for `diagnose`; any images of the kind that the model is used on, no labels.
        training: how to train, see `TrainingOptions`.
        judging: which output to match, see `JudgingOptions`.
        progress: called with (steps done, steps planned).
        fields: fields of either record by name, such as `steps=100`; the records are preferred, as type checkers see
            into them.

    Raises:
        InputError: if there are no usable inputs, or a number is out of range.
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
    model, calls = unwrap(model), as_calls(inputs)
    trained = _trained_paths(old, swap, training.neighbours)
    weights = _weights(model, trained)
    given = [*((call.args, dict(call.kwargs)) for call in calls), dict(unwrap(old).state_dict())]
    run = fingerprint(_settings(swap, trained, weights, training, judging), (tensor for _, tensor in tensors(given)))
    state = load_state(training.checkpoint, run, weights) if training.checkpoint else None
    # a resumed run learns from what the killed one did, however long that takes this time
    until = start + TEACHER_SHARE * training.seconds if state is None else None
    shown = calls if state is None else calls[: state.inputs]
    targets, period = teacher_outputs(unwrap(old), swap, shown, judging.output, judging.seed, until)
    job = Training(model, weights, calls[: len(targets)], targets, period, training, judging)
    before = copied(weights)
    with only_trainable(model, weights):
        try:
            state = train(job, run, start, progress, state)
        except BaseException:
            put_back(weights, before)
            raise
    put_back(weights, state.best)
    return Distilled(tuple(trained), state.step, state.seconds, (state.first_loss, state.best_loss))


def _trained_paths(old: nn.Module, swap: Swap, neighbours: bool) -> list[str]:
    """Qualified names of the modules to train: the new one, and its neighbours if wanted."""
    paths = swap.replacement.paths
    return [paths[0], *(neighbours_of(unwrap(old), paths) if neighbours else ())]


def _weights(model: nn.Module, paths: list[str]) -> dict[str, nn.Parameter]:
    weights = {}
    for path in paths:
        for name, parameter in model.get_submodule(path).named_parameters():
            weights[f"{path}.{name}"] = parameter
    return weights


def _settings(
    swap: Swap,
    trained: list[str],
    weights: Mapping[str, nn.Parameter],
    training: TrainingOptions,
    judging: JudgingOptions,
) -> dict[str, Any]:
    """All that must be the same for a training to be gone on with, but for its inputs and the old model's weights."""
    return {
        **swap.replacement.to_dict(),
        "steps": training.steps,
        "learning_rate": training.learning_rate,
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
