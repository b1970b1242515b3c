"""What can be measured on an image file: the columns of a score report.

Every metric is a number read off sums over edges, blocks or pixels, and sums of tiles add up. So an image of any size
is measured tile by tile, in the memory of a few tiles, and reads what it would read as a whole.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.inputs.images import MIN_SIDE, Picture, luma
from artifactlab.metrics.checkerboard import share_of
from artifactlab.metrics.directions import axis_statistics, direction_counts, pooled_axis_excess, pooled_divergence
from artifactlab.metrics.edges import CELL, EdgePoints, edge_points
from artifactlab.metrics.replication import difference_sums, pooled_factor
from artifactlab.metrics.spectral_reading import SpectralImages, read_best
from artifactlab.metrics.spectral_search import PERIODS, measurable_periods, measured, search_sums
from artifactlab.metrics.spectral_sums import Form, SpectralSums, spectral_sums
from artifactlab.metrics.visible import VISIBLE_GRID, VISIBLE_STEPS

SMALLEST_SIDE = 32
"""pixels of the smallest image in which a lattice of period 2 and 4 can be told"""
TILE = 1024
"""pixels per side; a multiple of a cell of the edge metrics"""
HALO = 8 * CELL
"""pixels beyond a tile that an edge in it may depend on: half a contour and its search width, or twice the blur"""


@dataclass(frozen=True)
class Tile:
    """A part of an image with what surrounds it."""

    image: Tensor
    """(1, C, h, w) with C of 1 or 3, values in [0, 1]"""
    gray: Tensor
    """(1, 1, h, w), its luma"""
    origin: tuple[int, int]
    """row and column of its first pixel in the image"""
    size: tuple[int, int]
    """height and width of the image"""
    core: tuple[int, int, int, int]
    """top, bottom, left, right of the part itself, in pixels of this tile"""

    @cached_property
    def points(self) -> EdgePoints:
        """The edge points at level 0, which two metrics share."""
        return edge_points(self.gray.flatten(0, 1))

    @property
    def inside(self) -> Tensor:
        """(1, C, h, w), the core alone."""
        top, bottom, left, right = self.core
        return self.image[..., top:bottom, left:right]

    @property
    def luma_inside(self) -> Tensor:
        """(1, 1, h, w), its luma."""
        top, bottom, left, right = self.core
        return self.gray[..., top:bottom, left:right]

    @property
    def place(self) -> tuple[int, int]:
        """Row and column of the core's first pixel in the image."""
        return self.origin[0] + self.core[0], self.origin[1] + self.core[2]


class Lattices(dict[int, SpectralSums]):
    """An image's sums by period; those of tiles add up."""

    def __add__(self, other: Lattices) -> Lattices:
        return Lattices({p: sums + other[p] for p, sums in self.items()})


@dataclass(frozen=True)
class LatticeReading:
    """What an image shows of lattices."""

    found: SpectralImages
    """at the best period"""
    sums: Mapping[int, SpectralSums]
    """of each period"""

    def read(self, field: str) -> Tensor | None:
        """A field, (1,); None where it cannot be told."""
        return getattr(self.found, field) if self.found.told else None

    def share(self) -> Tensor | None:
        """Of the fine structure, that is a constant grid, (1,); None where it cannot be told."""
        return share_of(self.found, self.sums) if self.found.told else None


Sums = dict[str, Any]
SUMS: dict[str, Callable[[Tile], Any]] = {
    "axes": lambda tile: axis_statistics(tile.gray, tile.core, tile.points),
    "lattices": lambda tile: Lattices(
        search_sums(tile.inside, measurable_periods(tile.size), tile.place, tile.luma_inside)
    ),
    "differences": lambda tile: difference_sums(tile.gray, tile.origin, tile.core),
    "directions": lambda tile: direction_counts(tile.gray, core=tile.core),
}
"""what is added up over tiles"""


@dataclass(frozen=True)
class Metric:
    """One column of scores."""

    sums: str
    """which of `SUMS` it is read off"""
    read: Callable[..., Tensor | None]
    """takes those of the image, and of its reference as a second argument where it needs it; None: cannot tell"""
    unit: str
    """what the numbers are in"""
    description: str
    """one line"""
    better: Literal["lower", "higher"] | None = "lower"
    """which way an image gets better; None where neither is"""
    needs_reference: bool = False
    """whether it compares an image with what it should look like"""
    smallest: tuple[int, int] = (MIN_SIDE, MIN_SIDE)
    """(shorter, longer) side of the smallest image it can be measured in; below that the score is None"""


