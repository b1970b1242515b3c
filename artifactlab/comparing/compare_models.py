"""Two variants of one model on the same inputs: the first layer at which their lattices part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from torch import Tensor, nn

from artifactlab.attribution.findings.seams import foreign_periods, spacings_of
from artifactlab.attribution.sites.records import Site
from artifactlab.comparing.lattices import (
    Layer,
    LayerSurvey,
    Measured,
    Plan,
    lattice_at,
    matched_layers,
    measured,
    measured_in,
    survey,
)
from artifactlab.comparing.model_comparison import (
    OUTPUT,
    LatticePair,
    ModelComparison,
    first_parting,
    overall_parting,
    parting_verdict,
    strength_of,
    with_text,
)
from artifactlab.errors import InputError, ModelError
from artifactlab.metrics import relation_difference as relations
from artifactlab.models.arguments import check_arguments
from artifactlab.models.calls import Call, as_calls, in_precision
from artifactlab.models.runner import Runner
from artifactlab.models.wrappers import unwrap
from artifactlab.scoring.data_range import data_range_of
from artifactlab.scoring.periods import joint_period
from artifactlab.scoring.severity import VISIBLE, measure_severity, pool

PASSES = 4
"""Forward passes over each input: of each model one that lists its layers, and one that measures them."""
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
        first, second: two `nn.Module`s, whose output holds an image-like (N, C, H, W) tensor each,
            or volumes, video or signals, see `artifactlab.models.layout`.
        inputs: as for `diagnose`; tensors of floating type are given to each model in the precision of its parameters.
        output: key, attribute, index or path of the output to compare; default is the largest image-like tensor.
        data_range: distance between the output's darkest and brightest value; default is that of pixels, where the
            first model's outputs run as those of pictures do, else their own spread.
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
    for model in (first, second):
        check_arguments(model, calls)
    count_passes = _pass_counter(progress, PASSES * len(calls))
    sides = [_Side(unwrap(model), calls, output, seed, count_passes) for model in (first, second)]
    one, two = (side.survey() for side in sides)
    _refuse_other_kinds(one.outputs[0].shape, two.outputs[0].shape)
    scale = data_range_of(one.outputs, data_range).size
    pairs = matched_layers(one.layers, two.layers)
    plans = [Plan(_common_lattice(pair, pairs[:number]), pair[0].spread or 1.0) for number, pair in enumerate(pairs)]
    places = _compared_layers(sides, pairs, plans) + _compared_outputs(one, two, scale)
    found = ModelComparison(
        verdict=overall_parting(places),
        text="",
        parts_at=first_parting(places),
        places=tuple(places),
        severity=(_severity(one, scale), _severity(two, scale)),
        only_first=_without_partner(one, [layer for layer, _ in pairs]),
        only_second=_without_partner(two, [layer for _, layer in pairs]),
        unmeasured=tuple(pair[0].site.key for pair, plan in zip(pairs, plans, strict=True) if not plan.measurable),
        seams=(_own_seams(one, two, scale), _own_seams(two, one, scale)),
        config={"inputs": len(calls), "output": output, "data_range": scale, "seed": seed},
    )
    return with_text(found)


@dataclass(frozen=True)
class _Side:
    """One of the two models, and how it is run."""

    model: nn.Module
    calls: Sequence[Call]
    output: str | int | None
    seed: int
    count_passes: Callable[[int], None]

    def survey(self) -> LayerSurvey:
        """The layers and the outputs, from one pass over the inputs."""
        with Runner(self.model, self.output, self.seed) as runner:
            found = survey(runner, self._calls_in_precision())
        self.count_passes(len(self.calls))
        return found

    def measured(self, sites: Sequence[Site], plans: Sequence[Plan]) -> dict[Site, Measured]:
        """The lattices of layers, from one more pass over the inputs."""
        wanted = {site: plan for site, plan in zip(sites, plans, strict=True) if plan.measurable}
        with Runner(self.model, self.output, self.seed) as runner:
            found = measured(runner, self._calls_in_precision(), wanted)
        self.count_passes(len(self.calls))
        return found

    def _calls_in_precision(self) -> list[Call]:
        """The calls, in the precision of the model's parameters."""
        floating = (p.dtype for p in self.model.parameters() if p.is_floating_point())
        dtype = next(floating, None)
        return [in_precision(call, dtype) for call in self.calls]


