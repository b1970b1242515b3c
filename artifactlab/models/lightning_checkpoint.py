"""Checkpoints of Lightning: which class they are of, they do not say; what a user types to give it, is said here."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artifactlab.models.torch_file import read_torch_file

VERSION, WEIGHTS, ARGUMENTS = "pytorch-lightning_version", "state_dict", "hyper_parameters"
"""Entries that Lightning writes; the last where a module calls `save_hyperparameters`."""
LONGEST = 200
"""Letters of arguments that are repeated; whoever has more of them gives a file of their own."""


def command_for(path: Path) -> str:
    """What diagnoses a checkpoint of Lightning once the class is filled in; empty for other files.

    Raises:
        ModelError: if the file cannot be read as data.
    """
    content: Any = read_torch_file(path) if path.is_file() else None
    if not isinstance(content, Mapping) or VERSION not in content:
        return ""
    name = shlex.quote(str(path))
    return (
        f"artifactlab diagnose package.module:Class --checkpoint {name} --checkpoint-key"
        f" {WEIGHTS}{_arguments(content.get(ARGUMENTS))}"
    )


def _arguments(found: Any) -> str:
    """The arguments that the module was made with, as they are typed; empty where JSON has no words for them."""
    try:
        text = json.dumps(found) if isinstance(found, Mapping) and found else ""
    except (TypeError, ValueError, RecursionError):
        return ""
    return f" --kwargs {shlex.quote(text)}" if 0 < len(text) <= LONGEST else ""
