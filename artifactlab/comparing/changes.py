"""From numbers in pairs to better, worse or cannot tell, for one metric and for several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from artifactlab.attribution.repair.effects import CONFIDENCE
from artifactlab.comparing.intervals import RESAMPLES, bootstrap_interval, half_sample_interval, unpaired_interval
from artifactlab.comparing.saved import SavedDiagnosis
from artifactlab.metrics.visible import COARSE_GRID, VISIBLE_GRID, VISIBLE_STEPS, visible_grid
from artifactlab.scoring.measures import METRICS
from artifactlab.scoring.severity import VISIBLE

MIN_CHANGED = 5
"""Images whose score must have changed: where 90% of changes are zero, no interval covers what it says before it has
seen some (`benchmarks/compare.py`; "Intervals of `compare`" in docs/decisions.md)."""
MIN_CROPS = 8
"""Crops that a diagnosis must have, for the same reason: one output of 192 pixels has nine."""
SAME_EVERYWHERE = "it is the same in every image"
SAME = 1e-4
"""Share of the largest score that two machines may differ by on the same image: float32 sums added in another order."""
FINEST = 2
"""Period of the finest grid, which takes most to be seen."""

Change = Literal["better", "worse", "cannot tell"]


class DiagnosisMetric(NamedTuple):
    """A number of a diagnosis that two are compared by."""

    unit: str
    """What the number is in."""
    visible: float
    """From where on it shows, see `metrics.visible`."""


DIAGNOSIS_METRICS = {
    "severity": DiagnosisMetric("just shows at 1", VISIBLE),
    "lattice_amplitude": DiagnosisMetric("fraction of the data range", VISIBLE_GRID),
    "edge_jaggedness": DiagnosisMetric("pixels", VISIBLE_STEPS),
}
"""What is compared of diagnoses."""
SHOWS_FROM = {**{name: metric.visible for name, metric in DIAGNOSIS_METRICS.items()}, "worst_window": VISIBLE}
"""From where on a score shows: as a diagnosis's number of the same name does. A metric that is next to 0 nearly
everywhere would else be called worse for a hundredth of what anyone sees."""


@dataclass(frozen=True)
class MetricComparison:
    """What became of one number."""

    name: str
    """Name of the metric."""
    unit: str
    """What the numbers are in."""
    better: Literal["lower", "higher"]
    """Which way is better."""
    before: float | None
    """Mean over the pairs before the remedy; None where there is no pair."""
    after: float | None
    """Mean over the pairs after the remedy; None where there is no pair."""
    change: float | None
    """Mean of after - before, where what two machines may differ by counts as nothing."""
    low: float | None
    """Lower end of the interval of `change`; None where there are too few pairs for one."""
    high: float | None
    """Upper end of the interval of `change`."""
    pairs: int
    """Number of images, or of crops of a diagnosis, that it was measured in before and after."""
    left_out: int
    """Number of images that lack this score before or after."""
    verdict: Change
    """Better or worse where the interval holds no 0 and the metric shows before or after."""
    reason: str | None
    """Why it cannot be told; None where it can."""


def score_change(
    name: str,
    pairs: Sequence[tuple[float | None, float | None]],
    confidence: float,
    seed: int,
    resamples: int = RESAMPLES,
) -> MetricComparison:
    """One score of images in pairs; those without it are left out."""
    known = np.array([pair for pair in pairs if None not in pair], np.float64).reshape(-1, 2)
    empty = _unjudged(name, len(pairs))
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
    judged = _with_interval(compared, bootstrap_interval(changes, confidence, seed, resamples))
    return _if_visible(judged, float(known.max()), _visible(name))


def group_change(
    name: str,
    before: Sequence[float | None],
    after: Sequence[float | None],
    confidence: float,
    seed: int,
    resamples: int = RESAMPLES,
) -> MetricComparison:
    """One score of two groups of images that have nothing to do with each other; those without it are left out."""
    was, now = (np.array([score for score in side if score is not None], np.float64) for side in (before, after))
    empty = _unjudged(name, len(before) + len(after))
    if not (was.size and now.size):
        return replace(empty, reason="no image has this score in one of them")
    change = float(now.mean() - was.mean())
    left_out = len(before) + len(after) - was.size - now.size
    means = float(was.mean()), float(now.mean())
    compared = replace(empty, before=means[0], after=means[1], change=change, left_out=left_out)
    everything = np.concatenate([was, now])
    usual = np.median(everything)
    unlike = int((np.abs(everything - usual) > SAME * np.abs(everything).max()).sum())
    if min(was.size, now.size) < MIN_CHANGED or unlike < MIN_CHANGED:
        least = min(was.size, now.size, unlike)
        return replace(compared, reason=f"too few images that differ ({least}), {MIN_CHANGED} are needed")
    judged = _with_interval(compared, unpaired_interval(was, now, confidence, seed, resamples))
    return _if_visible(judged, float(everything.max()), _visible(name))


def _unjudged(name: str, left_out: int) -> MetricComparison:
    """The comparison before anything is known."""
    metric = METRICS[name]
    assert metric.better is not None, "compare offers no others"
    return MetricComparison(
        name, metric.unit, metric.better, None, None, None, None, None, 0, left_out, "cannot tell", ""
    )


def _visible(name: str) -> float:
    """From where on a score shows; 0 where that is not known."""
    return SHOWS_FROM.get(name, 0.0)


def crop_change(name: str, before: SavedDiagnosis, after: SavedDiagnosis, confidence: float) -> MetricComparison:
    """One number of two diagnoses, on the same halves of their crops."""
    was, now = before.output[name], after.output[name]
    crops, unit = before.config["crops"], _unit(name, directions=len(before.config["period"]))
    compared = MetricComparison(name, unit, "lower", was, now, now - was, None, None, crops, 0, "cannot tell", None)
    changes = _half_samples(after)[name] - _half_samples(before)[name]
    if crops < MIN_CROPS or not changes.size:
        return replace(compared, reason=f"{crops} crops of outputs, {MIN_CROPS} are needed: give more or larger inputs")
    if abs(now - was) <= SAME * max(abs(now), abs(was)):
        return replace(compared, change=0.0, reason="it is the same")
    judged = _with_interval(compared, half_sample_interval(now - was, changes, crops, confidence))
    larger = max(before, after, key=lambda side: side.output[name])
    return _if_visible(judged, larger.output[name], _just_visible(larger)[name])


def _unit(name: str, directions: int) -> str:
    """What a number of a diagnosis is in; displacements are in what outputs are made of."""
    unit = DIAGNOSIS_METRICS[name].unit
    return {1: "samples", 3: "pixels or voxels"}.get(directions, unit) if unit == "pixels" else unit


def _half_samples(side: SavedDiagnosis) -> dict[str, NDArray[np.float64]]:
    """The numbers of random halves of the crops, in the units of `DIAGNOSIS_METRICS`."""
    grid, steps, unit = np.array(side.grid), np.array(side.steps), _just_visible(side)
    return {
        "severity": grid + steps,
        "lattice_amplitude": np.sqrt(grid.clip(0)) * unit["lattice_amplitude"],
        "edge_jaggedness": np.sqrt(steps.clip(0)) * unit["edge_jaggedness"],
    }


def _just_visible(side: SavedDiagnosis) -> dict[str, float]:
    """From where on each number shows; of a grid that depends on its periods, which its severity knows."""
    known = {name: metric.visible for name, metric in DIAGNOSIS_METRICS.items()}
    if len(side.config["period"]) == 1:
        return known | _just_heard(side)
    grid = side.output["severity"] - (side.output["edge_jaggedness"] / VISIBLE_STEPS) ** 2
    if grid <= 0:
        return known
    visible = side.output["lattice_amplitude"] / math.sqrt(grid)
    # a difference of two severities says little of the one that is hardly there
    return {**known, "lattice_amplitude": min(max(visible, COARSE_GRID), visible_grid(FINEST))}


def _just_heard(side: SavedDiagnosis) -> dict[str, float]:
    """The same of a signal, in which it depends on what surrounds a tone: read off the severity of each number."""
    parts = {"lattice_amplitude": side.grid, "edge_jaggedness": side.steps}
    severities = {name: float(np.mean(halves)) for name, halves in parts.items() if halves}
    return {name: side.output[name] / math.sqrt(found) for name, found in severities.items() if found > 0}


def _with_interval(compared: MetricComparison, interval: tuple[float, float]) -> MetricComparison:
    """The comparison with its interval, and better or worse where that holds no 0."""
    low, high = interval
    if low <= 0 <= high:
        return replace(compared, low=low, high=high, reason="the interval holds no change, too")
    verdict: Change = "better" if (high < 0) == (compared.better == "lower") else "worse"
    return replace(compared, low=low, high=high, verdict=verdict, reason=None)


def _if_visible(judged: MetricComparison, largest: float, visible: float) -> MetricComparison:
    """A difference that nobody can see, before or after, is neither a cure nor a regression."""
    if largest >= visible:
        return judged
    return replace(judged, verdict="cannot tell", reason=f"it shows in neither, for which it takes {visible:.2g}")


def overall(metrics: Sequence[MetricComparison]) -> Change:
    """What got worse weighs more: a remedy must not cost anything."""
    verdicts = {metric.verdict for metric in metrics}
    by_weight: tuple[Change, ...] = ("worse", "better")
    return next((verdict for verdict in by_weight if verdict in verdicts), "cannot tell")


def verdict_text(deciding: Sequence[MetricComparison], every: Sequence[MetricComparison]) -> str:
    """The verdict with its numbers, and what else went the other way."""
    verdict = overall(deciding)
    if verdict == "cannot tell":
        return f"Cannot tell: {_reason_text(deciding)}."
    others: dict[Change, Change] = {"better": "worse", "worse": "better"}
    reasons = [_change_text(metric) for metric in deciding if metric.verdict == verdict]
    text = f"{verdict.capitalize()}: {', '.join(reasons)}"
    against = [_change_text(metric) for metric in every if metric.verdict == others[verdict]]
    together = f" The intervals hold for all {len(deciding)} metrics at once." if len(deciding) > 1 else ""
    return text + (f"; but {', '.join(against)}" if against else "") + "." + together


def _reason_text(metrics: Sequence[MetricComparison]) -> str:
    """Why there is no verdict; chance is named only where it was asked."""
    if len(metrics) == 1:
        return f"{_change_text(metrics[0])}: {metrics[0].reason}"
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


def _change_text(metric: MetricComparison) -> str:
    """The mean before and after, and the interval of the change."""
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
