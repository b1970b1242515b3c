"""Which layers to repair: one backward pass ranks them all, and those that matter are repaired in real forward passes.

The first order is an estimate, and accuses nobody. It is checked where it could be wrong: layers that no gradient
reaches are repaired; so is one of the others, drawn at random, as a control; and where something is left that the
repaired layers do not explain, all the others are repaired at once. If either takes away what would be named, every
layer is repaired.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from artifactlab.attribution.records import Effect, JointStep
from artifactlab.attribution.repair.effects import effect_of, effect_of_first_order, least_certain
from artifactlab.attribution.repair.first_order import FirstOrder, Gradients
from artifactlab.attribution.repair.trials import Trial, Trials, repair_together
from artifactlab.attribution.sites.records import Evidence, Site
from artifactlab.attribution.verdicts import LARGE_SHARE
from artifactlab.errors import ModelError
from artifactlab.scoring.severity import VISIBLE

FEW = 8
"""Number of layers up to which all are repaired: a forward and a backward pass take the time of three forward passes,
and save no more of so few."""
TOP = 3
"""Number of layers that are repaired in any case: those of the largest estimate or, where nothing shows, of the most
evidence. See docs/decisions.md, "Screen by the gradient, verify by repairs, check the screening"."""
MARGIN = 0.5
"""Share of the smallest certain effect from which on an estimate could matter; estimates that are off by more are left
to the control and to the repair of all others at once. See docs/decisions.md, as above."""


def passes_wanted(sites: Sequence[Site], fast: bool, verify_all: bool) -> int:
    """Passes per input that it takes to find the effects of sites, as far as is known before."""
    if fast:
        return 1
    return len(sites) if verify_all or len(sites) <= FEW else 1 + TOP + 1


@dataclass(frozen=True)
class Examined:
    """What is known of the layers' effects."""

    effects: dict[Site, Effect]
    """The effect of every site."""
    alone: dict[Site, Trial] = field(default_factory=dict)
    """What repairing each site alone did; the effects of sites that are not in it are estimates."""
    joint: tuple[JointStep, ...] = ()
    """The sites that were repaired together."""
    note: str = ""
    """What the reader should know of how the effects were found, as a sentence."""
    accuses: bool = True
    """Whether any site may be guilty; none is where the input brought all that shows."""


class Examination:
    """Finds the effects of sites; when repeated after inputs were added, only those are run.

    Args:
        trials: runs the passes.
        sites: the sites that are examined.
        evidence: what the activation of each site shows.
        seed: seed of the half-samples that intervals are read off, and of the choice of the control.
        verify_all: repair every site, however many there are.
        accuse: whether any site may be guilty; where none may, none are repaired together.
    """

    def __init__(
        self,
        trials: Trials,
        sites: Sequence[Site],
        evidence: Mapping[Site, Evidence],
        seed: int,
        verify_all: bool,
        accuse: bool = True,
    ) -> None:
        self._trials, self._sites, self._evidence, self._seed = trials, sites, evidence, seed
        self._gradients = Gradients(trials, sites, seed)
        self._everything = verify_all or len(sites) <= FEW
        self._accuse = accuse
        self._note = ""

    def estimated(self) -> Examined:
        """The effects by first order alone.

        Raises:
            ModelError: if no gradient comes through the model.
        """
        return Examined(self._gradients.effects().effects)

    def verified(self) -> Examined:
        """The effects of real repairs, and estimates for layers that do not matter."""
        if not self._everything:
            first = self._first_order()
            if first is not None:
                found = self._screened(first)
                if found is not None:
                    return found
                self._note = " The estimates of the first order did not hold for this model: every layer was repaired."
            self._everything = True
        alone = {site: self._trials.repaired([site]) for site in self._sites}
        effects = self._effects(alone)
        return Examined(effects, alone, self._together(alone, effects), self._note, self._accuse)

    def _first_order(self) -> FirstOrder | None:
        before = self._trials.before
        if sum(before.together()) < VISIBLE:  # nothing shows, which has no gradient, and nobody to be named
            nothing = effect_of_first_order(before, torch.zeros(before.crops), self._seed)
            return FirstOrder(dict.fromkeys(self._sites, nothing), frozenset())
        try:
            return self._gradients.effects()
        except ModelError:
            self._note = " No gradient comes through the model: every layer was repaired."
            return None

    def _screened(self, first: FirstOrder) -> Examined | None:
        """Repairs of the layers that matter; None where the estimates do not hold."""
        total = sum(self._trials.before.together())
        ranked = self._ranked(first)
        matter = {site for site in ranked if first.effects[site].value >= MARGIN * least_certain(total)}
        chosen = {*ranked[:TOP], *first.unreached, *(matter if total >= VISIBLE else ())}
        control = self._control(ranked, chosen)
        alone = {site: self._trials.repaired([site]) for site in ranked if site in chosen or site == control}
        effects = self._effects(alone)
        if control and total >= VISIBLE and effects[control].value >= least_certain(total):
            return None
        joint = self._together(alone, effects)
        remaining = joint[-1].severity if joint else total
        others = [site for site in ranked if site not in alone]
        if self._accuse and others and remaining >= VISIBLE and not self._innocent(others, joint, total):
            return None
        note = f" Of {len(ranked)} layers {len(alone)} were repaired; the others' effects are estimates."
        return Examined({**first.effects, **effects}, alone, joint, note if others else "", self._accuse)

    def _ranked(self, first: FirstOrder) -> list[Site]:
        """The sites by estimate, those of the same one by evidence."""
        evidence = {site: self._evidence[site].checkerboard_energy for site in self._sites}
        return sorted(self._sites, key=lambda site: (-first.effects[site].value, -evidence[site]))

    def _together(self, alone: Mapping[Site, Trial], effects: Mapping[Site, Effect]) -> tuple[JointStep, ...]:
        return repair_together(self._trials, alone, effects, self._seed) if self._accuse else ()

    def _innocent(self, others: list[Site], joint: Sequence[JointStep], total: float) -> bool:
        """Whether repairing all the others at once, on top of those that are guilty, hardly changes what remains."""
        keys = {step.key for step in joint}
        guilty = [site for site in self._sites if site.key in keys]
        before = self._trials.repaired(guilty).severity if guilty else self._trials.before
        drop = effect_of(before, self._trials.repaired([*guilty, *others]).severity, self._seed).value
        # where it gets worse, they cancel each other's, and nothing is known of each
        return -LARGE_SHARE * total < drop < least_certain(total)

    def _effects(self, alone: Mapping[Site, Trial]) -> dict[Site, Effect]:
        before = self._trials.before
        return {site: effect_of(before, trial.severity, self._seed) for site, trial in alone.items()}

    def _control(self, ranked: Sequence[Site], chosen: Iterable[Site]) -> Site | None:
        """One of the layers that need no repair, the same for a seed."""
        order = random.Random(self._seed).sample(range(len(ranked)), len(ranked))
        taken = set(chosen)
        return next((ranked[k] for k in order if ranked[k] not in taken), None)
