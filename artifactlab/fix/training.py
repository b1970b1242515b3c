"""The training of replaced sites, step by step: its loss, its held-out inputs, and the weights that are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from artifactlab.attribution.repair.lattice_removal import remove_lattice
from artifactlab.errors import ArtifactLabError, FixError, ModelError, first_line
from artifactlab.fix.checkpoint import State, save_state
from artifactlab.fix.learning_rate import copied, falling, put_back, search_rate, take_step
from artifactlab.fix.likeness import derivatives, inside
from artifactlab.fix.options import JudgingOptions, TrainingOptions
from artifactlab.fix.teacher import RESIDUAL_BLOCKS
from artifactlab.models.calls import Call, on_device
from artifactlab.models.outputs import pick_output
from artifactlab.models.random_state import random_states_kept
from artifactlab.scoring.severity import measure_severity, pool

EVALUATE_EVERY = 25
"""Steps between two evaluations on the held-out inputs, and two checkpoints: eight passes forward beside twenty-five
forward and back, so that a kill costs seconds and evaluating about a tenth."""
HELD_OUT_EVERY = 5
"""Every so many inputs one is held out: a fifth, as in five-fold cross-validation."""
MAX_HELD_OUT = 8
"""Held-out inputs at most, so that many inputs do not make evaluating slow."""

MEASURED = 2
"""Held-out outputs whose severity is measured at an evaluation, so that this takes less than the passes do."""

Progress = Callable[[int, int], None]
"""Called with (steps done, steps planned)."""


@dataclass(frozen=True)
class Evaluation:
    """Where a training stands, on inputs that are held out of it."""

    loss: float
    """How far outputs are from their targets, as a fraction of the data range: pixels, edges and lattice together."""
    severity: float
    """What the first of these outputs still show at the sites' period; 1 just shows."""

    def __str__(self) -> str:
        return f"{255 * self.loss:.2f}/255 off, severity {self.severity:.2f}"


Report = Callable[[Evaluation], None]
"""Told where a training stands."""


@dataclass(frozen=True)
class Training:
    """What does not change from step to step."""

    model: nn.Module
    """The model with the new layer."""
    weights: Mapping[str, nn.Parameter]
    """The parameters that are trained, by their qualified names."""
    calls: list[Call]
    """The inputs."""
    targets: list[Tensor]
    """What the model is to give for each of the inputs."""
    period: tuple[int, ...]
    """The period, along each axis of the output, of the lattice that the targets are without."""
    options: TrainingOptions
    """How to train."""
    judging: JudgingOptions
    """Which output is compared with the targets, and its range."""
    images: Sequence[int]
    """The number of the image that each of the inputs is, or is cut from."""

    @cached_property
    def held_out(self) -> list[int]:
        """Numbers of the inputs that decide which weights are kept; all of them where there are few."""
        return [number for number in range(len(self.calls)) if self._is_apart(number)][:MAX_HELD_OUT]

    @cached_property
    def used(self) -> list[int]:
        """Numbers of the inputs that are trained on: of all other images, if there are any."""
        return [number for number in range(len(self.calls)) if not self._is_apart(number)] or self.held_out

    def _is_apart(self, number: int) -> bool:
        """Whether an input is of an image that is held out; where there are few images, whether it is itself."""
        if self._apart is not None:
            return self.images[number] in self._apart
        return number % (HELD_OUT_EVERY if len(self.calls) >= HELD_OUT_EVERY else 1) == 0

    @cached_property
    def _apart(self) -> set[int] | None:
        """The images that are held out; None where there are too few."""
        images = list(dict.fromkeys(self.images))
        return set(images[::HELD_OUT_EVERY][:MAX_HELD_OUT]) if len(images) >= HELD_OUT_EVERY else None

    def loss(self, number: int) -> Tensor:
        """The distance of one output from its target, or a ModelError that says what the model did."""
        return self._distance(number, self._output(number))

    def _output(self, number: int) -> Tensor:
        """The model's output on one input, or a ModelError that says what the model did."""
        placed = on_device(self.calls[number], self._device)
        try:
            with random_states_kept(self.judging.seed):
                result = self.model(*placed.args, **placed.kwargs)
            return pick_output(result, self.judging.output).float()
        except ArtifactLabError:
            raise
        except Exception as error:
            raise ModelError(
                f"the model failed with the new layer: {type(error).__name__}: {first_line(error)} (it is called with"
                " features alone: no output_size, and it has none of the old layer's attributes)"
            ) from error

    def _distance(self, number: int, output: Tensor) -> Tensor:
        """Distance of one output from its target: of pixels, of edges, and of what keeps step with the lattice."""
        difference = output - self.targets[number].to(self._device)
        planes = inside(difference / self.data_range, self.period).flatten(0, 1)[:, None]
        pattern = planes - remove_lattice(planes, self.period, RESIDUAL_BLOCKS)
        edges = torch.stack([part.abs().mean() for part in derivatives(planes)]).sum()
        return planes.abs().mean() + edges + self.options.lattice_weight * pattern.abs().mean()

    def held_out_loss(self) -> float:
        """The mean loss over the held-out inputs."""
        with torch.no_grad():
            return float(torch.stack([self.loss(number) for number in self.held_out]).mean())

    def shown(self) -> float:
        """The severity of the first held-out outputs at the lattice's period."""
        with torch.no_grad():
            outputs = [self._output(number).cpu() for number in self.held_out[:MEASURED]]
        found = [measure_severity(output, self.period, self.data_range) for output in outputs]
        return sum(pool(found).together())

    def number_at(self, step: int) -> int:
        """Which input a step is on: all of them in a new order each round, the same after a resumption."""
        around, place = divmod(step, len(self.used))
        generator = torch.Generator().manual_seed(self.judging.seed + around)
        return self.used[int(torch.randperm(len(self.used), generator=generator)[place])]

    @property
    def data_range(self) -> float:
        """Of the output; 1 where nobody said."""
        return self.judging.data_range or 1.0

    @property
    def _device(self) -> torch.device:
        return next(iter(self.weights.values())).device


