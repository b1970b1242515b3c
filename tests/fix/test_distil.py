"""Training a replaced site: without labels, nothing else touched, and to be gone on with after a kill."""

from __future__ import annotations

import copy
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from artifactlab.attribution.repair.lattice_removal import remove_lattice
from artifactlab.errors import FixError, InputError, ModelError
from artifactlab.fix import Distilled, JudgingOptions, TrainingOptions, check_fix, distil, replace_upsampler
from artifactlab.fix.likeness import derivatives, inside
from artifactlab.fix.objective import Objective
from artifactlab.fix.swap import Swap
from artifactlab.fix.teacher import RESIDUAL_BLOCKS, teacher_outputs
from artifactlab.fix.training import TIME_RAN_OUT, train
from artifactlab.metrics import edge_jaggedness
from artifactlab.models.calls import as_calls


def spoiled(decoders: ModuleType) -> tuple[nn.Module, nn.Module, Swap]:
    """A gridded decoder, the same with its upsampler replaced and then disturbed, and what was replaced."""
    old = decoders.gridded()
    new = copy.deepcopy(old)
    swap = replace_upsampler(new, "up")
    with torch.no_grad():
        new.up.conv.weight.mul_(0.9).add_(0.01 * torch.randn(new.up.conv.weight.shape))
    return old, new, swap


def test_the_target_is_the_old_output_less_its_grid(decoders: ModuleType) -> None:
    grid, clean = decoders.gridded(), decoders.gridded(0.0)
    inputs = decoders.images(2)
    swap = replace_upsampler(copy.deepcopy(grid), "up")
    targets, period = teacher_outputs(grid, [swap], as_calls(inputs))
    assert period == (2, 2)
    with torch.no_grad():
        for x, target in zip(inputs, targets, strict=True):
            inside = (..., slice(8, -8), slice(8, -8))
            bad, good, made = (y[inside] for y in (grid(x), clean(x), target))
            # a grid that brightens one phase of four by 10% brightens all by 2.5%, and that stays
            assert (made - 1.025 * good).abs().max() < 0.2 * (bad - 1.025 * good).abs().max()


def test_the_target_has_no_stair_steps_whatever_its_range(decoders: ModuleType) -> None:
    stairs = nn.Sequential(nn.AvgPool2d(2), nn.Upsample(scale_factor=2), nn.Conv2d(1, 1, 1))
    swap = replace_upsampler(copy.deepcopy(stairs), "1")
    for high in (1.0, 255.0):
        nn.init.constant_(stairs[2].weight, high)
        nn.init.zeros_(stairs[2].bias)
        inputs = decoders.images(1, 96)
        (target,), period = teacher_outputs(stairs, [swap], as_calls(inputs), data_range=high)
        before = edge_jaggedness(stairs(inputs[0]).detach() / high, period[0])
        assert before > 0.3
        assert edge_jaggedness(target / high, period[0]) < 0.02 * before  # .18 with the lattice taken out alone


def test_training_comes_nearer_to_the_target_and_touches_nothing_else(decoders: ModuleType) -> None:
    old, new, swap = spoiled(decoders)
    new.stem.train()
    kept = {name: value.clone() for name, value in new.state_dict().items() if not name.startswith("up")}
    before, random = copy.deepcopy(old.state_dict()), torch.get_rng_state()
    inputs = decoders.images(3)
    made = distil(new, old, swap, inputs, steps=60)
    assert made.trained == ("up",)
    assert 0 < made.steps <= 60
    assert made.loss[1] < 0.15 * made.loss[0]
    assert f"Trained up for {made.steps} steps" in str(made)
    assert all(torch.equal(new.state_dict()[name], value) for name, value in kept.items())
    assert all(torch.equal(value, before[name]) for name, value in old.state_dict().items())
    assert new.stem.training
    assert not new.up.training
    assert all(p.requires_grad and p.grad is None for p in new.parameters())
    assert torch.equal(random, torch.get_rng_state())


def test_the_neighbours_are_trained_on_request_only(decoders: ModuleType) -> None:
    old, new, swap = spoiled(decoders)
    before = {name: value.clone() for name, value in new.state_dict().items()}
    made = distil(new, old, swap, decoders.images(2), steps=30, neighbours=True)
    assert set(made.trained) == {"up", "stem", "head"}
    assert not torch.equal(new.stem.weight, before["stem.weight"])
    assert not torch.equal(new.head.weight, before["head.weight"])


