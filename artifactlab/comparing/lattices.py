"""The lattices inside a running model: at each layer its own, and what is left of those of the layers before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import torch
from torch import Tensor

from artifactlab.attribution.sites.capture import Capture
from artifactlab.attribution.sites.evidence import LATTICE_CHANNELS, some_channels
from artifactlab.attribution.sites.records import Site, SiteKey
from artifactlab.attribution.sites.watch import Visit, watch
from artifactlab.attribution.sites.wiring import Wiring
from artifactlab.errors import ModelError
from artifactlab.metrics.bands import baseband
from artifactlab.metrics.spectral_search import PERIODS
from artifactlab.metrics.spectral_sums import SpectralSums, lattice_sums
from artifactlab.models.calls import Call
from artifactlab.models.outputs import pick_output
from artifactlab.models.runner import Runner
from artifactlab.scoring.data_range import spread
from artifactlab.scoring.periods import joint_period

SAMPLES = 1 << 14
"""values of an activation that are kept, to see how much of its content another one has"""


class Layer(NamedTuple):
    """A layer, and what its activations are like."""

    site: Site
    channels: int
    size: tuple[int, int]
    """of the smallest"""
    spread: float
    """of the widest, see `evidence.spread`"""


class Plan(NamedTuple):
    """How a lattice is to be measured, so that two measurements can be compared."""

    lattice: tuple[int, int]
    """spacing in samples of the activation"""
    scale: float
    """what the activation is divided by"""


class Measured(NamedTuple):
    """A lattice, and a sample of what it was measured in."""

    sums: dict[int, SpectralSums]
    """period -> what was measured at its own frequencies; each item is a channel"""
    shapes: tuple[tuple[int, ...], ...]
    """of the activations"""
    sample: Tensor
    """(2, K): content below the lattice's frequencies, about its mean, and what is above it"""

    def __add__(self, other: Measured) -> Measured:  # type: ignore[override]
        """Of two passes, or pieces."""
        sums = {period: sums + other.sums[period] for period, sums in self.sums.items()}
        return Measured(sums, self.shapes + other.shapes, torch.cat([self.sample, other.sample], 1))

    def unlike(self, other: Measured) -> float:
        """How much of the content is not that of another activation: 0 for the same, 1 for what is independent."""
        if self.shapes != other.shapes:
            return 1.0
        apart = (self.sample - other.sample).square().sum(1)
        both = (self.sample.square() + other.sample.square()).sum(1)
        return min(1.0, float((apart / both.clamp_min(1e-12)).max()))


@dataclass
class _Seen:
    """What all activations at one call are like."""

    spread: float = 0.0
    size: tuple[int, int] = (1 << 30, 1 << 30)
    channels: int = 0


@dataclass
class _Survey:
    """Looks at the sites of plain passes."""

    found: Capture = field(default_factory=Capture)
    seen: dict[SiteKey, _Seen] = field(default_factory=dict)

    def look(self, visit: Visit) -> None:
        """Note what an activation is like."""
        self.found.visit(visit)
        seen, activation = self.seen.setdefault(visit.key, _Seen()), visit.growth.output
        seen.spread = max(seen.spread, spread(activation))
        height, width = activation.shape[2:]
        seen.size = min(seen.size[0], height), min(seen.size[1], width)
        seen.channels = activation.shape[1]


def surveyed(runner: Runner, calls: Sequence[Call]) -> tuple[list[Layer], list[Tensor]]:
    """The layers of a model in running order, and its outputs; a plain pass for each call."""
    survey = _Survey()

    def finish(result: Any, wiring: Wiring) -> None:
        with suppress(ModelError):  # where there is no output, the runner says so
            survey.found.finish(pick_output(result, runner.output), wiring)

    outputs = []
    for call in calls:
        with watch(runner.model, survey.look, finish):
            outputs.append(runner.run(call).float().cpu())
    return [_layer(found.site, survey.seen) for found in survey.found.layers], outputs


