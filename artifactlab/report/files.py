"""A diagnosis as files in a folder: written completely or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from artifactlab.errors import InputError
from artifactlab.records import Diagnosis


def write_report(diagnosis: Diagnosis, folder: Path) -> list[Path]:
    """Write `diagnosis.json` and `diagnosis.png` into `folder`, which is made if it is not there.

    Returns:
        The paths written.

    Raises:
        InputError: if the folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".artifactlab-") as scratch:
            drafts = [Path(scratch) / "diagnosis.json", Path(scratch) / "diagnosis.png"]
            drafts[0].write_text(diagnosis.to_json() + "\n", encoding="utf-8")
            diagnosis.plot().savefig(drafts[1], dpi=100)
            for draft in drafts:
                os.replace(draft, folder / draft.name)
    except OSError as error:
        raise InputError(f"cannot write the report to {folder}: {error.strerror or error}") from error
    return [folder / draft.name for draft in drafts]
