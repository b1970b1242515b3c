"""A fix in the terminal and as a picture: before and after."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from artifactlab.attribution.artifact_words import amplitude_text, period_text, steps_text, words_for
from artifactlab.files import followed
from artifactlab.fix.back import Written
from artifactlab.fix.pipeline import Fix
from artifactlab.fix.verify import FixCheck
from artifactlab.fix.weights import Change, fixed_bytes, write_for_fix
from artifactlab.metrics.visible import VISIBLE_STEPS
from artifactlab.report.drawing import crop_of, draw_change, draw_crop, draw_image
from artifactlab.report.figures import VERDICT, png_of
from artifactlab.report.pictures import TITLE, literal_label
from artifactlab.report.terminal import literal
from artifactlab.serialize import json_data, program

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCHEMA_VERSION = "2.1"
"""Version of `artifactlab/schemas/fix.json`."""
BEFORE_AND_AFTER = ("#D55E00", "#009E73")
"""Okabe and Ito's vermilion and green, of the bars."""
MIN_LABEL = 12
"""Columns for what a row is about; in fewer, its words would be cut in two."""


def fix_table(made: Fix) -> Group:
    """What was done, what the output shows before and after, and whether it worked."""
    check = made.check
    what = f"filtering what {', '.join(check.sites)} draws" if made.post else f"replacing {', '.join(check.sites)}"
    table = Table(title=literal(f"Before and after {what}"), title_justify="left", box=None)
    table.add_column("", min_width=MIN_LABEL)
    for name in ("before", "after"):
        table.add_column(name, justify="right", overflow="fold", min_width=len("123.45/255"))
    table.add_column("gone", justify="right", min_width=len("-123% of its"))
    names = made.before.directions
    words = words_for(names)
    grid = [amplitude_text(amplitude, names, digits=2) for amplitude in check.lattice_amplitude]
    table.add_row(
        f"{words.level} of period {period_text(check.period, names)}, rms",
        *grid,
        f"{_percent(check.energy_drop)} of its energy",
    )
    steps = [steps_text(jaggedness, names) for jaggedness in check.edge_jaggedness]
    table.add_row(words.steps, *steps, f"{_percent(check.steps_drop)} of their energy")
    both = (made.before, made.after)
    table.add_row("severity, all periods", *(f"{diagnosis.output.severity:.2f}" for diagnosis in both), "")
    if check.worst_window is not None:
        table.add_row("severity, worst window", *(f"{severity:.2f}" for severity in check.worst_window), "")
    offenders = [", ".join(site.site.key for site in diagnosis.offenders) or "none" for diagnosis in both]
    table.add_row("offenders", *map(literal, offenders), "")
    psnr = "equal" if math.isinf(check.psnr) else f"{check.psnr:.1f} dB"
    table.add_row(f"the {words.outputs.removesuffix('s')}, lattice aside", "", psnr, "")
    if math.isfinite(check.sharpness):
        table.add_row("edges and texture, to what a cure keeps", "", f"{check.sharpness:+.1f} dB", "")
    style = "bold green" if check.cured else "bold red"
    return Group(*_done(made), Text(), table, Text(), literal(check.verdict, style))


def _done(made: Fix) -> list[Text]:
    """What was swapped and trained, and what is to be known of it, a line each."""
    trained = [] if made.distilled is None else [str(made.distilled)]
    notes = [made.note] if made.note else []
    filtered = [str(made.post)] if made.post else []
    return [literal(line) for line in (*map(str, made.swaps), *filtered, *trained, *notes, *made.warnings)]


