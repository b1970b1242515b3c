"""Does the edge-aware loss train stair-steps away, and what does it cost? Seven losses, two tasks, three seeds; a third
task where there are fonts for it.

About three quarters of an hour on one core. Results of trainings are kept in `benchmarks/.cache/training` by their
settings; empty it after a change of the library. Run with `--only TASK` once per core to fill it in parallel.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from publish import arguments, markdown_table, publish
from torch import Tensor, nn
from training_losses import focal_frequency, gradient_magnitude, mprnet_edge, one_minus_ssim
from training_tasks import Pairs, Task, tasks

from artifactlab import diagnose
from artifactlab.fix import EdgeAwareLoss, SitePenalty
from artifactlab.metrics import axis_excess, checkerboard_energy, direction_divergence
from artifactlab.metrics.jaggedness import edge_statistics, pooled_jaggedness
from artifactlab.records import Diagnosis

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
REPEATS = 9
LOOKS: dict[tuple[str, int], Diagnosis] = {}
"""(task, seed) -> the first diagnosis"""
Settings = tuple[float, float]
"""weight of what is added to L1, and of the penalty on the offenders' activations"""
Scores = dict[str, Any]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--only", help="train for one task (fonts, photos, cjk) and print no table")
    parser.add_argument("--picture", type=Path, help="a file for outputs and trade-offs of all losses")
    options = parser.parse_args()
    torch.set_num_threads(1)
    parts, drawn = [], {}
    for name, make in tasks().items():
        if options.only not in (None, name):
            continue
        task = make()
        tuning = tuned(name, task)
        chosen = {row: choose(tried, tuning[PLAIN]) for row, tried in tuning.items()}
        results = {row: [trained(name, task, row, chosen[row], seed) for seed in SEEDS] for row in ROWS}
        drawn[name] = (task, tuning, results)
        if not options.only:
            parts += [report(name, task, chosen, results), story(name, task, chosen[AIMED])]
    if options.only:
        return
    if options.picture:
        from training_picture import draw

        draw(drawn, options.picture)
    publish("training", "\n\n".join([*parts, explanation(), loss_cost()]), options.readme)


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
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.Adam(model.parameters(), rate, BETAS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    with ExitStack() as stack:
        penalty: Callable[[], Tensor] | None = None
        if found and found.offenders:
            penalty = stack.enter_context(SitePenalty(model, found.offenders, penalty_weight))
        for _ in range(steps):
            step(model, optimiser, task.batch(rng), added, penalty)
            schedule.step()
    model.eval()


def step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    pairs: Pairs,
    added: Loss,
    penalty: Callable[[], Tensor] | None = None,
) -> None:
    output = model(pairs.given)
    loss = F.l1_loss(output, pairs.wanted) + added(output, pairs.wanted)
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
        "jaggedness": jaggedness(output) - jaggedness(pairs.wanted),
        "axis": float(axis_excess(output) - axis_excess(pairs.wanted)),
        "checkerboard": float(
            checkerboard_energy(output, task.period) - checkerboard_energy(pairs.wanted, task.period)
        ),
        "divergence": float(direction_divergence(output, pairs.wanted)),
    }


def jaggedness(images: Tensor) -> float:
    """Pixels, of all edges of all images together."""
    return float(pooled_jaggedness(edge_statistics(images).flatten(0, 1).sum(0)[None]))


def report(name: str, task: Task, chosen: dict[str, Settings], results: dict[str, list[Scores]]) -> str:
    """The table of one task, and whether the targets are met."""
    times = step_times(task)
    rows = []
    for row in ROWS:
        scores = [result["test"] for result in results[row]]
        weight = "" if row == PLAIN else " and ".join(f"{value:g}" for value in chosen[row] if value)
        if row == AIMED and not first_look(name, task, TUNING_SEED).offenders:
            weight += " (untuned: no offender there)"
        spreads = [
            spread([one[key] for one in scores], digits)
            for key, digits in (("psnr", 2), ("jaggedness", 3), ("axis", 3), ("checkerboard", 3), ("divergence", 3))
        ]
        rows.append([row, weight, *spreads, f"{times[row]:.2f}"])
    header = ("L1 and", "weight", "PSNR (dB)", "jaggedness (px)", "axis share", "checkerboard", "divergence", "step")
    own = jaggedness(task.test.wanted)
    return (
        f"{task.title[0].upper()}{task.title[1:]}, {task.steps} steps; the targets' own jaggedness {own:.3f}:\n\n"
        + markdown_table(header, rows)
        + f"\n\n{verdicts(results)}"
    )


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def verdicts(results: dict[str, list[Scores]]) -> str:
    """Both targets, seed by seed: paired differences from L1, and from the best of the other losses on average."""

    def values(row: str, key: str) -> list[float]:
        return [result["test"][key] for result in results[row]]

    within = [row for row in BASELINES if np.mean(values(row, "psnr")) >= np.mean(values(PLAIN, "psnr")) - ALLOWED]
    best = min(within or BASELINES, key=lambda row: np.mean(values(row, "jaggedness")))
    lines = []
    for row in (OURS, AIMED):
        pairs = zip(values(row, "jaggedness"), values(best, "jaggedness"), strict=True)
        share = np.mean(values(row, "jaggedness")) / np.mean(values(best, "jaggedness"))
        gains = [ours - plain for ours, plain in zip(values(row, "psnr"), values(PLAIN, "psnr"), strict=True)]
        seeds = ", ".join(f"{ours:.3f} of {theirs:.3f}" for ours, theirs in pairs)
        gained = ", ".join(f"{gain:+.2f}" for gain in gains)
        lines.append(
            f"{row}: {share:.2f} of the jaggedness of the best other loss within {ALLOWED} dB of L1 ({best}; by seed"
            f" {seeds}; the aim was at most half), PSNR {np.mean(gains):+.2f} dB to L1 ({gained})."
        )
    return "\n\n".join(lines)


