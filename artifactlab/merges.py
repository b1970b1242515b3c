"""Recognise merges: calls in which features meet that came by different upsamplings, as skip and decoder features do.

Every tensor carries the set of sites it came through, see `artifactlab.wiring`. A merge joins tensors with different
sets. So a U-Net's skips, a pyramid's laterals and a sum of two upsampled branches are merges; the blocks of an encoder,
and residual blocks `x + f(x)`, whose operands came the same way, are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from artifactlab.outputs import is_image
from artifactlab.wiring import Wiring

MIN_SIDE = 32
"""pixels; below, there is too little to register"""


@dataclass(frozen=True)
class Merge:
    """One run of one merge, as the visitor sees it."""

    key: tuple[str, str, int]
    """(qualified module name, `cat` or `add`, call index)"""
    upsampled: Tensor
    """(N, C, H, W) the operand that came through the latest upsampling"""
    skipped: Tensor
    """(N, C', H, W) what it meets"""


def merge_of(
    wiring: Wiring, func: Any, args: Any, kwargs: Any, next_key: Callable[[str], tuple[str, str, int]]
) -> Merge | None:
    """The merge that a call is going to make, its key drawn from `next_key`; None if it is none, or a small one."""
    name = _NAMES.get(func)
    operands = list(_operands(name, args, kwargs)) if name else []
    if name is None or len({(x.shape[0], *x.shape[2:]) for x in operands}) != 1:
        return None
    sites = [wiring.sites(x) for x in operands]
    if not any(sites):
        return None
    latest = max(sites)
    upsampled = [x for x, its in zip(operands, sites, strict=True) if its == latest]
    others = [x for x, its in zip(operands, sites, strict=True) if its != latest]
    if not others:
        return None
    key = next_key(name)  # small ones count, too, so that a key does not depend on the input's size
    merge = Merge(key, max(upsampled, key=_channels), max(others, key=_channels))
    return merge if min(merge.upsampled.shape[2:]) >= MIN_SIDE else None


def _channels(tensor: Tensor) -> int:
    return tensor.shape[1]


def _operands(name: str, args: Any, kwargs: Any) -> Iterator[Tensor]:
    """The images that a call joins; nothing where it joins along another axis than the channels."""
    if name == "cat":
        values = args[0] if args else kwargs.get("tensors", ())
        axis = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis", 0))
        if axis not in (1, -3):
            return
    else:
        values = [*args[:2], *(kwargs[key] for key in ("input", "other") if key in kwargs)]
    for value in values:
        if isinstance(value, Tensor) and is_image(value):
            yield value


_NAMES: dict[Any, str] = {
    torch.cat: "cat",
    torch.concat: "cat",
    torch.concatenate: "cat",
    torch.add: "add",
    Tensor.add: "add",
    Tensor.add_: "add",
    Tensor.__add__: "add",
    Tensor.__radd__: "add",
    Tensor.__iadd__: "add",
}
