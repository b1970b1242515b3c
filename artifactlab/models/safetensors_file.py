"""Safetensors files, whose header is read by a library that takes any number of tensors of no size."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

MAX_HEADER = 1 << 23
"""Bytes of names and shapes. Ten thousand tensors have one MB of them; a hundred MB, which the library takes, are two
million empty tensors, and minutes and gigabytes to make."""


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors by name, mapped from the file until they are used.

    Raises:
        ValueError: if its header is beyond all measure.
        Exception: whatever the library raises of a damaged file.
    """
    _refuse_long_header(path)
    return load_file(path)


def check_safetensors(path: Path) -> None:
    """Read names and shapes alone; raises the same."""
    _refuse_long_header(path)
    with safe_open(path, "pt"):
        pass


def _refuse_long_header(path: Path) -> None:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if size > MAX_HEADER:
        raise ValueError(f"its header says that it has {size} bytes, and no more than {MAX_HEADER} are read")
