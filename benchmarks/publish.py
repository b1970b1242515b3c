"""Put a benchmark's printed table into a page below docs/, with date and machine, so that no number there is typed."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

import torch

DOCS = Path(__file__).resolve().parent.parent / "docs"


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


def publish(name: str, text: str, into_page: bool, docs: Path = DOCS) -> None:
    """Print `text`; where asked, replace what stands between the markers of `name` by it, on the page that has them."""
    text = f"{text}\n\n*`benchmarks/{name}.py`, {stamp()}*"
    print(text)
    if not into_page:
        return
    page = page_of(name, docs)
    block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    page.write_text(
        block.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page.read_text(encoding="utf-8")), encoding="utf-8"
    )


def page_of(name: str, docs: Path = DOCS) -> Path:
    """The page that has the block of `name`."""
    markers = f"<!-- {name} -->", f"<!-- /{name} -->"
    pages = [page for page in sorted(docs.rglob("*.md")) if all(m in page.read_text(encoding="utf-8") for m in markers)]
    if len(pages) != 1:
        found = " and ".join(str(page.relative_to(docs)) for page in pages) or "no page"
        raise SystemExit(f"expected one page below {docs.name}/ with {' ... '.join(markers)}, found {found}")
    return pages[0]


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--publish", action="store_true", help="put the table into the page that has its block, too")
    return parser
