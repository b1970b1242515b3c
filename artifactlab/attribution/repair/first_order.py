"""The fast way to an effect: first order, one backward pass for all sites.

A repair changes a site's output by d. To first order the output's severity S falls by <dS, d>, and the gradients dS of
all sites come from one backward pass. S is quadratic in what the artifact draws: where a repair takes the share a of it
away, S falls by S (2a - a^2), and the first order is 2aS. So a is read off the first order, and the effect follows.

Where it matters, let the full diagnosis repair the sites.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.attribution.records import Effect
from artifactlab.attribution.repair.effects import effect_of_first_order
from artifactlab.attribution.repair.lattice_removal import repair
from artifactlab.attribution.repair.trials import Trials
from artifactlab.attribution.sites.records import Site, SiteKey
from artifactlab.attribution.sites.watch import Visit, watch
from artifactlab.errors import ModelError, first_line
from artifactlab.metrics.period_reading import Forms, Reading
from artifactlab.models.calls import Call
from artifactlab.models.outputs import pick_output
from artifactlab.models.runner import Runner
from artifactlab.scoring.crops import crop_counts
from artifactlab.scoring.severity import VISIBLE, differentiable_severity


@dataclass(frozen=True)
class FirstOrder:
    """What one backward pass tells."""

    effects: dict[Site, Effect]
    """estimates, of every site"""
    unreached: frozenset[Site]
    """those that no gradient came to: their estimate of nothing says nothing"""


class Gradients:
    """Runs the backward passes of a diagnosis; inputs may be added, and no pass is run that would find the same."""

    def __init__(self, trials: Trials, sites: Sequence[Site], seed: int) -> None:
        self._trials, self._sites, self._seed = trials, sites, seed
        self._layers = {key: site for site in sites for key in site.keys}
        self._confirmed: Any = None
        self._drops: list[dict[SiteKey, Tensor | None]] = []
        """of each input, for every call of a site that ran, the drop of every crop (crops,); None without a gradient"""

    def effects(self) -> FirstOrder:
        """The effect of repairing each site alone, from one forward and one backward pass per input.

        Raises:
            ModelError: if the model fails, or no gradient comes through it.
        """
        trials, before = self._trials, self._trials.before
        if any(parameter.is_inference() for parameter in trials.runner.model.parameters()):
            raise ModelError("the model was made in inference mode, which gives no gradient; leave fast out")
        found, severity = before.found, sum(before.together())
        confirmed = {p: [form.tolist() for form in reading.found] for p, reading in found.items()}
        if confirmed != self._confirmed:  # all that a gradient depends on, beside the input
            self._confirmed, self._drops = confirmed, []
        for call in trials.calls[len(self._drops) :]:
            drops = _drops(trials.runner, call, self._layers.keys(), found, trials.period, trials.data_range)
            if severity >= VISIBLE and not any(drop is not None and bool(drop.any()) for drop in drops.values()):
                raise ModelError(
                    "no gradient comes through the model (is its output rounded, or clipped?); leave fast out"
                )
            self._drops.append(drops)
            trials.on_pass()
        effects, unreached = {}, set()
        for site in self._sites:
            parts = [self._of(site, number) for number in range(len(self._drops))]
            if not any(bool(part.any()) for part in parts):
                unreached.add(site)
            effects[site] = effect_of_first_order(before, torch.cat(parts), self._seed)
        return FirstOrder(effects, frozenset(unreached))

    def _of(self, site: Site, number: int) -> Tensor:
        """Drops of one input's crops, all calls of a site together."""
        known = [drop for key in site.keys if (drop := self._drops[number].get(key)) is not None]
        nothing = torch.zeros(self._trials.severities[number].crops)
        return torch.stack([nothing, *known]).sum(0)


def _drops(
    runner: Runner,
    call: Call,
    keys: Collection[SiteKey],
    found: Mapping[int, Reading],
    period: tuple[int, int],
    data_range: float,
) -> dict[SiteKey, Tensor | None]:
    """First-order drop of every crop's severity (crops,), by call of a site that ran; None where no gradient came."""
    drops: dict[SiteKey, Tensor | None] = {}
    shape = (0, 0, 0)
    leaf = torch.zeros((), requires_grad=True)
    results: list[Any] = []

    def visit(visited: Visit) -> Tensor | None:
        if visited.key not in keys:
            return None
        output = visited.growth.output
        change = output.detach() - repair(visited.growth)
        watched = output + leaf.to(output)  # a graph that starts here, though no parameter asks for one
        if not watched.requires_grad:
            return None
        drops[visited.key] = None
        watched.register_hook(
            # at once: what is kept until all gradients are there would be twice the activations of all sites
            lambda gradient: drops.__setitem__(visited.key, _by_crop(gradient, change, shape))
        )
        return watched

    with ExitStack() as stack:
        for parameter in runner.model.parameters():
            if parameter.requires_grad:
                stack.callback(parameter.requires_grad_)
                parameter.requires_grad_(False)
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(watch(runner.model, visit, lambda result, wiring: results.append(result)))
        try:
            runner.run(call)
        except ModelError as error:
            raise ModelError(f"{error}; if it runs without gradients, leave fast out") from error
        image = pick_output(results[-1], runner.output).float() / data_range
        shape = (image.shape[0], *crop_counts(image.shape[-2:], period))
        try:
            with runner.guarded():  # parts of a model may run again
                torch.autograd.grad(_severity_of_all(image, found, period), leaf)
        except RuntimeError as error:
            raise ModelError(f"the model gives no gradient ({first_line(error)}); leave fast out") from error
    return drops


def _severity_of_all(image: Tensor, found: Mapping[int, Reading], period: tuple[int, int]) -> Tensor:
    """Severity of all crops together, times their number, so that each crop's part of its drop is a crop's severity."""
    # clones, as what was made in inference mode has no place in a graph
    confirmed = {p: Forms(*(form.clone() for form in reading.found)) for p, reading in found.items()}
    together = differentiable_severity(image, period, torch.ones(1, len(image)), confirmed).sum()
    return len(image) * math.prod(crop_counts(image.shape[-2:], period)) * together


def _by_crop(gradient: Tensor, change: Tensor, crops: tuple[int, int, int]) -> Tensor:
    """Products of gradient and change, added up over the part of the activation under each crop; in the crops' order.

    Where the activation is of another batch than the output, nobody knows which: all crops get the same.
    """
    product = (gradient.float() * change.float()).sum(1)
    images, rows, columns = crops
    if product.shape[0] != images:
        return (product.sum() / math.prod(crops)).expand(math.prod(crops)).cpu()
    per_crop = F.adaptive_avg_pool2d(product, (rows, columns)) * (product[0].numel() / (rows * columns))
    return per_crop.permute(1, 2, 0).flatten().cpu()
