"""Gates chosen from images that are good and images that are bad, for as many false alarms as are wanted.

A threshold is the b-th worst score of n good images: of another such image, the chance to be worse is b / (n + 1),
whatever the scores' distribution (they are exchangeable; Vovk, Gammerman and Shafer 2005, "Algorithmic Learning in a
Random World"). Several gates share what is wanted: the chance that one of them fails is at most the sum.

Nobody judges what they have made. A quarter of the good images and half of the bad ones say which metrics get which
share; half of the good ones set the thresholds; the others are counted. Where one half chose metrics and thresholds, it
took those whose worst good score was low by chance: 1.6% false alarms for 1% that were wanted.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from artifactlab.attribution.repair.effects import CONFIDENCE
from artifactlab.comparing.intervals import share_interval
from artifactlab.errors import InputError
from artifactlab.scoring.gate_files import gates_toml
from artifactlab.scoring.gates import Gate
from artifactlab.scoring.measures import METRICS
from artifactlab.scoring.score_report import ImageScore, ScoreReport

FIGURES = 4
"""Figures of a threshold: machines differ by some 1e-4 of a score (`changes.SAME`), so that more would say nothing."""
WAYS: dict[str, tuple[str, str]] = {"lower": (">", ROUND_CEILING), "higher": ("<", ROUND_FLOOR)}
"""How a gate compares by which way its metric gets better, and to which side its threshold may be rounded."""


@dataclass(frozen=True)
class Share:
    """How many of the images that were counted a condition holds for."""

    count: int
    """Images it holds for."""
    images: int
    """Images that were counted."""

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share of all such images lies, see `share_interval`."""
        return share_interval(self.count, self.images, CONFIDENCE)


@dataclass(frozen=True)
class CalibratedGate:
    """A gate, and what it does alone."""

    gate: Gate
    """The condition that no image may meet."""
    caught: Share
    """Bad images that meet it."""
    accused: Share
    """Good images that meet it."""


@dataclass(frozen=True)
class Calibration:
    """The result of `calibrate`."""

    gates: tuple[CalibratedGate, ...]
    """The gates, at most one on a metric; that which catches the most first."""
    caught: Share
    """Bad images that meet any of them, among those that had no say in choosing."""
    accused: Share
    """Good images that meet any of them, likewise."""
    false_alarms: float
    """The share of good images that was wanted at most."""
    left_out: tuple[str, ...]
    """Metrics that no gate can be on, as some good image has no score in them."""

    def to_toml(self) -> str:
        """The text of a file for `score --gates`."""
        told: dict[str, str | int | float] = {"false_alarms": self.false_alarms, "confidence": CONFIDENCE}
        for name, share in (("caught", self.caught), ("accused", self.accused)):
            low, high = share.interval
            told |= {name: share.count, f"{name}_of": share.images, f"{name}_low": low, f"{name}_high": high}
        return gates_toml([chosen.gate for chosen in self.gates], told)


def calibrate(good: ScoreReport, bad: ScoreReport, false_alarms: float = 0.01, seed: int = 0) -> Calibration:
    """Choose gates that catch bad images and accuse at most a share of good ones, and count what they do on others.

    Args:
        good: scores of images that no gate should fail on.
        bad: scores of images that one should, in the same metrics.
        false_alarms: share of good images that may be accused, between 0 and 1.
        seed: of which images choose, which set thresholds, and which are counted.

    Returns:
        The gates, and how many they catch and accuse of images that had no say in choosing them.

    Raises:
        InputError: if there are too few images for that share, the metrics differ, none of them says which way is
            better and has a score for every good image, or none tells bad from good.

    >>> def report(scores):
    ...     rows = tuple(ImageScore(f"{n}.png", {"severity": x}, None) for n, x in enumerate(scores))
    ...     return ScoreReport(rows, {}, None, {"metrics": ["severity"]})
    >>> found = calibrate(report([n / 200 for n in range(200)]), report([2.0] * 20), false_alarms=0.05)
    >>> found.caught
    Share(count=10, images=10)
    >>> found.accused.count <= 10
    True
    """
    _refuse_unlike(good, bad, false_alarms)
    clean, faulty = _shuffled(good, seed), _shuffled(bad, seed)
    _refuse_too_few(len(clean), len(faulty), false_alarms)
    metrics = [name for name in good.config["metrics"] if METRICS[name].better is not None]
    usable = _usable(metrics, clean)
    setting, choosing, counted = clean[::2], clean[1::4], clean[3::4]
    bad_choosing, bad_counted = faulty[::2], faulty[1::2]
    shares = _allocated(choosing, bad_choosing, usable, _budget(len(setting), false_alarms))
    gates = [_gate(name, setting, share) for name, share in shares.items()]
    gates.sort(key=lambda gate: -_share(bad_choosing, [gate]).count)
    return Calibration(
        gates=tuple(CalibratedGate(gate, _share(bad_counted, [gate]), _share(counted, [gate])) for gate in gates),
        caught=_share(bad_counted, gates),
        accused=_share(counted, gates),
        false_alarms=false_alarms,
        left_out=tuple(name for name in metrics if name not in usable),
    )


class _Budget(NamedTuple):
    """What may be spent on false alarms: each share is a chance of 1 / (images + 1)."""

    shares: int
    images: int


