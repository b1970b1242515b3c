"""Sizes of an ordinary input, for forwards that branch on them: nobody knows them before there is data."""

from __future__ import annotations

import operator
from typing import Any, NoReturn

from torch import fx, nn

USUAL_SIZES = (16, 64, 64)
"""Frames or slices, rows and columns of an ordinary input, and, as the last, samples: no tensor is made of them. They
are even down to the fourth halving, so that nothing is padded on the way, and large enough for every kernel."""
_CONVOLUTIONS = {
    1: (nn.Conv1d, nn.ConvTranspose1d),
    2: (nn.Conv2d, nn.ConvTranspose2d),
    3: (nn.Conv3d, nn.ConvTranspose3d),
}
_ARITHMETIC = """
getitem add sub mul floordiv truediv mod neg pow eq ne lt le gt ge and_ or_ not_
"""
_COMPUTED = frozenset(getattr(operator, name) for name in _ARITHMETIC.split())


def directions_of(model: nn.Module) -> int | None:
    """How many directions a model works on: the most that one of its convolutions has; None where it has none."""
    return max(
        (count for count, kinds in _CONVOLUTIONS.items() for m in model.modules() if isinstance(m, kinds)), default=None
    )


class UnknownSizeError(Exception):
    """A value that is not computed from sizes alone, or from how many channels there are."""


class _Channels:
    """As many as there may be; nothing can be computed from it, and nothing concluded."""

    def __eq__(self, other: object) -> NoReturn:
        raise UnknownSizeError

    __hash__ = None  # type: ignore[assignment]


_CHANNELS = _Channels()


def usual_value(node: fx.Node, directions: int) -> Any:
    """What a node comes to where every tensor is of `USUAL_SIZES`: a size, a shape, or a comparison of such.

    Raises:
        UnknownSizeError: if more than sizes matters.
    """
    shape = (1, _CHANNELS, *USUAL_SIZES[-directions:])
    if node.op == "call_method" and node.target in ("size", "dim", "ndimension"):
        axes = node.args[1:] or tuple(node.kwargs.values())
        return len(shape) if node.target != "size" else shape[axes[0]] if axes else shape  # type: ignore[index]
    if node.op == "call_function" and node.target is getattr:
        known = {"shape": shape, "ndim": len(shape)}
        if node.args[1] in known:
            return known[node.args[1]]  # type: ignore[index]
    if node.op != "call_function" or node.target not in _COMPUTED:
        raise UnknownSizeError
    args = fx.node.map_arg(node.args, lambda source: usual_value(source, directions))
    try:
        return node.target(*args)  # type: ignore[operator]
    except (TypeError, IndexError, ZeroDivisionError) as error:
        raise UnknownSizeError from error
