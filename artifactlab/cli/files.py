"""A result on stdout, or in a file that is complete as soon as it is there."""

from __future__ import annotations

import os
from pathlib import Path

import click

from artifactlab.errors import InputError


def refuse_unwritable(target: Path) -> None:
    """Before any work is done."""
    if target.is_dir():
        raise InputError(f"cannot write to {str(target)!r}: it is a folder; give a file for -o")
    if not target.parent.is_dir():
        raise InputError(f"cannot write {str(target)!r}: there is no folder {str(target.parent)!r}; make it first")


def write_text(text: str, target: Path | None) -> None:
    """To stdout where there is no target."""
    data = text.encode("utf-8", "surrogateescape")  # file names need not be UTF-8
    if target is None:
        click.echo(data, nl=False)
        return
    target = target.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if target.exists() and not target.is_file():  # /dev/null must not be replaced by a file
            target.write_bytes(data)
            return
        draft.write_bytes(data)
        os.replace(draft, target)
    except OSError as error:
        raise InputError(f"cannot write {str(target)!r}: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)
