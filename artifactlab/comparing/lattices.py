"""The lattices inside a running model: at each layer its own, and what remains of those of the layers before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import torch
from torch import Tensor

from artifactlab.attribution.findings.seams import last_directions
from artifactlab.attribution.sites.capture import Capture
from artifactlab.attribution.sites.evidence import LATTICE_CHANNELS, some_channels
from artifactlab.attribution.sites.records import Site, SiteKey
from artifactlab.attribution.sites.visits import Visit
from artifactlab.attribution.sites.watch import watch
from artifactlab.attribution.sites.wiring import Wiring
from artifactlab.metrics.bands import SPATIAL, baseband
from artifactlab.metrics.spectral_search import PERIODS
from artifactlab.metrics.spectral_sums import SpectralSums, lattice_sums
from artifactlab.models.calls import Call
from artifactlab.models.runner import Runner
from artifactlab.scoring.data_range import spread
from artifactlab.scoring.periods import joint_period

Signature = tuple[int, tuple[float, ...], int]
"""How many layers with a partner run before a layer, its scale, and its number of channels."""
SAMPLES = 1 << 14
"""Values of an activation that are kept, to see how much of its content another one has: enough for a share to 1%."""


class Layer(NamedTuple):
    """A layer, and what its activations are like."""

    site: Site
    """The layer as a site."""
    channels: int
    """Number of channels of its activations."""
    size: tuple[int, ...]
    """The smallest activation's size along each of its directions."""
    spread: float
    """What the values of the activation of the widest range span, see `data_range.spread`."""


class Plan(NamedTuple):
    """How a lattice is to be measured, so that two measurements can be compared."""

    lattice: tuple[int, ...]
    """Spacing in samples of the activation along each direction; all 1 where it is too small for any."""
    scale: float
    """What the activation is divided by."""

    @property
    def measurable(self) -> bool:
        """Whether there is a lattice to measure."""
        return max(self.lattice) > 1


class Measured(NamedTuple):
    """A lattice, and a sample of what it was measured in."""

    sums: dict[int, SpectralSums]
    """Sums by period, measured at its own frequencies; each item is a channel."""
    shapes: tuple[tuple[int, ...], ...]
    """Shapes of the activations."""
    sample: Tensor
    """Sample (2, K) of the content below the lattice's frequencies, about its mean, and of what is above it."""

    def __add__(self, other: Measured) -> Measured:  # type: ignore[override]
        """Both measurements as one, of two passes or pieces."""
        sums = {period: sums + other.sums[period] for period, sums in self.sums.items()}
        return Measured(sums, self.shapes + other.shapes, torch.cat([self.sample, other.sample], 1))

    def content_difference(self, other: Measured) -> float:
        """Share of the content that is not that of another activation: 0 for the same, 1 for what is independent."""
        if self.shapes != other.shapes:
            return 1.0
        apart = (self.sample - other.sample).square().sum(1)
        both = (self.sample.square() + other.sample.square()).sum(1)
        return min(1.0, float((apart / both.clamp_min(1e-12)).max()))


class LayerSurvey(NamedTuple):
    """What one forward pass of each input tells of a model."""

    layers: list[Layer]
    """The layers in running order."""
    outputs: list[Tensor]
    """The outputs (N, C, *space) as float32 on the CPU, one per input."""


@dataclass
class _CallStatistics:
    """What all activations at one call are like."""

    spread: float = 0.0
    size: tuple[int, ...] = ()
    channels: int = 0


@dataclass
class _Surveyor:
    """Gathers what the activations of each call are like."""

    capture: Capture = field(default_factory=Capture)
    statistics: dict[SiteKey, _CallStatistics] = field(default_factory=dict)

    def visit(self, visit: Visit) -> None:
        """Note what an activation is like."""
        self.capture.visit(visit)
        activation = visit.growth.output
        size = tuple(activation.shape[SPATIAL:])
        call = self.statistics.setdefault(visit.key, _CallStatistics())
        call.spread = max(call.spread, spread(activation))
        call.size = tuple(map(min, call.size or size, size))
        call.channels = activation.shape[1]


