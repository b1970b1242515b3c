"""From severities to effects: what a repair takes from the output's severity, with an interval."""

from __future__ import annotations

import torch
from torch import Tensor

from artifactlab.records import Effect
from artifactlab.severity import Severity

SAMPLES = 1000
CONFIDENCE = 0.9


def effect_of(before: Severity, after: Severity, seed: int) -> Effect:
    """The drop in severity, with an interval from half-samples where there are crops to leave out.

    The drop in a random half of the crops is as far from that in all of them as the latter is from the truth
    (McCarthy 1969, "Pseudo-replication: half samples"). Resampling with replacement would not do: an edge that is drawn
    twice keeps step with itself.
    """
    counts = _half_samples(before.grid.numel(), seed)
    (grid, steps), (grid_left, steps_left) = (severity.of(counts) for severity in (before, after))
    drop = (grid - grid_left) + (steps - steps_left)
    by_grid = abs(float(grid[0] - grid_left[0])) >= abs(float(steps[0] - steps_left[0]))
    return _effect(drop, float(grid[0] + steps[0]), counts, by_grid)


def _effect(drop: Tensor, total: float, counts: Tensor, by_grid: bool) -> Effect:
    """The first of the drops is the effect, those of half-samples make its interval."""
    value = float(drop[0])
    low = high = None
    if len(counts) > 1:
        tail = (1 - CONFIDENCE) / 2
        kept = counts[1].sum() / counts.shape[1]
        spread = (drop[1:] - drop[0]) * (kept / (1 - kept)).sqrt()
        low, high = (drop[0] - torch.quantile(spread, spread.new_tensor([1 - tail, tail]))).tolist()
    return Effect(value, low, high, value / total if total > 0 else None, "checkerboard" if by_grid else "stair-step")


def _half_samples(crops: int, seed: int) -> Tensor:
    """Which crops count (R, crops): all of them first, then a random half in each sample; a single crop has no half."""
    everything = torch.ones(1, crops)
    if crops == 1:
        return everything
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(SAMPLES, crops, generator=generator).argsort(1)
    halves = torch.zeros(SAMPLES, crops).scatter_(1, order[:, : crops // 2], 1.0)
    return torch.cat([everything, halves])


def effect_of_first_order(before: Severity, drops: Tensor, seed: int) -> Effect:
    """The effect behind first-order drops of severity (crops,), see `artifactlab.fast`."""
    counts = _half_samples(before.grid.numel(), seed)
    grid, steps = before.of(counts)
    total = (grid + steps).clamp_min(1e-6)
    share = (counts.to(drops) @ drops / counts.sum(1)).to(total) / (2 * total)
    drop = total * (2 * share - share.square()).where(share < 1, 1.0)
    return _effect(drop, float(total[0]), counts, by_grid=bool(grid[0] >= steps[0]))
