"""A comparison in the terminal, or as text in a file."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from artifactlab.comparing.changes import MetricComparison, figures
from artifactlab.comparing.comparison import Comparison
from artifactlab.report.terminal import as_text, literal

WIDTH = 80
"""Columns of the text, which every terminal and mail has."""
MOST_NAMED = 5
"""Images that got worse that are named; the page has all."""
STYLES = {"better": "green", "worse": "bold red", "cannot tell": "yellow"}


def compare_table(comparison: Comparison) -> Group:
    """A row per metric, the reasons of what cannot be told, offenders that went or came, and the verdict."""
    table = Table(title=literal(comparison_title(comparison)), title_justify="left", box=None)
    table.add_column("metric", no_wrap=True)
    for name in ("before", "after", f"change ({comparison.confidence:.0%})"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for metric in comparison.metrics:
        table.add_row(*_row(metric))
    notes = _notes(comparison)
    below = [Text(), *notes] if notes else []
    return Group(table, *below, Text(), literal(comparison.text, "bold"))


def compare_text(comparison: Comparison) -> str:
    """The same as text of 80 columns."""
    return as_text(compare_table(comparison), WIDTH)


def comparison_title(comparison: Comparison) -> str:
    """What is compared, on how much, and what the intervals promise."""
    pairs = max((metric.pairs for metric in comparison.metrics), default=0)
    scores = comparison.kind == "scores"
    together = "; the intervals hold all at once" if len(comparison.metrics) > 1 and scores else ""
    names = f"{comparison.config['before']} -> {comparison.config['after']}"
    return f"{names}, {pairs} {'images' if scores else 'crops'}{together}"


def _notes(comparison: Comparison) -> list[Text]:
    """What the table has no column for."""
    reasons = [literal(f"{metric.name}: {metric.reason}", "dim") for metric in comparison.metrics if metric.reason]
    left_out = [
        literal(f"{metric.name}: {metric.left_out} images without it are left out")
        for metric in comparison.metrics
        if metric.left_out
    ]
    gone = [literal(f"no offender any more: {key}") for key in comparison.offenders_gone]
    new = [literal(f"new offender: {key}") for key in comparison.offenders_new]
    return [*reasons, *left_out, *gone, *new, *_images(comparison)]


def _images(comparison: Comparison) -> list[Text]:
    """How many images got worse, and which by most; those that got better are counted."""
    stems = {word: [pair.stem for pair in comparison.images if pair.became == word] for word in ("worse", "better")}
    if not stems["worse"]:
        return []
    named = ", ".join(stems["worse"][:MOST_NAMED])
    more = f" and {len(stems['worse']) - MOST_NAMED} more" if len(stems["worse"]) > MOST_NAMED else ""
    counts = f"{len(stems['worse'])} of {len(comparison.images)} images got worse, {len(stems['better'])} better"
    return [literal(f"{counts}; worst first: {named}{more}")]


def _row(metric: MetricComparison) -> tuple[str | Text, ...]:
    return (
        literal(metric.name),
        *("-" if value is None else figures(value) for value in (metric.before, metric.after)),
        change_text(metric),
        Text(metric.verdict, style=STYLES[metric.verdict]),
    )


def change_text(metric: MetricComparison) -> str:
    """The change with its interval; a dash where there is none."""
    change = "-" if metric.change is None else figures(metric.change, "+")
    if metric.low is None or metric.high is None:
        return change
    return f"{change} [{figures(metric.low, '+')}, {figures(metric.high, '+')}]"