def _budget(images: int, false_alarms: float) -> _Budget:
    """How often 1 / (images + 1) goes into what is wanted; 0.01 * 100 is no 1 in binary, but it is meant."""
    return _Budget(math.floor(false_alarms * (images + 1) * (1 + 1e-9)), images)


def images_needed(false_alarms: float) -> int:
    """Good images that it takes: half of them set thresholds, and n give some for a chance of one in n + 1.

    >>> images_needed(0.01)
    197
    """
    return max(4, 2 * (math.ceil(1 / false_alarms * (1 - 1e-9)) - 1) - 1)


def _shuffled(report: ScoreReport, seed: int) -> list[ImageScore]:
    """The images that have scores, in an order by chance: neighbours in a folder are often alike."""
    known = [image for image in report.images if image.error is None]
    random.Random(seed).shuffle(known)
    return known


def _usable(metrics: Sequence[str], good: Sequence[ImageScore]) -> list[str]:
    """The metrics that every good image has: `score` refuses an image without a score that a gate asks for."""
    usable = [name for name in metrics if all(image.scores[name] is not None for image in good)]
    if not usable:
        raise InputError(
            f"no gate can be on {', '.join(metrics) or 'these metrics'}, as some good images have no score in them:"
            " leave those out, or name other metrics with --metric / metrics="
        )
    return usable


def _allocated(
    good: Sequence[ImageScore], bad: Sequence[ImageScore], metrics: Sequence[str], budget: _Budget
) -> dict[str, int]:
    """How many shares each metric's gate gets: again and again what catches most more bad images for a share."""
    caught = {name: _caught(_badness(name, good), _badness(name, bad), budget) for name in metrics}
    given = dict.fromkeys(metrics, 0)
    found = np.zeros(len(bad), bool)
    while left := budget.shares - sum(given.values()):
        gains = {
            (name, more): np.count_nonzero(caught[name][given[name] + more - 1] & ~found) / more
            for name in metrics
            for more in range(1, left + 1)
        }
        (name, more), gain = max(gains.items(), key=lambda item: item[1])  # the first of equal ones: few shares
        if not gain:
            break
        given[name] += more
        found |= caught[name][given[name] - 1]
    if not found.any():
        raise InputError("none of the metrics is worse in the bad images than in the worst of the good ones")
    return {name: shares for name, shares in given.items() if shares}


def _caught(good: NDArray[np.float64], bad: NDArray[np.float64], budget: _Budget) -> NDArray[np.bool_]:
    """(shares, bad): whether a gate of one metric that takes 1, 2, ... shares of the budget catches each bad image."""
    chances = np.arange(1, budget.shares + 1) / (budget.images + 1)
    thresholds = np.quantile(good, 1 - chances, method="weibull")  # whose ranks are those of the module's docstring
    return np.asarray(bad > thresholds[:, None])


def _badness(name: str, images: Sequence[ImageScore]) -> NDArray[np.float64]:
    """The scores of a metric, larger where an image is worse; what cannot be told meets no gate."""
    sign = -1.0 if METRICS[name].better == "higher" else 1.0
    scores = (image.scores[name] for image in images)
    return np.array([-math.inf if score is None else sign * score for score in scores])


def _gate(name: str, good: Sequence[ImageScore], shares: int) -> Gate:
    """The gate at that worst score, in few figures, to the side on which it accuses no more."""
    way, rounding = WAYS[METRICS[name].better or "lower"]
    worst = float(np.sort(_badness(name, good))[-shares])
    score = Decimal(worst if way == ">" else -worst)
    return Gate(name, way, float(Context(prec=FIGURES, rounding=rounding).create_decimal(score)))


def _fails(gate: Gate, image: ImageScore) -> bool:
    return gate.fails(image.scores[gate.metric])


def _share(images: Sequence[ImageScore], gates: Sequence[Gate]) -> Share:
    caught = [image for image in images if any(_fails(gate, image) for gate in gates)]
    return Share(len(caught), len(images))


def _refuse_unlike(good: ScoreReport, bad: ScoreReport, false_alarms: float) -> None:
    if not 0 < false_alarms < 1:
        raise InputError(
            f"false_alarms must lie between 0 and 1, such as 0.01 for one in a hundred; got {false_alarms}"
        )
    if good.config["metrics"] != bad.config["metrics"]:
        both = [", ".join(report.config["metrics"]) for report in (good, bad)]
        raise InputError(f"good and bad images must be scored in the same metrics; got {both[0]} and {both[1]}")


def _refuse_too_few(good: int, bad: int, false_alarms: float) -> None:
    needed = images_needed(false_alarms)
    if good < needed:
        possible = f", or --false-alarms {_possible(good)} / false_alarms=, which these do for" if good >= 4 else ""
        raise InputError(
            f"{false_alarms:.3g} of good images as false alarms takes {needed} good images, half of them to set the"
            f" thresholds; got {good} that could be scored: give more{possible}"
        )
    if bad < 2:
        raise InputError(f"it takes 2 bad images, one to choose the gates and one to count; got {bad}: give more")


def _possible(good: int) -> float:
    """The least share that so many good images do for, in two figures."""
    return float(Context(prec=2, rounding=ROUND_CEILING).create_decimal(Decimal(1 / ((good + 1) // 2 + 1))))
