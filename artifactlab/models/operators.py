"""Operators of `torch.ops.aten`, which exported programs are made of, as the torch functions that they stand for.

So whatever follows calls knows one name for each: `aten.upsample_nearest2d.vec` is `F.interpolate`, `aten.slice` is an
index, `aten.convolution` a convolution or a transposed one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.models.torch_internals import operator_name, operator_schema

Call = tuple[Any, tuple[Any, ...], dict[str, Any]]
"""A function, its arguments by position, and those by name."""
RESIZE = re.compile(r"_?upsample_(nearest|nearest_exact|linear|bilinear|bicubic|trilinear)[123]d(_aa)?")
"""Names of resizes, with their mode."""
PAD = re.compile(r"(constant_pad_n|(reflection|replication)_pad[123])d")
ATTENTION = "_scaled_dot_product_"
"""What the names of attention start with, of which each machine has its own."""


def as_function(func: Any, args: Any, kwargs: Any) -> Call:
    """A call of an `aten` operator as one of the function that it stands for; other calls as they are.

    >>> x = torch.zeros(1, 3, 8, 8)
    >>> func, args, kwargs = as_function(torch.ops.aten.slice.Tensor, (x, 2, 1, -1), {})
    >>> func.__name__, args[1]
    ('__getitem__', (slice(None, None, None), slice(None, None, None), slice(1, -1, None)))
    """
    name = operator_name(func)
    if name is None or not name.startswith("aten::"):
        return func, args, kwargs
    name = name.removeprefix("aten::")
    if name in CONVERTED:
        return CONVERTED[name](args, kwargs)
    if resize := RESIZE.fullmatch(name):
        return F.interpolate, args[:1], {"mode": resize[1].replace("_", "-")} | _sizes(func, args, kwargs)
    return _function(name) or func, args, kwargs


@lru_cache(maxsize=1024)
def _function(name: str) -> Callable[..., Any] | None:
    """The function of a name, which may have underscores around it: those of in-place or internal variants."""
    if PAD.fullmatch(name):
        return F.pad
    if name.startswith(ATTENTION):
        return F.scaled_dot_product_attention
    name = RENAMED.get(name, name)
    for spelling in (name.lstrip("_"), name.strip("_")):  # torch has a few of the internal ones, which nothing follows
        for place in (Tensor, F, torch):
            if found := getattr(place, spelling, None):
                return found
    return None


def _sizes(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """How much a resize enlarges: by the factors that it was called with, or else to a size."""
    overload = getattr(func, "default", func)  # of a packet, whichever is called
    names = [argument.name for argument in operator_schema(overload).arguments]
    given = dict(zip(names, args, strict=False)) | kwargs
    one_by_one = [value for name, value in given.items() if name.startswith("scales_")]
    is_told = all(value is not None and value > 0 for value in one_by_one)  # TorchScript writes -1 for None
    scale = given.get("scale_factors") or (one_by_one if is_told else None)
    read = {"scale_factor": list(scale)} if scale else {"size": given["output_size"]}
    return read | ({"align_corners": given["align_corners"]} if "align_corners" in given else {})


def _sliced(args: Any, kwargs: Any) -> Call:
    """`slice(x, dim, start, end, step)`."""
    given = dict(zip(("self", "dim", "start", "end", "step"), args, strict=False)) | kwargs
    whole, dim, start, end, step = map(given.get, ("self", "dim", "start", "end", "step"))
    dim = dim or 0
    whole_end = end is None or end >= whole.shape[dim]
    part = slice(start, None if whole_end else end, None if step == 1 else step)
    return Tensor.__getitem__, (whole, (*[slice(None)] * (dim % whole.ndim), part)), {}


def _indexed(args: Any, kwargs: Any) -> Call:
    """`index(x, indices)`, where None stands for all."""
    return Tensor.__getitem__, (args[0], tuple(slice(None) if k is None else k for k in args[1])), kwargs


def _convolved(args: Any, kwargs: Any) -> Call:
    """`convolution(x, weight, bias, stride, padding, dilation, transposed, output_padding, groups)`."""
    source, weight, bias, stride, padding, dilation, transposed, *rest = args
    directions = weight.ndim - 2
    if transposed:
        given = (source, weight, bias, stride, padding, *rest, dilation)
        return getattr(F, f"conv_transpose{directions}d"), given, kwargs
    return getattr(F, f"conv{directions}d"), (source, weight, bias, stride, padding, dilation, *rest[1:]), kwargs


def _affine(args: Any, kwargs: Any) -> Call:
    """`addmm(bias, x, weight)`."""
    return F.linear, (args[1], args[2], args[0]), {}


def _embedded(args: Any, kwargs: Any) -> Call:
    """`embedding(weight, indices)`."""
    return F.embedding, (args[1], args[0]), {}


CONVERTED: dict[str, Callable[[Any, Any], Call]] = {
    "slice": _sliced,
    "index": _indexed,
    "convolution": _convolved,
    "addmm": _affine,
    "embedding": _embedded,
}
"""Operators whose arguments are others than the function's."""
RENAMED = {
    "_unsafe_view": "view",
    "_to_copy": "to",
    "col2im": "fold",
    "grid_sampler": "grid_sample",
    "grid_sampler_2d": "grid_sample",
    "grid_sampler_3d": "grid_sample",
    "linalg_vector_norm": "norm",
    "sym_size": "size",
    "_local_scalar_dense": "item",
}
"""Operators whose name is another than the function's."""
