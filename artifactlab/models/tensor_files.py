"""Files of tensors as arguments of calls: `.npy`, `.npz`, `.safetensors` and `.pt`, read as data."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from artifactlab.errors import InputError, ModelError, first_line, shown
from artifactlab.inputs.formats import START, InputFile, InputFormat, Reading, unreadable
from artifactlab.inputs.regular_files import open_regular
from artifactlab.models.containers import Container, container_of
from artifactlab.models.outputs import tensors
from artifactlab.models.safetensors_file import read_safetensors
from artifactlab.models.torch_file import read_torch_file

MAX_BYTES = 1 << 32
"""Of all tensors of a file, unpacked: four times the largest volume that is read. A packed file can say any size."""
NPY = b"\x93NUMPY"
WHAT_IS_READ = "expected tensors in .npy, .npz, .safetensors or .pt"


def kind_of_tensors(start: bytes) -> str | None:
    """Which kind of file of tensors starts so: `npy`, `npz`, `safetensors` or `pt`; None for none."""
    if start.startswith(NPY):
        return "npy"
    container = container_of(start)
    if container is Container.ZIP:
        name = start[30 : 30 + int.from_bytes(start[26:28], "little")]
        return "npz" if name.endswith(b".npy") else "pt"
    return {Container.PICKLE: "pt", Container.SAFETENSORS: "safetensors"}.get(container) if container else None


def read_tensors(path: Path) -> Any:
    """What a file holds: a tensor, or tensors by name; of a `.pt` whatever was saved, tensors and plain values.

    Numbers of double precision become single, which is what models have: numpy makes doubles of everything.

    Raises:
        InputError: if the file is missing, damaged, needs unpickling, or holds more than `MAX_BYTES`.
    """
    try:
        with open_regular(path) as file:
            kind = kind_of_tensors(file.read(START) or b"")
        if kind is None:
            raise unreadable(path, WHAT_IS_READ)
        content = READERS[kind](path)
    except InputError:
        raise
    except ModelError as error:
        reason = str(error).replace(f"checkpoint {path}", "it", 1).partition("Save the weights")[0].strip()
        raise unreadable(path, f"{reason} (save tensors alone, best as .safetensors)") from error
    except Exception as error:  # zipfile, zlib, numpy and safetensors raise whatever comes of damaged files
        raise unreadable(path, getattr(error, "strerror", None) or first_line(error)) from error
    _refuse_large(path, content)
    return _single_precision(content)


def _read_npy(path: Path) -> Tensor:
    # mapped: numpy then compares what the header claims with the file, and refuses Python objects
    return _as_tensor(np.array(np.load(path, mmap_mode="r", allow_pickle=False)))


def _read_npz(path: Path) -> dict[str, Tensor]:
    with open_regular(path) as file, zipfile.ZipFile(file) as records:
        claimed = sum(record.file_size for record in records.infolist())
        if claimed > MAX_BYTES:
            raise unreadable(path, f"it unpacks to {claimed} bytes, and {MAX_BYTES} are read at most")
        return {record.filename.removesuffix(".npy"): _member(records, record) for record in records.infolist()}


def _member(records: zipfile.ZipFile, record: zipfile.ZipInfo) -> Tensor:
    with records.open(record) as member:
        _refuse_overclaim(member, record.file_size)
    with records.open(record) as member:
        return _as_tensor(np.lib.format.read_array(member, allow_pickle=False))


def _refuse_overclaim(member: IO[bytes], size: int) -> None:
    """Before numpy allocates what the header claims."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    if math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"an array claims the shape {shape}, and has {size} bytes")


def _as_tensor(array: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False)))


READERS: dict[str, Callable[[Path], Any]] = {
    "npy": _read_npy,
    "npz": _read_npz,
    "safetensors": read_safetensors,
    "pt": read_torch_file,
}


def _refuse_large(path: Path, content: Any) -> None:
    """A tensor of one number can be expanded to any shape."""
    size = sum(tensor.numel() * tensor.element_size() for _, tensor in tensors(content))
    if size > MAX_BYTES:
        raise unreadable(path, f"its tensors are {size} bytes, and {MAX_BYTES} are read at most")


def _single_precision(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float() if value.dtype == torch.float64 else value
    if isinstance(value, (list, tuple)):
        return type(value)(map(_single_precision, value))
    return {key: _single_precision(item) for key, item in value.items()} if isinstance(value, dict) else value


def _read_input(path: Path, reading: Reading) -> InputFile:
    content = read_tensors(path)
    if not isinstance(content, (Tensor, tuple, dict, list)):
        raise unreadable(path, f"it holds {shown(content)}; {WHAT_IS_READ}")
    return InputFile(content, pixels=False)


TENSORS = InputFormat(
    lambda start: kind_of_tensors(start) is not None, _read_input, (".npy", ".npz", ".safetensors", ".pt")
)
"""What numpy, safetensors and `torch.save` write."""