def test_weights_that_get_worse_are_not_kept(decoders: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def worse(objective: Any, numbers: Any, iterations: int, step: Callable[[], None]) -> float:
        with torch.no_grad():
            objective.weights["up.conv.weight"].add_(1.0)
        for _ in range(20):
            step()
        return 0.5

    monkeypatch.setattr("artifactlab.fix.training._round", worse)
    old = decoders.gridded()
    new = copy.deepcopy(old)
    swap = replace_upsampler(new, "up")
    before = {name: value.clone() for name, value in new.state_dict().items()}
    made = distil(new, old, swap, decoders.images(2), steps=25)
    assert made.loss[0] == made.loss[1]
    assert all(torch.equal(value, before[name]) for name, value in new.state_dict().items())


def test_a_few_dozen_steps_find_what_least_squares_finds(decoders: ModuleType) -> None:
    old, new, swap = spoiled(decoders)
    inputs = decoders.images(1)
    targets, period = teacher_outputs(old, [swap], as_calls(inputs))
    weights, options = dict(new.up.named_parameters()), (TrainingOptions(), JudgingOptions())
    job = Objective(new, weights, as_calls(inputs), targets, period, *options, images=[0])
    conv = new.up.conv
    start = torch.cat([conv.weight.detach().flatten(), conv.bias.detach()])

    def residuals(weights: Tensor) -> Tensor:
        """The loss is the squared norm of these, which are affine in the weights of a net without activations."""
        parts = {"weight": weights[: conv.weight.numel()].view_as(conv.weight), "bias": weights[conv.weight.numel() :]}
        with torch.no_grad():
            for name, value in parts.items():
                getattr(conv, name).copy_(value)
            return torch.cat([weighted_residuals(job, number) for number in job.held_out])

    first = residuals(start)
    columns = torch.stack([residuals(start + e) - first for e in torch.eye(len(start))], 1).double()
    best = first.double() - columns @ torch.linalg.lstsq(columns, first.double()[:, None]).solution[:, 0]
    residuals(start)
    made = distil(new, old, swap, inputs, steps=120)
    assert made.loss[1] ** 2 < 1.1 * float(best.square().sum()) / len(job.held_out)


def weighted_residuals(job: Objective, number: int) -> Tensor:
    """What the loss squares, weighted so that it adds up."""
    planes = inside(job.output(number) - job.targets[number], job.period).flatten(0, 1)[:, None]
    pattern = planes - remove_lattice(planes, job.period, RESIDUAL_BLOCKS)
    parts = [planes, *derivatives(planes), job.options.lattice_weight * pattern]
    return torch.cat([(part / part.numel() ** 0.5).flatten() for part in parts])


class Killed(Exception):
    pass


def _kill_after_writing(state: Path) -> Callable[[int, int], None]:
    def progress(done: int, planned: int) -> None:
        if state.exists():
            raise Killed

    return progress


def test_a_run_that_was_killed_goes_on_and_ends_like_one_that_was_not(decoders: ModuleType, tmp_path: Path) -> None:
    inputs = decoders.images(3)
    old, whole, swap = spoiled(decoders)
    cut, state = copy.deepcopy(whole), tmp_path / "state"
    initial = {name: value.clone() for name, value in cut.state_dict().items()}
    expected = distil(whole, old, swap, inputs, steps=80)
    with pytest.raises(Killed):
        distil(cut, old, swap, inputs, steps=80, checkpoint=state, progress=_kill_after_writing(state))
    assert all(torch.equal(value, initial[name]) for name, value in cut.state_dict().items())
    assert state.exists()
    steps: list[int] = []
    made = distil(cut, old, swap, inputs, steps=80, checkpoint=state, progress=lambda done, _: steps.append(done))
    assert 1 < steps[0] < made.steps == expected.steps
    assert state.exists()
    assert made.loss == expected.loss
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in cut.state_dict().items())


def test_a_killed_run_goes_on_with_the_inputs_it_had_time_for_however_fast_the_machine_is_now(
    decoders: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, state = decoders.images(6), tmp_path / "state"
    old, new, swap = spoiled(decoders)
    initial = copy.deepcopy(new.state_dict())
    shown: list[int] = []
    module = sys.modules[distil.__module__]

    def teacher(until_then: int | None) -> Callable[..., Any]:
        """The real one; the clock runs out after so many inputs, where there is a clock."""

        def outputs(model: Any, made: Any, calls: Any, output: Any, seed: int, until: float | None, high: float) -> Any:
            calls = calls if until is None else calls[:until_then]
            shown.append(len(calls))
            return teacher_outputs(model, made, calls, output, seed, None, high)

        return outputs

    monkeypatch.setattr(module, "teacher_outputs", teacher(2))
    with pytest.raises(Killed):
        distil(new, old, swap, inputs, steps=80, checkpoint=state, progress=_kill_after_writing(state))
    for faster_or_slower in (6, 1):
        monkeypatch.setattr(module, "teacher_outputs", teacher(faster_or_slower))
        distil(new, old, swap, inputs, steps=80, checkpoint=state)
        new.load_state_dict(initial)
    assert shown == [2, 2, 2]


def test_a_run_whose_teacher_ran_out_of_time_goes_on_to_the_same_end(
    decoders: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 0.0, 1e9])
    monkeypatch.setattr("artifactlab.fix.teacher.time", SimpleNamespace(monotonic=lambda: next(clock)))
    inputs, state = decoders.images(6), tmp_path / "state"
    old, whole, swap = spoiled(decoders)
    cut = copy.deepcopy(whole)
    expected = distil(whole, old, swap, inputs, steps=80)
    clock = iter([0.0, 0.0, 1e9])
    with pytest.raises(Killed):
        distil(cut, old, swap, inputs, steps=80, checkpoint=state, progress=_kill_after_writing(state))
    assert next(clock, None) is None
    made = distil(cut, old, swap, inputs, steps=80, checkpoint=state)  # asks no clock for the teacher's time any more
    assert made.loss == expected.loss
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in cut.state_dict().items())


