"""Repair sites in real forward passes, one or several at a time, and measure what is left of the output's artifact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from artifactlab.capture import Key, Visit, watch
from artifactlab.effects import effect_of
from artifactlab.evidence import lattice_period
from artifactlab.examples import EXAMPLES, window
from artifactlab.records import Effect, JointStep, Site, Window
from artifactlab.repair import repair, without_lattice
from artifactlab.runner import Call, Runner
from artifactlab.severity import VISIBLE, Severity, measure_severity, pool
from artifactlab.verdicts import adds_enough


@dataclass(frozen=True)
class Trial:
    """What repairing some sites does."""

    severity: Severity
    """of the outputs then"""
    changes: list[Tensor]
    """for the first calls, (H, W): how far each pixel of their first image moves, in fractions of the data range"""
    windows: list[Window]
    """for the same, the repaired output where it moves most"""


class Trials:
    """Repeats the forward passes of a diagnosis with sites repaired."""

    def __init__(
        self,
        runner: Runner,
        calls: Sequence[Call],
        outputs: Sequence[Tensor],
        before: Severity,
        period: tuple[int, int],
        data_range: float,
        passed: Callable[[], None],
    ) -> None:
        self.runner, self.calls, self.outputs, self.before = runner, calls, outputs, before
        self.period, self.data_range = period, data_range
        self.passed = passed
        """called after every forward pass"""

    def repaired(self, sites: Sequence[Site]) -> Trial:
        """Every input again, with these sites repaired."""
        severities: list[Severity] = []
        changes: list[Tensor] = []
        windows: list[Window] = []
        for call, original in zip(self.calls, self.outputs, strict=True):
            image = repaired_output(self.runner, call, sites)
            severities.append(measure_severity(image, self.period, self.data_range))
            if len(changes) < EXAMPLES:
                changes.append((image[0].cpu().float() - original[0].float()).abs().mean(0) / self.data_range)
                windows.append(window(image[0], changes[-1]))
            self.passed()
        return Trial(pool(severities), changes, windows)


def repaired_output(runner: Runner, call: Call, sites: Sequence[Site]) -> Tensor:
    """The model's output on one input with these sites repaired, all else as it is.

    Logits have no bounds, and a repair of them draws stripes along a mask's edge. Where a sigmoid or the like is all
    that follows, the lattice is taken out behind it.
    """
    keys = frozenset[Key]().union(*(site.keys for site in sites))
    behind: set[Key] = set()
    bounded = {key: site for site in sites if site.followed_by == "bounding" for key in site.keys}

    def visit(visited: Visit) -> Tensor | None:
        if visited.key in bounded and not visited.growth.nearest:
            behind.add(visited.key)
            return None
        return repair(visited.growth) if visited.key in keys else None

    with watch(runner.model, visit):
        image = runner.run(call)
    for period in sorted({lattice_period(bounded[key].period) for key in behind}):
        image = without_lattice(image, period)
    return image


def repair_together(
    trials: Trials, sites: Sequence[Site], alone: Sequence[Trial], effects: Sequence[Effect], seed: int
) -> tuple[JointStep, ...]:
    """Repair sites on top of each other, greedily, until the output shows nothing or no further site helps.

    Args:
        trials: runs the passes.
        sites: all of them.
        alone: what repairing each alone did.
        effects: the same, as effects; only sites that surely help alone are tried, in this order.
        seed: of the intervals.
    """
    left = trials.before
    whole = sum(left.together())
    steps: list[JointStep] = []
    taken: list[Site] = []
    for i in sorted(range(len(sites)), key=lambda i: -effects[i].value):
        if (effects[i].low or 0.0) <= 0:
            continue
        if sum(left.together()) < VISIBLE:
            break
        after = trials.repaired([*taken, sites[i]]).severity if taken else alone[i].severity
        adds = effect_of(left, after, seed)
        if adds_enough(adds, sum(left.together()), whole):
            left = after
            taken.append(sites[i])
            steps.append(JointStep(sites[i].key, adds, sum(left.together())))
    return tuple(steps)
