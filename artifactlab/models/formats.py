"""Model files and folders that are recognised by what they are, and the packages that can open them.

A package of one file adds a format by an entry point of the group `artifactlab.models`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from artifactlab.errors import ModelError, shown
from artifactlab.registry import Registry


@dataclass(frozen=True)
class ModelFormat:
    """A kind of file or folder that holds a whole model."""

    recognises: Callable[[Path], bool]
    """Whether an existing file or folder is of this format, by what it holds and not by its name."""
    load: Callable[[Path, Mapping[str, Any]], nn.Module]
    """The model that a file or folder holds, made with the user's keyword arguments."""


MODEL_FORMATS: Registry[ModelFormat] = Registry("artifactlab.models", ModelFormat)
"""All formats by name; our own are announced in `artifactlab/__init__.py`."""


def format_of(path: Path) -> str | None:
    """The name of the format that an existing file or folder is of, None where it is of none.

    Raises:
        ModelError: if several formats recognise it.
    """
    names = [name for name, known in MODEL_FORMATS.items() if known.recognises(path)]
    if len(names) > 1:
        raise ModelError(
            f"{path} is a model of the formats {' and '.join(map(repr, names))} alike; uninstall the package of one of"
            " them, or name a factory that loads it, as path/to/file.py:factory"
        )
    return names[0] if names else None


def refuse_arguments(path: Path, kwargs: Mapping[str, Any], taken: Sequence[str] = ()) -> None:
    """Raise a ModelError for arguments that a file or folder does not take, as it says itself what model it holds.

    Args:
        path: the file or folder.
        kwargs: what the user gave.
        taken: names of those that it takes, by default none.
    """
    unknown = [name for name in kwargs if name not in taken]
    if unknown:
        known = f"only {' and '.join(taken)} in" if taken else "no"
        raise ModelError(f"{path} says itself what model it is and takes {known} --kwargs, got {shown(unknown[0])}")
