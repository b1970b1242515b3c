"""Which axis of a model's output is what: batch, channels, and the directions in which a lattice can lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from artifactlab.errors import InputError

DIRECTIONS = {"T": "t", "D": "z", "H": "y", "W": "x", "L": "t"}
"""Names of directions, by the letter of their axis: time, depth, rows, columns, and the samples of a signal."""
# An axis of so many entries is one of channels: gray, with or without alpha, colour, with or without alpha, and flow.
FEW_CHANNELS = 4
"""Entries of an axis up to which it is taken for one of channels where the shape is all that is known."""
LAYOUTS = ("NCHW", "NHWC", "NHW", "NCDHW", "NCTHW", "NTCHW", "NTHWC", "NDHW", "NCL", "NLC", "NL")
"""The layouts that people give outputs."""


@dataclass(frozen=True)
class Layout:
    """What each axis of a tensor is, a letter per axis: `N` batch, `C` channels, and `DIRECTIONS`.

    >>> Layout("NTCHW").names
    ('t', 'y', 'x')
    >>> import torch
    >>> tuple(Layout("NTCHW").images(torch.zeros(1, 9, 3, 64, 48)).shape)
    (1, 3, 9, 64, 48)
    """

    axes: str
    """One letter per axis, such as `NCHW`."""

    def __post_init__(self) -> None:
        letters = sorted(self.axes)
        directions = [letter for letter in self.axes if letter in DIRECTIONS]
        known = all(letter in "NC" or letter in DIRECTIONS for letter in letters)
        if not known or len(set(letters)) < len(letters) or not 1 <= len(directions) <= 3:
            raise InputError(f"no such layout {self.axes!r}: expected one such as {', '.join(LAYOUTS)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the directions, in the order of the axes of `images`."""
        return tuple(DIRECTIONS[letter] for letter in self.axes if letter in DIRECTIONS)

    def fits(self, tensor: Tensor) -> bool:
        """Whether a tensor has as many axes."""
        return tensor.ndim == len(self.axes)

    def images(self, tensor: Tensor) -> Tensor:
        """A tensor of this layout as `(N, C, *space)`; an axis that it lacks has one entry."""
        order = sorted(range(len(self.axes)), key=lambda axis: _place(self.axes[axis]))
        images = tensor.permute(order)
        if "N" not in self.axes:
            images = images[None]
        return images if "C" in self.axes else images.unsqueeze(1)

    def restore(self, images: Tensor) -> Tensor:
        """`(N, C, *space)` as a tensor of this layout."""
        tensor = images if "C" in self.axes else images.squeeze(1)
        tensor = tensor if "N" in self.axes else tensor.squeeze(0)
        order = sorted(range(len(self.axes)), key=lambda axis: _place(self.axes[axis]))
        return tensor.permute([order.index(axis) for axis in range(len(order))])


def layout_by_shape(shape: Sequence[int]) -> Layout | None:
    """What a shape suggests where nothing else is known; None where it is no image, volume or signal.

    >>> layout_by_shape((1, 3, 9, 64, 64)), layout_by_shape((2, 96, 128)), layout_by_shape((1, 1, 24000))
    (Layout(axes='NCTHW'), Layout(axes='NHW'), Layout(axes='NCL'))
    """
    if len(shape) == 5:
        if shape[4] <= FEW_CHANNELS < shape[1]:
            return Layout("NTHWC")
        if shape[2] <= FEW_CHANNELS < shape[1]:
            return Layout("NTCHW")
        return Layout("NCTHW" if shape[1] == 3 else "NCDHW")
    if len(shape) == 4:
        return Layout("NHWC" if shape[3] <= FEW_CHANNELS < shape[1] else "NCHW")
    if len(shape) == 3:
        return Layout("NCL" if shape[1] <= FEW_CHANNELS else "NLC" if shape[2] <= FEW_CHANNELS else "NHW")
    return Layout("NL") if len(shape) == 2 else None


def _place(letter: str) -> int:
    """Batch, channels, then the directions from the slowest to the fastest."""
    return "NCTDHWL".index(letter)
