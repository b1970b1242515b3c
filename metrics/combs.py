"""Combs of lines at a fixed spacing, and whether one stands out of a profile of line strengths.

Lines that known lattices explain are taken off first: of a whole spacing what is left of its multiples may be a comb,
of a spacing that is no whole number of pixels nothing is looked for that keeps step with it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

LARGEST_SHARE = 3
"""Number of lines that a comb must have room for. Two have only one spacing, which repeats nothing (docs/decisions.md,
"Seams against the same lines in another order")."""
SMALLEST_PERIOD = 5
"""Shortest period that is looked for, in pixels; a shorter comb is a grid, which `checkerboard_energy` measures."""
BORDER = 3
"""Number of pixels at the image's start that count as no line; at its end they are one fewer. On either side that is
one more than have no step of their own (docs/decisions.md, "Seams against the same lines in another order")."""
MAX_DEVIATIONS = 6.0
"""Robust deviations of the profile up to which a line counts, so that no single one makes a comb: one of three lines
gives 3.5 standard errors then, less than `seams.CERTAIN`."""
QUIETEST = 0.03
"""Smallest robust deviation of a profile that is believed, in octaves: 2% of a step. A smaller one, of images that are
nearly flat, would make lines of what is rounding."""
MIN_SOURCE_STRENGTH = 3.0
"""Standard errors from which on a comb that stands out half as much in the inputs is theirs; below, it may be chance
there."""
PRESENT = 0.7
"""Share of a comb's lines that must stand out: seams are all along the image, and content may hide some of them."""
SHUFFLES = 300
"""Number of orders of the same lines that a comb is compared with: enough to tell whether one in a hundred holds as
strong a comb (docs/decisions.md, "Seams against the same lines in another order")."""
MOST_BY_CHANCE = 0.01
"""Largest share of these orders that may hold a comb as strong. Three lines of 256 are as far apart from each other
once in 160 orders, so that less would miss tiles of a third of the image (docs/decisions.md, "Seams against the same
lines in another order")."""
DRIFT = 1.0
"""Pixels by which a comb and the lines of a known spacing may come apart over the whole image, so that one explains the
other: a line is seen at the pixel nearest to it, half of one off either way."""


class Comb(NamedTuple):
    """Lines at `phase`, `phase + period`, ... pixels from the image's start."""

    period: int
    """Distance between its lines in pixels."""
    phase: int
    """Index of the first pixel after the first line."""
    strength: float
    """Standard errors by which its lines stand out in the weaker half of the evidence."""


def best_comb(
    halves: Sequence[Tensor], known: Collection[float], certain: float, source_profile: Tensor | None = None
) -> Comb | None:
    """The comb that stands out most, by the weaker half; None if none does enough, or all that do are the source's.

    Args:
        halves: two independent profiles of line strength, by position.
        known: spacings in pixels of lines that are explained.
        certain: standard errors by which a comb must stand out in each half.
        source_profile: the same of what the images were made from.
    """
    length = min(len(half) for half in halves)
    profiles = torch.stack([_standardised(half[:length], known) for half in halves])
    source = None if source_profile is None else _standardised(source_profile, ())[:length]
    best: Comb | None = None
    for period in _periods(length, known):
        strength = _strengths(profiles, period)
        if source is not None:
            own = _stands_out(source, period)
            strength = torch.where(own < (strength / 2).clamp_min(MIN_SOURCE_STRENGTH), strength, 0.0)
        phase = int(strength.argmax())
        if float(strength[phase]) > (best.strength if best else certain):
            best = Comb(period, phase, float(strength[phase]))
    return best if best and _beyond_chance(best.strength, profiles, known) else None


def _beyond_chance(strength: float, profiles: Tensor, known: Collection[float]) -> bool:
    """Whether hardly any comb stands out as much among the same lines in another order.

    Masks and blocky frames break at few places and nowhere else, which no deviation describes: three such lines of a
    hundred are soon as far apart as three others.
    """
    length = profiles.shape[1]
    order = torch.rand(SHUFFLES, length, generator=torch.Generator().manual_seed(0)).argsort(1).to(profiles.device)
    shuffled = profiles[:, order].transpose(0, 1)
    strongest = torch.stack([_strengths(shuffled, period).amax(-1) for period in _periods(length, known)]).amax(0)
    return float((strongest >= strength).double().mean()) <= MOST_BY_CHANCE


