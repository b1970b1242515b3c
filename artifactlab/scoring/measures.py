"""What can be measured on an image file: the columns of a score report.

Every metric is a number read off sums over edges, blocks or pixels, and sums of tiles add up. So an image of any size
is measured tile by tile, in the memory of a few tiles, and reads what it would read as a whole.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.inputs.images import MIN_SIDE, Picture
from artifactlab.metrics.directions import axis_statistics, direction_counts, pooled_axis_excess, pooled_divergence
from artifactlab.metrics.local_screening import WINDOW
from artifactlab.metrics.replication import difference_sums, pooled_factor
from artifactlab.metrics.spectral_search import PERIODS
from artifactlab.metrics.visible import VISIBLE_GRID, VISIBLE_STEPS
from artifactlab.registry import Registry
from artifactlab.scoring.lattice_reading import LatticeReading, lattice_sums, read_lattices
from artifactlab.scoring.tiles import Tile, Tiles
from artifactlab.scoring.worst_window import Window

SMALLEST_SIDE = 32
"""Pixels per side of the smallest image in which lattices of period 2 and 4 can be told: four periods and 16 pixels
(`periods.smallest_side`)."""


@dataclass(frozen=True)
class Metric:
    """One column of scores: sums over the tiles of an image, and the number that is read off them."""

    sums: Callable[[Tile], Any]
    """Measures one tile; what it returns is added up over the tiles of an image with `+`. Metrics that name the same
    function share its sums."""
    read: Callable[..., Tensor | None]
    """Takes the sums of the image, and those of its reference as a second argument if it needs one; returns a tensor of
    one number, or None where it cannot be told. For `lattice_sums` it takes the `LatticeReading` made of them."""
    unit: str
    """What the numbers are in."""
    description: str
    """What it measures, in one line."""
    better: Literal["lower", "higher"] | None = "lower"
    """Which way an image gets better; None where neither is."""
    needs_reference: bool = False
    """Whether it compares an image with what it should look like."""
    smallest: tuple[int, int] = (MIN_SIDE, MIN_SIDE)
    """(Shorter, longer) side of the smallest image it can be measured in; below that the score is None."""


METRICS: Registry[Metric] = Registry("artifactlab.metrics", Metric)
"""Every metric of a score report, in the order of its columns; those of installed packages come last."""


def axis_sums(tile: Tile) -> Tensor:
    """Gradient energy of a tile on oblique edges, and what of it points along an axis."""
    return axis_statistics(tile.gray, tile.core, tile.points)


def replication_sums(tile: Tile) -> Tensor:
    """Differences of neighbouring pixels in a tile, by their phase in blocks of each factor."""
    return difference_sums(tile.gray, tile.origin, tile.core)


def direction_sums(tile: Tile) -> Tensor:
    """Histogram of a tile's edge directions."""
    return direction_counts(tile.gray, core=tile.core)


def largest_factor(differences: Tensor) -> Tensor:
    """The larger of the vertical and the horizontal replication factor."""
    return pooled_factor(differences).amax(1)


