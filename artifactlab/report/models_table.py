"""Where two models part, in the terminal or as text in a file."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from artifactlab.attribution.artifact_words import period_text
from artifactlab.comparing.model_comparison import LatticePair, ModelComparison
from artifactlab.report.terminal import PIPED_WIDTH, as_text, literal

LONG = 10_000
"""Numbers from here on are shortened: so strong is only what two unlike models read where there is no content to go by,
and it would leave no room for the names of layers."""
STYLES = {"part": "bold red", "same": "green", "cannot tell": "yellow"}


def models_table(comparison: ModelComparison) -> Group:
    """A row per place in running order, what the numbers are, and the verdict."""
    names = " and ".join(
        side["source"] or name for side, name in zip(comparison.model, ("first", "second"), strict=True)
    )
    count = comparison.config["inputs"]
    table = Table(title=literal(f"{names}, {count} input{'s' * (count > 1)}"), title_justify="left", box=None)
    table.add_column("layer", overflow="fold")
    table.add_column("period", justify="right", no_wrap=True)
    for name in ("grid (/255)", "steps"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("lattice", no_wrap=True)
    for place in comparison.places:
        table.add_row(*_row(place))
    note = Text(
        "first, second (apart; by chance up to): grids in 255ths of what the values span, stair-steps in samples",
        style="dim",
    )
    return Group(table, Text(), note, Text(), literal(comparison.text, "bold"))


def models_text(comparison: ModelComparison) -> str:
    """The same as text of 100 columns."""
    return as_text(models_table(comparison), PIPED_WIDTH)


def _row(place: LatticePair) -> tuple[str | Text, ...]:
    strengths = (place.first, place.second, place.difference, place.floor)
    renamed = place.where if place.where == place.other else f"{place.where} / {place.other}"
    return (
        literal(renamed),
        period_text(place.period),
        _numbers([255 * strength.grid for strength in strengths], ".1f"),
        _numbers([strength.steps for strength in strengths], ".2f"),
        Text(place.verdict, style=STYLES[place.verdict]),
    )


def _numbers(values: list[float], form: str) -> str:
    first, second, apart, floor = (format(value, form if value < LONG else ".0e") for value in values)
    return f"{first}, {second} ({apart}; {floor})"