def train(
    training: Training,
    run: str,
    start: float,
    progress: Progress | None = None,
    state: State | None = None,
    report: Report | None = None,
) -> State:
    """Train until the steps are done or the time is over; the model is left with the last weights.

    Args:
        training: what is trained, and on what.
        run: the digest of all that must be the same for a checkpoint to be gone on with.
        start: the time of `time.monotonic` from which the seconds count.
        progress: called after each step.
        state: where a run was killed that this one goes on from.
        report: called at each evaluation.

    Returns:
        Where it stands, with the weights that were the best on the held-out inputs.

    Raises:
        ModelError: if the model fails, or runs without gradients.
        FixError: if the checkpoint cannot be written.
    """
    options = training.options
    is_new = state is None
    state = state or _at_first(training, options.learning_rate or search_rate(training, start))
    optimiser = torch.optim.Adam(training.weights.values(), lr=state.learning_rate)
    if not is_new:
        _go_on(training, optimiser, state)
    spent = state.seconds
    while state.step < state.planned and (spent < options.seconds or not state.step):
        _take_step(training, optimiser, state)
        state.seconds = spent + time.monotonic() - start
        if state.step % EVALUATE_EVERY == 0 or state.step >= state.planned or state.seconds > options.seconds:
            loss = _keep_if_best(training, state)
            if report:
                report(Evaluation(loss, training.shown()))
            state.seconds = spent + time.monotonic() - start
            _save(training, optimiser, state, run)
            if state.seconds > options.seconds:
                break
            affordable = state.step + int((options.seconds - state.seconds) * state.step / state.seconds)
            state.planned = min(options.steps, affordable)  # so that the rate has fallen when the time is up
        if progress:
            progress(state.step, state.planned)
    return state


def _go_on(training: Training, optimiser: torch.optim.Optimizer, state: State) -> None:
    """Put the state that a checkpoint holds into the weights and the optimiser."""
    try:
        optimiser.load_state_dict(state.optimiser)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FixError(
            f"{training.options.checkpoint} is no checkpoint of this fix: {first_line(error)}; remove it to start anew"
        ) from error
    put_back(training.weights, state.weights)


def _at_first(training: Training, learning_rate: float) -> State:
    first = training.held_out_loss()
    return State(
        step=0,
        inputs=len(training.calls),
        planned=training.options.steps,
        seconds=0.0,
        first_loss=first,
        best_loss=first,
        best=copied(training.weights),
        learning_rate=learning_rate,
    )


def _save(training: Training, optimiser: torch.optim.Optimizer, state: State, run: str) -> None:
    if training.options.checkpoint is not None:
        state.weights, state.optimiser = copied(training.weights), optimiser.state_dict()
        save_state(training.options.checkpoint, run, state)


def _take_step(training: Training, optimiser: torch.optim.Optimizer, state: State) -> None:
    rate = falling(state.learning_rate, state.step / state.planned)
    take_step(training, optimiser, state.step, rate)
    state.step += 1


def _keep_if_best(training: Training, state: State) -> float:
    """The loss on the held-out inputs; the weights are kept if there were none better."""
    loss = training.held_out_loss()
    if loss < state.best_loss:
        state.best_loss, state.best = loss, copied(training.weights)
    return loss
