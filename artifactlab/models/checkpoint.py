"""Weights from files. They are data: nothing in them runs."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from artifactlab.errors import ModelError, first_line
from artifactlab.models.torch_internals import COMPILED_CHILD

NESTED_KEYS = ("params_ema", "state_dict", "params", "model_state_dict", "model", "generator")
"""Where trainers put the weights inside a checkpoint, most specific first."""
PREFIXES = ("module.", f"{COMPILED_CHILD}.")
"""What wrappers put in front of every key."""


def sha256(path: Path) -> str:
    """Digest of a checkpoint file, so that a diagnosis names the weights it is about."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The weights in a checkpoint file, without wrappers' nesting and prefixes.

    Args:
        path: of a file whose name ends in .safetensors, .pt, .pth, .ckpt or .bin.

    Raises:
        ModelError: if the file is missing, of an unknown kind, damaged, or needs unpickling.

    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "weights.pt"
    ...     torch.save({"state_dict": {"module.up.bias": torch.zeros(3)}}, path)
    ...     list(read_checkpoint(path))
    ['up.bias']
    """
    if not path.is_file():
        raise ModelError(f"checkpoint {path}: no such file")
    if path.suffix == ".safetensors":
        try:
            return _without_prefix(load_file(path))
        except (SafetensorError, OSError) as error:
            raise ModelError(f"checkpoint {path} is no readable safetensors file: {error}") from error
    if path.suffix not in (".pt", ".pth", ".ckpt", ".bin"):
        raise ModelError(f"checkpoint {path}: expected .safetensors, .pt, .pth, .ckpt or .bin, got {path.suffix!r}")
    if not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        raise ModelError(
            f"checkpoint {path} was refused: torch {torch.__version__} can be made to run code by a file even with"
            " weights_only=True (CVE-2025-32434); use torch 2.6 or newer, or .safetensors"
        )
    with path.open("rb") as file:
        if not file.read(4).startswith((b"PK\x03\x04", b"\x80")):  # zip, or the pickle of before torch 1.6
            raise ModelError(f"checkpoint {path} cannot be read: nothing that torch.save wrote starts like this")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"checkpoint {path} was refused: it needs unpickling, which runs code from the file ({_reason(error)}). "
            "Save the weights alone (torch.save(model.state_dict(), ...)) or as .safetensors, where you trust the file"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ModelError(f"checkpoint {path} cannot be read: {first_line(error)}") from error
    return _without_prefix(_state_dict(content, path))


def _reason(error: Exception) -> str:
    """The global that the safe unpickler refused, as torch's message names it."""
    lines = [line.strip() for line in str(error).splitlines()]
    named = [line for line in lines if "GLOBAL" in line or "Unsupported" in line]
    text = (named or lines or ["unsupported content"])[0]
    return text.split("Please use")[0].removeprefix("WeightsUnpickler error:").strip().rstrip(".")


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """Descend into nested checkpoints until the values are tensors."""
    while isinstance(content, Mapping):
        if content and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()):
            return dict(content)
        nested = [key for key in NESTED_KEYS if isinstance(content.get(key), Mapping)]
        if not nested:
            break
        content = content[nested[0]]
    found = ", ".join(map(str, list(content)[:8])) if isinstance(content, Mapping) else type(content).__name__
    raise ModelError(
        f"checkpoint {path} holds no state dict: expected tensors by name, at the top or under one of "
        f"{', '.join(NESTED_KEYS)}; got {found}"
    )


def _without_prefix(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if weights and all(key.startswith(prefix) for key in weights):
            weights = {key.removeprefix(prefix): value for key, value in weights.items()}
    return weights


def fit(model: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Load the weights, or say exactly which of them do not fit and change nothing."""
    wanted = model.state_dict()
    problems = []
    missing, extra = sorted(wanted.keys() - weights.keys()), sorted(weights.keys() - wanted.keys())
    shapes = [
        f"{key} is {tuple(weights[key].shape)}, the model's is {tuple(wanted[key].shape)}"
        for key in wanted
        if key in weights and weights[key].shape != wanted[key].shape
    ]
    for what, keys in (("missing", missing), ("extra", extra), ("wrong shape", shapes)):
        if keys:
            problems.append(f"{len(keys)} {what}: {', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''}")
    if problems:
        raise ModelError(f"checkpoint {path} does not fit the model: {'; '.join(problems)}; check --kwargs")
    broken = [key for key, value in weights.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if broken:
        raise ModelError(f"checkpoint {path} holds NaN or Inf in {', '.join(broken[:3])}; the training has diverged")
    model.load_state_dict(weights)
