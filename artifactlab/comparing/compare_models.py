"""Two variants of one model on the same inputs: the first layer at which their lattices part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from torch import Tensor, nn

from artifactlab.attribution.findings.seams import foreign_periods
from artifactlab.attribution.sites.records import Site
from artifactlab.comparing.lattices import Layer, Measured, Plan, lattice_at, matched, measured, measured_in, surveyed
from artifactlab.comparing.model_comparison import OUTPUT, LatticePair, ModelComparison, concluded, judged, strength_of
from artifactlab.errors import InputError, ModelError
from artifactlab.metrics import relation_difference as relations
from artifactlab.models.calls import Call, as_calls, in_precision
from artifactlab.models.runner import Runner
from artifactlab.models.wrappers import unwrap
from artifactlab.scoring.data_range import spread
from artifactlab.scoring.periods import joint_period
from artifactlab.scoring.severity import VISIBLE, measure_severity, pool

PASSES = 4
"""over each input: of each model a plain one, and one that measures"""
Inputs = Tensor | Sequence[Any] | Mapping[str, Any]


def compare_models(
    first: nn.Module,
    second: nn.Module,
    inputs: Inputs,
    *,
    output: str | int | None = None,
    data_range: float | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ModelComparison:
    """Find the first layer at which the lattices of two variants of one model part: other precision, runtime, tiling.

    Both run on the same inputs from the same random state, twice each, and come back as they were. At every layer that
    enlarges in both, grids and stair-steps are measured channel by channel, as relations to the content that they stand
    in, and the relations are compared: a layer's own are the same for other content, and for tiles of it. Behind the
    first layer that parts, others follow. Layers are matched by key; those of other keys in running order between
    these, where scale and number of channels are the same: so a replaced upsampler and a wrapped model find partners.

    Args:
        first, second: two `nn.Module`s, whose output holds an image-like (N, C, H, W) tensor each.
        inputs: as for `diagnose`; tensors of floating type are given to each model in the precision of its parameters.
        output: key, attribute or index of the output to compare; default is the largest image-like tensor.
        data_range: distance between the output's darkest and brightest value; default is the first output's own spread.
        seed: of the random state that every forward pass starts from.
        progress: called with (passes done, passes in all).

    Returns:
        A `ModelComparison`, whose `parts_at` names the first place at which they part.

    Raises:
        InputError: if inputs are empty, not finite, or of an unknown kind, or `data_range` is out of range.
        ModelError: if a model fails on an input, its output is no image, or the outputs have other channels.
        CaptureError: if a model enlarges nothing, or holds NaN or Inf.

    >>> import torch
    >>> def model(mode):
    ...     return torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Upsample(scale_factor=2, mode=mode))
    >>> smooth, blocks = model("bilinear"), model("nearest")
    >>> _ = blocks.load_state_dict(smooth.state_dict())
    >>> image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> compare_models(smooth, blocks, image).parts_at
    '1/interpolate#0'
    """
    if data_range is not None and not (isinstance(data_range, (int, float)) and 0 < data_range < float("inf")):
        raise InputError(f"data_range must be a positive number, got {data_range!r}")
    calls = as_calls(inputs)
    moved = _counter(progress, PASSES * len(calls))
    sides = [_Side(unwrap(model), calls, output, seed, moved) for model in (first, second)]
    layers, outputs = zip(*(side.surveyed() for side in sides), strict=True)
    scale = data_range or max(map(spread, outputs[0])) or 1.0
    pairs = matched(*layers)
    plans = [Plan(_lattice(pair, pairs[:number]), pair[0].spread or 1.0) for number, pair in enumerate(pairs)]
    found = [side.measured([pair[own].site for pair in pairs], plans) for own, side in enumerate(sides)]
    places = [
        compared(a.site, b.site, plan, found[0][a.site], found[1][b.site])
        for (a, b), plan in zip(pairs, plans, strict=True)
        if max(plan.lattice) > 1
    ]
    partnered = [{pair[own].site for pair in pairs} for own in (0, 1)]
    alone = [tuple(x.site.key for x in layers[own] if x.site not in partnered[own]) for own in (0, 1)]
    return concluded(
        places + _outputs_compared(layers, outputs, scale),
        severity=(_severity(layers[0], outputs[0], scale), _severity(layers[1], outputs[1], scale)),
        only_first=alone[0],
        only_second=alone[1],
        unmeasured=tuple(a.site.key for (a, _), plan in zip(pairs, plans, strict=True) if max(plan.lattice) == 1),
        seams=(_seams(layers[0], outputs[0], outputs[1], scale), _seams(layers[1], outputs[1], outputs[0], scale)),
        config={"inputs": len(calls), "output": output, "data_range": scale, "seed": seed},
    )


@dataclass(frozen=True)
class _Side:
    """One of the two models, and how it is run."""

    model: nn.Module
    calls: Sequence[Call]
    output: str | int | None
    seed: int
    moved: Callable[[int], None]

    def surveyed(self) -> tuple[list[Layer], list[Tensor]]:
        with Runner(self.model, self.output, self.seed) as runner:
            found = surveyed(runner, self._given())
        self.moved(len(self.calls))
        return found

    def measured(self, sites: Sequence[Site], plans: Sequence[Plan]) -> dict[Site, Measured]:
        wanted = {site: plan for site, plan in zip(sites, plans, strict=True) if max(plan.lattice) > 1}
        with Runner(self.model, self.output, self.seed) as runner:
            found = measured(runner, self._given(), wanted)
        self.moved(len(self.calls))
        return found

    def _given(self) -> list[Call]:
        """The calls, in the precision of the model's parameters."""
        floating = (p.dtype for p in self.model.parameters() if p.is_floating_point())
        dtype = next(floating, None)
        return [in_precision(call, dtype) for call in self.calls]


