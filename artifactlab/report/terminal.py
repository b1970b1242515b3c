"""Rich output on stdout; plain text, 100 columns, when it is piped."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from artifactlab.printable import printable

PIPED_WIDTH = 100
"""Columns where there is no terminal to ask: enough for a long name beside the numbers of every table."""
MIN_NAME = 30
"""Columns that a table has to leave for a long name, which is hard to read when it is folded into fewer."""
UNLIMITED = 10_000
"""Columns that no cell needs; rich measures only within some width."""

LITERAL: dict[str, Any] = {"markup": False, "emoji": False}
"""A module may be called `[red]` or `:smile:`; what is styled here is styled by `Text`."""


def literal(name: str, style: str = "") -> Text:
    """What holds a name, of a site, a file or a model, as a text on one line: names are data."""
    return Text(printable(name), style)


def print_out(content: RenderableType) -> None:
    """Print to stdout, as wide as the terminal."""
    console = Console(**LITERAL)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPED_WIDTH
    console.print(content)


def as_text(content: RenderableType, width: int) -> str:
    """Render without colours and without spaces at the ends of lines; the last line is ended, too."""
    text = io.StringIO()
    Console(file=text, width=width, color_system=None, force_terminal=False, **LITERAL).print(content)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


@dataclass
class Fitting:
    """A table, or what says the same in fewer columns of text where the table would be cut off.

    Columns with a `min_width` may be folded down to that, all others are printed in full.
    """

    table: Table
    """The table, which is printed where it fits."""
    narrow: RenderableType
    """What is printed where the table does not fit."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        between = self.table.padding[1] + self.table.padding[3]
        needed = sum(between + (column.min_width or _widest(console, column)) for column in self.table.columns)
        yield self.table if needed <= options.max_width else self.narrow


def named_lines(rows: Iterable[tuple[RenderableType, RenderableType]]) -> Table:
    """Something short before something long, which folds beside it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for row in rows:
        grid.add_row(*row)
    return grid


def _widest(console: Console, column: Column) -> int:
    cells = [column.header, *column.cells]
    return max(Measurement.get(console, console.options.update_width(UNLIMITED), cell).maximum for cell in cells)
