"""The training of replaced sites, round by round: its loss, its held-out inputs, and the weights that are kept.

What is wanted is a least squares solution, and what lies behind a layer is nearly linear in that layer's weights. So it
is looked for as one: in coordinates in which the problem is round, see `whitening`, by L-BFGS with a line search (J.
Nocedal and S. Wright, "Numerical Optimization", chapters 3 and 7), on four inputs at first and on twice as many in each
round. There is no learning rate to choose.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from artifactlab.attribution.repair.lattice_removal import remove_lattice
from artifactlab.errors import ArtifactLabError, ModelError, first_line
from artifactlab.fix.checkpoint import State, save_state
from artifactlab.fix.likeness import derivatives, inside
from artifactlab.fix.options import JudgingOptions, TrainingOptions
from artifactlab.fix.teacher import RESIDUAL_BLOCKS
from artifactlab.fix.whitening import Whitening
from artifactlab.models.calls import Call, on_device
from artifactlab.models.outputs import pick_output
from artifactlab.models.random_state import random_states_kept
from artifactlab.scoring.severity import measure_severity, pool

FIRST = 4
"""Inputs of the first round: as few as find the way, so that most of it is gone in seconds."""
ITERATIONS = 10
"""Iterations of a round: more fit the few inputs of the early ones too well, and fewer have to begin more often."""
EVALUATIONS = 12
"""Passes over the inputs of a round that ten iterations take, in whose line searches the first length is nearly always
taken; by that the inputs of the last round are as many as there are steps left for."""
HISTORY = 10
"""Pairs of steps and gradients that L-BFGS keeps: all of a round."""
LOOKED_AT = 4
"""Inputs of a round by which its coordinates are found."""
GAIN = 0.01
"""Part of the loss that a round on all inputs has to take away for another one to be worth it."""
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
        """The mean square by which one output is off its target: of pixels, of edges, and of what keeps step with the
        lattice; or a ModelError that says what the model did."""
        difference = self.output(number) - self.targets[number].to(self._device)
        planes = inside(difference / self.judging.data_range, self.period).flatten(0, 1)[:, None]
        pattern = planes - remove_lattice(planes, self.period, RESIDUAL_BLOCKS)
        edges = torch.stack([part.square().mean() for part in derivatives(planes)]).sum()
        return planes.square().mean() + edges + self.options.lattice_weight**2 * pattern.square().mean()

    def output(self, number: int) -> Tensor:
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

    def held_out_loss(self) -> float:
        """The root of the mean loss over the held-out inputs, in data ranges."""
        with torch.no_grad():
            return float(torch.stack([self.loss(number) for number in self.held_out]).mean().sqrt())

    def shown(self) -> float:
        """The severity of the first held-out outputs at the lattice's period."""
        with torch.no_grad():
            outputs = [self.output(number).cpu() for number in self.held_out[:MEASURED]]
        found = [measure_severity(output, self.period, self.judging.data_range) for output in outputs]
        return sum(pool(found).together())

    def batch(self, first: int, count: int) -> list[int]:
        """Numbers of the inputs of a round: all in a new order each time around, the same after a resumption."""
        return [self._number_at(place) for place in range(first, first + count)]

    def _number_at(self, place: int) -> int:
        around, within = divmod(place, len(self.used))
        generator = torch.Generator().manual_seed(self.judging.seed + around)
        return self.used[int(torch.randperm(len(self.used), generator=generator)[within])]

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
    """Train until the steps are done, the time is over, or nothing is gained; the model is left with the last weights.

    Args:
        training: what is trained, and on what.
        run: the digest of all that must be the same for a checkpoint to be gone on with.
        start: the time of `time.monotonic` from which the seconds count.
        progress: called after each step, a pass forward and back over one input.
        state: where a run was killed that this one goes on from.
        report: called after each round.

    Returns:
        Where it stands, with the weights that were the best on the held-out inputs.

    Raises:
        ModelError: if the model fails, or runs without gradients.
        FixError: if the checkpoint cannot be written.
    """
    if state is None:
        state = _at_first(training)
    else:
        put_back(training.weights, state.weights)
    spent = state.seconds
    clock = Clock(training.options, state, lambda: spent + time.monotonic() - start, progress)
    while count := _inputs_of_round(training, state):
        gain = _round(training, training.batch(state.shown, count), clock)
        state.shown, state.last = state.shown + count, count
        state.seconds = clock.seconds()
        loss = _keep_if_best(training, state)
        if report:
            report(Evaluation(loss, training.shown()))
        state.seconds = clock.seconds()
        _save(training, state, run)
        if clock.is_over() or (gain < GAIN and count >= len(training.used)):
            break
    return state


