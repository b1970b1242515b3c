"""What a call does to the axes of its tensors, see `axes`."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.attribution.sites.axes import (
    DIRECTIONS,
    Axes,
    AxesOf,
    Axis,
    Handler,
    aligned,
    axis_of,
    direction_of,
    is_unknown,
    regrouped,
    resized,
    role_of,
    source_of,
    unknown_axes,
    with_directions,
)
from artifactlab.attribution.sites.axis_indices import NORMS, REDUCTIONS, indexed, normed, picked, reduced


def _viewed(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
    """A reshape in any spelling."""
    axes = of(source_of(args, kwargs))
    return None if axes is None else regrouped(axes, output.shape)


def _moved(func: Any) -> Handler:
    """Axes in another order: the call is made with a tensor whose strides say which axis is which."""

    def handler(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
        source = source_of(args, kwargs)
        axes = of(source)
        if axes is None:
            return None
        rank = source.ndim
        probe = torch.empty_strided((1,) * rank, tuple(range(1, rank + 1)), device="meta")
        moved = func(probe, *args[1:], **{k: v for k, v in kwargs.items() if k != "input"})
        return tuple(axes[stride - 1] for stride in moved.stride())

    return handler


def _in_space(directions: int) -> Handler:
    """Layers that work along the last axes, and mix features: those after the first axis are features, then places."""

    def handler(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
        along = directions or output.ndim - 2
        if output.ndim < along + 1 or along < 1:
            return None
        source = source_of(args, kwargs)
        known = of(source)
        if known is None or len(known) != output.ndim or any(role_of(a) == "features" for a in known[-along:] if a):
            known = unknown_axes(output.shape)  # places where features were supposed: that was a guess
        placed = resized(with_directions(known, along), output.shape)
        head = list(placed[: output.ndim - along])
        head[-1] = axis_of(output.shape[len(head) - 1], "features")
        if len(head) > 1 and role_of(head[0]) == "unknown":
            head[0] = axis_of(output.shape[0], "batch")
        return (*head, *placed[output.ndim - along :])

    return handler


def _linear(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
    """The last axis holds new features; where nothing was known, the first is the batch, and between are places."""
    known = of(source_of(args, kwargs))
    if known is None or is_unknown(known):
        middle = unknown_axes(output.shape)[1:-1]
        first = (axis_of(output.shape[0], "batch"),) if output.ndim > 1 else ()
        return (*first, *middle, axis_of(output.shape[-1], "features"))
    return (*known[:-1], axis_of(output.shape[-1], "features"))


def _product(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
    """Rows of the first operand, columns of the second; a matrix of weights leaves an axis what it was."""
    one, other = (*args, *kwargs.values())[:2]
    a, b = of(one), of(other)
    if output.ndim < 2 or (a is None and b is None):
        return None
    batch = aligned([axes[:-2] for axes in (a, b) if axes and len(axes) > 2], output.shape[:-2])
    if output.ndim > 2 and batch is None:
        return None
    last = (a or b or ())[-2:], (b or a or ())[-2:]
    ends = (last[0][0], last[1][-1])
    return (*(batch or ()), *resized(ends, output.shape[-2:]))


def _attention(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
    """Attention: where the queries are, what the values have."""
    query, value = (args[k] if len(args) > k else kwargs.get(name) for k, name in ((0, "query"), (2, "value")))
    asked, has = of(query), of(value)
    return None if asked is None else (*asked[:-1], has[-1] if has else axis_of(output.shape[-1], "features"))


def _summed(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
    """`einsum`: each letter is the axis of the first operand that has it and of which something is known."""
    if not args or not isinstance(args[0], str) or "->" not in args[0] or "." in args[0]:
        return None
    left, right = args[0].replace(" ", "").split("->")
    operands = args[1] if len(args) > 1 and isinstance(args[1], (list, tuple)) else args[1:]
    letters: dict[str, Axis] = {}
    for names, operand in zip(left.split(","), operands, strict=False):
        axes = of(operand)
        if axes and len(axes) == len(names):
            for name, axis in zip(names, axes, strict=True):
                letters.setdefault(name, axis)
    return tuple(letters.get(name, axis_of(size, "features")) for name, size in zip(right, output.shape, strict=True))


def _windowed(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
    """`Tensor.unfold`: where each window is, and as a last axis the places within it."""
    known = of(source_of(args, kwargs))
    dim = kwargs.get("dimension", args[1] if len(args) > 1 else 0)
    if known is None or len(known) + 1 != output.ndim:
        return None
    axis = known[dim % len(known)]
    within = axis_of(output.shape[-1], role_of(axis), direction_of(axis))
    return (*resized(known, output.shape[:-1]), within)


def _stacked(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
    """A new axis of the tensors that were stacked."""
    parts = args[0] if args else kwargs.get("tensors", ())
    dim = kwargs.get("dim", args[1] if len(args) > 1 else 0)
    known = next((axes for part in parts if (axes := of(part))), None)
    if known is None:
        return None
    place = dim % output.ndim
    return (*known[:place], axis_of(output.shape[place], "stacked"), *known[place:])


def _described(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
    """`one_hot` and `embedding`: features of each entry, in a new last axis."""
    known = of(source_of(args, kwargs))
    return None if known is None else (*known, axis_of(output.shape[-1], "features"))


def _repeated(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
    """`repeat_interleave`: what is repeated beside features is places, be they frames or tokens; a batch stays one."""
    known, dim = of(source_of(args, kwargs)), kwargs.get("dim", args[2] if len(args) > 2 else None)
    if known is None or dim is None:
        return None
    axes = list(resized(known, output.shape))
    place = dim % len(axes)
    beside = [role_of(axis) for axis in axes if axis is not axes[place]]
    if place and role_of(axes[place]) not in ("places", "features") and "features" in beside:
        taken = {factor.direction for axis in axes for factor in axis if factor.role == "places"}
        free = next(k for k in range(DIRECTIONS + 1) if k not in taken)
        axes[place] = axis_of(output.shape[place], "places", free)
    return tuple(axes)


def _turned(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
    """`rot90`: by an odd number of turns, two axes change places."""
    known = of(source_of(args, kwargs))
    turns = kwargs.get("k", args[1] if len(args) > 1 else 1)
    first, second = kwargs.get("dims", args[2] if len(args) > 2 else (0, 1))
    if known is None or turns % 2 == 0:
        return known
    axes = list(known)
    axes[first], axes[second] = axes[second], axes[first]
    return tuple(axes)


def _from_spectrum(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
    """`istft`: a signal for each item of the batch, whatever was known of the spectrum."""
    *batch, samples = output.shape
    return (*(axis_of(size, "batch") for size in batch), axis_of(samples, "places", 0))


VIEWS = (
    *(torch.reshape, Tensor.reshape, Tensor.view, torch.flatten, Tensor.flatten, Tensor.unflatten, torch.unflatten),
    *(torch.squeeze, Tensor.squeeze, torch.unsqueeze, Tensor.unsqueeze, Tensor.view_as, Tensor.reshape_as),
    *(torch.ravel, Tensor.ravel, Tensor.squeeze_, Tensor.unsqueeze_),
)
MOVES = (
    *(torch.permute, Tensor.permute, torch.transpose, Tensor.transpose, torch.swapaxes, Tensor.swapaxes),
    *(torch.swapdims, Tensor.swapdims, torch.movedim, Tensor.movedim, torch.moveaxis, Tensor.moveaxis),
    *(Tensor.transpose_, Tensor.swapaxes_, Tensor.swapdims_),
    *(torch.t, Tensor.t, Tensor.T.__get__, Tensor.mT.__get__),  # type: ignore[attr-defined]  # a getter
)
IN_SPACE: dict[int, tuple[Any, ...]] = {
    1: (F.conv1d, F.conv_transpose1d, F.avg_pool1d, F.max_pool1d, F.adaptive_avg_pool1d, F.max_unpool1d),
    2: (
        *(F.conv2d, F.conv_transpose2d, F.avg_pool2d, F.max_pool2d, F.adaptive_avg_pool2d, F.max_unpool2d),
        *(F.pixel_shuffle, F.pixel_unshuffle, F.fold),
    ),
    3: (F.conv3d, F.conv_transpose3d, F.avg_pool3d, F.max_pool3d, F.adaptive_avg_pool3d, F.max_unpool3d),
    0: (F.interpolate, F.upsample, F.upsample_nearest, F.upsample_bilinear, F.grid_sample),
}
"""By the number of directions that they work along; 0 for all after the first two axes."""
PRODUCTS = (torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm, torch.mm, Tensor.mm)
HANDLERS: dict[Any, Handler] = {
    **dict.fromkeys(VIEWS, _viewed),
    **{func: _moved(func) for func in MOVES},
    **{func: _in_space(along) for along, functions in IN_SPACE.items() for func in functions},
    F.linear: _linear,
    **dict.fromkeys(PRODUCTS, _product),
    F.scaled_dot_product_attention: _attention,
    torch.einsum: _summed,
    torch.stack: _stacked,
    Tensor.unfold: _windowed,
    **dict.fromkeys((torch.select, Tensor.select, torch.unbind, Tensor.unbind), picked),
    **dict.fromkeys(REDUCTIONS, reduced),
    **dict.fromkeys(NORMS, normed),
    **dict.fromkeys((F.one_hot, F.embedding), _described),
    torch.rot90: _turned,
    Tensor.rot90: _turned,
    **dict.fromkeys((torch.repeat_interleave, Tensor.repeat_interleave), _repeated),
    torch.istft: _from_spectrum,
    Tensor.istft: _from_spectrum,
    Tensor.__getitem__: indexed,
}
"""What functions do to axes; others keep those whose size they keep."""
