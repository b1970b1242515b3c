"""Weights from files. They are data: nothing in them runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from artifactlab.errors import ModelError, first_line
from artifactlab.models.containers import Container, container_of
from artifactlab.models.safetensors_file import check_safetensors, read_safetensors
from artifactlab.models.torch_file import read_torch_file
from artifactlab.models.torch_internals import COMPILED_CHILD

Value = TypeVar("Value")

NESTED_KEYS = ("params_ema", "params-ema", "state_dict", "params", "model_state_dict", "model", "net", "generator")
"""Where trainers put the weights inside a checkpoint, most specific first."""
PREFIXES = ("module.", f"{COMPILED_CHILD}.")
"""What wrappers put in front of every key."""
SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
"""How the names of files of weights end."""
MAX_SHOWN = 120
"""Letters of a name that an error quotes; the longest in the usual decoders have 90."""


def sha256(path: Path) -> str:
    """Digest of a checkpoint file, so that a diagnosis names the weights it is about."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The weights in a checkpoint file, without wrappers' nesting and prefixes; mapped from the file until used.

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
    refuse_missing(path)
    refuse_other_suffix(path)
    return _weights(path, path.suffix == ".safetensors")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The same of a file of any name, told by its start; raises the same."""
    refuse_missing(path)
    return _weights(path, is_safetensors(path))


def is_safetensors(path: Path) -> bool:
    """Whether a file of weights, of any name, is none that `torch.save` wrote, by its start."""
    with path.open("rb") as file:
        return container_of(file.read(9)) not in (Container.ZIP, Container.PICKLE)


def _weights(path: Path, safe: bool) -> dict[str, Tensor]:
    if not safe:
        return plain_weights(read_torch_file(path), path)
    return without_prefix(_as_safetensors(path, read_safetensors))


def check_weights(path: Path) -> None:
    """Raise what `read_checkpoint` does of a file that is no weights; safe ones are not read but for their header."""
    if path.suffix == ".safetensors":
        refuse_missing(path)
        _as_safetensors(path, check_safetensors)
    else:
        read_checkpoint(path)


def _as_safetensors(path: Path, read: Callable[[Path], Value]) -> Value:
    try:
        return read(path)
    except Exception as error:  # the names of dtypes that torch lacks are KeyErrors, for instance
        raise ModelError(f"checkpoint {path} is no readable safetensors file: {first_line(error)}") from error


def plain_weights(content: Any, path: Path) -> dict[str, Tensor]:
    """The weights in what was read from a file, without wrappers' nesting and prefixes.

    Raises:
        ModelError: if there are none.
    """
    return without_prefix(nested_weights(content, path)[1])


def refuse_other_suffix(path: Path) -> None:
    """Raise a ModelError for a file whose name does not end as those of weights do."""
    if path.suffix not in SUFFIXES:
        expected = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        raise ModelError(f"checkpoint {path}: expected {expected}, got {path.suffix!r}")


def refuse_missing(path: Path) -> None:
    """Raise a ModelError where there is no file, or one whose name the readers of weights cannot be told."""
    try:
        os.fsencode(path).decode()
        found = path.is_file()
    except (OSError, ValueError) as error:
        raise ModelError(f"checkpoint {str(path)!r} cannot be read: {first_line(error)}; rename the file") from error
    if not found:
        raise ModelError(f"checkpoint {path}: {'not a file' if path.exists() else 'no such file'}")


def nested_weights(content: Any, path: Path) -> tuple[tuple[str, ...], dict[str, Tensor]]:
    """The keys that lead down into a nested checkpoint, and the tensors by name that are there.

    Raises:
        ModelError: if there are none.
    """
    keys: tuple[str, ...] = ()
    seen: set[int] = set()
    while isinstance(content, Mapping) and id(content) not in seen:
        if content and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()):
            return keys, {name: _plain(name, value, path) for name, value in content.items()}
        seen.add(id(content))
        nested = [key for key in NESTED_KEYS if isinstance(content.get(key), Mapping)]
        if not nested:
            break
        content, keys = content[nested[0]], (*keys, nested[0])
    raise ModelError(
        f"checkpoint {path} holds no state dict: expected tensors by name, at the top or under one of "
        f"{', '.join(NESTED_KEYS)}; got {_described(content)}"
    )


def _described(content: Any) -> str:
    if not isinstance(content, Mapping):
        return type(content).__name__
    return listed([key if isinstance(key, str) else type(key).__name__ for key in content], 8)


def _plain(name: str, value: Tensor, path: Path) -> Tensor:
    """The numbers of a tensor, without the attributes that a file may have given it."""
    kind = "meta" if value.is_meta else "quantized" if value.is_quantized else "nested" if value.is_nested else ""
    if kind or value.layout != torch.strided:
        raise ModelError(
            f"checkpoint {path}: {listed([name])} is a {kind or str(value.layout).removeprefix('torch.')} tensor;"
            " expected plain numbers: save the state_dict() of the model as it was trained"
        )
    return Tensor.detach(value).as_subclass(Tensor)


def without_prefix(weights: dict[str, Value]) -> dict[str, Value]:
    """The same by the names that they have in the model itself."""
    for prefix in PREFIXES:
        if weights and all(key.startswith(prefix) for key in weights):
            weights = {key.removeprefix(prefix): value for key, value in weights.items()}
    return weights


def fit(model: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Load the weights, or say exactly which of them do not fit and change nothing."""
    wanted = model.state_dict()
    refuse_misfit(wanted, {name: tuple(value.shape) for name, value in weights.items()}, path)
    try:
        _refuse_broken(wanted, weights, {name for name, _ in model.named_buffers()}, path)
        model.load_state_dict(weights)
    except (RuntimeError, TypeError, ValueError) as error:  # types of numbers that torch cannot convert
        raise ModelError(f"checkpoint {path} cannot be loaded into the model: {first_line(error)}") from error


