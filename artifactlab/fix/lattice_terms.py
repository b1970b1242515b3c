"""What of some values keeps step with a lattice: a constant grid, a grid that follows the content, stair-steps.

An enlargement by p that is no good interpolator adds, at each phase of its lattice, a fixed linear function of the
content that it enlarged: its spectral images (P. P. Vaidyanathan, "Multirate Systems and Filter Banks", 1993). So the
values at each phase of the lattice's cells are regressed, in local windows, on 1, on the content of the cells and on
its slopes. What all phases have in common, and what is smooth across cells (blur, brightness), is no lattice.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL

HALF_WINDOW = {1: 32, 2: 4, 3: 2}
"""Cells a side of half a window, by the number of axes: windows overlap by half and hold 64 cells, as an artifact
changes with the content. See docs/decisions.md, "The loss is a regression"."""
FAINT = 1 / 255
"""Rms of the content, and of its slopes per cell, below which nothing is said to follow it: a gray level."""


class LatticePower(NamedTuple):
    """Mean squares of what keeps step with a lattice, (N,) each. The first three are orthogonal: they add up."""

    grid: Tensor
    """What is the same everywhere."""
    modulation: Tensor
    """What is in proportion to the content."""
    steps: Tensor
    """What is in proportion to the content's slopes: edges that are moved back and forth."""
    chance: Tensor
    """What of the sum of these keeps step by chance; without a gradient."""
    agreement: Tensor
    """The share of the content's variance, 0 to 1, that is not among the values as well; without a gradient. Of an
    error, how far the output has the content that its artifacts could follow."""

    @property
    def explained(self) -> Tensor:
        """The sum of the three."""
        return self.grid + self.modulation + self.steps


def lattice_power(values: Tensor, content: Tensor, lattice: Sequence[int]) -> LatticePower:
    """The power of what keeps step with one lattice, in windows that overlap by half; their mean, and the channels'.

    Differentiable in the values; the content is taken as given. Samples beyond the last half window are not looked at.

    Args:
        values: `(N, C, L)`, `(N, C, H, W)` or `(N, C, D, H, W)`, such as an output less its target.
        content: of the same shape and data range 1, what the artifact may follow.
        lattice: spacing along each axis, in samples; 1 for none.

    Returns:
        The powers of each item; 0 where an axis is shorter than two periods.

    >>> import torch
    >>> board = 0.1 * (-1.0) ** (torch.arange(32) + torch.arange(32)[:, None])[None, None]
    >>> [round(float(power), 4) for power in lattice_power(board, torch.ones(1, 1, 32, 32), (2, 2))]
    [0.01, 0.0, 0.0, 0.0, 1.0]
    """
    if not holds(values.shape[SPATIAL:], lattice):
        nothing = (values * 0).flatten(1).sum(1)
        return LatticePower(nothing, nothing, nothing, *[nothing.detach()] * 2)
    cells, wanted = _cells(values, lattice), _cells(content.detach(), lattice).mean(SPATIAL)
    phases = _without_trend(cells, lattice)
    sides = _half_windows(phases.shape[SPATIAL + 1 :], lattice)
    with torch.no_grad():
        regressors = _in_halves(_regressors(wanted, lattice), sides)
        moments = _in_windows(regressors @ regressors.mT, len(sides)) / math.prod(sides)
        spread = torch.linalg.cholesky(moments + _faint(moments))
    sums = _in_windows(regressors @ _in_halves(phases, sides).mT, len(sides)) / math.prod(sides)
    sums = sums - sums.mean(-1, keepdim=True)
    # dividing by the Cholesky factor makes the regressors orthonormal, in their order
    power = torch.linalg.solve_triangular(spread, sums, upper=False).square().mean(-1)
    power = power.flatten(1, -2).mean(1)
    unexplained = phases.detach().square().flatten(1).mean(1) - power.detach().sum(1)
    chance = unexplained.clamp_min(0) * _chance_odds(regressors.shape[-2], phases.shape[SPATIAL:], sides)
    agreement = (1 - _variance(cells.detach().mean(SPATIAL)) / (_variance(wanted) + FAINT**2)).clamp_min(0)
    return LatticePower(power[:, 0], power[:, 1], power[:, 2:].sum(1), chance, agreement)


def _variance(content: Tensor) -> Tensor:
    """Over the cells, averaged over channels, (N,)."""
    return content.flatten(SPATIAL).var(SPATIAL, correction=0).mean(1)


def _chance_odds(regressors: int, shape: Sequence[int], sides: Sequence[int]) -> float:
    """What chance explains, over what it leaves: each window has a coefficient per regressor and phase, less one, and
    each of them holds the same share of the samples' power."""
    phases, *cells = shape
    # a list, as the compiler does not follow a generator
    samples = math.prod([2 * side if size >= 2 * side else side for side, size in zip(sides, cells, strict=True)])
    share = min(0.5, regressors * (phases - 1) / (phases * samples))  # where there are more coefficients than samples
    return share / (1 - share)


def holds(space: Sequence[int], lattice: Sequence[int]) -> bool:
    """Whether every axis has the two cells that can keep step."""
    return all(size >= 2 * p for size, p in zip(space, lattice, strict=True))