def test_a_checkpoint_of_another_run_or_of_something_else_is_refused(decoders: ModuleType, tmp_path: Path) -> None:
    inputs = decoders.images(2)
    old, new, swap = spoiled(decoders)
    state = tmp_path / "state"
    with pytest.raises(Killed):
        distil(new, old, swap, inputs, steps=80, checkpoint=state, progress=_kill_after_writing(state))
    with pytest.raises(FixError, match="another run"):
        distil(new, old, swap, decoders.images(3)[1:], steps=80, checkpoint=state)
    state.write_bytes(b"no checkpoint")
    with pytest.raises(FixError, match="no checkpoint of a fix"):
        distil(new, old, swap, inputs, steps=80, checkpoint=state)


def test_time_runs_out(decoders: ModuleType) -> None:
    old, new, swap = spoiled(decoders)
    made = distil(new, old, swap, decoders.images(2), steps=100_000, seconds=0.3)
    assert made.steps < 100_000
    assert made.seconds < 5.0


def test_no_step_begins_when_time_is_up_in_a_round_either(
    decoders: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SimpleNamespace(monotonic=itertools.count().__next__)  # a second passes from each look to the next
    for module in (distil.__module__, train.__module__):
        monkeypatch.setattr(sys.modules[module], "time", slow)
    old, new, swap = spoiled(decoders)
    made = distil(new, old, swap, decoders.images(1), seconds=6.0)
    assert (made.steps, made.ended) == (6, TIME_RAN_OUT)
    assert made.loss[1] < made.loss[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": -1}, "not negative"),
        ({"seconds": 0.0}, "positive"),
        ({"data_range": -1}, "-1"),
        ({"lattice_weight": -1.0}, "not negative"),
    ],
)
def test_numbers_out_of_range_are_refused(settings: dict[str, float], message: str, decoders: ModuleType) -> None:
    old, new, swap = spoiled(decoders)
    with pytest.raises(InputError, match=message):
        distil(new, old, swap, decoders.images(1), **settings)


def test_a_model_that_is_no_longer_the_old_one_is_refused(decoders: ModuleType) -> None:
    _, new, swap = spoiled(decoders)
    with pytest.raises(FixError, match="draws no lattice at up"):
        distil(new, decoders.Functional(), swap, decoders.images(1))


def test_what_was_trained_shows_no_grid_and_the_same_image(decoders: ModuleType) -> None:
    from artifactlab import capture

    old = decoders.gridded()
    with capture(old) as cap, torch.no_grad():
        old(decoders.images(1)[0])
    new = copy.deepcopy(old)
    swap = replace_upsampler(new, "up", "subpixel")
    made: Distilled = distil(new, old, swap, decoders.images(4), steps=50)
    check = check_fix(old, new, cap.sites[0].site, decoders.images(6)[4:])
    assert made.loss[1] <= made.loss[0]
    assert check.cured, check.verdict


def test_a_model_without_gradients_is_told_so(decoders: ModuleType) -> None:
    class Quiet(decoders.Decoder):
        @torch.no_grad()
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)

    old = Quiet(decoders.transposed()).eval()
    new = copy.deepcopy(old)
    swap = replace_upsampler(new, "up")
    with pytest.raises(ModelError, match="without gradients"):
        distil(new, old, swap, decoders.images(1), steps=2)


def test_a_layer_that_is_called_with_more_than_features_is_told_so(decoders: ModuleType) -> None:
    class Sized(decoders.Decoder):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.up(self.stem(x), output_size=[2 * side for side in x.shape[2:]]))

    old = Sized(nn.ConvTranspose2d(6, 4, 3, 2, 1)).eval()
    new = copy.deepcopy(old)
    swap = replace_upsampler(new, "up")
    with pytest.raises(ModelError, match="no output_size"):
        distil(new, old, swap, decoders.images(1), steps=2)


def test_buffers_that_forward_writes_are_as_before(decoders: ModuleType) -> None:
    class Counting(decoders.Decoder):
        def __init__(self, up: nn.Module) -> None:
            super().__init__(up)
            self.register_buffer("n", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.n = self.n + 1
            return super().forward(x)

    old = Counting(decoders.transposed()).eval()
    new = copy.deepcopy(old)
    swap = replace_upsampler(new, "up")
    distil(new, old, swap, decoders.images(1), steps=3)
    assert float(new.n) == float(old.n) == 0.0
