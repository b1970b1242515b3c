"""Models by name and weights by file. Weights are data: nothing in them runs. Code runs where the user named it."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from artifactlab.errors import ArtifactLabError, ModelError, first_line

NESTED_KEYS = ("params_ema", "state_dict", "params", "model_state_dict", "model", "generator")
"""where trainers put the weights inside a checkpoint, most specific first"""
PREFIXES = ("module.", "_orig_mod.")
"""what wrappers put in front of every key"""


def load_model(target: str, kwargs: Mapping[str, Any] | None = None, checkpoint: Path | None = None) -> nn.Module:
    """Build the model `target` names and load `checkpoint` into it.

    Args:
        target: `package.module:factory` or `path/to/file.py:factory`; the factory may be a class.
        kwargs: keyword arguments for the factory.
        checkpoint: `.safetensors`, or `.pt`/`.pth` that holds only tensors and plain containers. One that
            `artifactlab fix` wrote brings its replaced modules along.

    Raises:
        ModelError: if the target cannot be imported, the factory fails or returns no module, or the checkpoint does
            not fit; the model is never returned half-loaded.

    >>> load_model("torch.nn:Upsample", {"scale_factor": 2})
    Upsample(scale_factor=2.0, mode='nearest')
    """
    model = _build(target, dict(kwargs or {}))
    if checkpoint is not None:
        weights = read_checkpoint(checkpoint)
        _install_fixes(model, checkpoint)
        _fit(model, weights, checkpoint)
    return model


def _install_fixes(model: nn.Module, checkpoint: Path) -> None:
    """Replace what `artifactlab fix` has replaced in the model that the checkpoint is of."""
    from artifactlab.fix.weights import install_replacements, read_replacements  # upwards, and lazy: few files need it

    install_replacements(model, read_replacements(checkpoint))


def sha256(path: Path) -> str:
    """Digest of a checkpoint file, so that a diagnosis names the weights it is about."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The weights in a checkpoint file, without wrappers' nesting and prefixes.

    Raises:
        ModelError: if the file is missing, of an unknown kind, damaged, or needs unpickling.
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


def _fit(model: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
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


def _build(target: str, kwargs: dict[str, Any]) -> nn.Module:
    module_name, colon, factory_name = target.rpartition(":")
    if not colon or not module_name or not factory_name:
        raise ModelError(f"expected package.module:factory or path/to/file.py:factory, got {target!r}")
    module = _import_file(Path(module_name)) if module_name.endswith(".py") else _import_module(module_name)
    factory = getattr(module, factory_name, None)
    if factory is None:
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise ModelError(f"{module_name} has no {factory_name!r}; it has {', '.join(names[:12]) or 'nothing callable'}")
    if not callable(factory):
        raise ModelError(f"{target} is a {type(factory).__name__}, not a function or class that makes the model")
    _check_arguments(factory, target, kwargs)
    try:
        model = factory(**kwargs)
    except ArtifactLabError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(f"{target} raised {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"{target} returned a {type(model).__name__}; expected a torch.nn.Module")
    return model


def _check_arguments(factory: Any, target: str, kwargs: dict[str, Any]) -> None:
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(**kwargs)
    except TypeError as error:
        needed = [
            name
            for name, parameter in signature.parameters.items()
            if parameter.default is parameter.empty
            and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        ]
        example = json.dumps(dict.fromkeys(needed, "..."))
        hint = f"; it takes {signature}" + (f": pass --kwargs '{example}'" if needed else "")
        raise ModelError(f"{target} cannot be called with {json.dumps(kwargs)}: {error}{hint}") from error


def _import_file(path: Path) -> Any:
    """Run the file the user named, with its own folder importable, as `python file.py` would."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    name = f"_artifactlab_target_{path.stem}"  # its own name, lest a models.py shadow somebody's `models`
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    _importable(path.resolve().parent)
    sys.modules[name] = module  # dataclasses look their module up while it is being run
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ModelError(f"{path} failed to import: {type(error).__name__}: {first_line(error)}") from error
    return module


def _import_module(name: str) -> Any:
    """Import a module by name, from the current folder too, as `python -m` would."""
    _importable(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        hint = "a file is named path/to/file.py"
        raise ModelError(f"cannot import {name}: no module named {error.name!r}; {hint}") from error
    except (Exception, SystemExit) as error:
        raise ModelError(f"{name} failed to import: {type(error).__name__}: {first_line(error)}") from error


def _importable(folder: Path) -> None:
    """Put a folder on the import path for good, as `python` does: factories and forwards import late, too."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