def _cells(values: Tensor, lattice: Sequence[int]) -> Tensor:
    """The samples at each phase of the lattice, (N, C, phases, *cells)."""
    shape = list(values.shape[:SPATIAL])
    for axis, p in enumerate(lattice, SPATIAL):
        count = values.shape[axis] // p
        values = _first(values, axis, count * p)
        shape += [count, p]
    axes = len(lattice)
    phases, cells = (range(SPATIAL + first, SPATIAL + 2 * axes, 2) for first in (1, 0))
    # not `unflatten`, which the compiler cannot follow while a model is watched
    return values.reshape(shape).permute(0, 1, *phases, *cells).flatten(SPATIAL, SPATIAL + axes - 1)


def _first(values: Tensor, axis: int, count: int) -> Tensor:
    """So many along an axis; of all of them no view, whose backward pass would copy everything."""
    return values if values.shape[axis] == count else values.narrow(axis, 0, count)


def _without_trend(phases: Tensor, lattice: Sequence[int]) -> Tensor:
    """Less the parabola through the means of each cell and its neighbours: what is smooth has no phases."""
    neighbours = _neighbours(phases.mean(SPATIAL))
    trend = _parabolas(lattice, phases) @ neighbours.flatten(SPATIAL + 1)
    return phases - trend.reshape(phases.shape)


def _neighbours(means: Tensor) -> Tensor:
    """Values of each cell's neighbourhood, (N, C, 3 per axis, *cells); beyond a border it goes on straight."""
    axes = range(SPATIAL, means.ndim)
    around = means
    for axis in axes:
        last = around.shape[axis] - 1
        before = 2 * around.narrow(axis, 0, 1) - around.narrow(axis, 1, 1)
        after = 2 * around.narrow(axis, last, 1) - around.narrow(axis, last - 1, 1)
        around = torch.cat([before, around, after], axis)
    shifted = []
    for offsets in itertools.product(range(3), repeat=len(axes)):
        part = around
        for axis, offset in zip(axes, offsets, strict=True):
            part = part.narrow(axis, offset, means.shape[axis])
        shifted.append(part)
    return torch.stack(shifted, SPATIAL)


def _parabolas(lattice: Sequence[int], like: Tensor) -> Tensor:
    """Weights of the neighbours' means, (phases, 3 per axis), that make parabolas, and their products across axes."""
    return functools.reduce(torch.kron, [_parabola(p, like) for p in lattice])


def _parabola(p: int, like: Tensor) -> Tensor:
    place = (torch.arange(p, dtype=like.dtype, device=like.device) + 0.5) / p - 0.5
    bend = (place.square() - (1 - 1 / p**2) / 12) / 2  # about its mean over a cell
    return torch.stack([bend - place / 2, 1 - 2 * bend, bend + place / 2], 1)


def _regressors(content: Tensor, lattice: Sequence[int]) -> Tensor:
    """1, the content about its mean, and its slopes along the lattice's axes per cell, (N, C, k, *cells)."""
    neighbours = _neighbours(content)
    axes = range(SPATIAL, content.ndim)
    middle = neighbours.shape[SPATIAL] // 2
    steps = [3 ** (len(lattice) - 1 - axis) for axis in range(len(lattice))]
    slopes = [(neighbours[:, :, middle + step] - neighbours[:, :, middle - step]) / 2 for step in steps]
    slopes = [part for part, p in zip(_oblique(slopes), lattice, strict=True) if p > 1]
    centred = content - content.mean(tuple(axes), keepdim=True)
    return torch.stack([torch.ones_like(content), centred, *slopes], SPATIAL)


def _oblique(slopes: list[Tensor]) -> list[Tensor]:
    """Slopes times the share of the gradient that runs across them.

    An edge along an axis meets one phase of the lattice only, where steps cannot be told from blur. In a signal there
    is nothing across.
    """
    if len(slopes) == 1:
        return slopes
    squares = [part.square() for part in slopes]
    energy = torch.stack(squares).sum(0).clamp_min(FAINT**4)  # so that no flat place divides by 0
    return [part * (1 - square / energy).clamp_min(0).sqrt() for part, square in zip(slopes, squares, strict=True)]


def _half_windows(cells: Sequence[int], lattice: Sequence[int]) -> list[int]:
    """Cells of half a window along each axis; of the whole axis, where it has no room for two halves."""
    half = HALF_WINDOW[len(lattice)]
    wanted = [half if p > 1 else half * max(lattice) for p in lattice]
    return [side if count >= 2 * side else count for side, count in zip(wanted, cells, strict=True)]


def _in_halves(values: Tensor, sides: Sequence[int]) -> Tensor:
    """(N, C, k, *cells) as (N, C, *half windows, k, cells in each)."""
    shape = list(values.shape[: SPATIAL + 1])
    for axis, side in enumerate(sides, SPATIAL + 1):
        count = values.shape[axis] // side
        values = _first(values, axis, count * side)
        shape += [count, side]
    axes = len(sides)
    halves, inside = (range(SPATIAL + 1 + first, SPATIAL + 1 + 2 * axes, 2) for first in (0, 1))
    return values.reshape(shape).permute(0, 1, *halves, SPATIAL, *inside).flatten(SPATIAL + axes + 1)


def _in_windows(halves: Tensor, axes: int) -> Tensor:
    """Means of neighbouring half windows along each axis; of one alone, itself."""
    for axis in range(SPATIAL, SPATIAL + axes):
        count = halves.shape[axis]
        if count > 1:
            halves = (halves.narrow(axis, 0, count - 1) + halves.narrow(axis, 1, count - 1)) / 2
    return halves


def _faint(moments: Tensor) -> Tensor:
    return FAINT**2 * torch.eye(moments.shape[-1], dtype=moments.dtype, device=moments.device)