def _refuse_broken(
    wanted: Mapping[str, Any], weights: Mapping[str, Tensor], buffers: Collection[str], path: Path
) -> None:
    odd = [key for key, value in weights.items() if value.is_complex() and not torch.is_complex(wanted[key])]
    if odd:
        raise ModelError(f"checkpoint {path} holds complex numbers in {listed(odd)}, where the model has real ones")
    # Inf in a buffer may be meant: attention masks are made of it
    broken = [key for key, value in weights.items() if not _is_finite(value, allow_inf=key in buffers)]
    if broken:
        raise ModelError(f"checkpoint {path} holds NaN or Inf in {listed(broken)}; the training has diverged")


def refuse_misfit(wanted: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Raise a ModelError that names what a file lacks or has too much, and what is of another shape.

    Args:
        wanted: the state dict of the model.
        shapes: those of the file's weights.
        path: the file.
    """
    missing, extra = sorted(wanted.keys() - shapes.keys()), sorted(shapes.keys() - wanted.keys())
    others = [
        f"{key} is {shapes[key]}, the model's is {_shape(value)}"
        for key, value in wanted.items()
        if key in shapes and _shape(value) not in (None, shapes[key])
    ]
    found = (("missing", missing), ("extra", extra), ("wrong shape", others))
    problems = [f"{len(keys)} {what}: {listed(keys)}" for what, keys in found if keys]
    if problems:
        raise ModelError(f"checkpoint {path} does not fit the model: {'; '.join(problems)}; check --kwargs")


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first names on one line; names are data, and may be long or hold anything."""
    return ", ".join(map(_shown, names[:most])) + (", ..." if len(names) > most else "")


def _shown(name: str) -> str:
    name = name if len(name) <= MAX_SHOWN else f"{name[:MAX_SHOWN]}..."
    return name if name.isprintable() else ascii(name)


def _shape(value: Any) -> tuple[int, ...] | None:
    """None where the model takes any: it has not run yet, or keeps something of its own there."""
    return tuple(value.shape) if isinstance(value, Tensor) and not is_lazy(value) else None


def _is_finite(value: Tensor, allow_inf: bool) -> bool:
    if not value.is_floating_point() and not value.is_complex():
        return True
    value = value if value.element_size() > 1 else value.float()  # torch asks no float8 whether it is finite
    return not bool(value.isnan().any()) if allow_inf else bool(torch.isfinite(value).all())