def _layer(site: Site, seen: Mapping[SiteKey, _Seen]) -> Layer:
    calls = [seen[key] for key in sorted(site.keys)]
    height, width = (min(call.size[axis] for call in calls) for axis in (0, 1))
    return Layer(site, calls[0].channels, (height, width), max(call.spread for call in calls))


def lattice_at(layer: Layer, before: Iterable[Layer]) -> tuple[int, int]:
    """The smallest lattice that holds a layer's own and those of the layers `before` it; (1, 1) where none fits.

    Coarser ones than are looked for in images (16 samples) are left to the layers that follow and to the output.
    """
    spacings = [layer.site.scale]
    for other in before:
        along = zip(layer.site.scale, other.site.period, layer.site.period, strict=True)
        vertical, horizontal = (max(1.0, scale * period / own) for scale, period, own in along)
        spacings.append((vertical, horizontal))
    return joint_period([pair for pair in spacings if max(pair) <= max(PERIODS)], layer.size)


def measured(runner: Runner, calls: Sequence[Call], plans: Mapping[Site, Plan]) -> dict[Site, Measured]:
    """The lattices of layers, from one more pass for each call."""
    of_key = {key: site for site in plans for key in site.keys}
    found: dict[Site, Measured] = {}

    def look(visit: Visit) -> None:
        site = of_key.get(visit.key)
        if site is not None:
            piece = measured_in(visit.growth.output, plans[site])
            found[site] = found[site] + piece if site in found else piece

    for call in calls:
        with watch(runner.model, look):
            runner.run(call)
    return found


def measured_in(activation: Tensor, plan: Plan) -> Measured:
    """Of at most 32 channels of an (N, C, H, W) activation, evenly spread; each channel has relations of its own.

    Measured in float32 on the CPU, so that what differs is not the measurement.
    """
    values = some_channels(activation.detach(), LATTICE_CHANNELS).float().cpu() / plan.scale
    images, channels = values.shape[:2]
    each = values.flatten(0, 1)[:, None]
    of_channel = torch.eye(channels).repeat(1, images)
    sums = {period: sums.pooled(of_channel) for period, sums in lattice_sums(each, plan.lattice).items()}
    content = baseband(each, max(plan.lattice))
    parts = torch.stack([content - content.mean(), each - content]).flatten(1)
    step = max(1, parts.shape[1] // SAMPLES) | 1  # odd, so that it visits every phase
    return Measured(sums, (tuple(activation.shape),), parts[:, ::step].clone())


def matched(first: Sequence[Layer], second: Sequence[Layer]) -> list[tuple[Layer, Layer]]:
    """Layers of two models that stand for each other, in the first one's running order.

    Those of one key do. What is left is matched in running order, between the same neighbours, where scale and number
    of channels are the same: a replaced upsampler has another key, and in a wrapped model all have.
    """
    partners = {layer.site.key: layer for layer in second}
    pairs = {a.site: partners[a.site.key] for a in first if _alike(a, partners.get(a.site.key))}
    taken = {layer.site for layer in pairs.values()}
    rest = _unmatched(first, set(pairs)), _unmatched(second, taken)
    looks = [[look for _, look in side] for side in rest]
    for here, there, count in SequenceMatcher(None, looks[0], looks[1], autojunk=False).get_matching_blocks():
        for step in range(count):
            pairs[rest[0][here + step][0].site] = rest[1][there + step][0]
    return [(a, pairs[a.site]) for a in first if a.site in pairs]


def _alike(one: Layer, other: Layer | None) -> bool:
    return other is not None and (one.site.scale, one.channels) == (other.site.scale, other.channels)


def _unmatched(layers: Sequence[Layer], known: set[Site]) -> list[tuple[Layer, tuple[Any, ...]]]:
    """Layers without a partner, and what they look like: how many known ones run before, scale, channels."""
    before, rest = 0, []
    for layer in layers:
        if layer.site in known:
            before += 1
        else:
            rest.append((layer, (before, layer.site.scale, layer.channels)))
    return rest
