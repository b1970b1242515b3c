"""Volumes and video laid flat: slices through one place beside each other, whose pixels stay what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from artifactlab.report.pictures import displayable, grey

FRAMES = 3
"""Frames of a film strip: one before the place and one after it show what flickers, more would be too small."""
GAP = 2
"""Pixels between slices."""
BETWEEN = 0.5
"""What is between slices, neither black nor white: it is to be told from both."""
AS_MUCH = 0.9
"""Share of the largest change from which on a slice holds as much as the one that holds it."""
MOST_SLICES = 32
"""Slices of one direction whose spectra and gradients are averaged, evenly spread: more change a picture little."""


class Rectangle(NamedTuple):
    """A part of a picture, in its pixels."""

    left: float
    """Column of its left side."""
    top: float
    """Row of its upper side."""
    width: float
    """Number of columns."""
    height: float
    """Number of rows."""


class Plane(NamedTuple):
    """One slice."""

    rows: int
    """The direction that goes down in it."""
    columns: int
    """The direction that goes to the right."""
    place: tuple[int, ...]
    """A point in it; along its own directions anything."""

    def of(self, tensor: Tensor) -> Tensor:
        """(..., rows, columns) of a (..., *space) tensor."""
        own = (self.rows, self.columns)
        index = [slice(None) if axis in own else at for axis, at in enumerate(self.place)]
        cut = tensor[(..., *index)]
        return cut if self.rows < self.columns else cut.transpose(-1, -2)


@dataclass(frozen=True)
class Slices:
    """A tensor of two or three directions as one picture: an image as it is, others as slices in rows."""

    space: tuple[int, ...]
    """Pixels along each direction."""
    strips: tuple[tuple[Plane, ...], ...]
    """Slices beside each other, in rows below each other."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture."""
        sizes = [[(self.space[plane.rows], self.space[plane.columns]) for plane in strip] for strip in self.strips]
        height = sum(max(rows for rows, _ in strip) for strip in sizes) + GAP * (len(sizes) - 1)
        return height, max(sum(columns for _, columns in strip) + GAP * (len(strip) - 1) for strip in sizes)

    def close_up(self, image: Tensor, like: Tensor) -> np.ndarray:
        """A (C, *space) image in the colours of `like`, (H, W) or (H, W, 3) in [0, 1]."""
        return self._laid([displayable(part, like) for part in self.parts(image)], BETWEEN)

    def ground(self, image: Tensor) -> np.ndarray:
        """The same in grey, (H, W), for what is drawn over it."""
        return self._laid([grey(part, image) for part in self.parts(image)], BETWEEN)

    def change(self, change: Tensor) -> np.ndarray:
        """A (*space) change, (H, W), with nothing between the slices."""
        return self._laid([part.float().numpy() for part in self.parts(change)], 0.0)

    def parts(self, tensor: Tensor) -> list[Tensor]:
        """The slices of a (..., *space) tensor."""
        return [plane.of(tensor) for strip in self.strips for plane in strip]

    def frames(self, corner: Sequence[float], size: Sequence[float]) -> list[Rectangle]:
        """Where the slices cut a box of the tensor."""
        return [
            Rectangle(left + corner[plane.columns], top + corner[plane.rows], size[plane.columns], size[plane.rows])
            for plane, (top, left) in zip(self._planes, self._corners, strict=True)
            if _meets(plane, corner, size)
        ]

    @property
    def _planes(self) -> list[Plane]:
        return [plane for strip in self.strips for plane in strip]

    @property
    def _corners(self) -> list[tuple[int, int]]:
        """(top, left) of each slice."""
        corners = []
        top = 0
        for strip in self.strips:
            left = 0
            for plane in strip:
                corners.append((top, left))
                left += self.space[plane.columns] + GAP
            top += max(self.space[plane.rows] for plane in strip) + GAP
        return corners

    def _laid(self, pictures: Sequence[np.ndarray], between: float) -> np.ndarray:
        """The slices' pictures as one."""
        laid = np.full((*self.size, *pictures[0].shape[2:]), between, pictures[0].dtype)
        for picture, (top, left) in zip(pictures, self._corners, strict=True):
            laid[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        return laid


def slices(space: Sequence[int], names: Sequence[str], place: Sequence[int] | None = None) -> Slices:
    """An image as it is; three orthogonal slices of a volume; of a video some frames, and a row and a column over time.

    Args:
        space: pixels along each direction.
        names: of the directions.
        place: where the slices meet; default is the middle.
    """
    at = tuple(length // 2 for length in space) if place is None else tuple(place)
    if len(space) == 2:
        return Slices(tuple(space), ((Plane(0, 1, at),),))
    if names[0] == "t":
        first = min(max(0, at[0] - FRAMES // 2), max(0, space[0] - FRAMES))
        film = [Plane(1, 2, (frame, *at[1:])) for frame in range(first, min(first + FRAMES, space[0]))]
        return Slices(tuple(space), (tuple(film), (Plane(0, 2, at), Plane(0, 1, at))))
    return Slices(tuple(space), ((Plane(1, 2, at), Plane(1, 0, at)), (Plane(0, 2, at),)))


class Section(NamedTuple):
    """All slices in one direction, or some of them."""

    title: str
    """Names of the two directions, such as `, z and x`; empty for an image."""
    axes: tuple[int, int]
    """The directions."""
    batch: Tensor
    """(N, C, rows, columns)."""


def sections(image: Tensor, names: Sequence[str]) -> list[Section]:
    """A (C, *space) image itself, or the slices of a volume along its last two directions and its outer ones."""
    if image.ndim == 3:
        return [Section("", (0, 1), image[None])]
    return [
        Section(f", {names[1]} and {names[2]}", (1, 2), _spread(image.permute(1, 0, 2, 3))),
        Section(f", {names[0]} and {names[2]}", (0, 2), _spread(image.permute(2, 0, 1, 3))),
    ]


def _spread(batch: Tensor) -> Tensor:
    return batch[:: -(-len(batch) // MOST_SLICES)]


def strongest(change: Tensor) -> tuple[int, ...]:
    """Where slices of a (*space) change meet that hold most of it, each among those of its direction.

    Of several that hold about as much, as those of a regular grid do, it is the one nearest to the middle, which has
    more of the output around it.
    """
    place = []
    for axis, length in enumerate(change.shape):
        held = change.float().movedim(axis, 0).reshape(length, -1).sum(1)
        most = (held >= AS_MUCH * held.max()).nonzero()[:, 0]
        place.append(int(most[(most - length // 2).abs().argmin()]))
    return tuple(place)


def _meets(plane: Plane, corner: Sequence[float], size: Sequence[float]) -> bool:
    """Whether a slice goes through a box."""
    others = [axis for axis in range(len(corner)) if axis not in (plane.rows, plane.columns)]
    return all(corner[axis] <= plane.place[axis] < corner[axis] + size[axis] for axis in others)
