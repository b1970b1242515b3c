"""Effects estimated by first order: one backward pass for all sites.

A repair changes a site's output by d. To first order the output's severity S falls by <dS, d>, and the gradients dS of
all sites come from one backward pass. S is quadratic in what the artifact draws: where a repair takes the share a of it
away, S falls by S (2a - a^2), and the first order is 2aS. So a is read off the first order, and the effect follows.

An estimate is no repair; see docs/decisions.md, "First order is nearly enough".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.attribution.records import Effect
from artifactlab.attribution.repair.effects import effect_of_first_order
from artifactlab.attribution.repair.lattice_removal import repair
from artifactlab.attribution.repair.trials import Trials
from artifactlab.attribution.sites.records import Site, SiteKey
from artifactlab.attribution.sites.visits import Visit
from artifactlab.attribution.sites.watch import watch
from artifactlab.errors import ModelError, first_line
from artifactlab.metrics.bands import SPATIAL
from artifactlab.metrics.period_reading import Forms, Reading
from artifactlab.models.calls import Call
from artifactlab.models.runner import Runner
from artifactlab.scoring.crops import crop_counts
from artifactlab.scoring.objective import differentiable_severity
from artifactlab.scoring.severity import VISIBLE

POOLS: dict[int, Callable[..., Tensor]] = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
"""Means over so many parts, by the number of axes."""


@dataclass(frozen=True)
class FirstOrder:
    """What one backward pass tells."""

    effects: dict[Site, Effect]
    """Estimated effect of every site."""
    unreached: frozenset[Site]
    """Sites that no gradient came to, whose estimate of nothing says nothing."""


class Gradients:
    """Runs the backward passes of a diagnosis; inputs may be added, and no pass is run that would find the same."""

    def __init__(self, trials: Trials, sites: Sequence[Site], seed: int) -> None:
        self._trials, self._sites, self._seed = trials, sites, seed
        self._layers = {key: site for site in sites for key in site.keys}
        self._confirmed: Any = None
        self._drops: list[dict[SiteKey, Tensor | None]] = []
        """What `_drops` found of each input."""

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


class _GradientWatch:
    """Watches the sites of one pass; as soon as a gradient comes, it becomes a drop in severity.

    Kept until all of them are there, gradients and changes would take twice the memory of all activations.
    """

    def __init__(self, keys: Collection[SiteKey]) -> None:
        self._keys = keys
        self.leaf = torch.zeros((), requires_grad=True)
        """Start of a graph that leads through all sites, though no parameter asks for one."""
        self.crops: tuple[int, ...] = ()
        """Number of images, and of their crops along each axis; known when the forward pass is over."""
        self.drops: dict[SiteKey, Tensor | None] = {}
        """First-order drop of every crop's severity (crops,), by call of a site; None where no gradient came."""

    def visit(self, visited: Visit) -> Tensor | None:
        """The visitor, see `artifactlab.attribution.sites.watch.watch`."""
        key, output = visited.key, visited.growth.output
        if key not in self._keys:
            return None
        change = output.detach() - repair(visited.growth)
        watched = output + self.leaf.to(output)
        if not watched.requires_grad:
            return None
        self.drops[key] = None

        def take(gradient: Tensor) -> None:
            self.drops[key] = _by_crop(gradient, change, self.crops)

        watched.register_hook(take)
        return watched


def _drops(
    runner: Runner,
    call: Call,
    keys: Collection[SiteKey],
    found: Mapping[int, Reading],
    period: Sequence[int],
    data_range: float,
) -> dict[SiteKey, Tensor | None]:
    """First-order drop of every crop's severity (crops,), by call of a site that ran; None where no gradient came."""
    gradients = _GradientWatch(keys)
    results: list[Any] = []
    with (
        _gradients_enabled(runner.model),
        watch(runner.model, gradients.visit, lambda result, _: results.append(result)),
    ):
        try:
            runner.run(call)
        except ModelError as error:
            raise ModelError(f"{error}; if it runs without gradients, leave fast out") from error
        image = runner.images(results[-1]).float() / data_range
        gradients.crops = (image.shape[0], *crop_counts(image.shape[SPATIAL:], period))
        try:
            with runner.guarded():  # parts of a model may run again
                torch.autograd.grad(_severity_of_all(image, found, period), gradients.leaf)
        except RuntimeError as error:
            raise ModelError(f"the model gives no gradient ({first_line(error)}); leave fast out") from error
    return gradients.drops


@contextmanager
def _gradients_enabled(model: nn.Module) -> Iterator[None]:
    """A context in which graphs are recorded, but none that leads to a parameter."""
    with ExitStack() as stack:
        for parameter in model.parameters():
            if parameter.requires_grad:
                stack.callback(parameter.requires_grad_)
                parameter.requires_grad_(False)
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        yield


def _severity_of_all(image: Tensor, found: Mapping[int, Reading], period: Sequence[int]) -> Tensor:
    """Severity of all crops together, times their number, so that each crop's part of its drop is a crop's severity."""
    # clones, as what was made in inference mode has no place in a graph
    confirmed = {p: Forms(*(form.clone() for form in reading.found)) for p, reading in found.items()}
    together = differentiable_severity(image, period, torch.ones(1, len(image)), confirmed).sum()
    return len(image) * math.prod(crop_counts(image.shape[SPATIAL:], period)) * together


def _by_crop(gradient: Tensor, change: Tensor, crops: tuple[int, ...]) -> Tensor:
    """Products of gradient and change, added up over the part of the activation under each crop; in the crops' order.

    Where the activation is of another batch than the output, nobody knows which: all crops get the same. So do those of
    activations that have other axes, as the frames of a video that are worked on one by one.
    """
    product = (gradient.float() * change.float()).sum(1)
    images, *counts = crops
    if product.shape[0] != images or product.ndim != len(crops):
        return (product.sum() / math.prod(crops)).expand(math.prod(crops)).cpu()
    per_crop = POOLS[len(counts)](product, tuple(counts)) * (product[0].numel() / math.prod(counts))
    return per_crop.movedim(0, -1).flatten().cpu()
