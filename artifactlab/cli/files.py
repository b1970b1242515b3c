"""A result on stdout, or in a file that is complete as soon as it is there."""

from __future__ import annotations

from pathlib import Path

import click

from artifactlab.files import followed, write_files


def write_text(text: str, target: Path | None) -> None:
    """To stdout where there is no target."""
    data = text.encode("utf-8", "surrogateescape")  # file names need not be UTF-8
    if target is None:
        click.echo(data, nl=False)
    else:
        write_files({followed(target): data})
