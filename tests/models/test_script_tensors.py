"""Tensors of TorchScript files take only numbers that are in their records."""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn

from artifactlab.models.exported_program import quietly
from artifactlab.models.memory_limit import memory_limit
from artifactlab.models.pickle_program import PickleError
from artifactlab.models.script_tensors import check_tensors

NAME = "net/data.pkl"
RECORD = bytes(48)
"""Twelve numbers of four bytes."""


class _Named:
    """Pickled as the function or class of that name, which need not be there."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Pickler(pickle._Pickler):  # type: ignore[name-defined]  # the one in Python, whose opcodes can be written
    """Writes what torch's own writer of TorchScript does."""

    def persistent_id(self, value: Any) -> Any:
        return value[1] if isinstance(value, tuple) and value[:1] == ("storage id",) else None

    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        if isinstance(value, _Named):
            self.write(b"c" + value.name.replace(" ", "\n").encode() + b"\n")
        else:
            super().save(value, save_persistent_id)

    def call(self, function: str, arguments: tuple[Any, ...]) -> None:
        self.write(b"\x80\x02")
        self.save(_Named(function))
        self.save(arguments)
        self.write(b"R.")


def checked(
    offset: int = 0,
    shape: Sequence[int] = (3, 4),
    strides: Sequence[int] = (4, 1),
    storage: Sequence[Any] = ("FloatStorage", "0", 12),
    function: str = "torch._utils _rebuild_tensor_v2",
) -> None:
    """What is said about one tensor of the record."""
    kind, key, count = storage
    stream, file = io.BytesIO(), io.BytesIO()
    numbers = ("storage id", ("storage", _Named(f"torch {kind}"), key, "cpu", count))
    _Pickler(stream, 2).call(function, (numbers, offset, tuple(shape), tuple(strides), False, {}))
    with zipfile.ZipFile(file, "w") as records:
        records.writestr(NAME, stream.getvalue())
        records.writestr("net/data/0", RECORD)
        records.writestr("net/other/1", RECORD)
    with zipfile.ZipFile(file) as records:
        check_tensors(records, NAME)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"shape": (4, 3), "strides": (1, 4)},
        {"shape": (10**6, 12), "strides": (0, 1)},
        {"offset": 11, "shape": (), "strides": ()},
        {"offset": 99, "shape": (0, 4), "strides": (4, 1)},
        {"storage": ("HalfStorage", "0", 24)},
        {"function": "torch._utils _rebuild_qtensor"},
    ],
)
def test_a_tensor_of_numbers_in_its_record_is_accepted(given: dict[str, Any]) -> None:
    checked(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"shape": (3, 5)},
        {"strides": (5, 1)},
        {"offset": 1},
        {"offset": -1, "shape": (2,), "strides": (1,)},
        {"strides": (4, -1)},
        {"shape": (-3, 4)},
        {"shape": (), "strides": (), "offset": 12},
    ],
)
def test_one_that_reaches_beyond_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(PickleError, match="a tensor in it reaches beyond its record"):
        checked(**given)


@pytest.mark.parametrize("storage", [("FloatStorage", "0", 13), ("DoubleStorage", "0", 12), ("FloatStorage", "0", -1)])
def test_a_record_that_is_shorter_than_it_is_said_to_be_is_refused(storage: Sequence[Any]) -> None:
    with pytest.raises(PickleError, match="more weights than its bytes can hold"):
        checked(storage=storage)


@pytest.mark.parametrize(
    "given",
    [
        {"storage": ("FloatStorage", "../other/1", 12)},
        {"storage": ("FloatStorage", "9", 0)},
        {"storage": ("EvilStorage", "0", 12)},
        {"shape": (3, 4, 1)},
    ],
)
def test_what_no_writer_of_torch_says_is_damage(given: dict[str, Any]) -> None:
    with pytest.raises(PickleError, match="the pickle in it is damaged"):
        checked(**given)


def test_tensors_that_are_made_of_others_are_refused() -> None:
    with pytest.raises(PickleError, match="is made by '_rebuild_sparse_tensor'"):
        checked(function="torch._utils _rebuild_sparse_tensor")


def test_what_torch_writes_is_accepted() -> None:
    stream = io.BytesIO()
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).half()
    net.register_buffer("turned", torch.arange(12.0).view(3, 4).T[1:])
    with quietly():
        torch.jit.save(torch.jit.script(net), stream)
    with zipfile.ZipFile(stream) as records:
        for name in records.namelist():
            if name.endswith(".pkl"):
                check_tensors(records, name)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process has")
def test_inside_a_limit_no_more_memory_is_given_and_afterwards_it_is() -> None:
    with memory_limit(1 << 26):
        assert torch.zeros(1 << 20).sum() == 0
        with pytest.raises(RuntimeError, match="allocate memory"):
            torch.zeros(1 << 26)
    assert torch.zeros(1 << 26).numel() == 1 << 26
