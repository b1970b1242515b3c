"""The picture of `training.py`: what each loss leads to, and what each of its weights trades."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import training_runs
from matplotlib.figure import Figure
from training_records import SIDE

SHOWN = {"photos": (17, 20, 28, 33, 37, 42, 46, 50, 54, 58)}
"""test images in the picture; of glyphs, every twentieth"""


def draw(drawn: dict[str, Any], file: Path) -> None:
    """Per task: the targets and every loss's outputs of the first seed; below, PSNR over jaggedness for all weights."""
    figure = Figure(figsize=(15, 7 * len(drawn)), layout="constrained")
    for part, (name, (task, tuning, _)) in zip(
        figure.subfigures(len(drawn), 1, squeeze=False)[:, 0], drawn.items(), strict=True
    ):
        part.suptitle(task.title)
        left, right = part.subfigures(1, 2, width_ratios=(3, 2))
        rows = {"target": task.test.wanted}
        for row in training_runs.ROWS:
            settings = training_runs.choose(tuning[row], tuning[training_runs.PLAIN])
            rows[row] = training_runs.outputs(
                training_runs.load(name, task, row, settings, training_runs.SEEDS[0]), task.test.given
            )
        for axes, (title, images) in zip(left.subplots(len(rows), 1), rows.items(), strict=True):
            strip = torch.cat([images[k, 0, :SIDE, :SIDE] for k in SHOWN.get(name, range(0, 200, 20))], 1)
            axes.imshow(strip.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_title(title, fontsize=8, loc="left", pad=2)
            axes.set_axis_off()
        axes = right.subplots()
        for row in training_runs.ROWS:
            points = [tried["validation"] for _, tried in sorted(tuning[row].items())]  # by weight
            values = np.array([(point["jaggedness"], point["psnr"]) for point in points])
            axes.plot(*values.T, "o-", label=row)
        axes.set_xlabel("excess jaggedness on validation images (px)")
        axes.set_ylabel("PSNR (dB)")
        axes.legend(fontsize=8)
    figure.savefig(file, dpi=80)
