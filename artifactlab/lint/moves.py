"""Enlarging by hand: reshapes, permutations and repeats that add up to a pixel shuffle or a nearest resize.

A tensor whose every element holds its own position is sent through them; where each came to lie tells what they do.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from artifactlab.lint.ops import Convolution, Resize, Shuffle, Spec
from artifactlab.lint.phases import Sizes

_MOVE_NAMES = """
view reshape permute transpose swapaxes swapdims movedim moveaxis flatten unflatten squeeze unsqueeze contiguous clone
expand repeat repeat_interleave tile getitem rearrange
"""
_READ = frozenset(("getattr", "size", "dim"))
"""Names of those that read a tensor's sizes."""
MOVES = frozenset(_MOVE_NAMES.split())
"""Names of functions and methods that put values elsewhere and change none."""
_SIZES = _READ | {"getitem", "floordiv", "truediv", "mul", "add", "sub", "pow", "neg", "scalar_tensor", "to", "item"}
"""Names of those that sizes are computed with; what was traced has them in tensors of one number."""
MOVING_MODULES = ("torch.nn.modules.flatten", "einops.layers.torch")
"""Where modules come from that do nothing else."""
STAND_IN = (2, 3, 5)
"""Sizes of the tensor that is sent through, its last ones for fewer directions: small, and no two alike, so that what
confuses them fails."""

SIZES = "sizes"
"""In the `meta` of a node, where a graph is followed: its tensor's shape there, numbers where it is fixed."""


def is_move(node: fx.Node, root: nn.Module) -> bool:
    """Whether a call puts values elsewhere and changes none."""
    if node.op == "call_module":
        return type(root.get_submodule(str(node.target))).__module__.startswith(MOVING_MODULES)
    return node.op in ("call_function", "call_method") and _name(node) in MOVES


def row_of(node: fx.Node, root: nn.Module, ends: Callable[[fx.Node], bool]) -> list[fx.Node]:
    """What moves start from, and one after the other up to `node`; a call that `ends` a row is no move."""
    row = [node]
    while is_move(row[0], root) and not ends(row[0]):
        source = row[0].args[0] if row[0].args else None
        if not isinstance(source, fx.Node):
            return []
        row.insert(0, source)
    return row


def growth_by_moves(row: Sequence[fx.Node], conv: Convolution, behind: Iterable[fx.Node], root: nn.Module) -> Spec:
    """What a row of moves does; None where they do not enlarge, or by sizes that are not known.

    Args:
        row: what they start from, and the moves.
        conv: the convolution that it is of, which tells channels and directions.
        behind: tensors of the convolution's output, as large as that; all others are taken to be as large as its input.
        root: the module that was traced.
    """
    channels, space = conv.channels, _space(row[0], len(conv.stride))
    positions = torch.arange(channels * torch.Size(space).numel()).view(1, channels, *space)
    before = torch.empty(1, conv.weight.shape[1 - conv.transposed] * (1 if conv.transposed else conv.groups), *space)
    known: dict[fx.Node, Any] = {**dict.fromkeys(behind, positions), row[0]: positions}
    try:
        moved = _Run(root, row, known, before).value(row[-1])
        return _growth(moved, channels, space) if isinstance(moved, Tensor) else None
    except Exception:
        return None  # nothing is concluded from sizes that cannot be had


def _space(source: fx.Node, directions: int) -> Sizes:
    """The sizes of what is moved: those that a graph was made for, by which alone it may move it, or the stand-in's."""
    sizes = source.meta.get(SIZES, ())
    fixed = len(sizes) == directions + 2 and all(isinstance(size, int) for size in sizes)
    return tuple(sizes[2:]) if fixed else STAND_IN[-directions:]


class _Run:
    """A row of moves computed, and what their sizes are computed from; every other tensor is the one stand-in."""

    def __init__(self, root: nn.Module, row: Sequence[fx.Node], known: dict[fx.Node, Any], other: Tensor) -> None:
        self._root = root
        self._row = frozenset(row)
        self._known = known
        self._other = other

    def value(self, node: fx.Node) -> Any:
        if node.op == "get_attr":
            return operator.attrgetter(str(node.target))(self._root)
        if node not in self._known:
            computed = node in self._row or _name(node) in _SIZES
            self._known[node] = self._compute(node) if computed else self._other
        return self._known[node]

    def _compute(self, node: fx.Node) -> Any:
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self.value)
        is_image = isinstance(args[0], Tensor) and args[0].ndim > 0
        if node not in self._row and _name(node) not in _READ and is_image:
            return self._other  # a part, a sum of tensors
        if node.op == "call_module":
            return self._root.get_submodule(str(node.target))(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        return node.target(*args, **kwargs)  # type: ignore[operator]


def _growth(moved: Tensor, channels: int, space: Sizes) -> Spec:
    """What is read off positions that were moved."""
    after = moved.shape[2:]
    if moved.ndim != len(space) + 2 or moved.shape[0] != 1 or any(a % b for a, b in zip(after, space, strict=True)):
        return None
    factor = tuple(a // b for a, b in zip(after, space, strict=True))
    if min(factor) < 1 or max(factor) == 1:
        return None
    pixels = torch.Size(space).numel()
    channel = _blocks((moved // pixels)[0], factor)
    place = _blocks((moved % pixels)[0], factor)
    stays = (place == torch.arange(pixels)[:, None]).all()
    alike = (channel == channel[:, :1]).all()
    if not (stays and alike):
        return None  # images side by side, windows, or values that changed places otherwise
    sources = channel[:, 0]
    if (sources == sources[:, :1]).all():
        return Resize(nearest=True, align_corners=False, scale=tuple(map(float, factor)), directions=len(factor))
    return Shuffle(factor, sources)


def _blocks(image: Tensor, factor: Sizes) -> Tensor:
    """(channels, pixels before, phases) of (channels, *space): the pixels that each pixel became."""
    for axis, f in enumerate(factor):
        image = image.unflatten(1 + 2 * axis, (-1, f))
    before = range(1, image.ndim, 2)
    return image.permute(0, *before, *(axis + 1 for axis in before)).flatten(1 + len(factor)).flatten(1, len(factor))


def _name(node: fx.Node) -> str:
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return name if node.op in ("call_function", "call_method") else ""
