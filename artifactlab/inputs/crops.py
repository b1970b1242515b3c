"""Centred crops along the last axes of images, volumes, videos and signals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

from torch import Tensor

from artifactlab.errors import InputError, shown
from artifactlab.inputs.images import MIN_SIDE

MAX_AXES = 3
"""Axes that a size names at most: time or depth, rows, columns."""


class Size(tuple[int, ...]):
    """Entries along the last axes, written `HxW`; `TxHxW` of video, `DxHxW` of volumes; or `L` of signals.

    >>> Size.parse("9x64x48"), str(Size((64, 48)))
    ((9, 64, 48), '64x48')
    """

    @classmethod
    def parse(cls, text: str) -> Size:
        """The size that a text names.

        Raises:
            InputError: if it names none, or less than 16 rows, columns or samples.
        """
        if not re.fullmatch(r"[1-9]\d{0,8}(x[1-9]\d{0,8}){0,2}", text):
            raise InputError(f"expected a size such as 256x192, 17x256x256 or, of signals, 16384, got {shown(text)}")
        size = cls(int(part) for part in text.split("x"))
        if min(size[-2:]) < MIN_SIDE:
            raise InputError(f"expected at least {MIN_SIDE} rows, columns or samples, got {text}")
        return size

    def __str__(self) -> str:
        return "x".join(map(str, self))


def size_along(tensor: Tensor, crop: int | tuple[int, ...] | None, name: str) -> Size | None:
    """Entries to take along the last axes of a tensor `(N, C, *space)`; None for all of them.

    Args:
        tensor: what is cropped.
        crop: a number is the side of a square, or the length of a signal.
        name: of what is cropped, for messages.

    Raises:
        InputError: if the size is of other axes than the tensor has, or larger.
    """
    if crop is None:
        return None
    space = tensor.ndim - 2
    size = Size((crop,) * min(space, 2) if isinstance(crop, int) else crop)
    if not size or len(size) > space or (len(size) == 1 and space > 1):
        words = {0: "none", 1: "--size L", 2: "--size HxW"}.get(
            max(space, 0), "--size HxW, or TxHxW of video, DxHxW of volumes"
        )
        raise InputError(f"{name} is {tuple(tensor.shape)}, which a size of {size or crop} does not crop; give {words}")
    if any(wanted > there for wanted, there in zip(size, tensor.shape[-len(size) :], strict=True)):
        sides = "x".join(map(str, tensor.shape[2:]))
        unit = " pixels" if space == 2 else ""
        option = "--crop" if isinstance(crop, int) else "--size"
        raise InputError(
            f"{name} is {sides}{unit}, smaller than the crop of {crop if isinstance(crop, int) else size};"
            f" use a smaller {option}"
        )
    return size


def cropped(tensor: Tensor, size: Size | None) -> Tensor:
    """The centre of a tensor, along its last axes."""
    return tensor if size is None else _at(tensor, size, _centre(tensor, size))


def crops_around(tensor: Tensor, size: Size) -> Iterator[Tensor]:
    """The crops around the centred one, which do not overlap, from the first corner on."""
    centre = _centre(tensor, size)
    sides = tensor.shape[-len(size) :]
    starts = [range(c % s, side - s + 1, s) for c, s, side in zip(centre, size, sides, strict=True)]
    yield from (_at(tensor, size, start) for start in product(*starts) if start != centre)


def _centre(tensor: Tensor, size: Size) -> tuple[int, ...]:
    return tuple((side - s) // 2 for side, s in zip(tensor.shape[-len(size) :], size, strict=True))


def _at(tensor: Tensor, size: Size, start: tuple[int, ...]) -> Tensor:
    for axis, (first, s) in enumerate(zip(start, size, strict=True), tensor.ndim - len(size)):
        tensor = tensor.narrow(axis, first, s)
    return tensor
