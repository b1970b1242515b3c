"""A diagnosis as files in a folder: written completely or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.errors import InputError
from artifactlab.printable import printable
from artifactlab.report.next_steps import Invocation
from artifactlab.report.page import report_page


def refuse_unwritable(folder: Path) -> None:
    """Raise an InputError, before any work is done, if `folder` or what leads to it is a file or read-only."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise InputError(f"cannot write the report to {folder}: {existing} is a file; give a folder for -o")
    if not os.access(existing, os.W_OK):
        raise InputError(f"cannot write the report to {folder}: {existing} is read-only")


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
    refuse_unwritable(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".artifactlab-") as scratch:
            drafts = [Path(scratch) / name for name in ("report.html", "diagnosis.json", "diagnosis.png")]
            page, data, picture = drafts
            page.write_text(report_page(diagnosis, called), encoding="utf-8")
            data.write_text(diagnosis.to_json() + "\n", encoding="utf-8")
            diagnosis.plot().savefig(picture, dpi=100)
            if not diagnosis.config.fast:  # which has no maps
                maps, arrays = (Path(scratch) / name for name in ("maps.png", "maps.npz"))
                diagnosis.plot_maps().savefig(maps, dpi=100)
                np.savez_compressed(arrays, **_maps(diagnosis))  # type: ignore[arg-type]  # its names are no flags
                drafts += [maps, arrays]
            for draft in drafts:
                os.replace(draft, folder / draft.name)
    except OSError as error:
        raise InputError(f"cannot write the report to {folder}: {error.strerror or error}") from error
    return [folder / draft.name for draft in drafts]


def _maps(diagnosis: Diagnosis) -> dict[str, np.ndarray]:
    """Every site's map on every example, in half precision; a key's slashes would be folders in the archive."""
    return {
        f"{printable(key).replace('/', ':')}@{number}": change.half().numpy()
        for number, example in enumerate(diagnosis.examples)
        for key, change in example.changes.items()
    }
