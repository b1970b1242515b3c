"""From where on each form of an artifact shows: in images by a number, in signals by what surrounds it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.period_reading import Forms, Reading, explained_error, per_sample
from artifactlab.metrics.spectral_sums import SpectralSums
from artifactlab.metrics.synchronous import divisor
from artifactlab.metrics.visible import VISIBLE_STEPS, visible_grid
from artifactlab.scoring.surroundings import Surroundings

MASKED_TONE = 10**-0.4
"""Power of a tone that is just heard in noise, over that of the noise in one critical band: 4 dB below it (E. Zwicker,
H. Fastl, "Psychoacoustics", 3rd ed. 2007, ch. 4.1: 2 to 6 dB, growing with the frequency)."""
LEVEL_STEP = 10**0.1 - 1
"""Part by which the power of a band must grow for that to be heard: 1 dB, the just noticeable difference in level of
noise and of steady sounds at moderate levels (likewise, ch. 7.1)."""
LEAST_REST = 0.01
"""Part of a band that is taken for other than copies at least: what the regression explains is known to a hundredth."""
SILENCE = 2.0**-32
"""Power that hides as much as silence does, in squared data ranges: one step of 16 bits, which nobody is to be accused
of."""


class Limits(NamedTuple):
    """Squared strength of each form that is a severity of 1; (R,), or one number for all."""

    grid: Tensor | float
    """Of a constant grid, or tone, in data ranges."""
    modulation: Tensor | float
    """Of a grid that follows the content, in data ranges."""
    warp: Tensor | float
    """Of stair-steps, in samples."""

    def of_grids(self, grid: Tensor, modulation: Tensor) -> Tensor:
        """Severity of both grids."""
        if self.grid is self.modulation:
            return (grid + modulation) / self.grid
        return grid / self.grid + modulation / self.modulation


def visible_limits(period: int) -> Limits:
    """Those of a period in images and volumes, see `artifactlab.metrics.visible`."""
    grid = visible_grid(period) ** 2
    return Limits(grid, grid, VISIBLE_STEPS**2)


def audible_limits(power: Forms, moved: Tensor, sums: SpectralSums, around: Surroundings) -> Limits:
    """Those of what signals hold of a period, by what surrounds it: `powers_of` its sums.

    A constant grid is a tone at each of its frequencies, and shows where one exceeds its masked threshold. The other
    forms are copies of the content in the bands around these, and show where they make a band louder.
    """
    noise, above = around.per_sample()
    masked = MASKED_TONE * noise + SILENCE
    squares = (sums.grid.first + sums.grid.second).square().mean(1)
    times_threshold = (squares / masked).sum(1) / divisor(squares.sum(1))
    explained = power.grid.clamp_min(0) + power.modulation.clamp_min(0) + moved.clamp_min(0)
    rest = torch.maximum(above - explained, LEAST_REST * above)
    louder = LEVEL_STEP * rest + SILENCE
    _, slopes = per_sample(sums)
    return Limits(1 / divisor(times_threshold), louder, louder / divisor(slopes.sum(1)))


def audible_content_wanted(reading: Reading, limits: Limits) -> Tensor:
    """How many times as much of a signal it takes, so that nothing that is heard could hide in the errors, (R,)."""
    return torch.maximum(reading.error.grid / limits.grid, explained_error(reading) / limits.modulation)
