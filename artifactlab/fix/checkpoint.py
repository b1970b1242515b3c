"""The state of a training that may be killed, in a file that is always complete."""

from __future__ import annotations

import copy
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from artifactlab.errors import FixError, InputError, ModelError, first_line
from artifactlab.files import write_files
from artifactlab.models.torch_file import read_torch_file


@dataclass
class State:
    """Where a training stands."""

    step: int
    """How many steps were done."""
    inputs: int
    """How many of the inputs there was time to show to the old model; it is trained on these."""
    planned: int
    """How many steps there is time for."""
    seconds: float
    """How long it took, over all runs."""
    first_loss: float
    """The loss on the held-out inputs before the first step."""
    first_shown: float
    """The severity that held-out outputs had then."""
    best_loss: float
    """The smallest loss on them since, of weights that show no more than the first ones."""
    best: dict[str, Tensor]
    """The weights that had it."""
    weights: dict[str, Tensor] = field(default_factory=dict)
    """The weights as they are now."""
    shown: int = 0
    """How many inputs were taken, over all rounds."""
    last: int = 0
    """How many of them in the last round."""
    ended: str = ""
    """Why it ended; empty where it did not."""


def fingerprint(settings: Mapping[str, Any], tensors: Iterable[Tensor]) -> str:
    """A digest of everything that must be the same for a training to be gone on with.

    Of what is given, and not of what is computed from it: how many targets there are depends on the clock, and their
    last bits on the machine.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for tensor in tensors:
        if not is_lazy(tensor):
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(_dense(tensor).contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _dense(tensor: Tensor) -> Tensor:
    """The values, dense and on the CPU."""
    tensor = tensor.detach().cpu()
    tensor = tensor.dequantize() if tensor.is_quantized else tensor
    return tensor if tensor.layout == torch.strided else tensor.to_dense()


def save_state(path: Path, run: str, state: State) -> None:
    """Write the state, so that a kill leaves the last one.

    Raises:
        FixError: if the file cannot be written.
    """
    content = io.BytesIO()
    torch.save({"run": run, **asdict(state)}, content)
    try:
        write_files({path: content.getvalue()})
    except InputError as error:
        raise FixError(f"the training cannot be kept: {error}") from error


def load_state(path: Path, run: str, weights: Mapping[str, Tensor]) -> State | None:
    """The state in a file; None where there is none yet.

    Args:
        path: the file.
        run: the digest of all that must be the same for it to be gone on with.
        weights: those that are trained, to compare the file's with.

    Raises:
        FixError: if the file is no such state, or of a run with other settings, inputs or weights.
    """
    if not path.exists():
        return None
    try:
        content = read_torch_file(path)
        if content.pop("run") != run:
            raise FixError(
                f"the checkpoint {path} belongs to another run: its settings, inputs or model are not these; remove it"
                " to start anew"
            )
        state = State(**copy.deepcopy(content))  # the weights in memory: the file is replaced while they are used
        _refuse_damaged(state, weights)
        return state
    except FixError:
        raise
    except ModelError as error:
        raise FixError(f"{path} is no checkpoint of a fix; remove it to start anew ({error})") from error
    except Exception as error:  # of another kind, it may hold anything
        raise FixError(f"{path} is no checkpoint of a fix: {first_line(error)}; remove it to start anew") from error


def _refuse_damaged(state: State, weights: Mapping[str, Tensor]) -> None:
    """Raise a ValueError unless the numbers are numbers, and the weights those of the model."""
    counts = (state.step, state.planned, state.inputs, state.shown, state.last)
    numbers = (*counts, state.seconds, state.first_loss, state.first_shown, state.best_loss)
    if not all(type(n) is int and n >= 0 for n in counts) or not all(type(n) in (int, float) for n in numbers):
        raise ValueError("its numbers are damaged")
    if type(state.ended) is not str:
        raise ValueError("why it ended is damaged")
    expected = {name: (value.shape, value.dtype) for name, value in weights.items()}
    for found in (state.best, state.weights):
        if {name: (value.shape, value.dtype) for name, value in found.items()} != expected:
            raise ValueError("its weights are not those that are trained")
