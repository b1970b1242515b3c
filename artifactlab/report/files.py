"""A diagnosis as files in a folder: written completely or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.printable import printable
from artifactlab.report.figures import png_of
from artifactlab.report.folders import refuse_unwritable_names, write_folder
from artifactlab.report.next_steps import Invocation
from artifactlab.report.page import report_page

PAGE = "report.html"
"""The file to open first."""
NAMES = (PAGE, "diagnosis.json", "diagnosis.png", "maps.png", "maps.npz")
"""The files of a report; the last two are not there after a fast diagnosis."""


def refuse_unwritable_report(folder: Path) -> None:
    """Raise an InputError, before any work is done, if a report cannot be written into `folder`."""
    refuse_unwritable_names(folder, NAMES)


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
    return write_folder(folder, _contents(diagnosis, called))


def _contents(diagnosis: Diagnosis, called: Invocation | None) -> dict[str, bytes]:
    """The files of a report, by their names."""
    contents = {
        PAGE: report_page(diagnosis, called).encode(),
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
