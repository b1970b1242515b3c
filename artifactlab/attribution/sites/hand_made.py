"""Growth by calls that are made for something else: indexing, `gather`, `kron`, a product with a matrix, `torch.ops`.

Read off the sizes alone: one image goes in, the same images and channels come out, larger. What cannot be told for sure
is left to what enters and leaves a module, and to `sizes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.attribution.sites.axes import Axes, AxesOf, is_direction, is_unknown
from artifactlab.attribution.sites.upsampling import MIN_MODULE_GROWTH, Growth, growth_between, has_values
from artifactlab.models.torch_internals import without_dispatch_modes

NO_LATTICE = (
    *("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d"),
    *("conv1d", "conv2d", "conv3d", "convolution", "linear"),
    *("cat", "concat", "concatenate", "hstack", "vstack", "row_stack", "column_stack"),
    *("expand", "expand_as", "broadcast_to", "repeat", "tile", "as_strided"),
)
"""Names of functions that enlarge an image without a lattice: a frame around it, images side by side, and windows of
it; `linear` widens the features of channels-last images."""
PRODUCTS = ("matmul", "rmatmul", "einsum", "tensordot")
"""Names of functions that multiply with a matrix: one that enlarges, or one that widens channels-last features."""
# An interpolation's weights add up to one at every pixel; no layer's learned weights add up to the same at all.
EVEN = 1e-3
"""Largest relative difference between the values that a product makes of a constant image, if it enlarges images."""


def growth_by_hand(func: Any, args: Any, kwargs: Any, output: Tensor, axes_of: AxesOf) -> Growth | None:
    """The growth in a call of any function, None where there is none, or where it could be something else."""
    if not 3 <= output.ndim <= 5:
        return None
    source = _only_image(func, args, kwargs, output.ndim)
    if source is None or not _is_enlarged(source, output) or not _is_of_places(axes_of(source), source.ndim):
        return None
    name = function_name(func)
    if name in NO_LATTICE or name.startswith("new_"):
        return None
    with without_dispatch_modes(), torch.no_grad():
        if name in PRODUCTS and not _keeps_constants(func, args, kwargs, source):
            return None
        nearest = _is_nearest(source, output)
        # a constant image is both; a call is to be the same site whatever its input
        if not nearest and _is_tiled(source, output):
            return growth_between(name, source, output, scale=(1,) * (output.ndim - 2))
        return growth_between(name, source, output, nearest=nearest)


def function_name(func: Any) -> str:
    """The name of a torch function: `getitem` of `Tensor.__getitem__`, `upsample_nearest2d` of any of its overloads."""
    name: str = getattr(func, "__name__", "call")
    return name.split(".")[0].strip("_") or "call"


def _is_of_places(axes: Axes | None, rank: int) -> bool:
    """Whether a tensor is (N, C, *space), by all that is known; of four axes that is assumed where nothing is."""
    if rank == 4 and is_unknown(axes):
        return True
    return axes is not None and all(is_direction(axis) or (rank == 4 and not axis) for axis in axes[2:])


def _only_image(func: Any, args: Any, kwargs: Any, rank: int) -> Tensor | None:
    """The one tensor of so many axes among the arguments; of two, which grows cannot be told by sizes."""
    found: Tensor | None = None
    for value in _flat(args, kwargs):
        if isinstance(value, Tensor) and value.ndim == rank and value.is_floating_point():
            if func is torch.kron:  # the second one is the block
                return value
            if found is not None:
                return None
            found = value
    return found


def _flat(args: Any, kwargs: Any) -> Iterator[Any]:
    for value in (*args, *kwargs.values()):
        if isinstance(value, (list, tuple)):
            yield from value
        else:
            yield value


def _is_enlarged(source: Tensor, output: Tensor) -> bool:
    """Whether the same images and channels came out larger; a side of one pixel is a value that is spread."""
    before, after = source.shape, output.shape
    if before == after or before[:2] != after[:2] or not has_values(output):
        return False
    axes = [(b, a) for b, a in zip(before[2:], after[2:], strict=True) if a != b]
    return all(1 < b < a for b, a in axes) and any(a >= MIN_MODULE_GROWTH * b for b, a in axes)


def _keeps_constants(func: Any, args: Any, kwargs: Any, source: Tensor) -> bool:
    """Whether a product makes a constant image of a constant image, as interpolation does."""
    ones = torch.ones_like(source)
    names = dict(zip(kwargs, _exchanged(kwargs.values(), source, ones), strict=True))
    made = func(*_exchanged(args, source, ones), **names)
    low, high = (float(value) for value in torch.aminmax(made.float()))
    return low > 0 and high - low <= EVEN * high


def _exchanged(values: Any, old: Tensor, new: Tensor) -> list[Any]:
    def exchange(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [new if item is old else item for item in value]
        return new if value is old else value

    return [exchange(value) for value in values]


def _is_tiled(source: Tensor, output: Tensor) -> bool:
    """Whether whole images were laid side by side."""
    counts = [after // before for before, after in zip(source.shape, output.shape, strict=True)]
    sizes = tuple(count * side for count, side in zip(counts, source.shape, strict=True))
    return sizes == output.shape and torch.equal(source.repeat(*counts), output)


def _is_nearest(source: Tensor, output: Tensor) -> bool:
    """Whether pixels were repeated, so that the repair may start from what went in."""
    size = output.shape[2:]
    return output.dtype == source.dtype and torch.equal(F.interpolate(source, size, mode="nearest"), output)
