"""What can be measured on an image file: the columns of a score report.

Every metric is a number read off sums over edges, windows or pixels, and sums of tiles add up. So an image of any size
is measured tile by tile, in the memory of a few tiles, and reads what it would read as a whole.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.images import MIN_SIDE, Picture, luma
from artifactlab.metrics.checkerboard import locked_amplitude, locked_share
from artifactlab.metrics.directions import axis_statistics, direction_counts, pooled_axis_excess, pooled_divergence
from artifactlab.metrics.edges import CELL, EdgePoints, edge_points
from artifactlab.metrics.jaggedness import SMALLEST_SIDE, edge_statistics, pooled_jaggedness
from artifactlab.metrics.lattice import LatticeSums, lattice_sums
from artifactlab.metrics.replication import difference_sums, pooled_factor

PERIOD = 8
"""lattice spacing that is looked for: its frequencies contain those of 2 and 4, hence every stack of x2 upsamplers"""
GRID_SIDES = (30, 46)
"""two windows of the lattice metrics at that period"""
TILE = 1024
"""pixels per side; a multiple of a cell of the edge metrics, and `SEGMENT` windows of the lattice metrics"""
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

    def lattice_sums(self) -> LatticeSums:
        """Over the windows that start in the core; the last ones and their filter's border reach beyond it."""
        (top, bottom, left, right), border = self.core, 2 * (PERIOD - 1)
        image = self.image[..., top : bottom + border, left : right + border]
        return lattice_sums(image, (PERIOD, PERIOD), (self.origin[0] + top, self.origin[1] + left), self.size)


Sums = dict[str, Any]
SUMS: dict[str, Callable[[Tile], Any]] = {
    "edges": lambda tile: edge_statistics(tile.gray, origin=tile.origin, core=tile.core, points=tile.points),
    "axes": lambda tile: axis_statistics(tile.gray, tile.core, tile.points),
    "lattice": lambda tile: tile.lattice_sums(),
    "differences": lambda tile: difference_sums(tile.gray, tile.origin, tile.core),
    "directions": lambda tile: direction_counts(tile.gray, core=tile.core),
}
"""what is added up over tiles"""


@dataclass(frozen=True)
class Metric:
    """One column of scores."""

    sums: str
    """which of `SUMS` it is read off"""
    read: Callable[..., Tensor]
    """takes those of the image, and of its reference as a second argument where it needs it"""
    unit: str
    """what the numbers are in"""
    description: str
    """one line"""
    better: Literal["lower", "higher"] = "lower"
    """which way an image gets better"""
    needs_reference: bool = False
    """whether it compares an image with what it should look like"""
    smallest: tuple[int, int] = (MIN_SIDE, MIN_SIDE)
    """(shorter, longer) side of the smallest image it can be measured in; below that the score is None"""


METRICS: dict[str, Metric] = {
    "edge_jaggedness": Metric(
        sums="edges",
        read=lambda edges: pooled_jaggedness(edges.sum(1)),
        unit="pixels",
        description="how far oblique edges run in stair-steps; nearest x4 is around 0.6",
        smallest=(SMALLEST_SIDE, SMALLEST_SIDE),
    ),
    "axis_excess": Metric(
        sums="axes",
        read=pooled_axis_excess,
        unit="share, 0 to 1",
        description="gradient energy on oblique edges that points along a pixel axis",
    ),
    "checkerboard_energy": Metric(
        sums="lattice",
        read=locked_share,
        unit="share, 0 to 1",
        description="fine structure locked to a grid of period 2, 4 or 8",
        smallest=GRID_SIDES,
    ),
    "lattice_amplitude": Metric(
        sums="lattice",
        read=locked_amplitude,
        unit="fraction of white",
        description="rms of a grid of period 2, 4 or 8; from 1/255 (0.0039) on it shows",
        smallest=GRID_SIDES,
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


def check_known(name: str, where: str = "") -> None:
    """Raise an InputError, naming what would be right, if there is no such metric."""
    if name in METRICS:
        return
    near = difflib.get_close_matches(name, METRICS, n=1)
    guess = f"; did you mean {near[0]}?" if near else ";"
    raise InputError(f"unknown metric {name!r}{where}{guess} known are {', '.join(METRICS)}")


def measure(picture: Picture, reference: Picture | None, names: Sequence[str]) -> dict[str, float | None]:
    """The scores of an image; None where it is too small for a metric."""
    large = {name: METRICS[name] for name in names if _is_large_enough(picture, METRICS[name])}
    seen = _added_up(picture, {metric.sums for metric in large.values()})
    compared = {metric.sums for metric in large.values() if metric.needs_reference}
    expected = _added_up(reference, compared) if reference is not None else {}
    scores: dict[str, float | None] = dict.fromkeys(names)
    for name, metric in large.items():
        references = [expected[metric.sums]] if metric.needs_reference else []
        score = float(metric.read(seen[metric.sums], *references))
        scores[name] = score if math.isfinite(score) else None
    return scores


def _is_large_enough(picture: Picture, metric: Metric) -> bool:
    return all(side >= least for side, least in zip(sorted(picture.size), metric.smallest, strict=True))


def _added_up(picture: Picture, kinds: set[str]) -> Sums:
    """The sums of an image, tile by tile."""
    sums: Sums = {}
    for tile in _tiles(picture):
        for kind in kinds:
            found = SUMS[kind](tile)
            sums[kind] = sums[kind] + found if kind in sums else found
    return sums


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
