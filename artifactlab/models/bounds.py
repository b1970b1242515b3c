"""What a description of a model, which is data, may make somebody's code do: fetch nothing, and fill no memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as registration

from artifactlab.errors import ModelError, first_line, shown
from artifactlab.models.memory_limit import memory_limit

MAX_NUMBER = 1 << 24
"""Largest whole number in a description; vocabularies and lengths of texts stay below ten millions."""
NUMBERS_PER_BYTE = 4
"""Entries of parameters that a byte of weights accounts for: they are registered when they are made and again when
they are loaded, those that are tied twice, and quantized ones come with two to a byte."""
FREE_NUMBERS = 1 << 26
"""Entries that any folder may ask for, 256 MB of them: for what is not in the file, and small files."""
FREE_MEMORY = 3 << 27
"""Bytes that the same may take, half as many again: initial values are made of others that are registered nowhere."""
LEAST_NUMBERS = 1 << 13
"""Entries that a module or a tensor counts for at least: 8000 are free, more than published models have, and endless
rows of small ones are noticed within a second."""


def refuse_numbers(value: Any, place: Path) -> None:
    """Raise a ModelError for numbers that no model has; what is made of them is made before it is registered.

    Args:
        value: what a description holds, of any depth.
        place: the file of the description, for the message.
    """
    if isinstance(value, (list, Mapping)):
        for part in value.values() if isinstance(value, Mapping) else value:
            refuse_numbers(part, place)
    elif isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise ModelError(f"{place} asks for {shown(value)} of something; at most {MAX_NUMBER} are")


@contextmanager
def offline(place: Path) -> Iterator[None]:
    """Keep huggingface_hub, which both libraries fetch by, from the network: a description may name what to fetch."""
    constants: Any = sys.modules.get("huggingface_hub.constants")
    if constants is None:
        yield
        return
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    except Exception as error:
        if type(error).__name__ != "OfflineModeIsEnabled":
            raise
        raise ModelError(
            f"{place} names something on the network, which is never fetched: {_address(error)}"
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = before


def _address(error: Exception) -> str:
    """What an error of huggingface_hub says it cannot reach, without its advice to go and reach it."""
    return first_line(error).partition(": offline mode")[0]


@contextmanager
def bounded(place: Path, size: int) -> Iterator[None]:
    """Stop a model that grows beyond what its weights can fill, while it is being built.

    Args:
        place: the file of its description, for the message.
        size: bytes of its weights.

    Raises:
        ModelError: inside, as soon as it is too large.
    """
    left = FREE_NUMBERS + NUMBERS_PER_BYTE * size
    memory = FREE_MEMORY + 4 * NUMBERS_PER_BYTE * size

    too_large = f"{place} asks for a model far larger than its {size} bytes of weights"

    def count(numbers: int) -> None:
        nonlocal left
        left -= numbers
        if left < 0:
            raise ModelError(too_large)

    def of_tensor(module: nn.Module, name: str, value: Tensor | None) -> None:
        count(max(value.numel(), LEAST_NUMBERS) if isinstance(value, Tensor) else 0)

    def of_module(module: nn.Module, name: str, value: nn.Module | None) -> None:
        count(LEAST_NUMBERS)

    handles = (
        registration.register_module_parameter_registration_hook(of_tensor),
        registration.register_module_buffer_registration_hook(of_tensor),
        registration.register_module_module_registration_hook(of_module),
    )
    try:
        with memory_limit(memory):
            yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "allocate memory" in str(error):  # of one tensor, before it is registered
            raise ModelError(too_large) from error
        raise
    finally:
        for handle in handles:
            handle.remove()
