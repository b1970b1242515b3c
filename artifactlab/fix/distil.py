"""Train a replaced site, without labels, to give what the old model gives where the site's lattice is taken out.

The target takes from two passes of the old model what each is right about. Off the lattice's frequencies it is the
plain output, so that the image stays the same; on them it is the output with the site repaired as `diagnose` repairs
it, less what keeps step with the lattice over many blocks even then. Tried before: the plain output with the lattice
notched out, which at periods of 4 and 8 takes fine texture along; the repaired output alone, which later layers shift
where they had learned to expect a grid.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.capture import Capture, unwrap, watch
from artifactlab.errors import FixError, InputError, ModelError, first_line
from artifactlab.fix.checkpoint import State, fingerprint, load_state, save_state
from artifactlab.fix.operator import neighbours_of
from artifactlab.fix.replace import Swap
from artifactlab.fix.verify import inside
from artifactlab.metrics.gradients import gradient
from artifactlab.outputs import pick_output
from artifactlab.randomness import random_states_kept
from artifactlab.records import Site
from artifactlab.repair import remove_lattice
from artifactlab.runner import Call, Runner, as_calls
from artifactlab.severity import joint_period
from artifactlab.trials import repaired_output

EVERY = 25
"""steps between two looks at the held-out inputs, and between two checkpoints"""
HELD_OUT = 5
"""every so manieth input is not trained on, but decides which weights are kept"""
WIDE = 7
"""blocks a side within which what is left of a grid after the repair is told from texture"""
LATTICE = 2.0
"""weight of the term for the lattice, which is small beside all else in a pixel's error"""
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
    seed: int
    held_out: list[int] = field(default_factory=list)
    used: list[int] = field(default_factory=list)

    def loss(self, number: int) -> Tensor:
        """Distance of one output from its target: of pixels, of edges, and of what keeps step with the lattice."""
        call = self.calls[number]
        difference = self._run(call).float() - self.targets[number].to(next(iter(self.weights.values())).device)
        planes = inside(difference / self.data_range, self.period).flatten(0, 1)[:, None]
        vertical, horizontal = gradient(planes, EDGE_SCALE)
        pattern = planes - remove_lattice(planes, self.period, WIDE)
        edges = vertical.abs().mean() + horizontal.abs().mean()
        return planes.abs().mean() + edges + LATTICE * pattern.abs().mean()

    def held_out_loss(self) -> float:
        """The mean loss over the held-out inputs."""
        with torch.no_grad():
            return float(torch.stack([self.loss(number) for number in self.held_out]).mean())

    def _run(self, call: Call) -> Tensor:
        device = next(iter(self.weights.values())).device
        with random_states_kept(self.seed):
            result = self.model(*_placed(call.args, device), **_placed(dict(call.kwargs), device))
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
    learning_rate: float = 5e-3,
    output: str | int | None = None,
    data_range: float = 1.0,
    checkpoint: Path | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Distilled:
    """Train the replaced site of `model`, in place, against `old` with that site's lattice taken out.

    L1 of pixels, of Gaussian derivatives and of the phase pattern between the two outputs; Adam, its rate falling along
    a cosine. The model
    runs in eval mode and everything but the trained weights is frozen. The weights kept are those that are best on
    held-out inputs (a fifth of them; of fewer than five, all), the initial ones included: it can only get better there.

    Args:
        model: after `replace_upsampler`.
        old: a copy of it from before.
        swap: what `replace_upsampler` returned.
        inputs: as for `diagnose`; any images of the kind that the model is used on, no labels.
        neighbours: also train the layers with weights right before and right after the site.
        steps: most steps, one input each.
        seconds: most time, that of the teacher's passes included.
        learning_rate: at the start.
        output: key, attribute or index of the output to match.
        data_range: distance between the output's darkest and brightest value.
        checkpoint: file to go on from if it is there, written every 25 steps; a run that was killed and one that was
            not end alike, unless time ran out. It is removed when the training is done.
        seed: of the order of the inputs.
        progress: called with (steps done, steps planned).

    Raises:
        InputError: if there are no usable inputs, or a number is out of range.
        FixError: if the old model has no such site any more, or the checkpoint belongs to another run; the model's
            weights are then as they were.
        ModelError: if a model fails on an input.
    """
    if steps < 1 or not seconds > 0 or not learning_rate > 0 or not data_range > 0:
        raise InputError(
            "steps, seconds, learning_rate and data_range must be positive, got"
            f" {steps}, {seconds}, {learning_rate}, {data_range}"
        )
    start = time.monotonic()
    model, calls = unwrap(model), as_calls(inputs)
    trained = [swap.replacement.paths[0], *(neighbours_of(unwrap(old), swap.replacement.paths) if neighbours else ())]
    targets, period = teacher_outputs(unwrap(old), swap, calls, output, seed)
    weights = {
        f"{path}.{name}": parameter
        for path in trained
        for name, parameter in model.get_submodule(path).named_parameters()
    }
    job = _Training(model, weights, calls, targets, output, data_range, period, seed)
    job.held_out = list(range(len(calls)))[::HELD_OUT] if len(calls) >= HELD_OUT else list(range(len(calls)))
    job.used = [k for k in range(len(calls)) if k not in job.held_out] or job.held_out
    run = fingerprint(
        swap.replacement.to_dict() | {"steps": steps, "learning_rate": learning_rate, "seed": seed, "trained": trained},
        targets,
    )
    before = {name: parameter.detach().clone() for name, parameter in weights.items()}
    with _only_trainable(model, weights):
        try:
            state = _train(job, steps, seconds, learning_rate, checkpoint, run, start, progress)
        except BaseException:
            _set(weights, before)
            raise
    _set(weights, state.best)
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return Distilled(tuple(trained), state.step, state.seconds, (state.first_loss, state.best_loss))


