"""Bounds on what is allocated where sizes come from a file: while a model is made of it, and when it first runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from artifactlab.errors import ModelError
from artifactlab.models.torch_internals import TorchDispatchMode, operator_schema, tree_leaves, tree_map

OVERHEAD = 1 << 15
"""Bytes that a tensor is counted with at least, so that their number is bounded, too: a module of one number takes a
sixth of it in Python, and as long to make as so many bytes to fill."""


LARGEST_RESULT = 1 << 28
"""Bytes that one operator of a graph may make of the small example that it is tried on: a hundred times what the widest
decoders do. Graphs that double what they have end at twice as much."""


PER_BYTE = 1 << 12
"""The same per byte of a large example; the widest decoder of latents makes as much."""


def largest_result(examples: Iterable[Tensor]) -> int:
    """Bytes that one operator may make of these, see `ResultLimit`."""
    return max(LARGEST_RESULT, PER_BYTE * sum(one.numel() * one.element_size() for one in examples))


class MemoryBudget(TorchDispatchMode):
    """Inside, the tensors made by this thread may take so many bytes together; they are counted before they are made.

    What is freed again counts, too.

    Args:
        size: in bytes.
        refusal: text of the ModelError that is raised where more is asked for.

    >>> with MemoryBudget(1 << 20, "too large"):
    ...     torch.zeros(2, 3).shape
    torch.Size([2, 3])
    """

    def __init__(self, size: int, refusal: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.left = size
        self._refusal = refusal

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if not func.is_view and not operator_schema(func).is_mutable:
            self.left -= max(OVERHEAD, _bytes_of(func, args, kwargs))
        if self.left < 0:
            raise ModelError(self._refusal)
        return func(*args, **kwargs)


class ResultLimit(TorchDispatchMode):
    """Inside, no operator that this thread calls may make more than so many bytes; they are told before they are made.

    It is met by the calls of TorchScript's interpreter, too.

    Args:
        refusal: text of the ModelError that is raised where more is asked for.
        size: in bytes.
        of_views: whether views count as what they show, for who makes tensors of them: a number can be expanded to any
            shape.

    >>> with ResultLimit("too large"):
    ...     torch.zeros(2, 3).shape
    torch.Size([2, 3])
    """

    def __init__(self, refusal: str, size: int = LARGEST_RESULT, of_views: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._of_views = of_views
        self._refusal, self._size, self._is_exceeded = refusal, size, False
        self.is_over = False
        """Set from another thread, it ends what runs inside at its next operator."""

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        counts = self._of_views or not func.is_view
        if self.is_over or (counts and _bytes_of(func, args, kwargs) > self._size):
            self._is_exceeded = True
            raise ModelError(self._refusal)
        return func(*args, **kwargs)

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        if self._is_exceeded:  # an interpreter makes an error of its own of ours
            raise ModelError(self._refusal)


def _bytes_of(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """What the result of an operator takes, told from shapes alone; 0 where values decide, which adds none."""
    meta = {"device": torch.device("meta")} if any(a.name == "device" for a in operator_schema(func).arguments) else {}
    try:
        made = func(*tree_map(_shape_of, tuple(args)), **{**tree_map(_shape_of, dict(kwargs)), **meta})
    except (RuntimeError, NotImplementedError):  # reading a number, or choosing by a mask: never larger than the input
        return 0
    return sum(leaf.numel() * leaf.element_size() for leaf in tree_leaves(made) if isinstance(leaf, Tensor))


def _shape_of(value: Any) -> Any:
    return value.to("meta") if isinstance(value, Tensor) else value
