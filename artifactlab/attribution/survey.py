"""The plain pass of a diagnosis over each input: which sites there are, what they show, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from torch import Tensor

from artifactlab.attribution.findings.displacement import Features
from artifactlab.attribution.sites.activations import Activations
from artifactlab.attribution.sites.capture import Capture
from artifactlab.attribution.sites.records import CapturedSite
from artifactlab.attribution.sites.watch import Visit, watch
from artifactlab.attribution.sites.wiring import Wiring
from artifactlab.attribution.windows import EXAMPLES
from artifactlab.errors import ModelError
from artifactlab.models.calls import Call
from artifactlab.models.outputs import pick_output
from artifactlab.models.runner import Runner

MOST_TURNED = 2
"""inputs on which the registration of merges is measured, at a forward pass each"""


class Survey:
    """One plain pass per input: sites with their evidence; of the first, what meets and what is shown."""

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
            merged = self.features[-1].look
        finished = partial(_finish, self._found, self._runner.output)
        with watch(self._runner.model, partial(_show_to, visitors), finished, merged):
            return self._runner.run(call).cpu()

    @property
    def sites(self) -> list[CapturedSite]:
        """The sites that were seen so far."""
        return self._found.sites if self._one_by_one else self._found.layers


def _finish(found: Capture, output: str | int | None, result: Any, wiring: Wiring) -> None:
    """Note where the output that is judged came from; where there is none, the runner says so."""
    with suppress(ModelError):
        found.finish(pick_output(result, output), wiring)


def _show_to(visitors: Sequence[Callable[[Visit], None]], visited: Visit) -> None:
    for visitor in visitors:
        visitor(visited)