def _periods(length: int, known: Collection[float]) -> list[int]:
    """Those that a profile has room for and no known spacing explains."""
    candidates = range(SMALLEST_PERIOD, length // LARGEST_SHARE + 1)
    return [period for period in candidates if not any(_keeps_step(period, spacing, length) for spacing in known)]


def _keeps_step(period: int, spacing: float, length: int) -> bool:
    """Whether a known spacing has lines where a comb has them.

    A whole one explains its divisors; its multiples may be seams that are put on its lattice, and show when that is
    taken off. Of another one the sharpness of the lines beats with the pixels, so that only some of them stand out:
    there multiples are explained, too.
    """
    if spacing == round(spacing):
        return spacing % period == 0
    larger, smaller = max(period, spacing), min(period, spacing)
    apart = abs(larger - round(larger / smaller) * smaller)
    return apart * length / larger <= DRIFT


def _strengths(profiles: Tensor, period: int) -> Tensor:
    """`(..., period)`: how far each comb of a period stands out in the weaker of `(..., halves, positions)`."""
    strength = _stands_out(profiles, period).amin(-2)
    above = (profiles.sum(-2) > 1).to(profiles)
    present = _over_lines(above, period) / _lines_of(above, period)
    strength = torch.where(present >= PRESENT, strength, 0.0)
    strength[..., 0 if profiles.shape[-1] <= 2 * period else period :] = 0
    return strength


def _stands_out(profiles: Tensor, period: int) -> Tensor:
    """`(..., period)`: standard errors by which the mean of each comb's lines is above none."""
    return _over_lines(profiles, period) / _lines_of(profiles, period).sqrt()


def _lines_of(profiles: Tensor, period: int) -> Tensor:
    """How many lines each comb of a period has, `(period,)`."""
    return _over_lines(profiles.new_ones(profiles.shape[-1]), period)


def _over_lines(values: Tensor, period: int) -> Tensor:
    """Sums `(..., period)` over each comb's lines of `(..., positions)`; the image's own border is no line."""
    inside = F.pad(values[..., BORDER:], (BORDER, -values.shape[-1] % period))
    return inside.unflatten(-1, (-1, period)).sum(-2)


def _standardised(profile: Tensor, known: Collection[float]) -> Tensor:
    """The profile less what repeats with known spacings, in its own robust deviations; 0 at the border.

    No line counts more than `MAX_DEVIATIONS`.
    """
    for spacing in sorted(known):
        if len(profile) >= 2 * LARGEST_SHARE * spacing:
            profile = profile - _repeating(profile, spacing)
    profile = profile - profile.median()
    deviation = 1.4826 * profile.abs().median()
    lines = (profile / deviation.clamp_min(QUIETEST)).clamp(-MAX_DEVIATIONS, MAX_DEVIATIONS)
    # nothing is measured at the border; less what inputs show, most lines are below that nothing
    return F.pad(lines[BORDER : 1 - BORDER], (BORDER, BORDER - 1))


def _repeating(profile: Tensor, spacing: float) -> Tensor:
    """The median of a profile at each phase of a spacing, which need be no whole number, by position."""
    position = torch.arange(len(profile), dtype=torch.float64)
    # each is a pixel wide or a little less, so that a position is alone in it, line by line
    phases = math.ceil(spacing)
    line = torch.div(position, spacing, rounding_mode="floor").long().to(profile.device)
    phase = (position % spacing * (phases / spacing) + 1e-9).long().clamp_max(phases - 1).to(profile.device)
    lines = profile.new_full((int(line[-1]) + 1, phases), math.nan)
    lines[line, phase] = profile
    return lines.nanmedian(0).values[phase]
