"""What each axis of a tensor runs over: places along a direction of the image, features, or the batch.

Followed through every view and reshape, this tells depth to space by hand (features are laid between places) from
windows that are put together again (places beside places), and heads of attention (features beside features) from both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from torch import Tensor

from artifactlab.models.layout import FEW_CHANNELS

Role = Literal["batch", "features", "places", "stacked", "unknown"]
DIRECTIONS = 3
"""Directions that an image can have. They are numbered from the fastest: 0 along a row or a signal, 1 along a column,
2 along depth or time."""


class Factor(NamedTuple):
    """A part of an axis: an axis of `(h, r)` merged runs over `h` places, and over `r` features at each of them."""

    size: int
    """How many there are."""
    role: Role
    """What they are; `stacked` are tensors that were stacked along a new axis, which may be phases or frames."""
    direction: int | None = None
    """Of places, along which direction, None where that is not known; of an unknown axis, its number."""


Axis = tuple[Factor, ...]
"""The factors of an axis, slowest first; none of an axis of one entry."""
Axes = tuple[Axis, ...]
"""All axes of a tensor."""
AxesOf = Callable[[Any], "Axes | None"]
"""Tells the axes of a tensor, None where they are not known."""
Handler = Callable[[Any, Any, Tensor, AxesOf], "Axes | None"]
"""Takes the arguments of a call, what it returned, and what is known of axes; returns the axes of the result."""


def axis_of(size: int, role: Role, direction: int | None = None) -> Axis:
    """An axis of one kind."""
    return () if size == 1 else (Factor(size, role, direction),)


def axes_of_images(shape: Sequence[int], directions: Sequence[int] | None = None) -> Axes:
    """The axes of `(N, C, *space)`."""
    space = shape[2:]
    named = directions or range(len(space) - 1, -1, -1)
    places = (axis_of(size, "places", direction) for size, direction in zip(space, named, strict=True))
    return (axis_of(shape[0], "batch"), axis_of(shape[1], "features"), *places)


def unknown_axes(shape: Sequence[int]) -> Axes:
    """Axes of which nothing is known."""
    return tuple(axis_of(size, "unknown", number) for number, size in enumerate(shape))


def axes_of_input(shape: Sequence[int]) -> Axes:
    """What a shape suggests: images of four axes, tokens of three; of others, and where it is wrong, use will tell."""
    if len(shape) == 3:
        return (axis_of(shape[0], "batch"), axis_of(shape[1], "unknown", 1), axis_of(shape[2], "features"))
    if len(shape) != 4:
        return unknown_axes(shape)
    n, c, h, w = axes_of_images(shape)
    if shape[3] <= FEW_CHANNELS < shape[1] or shape[1] == shape[2] != shape[3]:
        return (n, axis_of(shape[1], "places", 1), axis_of(shape[2], "places", 0), axis_of(shape[3], "features"))
    return n, c, h, w


def is_unknown(axes: Axes | None) -> bool:
    """Whether nothing is known of any of the axes."""
    return axes is None or all(role_of(axis) == "unknown" for axis in axes if axis)


def size_of(axis: Axis) -> int:
    """How many entries an axis has."""
    return math.prod(factor.size for factor in axis)


def role_of(axis: Axis) -> Role:
    """What an axis is on the whole: one that runs over places is one of places, whatever lies between them."""
    if len(axis) == 1:
        return axis[0].role
    roles = {factor.role for factor in axis}
    for role in ("places", "unknown", "batch", "stacked", "features"):
        if role in roles:
            return role
    return "features"


def direction_of(axis: Axis) -> int | None:
    """The direction of an axis of places."""
    return next((factor.direction for factor in axis if factor.role == "places"), None)


def is_direction(axis: Axis) -> bool:
    """Whether an axis runs along one known direction: pixels in a row, as tokens are, run along two."""
    return len(axis) == 1 and axis[0].role == "places" and axis[0].direction is not None


def is_row(axis: Axis) -> bool:
    """Whether an axis runs over places along one direction, which may not be known."""
    return len(axis) == 1 and axis[0].role == "places"


def regrouped(axes: Axes, shape: Sequence[int]) -> Axes | None:
    """The axes after a reshape to `shape`; None where it cuts a factor in a way that keeps no meaning."""
    ahead = [factor for axis in axes for factor in axis][::-1]
    result = []
    for size in shape:
        axis: list[Factor] = []
        while size > 1:
            if not ahead:
                return None
            factor = ahead.pop()
            if factor.size == 0:
                return None
            if factor.size % size == 0 and factor.size > size:
                ahead.append(factor._replace(size=factor.size // size))
                factor = factor._replace(size=size)
            elif size % factor.size:
                return None
            axis.append(factor)
            size //= factor.size
        result.append(_joined(axis))
    return None if ahead else tuple(result)


def _joined(factors: Sequence[Factor]) -> Axis:
    """The same, neighbours of a kind as one; places that were cut into windows are whole again."""
    joined: list[Factor] = []
    for factor in factors:
        last = joined[-1] if joined else None
        if last and last[1:] == factor[1:] and (factor.direction is not None or factor.role == "features"):
            joined[-1] = factor._replace(size=last.size * factor.size)
        else:
            joined.append(factor)
    return tuple(joined)


def source_of(args: Any, kwargs: Any) -> Any:
    """The tensor that a call is about: its first argument, or the one called `input`."""
    return args[0] if args else kwargs.get("input")


def resized(axes: Sequence[Axis], shape: Sequence[int]) -> Axes:
    """Axes of the same kinds, of other sizes."""
    result = []
    for axis, size in zip(axes, shape, strict=True):
        if size_of(axis) != size:
            directions = {factor.direction for factor in axis}
            axis = axis_of(size, role_of(axis), directions.pop() if len(directions) == 1 else None)
        result.append(axis)
    return tuple(result)


def aligned(sources: Sequence[Axes], shape: Sequence[int]) -> Axes | None:
    """Axes of a result of `shape`: of each, those of an operand that has it in full; what spreads is features."""
    if not shape:
        return ()
    fitting = [axes for axes in sources if len(axes) == len(shape)]
    if not fitting:
        wider = [((),) * (len(shape) - len(axes)) + axes for axes in sources if 1 < len(axes) < len(shape)]
        spread = [axes for axes in wider if all(size_of(a) in (1, n) for a, n in zip(axes, shape, strict=True))]
        return aligned(spread, shape) if spread else None
    result: list[Axis] = []
    for k, size in enumerate(shape):
        same = [axes[k] for axes in fitting if size_of(axes[k]) == size]
        known = [axis for axis in same if role_of(axis) != "unknown"]
        kinds = [axes[k] for axes in fitting if axes[k]]
        if same:
            result.append((known or same)[0])
        elif kinds:
            result.extend(resized((kinds[0],), (size,)))
        else:
            result.append(axis_of(size, "batch" if k == 0 else "features"))
    return tuple(result)


def phases_between(axis: Axis) -> int:
    """How many features lie at each place of an axis, merged into it: the scale of depth to space by hand."""
    places = [k for k, factor in enumerate(axis) if factor.role in ("places", "unknown")]
    if not places:
        return 1
    return math.prod(factor.size for factor in axis[places[0] :] if factor.role in ("features", "stacked"))


def by_direction(axis: Axis) -> Axes:
    """The axes that one of tokens holds, where depth to space was made in several directions at once; else itself."""
    parts: list[list[Factor]] = []
    for factor in axis:
        if not parts or factor.role == "places":
            parts.append([])
        parts[-1].append(factor)
    directions = {direction_of(tuple(part)) for part in parts} - {None}
    grows = len(directions) == len(parts) > 1 and all(phases_between(tuple(part)) > 1 for part in parts)
    return tuple(map(tuple, parts)) if grows else (axis,)


def merged(axes: Axes) -> Axes:
    """The same after depth to space: what lies between places is places, along directions that are known or free."""
    taken = {direction_of(axis) for axis in axes}
    free = iter([k for k in range(DIRECTIONS + len(axes)) if k not in taken])
    whole: list[Axis] = []
    for number in reversed(range(len(axes))):
        axis = axes[number]
        if len(parts := by_direction(axis)) > 1:
            axis = tuple(Factor(size_of(part), "places", direction_of(part)) for part in parts)
        elif phases_between(axis) > 1 or (number > 1 and role_of(axis) == "unknown"):
            known = direction_of(axis)
            axis = axis_of(size_of(axis), "places", next(free) if known is None else known)
        whole.insert(0, axis)
    return tuple(whole)


def with_directions(axes: Axes, last: int) -> Axes:
    """The same, its `last` axes as places along a direction each: their own, or the fastest that are free.

    Where windows are in the batch, their places have directions; in one frame of a film per item, they are free.
    """
    head, tail = axes[: len(axes) - last], axes[len(axes) - last :]
    taken = {factor.direction for axis in head for factor in axis if factor.role == "places"}
    taken |= {direction_of(axis) for axis in tail}
    free = iter([k for k in range(len(axes) + DIRECTIONS) if k not in taken])
    placed = dict(enumerate(tail))
    for k in sorted(placed, key=lambda k: _number(tail[k], len(head) + k), reverse=True):
        known = direction_of(tail[k])
        placed[k] = axis_of(size_of(tail[k]), "places", next(free) if known is None else known)
    return (*head, *placed.values())


def _number(axis: Axis, position: int) -> int:
    """Which axis of the input an unknown one is, so that directions are dealt in its order; else where it is now."""
    number = axis[0].direction if len(axis) == 1 and axis[0].role == "unknown" else None
    return position if number is None else number
