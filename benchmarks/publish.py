"""Put a benchmark's printed table into the README, with date and machine, so that no number there is typed."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

import torch

README = Path(__file__).resolve().parent.parent / "README.md"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def mark(reached: bool) -> str:
    """What stands beside a target."""
    return "reached" if reached else "**missed**"


def stamp() -> str:
    """When and on what the numbers were taken."""
    today = datetime.date.today().isoformat()
    machine = f"{os.cpu_count()} cores {platform.machine()}"
    return f"{today}, {machine}, Python {platform.python_version()}, torch {torch.__version__}"


def publish(name: str, text: str, into_page: bool, page: Path = README) -> None:
    """Print `text`; where asked, replace what stands in the page between the markers of `name` by it."""
    text = f"{text}\n\n*`benchmarks/{name}.py`, {stamp()}*"
    print(text)
    if not into_page:
        return
    block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    content = page.read_text(encoding="utf-8")
    if not block.search(content):
        raise SystemExit(f"{page.name} has no block <!-- {name} --> ... <!-- /{name} -->")
    page.write_text(block.sub(lambda found: f"{found[1]}{text}\n{found[2]}", content), encoding="utf-8")


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--readme", action="store_true", help="put the table into the README, too")
    return parser
