"""Questions about the neighbourhood of a call in a `ModuleGraph`."""

from __future__ import annotations

from artifactlab.lint.graph import Op
from artifactlab.lint.ops import Convolution, Output, Pointwise, Resize, Shuffle, grows


def feeds_shuffle(op: Op) -> int | None:
    """Factor of the pixel shuffle that an ordinary convolution feeds with nothing but alike treatment in between.

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
            channels = conv.weight.shape[0]
            return user.spec.factor if channels // conv.groups % user.spec.factor**2 == 0 else None
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


def reaches_output(op: Op) -> bool:
    """Whether some way from the call to the model's output keeps every pixel apart from its neighbours."""
    ahead, visited = list(op.users), set()
    while ahead:
        user = ahead.pop()
        if isinstance(user.spec, Output):
            return True
        if user not in visited and _keeps_pixels_apart(user):
            visited.add(user)
            ahead.extend(user.users)
    return False


def _keeps_pixels_apart(op: Op) -> bool:
    if isinstance(op.spec, Convolution):
        return op.spec.extent == (1, 1) and op.spec.stride == (1, 1)
    if isinstance(op.spec, Resize):
        return op.spec.nearest and grows(op.spec)
    return isinstance(op.spec, Pointwise)
