"""What cures a model, as a menu for people and as data for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from rich.console import Group
from rich.table import Table
from rich.text import Text

from artifactlab.fix.suggest import Suggestion, Suggestions
from artifactlab.report.notebook_cards import Row, html_card
from artifactlab.report.terminal import Fitting, literal
from artifactlab.serialize import program

SCHEMA_VERSION = "1.0"
"""Version of `artifactlab/schemas/suggestions.json`."""
HEADS = ("", "severity", "grid gone", "steps gone", "likeness", "ms a pass", "new layer", "old files")
CAPTION = (
    "Made in seconds and measured: severity before and after (1 just shows), PSNR to the old output with the lattice"
    " aside, median milliseconds of a forward pass; whether files of the model's own architecture hold it. With"
    " --distil IMAGES/ a command trains on your images."
)


def suggestions_table(menu: Suggestions) -> Group:
    """A row for each cure, the recommended one first, and why others are not listed."""
    table = Table(title=literal(f"What cures {', '.join(menu.sites)}"), title_justify="left", box=None)
    for head in HEADS:
        table.add_column(head, justify="left" if not head else "right", no_wrap=True)
    for one in menu.cures:
        name = Text(one.mode, style="bold green" if one.cured else "")
        table.add_row(name, *map(Text, cells(one)))
    said = [f"{one.mode}: {one.verdict}" for one in menu.cures if not one.cured]
    said += [f"{one.mode}: {why}." for one in menu.cures for why in one.refused]
    narrow = Group(*(literal(str(one)) for one in menu.cures))
    lines = [Text(), *map(literal, [*said, *menu.refused]), Text(CAPTION)]
    return Group(Fitting(table, narrow), *lines, Text(), literal(recommendation(menu), "bold"))


def recommendation(menu: Suggestions) -> str:
    """Which one to take, in a sentence."""
    best = menu.recommended
    if best is None:
        return "Nothing cures it in seconds; train the first of these on your images, with --distil IMAGES/."
    return f"Recommended: {best.mode}. {best.verdict}"


def cells(one: Suggestion) -> list[str]:
    """What stands in a row, but for its name."""
    return [
        "{:.2f} -> {:.2f}".format(*one.severity),
        _percent(one.energy_drop),
        _percent(one.steps_drop),
        "equal" if math.isinf(one.psnr) else f"{one.psnr:.1f} dB",
        "{:.1f} -> {:.1f}".format(*one.milliseconds),
        "yes" if one.new_layer else "no",
        "yes" if one.keeps_format else "no",
    ]


def suggestions_json(menu: Suggestions, command: Callable[[Suggestion], str]) -> str:
    """The same for programs, with a command for each; validates against `schemas/suggestions.json`."""
    data = menu.to_dict()
    for row, one in zip(data["cures"], menu.cures, strict=True):
        row["command"] = command(one)
    return json.dumps({"schema_version": SCHEMA_VERSION, "tool": program(), **data}, indent=2, allow_nan=False)


def suggestions_card(menu: Suggestions) -> str:
    """A row for each cure, as HTML for a notebook."""
    rows: list[Row] = [(None, [f"{one.mode} ({one.arguments})", *cells(one)], one.verdict) for one in menu.cures]
    return html_card(recommendation(menu), ["cure", *HEADS[1:]], rows, " ".join([*menu.refused, CAPTION]))


def _percent(drop: float | None) -> str:
    return "-" if drop is None else f"{max(-9.99, min(1.0, drop)):.0%}"
