"""How bad an output is: one number for grids and stair-steps together, so that sites can be compared.

Severity is additive in energy: (grid amplitude / VISIBLE_GRID)^2 + (jaggedness / VISIBLE_STEPS)^2, where a grid that
follows the content counts as a grid. A severity of 1 is a grid that just shows, or stair-steps that just show;
independent causes add up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.evidence import lattice_period
from artifactlab.metrics.inputs import LARGEST_PERIOD
from artifactlab.metrics.spectral_reading import Reading, content_wanted, lattice_sums, read
from artifactlab.metrics.spectral_sums import SpectralSums, joined
from artifactlab.metrics.visible import VISIBLE_GRID, VISIBLE_STEPS

VISIBLE = 1.0
"""severity below which an output is innocent, whatever its activations look like"""
MIN_CROP = 64
"""pixels per side of the smallest crop that is measured on its own"""
MAX_CROPS = 3
"""crops per side"""
LEAST_EDGES = 0.2
"""of the mean weight of edges, that a choice of crops must have to say something of steps by itself"""
CYCLES, BESIDES = 4, 16
"""of a period that an output must hold, and pixels more: from fewer there is no baseband, and chance cannot be told"""


class Artifact(NamedTuple):
    """What R choices of an output's crops show, each (R,)."""

    grid: Tensor
    """severity of grids"""
    steps: Tensor
    """severity of stair-steps"""
    energy: Tensor
    """mean square of both in the output, in squared data ranges"""

    @property
    def severity(self) -> Tensor:
        """(R,) of both forms."""
        return self.grid + self.steps


@dataclass(frozen=True)
class Severity:
    """What the crops of an output show, kept as sums that can be pooled over any choice of crops."""

    crops: int
    """how many there are"""
    sums: Mapping[int, SpectralSums]
    """period -> the crops' sums at its own frequencies"""

    def of(self, counts: Tensor) -> Artifact:
        """What R weighted choices of crops show, given as counts (R, crops).

        What counts is decided once, by all crops together: the periods and forms that are confirmed there.
        """
        grid = steps = energy = torch.zeros(len(counts))
        everything = torch.ones(1, self.crops)
        for sums in self.sums.values():
            chosen, whole = sums.pooled(counts), sums.pooled(everything)
            all_of_it = read(whole)
            reading = read(chosen)
            more, higher = shown(reading, all_of_it)
            # crops with hardly an edge say nothing of steps, and are not to say it loudly
            edges = [_per_crop(s, c) for s, c in ((chosen, counts), (whole, everything))]
            higher = torch.where(edges[0] > LEAST_EDGES * edges[1], higher, shown(all_of_it, all_of_it)[1])
            grid, steps = grid + more.cpu(), steps + higher.cpu()
            energy = energy + explained(reading, all_of_it).cpu()
        return Artifact(grid, steps, energy)

    def only(self, crops: Tensor) -> Severity:
        """Of a choice of crops, given by their numbers."""
        chosen = torch.eye(self.crops)[crops]
        return Severity(len(crops), {p: sums.pooled(chosen) for p, sums in self.sums.items()})

    @property
    def found(self) -> dict[int, Reading]:
        """What all crops together show at each period."""
        return {p: read(sums.pooled(torch.ones(1, self.crops))) for p, sums in self.sums.items()}

    @property
    def content_wanted(self) -> float:
        """How many times as much content it takes to tell a clean output from one that shows; up to 1 is enough."""
        return max((float(content_wanted(reading)) for reading in self.found.values()), default=0.0)

    def together(self) -> tuple[float, float]:
        """Grid and stair-step severity of all crops."""
        artifact = self.of(torch.ones(1, self.crops))
        return float(artifact.grid), float(artifact.steps)


def _per_crop(sums: SpectralSums, counts: Tensor) -> Tensor:
    """(R,) weight of the edges that steps are read off, per crop of a choice."""
    weight = sum(axis.weight for axis in sums.warp)
    return weight / counts.sum(1).to(sums.contrast)


def shown(reading: Reading, found: Reading) -> tuple[Tensor, Tensor]:
    """Grid and stair-step severity (R,) of what a reading holds, as far as the other one confirms it."""
    power, sure = reading.power, found.found
    grid = (power.grid * sure.grid + power.modulation * sure.modulation) / VISIBLE_GRID**2
    return grid, power.warp * sure.warp / VISIBLE_STEPS**2


def explained(reading: Reading, found: Reading) -> Tensor:
    """Energy (R,) of what a reading holds, as far as the other one confirms it."""
    power, sure = reading.power, found.found
    return power.grid * sure.grid + power.modulation * sure.modulation + reading.moved * sure.warp


def measure_severity(output: Tensor, period: tuple[int, int], data_range: float) -> Severity:
    """Severity of the crops of an (N, C, H, W) output, for all periods that the lattice `period` contains."""
    crops = split_crops(output.float() / data_range, period)
    return Severity(len(crops), lattice_sums(crops, period) if max(period) > 1 else {})


def pool(parts: Sequence[Severity]) -> Severity:
    """The severity of several outputs, as one."""
    periods = parts[0].sums.keys()
    return Severity(sum(part.crops for part in parts), {p: joined([part.sums[p] for part in parts]) for p in periods})


def split_crops(images: Tensor, period: tuple[int, int]) -> Tensor:
    """Equal crops of (N, C, H, W) images as one batch (rows * columns * N, C, h, w), each in phase with the lattice."""
    size = images.shape[-2:]
    counts = crop_counts(size, period)
    h, w = (s if n == 1 else s // n // p * p for s, n, p in zip(size, counts, period, strict=True))
    rows, columns = counts
    return torch.cat(
        [images[..., i * h : (i + 1) * h, j * w : (j + 1) * w] for i in range(rows) for j in range(columns)]
    )


def crop_counts(size: Sequence[int], period: tuple[int, int]) -> tuple[int, int]:
    """How many crops an output is split into, (rows, columns)."""
    rows, columns = (
        max(1, min(MAX_CROPS, s // max(MIN_CROP, smallest_side(p) + p))) for s, p in zip(size, period, strict=True)
    )
    return rows, columns


def joint_period(periods: Iterable[tuple[float, float]], size: Sequence[int]) -> tuple[int, int]:
    """The smallest lattice that contains those of all `periods` that can be measured in an output of `size`."""
    joint = [1, 1]
    for period in sorted(map(lattice_period, periods)):
        for axis in (0, 1):
            together = math.lcm(joint[axis], period[axis])
            if smallest_side(together) <= size[axis] and together <= LARGEST_PERIOD:
                joint[axis] = together
    return joint[0], joint[1]


def smallest_side(period: int) -> int:
    """Pixels per side of the smallest image in which a grid of `period` can be measured."""
    return CYCLES * period + BESIDES