@dataclass
class Clock:
    """What a training has done and may still do."""

    options: TrainingOptions
    state: State
    seconds: Callable[[], float]
    """How long it has taken."""
    progress: Progress | None

    def tick(self) -> None:
        """A pass forward and back over one input is done."""
        self.state.step += 1
        if self.progress:
            self.progress(self.state.step, max(self.state.step, self.state.planned))

    def is_over(self) -> bool:
        """Whether time is over, and how many steps there is time for."""
        seconds = self.seconds()
        affordable = int((self.options.seconds - seconds) * self.state.step / max(seconds, 1e-9))
        self.state.planned = min(self.options.steps, self.state.step + max(0, affordable))
        return seconds > self.options.seconds


def _inputs_of_round(training: Training, state: State) -> int:
    """How many inputs the next round takes: twice as many as the last one, as far as there are and there is time for."""
    left = state.planned - state.step
    affordable = left // (EVALUATIONS + 1)  # one more, to find the coordinates
    wanted = min(2 * state.last or FIRST, len(training.used))
    if not state.step:
        return max(1, min(wanted, affordable))
    return min(wanted, affordable)


def _round(training: Training, numbers: Sequence[int], clock: Clock) -> float:
    """Some iterations on these inputs; the part of their loss that went."""
    generator = torch.Generator().manual_seed(training.judging.seed)
    data_range = training.judging.data_range

    def looked_at() -> Iterator[Tensor]:
        for number in numbers[:LOOKED_AT]:
            yield training.output(number) / data_range
            clock.tick()

    place = Whitening(training.model, training.weights, looked_at(), generator)
    search = torch.optim.LBFGS(
        place.coordinates,
        max_iter=ITERATIONS,
        max_eval=EVALUATIONS + ITERATIONS,
        history_size=HISTORY,
        line_search_fn="strong_wolfe",
    )
    losses: list[float] = []

    def closure() -> float:
        place.write()
        for parameter in training.weights.values():
            parameter.grad = None
        total = 0.0
        for number in numbers:
            loss = training.loss(number) / len(numbers)
            loss.backward()
            total += float(loss)
            clock.tick()
        place.read_gradients()
        losses.append(total)
        return total

    search.step(closure)
    place.write()
    return 1 - min(losses) / losses[0] if losses[0] else 0.0


def _at_first(training: Training) -> State:
    first = training.held_out_loss()
    return State(
        step=0,
        inputs=len(training.calls),
        planned=training.options.steps,
        seconds=0.0,
        first_loss=first,
        best_loss=first,
        best=copied(training.weights),
    )


def _save(training: Training, state: State, run: str) -> None:
    if training.options.checkpoint is not None:
        state.weights = copied(training.weights)
        save_state(training.options.checkpoint, run, state)


def _keep_if_best(training: Training, state: State) -> float:
    """The loss on the held-out inputs; the weights are kept if there were none better."""
    loss = training.held_out_loss()
    if loss < state.best_loss:
        state.best_loss, state.best = loss, copied(training.weights)
    return loss


def copied(weights: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The values of weights, apart from them."""
    return {name: parameter.detach().clone() for name, parameter in weights.items()}


def put_back(weights: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
    """Set weights, in place, to values that were copied."""
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.copy_(values[name])