def fix_json(made: Fix, back: Sequence[Written] = ()) -> str:
    """The same for programs, with what went back into the model's format; validates against `schemas/fix.json`."""
    data = {
        "schema_version": SCHEMA_VERSION,
        "tool": program(),
        "swaps": [
            {
                "replacement": swap.replacement.to_dict(),
                "difference": swap.difference,
                "parameters": swap.parameters,
            }
            for swap in made.swaps
        ],
        "post": made.post.to_dict() if made.post else None,
        "training": asdict(made.distilled) if made.distilled else None,
        "check": asdict(made.check),
        "before": made.before.to_dict(),
        "after": made.after.to_dict(),
        "warnings": made.warnings,
        "note": made.note,
        "next_step": asdict(made.next_step) if made.next_step else None,
        "back": [
            {"sentence": one.sentence, "files": [str(path) for path in one.files], "psnr": one.psnr} for one in back
        ],
    }
    return json.dumps(json_data(data), indent=2, allow_nan=False)


def write_fix(
    made: Fix,
    earlier: Sequence[Change],
    path: Path,
    back: Sequence[Written] = (),
    folder: Path | None = None,
) -> list[Path]:
    """Write the fixed weights to `path`, the picture beside them, and what other programs load: all or none of them.

    Args:
        made: the fix.
        earlier: fixes before it, which stay in the header.
        path: of the weights.
        back: the fixed model in the format that it came in.
        folder: the new folder that all of this goes into; None where folders are there.

    Returns:
        What was written.

    Raises:
        FixError: if one of them cannot be written.
    """
    picture = path.with_suffix(".fix.png")
    weights = fixed_bytes(path, made.model, [*earlier, *made.changes])
    others = {target: content for one in back for target, content in one.files.items()}
    write_for_fix({followed(path): weights, picture: png_of(plot_fix(made)), **others}, folder)
    return [path, picture, *others]


def plot_fix(made: Fix) -> Figure:
    """The first output before and after, all of it and a crop where they differ most, and how far it moved."""
    from artifactlab.report.notebook_figure import NotebookFigure

    check = made.check
    outputs = [diagnosis.examples[0].output for diagnosis in (made.before, made.after)]
    scale = made.before.config.data_range
    change = (outputs[1].float() - outputs[0].float()).abs().mean(0) / scale
    names, crop = made.before.directions, crop_of(change)
    figure = NotebookFigure(figsize=(12, 8), layout="constrained")
    above, below = figure.subplots(2, 3)
    for column, (image, name) in enumerate(zip(outputs, ("before", "after"), strict=True)):
        draw_image(above[column], image, f"output {name}", names, crop.place)
        draw_crop(below[column], image, crop, name, names)
    draw_change(above[2], change, "how far the fix moves it", TITLE, names, crop.place)
    _plot_bars(below[2], check, names)
    figure.suptitle(literal_label(check.verdict, VERDICT), fontsize=12, fontweight="bold")
    return figure


def _plot_bars(ax: Axes, check: FixCheck, names: Sequence[str]) -> None:
    """Grid and stair-steps before and after, in units of what just shows."""
    steps = [jaggedness / VISIBLE_STEPS for jaggedness in check.edge_jaggedness]
    # the rest of severity is the grid's, and what shows of it depends on its period
    grids = [max(0.0, severity - step**2) ** 0.5 for severity, step in zip(check.severity, steps, strict=True)]
    amplitudes = [255 * amplitude for amplitude in check.lattice_amplitude]
    for place, (values, heights) in enumerate(((amplitudes, grids), (check.edge_jaggedness, steps))):
        for offset, value, height, colour in zip((-0.2, 0.2), values, heights, BEFORE_AND_AFTER, strict=True):
            ax.bar(place + offset, height, 0.38, color=colour)
            ax.text(place + offset, height, f"{value:.2f}", ha="center", va="bottom", fontsize=9)
    ax.axhline(1, color="0.3", linewidth=0.8, linestyle="--")
    ax.text(1.45, 1, "just shows", ha="right", va="bottom", fontsize=8)
    words = words_for(names)
    grid = f"{words.level}, period {period_text(check.period, names)}\n(1/255 rms)"
    ax.set_xticks([0, 1], [grid, f"{words.steps}\n({words.pixel})"])
    ax.set_title("before (orange) and after (green)", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)


def _percent(drop: float | None) -> str:
    return "-" if drop is None else f"{max(-9.99, min(1.0, drop)):.0%}"
