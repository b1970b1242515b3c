"""Train a replaced site, without labels, to give what the old model gives where the site's lattice is taken out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.attribution.repair.lattice_removal import remove_lattice
from artifactlab.attribution.sites.capture import unwrap
from artifactlab.errors import ArtifactLabError, InputError, ModelError, first_line
from artifactlab.fix.checkpoint import State, fingerprint, load_state, save_state
from artifactlab.fix.operator import neighbours_of
from artifactlab.fix.replace import Swap
from artifactlab.fix.teacher import WIDE, teacher_outputs
from artifactlab.fix.verify import inside
from artifactlab.metrics.gradients import gradient
from artifactlab.models.calls import Call, as_calls, on_device
from artifactlab.models.outputs import pick_output
from artifactlab.models.random_state import random_states_kept

LEARNING_RATE = 5e-3
"""what `benchmarks/fix.py` trained with; where there are few inputs, 1e-3 to 2e-3 kept the image better"""
EVERY = 25
"""steps between two looks at the held-out inputs, and between two checkpoints"""
HELD_OUT = 5
"""every so many inputs one is not trained on, but decides which weights are kept"""
MOST_HELD_OUT = 8
"""inputs at most that decide"""
TEACHING = 0.3
"""share of the time after which no more inputs are shown to the teacher"""
EDGE_SCALE = 0.7
"""pixels: sigma of the derivatives in the edge term"""


@dataclass(frozen=True)
class Distilled:
    """The result of `distil`."""

    trained: tuple[str, ...]
    """qualified names of the modules whose weights were trained"""
    steps: int
    """done, those before an interruption included"""
    seconds: float
    """spent, likewise"""
    loss: tuple[float, float]
    """on the held-out inputs, at the start and with the weights that were kept; in fractions of the data range"""

    def __str__(self) -> str:
        before, after = self.loss
        what = f"{' and '.join(self.trained)} for {self.steps} steps, {self.seconds:.0f} s"
        return f"Trained {what}: from {255 * before:.2f}/255 to {255 * after:.2f}/255 on held-out inputs."


@dataclass
class _Training:
    """What does not change from step to step."""

    model: nn.Module
    weights: dict[str, nn.Parameter]
    calls: list[Call]
    targets: list[Tensor]
    output: str | int | None
    data_range: float
    period: tuple[int, int]
    lattice_weight: float
    seed: int
    held_out: list[int] = field(default_factory=list)
    used: list[int] = field(default_factory=list)

    def loss(self, number: int) -> Tensor:
        """`distance`, or a ModelError that says what the model did."""
        try:
            return self.distance(number)
        except ArtifactLabError:
            raise
        except Exception as error:
            raise ModelError(
                f"the model failed with the new layer: {type(error).__name__}: {first_line(error)} (it is called with"
                " features alone: no output_size, and it has none of the old layer's attributes)"
            ) from error

    def distance(self, number: int) -> Tensor:
        """Distance of one output from its target: of pixels, of edges, and of what keeps step with the lattice."""
        call = self.calls[number]
        difference = self._run(call).float() - self.targets[number].to(next(iter(self.weights.values())).device)
        planes = inside(difference / self.data_range, self.period).flatten(0, 1)[:, None]
        vertical, horizontal = gradient(planes, EDGE_SCALE)
        pattern = planes - remove_lattice(planes, self.period, WIDE)
        edges = vertical.abs().mean() + horizontal.abs().mean()
        return planes.abs().mean() + edges + self.lattice_weight * pattern.abs().mean()

    def held_out_loss(self) -> float:
        """The mean loss over the held-out inputs."""
        with torch.no_grad():
            return float(torch.stack([self.loss(number) for number in self.held_out]).mean())

    def _run(self, call: Call) -> Tensor:
        device = next(iter(self.weights.values())).device
        placed = on_device(call, device)
        with random_states_kept(self.seed):
            result = self.model(*placed.args, **placed.kwargs)
        return pick_output(result, self.output)

    def number_at(self, step: int) -> int:
        """Which input a step is on: all of them in a new order each round, the same after a resumption."""
        around, place = divmod(step, len(self.used))
        generator = torch.Generator().manual_seed(self.seed + around)
        return self.used[int(torch.randperm(len(self.used), generator=generator)[place])]


def distil(
    model: nn.Module,
    old: nn.Module,
    swap: Swap,
    inputs: Any,
    *,
    neighbours: bool = False,
    steps: int = 600,
    seconds: float = 600.0,
    learning_rate: float = LEARNING_RATE,
    lattice_weight: float = 2.0,
    output: str | int | None = None,
    data_range: float = 1.0,
    checkpoint: Path | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Distilled:
    """Train the replaced site of `model`, in place, against `old` with that site's lattice taken out.

    L1 of pixels, of Gaussian derivatives and of the phase pattern between the two outputs, away from the border; Adam,
    its rate falling along a cosine. The model runs in eval mode and everything but the trained weights is frozen. The
    weights kept are those that are best on held-out inputs (a fifth of them, eight at most; of fewer than five, all),
    the initial ones included: it can only get better there.

    Args:
        model: after `replace_upsampler`.
        old: a copy of it from before.
        swap: what `replace_upsampler` returned.
        inputs: as for `diagnose`; any images of the kind that the model is used on, no labels.
        neighbours: also train the layers with weights right before and right after the site.
        steps: most steps, one input each.
        seconds: time after which no step begins; a third of it at most goes to the teacher, which may then not have
            seen all inputs.
        learning_rate: at the start.
        lattice_weight: of the error's phase pattern, which is small beside all else in a pixel's error. Raise it where
            the grid stays, lower it where the image changes.
        output: key, attribute or index of the output to match.
        data_range: distance between the output's darkest and brightest value.
        checkpoint: file to go on from if it is there, written every 25 steps; a run that was killed and one that was
            not end alike, unless time ran out. It stays, so that nothing is lost before the weights are saved.
        seed: of the order of the inputs.
        progress: called with (steps done, steps planned).

    Raises:
        InputError: if there are no usable inputs, or a number is out of range.
        FixError: if the old model has no such site any more, or the checkpoint belongs to another run; the model's
            weights are then as they were.
        ModelError: if a model fails on an input.

    >>> import copy
    >>> from artifactlab.fix import replace_upsampler
    >>> old = nn.Sequential(nn.ConvTranspose2d(1, 1, 4, 2, 1))
    >>> new = copy.deepcopy(old)
    >>> swap = replace_upsampler(new, "0")
    >>> distil(new, old, swap, torch.rand(1, 1, 32, 32), steps=2).trained
    ('0',)
    """
    if steps < 1 or not seconds > 0 or not learning_rate > 0 or not data_range > 0 or not lattice_weight >= 0:
        raise InputError(
            "steps, seconds, learning_rate and data_range must be positive, and lattice_weight not negative, got"
            f" {steps}, {seconds}, {learning_rate}, {data_range}, {lattice_weight}"
        )
    start = time.monotonic()
    model, calls = unwrap(model), as_calls(inputs)
    trained = [swap.replacement.paths[0], *(neighbours_of(unwrap(old), swap.replacement.paths) if neighbours else ())]
    targets, period = teacher_outputs(unwrap(old), swap, calls, output, seed, start + TEACHING * seconds)
    calls = calls[: len(targets)]
    weights = {
        f"{path}.{name}": parameter
        for path in trained
        for name, parameter in model.get_submodule(path).named_parameters()
    }
    job = _Training(model, weights, calls, targets, output, data_range, period, lattice_weight, seed)
    job.held_out = list(range(len(calls)))[:: HELD_OUT if len(calls) >= HELD_OUT else 1][:MOST_HELD_OUT]
    job.used = [k for k in range(len(calls)) if k not in job.held_out] or job.held_out
    settings: dict[str, Any] = {"steps": steps, "learning_rate": learning_rate, "lattice_weight": lattice_weight}
    settings |= {"seed": seed, "trained": trained, "output": output, "data_range": data_range}
    settings["weights"] = {name: float(parameter.detach().sum()) for name, parameter in weights.items()}
    run = fingerprint(swap.replacement.to_dict() | settings, targets)
    before = {name: parameter.detach().clone() for name, parameter in weights.items()}
    with _only_trainable(model, weights):
        try:
            state = _train(job, steps, seconds, learning_rate, checkpoint, run, start, progress)
        except BaseException:
            _set(weights, before)
            raise
    _set(weights, state.best)
    return Distilled(tuple(trained), state.step, state.seconds, (state.first_loss, state.best_loss))


def _train(
    job: _Training,
    steps: int,
    seconds: float,
    rate: float,
    checkpoint: Path | None,
    run: str,
    start: float,
    progress: Callable[[int, int], None] | None,
) -> State:
    optimiser = torch.optim.Adam(job.weights.values(), lr=rate)
    state = load_state(checkpoint, run) if checkpoint else None
    if state:
        _set(job.weights, state.weights)
        optimiser.load_state_dict(state.optimiser)
    else:
        first = job.held_out_loss()
        state = State(step=0, planned=steps, seconds=0.0, first_loss=first, best_loss=first, best=_copied(job.weights))
    spent = state.seconds
    while state.step < state.planned and (spent < seconds or not state.step):
        for group in optimiser.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * state.step / state.planned))
        loss = job.loss(job.number_at(state.step))
        if not loss.requires_grad:
            raise ModelError("nothing can be trained: the model's forward runs without gradients (no_grad, or detach)")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        state.step += 1
        state.seconds = spent + time.monotonic() - start
        if state.step % EVERY == 0 or state.step >= state.planned or state.seconds > seconds:
            _look(job, state)
            state.seconds = spent + time.monotonic() - start
            if checkpoint:
                state.weights, state.optimiser = _copied(job.weights), optimiser.state_dict()
                save_state(checkpoint, run, state)
            if state.seconds > seconds:
                break
            affordable = state.step + int((seconds - state.seconds) * state.step / state.seconds)
            state.planned = min(steps, affordable)  # so that the rate has fallen when the time is up
        if progress:
            progress(state.step, state.planned)
    return state


def _look(job: _Training, state: State) -> None:
    """Keep the weights if they are the best so far."""
    loss = job.held_out_loss()
    if loss < state.best_loss:
        state.best_loss, state.best = loss, _copied(job.weights)


@contextmanager
def _only_trainable(model: nn.Module, weights: dict[str, nn.Parameter]) -> Iterator[None]:
    """Eval mode, and gradients for these weights alone; all flags and gradients as they were afterwards."""
    flags = [(module, module.training) for module in model.modules()]
    wanted = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    owners = [module._buffers for module in model.modules()]
    buffers = [
        (owner, name, b, None if b is None else b.detach().clone()) for owner in owners for name, b in owner.items()
    ]
    trained = {id(parameter) for parameter in weights.values()}
    try:
        for module, _ in flags:
            module.training = False
        for parameter, _, _ in wanted:
            parameter.requires_grad_(id(parameter) in trained)
            parameter.grad = None
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for module, training in flags:
            module.training = training
        for parameter, requires_grad, grad in wanted:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad
        with torch.no_grad():
            for owner, name, buffer, values in buffers:
                owner[name] = buffer
                if buffer is not None and values is not None:
                    buffer.copy_(values)


def _copied(weights: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in weights.items()}


def _set(weights: dict[str, nn.Parameter], values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.copy_(values[name])
