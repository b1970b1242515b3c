"""The tables of `training.py`: what each loss leads to, whether the targets are met, and which measure can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from publish import mark, markdown_table
from scipy import stats
from training_records import Task
from training_runs import AIMED, ALLOWED, BOTH, OURS, OURS_WEIGHTS, PLAIN, RIVALS, SEEDS, SHARES, choose, tuned
from training_scores import Scores

Results = Mapping[str, tuple[float, Sequence[Scores]]]
"""row -> the weight that it chose, and the test's scores, one for each seed"""
COLUMNS = {
    "psnr": ("PSNR (dB)", 2),
    "detail": ("detail (dB)", 1),
    "contour": ("contours (px)", 3),
    "flat": ("flat (1/255)", 2),
    "steps": ("steps (px)", 3),
    "grid": ("grid (1/255)", 2),
    "explained": ("explained (1/255)", 2),
    "axis": ("axis share", 3),
}
"""measure -> its head, and digits after the point"""
DEFAULT, NEAR_BEST, HALF, SAME_PSNR = 1.0, 1.1, 0.5, 0.05
"""the loss's default weight; targets: its steps over those of the best weight, what is left over what the best other
loss leaves, and how many dB worse than that loss"""
LEFT = ("contour", "flat", "steps", "grid")
"""measures of what is left of stair-steps and grids"""
AIMS = ("photos", "gan", "unet")
"""tasks for which these are targets: super-resolution and the U-Net"""
SURE = 0.01
"""chance of a measure that tells nothing to be said to tell losses apart"""


def report(name: str, task: Task, found: Results, times: Mapping[str, float]) -> str:
    """The table of one task: means and standard deviations over seeds."""
    table = []
    for row, (weight, scores) in found.items():
        columns = [spread([getattr(one, key) for one in scores], digits) for key, (_, digits) in COLUMNS.items()]
        table.append(
            [row, "" if row == PLAIN else f"{weight:g}", *columns, f"{times[row]:.2f}" if row in times else ""]
        )
    heads = [head for head, _ in COLUMNS.values()]
    title = f"{task.title[0].upper()}{task.title[1:]} (`{name}`), {task.steps} steps:"
    return f"{title}\n\n{markdown_table(('L1 and', 'weight', *heads, 'step'), table)}"


def spread(values: Sequence[float], digits: int) -> str:
    """Mean and standard deviation; not of contours where one of the nets draws none."""
    if not np.isfinite(values).all():
        return "no edges"
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


def mean(scores: Sequence[Scores], key: str) -> float:
    """Over seeds."""
    return float(np.mean([getattr(one, key) for one in scores]))


def verdicts(name: str, task: Task, found: Results) -> str:
    """What our loss leaves over what the best other one leaves, by each measure; and whether its default will do."""
    lines = [against(name, found, row, key) for row in (OURS, AIMED, BOTH) for key in LEFT]
    return "\n".join(f"- {line}" for line in [*lines, default_weight(name, task)])


def against(name: str, found: Results, row: str, key: str) -> str:
    """One measure of one of our rows, against the other loss that is best by it within `ALLOWED` dB of L1."""
    least = mean(found[PLAIN][1], "psnr") - ALLOWED
    within = [other for other in RIVALS if mean(found[other][1], "psnr") >= least] or list(RIVALS)
    best = min(within, key=lambda other: mean(found[other][1], key))
    theirs, ours = found[best][1], found[row][1]
    left, right = (mean(scores, key) for scores in (ours, theirs))
    gain = mean(ours, "psnr") - mean(theirs, "psnr")
    met = left <= HALF * right and gain >= -SAME_PSNR
    share = f"{left / right:.2f}" if right > 0 else "none to halve: 0"
    aim = f" (aim: {HALF:g}, PSNR within {SAME_PSNR:g} dB: {mark(met)})" if name in AIMS else ""
    return f"{row}, {key}: {left:.3f} of {best}'s {right:.3f}: {share}, PSNR {gain:+.2f} dB{aim}."


