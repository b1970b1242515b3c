"""The worst window of an image: a grid in one corner is lost in the mean over a picture, and not in an eye."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from artifactlab.metrics.local_screening import STEADINESS, WINDOW, grid_steadiness, suspicious_windows
from artifactlab.metrics.period_reading import Reading
from artifactlab.metrics.spectral_reading import best_of, readings_of
from artifactlab.metrics.spectral_search import measured, search_sums
from artifactlab.metrics.spectral_sums import Form, SpectralSums, spectral_sums
from artifactlab.scoring.severity import forms_of_lattice, severity_of_lattice
from artifactlab.scoring.tiles import Tile

PERIODS = (2, 4, 8)
"""Lattices that are measured in windows, see `local_screening.FOLD`."""
MOST = 12
"""Windows of a tile that are measured, two of each kind and period: with 18, one more of 160 planted defects was
found."""


@dataclass(frozen=True)
class Window:
    """A part of an image, and how bad it is."""

    top: int
    """Row of its first pixel."""
    left: int
    """Column of its first pixel."""
    side: int
    """Pixels per side."""
    severity: float
    """Severity of grids and stair-steps in it; 1 is what just shows."""
    period: int
    """Spacing of the lattice in pixels."""


class WorstWindows(tuple[Window, ...]):
    """The worst windows of a tile or an image, worst first; those of tiles add up."""

    def __add__(self, other: tuple[Window, ...]) -> WorstWindows:  # type: ignore[override]
        return WorstWindows(heapq.nlargest(MOST, (*self, *other), key=lambda window: window.severity))


def worst_windows(tile: Tile) -> WorstWindows:
    """The windows of a tile that hold a lattice."""
    places = [suspect.place for suspect in suspicious_windows(tile.luma_inside, MOST)]
    if not places:
        return WorstWindows()
    # all at once: one by one, they took fifteen times as long
    cut = torch.cat([tile.inside[..., top : top + WINDOW, left : left + WINDOW] for top, left in places])
    found = []
    for (top, left), severity, period in zip(places, *_measured(cut), strict=True):
        if severity > 0:
            found.append(Window(tile.place[0] + top, tile.place[1] + left, WINDOW, severity, period))
    return WorstWindows() + tuple(found)


def forms_in_windows(windows: Tensor) -> tuple[list[float], list[float]]:
    """Severity of the grid and that of the stair-steps that each of windows `(N, C, WINDOW, WINDOW)` shows.

    Together they are the severity of a `Window`.

    Args:
        windows: of data range 1, each in phase with a lattice of 8 pixels.

    >>> paper = torch.full((1, 1, WINDOW, WINDOW), 0.5)
    >>> paper += 0.02 * (-1.0) ** (torch.arange(WINDOW)[:, None] + torch.arange(WINDOW))
    >>> grid, steps = forms_in_windows(paper)
    >>> round(grid[0]), steps[0]
    (6, 0.0)
    """
    readings, periods = _readings(windows)
    grids, steps = forms_of_lattice(readings, periods)
    return grids.tolist(), steps.tolist()


def _measured(windows: Tensor) -> tuple[list[float], list[int]]:
    """Severity and period of what windows `(N, C, h, w)` show; 0 where that is nothing."""
    readings, periods = _readings(windows)
    return severity_of_lattice(readings, periods).tolist(), periods.tolist()


def _readings(windows: Tensor) -> tuple[dict[int, Reading], Tensor]:
    """What windows hold at each period, and the period (N,) of each one's lattice."""

    def exactly(periods: Sequence[int], form: Form) -> list[SpectralSums]:
        return [spectral_sums(windows, (period, period), period, alone=form) for period in periods]

    found = readings_of(measured(search_sums(windows, PERIODS), exactly), 2)
    readings = {period: _steady(reading, windows, period) for period, reading in found.items()}
    return readings, best_of(readings).period  # whether more could hide is for the whole image to say


def _steady(reading: Reading, windows: Tensor, period: int) -> Reading:
    """The reading, without grids that a few strokes draw and the rest of a window does not have."""
    grid = reading.found.grid & (grid_steadiness(windows, period) >= STEADINESS)
    return reading._replace(found=reading.found._replace(grid=grid))