METRICS: dict[str, Metric] = {
    "edge_jaggedness": Metric(
        sums="lattices",
        read=lambda lattices: lattices.read("warp"),
        unit="pixels",
        description=f"how far stair-steps displace edges; from {VISIBLE_STEPS:g} on it shows",
        smallest=(SMALLEST_SIDE, SMALLEST_SIDE),
    ),
    "axis_excess": Metric(
        sums="axes",
        read=pooled_axis_excess,
        unit="share, 0 to 1",
        description="gradient energy on oblique edges that points along a pixel axis",
    ),
    "checkerboard_energy": Metric(
        sums="lattices",
        read=lambda lattices: lattices.share(),
        unit="share, 0 to 1",
        description="fine structure that is a constant grid",
        smallest=(SMALLEST_SIDE, SMALLEST_SIDE),
    ),
    "lattice_amplitude": Metric(
        sums="lattices",
        read=lambda lattices: lattices.read("grid"),
        unit="fraction of white",
        description=f"rms of a constant grid; from {VISIBLE_GRID:.4f} on it shows",
        smallest=(SMALLEST_SIDE, SMALLEST_SIDE),
    ),
    "period": Metric(
        sums="lattices",
        read=lambda lattices: lattices.read("period"),
        unit="pixels",
        description=f"spacing of the lattice, {PERIODS[0]} to {PERIODS[-1]}; 0 where there is none",
        better=None,
        smallest=(SMALLEST_SIDE, SMALLEST_SIDE),
    ),
    "replication_factor": Metric(
        sums="differences",
        read=lambda differences: pooled_factor(differences).amax(1),
        unit="pixels",
        description="side of the blocks that nearest upsampling left, 2 to 8; 1 is none",
    ),
    "direction_divergence": Metric(
        sums="directions",
        read=pooled_divergence,
        unit="bits, 0 to 1",
        description="how far edge directions are from the reference's",
        needs_reference=True,
    ),
}
"""every metric of a score report, in the order of its columns"""


def check_known(name: str, where: str = "", known: Collection[str] = METRICS.keys()) -> None:
    """Raise an InputError, naming what would be right, if there is no such metric."""
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    guess = f"; did you mean {near[0]}?" if near else ";"
    raise InputError(f"unknown metric {name!r}{where}{guess} known are {', '.join(known)}")


def measure(picture: Picture, reference: Picture | None, names: Sequence[str]) -> dict[str, float | None]:
    """The scores of an image; None where it cannot be told, or is too small for a metric."""
    large = {name: METRICS[name] for name in names if _is_large_enough(picture, METRICS[name])}
    tiles = _Tiles(picture)
    seen = _added_up(tiles, {metric.sums for metric in large.values()})
    if "lattices" in seen:
        seen["lattices"] = _read(tiles, seen["lattices"])
    compared = {metric.sums for metric in large.values() if metric.needs_reference}
    expected = _added_up(_Tiles(reference), compared) if reference is not None else {}
    scores: dict[str, float | None] = dict.fromkeys(names)
    for name, metric in large.items():
        references = [expected[metric.sums]] if metric.needs_reference else []
        score = metric.read(seen[metric.sums], *references)
        scores[name] = None if score is None or not math.isfinite(float(score)) else float(score)
    return scores


def _read(tiles: _Tiles, search: Lattices) -> LatticeReading:
    """What a search has found, measured for itself in further passes over the image."""

    def exactly(periods: Sequence[int], form: Form) -> list[SpectralSums]:
        sums: list[SpectralSums] = []
        for t in tiles if periods else ():
            found = [spectral_sums(t.inside, (p, p), p, t.place, form, t.luma_inside) for p in periods]
            sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else found
        return sums

    sums = measured(search, exactly)
    return LatticeReading(read_best(sums, 2), sums)


def _is_large_enough(picture: Picture, metric: Metric) -> bool:
    return all(side >= least for side, least in zip(sorted(picture.size), metric.smallest, strict=True))


def _added_up(tiles: _Tiles, kinds: set[str]) -> Sums:
    """The sums of an image, tile by tile."""
    sums: Sums = {}
    for tile in tiles:
        for kind in kinds:
            found = SUMS[kind](tile)
            sums[kind] = sums[kind] + found if kind in sums else found
    return sums


class _Tiles:
    """The tiles of an image, made anew each time they are gone through; a single one is kept."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.only: Tile | None = None

    def __iter__(self) -> Iterator[Tile]:
        if self.only is not None:
            yield self.only
            return
        for tile in _tiles(self.picture):
            if max(self.picture.size) <= TILE:
                self.only = tile
            yield tile


def _tiles(picture: Picture) -> Iterator[Tile]:
    height, width = picture.size
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            above, before = max(0, top - HALO), max(0, left - HALO)
            image = picture.pixels(
                slice(above, min(height, top + TILE + HALO)), slice(before, min(width, left + TILE + HALO))
            ).unsqueeze(0)
            bottom, right = min(height, top + TILE), min(width, left + TILE)
            core = (top - above, bottom - above, left - before, right - before)
            yield Tile(image, luma(image), (above, before), picture.size, core)
