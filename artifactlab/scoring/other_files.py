"""Sounds, which are measured, too, but not as images: refused with the way to do it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from artifactlab.errors import InputError
from artifactlab.inputs.sounds import SOUND


def refuse_sounds(paths: Iterable[str | Path]) -> None:
    """An InputError where a path has the name of a sound.

    It is raised before anything is scored, as in the row of a table it would be folded into a column.
    """
    for path in paths:
        if str(path).lower().endswith(SOUND.suffixes):
            way = "artifactlab.severity(artifactlab.inputs.load_inputs([FILE])[0], periods=8, data_range=2)"
            raise InputError(f"{str(path)!r} is a sound, and score takes images: in Python give {way}")
