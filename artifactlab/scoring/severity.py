"""How bad an output is: one number for grids and stair-steps together, so that sites can be compared.

Severity is additive in energy: (grid amplitude / visible_grid(period))^2, of each period that a lattice contains, and
(jaggedness / VISIBLE_STEPS)^2, where a grid that follows the content counts as a grid. A severity of 1 is a grid that
just shows, or stair-steps that just show; independent causes add up. In signals what just shows is what is just heard,
see `artifactlab.scoring.limits`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.inputs import total
from artifactlab.metrics.period_reading import Forms, Reading, content_wanted, read
from artifactlab.metrics.significance import confirmed
from artifactlab.metrics.spectral_sums import SpectralSums, joined, lattice_sums
from artifactlab.metrics.synchronous import pooled_field
from artifactlab.metrics.visible import visible_grid
from artifactlab.scoring.crops import crops_of
from artifactlab.scoring.limits import Limits, audible_content_wanted, audible_limits, visible_limits
from artifactlab.scoring.surroundings import Surroundings, joined_surroundings, surroundings

VISIBLE = 1.0
"""Severity below which an output is innocent, whatever its activations look like: both forms are in units of what just
shows, so 1 just shows (see "From where on it shows was not ours to say" in docs/decisions.md)."""
LEAST_EDGES = 0.2
"""Share of the mean weight of edges that a choice of crops must have to say something of steps by itself. With next
to no edges the displacement is a quotient of two small numbers, and would be loud. Set by hand: a choice with a fifth
of the usual edges is one of nearly flat crops."""
SILENT = 1e-12
"""Energy, in squared data ranges, of what holds nothing: it has no gradient, and no share in anything. It is 1e-6 of
the data range in rms, a few roundings of float32."""


class Artifact(NamedTuple):
    """What R choices of an output's crops show, each (R,)."""

    grid: Tensor
    """Severity of grids."""
    steps: Tensor
    """Severity of stair-steps."""
    energy: Tensor
    """Mean square of both in the output, in squared data ranges."""

    @property
    def severity(self) -> Tensor:
        """(R,) of both forms."""
        return self.grid + self.steps


@dataclass(frozen=True, eq=False)
class Severity:
    """What the crops of an output show, kept as sums that can be pooled over any choice of crops."""

    crops: int
    """Number of crops."""
    sums: Mapping[int, SpectralSums]
    """The crops' sums by period, each at its own frequencies."""
    surroundings: Mapping[int, Surroundings] = field(default_factory=dict)
    """What surrounds these frequencies in crops of signals, by period; empty for images and volumes, in which what
    shows does not depend on it."""

    def of(self, counts: Tensor) -> Artifact:
        """What R weighted choices of crops show, given as counts (R, crops).

        What counts is decided once, by all crops together: the periods and forms that are confirmed there.
        """
        grid = steps = energy = torch.zeros(len(counts))
        readings = self.found if torch.equal(counts, self._all) else self._readings(counts)
        for period, sums in self.sums.items():
            of_all, reading = self.found[period], readings[period]
            more_grid, more_steps = confirmed_severity(reading, of_all, self._limits(period, reading, counts))
            # crops with hardly an edge say nothing of steps, and are not to say it loudly
            edges, usual = (_per_crop(sums, c) for c in (counts, self._all))
            usual_steps = confirmed_severity(of_all, of_all, self._limits(period, of_all, self._all))[1]
            more_steps = torch.where(edges > LEAST_EDGES * usual, more_steps, usual_steps)
            grid = grid + more_grid.cpu()
            steps = steps + more_steps.cpu()
            energy = energy + confirmed_energy(reading, of_all).cpu()
        return Artifact(grid, steps, energy)

    def only(self, crops: Tensor) -> Severity:
        """The severity of some of the crops, given by their numbers."""
        chosen = torch.eye(self.crops)[crops]
        sums = {p: of.pooled(chosen) for p, of in self.sums.items()}
        return Severity(len(crops), sums, {p: of.pooled(chosen) for p, of in self.surroundings.items()})

    def at(self, period: int) -> Severity:
        """The severity of one of the periods."""
        around = {period: self.surroundings[period]} if self.surroundings else {}
        return Severity(self.crops, {period: self.sums[period]}, around)

    @property
    def _all(self) -> Tensor:
        """Each crop once."""
        return torch.ones(1, self.crops)

    def limits(self, period: int, power: Forms, moved: Tensor, counts: Tensor) -> Limits:
        """What just shows, in choices of the crops that hold so much, see `powers_of`."""
        if period not in self.surroundings:
            return visible_limits(period)
        sums, around = self.sums[period].pooled(counts), self.surroundings[period].pooled(counts)
        return audible_limits(power, moved, sums, around)

    def just_shows(self, period: int) -> float:
        """Rms of a grid of a period from where on it is a severity of 1 here, as a fraction of the data range."""
        return math.sqrt(float(self._limits(period, self.found[period], self._all).grid))

    def _limits(self, period: int, reading: Reading, counts: Tensor) -> Limits:
        return self.limits(period, reading.power, reading.moved, counts)

    @cached_property
    def found(self) -> dict[int, Reading]:
        """What all crops together show at each period."""
        return self._readings(self._all)

    def _readings(self, counts: Tensor) -> dict[int, Reading]:
        return {p: read_crops(sums, counts) for p, sums in self.sums.items()}

    @property
    def content_wanted(self) -> float:
        """How many times as much content it takes to tell a clean output from one that shows; up to 1 is enough."""
        return max((float(self._content_wanted(period)) for period in self.sums), default=0.0)

    def _content_wanted(self, period: int) -> Tensor:
        reading = self.found[period]
        if period not in self.surroundings:
            return content_wanted(reading, visible_grid(period))
        return audible_content_wanted(reading, self._limits(period, reading, self._all))

    @property
    def amplitude(self) -> float:
        """Rms of the grids of all crops together, as a fraction of the data range."""
        return math.sqrt(max(0.0, sum(float(confirmed_grids(found, found)) for found in self.found.values())))

    @property
    def displacement(self) -> float:
        """Rms by which the stair-steps of all crops together displace edges, in samples."""
        squares = (float(found.power.warp * found.found.warp) for found in self.found.values())
        return math.sqrt(max(0.0, sum(squares)))

    def together(self) -> tuple[float, float]:
        """Grid and stair-step severity of all crops."""
        return self._together

    @cached_property
    def _together(self) -> tuple[float, float]:
        artifact = self.of(self._all)
        return float(artifact.grid), float(artifact.steps)


