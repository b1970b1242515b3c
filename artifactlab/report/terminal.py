"""Rich output on stdout; plain text, 100 columns, when it is piped."""

from __future__ import annotations

import os

from rich.console import Console, RenderableType

PIPED_WIDTH = 100


def print_out(content: RenderableType) -> None:
    """Print to stdout, as wide as the terminal."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPED_WIDTH
    console.print(content)
