"""How bad an output is: one number for grids and stair-steps together, so that sites can be compared.

Severity is additive in energy: (grid amplitude / visible_grid(period))^2, of each period that a lattice contains, and
(jaggedness / VISIBLE_STEPS)^2, where a grid that follows the content counts as a grid. A severity of 1 is a grid that
just shows, or stair-steps that just show; independent causes add up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.metrics.bands import baseband
from artifactlab.metrics.inputs import LARGEST_PERIOD, as_images, as_lattice, product
from artifactlab.metrics.period_reading import Forms, Reading, content_wanted, powers_of, read
from artifactlab.metrics.significance import confirmed
from artifactlab.metrics.spectral_repair import drawn_by
from artifactlab.metrics.spectral_sums import SpectralSums, joined, lattice_sums
from artifactlab.metrics.synchronous import SynchronousSums
from artifactlab.metrics.visible import VISIBLE_STEPS, visible_grid
from artifactlab.scoring.crops import split_crops
from artifactlab.scoring.periods import smallest_side

Periods = int | tuple[int, int] | list[int | tuple[int, int]]
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

    def of(self, counts: Tensor) -> Artifact:
        """What R weighted choices of crops show, given as counts (R, crops).

        What counts is decided once, by all crops together: the periods and forms that are confirmed there.
        """
        grid = steps = energy = torch.zeros(len(counts))
        for period, sums in self.sums.items():
            of_all, reading = self.found[period], read_crops(sums, counts)
            more_grid, more_steps = confirmed_severity(reading, of_all, period)
            # crops with hardly an edge say nothing of steps, and are not to say it loudly
            edges, usual = (_per_crop(sums.pooled(c), c) for c in (counts, torch.ones(1, self.crops)))
            usual_steps = confirmed_severity(of_all, of_all, period)[1]
            more_steps = torch.where(edges > LEAST_EDGES * usual, more_steps, usual_steps)
            grid = grid + more_grid.cpu()
            steps = steps + more_steps.cpu()
            energy = energy + confirmed_energy(reading, of_all).cpu()
        return Artifact(grid, steps, energy)

    def only(self, crops: Tensor) -> Severity:
        """The severity of some of the crops, given by their numbers."""
        chosen = torch.eye(self.crops)[crops]
        return Severity(len(crops), {p: sums.pooled(chosen) for p, sums in self.sums.items()})

    @cached_property
    def found(self) -> dict[int, Reading]:
        """What all crops together show at each period."""
        return {p: read_crops(sums, torch.ones(1, self.crops)) for p, sums in self.sums.items()}

    @property
    def content_wanted(self) -> float:
        """How many times as much content it takes to tell a clean output from one that shows; up to 1 is enough."""
        wanted = (content_wanted(reading, visible_grid(period)) for period, reading in self.found.items())
        return max(map(float, wanted), default=0.0)

    @property
    def amplitude(self) -> float:
        """Rms of the grids of all crops together, as a fraction of the data range."""
        return math.sqrt(max(0.0, sum(float(confirmed_grids(found, found)) for found in self.found.values())))

    def together(self) -> tuple[float, float]:
        """Grid and stair-step severity of all crops."""
        return self._together

    @cached_property
    def _together(self) -> tuple[float, float]:
        artifact = self.of(torch.ones(1, self.crops))
        return float(artifact.grid), float(artifact.steps)


def severity(output: Tensor, periods: Periods = 8, data_range: float = 1.0) -> Tensor:
    """How bad each image of an output is, as something to minimise or to attribute: differentiable, and without a gate.

    Its value is what `diagnose` reports: the squares of grids and stair-steps over what just shows of each, so that 1
    just shows and independent causes add up. It differs where there is doubt. A diagnosis accuses, and counts what is
    confirmed; here everything in step with the lattice counts as far as it is beyond chance, since a gate gives a faint
    artifact no gradient at all. So texture of the very same spacing counts, too, and clean images read a little more
    than 0. Nor are loud crops looked at apart from quiet ones, which a diagnosis does.

    Its gradient points along the artifact itself, as `remove_spectral_images` would take it out: what it is measured
    with (content, how far each place is trusted, chance) is taken as given. So nothing can be gained by sharper edges
    or by noise that hides a grid, content is neither blurred nor sharpened, and descent takes an artifact away
    everywhere and not only in the quiet places where it is measured best. Of a grid that is as strong everywhere, as an
    upsampler's is, it is the derivative; of stair-steps it is up to a half larger, as edges are content, too. What
    integrates it (integrated gradients) adds up exactly only between images of the same content. There are no second
    derivatives.

    Args:
        output: (N, C, H, W); half precision is measured in float32, and float64 in float64.
        periods: lattice spacings in pixels, whose divisors count, too: a number, a pair (vertical, horizontal), or a
            list of them, which stands for the smallest lattice that holds them all. The default finds what up to three
            layers leave that double the size, 2, 4 and 8; `Site.period` says that of a layer.
        data_range: distance between the darkest and the brightest possible value.

    Returns:
        (N,), at least 0, as captum expects of a forward function; take its mean for a training loop.

    Raises:
        InputError: if `output` is no finite (N, C, H, W) tensor, an argument is out of range, or images are too small
            for the periods: they take 4 periods and 16 pixels a side, which is 48 pixels for the default.

    >>> import torch
    >>> board = 0.02 * (-1.0) ** (torch.arange(64)[:, None] + torch.arange(64))
    >>> image = (0.5 + board[None, None]).requires_grad_()
    >>> value = severity(image, periods=2)
    >>> round(float(value.detach()))
    6
    >>> value.sum().backward()
    >>> bool(torch.equal(image.grad[0, 0].sign(), board.sign()))
    True
    """
    as_images(output, data_range)
    period = _joint_lattice(periods, output.shape[-2:])
    images = output if output.dtype == torch.float64 else output.float()
    return differentiable_severity(images / data_range, period, torch.eye(len(images)))


def differentiable_severity(
    images: Tensor, period: tuple[int, int], groups: Tensor, counted: Mapping[int, Forms] | None = None
) -> Tensor:
    """Severity (R,) of R groups of images of data range 1, given as counts (R, N), with the gradient of `severity`.

    By default everything beyond chance counts; `counted` says at each period, (R,), which forms do.
    """
    with torch.no_grad():
        measured, groups = images.detach(), groups.to(images)
        crops = split_crops(measured, period)
        of_crops = groups.repeat(1, len(crops) // len(images))
        value, gradient = images.new_zeros(len(groups)), torch.zeros_like(measured)
        for p, sums in lattice_sums(crops, period).items():
            relations = sums.pooled(of_crops)
            power, _ = powers_of(relations, SynchronousSums.beyond_chance)
            parts = drawn_by(measured, relations.pooled(groups.T), period, p)
            limits = visible_grid(p), visible_grid(p), VISIBLE_STEPS
            for form, part, visible in zip(Forms._fields, parts, limits, strict=True):
                strength = getattr(power, form) / visible**2
                strength = strength if counted is None else strength * getattr(counted[p], form)
                value += strength
                energy = product(groups, part.square().flatten(1).sum(1)).clamp_min(SILENT)
                above = part - baseband(part, p)  # what a pattern has in common with content stays
                gradient += product(2 * strength / energy, groups).view(-1, 1, 1, 1) * above
    # adds nothing to the value, and gives it the gradient
    return value + product(groups, (gradient * (images - measured)).flatten(1).sum(1))


def _joint_lattice(periods: Periods, size: Sequence[int]) -> tuple[int, int]:
    """The smallest lattice that holds all `periods`; an InputError where an image of `size` does not hold it."""
    given = periods if isinstance(periods, list) else [periods]
    lattices = [as_lattice(period, 2) for period in given]
    wanted = tuple(math.lcm(*along) for along in zip(*lattices, strict=True))
    if not lattices or max(wanted) == 1:
        raise InputError(f"periods must be lattice spacings of 2 or more pixels, such as 4 or [2, 3], got {periods!r}")
    if max(wanted) > LARGEST_PERIOD:
        raise InputError(
            f"periods {periods!r} meet every {max(wanted)} pixels only; measure them apart and add them up"
        )
    sides = [smallest_side(period) for period in wanted]
    if any(side > length for side, length in zip(sides, size, strict=True)):
        raise InputError(
            f"an image of {size[0]}x{size[1]} pixels is too small to measure periods {periods!r}, which takes"
            f" {sides[0]}x{sides[1]}; give larger images, or a smaller period"
        )
    return wanted[0], wanted[1]


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
    weight = sum(axis.weight for axis in sums.warp)
    return weight / counts.sum(1).to(sums.contrast)


def confirmed_severity(reading: Reading, found: Reading, period: int) -> tuple[Tensor, Tensor]:
    """Grid and stair-step severity (R,) of what a period's reading holds, as far as the other one confirms it."""
    steps = reading.power.warp * found.found.warp
    return confirmed_grids(reading, found) / visible_grid(period) ** 2, steps / VISIBLE_STEPS**2


def confirmed_grids(reading: Reading, found: Reading) -> Tensor:
    """Energy (R,) of the grids alone."""
    power, sure = reading.power, found.found
    return power.grid * sure.grid + power.modulation * sure.modulation


def confirmed_energy(reading: Reading, found: Reading) -> Tensor:
    """Energy (R,) of what a reading holds, as far as the other one confirms it."""
    return confirmed_grids(reading, found) + reading.moved * found.found.warp


def measure_severity(output: Tensor, period: tuple[int, int], data_range: float) -> Severity:
    """Severity of the crops of an (N, C, H, W) output, for all periods that the lattice `period` contains."""
    crops = split_crops(output.float() / data_range, period)
    return Severity(len(crops), lattice_sums(crops, period) if max(period) > 1 else {})


def pool(parts: Sequence[Severity]) -> Severity:
    """The severity of several outputs, as one."""
    periods = parts[0].sums.keys()
    return Severity(sum(part.crops for part in parts), {p: joined([part.sums[p] for part in parts]) for p in periods})
