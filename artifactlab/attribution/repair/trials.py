"""Repair sites in real forward passes, one or several at a time, and measure what is left of the output's artifact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from artifactlab.attribution.records import Effect, JointStep
from artifactlab.attribution.repair.effects import effect_of
from artifactlab.attribution.repair.lattice_removal import repair, without_lattice
from artifactlab.attribution.sites.records import Site, SiteKey
from artifactlab.attribution.sites.visits import Visit
from artifactlab.attribution.sites.watch import watch
from artifactlab.attribution.verdicts import adds_enough
from artifactlab.attribution.windows import Window, examples_of, kept_map, window
from artifactlab.errors import ModelError
from artifactlab.models.calls import Call
from artifactlab.models.runner import Runner
from artifactlab.scoring.periods import lattice_period
from artifactlab.scoring.severity import VISIBLE, Severity, measure_severity, pool


@dataclass(frozen=True)
class Trial:
    """What repairing some sites does."""

    severity: Severity
    """What the outputs show when the sites are repaired."""
    changes: list[Tensor]
    """(*space) for each of the first calls: how far the repair moves each pixel of the first image, as a fraction of
    the data range."""
    windows: list[Window]
    """The repaired output of each of the first calls where the repair moves it most."""


class Trials:
    """Repeats the forward passes of a diagnosis with sites repaired; inputs may be added, and nothing is run twice."""

    def __init__(
        self, runner: Runner, period: tuple[int, ...], data_range: float, on_pass: Callable[[], None] = lambda: None
    ) -> None:
        self.runner, self.period, self.data_range = runner, period, data_range
        self.on_pass = on_pass
        """Called after every forward pass."""
        self.calls: list[Call] = []
        self.outputs: list[Tensor] = []
        self.severities: list[Severity] = []
        """What each output shows as it is."""
        self._known: dict[frozenset[Site], _Repaired] = {}

    def add(self, call: Call, output: Tensor) -> None:
        """One more input, and the output as it is."""
        self.calls.append(call)
        self.outputs.append(output)
        self.severities.append(measure_severity(output, self.period, self.data_range))
        self._before = pool(self.severities)

    @property
    def before(self) -> Severity:
        """What the outputs show as they are."""
        return self._before

    def repaired(self, sites: Sequence[Site]) -> Trial:
        """Every input again, with these sites repaired."""
        known = self._known.setdefault(frozenset(sites), _Repaired())
        for number in range(len(known.severities), len(self.calls)):
            image = repaired_output(self.runner, self.calls[number], sites)
            _refuse_other_size(image, self.outputs[number])
            if number < examples_of(image):
                before = self.outputs[number][0].float()
                change = (image[0].cpu().float() - before).abs().mean(0) / self.data_range
                known.changes.append(kept_map(change))
                known.windows.append(window(image[0], change))
            known.severities.append(measure_severity(image, self.period, self.data_range))
            self.on_pass()
        return Trial(pool(known.severities), list(known.changes), list(known.windows))


def _refuse_other_size(image: Tensor, before: Tensor) -> None:
    if image.shape != before.shape:
        raise ModelError(
            f"the model's output was {tuple(before.shape)} and is {tuple(image.shape)} for the same input; passes can"
            " be compared only where the size follows from the input"
        )


@dataclass
class _Repaired:
    """What is known of one choice of sites, input by input."""

    severities: list[Severity] = field(default_factory=list)
    changes: list[Tensor] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)


def repaired_output(runner: Runner, call: Call, sites: Sequence[Site]) -> Tensor:
    """The model's output on one input with these sites repaired, all else as it is.

    Logits have no bounds, and a repair of them draws stripes along a mask's edge. Where a sigmoid or the like is all
    that follows, the lattice is taken out behind it.
    """
    keys = frozenset[SiteKey]().union(*(site.keys for site in sites))
    behind: set[SiteKey] = set()
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
    trials: Trials, alone: Mapping[Site, Trial], effects: Mapping[Site, Effect], seed: int
) -> tuple[JointStep, ...]:
    """Repair sites on top of each other, greedily, until the output shows nothing or no further site helps.

    Args:
        trials: runs the passes.
        alone: what repairing each site alone did; no other sites are tried.
        effects: the same as effects, largest first the order in which sites are tried, those within a module before
            what was not seen in it. A small part of everything,
            which is not certain, may be a certain part of what the repairs of the others leave.
        seed: seed of the half-samples that intervals are read off.
    """
    remaining = trials.before
    total = sum(remaining.together())
    steps: list[JointStep] = []
    taken: list[Site] = []
    for site in sorted(alone, key=lambda site: (any(map(site.encloses, alone)), -effects[site].value)):
        if effects[site].low is None or not _may_be_visible(effects[site], trials.before, alone[site].severity):
            continue
        if sum(remaining.together()) < VISIBLE:
            break
        after = trials.repaired([*taken, site]).severity if taken else alone[site].severity
        adds = effect_of(remaining, after, seed)
        if adds_enough(adds, sum(remaining.together()), total):
            remaining = after
            taken.append(site)
            steps.append(JointStep(site.key, adds, sum(remaining.together())))
    return tuple(steps)


def _may_be_visible(effect: Effect, before: Severity, after: Severity) -> bool:
    """Whether a repair alone takes something that shows, by its share of the energy or by what the output shows then.

    A coarse grid beside a strong fine one is a small share of the energy, and shows when the fine one is gone.
    """
    return max(effect.value, sum(before.together()) - sum(after.together())) >= VISIBLE
