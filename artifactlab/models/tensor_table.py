"""What is known of tensors for as long as they live, and the tensors in the arguments of a call."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from artifactlab.models.outputs import DEEPEST

Value = TypeVar("Value")

SINGLE = {int, float, bool, str, type(None), torch.dtype, torch.device}
"""Kinds of arguments that hold no tensors, which are most of them."""


class TensorTable(Generic[Value]):
    """Values by tensor, where `==` of tensors is elementwise; a tensor that dies takes its value along.

    Looking up takes no weak reference, as torch's own table of the kind does, which was most of what following axes
    and sites cost: the entry of a tensor is gone before another can have its number.

    >>> known: TensorTable[str] = TensorTable()
    >>> first, second = torch.ones(2), torch.ones(2)
    >>> known[first] = "first"
    >>> known.get(first), known.get(second)
    ('first', None)
    >>> del first
    >>> len(known)
    0
    """

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref[Tensor], Value]] = {}

    def get(self, tensor: Tensor) -> Value | None:
        """What is known of a tensor; None where nothing is."""
        entry = self._entries.get(id(tensor))
        return None if entry is None else entry[1]

    def __contains__(self, tensor: Tensor) -> bool:
        return id(tensor) in self._entries

    def __setitem__(self, tensor: Tensor, value: Value) -> None:
        entries, number = self._entries, id(tensor)
        known = entries.get(number)
        reference = weakref.ref(tensor, lambda _: entries.pop(number, None)) if known is None else known[0]
        entries[number] = reference, value

    def __delitem__(self, tensor: Tensor) -> None:
        del self._entries[id(tensor)]

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()


def given_tensors(args: Iterable[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The tensors in arguments, in their order, as `artifactlab.models.outputs.tensors` finds them.

    >>> [tensor.ndim for tensor in given_tensors(([torch.ones(2), torch.ones(2, 2)], 1), {"x": torch.tensor(1.0)})]
    [1, 2, 0]
    """
    found: list[Tensor] = []
    _collect(args, found, [])
    if kwargs:
        _collect(kwargs.values(), found, [])
    return found


def _collect(values: Iterable[Any], found: list[Tensor], around: list[int]) -> None:
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif type(value) in SINGLE or id(value) in around or len(around) >= DEEPEST:  # it may hold itself
            continue
        else:
            around.append(id(value))
            _collect(value if isinstance(value, (tuple, list)) else _held(value), found, around)
            around.pop()


def _held(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, attribute.name) for attribute in fields(value)]
    return ()
