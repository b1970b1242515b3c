"""The picture of `training.py`: what each loss leads to, and what each of its weights trades."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from torch import Tensor
from training_edges import known_edges
from training_loop import outputs
from training_records import Task
from training_runs import AIMED, BOTH, OURS, PLAIN, RIVALS, SEEDS, trained
from training_scores import Scores
from training_tables import Results, mean

SIDE, SHOWN = 64, 3
"""pixels a side of what is shown of a picture; pictures of photos, and as many of known edges"""
OF_OURS = {OURS: "#D55E00", AIMED: "#0072B2", BOTH: "#000000"}
"""rows of ours and their colours; those of the others are thin"""
WORSE, LOWER = 2.0, 1.0
"""of trade-offs that are drawn: times L1's stair-steps, dB under its PSNR"""
Tried = Mapping[str, Mapping[float, Scores]]
"""row -> each of its weights, with the validation's scores"""


def draw(made: Mapping[str, Task], found: Mapping[str, Results], tried: Mapping[str, Tried], file: Path) -> None:
    """Per task: the targets, and the outputs of L1, of the other loss that is best at known edges, and of ours, of the
    first seed; beside them, PSNR over what is left of stair-steps for all weights."""
    figure = Figure(figsize=(20, 8 * len(made)), layout="constrained")
    parts = figure.subfigures(len(made), 1, squeeze=False)[:, 0]
    for part, (name, task) in zip(parts, made.items(), strict=True):
        part.suptitle(task.title)
        left, right = part.subfigures(1, 2, width_ratios=(3, 2))
        show(left, name, task, found[name])
        trade(right.subplots(), tried[name])
    figure.savefig(file, dpi=72)


def show(part: SubFigure, name: str, task: Task, found: Results) -> None:
    """Strips of pictures, one of the targets and one of each loss that is shown."""
    known = known_edges(task, "test").pairs
    pick = [int(k) for k in np.linspace(0, len(task.test.wanted) - 1, SHOWN)]
    given, wanted = (
        [photos[pick], shapes[:SHOWN]]
        for photos, shapes in ((task.test.given, known.given), (task.test.wanted, known.wanted))
    )
    strips = {"target": strip(wanted)}
    best = min(RIVALS, key=lambda row: mean(found[row][1], "contour"))
    for row in (PLAIN, best, OURS, AIMED):
        net = trained(name, task, row, found[row][0], SEEDS[0])
        strips[row] = strip([outputs(net, images) for images in given])
    for axes, (title, image) in zip(part.subplots(len(strips), 1), strips.items(), strict=True):
        axes.imshow(image.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(title, fontsize=11, loc="left", pad=3)
        axes.set_axis_off()


def strip(images: list[Tensor]) -> Tensor:
    """The middles of some pictures, side by side."""
    middles = []
    for one in images:
        top = (one.shape[-1] - SIDE) // 2
        middles += list(one[:, 0, top : top + SIDE, top : top + SIDE])
    return torch.cat(middles, 1)


def trade(axes: Axes, tried: Tried) -> None:
    """PSNR over stair-steps of known edges."""
    for number, (row, weights) in enumerate(tried.items()):
        points = np.array([(scores.contour, scores.psnr) for _, scores in sorted(weights.items())])
        wide, colour = (3, OF_OURS[row]) if row in OF_OURS else (1, colormaps["tab20"](number))
        axes.plot(*points.T, "o-", label=row, linewidth=wide, color=colour)
    (plain,) = tried[PLAIN].values()
    axes.set_xlim(0, WORSE * plain.contour)
    axes.set_ylim(bottom=plain.psnr - LOWER)
    axes.set_xlabel("stair-steps of known edges, validation (px)")
    axes.set_ylabel("PSNR (dB)")
    axes.legend(fontsize=10)
