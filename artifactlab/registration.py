"""Misregistration: do features meet where they belong, or some way off?

Each input is run twice, straight and turned by 180 degrees along with every kernel, see `artifactlab.turned`. Channel
by channel the features of both runs are the same, except that what the wiring displaces by d one way lies d the other
way: the two are 2d apart. Where skip and decoder features of a merge are displaced by different d, they meet displaced.
A resize that is wrong about corners stretches features about the middle: that is symmetric, and not seen here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from artifactlab.capture import Visit, watch
from artifactlab.merges import Merge
from artifactlab.metrics.registration import displacement
from artifactlab.records import Finding
from artifactlab.runner import Call, Runner
from artifactlab.turned import TurnedKernels, half_turn, turned_call

VISIBLE_SHIFT = 0.15
"""pixels of the merge from which on a displacement is reported; registered wiring reads 0.00"""
CERTAIN = 4.0
"""standard errors that a displacement must exceed"""
CHANNELS = 8
"""of each operand, evenly spread"""
CROP = 160
"""pixels per side of what is compared at most, from the middle"""
BORDER = 8
"""th part of each side that is left out on either end: padding draws a frame there, which no wiring moves"""
ROUNDING = 0.01
"""pixels; smallest standard error that is believed"""

MOST_MERGES = 32
"""of a pass that are looked at, the first: a net that runs over and over has the same ones again"""

Key = tuple[str, str, int]


@dataclass(frozen=True)
class Shift:
    """How far one merge's upsampled features lie from the skipped ones."""

    key: Key
    """(qualified module name, `cat` or `add`, call index)"""
    value: tuple[float, float]
    """pixels of the merge; positive where they lie further down, or to the right"""
    error: tuple[float, float]
    """its standard error"""
    growth: tuple[float, float]
    """output pixels per pixel of the merge"""

    @property
    def name(self) -> str:
        """What the merge is called, e.g. `dec/cat#0`."""
        module, op, call = self.key
        return f"{module}/{op}#{call}" if module else f"{op}#{call}"

    @property
    def shows(self) -> bool:
        """Whether the displacement is large enough, and certain enough, to be reported."""
        return any(
            abs(v) >= max(VISIBLE_SHIFT, CERTAIN * max(e, ROUNDING))
            for v, e in zip(self.value, self.error, strict=True)
        )


class Features:
    """A sample of the features at each merge of one forward pass."""

    def __init__(self) -> None:
        self.at: dict[Key, tuple[tuple[int, int], list[Tensor]]] = {}
        """merge -> its size, and what meets there"""

    def look(self, merge: Merge) -> None:
        """The visitor, see `artifactlab.capture.watch`."""
        if len(self.at) >= MOST_MERGES:
            return
        height, width = merge.upsampled.shape[2:]
        self.at[merge.key] = (height, width), [_sample(merge.upsampled), _sample(merge.skipped)]


def misregistrations(
    runner: Runner, calls: Sequence[Call], straight: Sequence[tuple[Features, Tensor]]
) -> tuple[Finding, ...]:
    """The merges at which skip and decoder features meet displaced, in the order they run.

    Args:
        runner: of the model, entered.
        calls: its inputs; one forward pass, turned, is run of each whose features meet.
        straight: of each, the features and the output of a plain pass.

    Raises:
        ModelError: if the model fails. CaptureError: if its output holds NaN or Inf, or is too small.
    """
    displaced = [shift for shift in measure_shifts(runner, calls, straight) if shift.shows]
    return tuple(_finding(shift, displaced[0]) for shift in displaced)


def measure_shifts(runner: Runner, calls: Sequence[Call], straight: Sequence[tuple[Features, Tensor]]) -> list[Shift]:
    """The displacement at every merge where it can be told, in the order they run, averaged over inputs."""
    found: dict[Key, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    growth: dict[Key, tuple[float, float]] = {}
    for call, (plain, output) in zip(calls, straight, strict=True):
        if not plain.at:
            continue
        with TurnedKernels():
            turned, _ = features_of(runner, turned_call(call))
        for key, (sides, operands) in plain.at.items():
            growth[key] = (output.shape[2] / sides[0], output.shape[3] / sides[1])
            other = turned.at.get(key)
            if other is None or other[0] != sides:
                continue
            pairs = [(a, half_turn(b)) for a, b in zip(operands, other[1], strict=True)]
            both = [displacement(a, b) for a, b in pairs if _finite(a) and _finite(b)]
            told = [d for d in both if d is not None]
            if len(told) == 2:
                # straight and turned are twice the displacement apart
                shifts, errors = torch.tensor([d.shift for d in told]), torch.tensor([d.error for d in told])
                found[key].append(((shifts[0] - shifts[1]) / 2, errors.square().sum(0) / 4))
    return [_averaged(key, parts, growth[key]) for key, parts in found.items()]


def features_of(runner: Runner, call: Call) -> tuple[Features, Tensor]:
    """The features that meet in one forward pass, and its output."""
    features = Features()
    with watch(runner.model, _leave_alone, merged=features.look):
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


def _averaged(key: Key, parts: list[tuple[Tensor, Tensor]], growth: tuple[float, float]) -> Shift:
    """The mean over inputs, each weighted by how well it can be told; inputs that disagree widen the error."""
    shifts, variances = (torch.stack(part) for part in zip(*parts, strict=True))
    weights = 1 / (variances + ROUNDING**2)
    mean = (weights * shifts).sum(0) / weights.sum(0)
    spread = (weights * (shifts - mean).square()).sum(0) / weights.sum(0) / max(1, len(parts) - 1)
    dy, dx = mean.tolist()
    ey, ex = torch.maximum(1 / weights.sum(0), spread).sqrt().tolist()
    return Shift(key, (dy, dx), (ey, ex), growth)


def _finding(shift: Shift, first: Shift) -> Finding:
    """A displaced merge in words; the ones after the first may only pass on what it began."""
    away = [f"{abs(v):.2f} px {way[v > 0]}" for v, way in zip(shift.value, WAYS, strict=True) if abs(v) >= 0.05]
    in_output = max(abs(v) * g for v, g in zip(shift.value, shift.growth, strict=True))
    text = (
        f"{shift.name}: the upsampled features lie {' and '.join(away)} of the skip's they meet "
        f"({in_output:.2f} px in the output). "
    )
    if shift is first:
        text += (
            "Make both ways agree: a strided convolution or pooling with an odd kernel samples half a pixel off what "
            "resizing assumes, so give it an even kernel and symmetric padding; crop and pad evenly on both sides. "
            "A trained net may have learned to live with it; the next one need not."
        )
    else:
        text += f"This may follow from {first.name}: mend that first."
    return Finding("misregistration", shift.name, shift.value, shift.error, text)


WAYS = (("above", "below"), ("left", "right"))
