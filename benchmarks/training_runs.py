"""Trainings of `training.py`: each loss with weights to choose from, kept in a cache, and what is measured of them."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from training_losses import focal_frequency, gradient_magnitude, mprnet_edge, one_minus_ssim
from training_objectives import Objective, plain
from training_records import Pairs, Task

from artifactlab import diagnose
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.fix import EdgeAwareLoss, SitePenalty
from artifactlab.metrics import axis_excess, checkerboard_energy, direction_divergence
from artifactlab.metrics.visible import VISIBLE_STEPS
from artifactlab.scoring.severity import measure_severity

SEEDS, TUNING_SEED = (0, 1, 2), 100
RATE, BETAS = 2e-3, (0.5, 0.999)
ALLOWED = 0.1
"""dB of PSNR that a loss may cost"""
STEP, MOST_WEIGHTS = 3, 9
CACHE = Path(__file__).with_name(".cache") / "training"
Loss = Callable[[Tensor, Tensor], Tensor]
PLAIN, OURS, AIMED = "L1", "EdgeAwareLoss", "EdgeAwareLoss, aimed"
BASELINES: dict[str, tuple[Loss, tuple[float, ...]]] = {
    "MPRNet edge": (mprnet_edge, (0.05, 0.15, 0.5)),
    "gradient magnitude": (gradient_magnitude, (0.05, 0.15, 0.5)),
    "focal frequency": (focal_frequency, (1.0, 3.0, 10.0)),
    "SSIM": (one_minus_ssim, (0.1, 0.3, 1.0)),
}
"""name -> what is added to L1, and three weights of which validation chooses one: from the paper's or usual one up"""
OURS_WEIGHTS, PENALTY_WEIGHTS = (1.0, 3.0, 10.0), (0.01, 0.03, 0.1)
ROWS = (PLAIN, *BASELINES, OURS, AIMED)
LOOKS: dict[tuple[str, int], Diagnosis] = {}
"""(task, seed) -> the first diagnosis"""
Settings = tuple[float, float]
"""weight of what is added to L1, and of the penalty on the offenders' activations"""
Scores = dict[str, Any]


def tuned(name: str, task: Task) -> dict[str, dict[Settings, Scores]]:
    """Every loss with each of its three weights, by one seed that is not among those reported; as long as the best is
    at an end, one beyond it is tried, too."""
    tried: dict[str, dict[Settings, Scores]] = {}
    for row in ROWS:
        settings = [(weight, 0.0) for weight in weights_of(row)]
        if row == AIMED:  # at the weight chosen for the loss alone, three weights of the penalty
            weight, _ = choose(tried[OURS], tried[PLAIN])
            settings = [(weight, penalty) for penalty in PENALTY_WEIGHTS]
        tried[row] = {pair: trained(name, task, row, pair, TUNING_SEED) for pair in settings}
        while row != PLAIN and len(tried[row]) < MOST_WEIGHTS:
            best = choose(tried[row], tried[PLAIN])
            if best not in (min(tried[row]), max(tried[row])):
                break
            factor = STEP if best == max(tried[row]) else 1 / STEP
            beyond = (best[0], rounded(factor * best[1])) if row == AIMED else (rounded(factor * best[0]), best[1])
            tried[row][beyond] = trained(name, task, row, beyond, TUNING_SEED)
    return tried


def rounded(weight: float) -> float:
    """To three digits."""
    return float(f"{weight:.3g}")


def weights_of(row: str) -> tuple[float, ...]:
    return (0.0,) if row == PLAIN else OURS_WEIGHTS if row == OURS else BASELINES.get(row, (None, ()))[1]


def choose(tried: dict[Settings, Scores], plain: dict[Settings, Scores]) -> Settings:
    """The least jagged on the validation images of those within `ALLOWED` of L1's PSNR: one rule for all losses."""
    (base,) = plain.values()
    least = base["validation"]["psnr"] - ALLOWED
    within = {pair: scores for pair, scores in tried.items() if scores["validation"]["psnr"] >= least}
    if not within:
        return max(tried, key=lambda pair: tried[pair]["validation"]["psnr"])
    return min(within, key=lambda pair: (within[pair]["validation"]["jaggedness"], -within[pair]["validation"]["psnr"]))


def trained(name: str, task: Task, row: str, settings: Settings, seed: int) -> Scores:
    """What one training leads to, from the cache where it is there."""
    row, settings = actual(name, task, row, settings, seed)
    kept = cached(name, task, row, settings, seed)
    if not kept.exists():
        start = time.time()
        model = train(name, task, row, settings, seed)
        scores = {"validation": assess(model, task.validation, task), "test": assess(model, task.test, task)}
        torch.save(model.state_dict(), kept.with_suffix(".pt"))
        kept.write_text(json.dumps(scores))
        shown = ", ".join(f"{key} {value:.3f}" for key, value in scores["test"].items())
        print(f"{name} {row} {settings} {seed}: {shown} ({time.time() - start:.0f} s)", file=sys.stderr, flush=True)
    return json.loads(kept.read_text())