def step_times(task: Task) -> dict[str, float]:
    """CPU time of a training step over that of plain L1, medians of turns."""
    model = task.net()
    sites = look(model, task).sites
    optimiser = torch.optim.Adam(model.parameters(), 0.0)
    pairs = task.batch(np.random.default_rng(0))
    times: dict[str, list[float]] = {row: [] for row in ROWS}
    for _ in range(REPEATS + 1):
        for row in ROWS:
            with ExitStack() as stack:
                penalty = stack.enter_context(SitePenalty(model, sites[:1])) if row == AIMED else None
                added = added_loss(OURS if row == AIMED else row, 1.0)
                start = time.process_time()
                step(model, optimiser, pairs, added, penalty)
                times[row].append(time.process_time() - start)
    plain = statistics.median(times[PLAIN][1:])  # the first warms up
    return {row: statistics.median(taken[1:]) / plain for row, taken in times.items()}


def story(name: str, task: Task, settings: Settings) -> str:
    """Diagnose the net that L1 trained, aim the loss at its offenders, train on, diagnose again; and a control."""
    nets = {"trained with L1": load(name, task, PLAIN, (0.0, 0.0), SEEDS[0])}
    found = first_look(name, task, SEEDS[0])
    steps = task.steps // 2
    for title, added, offenders in (
        (f"{steps} steps more with L1 alone", added_loss(PLAIN, 0.0), None),
        (f"{steps} steps more with the loss aimed", aimed_loss(found, settings[0]), found),
    ):
        nets[title] = load(name, task, PLAIN, (0.0, 0.0), SEEDS[0])
        go_on(nets[title], task, added, SEEDS[0] + 1, RATE / 2, steps, offenders, settings[1])
    rows = []
    for title, net in nets.items():
        now, scores = look(net, task), assess(net, task.test, task)
        effects = {site.site.key: site for site in now.sites}
        guilty = [effects[site.site.key] for site in found.offenders]
        rows.append(
            [
                title,
                "; ".join(f"{one.site.key}: {one.verdict}, {one.effect.value:+.2f}" for one in guilty) or "no offender",
                ", ".join(one.site.key for one in now.offenders) or "none",
                f"{now.output['severity']:.2f}",
                f"{scores['jaggedness']:.3f}",
                f"{scores['psnr']:.2f}",
            ]
        )
    header = ("net", "the first diagnosis' offenders: verdict, effect", "offenders now", "severity")
    return (
        f"The same net, aimed at (seed {SEEDS[0]}; diagnosed on validation images, scored on the test's):\n\n"
        + markdown_table((*header, "excess jaggedness (px)", "PSNR (dB)"), rows)
        + f"\n\nThe first verdict: {found.verdict} The last: {now.verdict}"
    )


def loss_cost() -> str:
    """Forward and backward of each loss alone, over the focal frequency loss."""
    output, target = torch.rand(8, 3, 128, 128, requires_grad=True), torch.rand(8, 3, 128, 128)
    losses = {row: added_loss(row, 1.0) for row in (*BASELINES, OURS)}
    times: dict[str, list[float]] = {row: [] for row in losses}
    for _ in range(6 * REPEATS):
        for row, loss in losses.items():
            output.grad = None
            start = time.process_time()
            loss(output, target).backward()
            times[row].append(time.process_time() - start)
    middle = {row: statistics.median(taken[3:]) for row, taken in times.items()}
    base = middle["focal frequency"]
    shown = ", ".join(f"{row} {value / base:.2f}" for row, value in middle.items())
    return (
        "Forward and backward of the loss alone on 8x3x128x128, CPU time over that of focal frequency"
        f" ({1e3 * base:.0f} ms), medians in turns: {shown}."
    )


def explanation() -> str:
    weights = "; ".join(f"{row} {', '.join(f'{w:g}' for w in values)}" for row, (_, values) in BASELINES.items())
    ours = ", ".join(f"{weight:g}" for weight in OURS_WEIGHTS)
    return (
        f"{len(SEEDS)} seeds, mean ± standard deviation; every loss starts from the same weights and sees the same"
        f" images in the same order. Each had three weights to choose from ({weights}; {OURS} {ours}; {AIMED} the one"
        f" chosen for {OURS}, and {', '.join(f'{w:g}' for w in PENALTY_WEIGHTS)} for the penalty on the offenders), by"
        " one training of another seed each: the least jagged on the validation images of those within"
        f" {ALLOWED} dB of L1's PSNR; as long as the best was at an end, one a factor of {STEP} beyond was tried, up to"
        f" {MOST_WEIGHTS} in all. How {OURS}'s own terms are balanced was chosen on the same validation photos before."
        " Jaggedness, axis share (of the gradient energy on oblique edges, what points along a pixel axis) and"
        f" checkerboard energy: what exceeds the targets' own. {AIMED}: at the offenders of the L1 net of the same"
        f" seed, diagnosed on validation images; where it has none, it is {OURS} itself. Step: CPU time of a training step over that with"
        " L1 alone, medians in turns."
    )


if __name__ == "__main__":
    main()
