"""The training of replaced sites, round by round, and the weights that are kept.

What is wanted is a least squares solution, and what lies behind a layer is nearly linear in that layer's weights. So it
is looked for as one: in coordinates in which the problem is round, see `whitening`, by L-BFGS with a line search (J.
Nocedal and S. Wright, "Numerical Optimization", chapters 3 and 7), on four inputs at first and on twice as many in each
round. There is no learning rate to choose.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from artifactlab.fix.checkpoint import State, save_state
from artifactlab.fix.may_stay import MIN_DROP
from artifactlab.fix.objective import Objective
from artifactlab.fix.options import TrainingOptions
from artifactlab.fix.whitening import Whitening
from artifactlab.scoring.severity import VISIBLE

FIRST = 4
"""Inputs of the first round: as few as find the way, so that most of it is gone in seconds."""
ITERATIONS = 10
"""Iterations of a round: more fit the few inputs of the early ones too well, and fewer have to begin more often."""
EVALUATIONS = 12
"""Passes over the inputs of a round that ten iterations take, as a line search nearly always takes the first length; by
that the inputs of a round are no more than there are steps left for."""
LOOKED_AT = 4
"""Inputs of a round by which its coordinates are found."""
RIDGE = 0.1
"""What a change of the coordinates costs by itself. Where inputs tell what a weight should be, their own share is 1 and
more; what they do not tell stays as it was. Without it four images of periodic content were learned by heart: on one of
four development nets nothing that was found was better than the start, and with it nothing was worse on any."""
GAIN = 0.01
"""Part of the loss that a round on all inputs has to take away for another one to be worth it."""
STEPS_DONE, TIME_RAN_OUT, CONVERGED = "the steps were done", "time ran out", "nothing more was gained"
"""Why a training ended."""

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


class TimeIsUp(Exception):
    """No time is left in the middle of a round."""


def train(
    objective: Objective,
    run: str,
    start: float,
    progress: Progress | None = None,
    state: State | None = None,
    report: Report | None = None,
) -> State:
    """Train until the steps are done, the time is over, or nothing is gained; the model is left with the last weights.

    Args:
        objective: what is trained, on what, and what for.
        run: the digest of all that must be the same for a checkpoint to be gone on with.
        start: the time of `time.monotonic` from which the seconds count.
        progress: called after each step, a pass forward and back over one input.
        state: where a run was killed that this one goes on from.
        report: called after each round.

    Returns:
        Where it stands, with the weights that were the best on the held-out inputs, of those that show no more there
        than the first ones.

    Raises:
        ModelError: if the model fails, or runs without gradients.
        FixError: if the checkpoint cannot be written.
    """
    if state is None:
        state = _at_first(objective)
    else:
        put_back(objective.weights, state.weights)
    options, spent = objective.options, state.seconds

    def step() -> None:
        state.step += 1
        if progress:
            progress(state.step, max(state.step, state.planned))
        if spent + time.monotonic() - start >= options.seconds:
            raise TimeIsUp

    while not state.ended and (count := _inputs_of_round(objective, state)):
        iterations = max(1, min(ITERATIONS, (state.planned - state.step) // count - 2))
        try:
            gain = _round(objective, objective.batch(state.shown, count), iterations, step)
        except TimeIsUp:
            gain = 1.0  # what there was to be gained nobody knows
        state.shown, state.last = state.shown + count, count
        found = Evaluation(objective.held_out_loss(), objective.shown())
        if found.loss < state.best_loss and found.severity <= max(VISIBLE, state.first_shown / MIN_DROP):
            state.best_loss, state.best = found.loss, copied(objective.weights)
        if report:
            report(found)
        state.seconds = spent + time.monotonic() - start
        state.planned = min(options.steps, state.step + _affordable(options, state))
        if gain < GAIN and count >= len(objective.used):
            state.ended = CONVERGED
        _save(objective, state, run)
    state.ended = state.ended or (TIME_RAN_OUT if state.planned < options.steps else STEPS_DONE)
    return state


def _affordable(options: TrainingOptions, state: State) -> int:
    """How many steps there is time for, each as long as those before."""
    return max(0, int((options.seconds - state.seconds) * state.step / max(state.seconds, 1e-9)))


def _inputs_of_round(objective: Objective, state: State) -> int:
    """How many inputs the next round takes: twice as many as the last one, as far as there are, and there are steps."""
    affordable = max(0, state.planned - state.step) // (EVALUATIONS + 1)  # one more, to find the coordinates
    wanted = min(2 * state.last or FIRST, len(objective.used), affordable)
    return wanted if state.step or not state.planned else max(1, wanted)


def _round(objective: Objective, numbers: Sequence[int], iterations: int, step: Callable[[], None]) -> float:
    """Some iterations on these inputs; the part of their loss that went.

    Raises:
        TimeIsUp: as `step` does, with the best weights so far left in the model.
    """

    def looked_at() -> Iterator[Tensor]:
        for number in numbers[:LOOKED_AT]:
            yield objective.output(number) / objective.data_range
            step()

    generator = torch.Generator().manual_seed(objective.judging.seed)
    place = Whitening(objective.model, objective.weights, looked_at(), generator)
    losses: list[float] = []
    best: list[Tensor] = []

    def closure() -> float:
        place.write()
        for weight in objective.weights.values():
            weight.grad = None
        total = 0.0
        for number in numbers:
            loss = objective.loss(number) / len(numbers)
            loss.backward()
            total += loss.item()
            step()
        total += place.read_gradients(RIDGE)
        if not losses or total < min(losses):
            best[:] = [one.detach().clone() for one in place.coordinates]
        losses.append(total)
        return total

    search = torch.optim.LBFGS(
        place.coordinates, max_iter=iterations, history_size=ITERATIONS, line_search_fn="strong_wolfe"
    )
    try:
        search.step(closure)
    except TimeIsUp:
        for one, kept in zip(place.coordinates, best, strict=False):  # none yet, and none has moved
            one.detach().copy_(kept)
        raise
    finally:
        place.write()
    return 1 - min(losses) / losses[0] if losses[0] else 0.0


def _at_first(objective: Objective) -> State:
    first = objective.held_out_loss()
    return State(
        step=0,
        inputs=len(objective.calls),
        planned=objective.options.steps,
        seconds=0.0,
        first_loss=first,
        first_shown=objective.shown(),
        best_loss=first,
        best=copied(objective.weights),
    )


def _save(objective: Objective, state: State, run: str) -> None:
    if objective.options.checkpoint is not None:
        state.weights = copied(objective.weights)
        save_state(objective.options.checkpoint, run, state)


def copied(weights: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The values of weights, apart from them."""
    return {name: parameter.detach().clone() for name, parameter in weights.items()}


def put_back(weights: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
    """Set weights, in place, to values that were copied."""
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.copy_(values[name])
