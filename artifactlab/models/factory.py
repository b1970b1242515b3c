"""Models by name and weights by file. Weights are data: nothing in them runs. Code runs where the user named it."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from torch import nn

from artifactlab.errors import ArtifactLabError, ModelError, first_line, shown
from artifactlab.models.checkpoint import fit
from artifactlab.models.checkpoint_parts import OPTION, of_model, read_part
from artifactlab.models.formats import MODEL_FORMATS, format_of
from artifactlab.models.hub import ADD, is_id
from artifactlab.models.signatures import signature_of
from artifactlab.models.spandrel_descriptor import described_model, is_descriptor
from artifactlab.registry import Registry

PREPARATIONS: Registry[Callable[[nn.Module, Path], nn.Module]] = Registry("artifactlab.checkpoints")
"""What makes of a model the one whose weights a file holds, by name; `artifactlab.fix` puts its replaced modules in."""


def load_model(
    target: str,
    kwargs: Mapping[str, Any] | None = None,
    checkpoint: Path | None = None,
    checkpoint_key: str | None = None,
) -> nn.Module:
    """Build the model `target` names and load `checkpoint` into it.

    Args:
        target: `package.module:factory` or `path/to/file.py:factory`, where the factory may be a class; or a file or
            folder of one of `artifactlab.models.MODEL_FORMATS`, such as the weights of a super-resolution model.
        kwargs: keyword arguments for the factory, or for what opens the file.
        checkpoint: `.safetensors`, or `.pt`/`.pth` that holds only tensors and built-in containers. One that
            `artifactlab fix` wrote brings its replaced modules along. Where a trainer has put a prefix before names,
            such as `generator.`, they are found by the model's own.
        checkpoint_key: where in the checkpoint its weights are, as `ema` or `state_dict.generator`; None to find them.

    Raises:
        ModelError: if the target cannot be imported or opened, the factory fails or returns no module, or the
            checkpoint does not fit; the model is never returned half-loaded.

    >>> load_model("torch.nn:Upsample", {"scale_factor": 2})
    Upsample(scale_factor=2.0, mode='nearest')
    """
    if checkpoint_key is not None and checkpoint is None:
        raise ModelError(f"{OPTION} {checkpoint_key} names weights in a checkpoint; give that with --checkpoint")
    opened = _open(target, dict(kwargs or {}))
    model = _build(target, dict(kwargs or {})) if opened is None else opened
    if checkpoint is not None:
        weights = read_part(checkpoint, checkpoint_key)
        model = _prepared(model, checkpoint)
        weights = of_model(model.state_dict(), weights, checkpoint)
        fit(model, weights, checkpoint)
    return model


def _prepared(model: nn.Module, checkpoint: Path) -> nn.Module:
    """The model whose weights the checkpoint holds."""
    for prepare in PREPARATIONS.values():
        model = prepare(model, checkpoint)
    return model


def _open(target: str, kwargs: dict[str, Any]) -> nn.Module | None:
    """The model that an existing file or folder holds, None where no format recognises it."""
    if not os.path.exists(target):
        return None
    path = Path(target)
    try:
        name = format_of(path)
    except OSError as error:
        raise ModelError(f"{target} cannot be read: {error.strerror or first_line(error)}") from error
    if name is None:
        return None
    return _made(f"{target}, opened as {name!r},", partial(MODEL_FORMATS[name].load, path, kwargs))


def _build(target: str, kwargs: dict[str, Any]) -> nn.Module:
    factory = find_callable(target, "a function or class that makes the model")
    if isinstance(factory, nn.Module):  # it is one already, and calling it would run it
        if kwargs:
            raise ModelError(f"{target} is a model already, which takes no --kwargs {json.dumps(kwargs)}; leave it out")
        return factory
    _check_arguments(factory, target, kwargs)
    return _made(target, partial(factory, **kwargs))


def find_callable(target: str, what: str) -> Callable[..., Any]:
    """The function or class that a user names; `what` it should be is said where it is none.

    Raises:
        ModelError: if the target cannot be imported.
    """
    module_name, colon, factory_name = target.rpartition(":")
    if not colon or not module_name or not factory_name:
        hint = f"; {ADD}" if is_id(target) else ""
        raise ModelError(f"expected package.module:factory or path/to/file.py:factory, got {shown(target)}{hint}")
    module = _import_file(Path(module_name)) if module_name.endswith(".py") else _import_module(module_name)
    factory: Any = module
    for part in factory_name.split("."):  # such as a class's from_config
        factory = getattr(factory, part, None)
    if factory is None:
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        has = ", ".join(names[:12]) or "nothing callable"
        raise ModelError(f"{module_name} has no {shown(factory_name)}; it has {has}{_another(module_name, module)}")
    if not callable(factory):
        raise ModelError(f"{target} is a {type(factory).__name__}, not {what}")
    found: Callable[..., Any] = factory
    return found


def _another(name: str, module: Any) -> str:
    """Which module was taken, where the current folder has another one of the name."""
    path = Path(*name.split(".")).with_suffix(".py")
    taken = getattr(module, "__file__", None) or name
    if name.endswith(".py") or not path.is_file() or os.path.samefile(path, taken):
        return ""
    return f" (it is {taken}; the one in this folder is {path}:factory)"


def _made(target: str, make: Callable[[], object]) -> nn.Module:
    """What `make`, somebody else's code, returns."""
    try:
        model = make()
    except ArtifactLabError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(f"{target} raised {type(error).__name__}: {first_line(error)}") from error
    if is_descriptor(model):
        return described_model(model)
    if not isinstance(model, nn.Module):
        raise ModelError(f"{target} returned a {type(model).__name__}; expected a torch.nn.Module")
    return model


def _check_arguments(factory: Any, target: str, kwargs: dict[str, Any]) -> None:
    try:
        signature = signature_of(factory)
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
        raise ModelError(f"{target} cannot be called with {shown(kwargs)}: {first_line(error)}{hint}") from error


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
    sys.modules[name] = module  # dataclasses ask for their module while it is being run
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ModelError(f"{path} failed to import: {type(error).__name__}: {first_line(error)}") from error
    return module


def _import_module(name: str) -> Any:
    """Import a module by name; from the current folder, with what it imports itself, only where nothing else has it.

    Whoever judges a model of an installed package in a folder of downloads has not asked to run what lies there.
    """
    try:
        if not _is_installed(name.partition(".")[0]):
            _importable(Path.cwd())
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        hint = "a file is named path/to/file.py"
        raise ModelError(f"cannot import {shown(name)}: no module named {shown(error.name)}; {hint}") from error
    except (Exception, SystemExit) as error:
        raise ModelError(f"{name} failed to import: {type(error).__name__}: {first_line(error)}") from error


def _is_installed(package: str) -> bool:
    """Whether a package is found without the current folder; one there goes before folders that just have its name."""
    if package in sys.modules:
        return True
    found = importlib.util.find_spec(package)
    return found is not None and (found.origin is not None or PathFinder.find_spec(package, [os.getcwd()]) is None)


def _importable(folder: Path) -> None:
    """Put a folder on the import path for good, as `python` does: factories and forwards import late, too."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