def survey(runner: Runner, calls: Sequence[Call]) -> LayerSurvey:
    """The layers of a model and its outputs; one forward pass for each call."""
    surveyor = _Surveyor()

    def finish(result: Any, wiring: Wiring) -> None:
        surveyor.capture.finish(result, wiring, runner.output, runner.layout)

    outputs = []
    for call in calls:
        with watch(runner.model, surveyor.visit, finish):
            outputs.append(runner.run(call).float().cpu())
    return LayerSurvey([_layer(found.site, surveyor.statistics) for found in surveyor.capture.layers], outputs)


def _layer(site: Site, statistics: Mapping[SiteKey, _CallStatistics]) -> Layer:
    """A layer, of what its calls are like."""
    calls = [statistics[key] for key in sorted(site.keys)]
    size = tuple(map(min, zip(*(call.size for call in calls), strict=True)))
    return Layer(site, calls[0].channels, size, max(call.spread for call in calls))


def lattice_at(layer: Layer, before: Iterable[Layer]) -> tuple[int, ...]:
    """The smallest lattice that holds a layer's own and those of the layers `before` it; all 1 where none fits.

    Coarser ones than are looked for in images (16 samples) are left to the layers that follow and to the output.
    """
    spacings = [layer.site.scale]
    axes = len(layer.site.scale)  # of frames one by one two, where the output's periods may have three
    own_period = last_directions(layer.site.period, axes)
    for other in before:
        along = zip(layer.site.scale, last_directions(other.site.period, axes), own_period, strict=True)
        spacings.append(tuple(max(1.0, scale * period / own) for scale, period, own in along))
    return joint_period([spacing for spacing in spacings if max(spacing) <= max(PERIODS)], layer.size)


def measured(runner: Runner, calls: Sequence[Call], plans: Mapping[Site, Plan]) -> dict[Site, Measured]:
    """The lattices of layers, from one more pass for each call."""
    of_key = {key: site for site in plans for key in site.keys}
    found: dict[Site, Measured] = {}

    def measure(visit: Visit) -> None:
        site = of_key.get(visit.key)
        if site is not None:
            piece = measured_in(visit.growth.output, plans[site])
            found[site] = found[site] + piece if site in found else piece

    for call in calls:
        with watch(runner.model, measure):
            runner.run(call)
    return found


def measured_in(activation: Tensor, plan: Plan) -> Measured:
    """The lattice in at most 32 channels of an (N, C, *space) activation, evenly spread; each has relations of its own.

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


def matched_layers(first: Sequence[Layer], second: Sequence[Layer]) -> list[tuple[Layer, Layer]]:
    """Layers of two models that stand for each other, in the first one's running order.

    Layers of one key do. The others are matched in running order, between the same neighbours, where scale and number
    of channels are the same: a replaced upsampler has another key, and in a wrapped model all have.
    """
    partners = {layer.site.key: layer for layer in second}
    partner_of = {a.site: partners[a.site.key] for a in first if _correspond(a, partners.get(a.site.key))}
    taken = {layer.site for layer in partner_of.values()}
    rest_of_first, first_signatures = _unmatched(first, set(partner_of))
    rest_of_second, second_signatures = _unmatched(second, taken)
    matcher = SequenceMatcher(None, first_signatures, second_signatures, autojunk=False)
    for here, there, count in matcher.get_matching_blocks():
        for step in range(count):
            partner_of[rest_of_first[here + step].site] = rest_of_second[there + step]
    return [(layer, partner_of[layer.site]) for layer in first if layer.site in partner_of]


def _correspond(one: Layer, other: Layer | None) -> bool:
    """Whether there is another layer, of the same scale and number of channels."""
    return other is not None and (one.site.scale, one.channels) == (other.site.scale, other.channels)


def _unmatched(layers: Sequence[Layer], known: set[Site]) -> tuple[list[Layer], list[Signature]]:
    """The layers without a partner, and the signature of each."""
    known_before = 0
    rest, signatures = [], []
    for layer in layers:
        if layer.site in known:
            known_before += 1
        else:
            rest.append(layer)
            signatures.append((known_before, layer.site.scale, layer.channels))
    return rest, signatures
