"""A fix in the terminal and as a picture: before and after."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from artifactlab.errors import FixError
from artifactlab.examples import busiest
from artifactlab.fix.pipeline import Fix
from artifactlab.fix.replace import Replacement
from artifactlab.fix.verify import FixCheck
from artifactlab.fix.weights import save_fixed
from artifactlab.metrics.visible import VISIBLE_STEPS
from artifactlab.records import plain, tool
from artifactlab.report.figures import ZOOM
from artifactlab.report.pictures import show, show_change
from artifactlab.verdicts import period_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA_VERSION = "1.0"
MIN_LABEL = 12
"""columns for what a row is about"""


def fix_table(made: Fix) -> Group:
    """What was done, what the output shows before and after, and whether it worked."""
    check = made.check
    table = Table(title=f"Before and after replacing {check.site}", title_justify="left", box=None)
    table.add_column("", min_width=MIN_LABEL)
    for name in ("before", "after"):
        table.add_column(name, justify="right", overflow="fold", min_width=len("123.45/255"))
    table.add_column("gone", justify="right", min_width=len("-123% of its"))
    grid = [f"{255 * amplitude:.2f}/255" for amplitude in check.lattice_amplitude]
    table.add_row(
        f"grid of period {period_text(check.period)}, rms", *grid, f"{_share(check.energy_drop)} of its energy"
    )
    steps = [f"{jaggedness:.2f} px" for jaggedness in check.edge_jaggedness]
    table.add_row("stair-steps", *steps, f"{_share(check.steps_drop)} of their energy")
    both = (made.before, made.after)
    table.add_row("severity, all periods", *(f"{diagnosis.output['severity']:.2f}" for diagnosis in both), "")
    offenders = [", ".join(site.site.key for site in diagnosis.offenders) or "none" for diagnosis in both]
    table.add_row("offenders", *map(Text, offenders), "")
    psnr = "equal" if math.isinf(check.psnr) else f"{check.psnr:.1f} dB"
    table.add_row("the image, lattice aside", "", psnr, "")
    told = [str(made.swap), *([str(made.distilled)] if made.distilled else []), *made.warnings]
    style = "bold green" if check.cured else "bold red"
    return Group(*(Text(line) for line in told), Text(), table, Text(), Text(check.verdict, style=style))


def fix_json(made: Fix) -> str:
    """The same for programs; validates against `artifactlab/schemas/fix.json`."""
    data = {
        "schema_version": SCHEMA_VERSION,
        "tool": tool(),
        "replacement": made.swap.replacement.to_dict(),
        "difference": made.swap.difference,
        "parameters": made.swap.parameters,
        "training": asdict(made.distilled) if made.distilled else None,
        "check": asdict(made.check),
        "before": made.before.to_dict(),
        "after": made.after.to_dict(),
        "warnings": made.warnings,
    }
    return json.dumps(plain(data), indent=2, allow_nan=False)


def write_fix(made: Fix, earlier: Sequence[Replacement], path: Path) -> list[Path]:
    """Write the fixed weights to `path` and the picture beside them; `earlier` fixes stay in the header.

    Raises:
        FixError: if one of them cannot be written.
    """
    save_fixed(path, made.model, [*earlier, made.swap.replacement])
    picture = path.with_suffix(".fix.png")
    try:
        plot_fix(made).savefig(picture, dpi=100)
    except OSError as error:
        raise FixError(f"cannot write {picture}: {error.strerror or error}") from error
    return [path, picture]


def plot_fix(made: Fix) -> Figure:
    """The first output before and after, whole and close up where they differ most, and how far it moved."""
    from matplotlib.figure import Figure

    check = made.check
    outputs = [diagnosis.examples[0].output for diagnosis in (made.before, made.after)]
    scale = made.before.config["data_range"]
    change = (outputs[1].float() - outputs[0].float()).abs().mean(0) / scale
    top, left = busiest(change, ZOOM)
    figure = Figure(figsize=(12, 8), layout="constrained")
    (whole, whole_after, moved), (crop, crop_after, bars) = figure.subplots(2, 3)
    for ax, image, name in ((whole, outputs[0], "before"), (whole_after, outputs[1], "after")):
        show(ax, image, f"output {name}")
    show_change(moved, change, "how far the fix moves it")
    for ax, image, name in ((crop, outputs[0], "before"), (crop_after, outputs[1], "after")):
        show(ax, image[:, top : top + ZOOM, left : left + ZOOM], f"{name}, {ZOOM}x{ZOOM} pixels")
    names = [f"grid, period {period_text(check.period)}\n(1/255 rms)", "stair-steps\n(px)"]
    values = [[255 * amplitude for amplitude in check.lattice_amplitude], check.edge_jaggedness]
    for place, (pair, heights) in enumerate(zip(values, _over_what_shows(check), strict=True)):
        for offset, value, height, colour in zip((-0.2, 0.2), pair, heights, ("#D55E00", "#009E73"), strict=True):
            bars.bar(place + offset, height, 0.38, color=colour)
            bars.text(place + offset, height, f"{value:.2f}", ha="center", va="bottom", fontsize=9)
    bars.axhline(1, color="0.3", linewidth=0.8, linestyle="--")
    bars.text(1.45, 1, "just shows", ha="right", va="bottom", fontsize=8)
    bars.set_xticks([0, 1], names)
    bars.set_title("before (orange) and after (green)", fontsize=10)
    bars.spines[["top", "right"]].set_visible(False)
    figure.suptitle("\n".join(textwrap.wrap(check.verdict, 110)), fontsize=12, fontweight="bold")
    return figure


def _over_what_shows(check: FixCheck) -> list[list[float]]:
    """Grid and stair-steps, before and after, in multiples of what just shows."""
    steps = [jaggedness / VISIBLE_STEPS for jaggedness in check.edge_jaggedness]
    grids = [max(0.0, severity - step**2) ** 0.5 for severity, step in zip(check.severity, steps, strict=True)]
    return [grids, steps]


def _share(drop: float | None) -> str:
    return "-" if drop is None else f"{max(-9.99, min(1.0, drop)):.0%}"
