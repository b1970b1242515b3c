"""From numbers in pairs to better, worse or cannot tell, for one metric and for several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from artifactlab.effects import CONFIDENCE
from artifactlab.measures import METRICS
from artifactlab.metrics.visible import COARSE_GRID, VISIBLE_GRID, VISIBLE_STEPS, visible_grid
from artifactlab.paired import bootstrap_interval, half_sample_interval
from artifactlab.saved import SavedDiagnosis
from artifactlab.severity import VISIBLE

MIN_CHANGED = 5
"""images whose score must have changed; below that no interval of `benchmarks/compare.py` keeps what it says"""
MIN_CROPS = 8
"""likewise, crops of a diagnosis: one output of 192 pixels has nine"""
SAME_EVERYWHERE = "it is the same in every image"
SAME = 1e-4
"""of the largest score: what two machines may differ by on the same image"""
FINEST = 2
"""period of the finest grid, which takes most to be seen"""

Change = Literal["better", "worse", "cannot tell"]
SHOWN = {
    "severity": ("just shows at 1", VISIBLE),
    "lattice_amplitude": ("fraction of the data range", VISIBLE_GRID),
    "edge_jaggedness": ("pixels", VISIBLE_STEPS),
}
"""what is compared of diagnoses: unit, and from where on it shows"""


@dataclass(frozen=True)
class MetricComparison:
    """What became of one number."""

    name: str
    """of the metric"""
    unit: str
    """what the numbers are in"""
    better: Literal["lower", "higher"]
    """which way is better"""
    before: float | None
    """mean over the pairs; None where there is no pair"""
    after: float | None
    """likewise"""
    change: float | None
    """mean of after - before, where what two machines may differ by counts as nothing"""
    low: float | None
    """lower end of the interval of `change`; None where there are too few pairs for one"""
    high: float | None
    """upper end"""
    pairs: int
    """images, or crops of a diagnosis, that it was measured in before and after"""
    left_out: int
    """images without this score in either"""
    verdict: Change
    """better or worse where the interval holds no 0"""
    reason: str | None
    """why it cannot be told, None where it can"""


def score_change(
    name: str, pairs: Sequence[tuple[float | None, float | None]], confidence: float, seed: int
) -> MetricComparison:
    """One score of images in pairs; those without it are left out."""
    known = np.array([pair for pair in pairs if None not in pair], np.float64).reshape(-1, 2)
    metric = METRICS[name]
    assert metric.better is not None, "compare offers no others"
    empty = MetricComparison(
        name, metric.unit, metric.better, None, None, None, None, None, 0, len(pairs), "cannot tell", ""
    )
    if not len(known):
        return replace(empty, reason="no image has this score in both")
    changes = known[:, 1] - known[:, 0]
    changes[np.abs(changes) <= SAME * np.abs(known).max()] = 0
    means = known.mean(0)
    compared = replace(
        empty,
        before=float(means[0]),
        after=float(means[1]),
        change=float(changes.mean()),
        pairs=len(known),
        left_out=len(pairs) - len(known),
    )
    changed = int((changes != 0).sum())
    if not changed:
        return replace(compared, reason=SAME_EVERYWHERE)
    if changed < MIN_CHANGED:
        return replace(compared, reason=f"it changed in {changed} of {len(known)} images, {MIN_CHANGED} are needed")
    judged = _judged(compared, bootstrap_interval(changes, confidence, seed))
    return _if_it_shows(judged, float(known.max()), SHOWN[name][1] if name in SHOWN else 0.0)


def crop_change(name: str, before: SavedDiagnosis, after: SavedDiagnosis, confidence: float) -> MetricComparison:
    """One number of two diagnoses, on the same halves of their crops."""
    was, now, crops = before.output[name], after.output[name], before.config["crops"]
    unit = SHOWN[name][0]
    compared = MetricComparison(name, unit, "lower", was, now, now - was, None, None, crops, 0, "cannot tell", None)
    changes = _halves(after)[name] - _halves(before)[name]
    if crops < MIN_CROPS or not changes.size:
        return replace(compared, reason=f"{crops} crops of outputs, {MIN_CROPS} are needed: give more or larger inputs")
    if abs(now - was) <= SAME * max(abs(now), abs(was)):
        return replace(compared, change=0.0, reason="it is the same")
    judged = _judged(compared, half_sample_interval(now - was, changes, crops, confidence))
    larger = max(before, after, key=lambda side: side.output[name])
    return _if_it_shows(judged, larger.output[name], _just_shows(larger)[name])


def _halves(side: SavedDiagnosis) -> dict[str, Any]:
    """What the halves show, in the units of `SHOWN`."""
    grid, steps, unit = np.array(side.grid), np.array(side.steps), _just_shows(side)
    return {
        "severity": grid + steps,
        "lattice_amplitude": np.sqrt(grid.clip(0)) * unit["lattice_amplitude"],
        "edge_jaggedness": np.sqrt(steps.clip(0)) * unit["edge_jaggedness"],
    }


def _just_shows(side: SavedDiagnosis) -> dict[str, float]:
    """What each number is where it just shows; of a grid it depends on its periods, which its severity knows."""
    output, known = side.output, {name: visible for name, (_, visible) in SHOWN.items()}
    grid = output["severity"] - (output["edge_jaggedness"] / VISIBLE_STEPS) ** 2
    if grid <= 0:
        return known
    visible = output["lattice_amplitude"] / math.sqrt(grid)
    # a difference of two severities says little of the one that is hardly there
    return {**known, "lattice_amplitude": min(max(visible, COARSE_GRID), visible_grid(FINEST))}


def _judged(compared: MetricComparison, interval: tuple[float, float]) -> MetricComparison:
    """With its interval, and better or worse where that holds no 0."""
    low, high = interval
    if low <= 0 <= high:
        return replace(compared, low=low, high=high, reason="the interval holds no change, too")
    verdict: Change = "better" if (high < 0) == (compared.better == "lower") else "worse"
    return replace(compared, low=low, high=high, verdict=verdict, reason=None)


def _if_it_shows(judged: MetricComparison, largest: float, visible: float) -> MetricComparison:
    """A difference that nobody can see, before or after, is neither a cure nor a regression."""
    if largest >= visible:
        return judged
    return replace(judged, verdict="cannot tell", reason=f"it shows in neither, for which it takes {visible:.2g}")


def overall(metrics: Sequence[MetricComparison]) -> Change:
    """What got worse weighs more: a remedy must not cost anything."""
    verdicts = {metric.verdict for metric in metrics}
    return "worse" if "worse" in verdicts else "better" if "better" in verdicts else "cannot tell"


def sentence(deciding: Sequence[MetricComparison], every: Sequence[MetricComparison]) -> str:
    """The verdict with its numbers, and what else went the other way."""
    verdict = overall(deciding)
    if verdict == "cannot tell":
        return f"Cannot tell: {_why_not(deciding)}."
    others: dict[Change, Change] = {"better": "worse", "worse": "better"}
    text = f"{verdict.capitalize()}: " + ", ".join(_moved(metric) for metric in deciding if metric.verdict == verdict)
    against = [_moved(metric) for metric in every if metric.verdict == others[verdict]]
    together = f" The intervals hold for all {len(deciding)} metrics at once." if len(deciding) > 1 else ""
    return text + (f"; but {', '.join(against)}" if against else "") + "." + together


def _why_not(metrics: Sequence[MetricComparison]) -> str:
    """Why there is no verdict; chance is named only where it was asked."""
    if len(metrics) == 1:
        return f"{_moved(metrics[0])}: {metrics[0].reason}"
    reasons = {metric.reason for metric in metrics}
    if len(reasons) == 1:
        return f"of each of the {len(metrics)} metrics, {reasons.pop()}"
    if any(metric.low is not None for metric in metrics):
        return f"none of the {len(metrics)} metrics changed by more than chance would have it, and shows"
    return f"too few images changed in any of the {len(metrics)} metrics, {MIN_CHANGED} are needed"


def figures(value: float, sign: str = "") -> str:
    """Three figures, at most four decimals, and no exponent; `+` as the sign shows it in any case but for nothing."""
    text = f"{value:{sign}.0f}" if abs(value) >= 100 else f"{value:{sign}.3g}" if abs(value) >= 0.001 else ""
    text = text or f"{value:{sign}.4f}"
    return "0" if float(text) == 0 else text


def _moved(metric: MetricComparison) -> str:
    """From where to where."""
    if metric.change is None or metric.before is None or metric.after is None:
        return metric.name
    way = "fell" if metric.change < 0 else "rose" if metric.change > 0 else "stayed"
    ends = figures(metric.before), figures(metric.after)
    if metric.change and ends[0] == ends[1]:
        ends = f"{metric.before:.6g}", f"{metric.after:.6g}"
    text = f"{metric.name} {way} from {ends[0]} to {ends[1]}"
    if metric.low is None or metric.high is None:
        return text
    least, most = sorted((-metric.low, -metric.high)) if metric.change < 0 else (metric.low, metric.high)
    interval = f"{CONFIDENCE:.0%} interval {figures(least)} to {figures(most)}"
    return f"{text} (by {figures(abs(metric.change))}, {interval})"
