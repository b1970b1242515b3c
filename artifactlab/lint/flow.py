"""Questions about the neighbourhood of a call in a `ModuleGraph`."""

from __future__ import annotations

from collections.abc import Callable

from artifactlab.lint.graph import Op
from artifactlab.lint.ops import Convolution, Output, Pointwise, Resize, Shuffle, grows


def feeds_shuffle(op: Op) -> Shuffle | None:
    """The pixel shuffle that an ordinary convolution feeds with nothing but alike treatment in between.

    None, too, where the channels of one output pixel belong to several groups of the convolution and see different
    inputs: their sums need not be equal.
    """
    conv = op.spec
    if not isinstance(conv, Convolution) or conv.transposed:
        return None
    ahead, visited = list(op.users), set()
    while ahead:
        user = ahead.pop()
        if isinstance(user.spec, Shuffle):
            group = user.spec.channels(conv.channels) // (conv.channels // conv.groups)
            return user.spec if bool((group == group[:, :1]).all()) else None
        if isinstance(user.spec, Pointwise) and user.spec.alike and user not in visited:
            visited.add(user)
            ahead.extend(user.users)
    return None


def follows_upsampler(op: Op) -> bool:
    """Whether the call's input is an upsampler's output, with nothing but pointwise treatment in between."""
    behind, visited = list(op.inputs), set()
    while behind:
        source = behind.pop()
        if grows(source.spec):
            return True
        if isinstance(source.spec, Pointwise) and source not in visited:
            visited.add(source)
            behind.extend(source.inputs)
    return False


def directions_at(op: Op) -> int | None:
    """How many directions the call's tensors have, by the nearest call that tells; None where none does.

    `F.interpolate(x, scale_factor=2)` is written alike for signals, images and volumes.
    """
    level, visited = [op], {op}
    while level:
        told = {found for near in level if (found := _own_directions(near)) is not None}
        if told:
            return told.pop() if len(told) == 1 else None
        beside = [near for one in level for near in (*one.inputs, *one.users)]
        level = [near for near in dict.fromkeys(beside) if near not in visited]
        visited.update(level)
    return None


def _own_directions(op: Op) -> int | None:
    if isinstance(op.spec, Convolution):
        return len(op.spec.stride)
    if isinstance(op.spec, Shuffle):
        return len(op.spec.factor)
    return op.spec.directions if isinstance(op.spec, Resize) else None


def scale_at(op: Op) -> tuple[float, ...] | None:
    """The factor of each direction of a resize; one for all where their number is not told, None where size decides."""
    resize = op.spec
    if not isinstance(resize, Resize) or resize.scale is None or len(resize.scale) > 1:
        return resize.scale if isinstance(resize, Resize) else None
    directions = directions_at(op)
    if resize.axis is None or directions is None:
        return resize.scale * (directions or 1)
    enlarged = resize.axis - 2 if resize.axis > 0 else resize.axis + directions
    return tuple(resize.scale[0] if direction == enlarged else 1.0 for direction in range(directions))


def reaches_output(op: Op, keeps_apart: Callable[[Op], bool]) -> bool:
    """Whether some way from the call to the model's output leads only through calls that keep pixels apart."""
    ahead, visited = list(op.users), set()
    while ahead:
        user = ahead.pop()
        if isinstance(user.spec, Output):
            return True
        if user not in visited and keeps_apart(user):
            visited.add(user)
            ahead.extend(user.users)
    return False


def keeps_apart(op: Op, direction: int | None, directions: int | None) -> bool:
    """Whether a call keeps every pixel apart from its neighbours along one direction, or along all where that is None.

    A convolution of fewer directions, as of a video's frames, is taken to mix pixels: along which is not known.
    """
    if isinstance(op.spec, Convolution):
        sizes = tuple(zip(op.spec.extent, op.spec.stride, strict=True))
        if direction is not None and len(sizes) == directions:
            return sizes[direction] == (1, 1)
        return set(sizes) == {(1, 1)}
    if isinstance(op.spec, Resize):
        return op.spec.nearest and grows(op.spec)
    return isinstance(op.spec, Pointwise)
