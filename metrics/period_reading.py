"""What one period's own frequencies hold: spectral sums -> power, error and evidence of each form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.inputs import total
from artifactlab.metrics.significance import MIN_EVIDENCE, evidence, like_a_lattice, significant
from artifactlab.metrics.spectral_sums import SpectralSums
from artifactlab.metrics.synchronous import SynchronousSums
from artifactlab.metrics.visible import VISIBLE_GRID, VISIBLE_STEPS

MIN_EVIDENCE_PER_AXIS = 1.5
"""Least ratio of power and chance that stair-steps must have along each axis, where stripes do not count. It is below
`MIN_EVIDENCE`, as both axes together must have that, and above 1, which stripes have across themselves by chance. See
docs/decisions.md, "False friends"."""
LONG_PERIOD = 8
"""Period above which stair-steps must stand out by `LONG_PERIOD_PROMINENCE`: masonry and text have such spacings. See
docs/decisions.md, "False friends"."""
LONG_PERIOD_PROMINENCE = 1.75
"""Least evidence of stair-steps of a long period over that of the best frequency beside it: masonry and text reach
1.5. See docs/decisions.md, "False friends"."""
FAINT_STEPS = (VISIBLE_GRID / 4) ** 2
"""Squared difference, in data ranges, below which stair-steps are not said to be found: nobody could see a quarter of
what just shows. See docs/decisions.md, "What may be chance counts less its chance"."""


class Forms(NamedTuple):
    """One value per image of each form of spectral images, (N,)."""

    grid: Tensor
    """Of the constant grid."""
    modulation: Tensor
    """Of the grid that follows the content."""
    warp: Tensor
    """Of the stair-steps."""

    def any(self) -> Tensor:
        """Whether any form is marked, (N,)."""
        return self.grid | self.modulation | self.warp


CHANCE_DISCOUNT = (MIN_EVIDENCE, MIN_EVIDENCE, 1.0)
"""Times chance that is taken off what is not confirmed: of grid, modulation and warp. A grid is as strong in all
content, so that it must beat the chance of the busiest; steps grow with the edges that hide them, and Wiener's 1 is
best. See docs/decisions.md, "What may be chance counts less its chance"."""


class Reading(NamedTuple):
    """What one period's own frequencies hold."""

    power: Forms
    """Squared strength, in data ranges and, of the warp, in samples; unbiased, so it may be negative."""
    error: Forms
    """Standard error of `power`."""
    moved: Tensor
    """Squared difference that the warp makes, in data ranges, (N,)."""
    moved_error: Tensor
    """Standard error of `moved`, (N,)."""
    found: Forms
    """Whether there is more than chance, and it is like a lattice."""
    likely: Forms
    """Whether it is like a lattice, though it may be chance."""
    possible: Forms
    """Whether it is not known to be something else, as regular texture is."""
    strength: Forms
    """Evidence beyond chance, added up over frequencies."""
    sure: Forms
    """Wiener gain: the share of the power that is no chance, 0 to 1."""

    def evidence(self) -> Tensor:
        """Evidence of what is found, (N,)."""
        return total(strength * found for strength, found in zip(self.strength, self.found, strict=True))

    def less_chance(self) -> Reading:
        """The same reading with its power shrunk, as Wiener would, by the part that chance has in it."""
        power = Forms(*(power * sure for power, sure in zip(self.power, self.sure, strict=True)))
        return self._replace(power=power, moved=self.moved * self.sure.warp)


def read(sums: SpectralSums, stripes: tuple[Tensor, ...] = (), period: int = 0) -> Reading:
    """What a period's own frequencies hold.

    Args:
        sums: of that period.
        stripes: for each axis, which of the grid's real components belong to stripes across it; where they are given,
            patterns along one axis alone do not count.
        period: where it is given, and long, stair-steps must stand out more.
    """
    power, moved = powers_of(sums)
    error, moved_error = _errors(sums)
    significances = _each_form(sums, significant, False)
    likely = _likely(sums, stripes, period)
    ratios = _each_form(sums, evidence, 1)
    # nor are steps said to be found where they make no difference that anybody could see
    faint = moved <= FAINT_STEPS
    grid_found = significances.grid & likely.grid
    warp_found = significances.warp & likely.warp & ~faint
    # a grid that follows the content is as strong as the content, which has a mean: it does not come alone
    modulation_found = significances.modulation & likely.modulation & (grid_found | warp_found)
    possible = Forms(*(like | ~certain for like, certain in zip(likely, significances, strict=True)))
    return Reading(
        power=power,
        error=error,
        moved=moved,
        moved_error=moved_error,
        found=Forms(grid_found, modulation_found, warp_found),
        likely=likely,
        # a grid on a flat image is content to itself
        possible=possible._replace(warp=possible.warp & ~(faint & grid_found)),
        strength=_strengths(sums, ratios),
        sure=_wiener_gains(ratios),
    )


