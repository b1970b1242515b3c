"""The first pass of a diagnosis over each input: which sites there are, what they show, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from functools import partial
from typing import Any

from torch import Tensor

from artifactlab.attribution.findings.misregistration import Features
from artifactlab.attribution.sites.activations import Activations
from artifactlab.attribution.sites.capture import Capture
from artifactlab.attribution.sites.output_axes import of_scan, told_layout
from artifactlab.attribution.sites.records import CapturedSite, Evidence, Site
from artifactlab.attribution.sites.sizes import UnseenGrowth
from artifactlab.attribution.sites.visits import Visit
from artifactlab.attribution.sites.watch import watch
from artifactlab.attribution.sites.wiring import Wiring
from artifactlab.attribution.windows import EXAMPLES
from artifactlab.errors import CaptureError, InputError, ModelError
from artifactlab.models.calls import Call
from artifactlab.models.outputs import pick_tensor, tensors
from artifactlab.models.runner import Runner
from artifactlab.scoring.periods import joint_period, lattice_period, smallest_side

MOST_TURNED = 2
"""Number of inputs on which the registration of merges is measured, at a forward pass each. Displacements are wired and
the same for every input: a second one only tells how far they are certain."""


class Survey:
    """Runs the model on each input as it is; notes sites and, of the first inputs, activations and merged features."""

    def __init__(self, runner: Runner, one_by_one: bool) -> None:
        self._runner, self._one_by_one = runner, one_by_one
        self._found = Capture(every_call=one_by_one)
        self.features: list[Features] = []
        self.activations: list[Activations] = []

    def add(self, call: Call) -> Tensor:
        """The output for one more input."""
        visitors: list[Callable[[Visit], None]] = [self._found.visit]
        merged = None
        if len(self.activations) < EXAMPLES:
            self.activations.append(Activations(self._one_by_one))
            visitors.append(self.activations[-1].visit)
        if len(self.features) < MOST_TURNED:
            self.features.append(Features())
            merged = self.features[-1].visit
        finished = partial(_finish, self._found, self._runner, call)
        with watch(self._runner.model, partial(_show_to, visitors), finished, merged):
            return self._runner.run(call).cpu()

    @property
    def sites(self) -> list[CapturedSite]:
        """The sites that were seen so far."""
        return self._found.sites if self._one_by_one else self._found.layers

    @property
    def unseen(self) -> tuple[UnseenGrowth, ...]:
        """What enlarges images and is none of the sites."""
        return self._found.unseen

    @property
    def evidence(self) -> dict[Site, Evidence]:
        """What the activation of each site shows."""
        return {captured.site: captured.evidence for captured in self.sites}

    def select(self, pattern: str) -> list[Site]:
        """The sites whose key or name matches a glob.

        Raises:
            InputError: if there is none.
        """
        sites = [captured.site for captured in self.sites]
        chosen = [site for site in sites if fnmatch(site.key, pattern) or fnmatch(site.name, pattern)]
        if not chosen:
            keys = ", ".join(site.key for site in sites)
            raise InputError(f"no site matches {pattern!r}; the model has {keys}")
        return chosen


def measurable_period(
    captured: Sequence[CapturedSite], outputs: Sequence[Tensor], unseen: Sequence[UnseenGrowth] = ()
) -> tuple[int, ...]:
    """The lattice that outputs are measured at; what growth that was not seen may draw is measured with it.

    Raises:
        CaptureError: if an output is too small for any of the sites' lattices, as it cannot be called clean then.
    """
    size = [min(sides) for sides in zip(*(image.shape[2:] for image in outputs), strict=True)]
    periods = [c.site.period for c in captured]
    joint = joint_period([*periods, *(growth.period for growth in unseen)], size)
    wanted = [max(period) for period in map(lattice_period, periods) if max(period) > 1]
    if wanted and max(joint) == 1:
        given, least = "x".join(map(str, size)), smallest_side(min(wanted))
        raise CaptureError(
            f"the output is {given} {'samples' if len(size) == 1 else 'pixels'}, too small to measure a grid of period"
            f" {min(wanted)}; give inputs that make it at least {least} a side"
        )
    return joint


def _finish(found: Capture, runner: Runner, call: Call, result: Any, wiring: Wiring) -> None:
    """Note what the axes of the judged output are, and where it came from; where there is none, the runner says so."""
    with suppress(ModelError):
        if runner.layout is None:
            tensor = pick_tensor(result, runner.output)
            told = told_layout(tensor, wiring.axes(tensor))
            given = [given for _, given in tensors((call.args, dict(call.kwargs)))]
            runner.layout = told and of_scan(told, tensor, given)
        runner.picked(result)
        found.finish(result, wiring, runner.judged.path, runner.layout)


def _show_to(visitors: Sequence[Callable[[Visit], None]], visited: Visit) -> None:
    for visitor in visitors:
        visitor(visited)
