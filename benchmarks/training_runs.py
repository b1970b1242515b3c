"""Trainings of `training.py`: each loss with the same number of weights to choose from, kept in a cache.

A trained net is kept by the source of its task and of its loss, without comments and docstrings: when one loss changes,
the nets of the others stay. What is measured of a net is kept by the source of the measures.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import nn
from training_digests import of_files, of_modules
from training_loop import RATE, Loss, fresh, go_on, nothing, outputs
from training_losses import (
    charbonnier,
    focal_frequency,
    gradient_magnitude,
    gradient_variance,
    local_discriminative,
    mprnet_edge,
    one_minus_ms_ssim,
    sobel_edge,
    wavelet,
)
from training_records import Task
from training_scores import Scores, assess

from artifactlab import diagnose
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.fix import EdgeAwareLoss

SEEDS = (0, 1, 2)
"""the weights are chosen by the first one's validation images"""
ALLOWED = 0.1
"""dB of PSNR that a loss may cost"""
SHARES = (0.5, 5.0, 50.0)
"""how strong a loss's gradient is beside L1's, rms, in the net that L1 trained: what the weights to choose from make of
it; papers' weights lie at the low end, and at the high end what MPRNet's edge loss was best with in the first version
of this benchmark"""
OURS_WEIGHTS = (0.3, 1.0, 3.0)
"""as many, around the default"""
PLAIN, OURS, AIMED, BOTH = "L1", "EdgeAwareLoss", "EdgeAwareLoss, aimed", "best other and EdgeAwareLoss"
RIVALS: dict[str, Loss] = {
    "Charbonnier": charbonnier,
    "MPRNet edge": mprnet_edge,
    "SPSR gradient": gradient_magnitude,
    "SobelEdge": sobel_edge,
    "gradient variance": gradient_variance,
    "LDL": local_discriminative,
    "MS-SSIM": one_minus_ms_ssim,
    "wavelet": wavelet,
    "focal frequency": focal_frequency,
}
"""name -> what is added to L1"""
OTHERS = (PLAIN, *RIVALS)
ROWS = (*OTHERS, OURS, AIMED, BOTH)
Choice = TypeVar("Choice")
UNITS: dict[tuple[str, str], float] = {}
"""(task, row) -> its unit"""
LOOKS: dict[tuple[str, int], Diagnosis] = {}
"""(task, seed) -> the first diagnosis"""
HERE = Path(__file__).parent
CACHE = Path(os.environ.get("TRAINING_CACHE", HERE / ".cache" / "training"))
TASK_FILES = ("tasks", "records", "nets", "objectives", "fonts", "loop")


def weights_of(name: str, task: Task, row: str) -> tuple[float, ...]:
    """Those that a loss has to choose from."""
    if row == PLAIN:
        return (0.0,)
    if row not in RIVALS:
        return OURS_WEIGHTS
    return tuple(float(f"{share * unit(name, task, row):.2g}") for share in SHARES)


def unit(name: str, task: Task, row: str) -> float:
    """The weight at which a loss's gradient is as strong as L1's, in the net that L1 trained."""
    if (name, row) not in UNITS:
        UNITS[name, row] = _unit(name, task, row)
    return UNITS[name, row]


def _unit(name: str, task: Task, row: str) -> float:
    output = outputs(trained(name, task, PLAIN, 0.0, SEEDS[0]), task.validation.given[:8]).requires_grad_()
    target = task.validation.wanted[:8]
    losses = (F.l1_loss(output, target), RIVALS[row](output, target))
    strengths = [torch.autograd.grad(loss, output)[0].square().mean().sqrt() for loss in losses]
    return float(strengths[0] / strengths[1])


def tuned(name: str, task: Task, row: str) -> dict[float, Scores]:
    """A loss with each of its weights, by the first seed's validation images."""
    return {weight: scored(name, task, row, weight, SEEDS[0], "validation") for weight in weights_of(name, task, row)}


def choose(tried: dict[Choice, Scores], plain: Scores) -> Choice:
    """The weight with the least stair-steps and grids, by the instruments that are none of ours, of those within
    `ALLOWED` of L1's PSNR; where there is none, the one that comes nearest. One rule for all losses."""
    within = [weight for weight, scores in tried.items() if scores.psnr >= plain.psnr - ALLOWED]
    if not within:
        return max(tried, key=lambda weight: tried[weight].psnr)
    return min(within, key=lambda weight: tried[weight].severity)


def results(name: str, task: Task, row: str) -> tuple[float, list[Scores]]:
    """The weight that a loss chose, and the test's scores with it, one for each seed."""
    (plain,) = tuned(name, task, PLAIN).values()
    weight = choose(tuned(name, task, row), plain)
    return weight, [scored(name, task, row, weight, seed, "test") for seed in SEEDS]