def powers_of(
    sums: SpectralSums, of: Callable[[SynchronousSums], Tensor] = SynchronousSums.power
) -> tuple[Forms, Tensor]:
    """Each form's power, squared, of data ranges and, the warp, of samples; and the warp's in data ranges, (N,)."""
    contrast, slopes = per_sample(sums)
    zero = torch.zeros_like(contrast)
    modulation = zero if sums.modulation is None else contrast * of(sums.modulation)
    moved = total((slopes[:, axis] * of(one) for axis, one in enumerate(sums.warp)), zero)
    return Forms(of(sums.grid), modulation, _per_slope(moved, slopes)), moved


def per_sample(sums: SpectralSums) -> tuple[Tensor, Tensor]:
    """Squared content about its mean (N,) and squared slopes (N, axes of warp), of a sample."""
    samples = sums.samples.clamp_min(1)
    return sums.contrast / samples, sums.slopes / samples[:, None]


def counted(reading: Reading, form: str, of: str | None = None) -> Tensor:
    """A form's power, or the field `of`, where it is found; the part of it that is no chance where it is possible."""
    in_full, less = (getattr(r, of) if of else getattr(r.power, form) for r in (reading, reading.less_chance()))
    return torch.where(getattr(reading.found, form), in_full, less * getattr(reading.possible, form))


def is_clean(reading: Reading) -> Tensor:
    """Whether nothing visible could hide in the errors of what was not found, (N,)."""
    return content_wanted(reading) <= 1


def content_wanted(reading: Reading, visible: float = VISIBLE_GRID) -> Tensor:
    """How many times as much content it takes, so that nothing visible could hide in the errors, (N,).

    The error of a power falls as the number of blocks grows.

    Args:
        reading: What one period shows.
        visible: Rms of a grid that just shows, as a fraction of the data range.
    """
    # where there is hardly an edge, steps of any height do not show
    steps = torch.minimum(reading.error.warp / VISIBLE_STEPS**2, explained_error(reading) / visible**2)
    return torch.maximum(reading.error.grid / visible**2, steps)


def explained_error(reading: Reading) -> Tensor:
    """Standard error of the power of all forms together, in squared data ranges, (N,)."""
    return torch.stack([reading.error.grid, reading.error.modulation, reading.moved_error]).square().sum(0).sqrt()


def _relations(sums: SpectralSums) -> tuple[Sequence[SynchronousSums], ...]:
    """The relations of grid, modulation and warp; none where a form was not measured."""
    modulation = () if sums.modulation is None else (sums.modulation,)
    return (sums.grid,), modulation, sums.warp


def _each_form(
    sums: SpectralSums, ask: Callable[[Sequence[SynchronousSums]], Tensor], otherwise: float | bool
) -> Forms:
    """What the relations of each form say; `otherwise` where it was not measured."""
    dtype = torch.bool if isinstance(otherwise, bool) else sums.contrast.dtype
    answers = [
        ask(relations) if relations else torch.full_like(sums.contrast, otherwise, dtype=dtype)
        for relations in _relations(sums)
    ]
    return Forms(*answers)


def _likely(sums: SpectralSums, stripes: tuple[Tensor, ...], period: int) -> Forms:
    """Which forms are like a lattice, though they may be chance."""
    likely = _each_form(sums, like_a_lattice, False)
    grid, warp = likely.grid, likely.warp
    if stripes:
        across = [sums.grid.selected(~along.to(grid.device)) for along in stripes]
        grid = grid & torch.stack([significant([one]) for one in across]).all(0)
        warp = warp & (torch.stack([evidence([axis]) for axis in sums.warp]).amin(0) > MIN_EVIDENCE_PER_AXIS)
    if period > LONG_PERIOD:
        warp = warp & like_a_lattice(sums.warp, prominence=LONG_PERIOD_PROMINENCE)
    return Forms(grid, likely.modulation, warp)


def _errors(sums: SpectralSums) -> tuple[Forms, Tensor]:
    """Standard errors of `powers_of`."""
    contrast, slopes = per_sample(sums)
    zero = torch.zeros_like(contrast)
    modulation = zero if sums.modulation is None else contrast * sums.modulation.error()
    by_axis = ((slopes[:, axis] * one.error()).square() for axis, one in enumerate(sums.warp))
    moved = total(by_axis, zero).sqrt()
    return Forms(sums.grid.error(), modulation, _per_slope(moved, slopes)), moved


def _strengths(sums: SpectralSums, ratios: Forms) -> Forms:
    """Evidence beyond chance, added up over the real components of each form."""
    counts = (sum(one.chance.shape[1] for one in relations) for relations in _relations(sums))
    return Forms(*((ratio - 1).clamp_min(0) * count for ratio, count in zip(ratios, counts, strict=True)))


def _wiener_gains(ratios: Forms) -> Forms:
    """The share of each form's power that is no chance."""
    shares = zip(ratios, CHANCE_DISCOUNT, strict=True)
    # an evidence of next to nothing is all chance, and no division by zero
    return Forms(*((1 - of_chance / ratio.clamp_min(1e-9)).clamp_min(0) for ratio, of_chance in shares))


def _per_slope(moved: Tensor, slopes: Tensor) -> Tensor:
    """Squared displacement from the squared difference that it makes; none where there is no slope."""
    return moved / slopes.sum(1).clamp_min(1e-12)
