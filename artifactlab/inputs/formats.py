"""Input files that are recognised by what they are, whatever their names.

A package of one file adds a format by an entry point of the group `artifactlab.inputs`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artifactlab.errors import InputError
from artifactlab.inputs.regular_files import open_regular
from artifactlab.registry import Registry

START = 4096
"""Bytes of a file that a format is recognised by: a NIfTI's mark stands at 344, and packed, further back."""


@dataclass(frozen=True)
class Reading:
    """What a reader is asked for."""

    gray: bool = False
    """Whether one channel is wanted instead of those of the file."""
    frames: int | None = None
    """Frames of a video that are wanted, from its first on; None for all of them."""


@dataclass(frozen=True)
class InputFile:
    """What was read from a file."""

    content: Any
    """A tensor `(N, C, *space)`, or arguments of a call: a tuple, or a dict by name; or a list of calls."""
    pixels: bool = True
    """Whether values are pixels or intensities in [0, 1], which `--range` maps; other numbers stay what they are."""
    note: str = ""
    """What was done to the values, where that is not plain."""


@dataclass(frozen=True)
class InputFormat:
    """A kind of file that inputs are read from."""

    recognises: Callable[[bytes], bool]
    """Whether a file is of this format, by its first `START` bytes."""
    read: Callable[[Path, Reading], InputFile]
    """What a file holds; an InputError says why it cannot be read."""
    suffixes: tuple[str, ...] = ()
    """Endings by which files of the format are found in a folder, in lower case."""


INPUT_FORMATS: Registry[InputFormat] = Registry("artifactlab.inputs", InputFormat)
"""All formats but images by name; what none of them recognises is taken for an image."""


def format_of_input(path: Path) -> InputFormat | None:
    """The format that a file is of; None for images, and for what cannot be read: reading it as an image says why."""
    try:
        with open_regular(path) as file:
            start = file.read(START) or b""
    except (OSError, ValueError):
        return None
    return next((known for known in INPUT_FORMATS.values() if known.recognises(start)), None)


def unreadable(path: str | Path, why: str) -> InputError:
    """The error for a file that is of a format, and cannot be read."""
    return InputError(f"cannot read {str(path)!r}: {why}")
