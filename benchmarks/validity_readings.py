"""How `metric_validity.py` reads metrics: many images at a time, and what is made of the readings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from content import Image
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu
from torch import Tensor

from artifactlab.metrics import axis_excess, checkerboard_energy, edge_jaggedness, lattice_amplitude, spectral_images
from artifactlab.metrics.visible import VISIBLE_GRID, VISIBLE_STEPS

Measure = Callable[[Tensor], Tensor]
"""(N, 1, H, W) -> (N,) or (N, numbers)"""
Array = NDArray[np.float64]
PIXELS_AT_ONCE = 2_000_000
"""in a batch, which bounds the memory"""


class Row(NamedTuple):
    """One line of the table."""

    claim: str
    target: str
    measured: str
    reached: bool | None
    """None: the line has no target"""


class Reading(NamedTuple):
    """The numbers of a `spectral_images` record, one of each per image."""

    period: Array
    told: Array
    grid: Array
    grid_error: Array
    modulation: Array
    modulation_error: Array
    warp: Array
    warp_error: Array
    explained: Array
    explained_error: Array

    def shows(self) -> NDArray[np.bool_]:
        """Which images are said to show grids and stair-steps: a severity of 1, as `diagnose` has it."""
        grids = (self.grid**2 + self.modulation**2) / VISIBLE_GRID**2
        return (self.told > 0) & (grids + self.warp**2 / VISIBLE_STEPS**2 > 1)


def reading_of(stacked: Array) -> Reading:
    """What `spectral(...)` stacked, by name."""
    return Reading(*stacked.T)


@functools.cache
def spectral(period: int | None = None) -> Measure:
    """All numbers of a `spectral_images` record, stacked to (N, numbers)."""

    def measure(x: Tensor) -> Tensor:
        found = spectral_images(x, period)
        return torch.stack([getattr(found, name).double() for name in Reading._fields], 1)

    return measure


@functools.cache
def jaggedness(period: int | None = None) -> Measure:
    """Stair-steps of one period, or of any."""
    return lambda x: edge_jaggedness(x, period, reduction="none")


@functools.cache
def amplitude(period: int) -> Measure:
    """The constant grid of one period."""
    return lambda x: lattice_amplitude(x, period, reduction="none")


@functools.cache
def energy(period: int) -> Measure:
    """The share of the energy that a grid of one period has."""
    return lambda x: checkerboard_energy(x, period, reduction="none")


@functools.cache
def axes() -> Measure:
    """How much more edge there is along the axes than beside them."""
    return lambda x: axis_excess(x, reduction="none")


@torch.no_grad()
def read(measure: Measure, images: Sequence[Image]) -> Array:
    """What the measure reads on each image; images of one size are measured together."""
    shapes: dict[tuple[int, ...], list[int]] = {}
    for number, image in enumerate(images):
        shapes.setdefault(image.shape, []).append(number)
    found: dict[int, Array] = {}
    for (height, width), numbers in shapes.items():
        size = max(1, PIXELS_AT_ONCE // (height * width))
        for start in range(0, len(numbers), size):
            batch = numbers[start : start + size]
            values = measure(tensor([images[number] for number in batch])).double().numpy()
            found.update(zip(batch, values, strict=True))
    return np.array([found[number] for number in range(len(images))])


def tensor(images: Sequence[Image]) -> Tensor:
    """Images of one size as (N, 1, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(np.stack(images)[:, None], np.float32))


def auc(positive: Array, negative: Array) -> float:
    """How often a positive reads higher than a negative; a tie counts half."""
    return float(mannwhitneyu(positive, negative).statistic / (positive.size * negative.size))


def hardest(positive: Array, negatives: Mapping[str, Array]) -> tuple[float, str]:
    """The smallest area under the curve against any family, and that family's name."""
    return min((auc(positive, negative), name) for name, negative in negatives.items())


def worst_pair(score: float, name: str) -> str:
    """An area under the curve; where it is not 1, with the family that it was so small against."""
    return "1" if score == 1 else f"{score:.3f} ({name})"


def percent(share: float) -> str:
    """A share as people read it."""
    return f"{share:.1%}"
