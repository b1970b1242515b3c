"""Diagnose a net that L1 trained, aim the loss at its offenders, train on, diagnose again; with a control."""

from __future__ import annotations

import copy

from publish import markdown_table
from training_loop import RATE, go_on, nothing
from training_records import Task
from training_runs import AIMED, PLAIN, SEEDS, added_loss, first_look, look, trained
from training_scores import assess


def story(name: str, task: Task, weight: float) -> str:
    """The table of one net."""
    seed, steps = SEEDS[0], task.steps // 2
    before, found = trained(name, task, PLAIN, 0.0, seed), first_look(name, task, seed)
    nets = {"trained with L1": before}
    for title, added, aim in (
        (f"{steps} steps more with L1 alone", nothing, None),
        (f"{steps} steps more with the loss aimed", added_loss(AIMED, weight, found), found),
    ):
        nets[title] = copy.deepcopy(before)
        go_on(nets[title], task, added, seed + 1, RATE / 2, steps, aim)
    rows = []
    for title, net in nets.items():
        now, scores = look(net, task), assess(net, task, "test")
        effects = {site.site.key: site for site in now.sites}
        guilty = [effects[site.site.key] for site in found.offenders]
        rows.append(
            [
                title,
                "; ".join(f"{one.site.key}: {one.verdict}, {one.effect.value:+.2f}" for one in guilty) or "no offender",
                ", ".join(str(one.site.key) for one in now.offenders) or "none",
                f"{now.output.severity:.2f}",
                f"{scores.contour:.3f}",
                f"{scores.flat:.2f}",
                f"{scores.psnr:.2f}",
            ]
        )
    header = ("net", "the first diagnosis' offenders: verdict, effect", "offenders now", "severity")
    return (
        f"The same net, aimed at (seed {seed}; diagnosed on validation images, scored on the test's):\n\n"
        + markdown_table((*header, "contours (px)", "flat (1/255)", "PSNR (dB)"), rows)
        + f"\n\nThe first verdict: {found.verdict} The last: {now.verdict}"
    )
