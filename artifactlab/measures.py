"""What can be measured on an image file: the columns of a score report."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.images import MIN_SIDE, luma
from artifactlab.metrics import (
    axis_excess,
    checkerboard_energy,
    direction_divergence,
    edge_jaggedness,
    lattice_amplitude,
)

PERIOD = 8
"""lattice spacing that is looked for: its frequencies contain those of 2 and 4, hence every stack of x2 upsamplers"""
GRID_SIDES = (30, 46)
"""two windows of the lattice metrics at that period"""


@dataclass(frozen=True)
class Metric:
    """One column of scores."""

    function: Callable[..., float]
    """takes one (1, C, H, W) image in [0, 1], and its reference as a second one where it needs it"""
    unit: str
    """what the numbers are in"""
    description: str
    """one line"""
    needs_reference: bool = False
    """whether it compares an image with what it should look like"""
    colour: bool = False
    """whether it sees the three colours (C = 3) or luma (C = 1)"""
    smallest: tuple[int, int] = (MIN_SIDE, MIN_SIDE)
    """(shorter, longer) side of the smallest image it can be measured in; below that the score is None"""


METRICS: dict[str, Metric] = {
    "edge_jaggedness": Metric(
        function=lambda image: float(edge_jaggedness(image)),
        unit="pixels",
        description="how far oblique edges run in stair-steps; nearest x4 is around 0.6",
        smallest=(44, 44),
    ),
    "axis_excess": Metric(
        function=lambda image: float(axis_excess(image)),
        unit="share, 0 to 1",
        description="gradient energy on oblique edges that points along a pixel axis",
    ),
    "checkerboard_energy": Metric(
        function=lambda image: float(checkerboard_energy(image, PERIOD)),
        unit="share, 0 to 1",
        description="fine structure locked to a grid of period 2, 4 or 8",
        colour=True,
        smallest=GRID_SIDES,
    ),
    "lattice_amplitude": Metric(
        function=lambda image: float(lattice_amplitude(image, PERIOD)),
        unit="fraction of white",
        description="rms of a grid of period 2, 4 or 8; from 1/255 (0.0039) on it shows",
        colour=True,
        smallest=GRID_SIDES,
    ),
    "direction_divergence": Metric(
        function=lambda image, reference: float(direction_divergence(image, reference)),
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


def measured(metric: Metric, image: Tensor, reference: Tensor | None) -> float | None:
    """The score of a (1, 3, H, W) image in [0, 1]; None where it is too small for this metric."""
    if any(side < least for side, least in zip(sorted(image.shape[2:]), metric.smallest, strict=True)):
        return None
    seen = [image, reference] if metric.needs_reference else [image]
    score = metric.function(*(x if metric.colour else luma(x[0]).unsqueeze(0) for x in seen if x is not None))
    return score if math.isfinite(score) else None
