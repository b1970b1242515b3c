"""Recognise growth: which function calls, reshapes and modules enlarge their input, and by how much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.models.outputs import first_image, is_image

NEAREST = ("nearest", "nearest-exact")
MIN_MODULE_GROWTH = 1.5
"""a module that grows by less has padded its input"""


@dataclass(frozen=True)
class Growth:
    """One enlargement, as (N, C, H, W) tensors."""

    op: str
    """name of the operation"""
    scale: tuple[float, float]
    """growth factor, (vertical, horizontal)"""
    in_shape: tuple[int, ...]
    """(N, C, H, W) before"""
    out_shape: tuple[int, ...]
    """(N, C, H, W) after"""
    input: Tensor | None
    """what went in, where the operation takes one image"""
    output: Tensor
    """what came out"""
    nearest: bool = False
    """whether the operation is a nearest-neighbour resize"""
    lattice: bool = True
    """False for growth that has no lattice, such as a stride-1 transposed convolution"""
    channels_last: bool = False
    """whether the model sees the output as (N, H, W, C)"""

    def restore(self, output: Tensor) -> Tensor:
        """An (N, C, H, W) replacement in the layout the model expects."""
        return output.permute(0, 2, 3, 1).contiguous() if self.channels_last else output

    def without_tensors(self) -> Growth:
        """The same record, keeping no activation alive."""
        return replace(self, input=None, output=torch.empty(0))


def growth_of(func: Any, args: Any, kwargs: Any, output: Any, partitions: set[tuple[int, ...]]) -> Growth | None:
    """The growth in one torch function call, or None. `partitions` remembers window splits of this forward pass."""
    detect = _DETECTORS.get(func)
    if detect is None or not isinstance(output, Tensor):
        return None
    source = args[0] if args else kwargs.get("input")
    if not isinstance(source, Tensor):
        return None
    if detect is _merged:
        return _merged(source, output, partitions)
    if detect is _folded:
        return _folded(args, kwargs, source, output)
    if source.ndim != 4 or not is_image(output):
        return None
    return _resized(detect(args, kwargs), source, output)


def module_growth(module: nn.Module, inputs: Any, output: Any) -> Growth | None:
    """The growth of a module in which no growing call was seen: hand-made from slices, kernels in C++, or the like.

    Where only the last axis grows and a linear layer is at work, that axis holds the features of an (N, H, W, C).
    """
    with torch._C.DisableTorchFunction():  # every look at a shape would pass through the mode that watches calls
        source, image = first_image(inputs), first_image(output)
        if source is None or image is None or image is not output:
            return None
        growth = _resized(_Call("module"), source, image)
    if growth is None or min(growth.scale) < 1 or max(growth.scale) < MIN_MODULE_GROWTH:
        return None
    features = growth.scale[0] == 1 and any(isinstance(part, nn.Linear) for part in module.modules())
    return None if features else growth


def tidy(value: float) -> float:
    """An integer where the value is one but for padding (2H+1 pixels from H), else three decimals."""
    nearest = round(value)
    return nearest if nearest and abs(value - nearest) <= 0.05 * nearest else round(value, 3)


@dataclass(frozen=True)
class _Call:
    """What the arguments of a call say beyond the shapes."""

    op: str
    nearest: bool = False
    stride: tuple[int, int] | None = None


def _resized(call: _Call, source: Tensor, output: Tensor) -> Growth | None:
    """Growth by the ratio of sizes, or by the stride where the call has one."""
    (h, w), (oh, ow) = source.shape[-2:], output.shape[-2:]
    if oh < h or ow < w or (oh, ow) == (h, w) or 0 in (h, w):
        return None
    scale = call.stride or (tidy(oh / h), tidy(ow / w))
    return Growth(
        op=call.op,
        scale=(scale[0], scale[1]),
        in_shape=tuple(source.shape),
        out_shape=tuple(output.shape),
        input=source,
        output=output,
        nearest=call.nearest,
        lattice=scale != (1, 1),
    )


def _merged(source: Tensor, output: Tensor, partitions: set[tuple[int, ...]]) -> Growth | None:
    """Depth to space by hand: a reshape that merges (h, r) and (w, s) into h*r and w*s.

    Window attention merges its windows the same way. It has folded them into the batch before, which patches never
    are; a merge that undoes such a fold of this pass is no growth.
    """
    if source.ndim == 6 and output.shape[0] == source.shape[0] * source.shape[1] * source.shape[2]:
        h, w = source.shape[1:3]
        partitions.add((h, source.shape[3], w, source.shape[4]))  # (N, h, w, r, s, C)
        partitions.add((h, source.shape[4], w, source.shape[5]))  # (N, h, w, C, r, s)
        return None
    if output.ndim != 4 or not output.is_floating_point() or source.shape[:1] != output.shape[:1]:
        return None
    shape, out = tuple(source.shape), tuple(output.shape)
    n, channels_last = shape[0], False
    if len(shape) == 6 and out == (n, shape[1], shape[2] * shape[3], shape[4] * shape[5]):
        c, h, r, w, s = shape[1:]
    elif len(shape) == 6 and out == (n, shape[1] * shape[2], shape[3] * shape[4], shape[5]):
        (h, r, w, s, c), channels_last = shape[1:], True
    elif len(shape) == 5 and out == (n, shape[1], shape[2] * shape[3], shape[4]):
        (c, h, r, w), s = shape[1:], 1
    elif len(shape) == 5 and out == (n, shape[1], shape[2], shape[3] * shape[4]):
        (c, h, w, s), r = shape[1:], 1
    else:
        return None
    if (r, s) == (1, 1) or (h, r, w, s) in partitions:
        return None
    image = output.permute(0, 3, 1, 2) if channels_last else output
    return Growth("reshape", (r, s), (n, c, h, w), tuple(image.shape), None, image, channels_last=channels_last)


def _folded(args: Any, kwargs: Any, source: Tensor, output: Tensor) -> Growth | None:
    """Overlapping patches summed into an image: `F.fold` grows a grid of patches by its stride."""
    r, s = _pair(kwargs.get("stride", args[5] if len(args) > 5 else 1))
    if not is_image(output) or (r, s) == (1, 1):
        return None
    n, c, h, w = output.shape
    return Growth("fold", (r, s), (n, c, h // r, w // s), (n, c, h, w), None, output)


def _interpolate(args: Any, kwargs: Any) -> _Call:
    mode = kwargs.get("mode", args[3] if len(args) > 3 else "nearest")
    return _Call("interpolate", nearest=mode in NEAREST)


def _conv_transpose2d(args: Any, kwargs: Any) -> _Call:
    stride = kwargs.get("stride", args[3] if len(args) > 3 else 1)
    return _Call("conv_transpose2d", stride=_pair(stride))


def _pair(value: Any) -> tuple[int, int]:
    """(vertical, horizontal) of an argument that may be one number."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    return pair[0], pair[-1]


def _plain(op: str) -> Callable[[Any, Any], _Call]:
    return lambda args, kwargs: _Call(op)


_DETECTORS: dict[Any, Callable[..., Any]] = {
    F.interpolate: _interpolate,
    F.upsample: _interpolate,
    F.upsample_nearest: lambda args, kwargs: _Call("interpolate", nearest=True),
    F.upsample_bilinear: _plain("interpolate"),
    F.conv_transpose2d: _conv_transpose2d,
    F.pixel_shuffle: _plain("pixel_shuffle"),
    F.grid_sample: _plain("grid_sample"),
    F.fold: _folded,
    F.max_unpool2d: _plain("max_unpool2d"),
    torch.repeat_interleave: _plain("repeat_interleave"),
    Tensor.repeat_interleave: _plain("repeat_interleave"),
    torch.reshape: _merged,
    Tensor.reshape: _merged,
    Tensor.view: _merged,
    torch.flatten: _merged,
    Tensor.flatten: _merged,
}
