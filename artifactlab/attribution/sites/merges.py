"""Recognise merges: calls that join features which came by different upsamplings, as skip and decoder features do.

Every tensor carries the set of sites it came through, see `wiring`. A merge joins tensors with different
sets. So a U-Net's skips, a pyramid's laterals and a sum of two upsampled branches are merges; the blocks of an encoder,
and residual blocks `x + f(x)`, whose operands came the same way, are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from artifactlab.attribution.sites.records import SiteKey
from artifactlab.attribution.sites.wiring import Wiring
from artifactlab.models.outputs import is_image, tensors
from artifactlab.models.tensor_table import TensorTable

MIN_SIDE = 32
"""Pixels per side of the smallest merge that is given to a visitor: below, there is too little to register."""


@dataclass(frozen=True)
class Merge:
    """One run of one merge, as the visitor sees it."""

    key: SiteKey
    """Which call it is; the operation is `cat` or `add`."""
    upsampled: Tensor
    """The operand (N, C, H, W) that came through the latest upsampling."""
    skipped: Tensor
    """The operand (N, C', H, W) that it is joined with."""
    names: tuple[str, str] = ("", "")
    """Where the two came from: the last module that returned them, or a site's key, or `input`."""
    skip: bool = True
    """Whether the second came no other way than the first; of two upsampled branches, the first by name is first."""
    number: int = 0
    """How many merges of its kind this run of the module had made before."""
    line: str | None = None
    """File and line of the user's code that made it."""


class Makers:
    """Which module's result each tensor of a forward pass came from last."""

    def __init__(self) -> None:
        self._names: TensorTable[str] = TensorTable()

    def start(self) -> None:
        """Forget the pass before."""
        self._names.clear()

    def called(self, given: Sequence[Tensor], output: Any) -> None:
        """A call made `output` of tensors: it came where the first of them came from that is known."""
        made = (name for tensor in given if (name := self._names.get(tensor)) is not None)
        if isinstance(output, Tensor) and (name := next(made, "")):
            self._names[output] = name

    def returned(self, name: str, output: Any) -> None:
        """A module returned `output`."""
        for _, tensor in tensors(output):
            self._names[tensor] = name

    def of(self, tensor: Tensor) -> str:
        """The name of the module, empty where none is known."""
        return self._names.get(tensor) or ""


def merge_of(
    wiring: Wiring, makers: Makers, func: Any, args: Any, kwargs: Any, next_key: Callable[[str], SiteKey]
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
    both = [max(upsampled, key=_channels), max(others, key=_channels)]
    names = [makers.of(x) or wiring.latest(x) or "input" for x in both]
    skip = wiring.sites(both[1]) | latest == latest  # it came through fewer, and through no others
    if not skip and names[1] < names[0]:  # which of two branches ran last depends on how the call is spelled
        both.reverse()
        names.reverse()
    merge = Merge(key, both[0], both[1], (names[0], names[1]), skip)
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
