"""Misregistration: do features meet where they belong, or some way off?

Each input is run twice, straight and turned by 180 degrees along with every kernel, see
`artifactlab.attribution.findings.half_turn`. Channel by channel the features of both runs are the same, except that
what the wiring displaces by d one way lies d the other way: the two are 2d apart. Where skip and decoder features of a
merge are displaced by different d, they meet displaced. A resize that is wrong about corners stretches features about
the middle: that is symmetric, and not seen here. See docs/decisions.md, "Registration by a half turn".
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from artifactlab.attribution.findings.half_turn import TurnedKernels, half_turn, turned_call
from artifactlab.attribution.findings.off_centre import off_centre, off_centre_text
from artifactlab.attribution.records import Finding
from artifactlab.attribution.sites.merges import Merge
from artifactlab.attribution.sites.records import SiteKey
from artifactlab.attribution.sites.visits import Visit
from artifactlab.attribution.sites.watch import watch
from artifactlab.metrics.registration import displacement
from artifactlab.models.calls import Call, constant_call
from artifactlab.models.runner import Runner

VISIBLE_SHIFT = 0.15
"""Smallest displacement that is reported, in pixels of the merge. Registered wiring reads 0.00, and an odd kernel with
a stride of 2 leaves half a pixel."""
CERTAIN = 4.0
"""Number of standard errors that a displacement must exceed: many merges are looked at, and none is reported by
chance."""
CHANNELS = 8
"""Number of channels of each operand that are compared, evenly spread; a pass keeps no more of them."""
CROP = 160
"""Most pixels per side of what is compared, from the middle; a pass keeps no more of them."""
BORDER = 8
"""An eighth of each side is left out on either end: padding draws a frame there, which no wiring moves."""
ROUNDING = 0.01
"""Smallest standard error that is believed, in pixels; smaller ones are errors of the arithmetic."""
MOST_MERGES = 32
"""Most merges of a pass that are compared, the first ones: a net that runs over and over has the same ones again."""


@dataclass(frozen=True)
class Shift:
    """How far the features lie apart that meet at a merge, in all its calls."""

    key: SiteKey
    """Qualified module name, `cat` or `add`, and call index."""
    value: tuple[float, float]
    """Vertical and horizontal displacement in pixels of the merge, positive where the upsampled features lie further
    down or to the right."""
    error: tuple[float, float]
    """Standard error of `value`."""
    growth: tuple[float, float]
    """Output pixels per pixel of the merge, vertically and horizontally."""
    names: tuple[str, str] = ("", "")
    """Names of the two operands, see `artifactlab.attribution.sites.merges`."""
    skip: bool = True
    """Whether the second operand is a skip; both are upsampled branches otherwise."""

    @property
    def name(self) -> str:
        """What the merge is called, e.g. `dec/cat#0`."""
        return str(self.key)

    @property
    def is_significant(self) -> bool:
        """Whether the displacement is large enough, and certain enough, to be reported."""
        return any(
            abs(v) >= max(VISIBLE_SHIFT, CERTAIN * max(e, ROUNDING))
            for v, e in zip(self.value, self.error, strict=True)
        )


@dataclass(frozen=True)
class MergeSample:
    """A sample of the features that met in one call of a merge."""

    sides: tuple[int, int]
    """Height and width of the features."""
    operands: tuple[Tensor, Tensor]
    """Some channels of the middle of both."""
    merge: Merge
    """The call, without its features."""


class Features:
    """A sample of the features at each merge of one forward pass."""

    def __init__(self) -> None:
        self.at: dict[SiteKey, MergeSample] = {}

    def visit(self, merge: Merge) -> None:
        """The visitor, see `artifactlab.attribution.sites.watch.watch`."""
        if len(self.at) >= MOST_MERGES:
            return
        if merge.upsampled.ndim != 4:
            return
        height, width = merge.upsampled.shape[2:]
        nothing = torch.empty(0)
        self.at[merge.key] = MergeSample(
            (height, width),
            (_sample(merge.upsampled), _sample(merge.skipped)),
            replace(merge, upsampled=nothing, skipped=nothing),
        )

    def layers(self) -> dict[SiteKey, SiteKey]:
        """The first call of the layer that each call belongs to.

        A sampler, an ensemble or tiles run a module again: there the n-th merge is the n-th merge. A loop inside a
        `forward` runs a line again: there it is the same merge if its size is the same, and a stage of its own if not.
        """
        by_number: dict[Any, SiteKey] = {}
        by_line: dict[Any, SiteKey] = {}
        first: dict[SiteKey, SiteKey] = {}
        for key, sample in self.at.items():
            again = by_number.setdefault((*key[:2], sample.merge.number), key)
            line = sample.merge.line or sample.merge.number
            first[key] = first.get(again) or by_line.setdefault((*key[:2], line, sample.sides), key)
        return first

    def less(self, other: Features) -> Features:
        """The same features less those of another pass, where both have them."""
        rest = Features()
        for key, sample in self.at.items():
            constant = other.at.get(key)
            if constant is not None and constant.sides == sample.sides:
                a, b = (x - y for x, y in zip(sample.operands, constant.operands, strict=True))
                rest.at[key] = replace(sample, operands=(a, b))
        return rest


def misregistrations(
    runner: Runner, calls: Sequence[Call], straight: Sequence[tuple[Features, Tensor]]
) -> tuple[Finding, ...]:
    """The merges at which skip and decoder features meet displaced, in the order they run, one finding per layer.

    Of volumes and signals nothing is said: a half turn is one of planes.

    What does not depend on the input (an embedding of positions, what biases and padding draw) cannot be displaced, and
    is not turned along: where a displacement is found, it is measured again less the features of a constant input.

    Args:
        runner: runs the model; it is entered already.
        calls: the inputs. Of each whose features meet, one forward pass is run, turned, and three more where they are
            found displaced.
        straight: the features and the output of each input, run as it is.

    Raises:
        ModelError: if the model fails. CaptureError: if its output holds NaN or Inf, or is too small.
    """
    if any(output.ndim != 4 for _, output in straight):
        return ()
    suspected = {shift.key for shift in measure_shifts(runner, calls, straight) if shift.is_significant}
    if not suspected:
        return ()
    moving = measure_shifts(runner, calls, straight, less_constant=True)
    displaced = [shift for shift in moving if shift.is_significant and shift.key in suspected]
    return tuple(_finding(shift, displaced[0], off_centre(runner.model)) for shift in displaced)


def measure_shifts(
    runner: Runner,
    calls: Sequence[Call],
    straight: Sequence[tuple[Features, Tensor]],
    less_constant: bool = False,
) -> list[Shift]:
    """The displacement at every merge where it can be told, in the order they run, averaged over inputs and calls.

    Where `less_constant`, of the features less those of a constant input.
    """
    found: dict[SiteKey, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    known: dict[SiteKey, Shift] = {}
    for call, (unturned, output) in zip(calls, straight, strict=True):
        if not unturned.at:
            continue
        turned = _turned_features(runner, call)
        if less_constant:
            flat = constant_call(call, 1.0)
            unturned, turned = unturned.less(features_of(runner, flat)[0]), turned.less(_turned_features(runner, flat))
        layers = unturned.layers()
        for key, sample in unturned.at.items():
            growth = output.shape[2] / sample.sides[0], output.shape[3] / sample.sides[1]
            nothing = Shift(layers[key], (0.0, 0.0), (0.0, 0.0), growth, sample.merge.names, sample.merge.skip)
            known.setdefault(layers[key], nothing)
            # of tiles in rows, the one that shows the same when turned runs as late as this one runs early
            calls_of_it = [other for other in unturned.at if layers[other] == layers[key]]
            opposite = calls_of_it[-1 - calls_of_it.index(key)]
            apart = _half_apart(sample, turned.at.get(key)) or _half_apart(sample, turned.at.get(opposite))
            if apart:
                found[layers[key]].append(apart)
    return [_averaged(known[key], parts) for key, parts in found.items()]


def _half_apart(straight: MergeSample, turned: MergeSample | None) -> tuple[Tensor, Tensor] | None:
    """Displacement and variance (2,) of what meets; straight and turned features are twice that apart."""
    if turned is None or turned.sides != straight.sides:
        return None
    pairs = [(a, half_turn(b)) for a, b in zip(straight.operands, turned.operands, strict=True)]
    if any(a.shape != b.shape for a, b in pairs):  # random features may meet the other way round
        return None
    measured = [displacement(a, b) if _finite(a) and _finite(b) else None for a, b in pairs]
    if measured[0] is None or measured[1] is None:
        return None
    shifts, errors = torch.tensor([d.shift for d in measured if d]), torch.tensor([d.error for d in measured if d])
    return (shifts[0] - shifts[1]) / 2, errors.square().sum(0) / 4


def _turned_features(runner: Runner, call: Call) -> Features:
    with TurnedKernels():
        return features_of(runner, turned_call(call))[0]


def features_of(runner: Runner, call: Call) -> tuple[Features, Tensor]:
    """The features that meet in one forward pass, and its output."""
    features = Features()
    with watch(runner.model, _leave_alone, merged=features.visit):
        return features, runner.run(call)


def _leave_alone(visit: Visit) -> None:
    """Sites are only passed by here."""


def _sample(features: Tensor) -> Tensor:
    """A few channels of the middle, as a copy, since the model may go on to write into its own."""
    top, left = (max(size // BORDER, (size - CROP) // 2) for size in features.shape[2:])
    step = math.ceil(features.shape[1] / CHANNELS)
    return features.detach()[:, ::step, top : features.shape[2] - top, left : features.shape[3] - left].float().clone()


def _finite(features: Tensor) -> bool:
    return bool(torch.isfinite(features).all())


def _averaged(shift: Shift, parts: list[tuple[Tensor, Tensor]]) -> Shift:
    """The mean over inputs, each weighted by how well it can be told; inputs that disagree widen the error."""
    shifts, variances = (torch.stack(part) for part in zip(*parts, strict=True))
    weights = 1 / (variances + ROUNDING**2)
    mean = (weights * shifts).sum(0) / weights.sum(0)
    spread = (weights * (shifts - mean).square()).sum(0) / weights.sum(0) / max(1, len(parts) - 1)
    dy, dx = mean.tolist()
    ey, ex = torch.maximum(1 / weights.sum(0), spread).sqrt().tolist()
    return replace(shift, value=(dy, dx), error=(ey, ex))


def _finding(shift: Shift, first: Shift, suspects: dict[str, str]) -> Finding:
    """A displaced merge in words, and the layers that sit off; those after the first may only pass on what it began."""
    away = [f"{abs(v):.2f} px {way[v > 0]}" for v, way in zip(shift.value, WAYS, strict=True) if abs(v) >= 0.05]
    in_output = max(abs(v) * g for v, g in zip(shift.value, shift.growth, strict=True))
    one, other = shift.names
    text = f"{shift.name}: the {'upsampled features' if shift.skip else 'features'} of {one} lie {' and '.join(away)} "
    text += f"of {'the skip' if shift.skip else 'those'} of {other} that they meet ({in_output:.2f} px in the output). "
    if shift is first:
        text += off_centre_text(suspects, shift.names) or "Crop and pad evenly on both sides, so that both ways agree. "
        text += "A trained net may have learned to live with it; the next one need not."
    else:
        text += f"This may follow from {first.name}: mend that first."
    return Finding("misregistration", shift.name, shift.value, shift.error, text)


WAYS = (("above", "below"), ("left", "right"))
