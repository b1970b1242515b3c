"""Files of weights alone, whose architecture spandrel tells from names and shapes: super-resolution and restoration."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from artifactlab.errors import ModelError, first_line
from artifactlab.models.budget import MemoryBudget
from artifactlab.models.checkpoint import listed, read_weights
from artifactlab.models.checkpoint_parts import networks_in, say_part, under
from artifactlab.models.containers import Container, container_of
from artifactlab.models.formats import ModelFormat, refuse_arguments
from artifactlab.models.lightning_checkpoint import command_for
from artifactlab.models.spandrel_descriptor import described_model
from artifactlab.models.zip_records import zip_names

PER_BYTE, AT_LEAST = 8, 1 << 28
"""Bytes that making a model may take per byte of its file, and whatever its file: half precision becomes single, and
the tables of attention are not in all files. Of spandrel's, DAT takes the most: 3 a byte."""
MOST_SHARED = 2
"""Weights may be so many times what their file holds, as some are the same under two names; no more, lest a file of a
few bytes claims a model of any size."""
MAKES = "name what makes the model: path/to/file.py:factory --checkpoint"


def holds_weights(path: Path) -> bool:
    """Whether a file looks like weights: safetensors, or written by torch.save and no program."""
    if not path.is_file():  # nor a pipe, which would wait for who writes to it
        return False
    start = _start(path)
    container = container_of(start)
    return _holds_pickle(path, start) if container is Container.ZIP else container is not None


def _holds_pickle(path: Path, start: bytes) -> bool:
    """Whether a zip is torch.save's; a cut one is told by its first record. TorchScript's holds constants, too."""
    names = [name.rpartition("/")[2] for name in zip_names(path)]
    if not names:
        return b"/data.pkl" in start
    return "data.pkl" in names and "constants.pkl" not in names


def open_weights(path: Path, kwargs: Mapping[str, Any]) -> nn.Module:
    """The model that a file of weights is of, in evaluation mode.

    Raises:
        ModelError: if the file cannot be read as data, spandrel is not installed or knows no such model, or making it
            takes more memory than such a file speaks for.
    """
    refuse_arguments(path, kwargs)
    weights = read_weights(path)
    _refuse_more_than_there_is(weights, path)
    spandrel = _imported(path, weights)
    size = PER_BYTE * path.stat().st_size + AT_LEAST
    refusal = f"{path} claims a model that takes more than {size >> 20} MiB to make; if it is yours, {MAKES} {path}"
    try:
        with MemoryBudget(size, refusal), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how somebody's code uses torch
            return described_model(_descriptor(spandrel, weights, path))
    except ModelError:
        raise
    except spandrel.UnsupportedModelError as error:
        raise ModelError(
            f"{path} holds weights alone ({_keys(weights)}), of no model that spandrel knows; {_makes(path)}"
        ) from error
    except Exception as error:  # names and shapes are data, and its code takes them for those of a model
        raise ModelError(
            f"{path} holds weights alone ({_keys(weights)}), like a model that spandrel knows, but it cannot be made"
            f" ({type(error).__name__}: {' '.join(str(error).split()):.200}); {MAKES} {path}"
        ) from error


SPANDREL = ModelFormat(holds_weights, open_weights)


def _refuse_more_than_there_is(weights: Mapping[str, Tensor], path: Path) -> None:
    claimed, size = sum(value.numel() * value.element_size() for value in weights.values()), path.stat().st_size
    if claimed > MOST_SHARED * size:
        raise ModelError(f"{path} claims {claimed} bytes of weights, and has {size}; save them contiguous()")


def _imported(path: Path, weights: Mapping[str, Tensor]) -> Any:
    """spandrel, which knows more architectures where its second package is installed."""
    try:
        spandrel = importlib.import_module("spandrel")
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision beside a torch that it was not built for
        missing = isinstance(error, ModuleNotFoundError) and error.name == "spandrel"
        why = "" if missing else f" (it is there, but {first_line(error)})"
        raise ModelError(
            f"{path} holds weights alone ({_keys(weights)}); to tell super-resolution and restoration models by them:"
            f" pip install 'artifactlab[spandrel]'{why}; for others, {_makes(path)}"
        ) from error
    with suppress(ImportError):
        importlib.import_module("spandrel_extra_arches").install(ignore_duplicates=True)
    return spandrel


def _descriptor(spandrel: Any, weights: Mapping[str, Tensor], path: Path) -> Any:
    """What spandrel makes of all weights, or else of those of a network that a trainer has put a prefix before."""
    try:
        return spandrel.MAIN_REGISTRY.load(dict(weights))
    except spandrel.UnsupportedModelError:
        for prefix in networks_in(weights):
            with suppress(spandrel.UnsupportedModelError):
                part = under(weights, prefix)
                found = spandrel.MAIN_REGISTRY.load(dict(part))
                say_part(path, prefix, len(weights) - len(part))
                return found
        raise


def _makes(path: Path) -> str:
    """What to do about weights of a model that nobody here knows."""
    command = "" if container_of(_start(path)) is Container.SAFETENSORS else command_for(path)
    return f"it is a checkpoint of Lightning: {command}" if command else f"{MAKES} {path}"


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)


def _keys(weights: Mapping[str, Tensor]) -> str:
    return f"{len(weights)} tensors, {listed(list(weights))}"
