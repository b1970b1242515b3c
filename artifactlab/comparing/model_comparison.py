"""What is known of the lattices of two models: records, from one place to the verdict in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypedDict

from artifactlab.metrics.relation_difference import Powers
from artifactlab.metrics.visible import VISIBLE_GRID, VISIBLE_STEPS
from artifactlab.serialize import json_data, program

SCHEMA_VERSION = "1.0"
"""Version of `artifactlab/schemas/compare_models.json`."""
LEAST_SHARE = 0.1
"""Share of the stronger lattice that two must differ by: a tenth more of what is there already is no other lattice (see
"They part where it shows" in docs/decisions.md)."""
LEAST_STEP_CONTRAST = VISIBLE_GRID / 4
"""Difference, in data ranges, that steps must make to the values: as for what is found in images (see "What may be
chance counts less its chance" in docs/decisions.md)."""
OUTPUT = "output"
"""Name of the place that is no layer."""
Parting = Literal["part", "same", "cannot tell"]
_UNKNOWN: dict[str, str | None] = {"source": None, "sha256": None}


@dataclass(frozen=True)
class LatticeStrength:
    """How strong a lattice is, or the difference of two."""

    grid: float
    """Rms of the grid, constant and following the content, as a fraction of what the values span."""
    steps: float
    """Rms displacement of edges by stair-steps, in samples."""


@dataclass(frozen=True)
class LatticePair:
    """The lattice at one place of both models."""

    where: str
    """Key of the layer in the first model, or `output`."""
    other: str
    """Key of the layer in the second model: another one where the layer was replaced or wrapped."""
    calls: tuple[int, int]
    """How often the layer runs in a forward pass of the first and of the second model: tiles run it several times."""
    period: tuple[int, ...]
    """Spacing of the lattice that was measured along each direction, (vertical, horizontal) of images, in samples
    there: the layer's own, with those of the layers before it."""
    first: LatticeStrength
    """The lattice in the first model, as far as it is beyond chance."""
    second: LatticeStrength
    """The lattice in the second model, as far as it is beyond chance."""
    difference: LatticeStrength
    """Difference of the two lattices, which may be as strong and differ."""
    floor: LatticeStrength
    """What the difference may be by chance: the less, the more of their contents is the same."""
    verdict: Parting
    """They part if they differ by more than the floor, than what just shows (1/255 or .1 samples), and than a tenth of
    the stronger one; it cannot be told where the floor is above what shows."""


class ModelComparisonSettings(TypedDict):
    """The settings that a comparison of models was produced with."""

    inputs: int
    """Number of inputs."""
    output: str | int | None
    """Key, attribute or index of the output that was compared; None for the largest."""
    data_range: float
    """Distance between the output's darkest and brightest value."""
    seed: int
    """Seed of the random state that every forward pass started from."""


@dataclass(frozen=True)
class ModelComparison:
    """The result of `compare_models`."""

    verdict: Parting
    """Whether the lattices part anywhere; it cannot be told where no place can be measured, or not well enough."""
    text: str
    """What was found, in a few sentences."""
    parts_at: str | None
    """The first place in running order at which they part: key of a layer, or `output`; None where they do not."""
    places: tuple[LatticePair, ...]
    """Every layer that both have, in running order of the first model, and the output last."""
    severity: tuple[float | None, float | None]
    """Severity of the outputs of either model; None where what shows could hide in noise and texture."""
    only_first: tuple[str, ...]
    """Keys of layers of the first model that have no partner in the second."""
    only_second: tuple[str, ...]
    """Keys of layers of the second model that have no partner in the first."""
    unmeasured: tuple[str, ...]
    """Keys of common layers whose activations are too small for their lattice."""
    seams: tuple[tuple[float, ...], tuple[float, ...]]
    """Period along each direction, (vertical, horizontal) of images, of seams that only the outputs of the first model
    have, and of those that only the second one's have; 0 for none."""
    config: ModelComparisonSettings
    """The settings that produced the comparison."""
    model: tuple[dict[str, str | None], dict[str, str | None]] = (_UNKNOWN, _UNKNOWN)
    """Where the two came from, and the digests of their checkpoints."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data that validates against `artifactlab/schemas/compare_models.json`: None instead of NaN."""
        data = {"schema_version": SCHEMA_VERSION, "tool": program(), "kind": "models", **asdict(self)}
        return dict(json_data(data))

    def to_json(self) -> str:
        """`to_dict` as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)


def parting_verdict(one: Powers, two: Powers, apart: Powers, floor: Powers) -> Parting:
    """Whether two lattices differ, or a difference that shows could hide below the floor."""
    grid = max(VISIBLE_GRID**2, floor.grid, LEAST_SHARE**2 * max(one.grid, two.grid))
    steps = max(VISIBLE_STEPS**2, floor.steps, LEAST_SHARE**2 * max(one.steps, two.steps))
    if apart.grid > grid or (apart.steps > steps and apart.moved > LEAST_STEP_CONTRAST**2):
        return "part"
    steps_hide = floor.steps > VISIBLE_STEPS**2 and floor.moved > LEAST_STEP_CONTRAST**2
    return "cannot tell" if steps_hide or floor.grid > VISIBLE_GRID**2 else "same"


def strength_of(powers: Powers) -> LatticeStrength:
    """The strength of a lattice of these powers."""
    return LatticeStrength(powers.grid**0.5, powers.steps**0.5)


def overall_parting(places: Sequence[LatticePair]) -> Parting:
    """The verdict on all places: the same only where each of them is."""
    verdicts = {place.verdict for place in places}
    if "part" in verdicts:
        return "part"
    return "same" if verdicts == {"same"} else "cannot tell"


def first_parting(places: Sequence[LatticePair]) -> str | None:
    """The first place at which two models part; None where they do not."""
    return next((place.where for place in places if place.verdict == "part"), None)


def with_text(found: ModelComparison) -> ModelComparison:
    """The comparison with what was found in words."""
    return replace(found, text=_summary_text(found))


def _summary_text(found: ModelComparison) -> str:
    """Where they part, what the outputs show, and what else is known of the two."""
    first, second = ("cannot tell" if value is None else f"{value:.2g}" for value in found.severity)
    parts = [_parting_text(found), f"Severity of the outputs: {first} and {second}; 1 just shows."]
    for name, period in zip(("first", "second"), found.seams, strict=True):
        if any(period):
            parts.append(f"Only the {name} has seams, {_seam_text(period)}: it is put together from tiles or windows.")
    often = next((place for place in found.places if place.calls[0] != place.calls[1]), None)
    if often:
        parts.append(f"{often.where} runs {often.calls[0]} times in the first and {often.calls[1]} in the second.")
    if found.only_first or found.only_second:
        parts.append(f"Layers without a partner: {', '.join([*found.only_first, *found.only_second])}.")
    if found.unmeasured:
        parts.append(f"Too small to be measured: {', '.join(found.unmeasured)}; give larger inputs.")
    return " ".join(parts)


def _parting_text(found: ModelComparison) -> str:
    """Where they part, and by how much, in the form that differs more."""
    if not found.places:
        return "Cannot tell: outputs and activations are too small for the lattices; give larger inputs."
    places = [place.where for place in found.places]
    number = places.index(found.parts_at) if found.parts_at in places else len(places)
    unsure = [place.where for place in found.places[:number] if place.verdict == "cannot tell"]
    untold = f"at {', '.join(unsure)} what shows could hide in the content; give more or larger inputs"
    if found.parts_at is None:
        nowhere = "nowhere do they differ by more than chance and by what shows"
        return f"Cannot tell: {nowhere}, but {untold}." if unsure else f"The lattices do not part: {nowhere}."
    agreeing = [place.where for place in found.places[:number] if place.verdict == "same"]
    at = "only at the output" if found.parts_at == OUTPUT else f"at {found.parts_at}"
    behind = f", behind {agreeing[-1]}, where they still agree" if agreeing else ""
    text = f"The lattices part {at}{behind}: {_difference_text(found.places[number])}."
    return f"{text} Whether they do before cannot be told: {untold}." if unsure else text


def _difference_text(place: LatticePair) -> str:
    one, two, apart = place.first, place.second, place.difference
    if apart.grid / VISIBLE_GRID >= apart.steps / VISIBLE_STEPS:
        return f"grids of {255 * one.grid:.1f} and {255 * two.grid:.1f}/255, {255 * apart.grid:.1f}/255 apart"
    return f"stair-steps of {one.steps:.2f} and {two.steps:.2f} samples, {apart.steps:.2f} apart"


def _seam_text(period: tuple[float, ...]) -> str:
    ways = ("slices", "rows", "columns")[-len(period) :]
    sides = [f"every {spacing:g} {way}" for spacing, way in zip(period, ways, strict=True) if spacing]
    return " and ".join(sides)