def teacher_outputs(
    old: nn.Module, swap: Swap, calls: Sequence[Call], output: str | int | None = None, seed: int = 0
) -> tuple[list[Tensor], tuple[int, int]]:
    """What the new model is to give, float32 on the CPU, and the period of the lattice that is taken out."""
    targets = []
    with Runner(old, output, seed) as runner:
        found = Capture()
        with watch(runner.model, found.visit, found.finish):
            runner.run(calls[0])
        sites = sites_at([captured.site for captured in found.sites], swap.replacement.paths)
        if not sites:
            keys = ", ".join(captured.site.key for captured in found.sites)
            raise FixError(f"the old model draws no lattice at {swap.replacement.site}; it has {keys}")
        period = joint_period([site.period for site in sites], (1 << 30, 1 << 30))
        for call in calls:
            plain, repaired = runner.run(call).float(), repaired_output(runner, call, sites).float()
            rest = remove_lattice(repaired, period, WIDE)
            targets.append((remove_lattice(plain, period) + rest - remove_lattice(rest, period)).cpu())
    return targets, period


def sites_at(sites: Sequence[Site], paths: Sequence[str]) -> list[Site]:
    """The sites that modules at these paths make, themselves or inside."""
    return [site for site in sites if any(site.name == path or site.name.startswith(f"{path}.") for path in paths)]


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
        state = State(step=0, seconds=0.0, first_loss=first, best_loss=first, best=_copied(job.weights))
    spent = state.seconds
    planned = steps
    while state.step < planned:
        for group in optimiser.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * state.step / planned))
        try:
            loss = job.loss(job.number_at(state.step))
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"the model failed while it was trained: {first_line(error)}") from error
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        state.step += 1
        state.seconds = spent + time.monotonic() - start
        if state.step % EVERY == 0 or state.step >= planned or state.seconds > seconds:
            _look(job, state)
            state.seconds = spent + time.monotonic() - start
            if checkpoint:
                state.weights, state.optimiser = _copied(job.weights), optimiser.state_dict()
                save_state(checkpoint, run, state)
            if state.seconds > seconds:
                break
            affordable = state.step + int((seconds - state.seconds) * state.step / state.seconds)
            planned = min(steps, affordable)  # so that the rate has fallen when the time is up
        if progress:
            progress(state.step, planned)
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
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    trained = {id(parameter) for parameter in weights.values()}
    try:
        for module, _ in flags:
            module.training = False
        for parameter, _, _ in wanted:
            parameter.requires_grad_(id(parameter) in trained)
            parameter.grad = None
        with torch.enable_grad():
            yield
    finally:
        for module, training in flags:
            module.training = training
        for parameter, requires_grad, grad in wanted:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad
        with torch.no_grad():
            for buffer, values in buffers:
                buffer.copy_(values)


def _copied(weights: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in weights.items()}


def _set(weights: dict[str, nn.Parameter], values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.copy_(values[name])


def _placed(value: Any, device: torch.device) -> Any:
    """Arguments on the model's device, cloned, as a model may write into its input."""
    if isinstance(value, Tensor):
        return value.detach().clone().to(device)
    if isinstance(value, (list, tuple)):
        return tuple(_placed(item, device) for item in value)
    if isinstance(value, dict):
        return {key: _placed(item, device) for key, item in value.items()}
    return value
