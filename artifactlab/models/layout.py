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
FEWEST_ROWS = 16
"""Rows and columns of the smallest map that can be measured, see `artifactlab.inputs.images.MIN_SIDE`."""
LONGEST = 8
"""Times that a map may be as wide as high, or as high as wide. Panoramas are 2 to 6 times; a second of a signal of 64
channels is 250 times as long at 16 kHz."""
LAYOUTS = ("NCHW", "NHWC", "NHW", "NCDHW", "NCTHW", "NTCHW", "NTHWC", "NDHWC", "NDHW", "NCL", "NLC", "NL", "HW")
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


def layout_by_shape(shape: Sequence[int]) -> Layout:
    """What a shape of two to five axes suggests where nothing else is known.

    >>> layout_by_shape((1, 3, 9, 64, 64)), layout_by_shape((2, 96, 128)), layout_by_shape((1, 1, 24000))
    (Layout(axes='NCTHW'), Layout(axes='NHW'), Layout(axes='NCL'))
    """
    if not 2 <= len(shape) <= 5:
        raise InputError(f"no layout of shape {tuple(shape)}: expected 2 to 5 axes, such as {', '.join(LAYOUTS)}")
    return (_of_two, _of_three, _of_four, _of_five)[len(shape) - 2](*shape)


def _of_two(first: int, second: int) -> Layout:
    """One map whose batch was squeezed away, or a batch of signals."""
    return Layout("HW" if _is_picture(first, second) else "NL")


def _of_three(_: int, second: int, third: int) -> Layout:
    """Maps without an axis of channels, or signals."""
    if _is_picture(second, third):
        return Layout("NHW")
    return Layout("NCL" if second <= third else "NLC")


def _of_four(_: int, second: int, third: int, fourth: int) -> Layout:
    """Images; volumes without an axis of channels look just the same."""
    return Layout("NHWC" if fourth <= FEW_CHANNELS and _is_picture(second, third) else "NCHW")


def _of_five(_: int, second: int, third: int, fourth: int, fifth: int) -> Layout:
    """Video or volumes, which of the two is a guess by the three channels of colour."""
    if fifth <= FEW_CHANNELS and _is_picture(third, fourth):
        return Layout("NTHWC" if fifth == 3 else "NDHWC")
    if third <= FEW_CHANNELS < second or third == 3 != second:  # no net makes volumes of three slices
        return Layout("NTCHW")
    return Layout("NCTHW" if second == 3 else "NCDHW")


def _is_picture(height: int, width: int) -> bool:
    """Whether two axes may be rows and columns, and not channels or a batch beside samples."""
    return min(height, width) >= FEWEST_ROWS and max(height, width) <= LONGEST * min(height, width)


def _place(letter: str) -> int:
    """Batch, channels, then the directions from the slowest to the fastest."""
    return "NCTDHWL".index(letter)
