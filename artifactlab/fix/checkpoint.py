"""The state of a training that may be killed, in a file that is always complete."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from artifactlab.errors import FixError, first_line

NO_PICKLE = (pickle.UnpicklingError, struct.error)
"""What torch.load also raises on files of another kind."""


@dataclass
class State:
    """Where a training stands."""

    step: int
    """How many steps were done."""
    planned: int
    """How many steps there is time for."""
    seconds: float
    """How long it took, over all runs."""
    first_loss: float
    """The loss on the held-out inputs before the first step."""
    best_loss: float
    """The smallest loss on them since."""
    best: dict[str, Tensor]
    """The weights with the smallest loss."""
    weights: dict[str, Tensor] = field(default_factory=dict)
    """The weights as they are now."""
    optimiser: dict[str, Any] = field(default_factory=dict)
    """The optimiser's own state."""


def fingerprint(settings: dict[str, Any], targets: Sequence[Tensor]) -> str:
    """A digest of everything that must be the same for a training to be gone on with."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for target in targets:
        digest.update(str(tuple(target.shape)).encode())
        digest.update(target.numpy().tobytes())
    return digest.hexdigest()


def save_state(path: Path, run: str, state: State) -> None:
    """Write the state beside its place and move it there, so that a kill leaves the last one.

    Raises:
        FixError: if the file cannot be written.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        torch.save({"run": run, **asdict(state)}, draft)
        os.replace(draft, path)
    except (OSError, RuntimeError) as error:
        draft.unlink(missing_ok=True)
        raise FixError(f"cannot write the checkpoint {path}: {first_line(error)}") from error


def load_state(path: Path, run: str) -> State | None:
    """The state in a file; None where there is none yet.

    Raises:
        FixError: if the file is no such state, or of a run with other settings, inputs or weights.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content.pop("run") != run:
            raise FixError(
                f"the checkpoint {path} belongs to another run: its settings, inputs or model are not these; remove it"
                " to start anew"
            )
        return State(**content)
    except FixError:
        raise
    except (OSError, RuntimeError, EOFError, LookupError, TypeError, ValueError, AttributeError, *NO_PICKLE) as error:
        raise FixError(f"{path} is no checkpoint of a fix: {first_line(error)}; remove it to start anew") from error
