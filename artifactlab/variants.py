"""Two variants of one model on the same inputs: the first layer at which their lattices part."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any, Literal

from torch import Tensor, nn

from artifactlab.capture import unwrap
from artifactlab.errors import InputError, ModelError
from artifactlab.evidence import spread
from artifactlab.lattices import Layer, Plan, Sums, added, channel_sums, lattice_at, matched, measured, surveyed
from artifactlab.metrics import relation_difference as relations
from artifactlab.metrics.visible import VISIBLE_GRID, VISIBLE_STEPS
from artifactlab.records import Site, plain, tool
from artifactlab.runner import Call, Runner, as_calls, in_precision
from artifactlab.seams import foreign_periods
from artifactlab.severity import VISIBLE, joint_period, measure_severity, pool

SCHEMA_VERSION = "1.0"
"""of `artifactlab/schemas/compare_models.json`"""
LEAST_SHARE = 0.1
"""of the stronger lattice, that two must differ by: a tenth more of what is there already is no other lattice"""
FAINT = VISIBLE_GRID / 4
"""difference, in data ranges, that steps must make: as for what is found in images"""
OUTPUT = "output"
PASSES = 4
"""over each input: of each model a plain one, and one that measures"""
Inputs = Tensor | Sequence[Any] | Mapping[str, Any]
_UNKNOWN: dict[str, str | None] = {"source": None, "sha256": None}


@dataclass(frozen=True)
class LatticeStrength:
    """How strong a lattice is, or the difference of two."""

    grid: float
    """rms of the grid, constant and following the content, as a fraction of what the values span"""
    steps: float
    """stair-steps: rms displacement of edges, in samples"""


@dataclass(frozen=True)
class LatticePair:
    """The lattice at one place of both models."""

    where: str
    """key of the layer in the first model, or `output`"""
    other: str
    """its key in the second model: another one where the layer was replaced or wrapped"""
    calls: tuple[int, int]
    """how often the layer runs in a forward pass of the first and of the second model: tiles run it several times"""
    period: tuple[int, int]
    """(vertical, horizontal) spacing of the lattice that was measured, in samples there: the layer's own, with those of
    the layers before it"""
    first: LatticeStrength
    """in the first model, as far as it is beyond chance"""
    second: LatticeStrength
    """in the second"""
    difference: LatticeStrength
    """of the two lattices, which may be as strong and differ"""
    floor: LatticeStrength
    """what the difference may be by chance, were their contents independent"""
    parts: bool
    """whether they differ: by more than the floor, than what just shows (1/255 or .1 samples), and than a tenth of the
    stronger one"""


@dataclass(frozen=True)
class ModelComparison:
    """The result of `compare_models`."""

    verdict: Literal["same", "part", "cannot tell"]
    """whether the lattices part anywhere; it cannot be told where no place could be measured"""
    text: str
    """what was found, in a few sentences"""
    parts_at: str | None
    """the first place in running order at which they do: key of a layer, or `output`"""
    places: tuple[LatticePair, ...]
    """every layer that both have in running order of the first model, and the output last"""
    severity: tuple[float | None, float | None]
    """of the outputs of the first and of the second model; None where what shows could hide in noise and texture"""
    only_first: tuple[str, ...]
    """keys of layers that have no partner in the second model"""
    only_second: tuple[str, ...]
    """the other way round"""
    unmeasured: tuple[str, ...]
    """keys of common layers whose activations are too small for their lattice"""
    seams: tuple[tuple[float, float], tuple[float, float]]
    """(vertical, horizontal) period of seams that only the outputs of the first model have, and only those of the
    second; 0 for none"""
    config: dict[str, Any]
    """the settings that produced it"""
    model: tuple[dict[str, str | None], dict[str, str | None]] = (_UNKNOWN, _UNKNOWN)
    """where the two came from, and the digests of their checkpoints"""

    def to_dict(self) -> dict[str, Any]:
        """Plain data that validates against `artifactlab/schemas/compare_models.json`: None instead of NaN."""
        data = {"schema_version": SCHEMA_VERSION, "tool": tool(), "kind": "models", **asdict(self)}
        return dict(plain(data))

    def to_json(self) -> str:
        """`to_dict` as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)


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
    enlarges in both, the relations of what stands in step with the lattice to the content below it are measured channel
    by channel, and compared. These relations are the lattice: they are the same for other content and for tiles of it.
    Layers are matched by key; what has another key in each is matched in running order between those, where scale and
    number of channels are the same, so that a replaced upsampler or a wrapped model finds its partner.

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
    ...     return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), torch.nn.Upsample(scale_factor=2, mode=mode))
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
    sums = [side.measured([pair[own].site for pair in pairs], plans) for own, side in enumerate(sides)]
    places = [
        compared(a.site, b.site, plan, sums[0][a.site], sums[1][b.site])
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

    def measured(self, sites: Sequence[Site], plans: Sequence[Plan]) -> dict[Site, Sums]:
        wanted = {site: plan for site, plan in zip(sites, plans, strict=True) if max(plan.lattice) > 1}
        with Runner(self.model, self.output, self.seed) as runner:
            found = measured(runner, self._given(), wanted)
        self.moved(len(self.calls))
        return found

    def _given(self) -> list[Call]:
        """The calls, in the precision of the model's parameters."""
        floating = (p.dtype for p in self.model.parameters() if p.is_floating_point())
        dtype = next(floating, None)
        return [Call(*(in_precision(part, dtype) for part in (call.args, dict(call.kwargs)))) for call in self.calls]


def compared(where: Site | None, other: Site | None, plan: Plan, first: Sums, second: Sums) -> LatticePair:
    """Two measurements of a lattice at one place, which is the output where it is no site."""
    one, two = (relations.beyond_chance(sums) for sums in (first, second))
    apart, chance = relations.difference(first, second), relations.chance(first, second)
    least = relations.least_ratios(first)
    grids = apart.grid > max(VISIBLE_GRID**2, least[0] * chance.grid, LEAST_SHARE**2 * max(one.grid, two.grid))
    steps = apart.steps > max(VISIBLE_STEPS**2, least[1] * chance.steps, LEAST_SHARE**2 * max(one.steps, two.steps))
    return LatticePair(
        where=where.key if where else OUTPUT,
        other=other.key if other else OUTPUT,
        calls=(len(where.calls) if where else 1, len(other.calls) if other else 1),
        period=plan.lattice,
        first=_strength(one),
        second=_strength(two),
        difference=_strength(apart),
        floor=LatticeStrength((least[0] * chance.grid) ** 0.5, (least[1] * chance.steps) ** 0.5),
        parts=grids or (steps and apart.moved > FAINT**2),
    )


def _strength(powers: relations.Powers) -> LatticeStrength:
    return LatticeStrength(powers.grid**0.5, powers.steps**0.5)


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
    sums = [reduce(added, (channel_sums(image, plan) for image in images)) for images in outputs]
    return [compared(None, None, plan, *sums)]


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


def concluded(places: Sequence[LatticePair], **found: Any) -> ModelComparison:
    """The verdict, and the rest as it was found."""
    first = next((place.where for place in places if place.parts), None)
    verdict: Literal["same", "part", "cannot tell"] = "part" if first else "same" if places else "cannot tell"
    bare = ModelComparison(verdict=verdict, text="", parts_at=first, places=tuple(places), **found)
    return replace(bare, text=_sentence(bare))


def _sentence(found: ModelComparison) -> str:
    """Where they part, what the outputs show, and what else is known of the two."""
    first, second = ("cannot tell" if value is None else f"{value:.2g}" for value in found.severity)
    parts = [_parting(found), f"Severity of the outputs: {first} and {second}; 1 just shows."]
    for name, period in zip(("first", "second"), found.seams, strict=True):
        if any(period):
            parts.append(f"Only the {name} has seams, {_lines(period)}: it is put together from tiles or windows.")
    often = next((place for place in found.places if place.calls[0] != place.calls[1]), None)
    if often:
        parts.append(f"{often.where} runs {often.calls[0]} times in the first and {often.calls[1]} in the second.")
    if found.only_first or found.only_second:
        parts.append(f"Layers without a partner: {', '.join([*found.only_first, *found.only_second])}.")
    if found.unmeasured:
        parts.append(f"Too small to be measured: {', '.join(found.unmeasured)}; give larger inputs.")
    return " ".join(parts)


def _parting(found: ModelComparison) -> str:
    """Where they part, and by how much, in the form that differs more."""
    if not found.places:
        return "Cannot tell: outputs and activations are too small for the lattices; give larger inputs."
    if found.parts_at is None:
        return "The lattices do not part: nowhere do they differ by more than chance and by what shows."
    places = [place.where for place in found.places]
    number = places.index(found.parts_at)
    at = "only at the output" if found.parts_at == OUTPUT else f"at {found.parts_at}"
    behind = f", behind {places[number - 1]}, where they still agree" if number else ""
    one, two, apart = (getattr(found.places[number], name) for name in ("first", "second", "difference"))
    if apart.grid / VISIBLE_GRID >= apart.steps / VISIBLE_STEPS:
        how = f"grids of {255 * one.grid:.1f} and {255 * two.grid:.1f}/255, {255 * apart.grid:.1f}/255 apart"
    else:
        how = f"stair-steps of {one.steps:.2f} and {two.steps:.2f} samples, {apart.steps:.2f} apart"
    return f"The lattices part {at}{behind}: {how}."


def _lines(period: tuple[float, float]) -> str:
    sides = [f"every {spacing:g} {way}" for spacing, way in zip(period, ("rows", "columns"), strict=True) if spacing]
    return " and ".join(sides)