METRICS.register(
    "severity",
    Metric(
        sums=lattice_sums,
        read=LatticeReading.severity,
        unit="1 is what just shows",
        description="grids and stair-steps, added in energy: 4 is twice what just shows",
        smallest=(SMALLEST_SIDE, SMALLEST_SIDE),
    ),
)
METRICS.register(
    "worst_window",
    Metric(
        sums=lattice_sums,
        read=LatticeReading.worst,
        unit="1 is what just shows",
        description=f"severity of the worst window of {WINDOW} x {WINDOW} pixels",
        smallest=(SMALLEST_SIDE, SMALLEST_SIDE),
    ),
)
METRICS.register(
    "edge_jaggedness",
    Metric(
        sums=lattice_sums,
        read=LatticeReading.jaggedness,
        unit="pixels",
        description=f"how far stair-steps displace edges; from {VISIBLE_STEPS:g} on it shows",
        smallest=(SMALLEST_SIDE, SMALLEST_SIDE),
    ),
)
METRICS.register(
    "axis_excess",
    Metric(
        sums=axis_sums,
        read=pooled_axis_excess,
        unit="share, 0 to 1",
        description="gradient energy on oblique edges that points along a pixel axis",
    ),
)
METRICS.register(
    "checkerboard_energy",
    Metric(
        sums=lattice_sums,
        read=LatticeReading.grid_share,
        unit="share, 0 to 1",
        description="fine structure that is a constant grid",
        smallest=(SMALLEST_SIDE, SMALLEST_SIDE),
    ),
)
METRICS.register(
    "lattice_amplitude",
    Metric(
        sums=lattice_sums,
        read=LatticeReading.grid_amplitude,
        unit="fraction of white",
        description=f"rms of a constant grid; from {VISIBLE_GRID:.4f} on it shows",
        smallest=(SMALLEST_SIDE, SMALLEST_SIDE),
    ),
)
METRICS.register(
    "period",
    Metric(
        sums=lattice_sums,
        read=LatticeReading.period,
        unit="pixels",
        description=f"spacing of the lattice, {PERIODS[0]} to {PERIODS[-1]}; 0 where there is none",
        better=None,
        smallest=(SMALLEST_SIDE, SMALLEST_SIDE),
    ),
)
METRICS.register(
    "replication_factor",
    Metric(
        sums=replication_sums,
        read=largest_factor,
        unit="pixels",
        description="side of the blocks that nearest upsampling left, 2 to 8; 1 is none",
    ),
)
METRICS.register(
    "direction_divergence",
    Metric(
        sums=direction_sums,
        read=pooled_divergence,
        unit="bits, 0 to 1",
        description="how far edge directions are from the reference's",
        needs_reference=True,
    ),
)


def check_known(name: str, where: str = "", known: Collection[str] = METRICS.keys()) -> None:
    """Raise an InputError, naming what would be right, if there is no such metric."""
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    guess = f"; did you mean {near[0]}?" if near else ";"
    raise InputError(f"unknown metric {name!r}{where}{guess} known are {', '.join(known)}")


class Measured(NamedTuple):
    """What was measured of an image."""

    scores: dict[str, float | None]
    """The score of each metric; None where it cannot be told, or the image is too small for it."""
    window: Window | None
    """The worst window, where a lattice was found in one."""


def measure(picture: Picture, reference: Picture | None, names: Sequence[str], device: str = "cpu") -> Measured:
    """The scores of an image, and its worst window."""
    metrics = {name: METRICS[name] for name in names if _is_large_enough(picture, METRICS[name])}
    comparing = [metric for metric in metrics.values() if metric.needs_reference]
    measured = _total(Tiles(picture, device), metrics.values())
    expected = _total(Tiles(reference, device), comparing) if reference is not None else {}
    scores: dict[str, float | None] = dict.fromkeys(names)
    for name, metric in metrics.items():
        references = [expected[metric.sums]] if metric.needs_reference else []
        scores[name] = _finite(metric.read(measured[metric.sums], *references))
    windows = measured[lattice_sums].windows if lattice_sums in measured else ()
    return Measured(scores, windows[0] if windows else None)


def _is_large_enough(picture: Picture, metric: Metric) -> bool:
    return all(side >= least for side, least in zip(sorted(picture.size), metric.smallest, strict=True))


def _total(tiles: Tiles, metrics: Iterable[Metric]) -> dict[Callable[[Tile], Any], Any]:
    """What the metrics read of an image, by the function that measured its tiles."""
    functions = {metric.sums: None for metric in metrics}  # each once, in their order
    total: dict[Callable[[Tile], Any], Any] = {}
    for tile in tiles if functions else ():
        for function in functions:
            found = function(tile)
            total[function] = total[function] + found if function in total else found
    if lattice_sums in total:
        total[lattice_sums] = read_lattices(tiles, total[lattice_sums])
    return total


def _finite(score: Tensor | None) -> float | None:
    return None if score is None or not math.isfinite(float(score)) else float(score)
