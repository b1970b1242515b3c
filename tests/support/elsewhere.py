"""A second device without one: tensors that say they live on `meta`, and are computed here.

A GPU refuses what mixes devices, and so does this: an operator that is given a tensor from there and one of the CPU is
an error, unless the latter is a single number, which torch allows. What is asked to be made on `meta` is made there;
`.cpu()`, `.item()`, `.tolist()` and `float()` bring numbers back, as they do from a GPU; numpy is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

ELSEWHERE = torch.device("meta")
INDEXING = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default)
"""Operators that take indices from the CPU to a GPU by themselves."""
CROSSING = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
"""Operators whose business it is to go from one device to another."""


class There(Tensor):
    """A tensor that lives elsewhere."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> There:
        layout = {"strides": here.stride(), "storage_offset": here.storage_offset(), "dtype": here.dtype}
        made: There = Tensor._make_wrapper_subclass(cls, here.shape, device=ELSEWHERE, **layout)  # type: ignore[attr-defined]
        made.here = here
        return made

    def tolist(self) -> Any:
        return self.here.tolist()

    def new_tensor(self, data: Any, **settings: Any) -> There:  # type: ignore[override]
        return There(self.here.new_tensor(data, **settings))

    def repeat_interleave(self, repeats: Any, dim: int | None = None) -> There:  # type: ignore[override]
        return There(self.here.repeat_interleave(_here(repeats), dim))

    @classmethod
    def __torch_dispatch__(cls, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operator, args, kwargs or {})


@contextlib.contextmanager
def second_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """Within, there is a second device."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # which `meta` alone lacks
    with _Operators(), _Constructor():
        yield ELSEWHERE


class _Operators(TorchDispatchMode):
    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operator, args, kwargs or {})


class _Constructor(TorchFunctionMode):
    """`torch.tensor` is no operator."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is torch.tensor and kwargs.get("device") is not None:
            device = torch.device(kwargs.pop("device"))
            return torch.tensor(*args, **kwargs).to(device)
        return function(*args, **kwargs)


def _run(operator: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
    there = any(isinstance(value, There) for value in tensors)
    if there and operator not in CROSSING:
        _refuse_two_devices(operator, tensors[:1] if operator in INDEXING else tensors)
    if kwargs.get("device") is not None:
        there = torch.device(kwargs["device"]) == ELSEWHERE
        kwargs = {**kwargs, "device": torch.device("cpu")}
    result = operator(*tree_map(_here, args), **tree_map(_here, kwargs))
    if operator is torch.ops.aten.copy_.default or (operator._schema.name.endswith("_") and there):
        return args[0]
    return tree_map(_there, result) if there else result


def _refuse_two_devices(operator: Any, tensors: list[Tensor]) -> None:
    strangers = [tuple(tensor.shape) for tensor in tensors if tensor.dim() and not isinstance(tensor, There)]
    if strangers:
        raise RuntimeError(f"{operator} was given tensors elsewhere and on the CPU, the latter of shapes {strangers}")


def _here(value: Any) -> Any:
    return value.here if isinstance(value, There) else value


def _there(value: Any) -> Any:
    return There(value) if isinstance(value, Tensor) else value
