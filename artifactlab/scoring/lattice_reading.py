"""What an image shows of lattices: searched over its tiles, measured where something is suspected, and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from artifactlab.metrics.checkerboard import share_of
from artifactlab.metrics.period_reading import Reading
from artifactlab.metrics.spectral_reading import SpectralImages, best_of, readings_of
from artifactlab.metrics.spectral_search import measurable_periods, measured, search_sums
from artifactlab.metrics.spectral_sums import Form, SpectralSums, spectral_sums
from artifactlab.scoring.severity import severity_of_lattice
from artifactlab.scoring.tiles import Tile, Tiles
from artifactlab.scoring.worst_window import WorstWindows, worst_windows


@dataclass(frozen=True)
class LatticeSums:
    """What a tile or an image holds; those of tiles add up."""

    by_period: dict[int, SpectralSums]
    """The sums of the search."""
    windows: WorstWindows
    """The windows in which a lattice was found."""

    def __add__(self, other: LatticeSums) -> LatticeSums:
        added = {period: sums + other.by_period[period] for period, sums in self.by_period.items()}
        return LatticeSums(added, self.windows + other.windows)


@dataclass(frozen=True)
class LatticeReading:
    """What an image shows of lattices; each number is a tensor (1,), or None where it cannot be told."""

    found: SpectralImages
    """The numbers at the best period."""
    sums: Mapping[int, SpectralSums]
    """The sums of each period."""
    readings: Mapping[int, Reading]
    """What each period holds."""
    windows: WorstWindows
    """The windows in which a lattice was found, worst first."""

    def severity(self) -> Tensor | None:
        """How bad the lattice that was found is, in units of what just shows, as `diagnose` has it."""
        return severity_of_lattice(self.readings, self.found.period) if self.found.told else None

    def worst(self) -> Tensor | None:
        """How bad the worst window is: what shows all over shows in one, too, even where none can tell it alone."""
        all_over = self.severity()
        if not self.windows:
            return all_over
        worst = self.windows[0].severity
        return torch.full((1,), worst) if all_over is None else all_over.clamp_min(worst)

    def jaggedness(self) -> Tensor | None:
        """How far stair-steps displace edges, in pixels."""
        return self.found.warp if self.found.told else None

    def grid_amplitude(self) -> Tensor | None:
        """Rms of the constant grid, as a fraction of white."""
        return self.found.grid if self.found.told else None

    def grid_share(self) -> Tensor | None:
        """Share of the fine structure that is a constant grid."""
        return share_of(self.found, self.sums) if self.found.told else None

    def period(self) -> Tensor | None:
        """Spacing of the lattice in pixels; 0 where there is none."""
        return self.found.period if self.found.told else None


def lattice_sums(tile: Tile) -> LatticeSums:
    """The search over all periods that the tile's image is large enough for."""
    periods = measurable_periods(tile.size)
    return LatticeSums(search_sums(tile.inside, periods, tile.place, tile.luma_inside), worst_windows(tile))


def read_lattices(tiles: Tiles, search: LatticeSums) -> LatticeReading:
    """What a search has found, measured exactly in further passes over the image.

    Args:
        tiles: the image.
        search: the sums of `lattice_sums` over all its tiles.
    """

    def exactly(periods: Sequence[int], form: Form) -> list[SpectralSums]:
        return _exact_sums(tiles, periods, form)

    sums = measured(search.by_period, exactly)
    readings = readings_of(sums, 2)
    return LatticeReading(best_of(readings), sums, readings, search.windows)


def _exact_sums(tiles: Tiles, periods: Sequence[int], form: Form) -> list[SpectralSums]:
    """The sums of one form over an image, of each period by itself; no pass over the tiles where there is no period."""
    total: list[SpectralSums] = []
    for tile in tiles if periods else ():
        own = [spectral_sums(tile.inside, (p, p), p, tile.place, form, tile.luma_inside) for p in periods]
        total = [a + b for a, b in zip(total, own, strict=True)] if total else own
    return total
