"""What torch's own operations do to the elements of tensors: enlarge, make new features, or only move them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

ENLARGING = ("upsample_", "_upsample_", "max_unpool", "adaptive_", "_adaptive_", "grid_sampler")
"""beginnings of the names of operations whose output may be larger than their input, see `_sizes`"""
LAYERS = ("convolution", "conv1d", "conv2d", "conv3d", "max_pool", "avg_pool", "mkldnn_conv", "_fft", "im2col")
"""beginnings of the names of operations that make new features of images: (N, C, *space)"""
NORMS = ("native_batch_norm", "_native_batch_norm", "_batch_norm", "native_group_norm", "batch_norm", "instance_norm")
"""... and those that leave the shape, and take (N, C, *space)"""
MOVES = {
    "view",
    "_unsafe_view",
    "reshape",
    "_reshape_alias",
    "permute",
    "transpose",
    "t",
    "expand",
    "slice",
    "select",
    "split",
    "split_with_sizes",
    "unbind",
    "unsqueeze",
    "squeeze",
    "alias",
    "detach",
    "clone",
    "_to_copy",
    "contiguous",
    "cat",
    "stack",
    "index",
    "index_select",
    "gather",
    "roll",
    "flip",
    "repeat",
    "unfold",
    "as_strided",
    "constant_pad_nd",
    "reflection_pad1d",
    "reflection_pad2d",
    "reflection_pad3d",
    "replication_pad1d",
    "replication_pad2d",
    "replication_pad3d",
    "copy_",
    "lift_fresh",
    "narrow_copy",
    "tril",
    "triu",
    "diagonal",
    "index_put_",
    "scatter",
    "scatter_",
    "slice_scatter",
    "select_scatter",
    "movedim",
    "pixel_unshuffle",
    "channel_shuffle",
    "rot90",
    "unsafe_split",
}
"""operations that only move elements; what they do to a tensor they do to its labels"""

JOINING = ("add", "add_", "sub", "mul", "mul_", "cat")
"""operations that join images"""
REDUCTIONS = ("sum", "mean", "amax", "amin", "logsumexp", "prod")
"""operations whose second argument says the axes that become one"""
INDEXED = ("index", "index_select", "gather", "index_put_", "scatter", "scatter_")
"""those of them whose tensors of integers, after the first, are indices"""


def sizes(
    name: str, args: Sequence[Any], kwargs: Any, made: list[Tensor]
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Sizes before and after, where the operation by its nature enlarges."""
    if not made or not args or not isinstance(args[0], Tensor):
        return None
    before, after = tuple(args[0].shape[2:]), tuple(made[0].shape[2:])
    if name.startswith("convolution"):
        stride, transposed = args[3], args[6]
        return (before, after) if transposed and max(stride) > 1 else None
    if name == "col2im":
        kernel, stride = args[2], args[5]
        return ((-1,), after) if max(stride) > 1 and max(kernel) > 1 else None
    if name.startswith(ENLARGING) or name == "pixel_shuffle":
        grows = any(b < a for b, a in zip(before, after, strict=True)) and 0 not in args[0].shape
        return (before, after) if grows and "backward" not in name else None
    return None


def broadcasts(shape: torch.Size, to: torch.Size) -> bool:
    """Whether a tensor of a shape becomes one of another by being repeated along axes of size 1."""
    if len(shape) > len(to):
        return False
    return all(size in (1, wanted) for size, wanted in zip(reversed(shape), reversed(to), strict=False))


def tensors_of(tree: Any) -> list[Tensor]:
    """All tensors of nested arguments or results, in order."""
    return [leaf for leaf in tree_flatten(_plain(tree))[0] if isinstance(leaf, Tensor)]


def _plain(tree: Any) -> Any:
    """Results of diffusers and transformers as plain containers."""
    if isinstance(tree, dict):
        return {key: _plain(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_plain(value) for value in tree]
    if not isinstance(tree, Tensor) and hasattr(tree, "__dataclass_fields__"):
        return [_plain(getattr(tree, name)) for name in tree.__dataclass_fields__]
    return tree
