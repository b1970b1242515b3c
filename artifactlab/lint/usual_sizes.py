"""Sizes of an ordinary input, for forwards that branch on them: nobody knows them before there is data."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from artifactlab.lint.ops import CONVOLUTIONS

USUAL_SIZES = (8, 64, 64)
"""Frames or slices, rows and columns of an ordinary input, and, as the last, samples: no tensor is made of them. They
are even down to the third halving, so that nothing is padded on the way, and large enough for every kernel."""
USUAL_CHANNELS = 64
"""Channels of features; groups and heads are taken from them, and more than an image has."""
_ATTRIBUTES = {"dtype": torch.float32, "device": torch.device("cpu"), "is_cuda": False, "requires_grad": False}
"""Of an ordinary tensor, which lint looks at where a forward treats others apart."""
_METHODS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "size": tuple,
    "dim": len,
    "ndimension": len,
    "numel": math.prod,
}
"""Methods of a tensor that its shape answers."""
_ARITHMETIC = "getitem add sub mul floordiv truediv mod neg pow eq ne lt le gt ge and_ or_ not_"
_COMPUTED = frozenset(getattr(operator, name) for name in _ARITHMETIC.split())


class UnknownSizeError(Exception):
    """A value that is not computed from sizes alone."""


class _Expected(int):
    """A number of channels that nothing tells: a usual one, and equal to the one that a forward asks for."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__


def directions_of(model: nn.Module) -> int | None:
    """How many directions a model works on: the most that one of its convolutions has; None where it has none."""
    convolutions = (module for module in model.modules() if isinstance(module, CONVOLUTIONS))
    return max((len(conv.kernel_size) for conv in convolutions), default=None)


def usual_shape(directions: int, channels: int | None) -> tuple[Any, ...]:
    """A tensor's shape where its sizes are the usual ones; None are channels that nothing tells."""
    return (1, _Expected(USUAL_CHANNELS) if channels is None else channels, *USUAL_SIZES[-directions:])


def usual_value(node: fx.Node, shape_of: Callable[[fx.Node], tuple[Any, ...]]) -> Any:
    """What a node comes to for an ordinary input: a size, a shape, or a comparison of such.

    Args:
        node: the value that is asked for.
        shape_of: of a tensor.

    Raises:
        UnknownSizeError: if more than sizes matters.
    """
    source = node.args[0] if node.args else None
    if isinstance(source, fx.Node):
        if node.op == "call_method" and node.target in _METHODS:
            read = _METHODS[str(node.target)](shape_of(source))
            axes = node.args[1:] or tuple(node.kwargs.values())
            return read[axes[0]] if axes else read
        if node.target is getattr:
            return _attribute(source, str(node.args[1]), shape_of)
    if node.op != "call_function" or node.target not in _COMPUTED:
        raise UnknownSizeError
    args = fx.node.map_arg(node.args, lambda one: usual_value(one, shape_of))
    try:
        return node.target(*args)  # type: ignore[operator]
    except (TypeError, IndexError, ZeroDivisionError) as error:
        raise UnknownSizeError from error


def _attribute(source: fx.Node, name: str, shape_of: Callable[[fx.Node], tuple[Any, ...]]) -> Any:
    if name in ("shape", "ndim"):
        return shape_of(source) if name == "shape" else len(shape_of(source))
    if name in _ATTRIBUTES:
        return _ATTRIBUTES[name]
    return getattr(usual_value(source, shape_of), name)
