"""A model as it was: what a pass assigns goes, and what it is about to write to is copied, and put back after it.

Hardly a model writes to its parameters while it runs, and a copy of all would double what it takes. Version counters do
not tell: `parameter.data.mul_()`, as moving averages are often written, leaves them alone. So every call that changes
its arguments is seen on its way to the kernel, whatever view of the memory it was given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from artifactlab.errors import ModelError
from artifactlab.models.attributes import Attributes
from artifactlab.models.torch_internals import TorchDispatchMode, operator_schema, own_buffers, own_parameters


@dataclass
class _Saved:
    """One parameter or buffer of the model."""

    owner: dict[str, Any]
    name: str
    tensor: Tensor | None
    memory: Tensor | None
    """The same memory, whatever the tensor is made to refer to."""
    in_graph: bool
    """Whether it was part of a graph before."""
    values: Tensor | None = None
    """A copy, once something has been about to write to it."""


class ModelState:
    """Everything of a model that a forward pass could write to.

    Plain attributes that are tensors are kept as buffers are. What writes to the memory behind torch's back, as through
    `parameter.detach().numpy()`, is not seen.

    Raises:
        ModelError: if a parameter is not initialised yet.

    >>> model = nn.Linear(2, 2)
    >>> before, state = model.weight.clone(), ModelState(model)
    >>> with state.guarded():
    ...     _ = model.weight.data.mul_(2)
    >>> state.restore()
    >>> torch.equal(model.weight, before)
    True
    """

    def __init__(self, model: nn.Module) -> None:
        parameters = list(model.parameters())
        if parameters and all(parameter.is_meta for parameter in parameters):
            raise ModelError("the model is on the meta device, where weights have no values; load them before")
        lazy = [name for name, tensor in [*model.named_parameters(), *model.named_buffers()] if is_lazy(tensor)]
        if lazy:
            raise ModelError(f"{lazy[0]} is not initialised yet; run the lazy model once before diagnosing it")
        self._attributes = Attributes(model)
        owners = [owner for module in model.modules() for owner in (own_parameters(module), own_buffers(module))]
        self._saved = [_saved(owner, name, tensor) for owner in owners for name, tensor in owner.items()]
        plain = [(vars(module), name, value) for module in model.modules() for name, value in vars(module).items()]
        self._saved += [_saved(*attribute) for attribute in plain if isinstance(attribute[2], Tensor)]
        self._by_memory: dict[int, list[_Saved]] = defaultdict(list)
        for saved in self._saved:
            if saved.memory is not None and (place := _place(saved.memory)):
                self._by_memory[place].append(saved)

    def guarded(self) -> TorchDispatchMode:
        """A context in which what is about to be written to is copied first; the model may run in it, and backward."""
        return _Guard(self)

    def keep(self, tensor: Tensor) -> None:
        """Copy what shares a tensor's memory, if that has not been done."""
        for saved in self._by_memory.get(_place(tensor), ()):
            if saved.values is None and saved.memory is not None:
                saved.values = saved.memory.clone()

    def restore(self) -> None:
        """Put everything back."""
        self._attributes.restore()
        with torch.no_grad():
            for saved in self._saved:
                tensor = saved.tensor
                saved.owner[saved.name] = tensor
                if tensor is None or saved.memory is None:
                    continue
                if not _same_memory(tensor, saved.memory):
                    tensor.data = saved.memory
                if saved.values is not None and not torch.equal(tensor, saved.values):
                    tensor.copy_(saved.values)
                if tensor.grad_fn is not None and not saved.in_graph:
                    tensor.detach_()  # a pass with gradients wrote to it


def _saved(owner: dict[str, Any], name: str, tensor: Tensor | None) -> _Saved:
    if tensor is None:
        return _Saved(owner, name, None, memory=None, in_graph=False)
    return _Saved(owner, name, tensor, memory=tensor.detach(), in_graph=tensor.grad_fn is not None)


class _Guard(TorchDispatchMode):
    """Sees every call on its way to its kernel."""

    def __init__(self, state: ModelState) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._state = state

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for place, name in _written(func):
            for tensor in _tensors(kwargs.get(name, args[place] if place < len(args) else None)):
                self._state.keep(tensor)
        return func(*args, **kwargs)


@cache
def _written(func: Any) -> Sequence[tuple[int, str]]:
    """(position, name) of the arguments that a call writes to."""
    schema = operator_schema(func)
    silent = "batch_norm" in schema.name  # writes to its running statistics, though its schema does not say so
    return tuple(
        (place, argument.name)
        for place, argument in enumerate(schema.arguments)
        if (argument.alias_info is not None and argument.alias_info.is_write) or (silent and "running" in argument.name)
    )


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        yield from (item for item in value if isinstance(item, Tensor))


def _place(tensor: Tensor) -> int:
    """Where a tensor's memory begins, the same for all views of it; 0 where it has none."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # sparse, meta, and other tensors without memory of their own
        return 0


def _same_memory(tensor: Tensor, other: Tensor) -> bool:
    if _place(tensor) != _place(other):
        return False
    return not _place(other) or _layout(tensor) == _layout(other)


def _layout(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.stride(), tensor.storage_offset()
