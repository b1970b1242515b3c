"""Recognise merges: calls in which features meet that came by different upsamplings, as skip and decoder features do.

While the model runs, every tensor is followed from the site that made it: it carries the set of sites it came through.
A merge joins tensors with different sets. So a U-Net's skips, a pyramid's laterals and a sum of two upsampled branches
are merges; the blocks of an encoder, and residual blocks `x + f(x)`, whose operands came the same way, are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from artifactlab.outputs import is_image

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


class Ancestry:
    """Which sites each tensor of the forward pass in progress came through, as bits of an integer."""

    def __init__(self) -> None:
        self._sites = WeakTensorKeyDictionary()
        self._count = 0

    def start(self) -> None:
        """Forget the pass before."""
        self._sites.clear()
        self._count = 0

    def of(self, value: Any) -> int:
        """The sites of a tensor, or of all tensors in (nested) lists, tuples and dicts of arguments."""
        if isinstance(value, Tensor):
            return self._sites.get(value, 0)
        items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
        sites = 0
        for item in items:
            sites |= self.of(item)
        return sites

    def called(self, func: Any, arguments: Any, output: Any, grew: bool) -> None:
        """A call made `output` of its arguments, or wrote into the first of them; `grew` if it is a site."""
        target = arguments[0][0] if func is Tensor.__setitem__ else output
        if grew:
            self._new_site(target, arguments)
        elif self._count and isinstance(target, (Tensor, list, tuple)) and (sites := self.of(arguments)):
            self._add(target, sites)

    def left(self, arguments: Any, output: Any, grew: bool) -> None:
        """A module returned `output`: if no call was seen to make it, it came the way of the module's arguments."""
        if grew:
            self._new_site(output, arguments)
        elif self._count and isinstance(output, Tensor) and not self.of(output) and (sites := self.of(arguments)):
            self._add(output, sites)

    def _new_site(self, output: Any, arguments: Any) -> None:
        self._count += 1
        self._add(output, self.of(arguments) | 1 << self._count)

    def _add(self, value: Any, sites: int) -> None:
        if isinstance(value, Tensor):
            self._sites[value] = self._sites.get(value, 0) | sites
        elif isinstance(value, (list, tuple)):
            for item in value:
                self._add(item, sites)

    def merge_of(
        self, func: Any, args: Any, kwargs: Any, next_key: Callable[[str], tuple[str, str, int]]
    ) -> Merge | None:
        """The merge this call is going to make, its key drawn from `next_key`; None if it is none, or a small one."""
        name = _NAMES.get(func) if self._count else None
        operands = list(_operands(name, args, kwargs)) if name else []
        if name is None or len({(x.shape[0], *x.shape[2:]) for x in operands}) != 1:
            return None
        sites = [self.of(x) for x in operands]
        latest = max(sites)  # the highest bit is the latest site's
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
