"""Does the edge-aware loss train stair-steps away, and what does it cost? Seven losses, two tasks, three seeds; a third
task where there are fonts for it.

About three quarters of an hour on one core. Results of trainings are kept in `benchmarks/.cache/training` by their
settings; empty it after a change of the library. Run with `--only TASK` once per core to fill it in parallel.
"""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from publish import arguments, markdown_table, publish
from training_picture import draw
from training_runs import (
    AIMED,
    ALLOWED,
    BASELINES,
    MOST_WEIGHTS,
    OURS,
    OURS_WEIGHTS,
    PENALTY_WEIGHTS,
    PLAIN,
    RATE,
    ROWS,
    SEEDS,
    STEP,
    TUNING_SEED,
    Scores,
    Settings,
    added_loss,
    aimed_loss,
    assess,
    choose,
    first_look,
    go_on,
    jaggedness,
    load,
    look,
    step,
    trained,
    tuned,
)
from training_tasks import Task, tasks

from artifactlab.fix import SitePenalty

REPEATS = 9


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
        draw(drawn, options.picture)
    publish("training", "\n\n".join([*parts, explanation(), loss_cost()]), options.readme)


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
                f"{now.output.severity:.2f}",
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
        f" seed, diagnosed on validation images; where it has none, it is {OURS} itself. Step: CPU time of a training"
        " step over that with L1 alone, medians in turns."
    )


if __name__ == "__main__":
    main()
