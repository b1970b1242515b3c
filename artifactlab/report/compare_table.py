"""A comparison as text: a table for people, JSON for programs."""

from __future__ import annotations

import io
from collections.abc import Callable

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from artifactlab.compare import Comparison, MetricComparison

WIDTH = 100
STYLES = {"better": "green", "worse": "bold red", "cannot tell": "yellow"}


def compare_table(comparison: Comparison) -> Group:
    """A row per metric, the reasons of what cannot be told, offenders that went or came, and the verdict."""
    table = Table(title=Text(_title(comparison)), title_justify="left", box=None)
    table.add_column("metric", no_wrap=True)
    for name in ("before", "after", f"change ({comparison.confidence:.0%})", "pairs"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for metric in comparison.metrics:
        table.add_row(*_row(metric))
    notes = [Text(f"{metric.name}: {metric.reason}", style="dim") for metric in comparison.metrics if metric.reason]
    notes += [Text(f"{m.name}: {m.left_out} images without it are left out") for m in comparison.metrics if m.left_out]
    notes += [Text(f"no offender any more: {key}") for key in comparison.offenders_gone]
    notes += [Text(f"new offender: {key}") for key in comparison.offenders_new]
    return Group(table, *([Text(), *notes] if notes else []), Text(), Text(comparison.text, style="bold"))


def _render_table(comparison: Comparison) -> str:
    text = io.StringIO()
    Console(file=text, width=WIDTH, color_system=None, force_terminal=False).print(compare_table(comparison))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


RENDER: dict[str, Callable[[Comparison], str]] = {
    "table": _render_table,
    "json": lambda comparison: comparison.to_json() + "\n",
}
"""format name -> comparison as text that ends in a newline"""


def _title(comparison: Comparison) -> str:
    several = len(comparison.metrics) > 1 and comparison.kind == "scores"
    return f"{comparison.config['before']} -> {comparison.config['after']}" + (
        "; the intervals hold all at once" if several else ""
    )


def _row(metric: MetricComparison) -> tuple[str | Text, ...]:
    interval = "" if metric.low is None else f" [{_signed(metric.low)}, {_signed(metric.high)}]"
    return (
        metric.name,
        *("-" if value is None else f"{value:.4f}" for value in (metric.before, metric.after)),
        _signed(metric.change) + interval,
        str(metric.pairs),
        Text(metric.verdict, style=STYLES[metric.verdict]),
    )


def _signed(value: float | None) -> str:
    if value is None:
        return "-"
    text = f"{value:+.4f}"
    return "0.0000" if float(text) == 0 else text
