"""How bad an output is: one number for grids and stair-steps together, so that sites can be compared.

Severity is additive in energy: (grid amplitude / VISIBLE_GRID)^2 + (jaggedness / VISIBLE_STEPS)^2. A severity of 1 is
a grid that just shows, or stair-steps that just show; independent causes add up, so shares of it make sense.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.evidence import lattice_period
from artifactlab.images import luma
from artifactlab.metrics.checkerboard import WINDOW, lattice_statistics
from artifactlab.metrics.jaggedness import edge_statistics, pooled_jaggedness

VISIBLE_GRID = 1 / 255
"""rms amplitude, as a fraction of the data range, at which an 8-bit image can show a grid everywhere"""
VISIBLE_STEPS = 0.1
"""edge jaggedness in pixels at which nearest x2 reads on photos, twice what natural ones reach"""
MIN_CROP = 96
"""pixels per side of the smallest crop that is measured on its own"""


class Severity(NamedTuple):
    """What the crops of an output show, kept as numbers that can be pooled over any choice of crops."""

    grid: Tensor
    """(crops,) phase-locked power, unbiased, over that of a grid that just shows"""
    edges: Tensor
    """(crops, levels, numbers) of the edges in each crop; sums of them are those of the crops together"""

    def of(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Grid and stair-step severity, each (R,), of R weighted choices of crops, given as counts (R, crops)."""
        counts = counts.to(self.grid)
        grid = counts @ self.grid / counts.sum(1)
        jaggedness = pooled_jaggedness((counts @ self.edges.flatten(1)).unflatten(1, self.edges.shape[1:]))
        return grid, (jaggedness / VISIBLE_STEPS).square()


def measure_severity(outputs: Sequence[Tensor], period: tuple[int, int], data_range: float) -> Severity:
    """Severity of the crops of (N, C, H, W) outputs, for grids of `period` and everything it contains."""
    grid, edges = [], []
    for output in outputs:
        image = output.float() / data_range
        grid.append(lattice_statistics(split_crops(image), period).locked.sum((1, 2)) / VISIBLE_GRID**2)
        gray = luma(image) if image.shape[1] == 3 else image
        # edges are followed over the whole image, as crops would cut most of their contours
        edges.append(edge_statistics(gray, crop_counts(image)).transpose(0, 1).flatten(0, 1))
    return Severity(torch.cat(grid), torch.cat(edges))


def split_crops(images: Tensor) -> Tensor:
    """Equal crops of (N, C, H, W) images as one batch (N * rows * columns, C, h, w): at most 3 a side, each at least
    MIN_CROP pixels; their corners lie on multiples of 16, so that lattices keep their phase."""
    height, width = images.shape[-2:]
    rows, columns = crop_counts(images)
    h, w = (height // rows) // WINDOW * WINDOW or height, (width // columns) // WINDOW * WINDOW or width
    h, w = (height if rows == 1 else h), (width if columns == 1 else w)
    crops = [images[..., i * h : (i + 1) * h, j * w : (j + 1) * w] for i in range(rows) for j in range(columns)]
    return torch.cat(crops)


def crop_counts(images: Tensor) -> tuple[int, int]:
    """How many crops a side, (rows, columns), `split_crops` makes."""
    rows, columns = (max(1, min(3, size // MIN_CROP)) for size in images.shape[-2:])
    return rows, columns


def joint_period(periods: Iterable[tuple[float, float]], size: tuple[int, int]) -> tuple[int, int]:
    """The smallest lattice that contains those of all `periods` and that crops of an output of `size` can hold."""
    joint = [1, 1]
    for period in sorted(map(lattice_period, periods)):
        for axis in (0, 1):
            together = math.lcm(joint[axis], period[axis])
            if 2 * (together - 1) + 2 * max(WINDOW, together) <= min(size[axis], MIN_CROP):
                joint[axis] = together
    return joint[0], joint[1]
