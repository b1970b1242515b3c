"""From severities to effects: what a repair takes from the output's severity, with an interval.

Severity counts stair-steps in pixels, as a displaced edge is seen however few edges there are. Sites are compared on
one and the same output, and there the displacement of faint edges must not outweigh a grid all over the picture. So
severity is shared out by energy: a repair that takes three quarters of the artifact's energy takes three quarters of
the severity.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from artifactlab.attribution.records import Effect
from artifactlab.scoring.severity import SILENT, VISIBLE, Artifact, Severity

CONFIDENCE = 0.9
"""Confidence level of all intervals."""
SAMPLES = 1000
"""Number of half-samples behind an interval; 50 lie beyond either end of one of 90%."""
# The four numbers below were chosen so that intervals hold the true effect as often as `CONFIDENCE` says on the
# development split of `benchmarks/planted.py`; see docs/decisions.md, "Intervals are for these inputs".
SAMPLING_WEIGHT = 0.5
"""Part of the half-samples' spread that counts: an effect is that on the given inputs, not on all there might be."""
REPAIR_ERROR_OF_EFFECT = 0.3
"""What repairs are off by, as a share of the effect itself."""
REPAIR_ERROR_OF_SEVERITY = 0.15
"""What repairs are off by, as a share of the output's severity, which other sites cause."""
REPAIR_ERROR_LEAST = 0.3
"""What repairs are off by in any case, in units of severity."""


def effect_of(before: Severity, after: Severity, seed: int) -> Effect:
    """The drop in severity, with an interval for what really removing the defect would do to the same inputs.

    The interval has two parts. Random halves of the crops tell a grid or steps from content that happens to look like
    them (McCarthy 1969, "Pseudo-replication: half samples"; resampling with replacement would not do: an edge drawn
    twice keeps step with itself). And a repair is not the real cure; how far it is off was measured.
    """
    was, now = _half_sampled(before, seed), _half_sampled(after, seed)
    by_grid = abs(float(was.grid[0] - now.grid[0])) >= abs(float(was.steps[0] - now.steps[0]))
    return _effect(_drop(was, now), float(was.severity[0]), by_grid)


def _drop(was: Artifact, now: Artifact) -> Tensor:
    """Severity (R,) that goes, by the part of the energy that goes; negative where there is more than before.

    The side with more of it says how much severity a unit of energy is, so that a repair that takes all of it takes
    the severity that was there, and one that draws all of it brings the severity that is there then. Not both sides:
    what is left may be finer and show less, and that is no reason to count less of what went.
    """
    energy = was.energy.clamp_min(0), now.energy.clamp_min(0)
    more = energy[0] >= energy[1]
    severity = torch.where(more, was.severity, now.severity).clamp_min(0)
    share = (was.energy - now.energy) / torch.maximum(*energy).clamp_min(SILENT)
    return severity * share.clamp(-1, 1)


@lru_cache(maxsize=4)  # the output as it is is compared with every repair of it
def _half_sampled(severity: Severity, seed: int) -> Artifact:
    """What all crops show, and then each random half of them."""
    return severity.of(half_samples(severity.crops, seed))


def effect_of_first_order(before: Severity, drops: Tensor, seed: int) -> Effect:
    """The effect behind first-order drops of severity (crops,), see `artifactlab.attribution.repair.first_order`.

    A repair that makes things worse, or an output that shows nothing, has no share to read off; there the first order
    is left as it is.
    """
    counts = half_samples(before.crops, seed)
    artifact = before.of(counts)
    total = artifact.severity
    linear = (counts.to(drops) @ drops / counts.sum(1)).to(total)
    share = (linear / (2 * total.clamp_min(VISIBLE))).clamp(0, 1)
    drop = (total * (2 * share - share.square())).where((linear > 0) & (total >= VISIBLE), linear / 2)
    return _effect(drop, float(total[0]), by_grid=bool(artifact.grid[0] >= artifact.steps[0]))


def _effect(drops: Tensor, total: float, by_grid: bool) -> Effect:
    """The first of the drops is the effect; those of half-samples, where there are any, belong to its interval."""
    value = float(drops[0])
    low = high = None
    if len(drops) > 1:
        tail = (1 - CONFIDENCE) / 2
        ends = torch.quantile(drops[1:], drops.new_tensor([tail, 1 - tail])).tolist()
        error = math.hypot(REPAIR_ERROR_OF_EFFECT * value, REPAIR_ERROR_OF_SEVERITY * total, REPAIR_ERROR_LEAST)
        low = value - math.hypot(SAMPLING_WEIGHT * max(0.0, value - ends[0]), error)
        high = value + math.hypot(SAMPLING_WEIGHT * max(0.0, ends[1] - value), error)
    share = value / total if total >= VISIBLE else None
    return Effect(value, low, high, share, "checkerboard" if by_grid else "stair-step")


def least_certain(severity: float) -> float:
    """The smallest effect that can accuse a site: the interval of any smaller one contains zero."""
    return math.hypot(REPAIR_ERROR_OF_SEVERITY * severity, REPAIR_ERROR_LEAST)


def half_samples(crops: int, seed: int, samples: int = SAMPLES) -> Tensor:
    """How often each crop counts (R, crops): once at first, then in a random half per sample; one crop has no half."""
    everything = torch.ones(1, crops)
    if crops == 1:
        return everything
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(samples, crops, generator=generator).argsort(1)
    halves = torch.zeros(samples, crops).scatter_(1, order[:, : crops // 2], 1.0)
    return torch.cat([everything, halves])