def cached(name: str, task: Task, row: str, settings: Settings, seed: int) -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    key = json.dumps([name, task.title, task.steps, RATE, row, settings, seed])
    return CACHE / (hashlib.sha256(key.encode()).hexdigest()[:16] + ".json")


def load(name: str, task: Task, row: str, settings: Settings, seed: int) -> nn.Module:
    """The trained net of a row that was trained before."""
    row, settings = actual(name, task, row, settings, seed)
    model = task.net()
    kept = cached(name, task, row, settings, seed).with_suffix(".pt")
    model.load_state_dict(torch.load(kept, weights_only=True))
    return model.eval()


def actual(name: str, task: Task, row: str, settings: Settings, seed: int) -> tuple[str, Settings]:
    """Where a diagnosis has no offender, there is nothing to aim at."""
    if row == AIMED and not first_look(name, task, seed).offenders:
        return OURS, (settings[0], 0.0)
    return row, settings


def first_look(name: str, task: Task, seed: int) -> Diagnosis:
    """The diagnosis of the net that L1 trained."""
    if (name, seed) not in LOOKS:
        trained(name, task, PLAIN, (0.0, 0.0), seed)
        LOOKS[name, seed] = look(load(name, task, PLAIN, (0.0, 0.0), seed), task)
    return LOOKS[name, seed]


def train(name: str, task: Task, row: str, settings: Settings, seed: int) -> nn.Module:
    """From the same start, on the same images in the same order, for every loss."""
    torch.manual_seed(seed)
    model = task.net()
    if row == AIMED:
        found = first_look(name, task, seed)
        go_on(model, task, aimed_loss(found, settings[0]), seed, RATE, task.steps, found, settings[1])
    else:
        go_on(model, task, added_loss(row, settings[0]), seed, RATE, task.steps)
    return model.eval()


def go_on(
    model: nn.Module,
    task: Task,
    added: Loss,
    seed: int,
    rate: float,
    steps: int,
    found: Diagnosis | None = None,
    penalty_weight: float = 0.0,
) -> None:
    """Adam, one cycle, on L1 and what is added; with a penalty on the offenders' activations, where there are any."""
    model.train()
    rng, objective = np.random.default_rng(seed), task.objective()
    optimiser = torch.optim.Adam(model.parameters(), rate, BETAS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    with ExitStack() as stack:
        penalty: Callable[[], Tensor] | None = None
        if found and found.offenders:
            penalty = stack.enter_context(SitePenalty(model, found.offenders, penalty_weight))
        for _ in range(steps):
            step(model, optimiser, task.batch(rng), added, penalty, objective)
            schedule.step()
    model.eval()


def step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    pairs: Pairs,
    added: Loss,
    penalty: Callable[[], Tensor] | None = None,
    objective: Objective = plain,
) -> None:
    output = model(pairs.given)
    loss = F.l1_loss(output, pairs.wanted) + added(output, pairs.wanted) + objective(model, output, pairs.wanted)
    if penalty:
        loss = loss + penalty()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def added_loss(row: str, weight: float) -> Loss:
    if row == PLAIN:
        return lambda output, target: output.new_zeros(())
    if row == OURS:
        return EdgeAwareLoss(weight)
    loss = BASELINES[row][0]
    return lambda output, target: weight * loss(output, target)


def aimed_loss(found: Diagnosis, weight: float) -> Loss:
    """At the offenders' lattices; where a diagnosis has none, at those of the last two sites."""
    return EdgeAwareLoss.from_diagnosis(found, loss_weight=weight) if found.offenders else EdgeAwareLoss(weight)


def look(model: nn.Module, task: Task) -> Diagnosis:
    return diagnose(model, task.diagnosed, data_range=1.0)


@torch.no_grad()
def outputs(model: nn.Module, given: Tensor) -> Tensor:
    return torch.cat([model(part) for part in given.split(8)]).clamp(0, 1)


def assess(model: nn.Module, pairs: Pairs, task: Task) -> dict[str, float]:
    """PSNR of all images together; jaggedness and lattice beyond the targets' own, which noise may bring below 0."""
    output = outputs(model, pairs.given)
    return {
        "psnr": float(-10 * (output - pairs.wanted).square().mean().log10()),
        "jaggedness": jaggedness(output, task.period) - jaggedness(pairs.wanted, task.period),
        "axis": float(axis_excess(output) - axis_excess(pairs.wanted)),
        "checkerboard": float(
            checkerboard_energy(output, task.period) - checkerboard_energy(pairs.wanted, task.period)
        ),
        "divergence": float(direction_divergence(output, pairs.wanted)),
    }


def jaggedness(images: Tensor, period: int) -> float:
    """Pixels, of all images together."""
    return VISIBLE_STEPS * measure_severity(images, (period, period), 1.0).together()[1] ** 0.5