def _refuse_other_kinds(one: Sequence[int], two: Sequence[int]) -> None:
    if (one[1], len(one)) == (two[1], len(two)):
        return
    differ = f"{one[1]} and {two[1]} channels" if len(one) == len(two) else f"shapes {tuple(one)} and {tuple(two)}"
    raise ModelError(
        f"the outputs have {differ}, so they are no variants of one model; name the right ones with --output / output="
    )


def _compared_layers(
    sides: Sequence[_Side], pairs: Sequence[tuple[Layer, Layer]], plans: Sequence[Plan]
) -> list[LatticePair]:
    """Every pair of layers whose activations are large enough, in running order."""
    first = sides[0].measured([layer.site for layer, _ in pairs], plans)
    second = sides[1].measured([layer.site for _, layer in pairs], plans)
    return [
        compared(one.site, two.site, plan, first[one.site], second[two.site])
        for (one, two), plan in zip(pairs, plans, strict=True)
        if plan.measurable
    ]


def _compared_outputs(one: LayerSurvey, two: LayerSurvey, scale: float) -> list[LatticePair]:
    """The outputs as the last place; nothing where they are too small."""
    plan = Plan(_output_lattice([*one.layers, *two.layers], [*one.outputs, *two.outputs]), scale)
    if not plan.measurable:
        return []
    first, second = (reduce(add, (measured_in(image, plan) for image in side.outputs)) for side in (one, two))
    return [compared(None, None, plan, first, second)]


def compared(where: Site | None, other: Site | None, plan: Plan, first: Measured, second: Measured) -> LatticePair:
    """Two measurements of a lattice at one place, which is the output where it is no site."""
    one, two = (relations.beyond_chance(found.sums) for found in (first, second))
    apart = relations.difference(first.sums, second.sums)
    floor = relations.chance_of_difference(first.sums, second.sums, first.content_difference(second))
    return LatticePair(
        where=where.key if where else OUTPUT,
        other=other.key if other else OUTPUT,
        calls=(len(where.calls) if where else 1, len(other.calls) if other else 1),
        period=plan.lattice,
        first=strength_of(one),
        second=strength_of(two),
        difference=strength_of(apart),
        floor=strength_of(floor),
        verdict=parting_verdict(one, two, apart, floor),
    )


def _common_lattice(pair: tuple[Layer, Layer], before: Sequence[tuple[Layer, Layer]]) -> tuple[int, ...]:
    """The lattice that both activations are large enough for."""
    first, second = pair
    return lattice_at(first._replace(size=tuple(map(min, first.size, second.size))), [earlier for earlier, _ in before])


def _output_lattice(layers: Sequence[Layer], outputs: Sequence[Tensor]) -> tuple[int, ...]:
    """The lattice of the layers' periods that every output is large enough for."""
    size = [min(image.shape[axis] for image in outputs) for axis in range(2, outputs[0].ndim)]
    return joint_period([layer.site.period for layer in layers], size)


def _without_partner(side: LayerSurvey, matched: Sequence[Layer]) -> tuple[str, ...]:
    """Keys of the layers that are not among those matched."""
    sites = {layer.site for layer in matched}
    return tuple(layer.site.key for layer in side.layers if layer.site not in sites)


def _severity(side: LayerSurvey, scale: float) -> float | None:
    """The severity of the outputs as `diagnose` reports it; None where what shows could hide in noise and texture."""
    lattice = _output_lattice(side.layers, side.outputs)
    found = pool([measure_severity(image, lattice, scale) for image in side.outputs])
    severity = sum(max(0.0, part) for part in found.together())
    may_hide = severity < VISIBLE and found.content_wanted > 1
    return None if max(lattice) == 1 or may_hide else severity


def _own_seams(side: LayerSurvey, other: LayerSurvey, scale: float) -> tuple[float, ...]:
    """The period of straight lines that a model's outputs have and the other model's have not."""
    sizes = {tuple(output.shape[2:]) for output in side.outputs}
    explained = [spacing for size in sizes for layer in side.layers for spacing in spacings_of(layer.site, size)]
    found = foreign_periods(side.outputs, other.outputs, explained, scale)
    return found[0].value if found else (0.0,) * (side.outputs[0].ndim - 2)


def _pass_counter(progress: Callable[[int, int], None] | None, total: int) -> Callable[[int], None]:
    """A function that adds to the passes done, and says so."""
    done = 0

    def count(passes: int) -> None:
        nonlocal done
        done += passes
        if progress:
            progress(done, total)

    return count