def compared(where: Site | None, other: Site | None, plan: Plan, first: Measured, second: Measured) -> LatticePair:
    """Two measurements of a lattice at one place, which is the output where it is no site."""
    one, two = (relations.beyond_chance(found.sums) for found in (first, second))
    apart = relations.difference(first.sums, second.sums)
    floor = relations.chance_of_difference(first.sums, second.sums, first.unlike(second))
    return LatticePair(
        where=where.key if where else OUTPUT,
        other=other.key if other else OUTPUT,
        calls=(len(where.calls) if where else 1, len(other.calls) if other else 1),
        period=plan.lattice,
        first=strength_of(one),
        second=strength_of(two),
        difference=strength_of(apart),
        floor=strength_of(floor),
        verdict=judged(one, two, apart, floor),
    )


def _lattice(pair: tuple[Layer, Layer], before: Sequence[tuple[Layer, Layer]]) -> tuple[int, int]:
    """What both activations are large enough for."""
    first, second = pair
    least = (min(first.size[0], second.size[0]), min(first.size[1], second.size[1]))
    return lattice_at(first._replace(size=least), [earlier for earlier, _ in before])


def _output_lattice(layers: Sequence[Layer], outputs: Sequence[Tensor]) -> tuple[int, int]:
    size = [min(image.shape[axis] for image in outputs) for axis in (2, 3)]
    return joint_period([layer.site.period for layer in layers], size)


def _outputs_compared(
    layers: Sequence[Sequence[Layer]], outputs: Sequence[Sequence[Tensor]], scale: float
) -> list[LatticePair]:
    """The outputs as the last place; nothing where they are too small."""
    channels = [images[0].shape[1] for images in outputs]
    if channels[0] != channels[1]:
        raise ModelError(
            f"the outputs have {channels[0]} and {channels[1]} channels, so they are no variants of one model; name the"
            " right ones with --output / output="
        )
    lattice = _output_lattice([*layers[0], *layers[1]], [*outputs[0], *outputs[1]])
    if max(lattice) == 1:
        return []
    plan = Plan(lattice, scale)
    first, second = (reduce(add, (measured_in(image, plan) for image in images)) for images in outputs)
    return [compared(None, None, plan, first, second)]


def _severity(layers: Sequence[Layer], outputs: Sequence[Tensor], scale: float) -> float | None:
    """As `diagnose` reports it."""
    lattice = _output_lattice(layers, outputs)
    found = pool([measure_severity(image, lattice, scale) for image in outputs])
    severity = sum(max(0.0, part) for part in found.together())
    return None if max(lattice) == 1 or (severity < VISIBLE and found.content_wanted > 1) else severity


def _seams(
    layers: Sequence[Layer], outputs: Sequence[Tensor], others: Sequence[Tensor], scale: float
) -> tuple[float, float]:
    """The period of straight lines that a model's outputs have and the other model's have not."""
    found = foreign_periods(outputs, others, [layer.site.period for layer in layers], scale)
    return found[0].value if found else (0.0, 0.0)


def _counter(progress: Callable[[int, int], None] | None, total: int) -> Callable[[int], None]:
    done = 0

    def moved(by: int) -> None:
        nonlocal done
        done += by
        if progress:
            progress(done, total)

    return moved
