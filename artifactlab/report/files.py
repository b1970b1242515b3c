"""A diagnosis as files in a folder: written completely or not at all."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.errors import InputError
from artifactlab.files import refuse_unwritable, refuse_unwritable_folder, write_files
from artifactlab.printable import printable
from artifactlab.report.figures import png_of
from artifactlab.report.next_steps import Invocation
from artifactlab.report.page import report_page

NAMES = ("report.html", "diagnosis.json", "diagnosis.png", "maps.png", "maps.npz")
"""The files of a report; the last two are not there after a fast diagnosis."""


def refuse_unwritable_report(folder: Path) -> None:
    """Raise an InputError, before any work is done, if a report cannot be written into `folder`."""
    try:
        existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
        if not existing.is_dir():
            raise InputError(f"cannot write the report to {folder}: {existing} is a file; give a folder for -o")
        refuse_unwritable_folder(existing)
        for name in NAMES if folder.is_dir() else ():
            refuse_unwritable(folder / name)
    except OSError as error:
        raise InputError(f"cannot write the report to {folder}: {error.strerror or error}") from error


def write_report(diagnosis: Diagnosis, folder: Path, called: Invocation | None = None) -> list[Path]:
    """Write a diagnosis into `folder`, which is made if it is not there.

    `report.html`, the page to open first; `diagnosis.json` and `diagnosis.png`; `maps.png`, where each site acts in the
    first output; `maps.npz`, the same as arrays, named by site key with the number of the example.

    Args:
        diagnosis: what `artifactlab.diagnose` returned.
        folder: where to write.
        called: the command line it came from, see `report_page`.

    Returns:
        The paths written.

    Raises:
        InputError: if the folder cannot be made or written to.
    """
    refuse_unwritable_report(folder)
    contents = {folder / name: content for name, content in _contents(diagnosis, called).items()}
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_files(contents)
    except BaseException as error:
        for made in missing:
            with suppress(OSError):  # others may have put something there
                made.rmdir()
        if not isinstance(error, OSError):
            raise
        raise InputError(f"cannot write the report to {folder}: {error.strerror or error}") from error
    return list(contents)


def _contents(diagnosis: Diagnosis, called: Invocation | None) -> dict[str, bytes]:
    """The files of a report, by their names."""
    contents = {
        "report.html": report_page(diagnosis, called).encode(),
        "diagnosis.json": f"{diagnosis.to_json()}\n".encode(),
        "diagnosis.png": png_of(diagnosis.plot()),
    }
    if not diagnosis.config.fast:  # which has no maps
        arrays = io.BytesIO()
        np.savez_compressed(arrays, **_maps(diagnosis))  # type: ignore[arg-type]  # its names are no flags
        contents |= {"maps.png": png_of(diagnosis.plot_maps()), "maps.npz": arrays.getvalue()}
    return contents


def _maps(diagnosis: Diagnosis) -> dict[str, np.ndarray]:
    """Every site's map on every example, in half precision; a key's slashes would be folders in the archive."""
    return {
        f"{printable(key).replace('/', ':')}@{number}": change.half().numpy()
        for number, example in enumerate(diagnosis.examples)
        for key, change in example.changes.items()
    }