def default_weight(name: str, task: Task) -> str:
    """Stair-steps with the default weight over the least of the weights that keep L1's PSNR, on validation images."""
    tried = tuned(name, task, OURS)
    (plain,) = tuned(name, task, PLAIN).values()
    default = tried[DEFAULT]
    kept = [default, *(scores for scores in tried.values() if scores.psnr >= plain.psnr - ALLOWED)]
    said = []
    for key in ("contour", "steps"):
        ours, best = getattr(default, key), min(getattr(scores, key) for scores in kept)
        met = np.isfinite(best) and ours <= NEAR_BEST * best
        said.append(f"{key} {ours:.3f} px, {best:.3f} at the best weight: {mark(met)}")
    return (
        f"The default weight 1 (aim: within 10% of the best; validation chose {choose(tried, plain):g}):"
        f" {'; '.join(said)}; PSNR {default.psnr - plain.psnr:+.2f} dB to L1."
    )


def separation(found: Mapping[str, Results]) -> str:
    """Spread of the losses over the spread of seeds, by measure and task; whether it can tell losses apart."""
    table = [[head, *(told(results, key) for results in found.values())] for key, (head, _) in COLUMNS.items()]
    return (
        "What each measure can tell: standard deviation of the losses' medians over the usual one of seeds of one loss."
        f" **Bold**: it tells losses apart, by Kruskal and Wallis' test at {SURE:.0%}; by what is not bold, none can be"
        " said to win.\n\n" + markdown_table(("measure", *found), table)
    )


def told(results: Results, key: str) -> str:
    """One ratio, of medians and by ranks: one training that goes wild is not to hide what all others say."""
    groups = [[getattr(one, key) for one in scores] for _, scores in results.values()]
    drawn = [group for group in groups if np.isfinite(group).all()]
    within = float(np.median([np.std(group, ddof=1) for group in drawn]))
    between = float(np.std([np.median(group) for group in drawn], ddof=1))
    if not between or not within:
        return "all alike" if not between else "seeds do not differ"
    ratio = f"{between / within:.1f}"
    return f"**{ratio}**" if stats.kruskal(*groups).pvalue < SURE else ratio


def explanation() -> str:
    """What was done, under the tables."""
    shares, ours = (", ".join(f"{value:g}" for value in values) for values in (SHARES, OURS_WEIGHTS))
    return (
        f"{len(SEEDS)} seeds, mean ± standard deviation; every loss starts from the same weights and sees the same"
        f" images in the same order. Each had {len(SHARES)} weights to choose from: at which its gradient is {shares}"
        f" times as strong as L1's in the net that L1 trained; EdgeAwareLoss {ours}, as its default is to be 1. Chosen"
        " by the first seed's validation images: the least stair-steps and grids (contours and flat places together,"
        f" in units of what just shows) of those within {ALLOWED} dB of L1's PSNR. Measures that are none of ours:"
        " *detail*, energy off the lattice and above its base band over the target's (blur is negative); *contours*,"
        " what the half-level contours of edges whose place is known (rendered discs and half-planes, put through the"
        " task's degradation; a font's outlines) have in step with the lattice, rms; *flat*, phase means of the"
        " lattice where the target is flat, rms. By artifactlab: *steps*, *grid*, and *explained*, all power in step"
        " with the lattice; *axis share*, of the gradients on oblique edges what points along a pixel axis; beyond the"
        f" targets' own. {AIMED}: at the offenders of the L1 net of the same seed, with a penalty on their activations;"
        f" where there are none it is {OURS}. {BOTH[0].upper()}{BOTH[1:]}: ours added to L1 and the loss that did best"
        " on validation images, its weights in units of their gradients together. Step: CPU time of a training step"
        " over that with L1 alone, medians in turns."
    )
