"""An image in tiles: what is added up over them is measured in the memory of a few, however large the image is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from artifactlab.inputs.images import Picture, luma
from artifactlab.metrics.edges import CELL, EdgePoints, edge_points

TILE = 1024
"""Pixels per side of a tile; a multiple of a cell of the edge metrics, so that cells are those of the whole image."""
HALO = 8 * CELL
"""Pixels beyond a tile that an edge in it may depend on: half a contour and its search width, or twice the blur."""


@dataclass(frozen=True)
class Tile:
    """A part of an image with what surrounds it."""

    image: Tensor
    """The pixels, (1, C, h, w) with C of 1 or 3 and values in [0, 1]."""
    gray: Tensor
    """The luma of the pixels, (1, 1, h, w)."""
    origin: tuple[int, int]
    """Row and column of the tile's first pixel in the image."""
    size: tuple[int, int]
    """Height and width of the image."""
    core: tuple[int, int, int, int]
    """Top, bottom, left, right of the part itself, in pixels of this tile; what lies around it is its halo."""

    @cached_property
    def points(self) -> EdgePoints:
        """The edge points at level 0, which two metrics share."""
        return edge_points(self.gray.flatten(0, 1))

    @property
    def inside(self) -> Tensor:
        """The pixels of the core alone, (1, C, h, w)."""
        top, bottom, left, right = self.core
        return self.image[..., top:bottom, left:right]

    @property
    def luma_inside(self) -> Tensor:
        """The luma of the core alone, (1, 1, h, w)."""
        top, bottom, left, right = self.core
        return self.gray[..., top:bottom, left:right]

    @property
    def place(self) -> tuple[int, int]:
        """Row and column of the core's first pixel in the image."""
        return self.origin[0] + self.core[0], self.origin[1] + self.core[2]


class Tiles:
    """The tiles of an image, cut anew on each pass over them; an image of a single tile keeps it."""

    def __init__(self, picture: Picture, device: str = "cpu") -> None:
        self.picture = picture
        self.device = device
        self._single: Tile | None = None

    def __iter__(self) -> Iterator[Tile]:
        if self._single is not None:
            yield self._single
            return
        for tile in cut_tiles(self.picture, self.device):
            if max(self.picture.size) <= TILE:
                self._single = tile
            yield tile


def cut_tiles(picture: Picture, device: str = "cpu") -> Iterator[Tile]:
    """The tiles of an image, row by row."""
    height, width = picture.size
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            yield _tile(picture, top, left, device)


def _tile(picture: Picture, top: int, left: int, device: str) -> Tile:
    """The tile whose core starts at that pixel."""
    height, width = picture.size
    bottom, right = min(height, top + TILE), min(width, left + TILE)
    first_row, first_column = max(0, top - HALO), max(0, left - HALO)
    rows = slice(first_row, min(height, top + TILE + HALO))
    columns = slice(first_column, min(width, left + TILE + HALO))
    image = picture.pixels(rows, columns).unsqueeze(0).to(device)
    core = (top - first_row, bottom - first_row, left - first_column, right - first_column)
    return Tile(image, luma(image), (first_row, first_column), picture.size, core)
