"""What is known of the lattices of two models: records, from one place to the verdict in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from artifactlab.metrics.relation_difference import Powers
from artifactlab.metrics.visible import VISIBLE_GRID, VISIBLE_STEPS
from artifactlab.serialize import json_data, program

SCHEMA_VERSION = "1.0"
"""of `artifactlab/schemas/compare_models.json`"""
LEAST_SHARE = 0.1
"""of the stronger lattice, that two must differ by: a tenth more of what is there already is no other lattice"""
FAINT = VISIBLE_GRID / 4
"""difference, in data ranges, that steps must make: as for what is found in images"""
OUTPUT = "output"
Parting = Literal["part", "same", "cannot tell"]
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
    """what the difference may be by chance: the less, the more of their contents is the same"""
    verdict: Parting
    """they part if they differ by more than the floor, than what just shows (1/255 or .1 samples), and than a tenth of
    the stronger one; it cannot be told where the floor is above what shows"""


@dataclass(frozen=True)
class ModelComparison:
    """The result of `compare_models`."""

    verdict: Parting
    """whether the lattices part anywhere; it cannot be told where no place can be measured, or not well enough"""
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
        data = {"schema_version": SCHEMA_VERSION, "tool": program(), "kind": "models", **asdict(self)}
        return dict(json_data(data))

    def to_json(self) -> str:
        """`to_dict` as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)


def judged(one: Powers, two: Powers, apart: Powers, floor: Powers) -> Parting:
    """Whether two lattices differ, or a difference that shows could hide below the floor."""
    grid = max(VISIBLE_GRID**2, floor.grid, LEAST_SHARE**2 * max(one.grid, two.grid))
    steps = max(VISIBLE_STEPS**2, floor.steps, LEAST_SHARE**2 * max(one.steps, two.steps))
    if apart.grid > grid or (apart.steps > steps and apart.moved > FAINT**2):
        return "part"
    hidden = floor.grid > VISIBLE_GRID**2 or (floor.steps > VISIBLE_STEPS**2 and floor.moved > FAINT**2)
    return "cannot tell" if hidden else "same"


def strength_of(powers: Powers) -> LatticeStrength:
    return LatticeStrength(powers.grid**0.5, powers.steps**0.5)


def concluded(places: Sequence[LatticePair], **found: Any) -> ModelComparison:
    """The verdict, and the rest as it was found."""
    first = next((place.where for place in places if place.verdict == "part"), None)
    told = bool(places) and all(place.verdict == "same" for place in places)
    verdict: Parting = "part" if first else "same" if told else "cannot tell"
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
    number = next((n for n, place in enumerate(found.places) if place.where == found.parts_at), len(found.places))
    unsure = [place.where for place in found.places[:number] if place.verdict == "cannot tell"]
    untold = f"at {', '.join(unsure)} what shows could hide in the content; give more or larger inputs"
    if found.parts_at is None:
        nowhere = "nowhere do they differ by more than chance and by what shows"
        return f"Cannot tell: {nowhere}, but {untold}." if unsure else f"The lattices do not part: {nowhere}."
    agreeing = [place.where for place in found.places[:number] if place.verdict == "same"]
    at = "only at the output" if found.parts_at == OUTPUT else f"at {found.parts_at}"
    behind = f", behind {agreeing[-1]}, where they still agree" if agreeing else ""
    text = f"The lattices part {at}{behind}: {_apart(found.places[number])}."
    return f"{text} Whether they do before cannot be told: {untold}." if unsure else text


def _apart(place: LatticePair) -> str:
    one, two, apart = place.first, place.second, place.difference
    if apart.grid / VISIBLE_GRID >= apart.steps / VISIBLE_STEPS:
        return f"grids of {255 * one.grid:.1f} and {255 * two.grid:.1f}/255, {255 * apart.grid:.1f}/255 apart"
    return f"stair-steps of {one.steps:.2f} and {two.steps:.2f} samples, {apart.steps:.2f} apart"


def _lines(period: tuple[float, float]) -> str:
    sides = [f"every {spacing:g} {way}" for spacing, way in zip(period, ("rows", "columns"), strict=True) if spacing]
    return " and ".join(sides)
