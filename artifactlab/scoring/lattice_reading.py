"""What an image shows of lattices: searched over its tiles, measured where something is suspected, and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from artifactlab.metrics.checkerboard import share_of
from artifactlab.metrics.spectral_reading import SpectralImages, read_best
from artifactlab.metrics.spectral_search import measurable_periods, measured, search_sums
from artifactlab.metrics.spectral_sums import Form, SpectralSums, spectral_sums
from artifactlab.scoring.tiles import Tile, Tiles


class LatticeSums(dict[int, SpectralSums]):
    """The sums of an image or a tile by period; those of tiles add up."""

    def __add__(self, other: LatticeSums) -> LatticeSums:
        return LatticeSums({period: sums + other[period] for period, sums in self.items()})


@dataclass(frozen=True)
class LatticeReading:
    """What an image shows of lattices; each number is a tensor (1,), or None where it cannot be told."""

    found: SpectralImages
    """The numbers at the best period."""
    sums: Mapping[int, SpectralSums]
    """The sums of each period."""

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
    return LatticeSums(search_sums(tile.inside, periods, tile.place, tile.luma_inside))


def read_lattices(tiles: Tiles, search: LatticeSums) -> LatticeReading:
    """What a search has found, measured exactly in further passes over the image.

    Args:
        tiles: the image.
        search: the sums of `lattice_sums` over all its tiles.
    """

    def exactly(periods: Sequence[int], form: Form) -> list[SpectralSums]:
        return _exact_sums(tiles, periods, form)

    sums = measured(search, exactly)
    return LatticeReading(read_best(sums, 2), sums)


def _exact_sums(tiles: Tiles, periods: Sequence[int], form: Form) -> list[SpectralSums]:
    """The sums of one form over an image, of each period by itself; no pass over the tiles where there is no period."""
    total: list[SpectralSums] = []
    for tile in tiles if periods else ():
        own = [spectral_sums(tile.inside, (p, p), p, tile.place, form, tile.luma_inside) for p in periods]
        total = [a + b for a, b in zip(total, own, strict=True)] if total else own
    return total
