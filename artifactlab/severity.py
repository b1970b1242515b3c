"""How bad an output is: one number for grids and stair-steps together, so that sites can be compared.

Severity is additive in energy: (grid amplitude / VISIBLE_GRID)^2 + (jaggedness / VISIBLE_STEPS)^2. A severity of 1 is
a grid that just shows, or stair-steps that just show; independent causes add up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.evidence import lattice_period
from artifactlab.images import luma
from artifactlab.metrics.jaggedness import edge_statistics, pooled_jaggedness
from artifactlab.metrics.lattice import lattice_statistics, window_size

VISIBLE = 1.0
"""severity below which an output is innocent, whatever its activations look like"""
VISIBLE_GRID = 1 / 255
"""rms amplitude, as a fraction of the data range, at which an 8-bit image can show a grid everywhere"""
VISIBLE_STEPS = 0.1
"""edge jaggedness in pixels, above nearly all that is no stair-step, and a quarter of what nearest x2 reads"""
MIN_CROP = 64
"""pixels per side of the smallest crop that is measured on its own"""
MAX_CROPS = 3
"""crops per side"""


class Severity(NamedTuple):
    """What the crops of an output show, kept as numbers that can be pooled over any choice of crops."""

    grid: Tensor
    """(crops,) phase-locked power, unbiased, over that of a grid that just shows"""
    edges: Tensor
    """(crops, levels, numbers) statistics of the edges in each crop; sums of them are those of the crops together"""

    def of(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Grid and stair-step severity, each (R,), of R weighted choices of crops, given as counts (R, crops)."""
        counts = counts.to(self.grid)
        grid = counts @ self.grid / counts.sum(1)
        jaggedness = pooled_jaggedness(torch.tensordot(counts.to(self.edges), self.edges, 1))
        return grid, (jaggedness.to(grid) / VISIBLE_STEPS).square()

    def together(self) -> tuple[float, float]:
        """Grid and stair-step severity of all crops."""
        grid, steps = self.of(torch.ones(1, self.grid.numel()))
        return float(grid), float(steps)


def measure_severity(output: Tensor, period: tuple[int, int], data_range: float) -> Severity:
    """Severity of the crops of an (N, C, H, W) output, for grids of `period` and everything it contains."""
    image = output.float() / data_range
    tiles = crop_counts(image.shape[-2:], period)
    grid = lattice_statistics(split_crops(image, period), period).locked.sum((1, 2)) / VISIBLE_GRID**2
    # edges are followed over the whole image, as crops would cut most of their contours
    edges = edge_statistics(luma(image) if image.shape[1] == 3 else image, tiles)
    return Severity(grid.cpu(), edges.transpose(0, 1).flatten(0, 1).cpu())


def pool(parts: Sequence[Severity]) -> Severity:
    """The severity of several outputs, as one."""
    return Severity(torch.cat([part.grid for part in parts]), torch.cat([part.edges for part in parts]))


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
            if smallest_side(together) <= size[axis]:
                joint[axis] = together
    return joint[0], joint[1]


def smallest_side(period: int) -> int:
    """Pixels per side of the smallest image in which a grid of `period` can be measured: two windows."""
    return 2 * (period - 1) + 2 * window_size(period)
