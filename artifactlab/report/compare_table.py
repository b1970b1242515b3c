"""A comparison in the terminal, or as plain text."""

from __future__ import annotations

import io

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from artifactlab.comparing.changes import figures
from artifactlab.comparing.compare import Comparison, MetricComparison

WIDTH = 80
STYLES = {"better": "green", "worse": "bold red", "cannot tell": "yellow"}


def compare_table(comparison: Comparison) -> Group:
    """A row per metric, the reasons of what cannot be told, offenders that went or came, and the verdict."""
    table = Table(title=Text(_title(comparison)), title_justify="left", box=None)
    table.add_column("metric", no_wrap=True)
    for name in ("before", "after", f"change ({comparison.confidence:.0%})"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for metric in comparison.metrics:
        table.add_row(*_row(metric))
    notes = [Text(f"{metric.name}: {metric.reason}", style="dim") for metric in comparison.metrics if metric.reason]
    notes += [Text(f"{m.name}: {m.left_out} images without it are left out") for m in comparison.metrics if m.left_out]
    notes += [Text(f"no offender any more: {key}") for key in comparison.offenders_gone]
    notes += [Text(f"new offender: {key}") for key in comparison.offenders_new]
    return Group(table, *([Text(), *notes] if notes else []), Text(), Text(comparison.text, style="bold"))


def compare_text(comparison: Comparison) -> str:
    """The same as plain text, 80 columns wide."""
    text = io.StringIO()
    Console(file=text, width=WIDTH, color_system=None, force_terminal=False).print(compare_table(comparison))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _title(comparison: Comparison) -> str:
    """What is compared, on how much, and what the intervals promise."""
    pairs = max((metric.pairs for metric in comparison.metrics), default=0)
    scores = comparison.kind == "scores"
    together = "; the intervals hold all at once" if len(comparison.metrics) > 1 and scores else ""
    names = f"{comparison.config['before']} -> {comparison.config['after']}"
    return f"{names}, {pairs} {'images' if scores else 'crops'}{together}"


def _row(metric: MetricComparison) -> tuple[str | Text, ...]:
    change = "-" if metric.change is None else figures(metric.change, "+")
    interval = (
        ""
        if metric.low is None or metric.high is None
        else f" [{figures(metric.low, '+')}, {figures(metric.high, '+')}]"
    )
    return (
        metric.name,
        *("-" if value is None else figures(value) for value in (metric.before, metric.after)),
        change + interval,
        Text(metric.verdict, style=STYLES[metric.verdict]),
    )
