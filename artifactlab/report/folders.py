"""Files of one result in a folder: written completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from artifactlab.errors import InputError
from artifactlab.files import refuse_unwritable, refuse_unwritable_folder, write_files


def refuse_unwritable_names(folder: Path, names: Sequence[str]) -> None:
    """Raise an InputError, before any work is done, if files of these names cannot be written into `folder`."""
    try:
        existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
        if not existing.is_dir():
            raise InputError(f"cannot write the report to {folder}: {existing} is a file; give a folder for -o")
        refuse_unwritable_folder(existing)
        for name in names if folder.is_dir() else ():
            refuse_unwritable(folder / name)
    except OSError as error:
        raise InputError(f"cannot write the report to {folder}: {error.strerror or error}") from error


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files by their names into `folder`, which is made if it is not there.

    Returns:
        The paths written.

    Raises:
        InputError: if the folder cannot be made or written to; nothing is left behind then.
    """
    files = {folder / name: content for name, content in contents.items()}
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_files(files)
    except BaseException as error:
        for made in missing:
            with suppress(OSError):  # others may have put something there
                made.rmdir()
        if not isinstance(error, OSError):
            raise
        raise InputError(f"cannot write the report to {folder}: {error.strerror or error}") from error
    return list(files)