def read_crops(sums: SpectralSums, counts: Tensor) -> Reading:
    """What R choices of crops, given as counts (R, crops), show at a period.

    A grid is looked for twice: with each place trusted as far as it is quiet, which finds the faintest grid that is the
    same in all crops; and with all crops alike, as quiet ones without a grid would else outvote loud ones that are full
    of it. What shows more counts, and is found where all crops together confirm it in that way.
    """
    reading, alike = read(sums.pooled(counts)), sums.grid.equally_weighted()
    sure = [confirmed([grid.pooled(torch.ones_like(counts[:1]))]) for grid in (sums.grid, alike)]
    powers = [grid.pooled(counts).power() * found for grid, found in zip((sums.grid, alike), sure, strict=True)]
    found = (sure[0] | sure[1]).expand(len(counts))
    # where neither is confirmed, the first reading stays: it is not counted
    grid = torch.where(found, torch.maximum(*powers), reading.power.grid)
    return reading._replace(power=reading.power._replace(grid=grid), found=reading.found._replace(grid=found))


def _per_crop(sums: SpectralSums, counts: Tensor) -> Tensor:
    """(R,) weight of the edges that steps are read off, per crop of a choice."""
    weight = total((axis.weight for axis in sums.warp), torch.zeros_like(sums.contrast))
    return pooled_field(weight, counts) / counts.sum(1).to(weight)


def confirmed_severity(reading: Reading, found: Reading, limits: Limits) -> tuple[Tensor, Tensor]:
    """Grid and stair-step severity (R,) of what a period's reading holds, as far as the other one confirms it."""
    power, sure = reading.power, found.found
    grids = limits.of_grids(power.grid * sure.grid, power.modulation * sure.modulation)
    return grids, power.warp * sure.warp / limits.warp


def severity_of_lattice(readings: Mapping[int, Reading], period: Tensor) -> Tensor:
    """Severity (N,) of images: what is confirmed of the lattice of each one's period (N,); nothing, where it is 0."""
    severity = torch.zeros_like(next(iter(readings.values())).moved)
    for divisor, reading in readings.items():
        grids, steps = confirmed_severity(reading, reading, visible_limits(divisor))
        severity = severity + torch.where((period > 0) & (period % divisor == 0), grids + steps, 0.0)
    return severity.clamp_min(0)


def forms_of_lattice(readings: Mapping[int, Reading], period: Tensor) -> tuple[Tensor, Tensor]:
    """The same, severity (N,) of grids and that of stair-steps by themselves."""
    grids = steps = torch.zeros_like(next(iter(readings.values())).moved)
    for divisor, reading in readings.items():
        more = confirmed_severity(reading, reading, visible_limits(divisor))
        own = (period > 0) & (period % divisor == 0)
        grids, steps = (so_far + torch.where(own, part, 0.0) for so_far, part in zip((grids, steps), more, strict=True))
    return grids.clamp_min(0), steps.clamp_min(0)


def confirmed_grids(reading: Reading, found: Reading) -> Tensor:
    """Energy (R,) of the grids alone."""
    power, sure = reading.power, found.found
    return power.grid * sure.grid + power.modulation * sure.modulation


def confirmed_energy(reading: Reading, found: Reading) -> Tensor:
    """Energy (R,) of what a reading holds, as far as the other one confirms it."""
    return confirmed_grids(reading, found) + reading.moved * found.found.warp


def measure_severity(output: Tensor, period: Sequence[int], data_range: float) -> Severity:
    """Severity of the crops of an (N, C, *space) output, for all periods that the lattice `period` contains."""
    return severity_of_crops((crop.float() / data_range for crop in crops_of(output, period)), period)


def severity_of_crops(crops: Iterable[Tensor], period: Sequence[int]) -> Severity:
    """Severity of (N, C, *space) crops of data range 1, each in phase with the lattice.

    Those of volumes are measured one by one, as memory for all of them would be many times a volume's.
    """
    if len(period) > 2:
        return pool([_severity_of(one, period) for crop in crops for one in crop.split(1)])
    return _severity_of(torch.cat(list(crops)), period)


def _severity_of(crops: Tensor, period: Sequence[int]) -> Severity:
    sums = lattice_sums(crops, period) if max(period) > 1 else {}
    around = surroundings(crops, period[0], list(sums)) if len(period) == 1 else {}
    return Severity(len(crops), sums, around)


def pool(parts: Sequence[Severity]) -> Severity:
    """The severity of several outputs, as one."""
    sums = {p: joined([part.sums[p] for part in parts]) for p in parts[0].sums}
    around = {p: joined_surroundings([part.surroundings[p] for part in parts]) for p in parts[0].surroundings}
    return Severity(sum(part.crops for part in parts), sums, around)