def best_other(name: str, task: Task) -> tuple[str, float]:
    """The other loss, and its weight, with the least stair-steps and grids on the first seed's validation images."""
    (plain,) = tuned(name, task, PLAIN).values()
    tried = {(row, weight): scores for row in RIVALS for weight, scores in tuned(name, task, row).items()}
    return choose(tried, plain)


def trained(name: str, task: Task, row: str, weight: float, seed: int) -> nn.Module:
    """The trained net, from the cache where it is there."""
    row = acts_as(name, task, row, seed)
    kept = file_of(name, task, row, weight, seed, "pt")
    model = fresh(task, seed)
    if not kept.exists():
        start, took = time.time(), time.process_time()
        aim = first_look(name, task, seed) if row == AIMED else None
        added = on_best(name, task, weight) if row == BOTH else added_loss(row, weight, aim)
        go_on(model, task, added, seed, RATE, task.steps, aim)
        torch.save(model.state_dict(), kept)
        took = time.process_time() - took
        print(f"{name} {row} {weight:g} {seed}: {took:.1f} s of {time.time() - start:.1f}", file=sys.stderr, flush=True)
    model.load_state_dict(torch.load(kept, weights_only=True))
    return model.eval()


def scored(name: str, task: Task, row: str, weight: float, seed: int, split: str) -> Scores:
    """What is measured of a training on the images of a split."""
    row = acts_as(name, task, row, seed)
    kept = file_of(name, task, row, weight, seed, f"{split}.{score_digest()}.json")
    if not kept.exists():
        kept.write_text(json.dumps(assess(trained(name, task, row, weight, seed), task, split)._asdict()))
    return Scores(**json.loads(kept.read_text()))


def acts_as(name: str, task: Task, row: str, seed: int) -> str:
    """The row that is trained: where a diagnosis has no offender, there is nothing to aim at."""
    return OURS if row == AIMED and not first_look(name, task, seed).offenders else row


def file_of(name: str, task: Task, row: str, weight: float, seed: int, kind: str) -> Path:
    """Where something of a training is kept."""
    CACHE.mkdir(parents=True, exist_ok=True)
    sources = {PLAIN: [], OURS: [own_digest], AIMED: [own_digest], BOTH: [own_digest, rival_digest]}
    under = list(best_other(name, task)) if row == BOTH else []
    source = "".join(digest() for digest in sources.get(row, [rival_digest]))
    key = json.dumps([name, task_digest(), row, source, weight, seed, *under])
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    return CACHE / f"{name}-{row.replace(' ', '-')}-{weight:g}-{seed}-{digest}.{kind}"


@functools.cache
def task_digest() -> str:
    """Of what is trained, and how."""
    return of_files(*(HERE / f"training_{part}.py" for part in TASK_FILES), HERE / "content.py")


@functools.cache
def rival_digest() -> str:
    """Of the other losses."""
    return of_files(HERE / "training_losses.py")


@functools.cache
def own_digest() -> str:
    """Of our loss, and of what it needs of our metrics."""
    return of_modules("artifactlab.fix.loss", "artifactlab.fix.site_penalty")


@functools.cache
def score_digest() -> str:
    """Of what is measured."""
    benchmarks = of_files(*(HERE / f"training_{part}.py" for part in ("scores", "edges")))
    return hashlib.sha256((benchmarks + of_modules("artifactlab.scoring.severity")).encode()).hexdigest()[:8]


def added_loss(row: str, weight: float, aim: Diagnosis | None = None) -> Loss:
    """What is added to L1; aimed at the offenders, where a diagnosis has any."""
    if row == PLAIN:
        return nothing
    if row in RIVALS:
        return lambda output, target: weight * RIVALS[row](output, target)
    if aim and aim.offenders:
        return EdgeAwareLoss.from_diagnosis(aim, loss_weight=weight)
    return EdgeAwareLoss(loss_weight=weight)


def on_best(name: str, task: Task, weight: float) -> Loss:
    """The best other loss and ours, as one line more in a loop that has a good loss; the weight is in units of the
    gradients of L1 and that loss."""
    row, other = best_other(name, task)
    own = weight * (1 + other / unit(name, task, row))
    losses = added_loss(row, other), added_loss(OURS, own)
    return lambda output, target: losses[0](output, target) + losses[1](output, target)


def first_look(name: str, task: Task, seed: int) -> Diagnosis:
    """The diagnosis of the net that L1 trained."""
    if (name, seed) not in LOOKS:
        LOOKS[name, seed] = look(trained(name, task, PLAIN, 0.0, seed), task)
    return LOOKS[name, seed]


def look(model: nn.Module, task: Task) -> Diagnosis:
    """A diagnosis on validation images."""
    return diagnose(model, task.diagnosed, data_range=1.0)
