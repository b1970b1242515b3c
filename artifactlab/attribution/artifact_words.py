"""What artifacts are called, and how much of them there is: in images, volumes and signals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from artifactlab.attribution.records import Kind, SeverityMeasures
from artifactlab.metrics.visible import VISIBLE_STEPS
from artifactlab.scoring.severity import VISIBLE

IMAGE = ("y", "x")
"""Names of the directions of an image."""
DIRECTIONS = {1: ("t",), 2: IMAGE, 3: ("z", "y", "x")}
"""Names by how many there are, where no layout tells video from volumes."""
QUIETEST = -120.0
"""Decibels below which a tone is called that: less than a rounding of 16 bits, or nothing at all."""


LEAST_COPIES = 0.005
"""Samples of displacement that are told, as less is printed as nothing."""


@dataclass(frozen=True)
class Words:
    """The words for what has one, two or three directions."""

    outputs: str
    """What outputs are."""
    lattice: str
    """What is in step with a lattice and the same everywhere."""
    one_lattice: str
    """One of those, with its article."""
    level: str
    """The same where its level is told, beside that of the steps."""
    steps: str
    """What is in step with a lattice and follows the content."""
    ragged: str
    """The same where its level is told."""
    pixel: str
    """The unit that a displacement is told in."""
    pixels: str
    """What outputs are made of."""
    whole: str
    """What changes are told in 1/255 of."""


IMAGES = Words("images", "checkerboard", "a grid", "grid", "stair-steps", "jaggedness", "px", "pixels", "white")
VOLUMES = Words("volumes", "grid", "a grid", "grid", "stair-steps", "jaggedness", "voxels", "voxels", "white")
VIDEOS = Words("videos", "grid", "a grid", "grid", "stair-steps", "jaggedness", "px", "pixels", "white")
SIGNALS = Words(
    "signals",
    *("tones", "a tone", "tones"),
    *("spectral images", "spectral images"),
    *("samples", "samples"),
    "the data range",
)


def words_for(names: Sequence[str]) -> Words:
    """The words for outputs whose directions have these names."""
    if len(names) == 3:
        return VIDEOS if names[0] == "t" else VOLUMES
    return SIGNALS if len(names) == 1 else IMAGES


def kind_text(kind: Kind, names: Sequence[str]) -> str:
    """An artifact by its name."""
    return words_for(names).lattice if kind == "checkerboard" else words_for(names).steps


def period_text(period: Sequence[float], names: Sequence[str] = ()) -> str:
    """A period, or a growth, as people write it.

    >>> period_text((4, 4)), period_text((4, 2), ("y", "x")), period_text((1, 8, 8), ("t", "y", "x"))
    ('4', '4x2', 't 1, y 8, x 8')
    """
    if len(set(period)) == 1:
        return f"{period[0]:g}"
    if len(period) == 2 or len(names) != len(period):
        return "x".join(f"{p:g}" for p in period)
    return ", ".join(f"{name} {p:g}" for name, p in zip(names, period, strict=True))


def amplitude_text(amplitude: float, names: Sequence[str] = IMAGE, digits: int = 1) -> str:
    """How strong a lattice is, given in data ranges: in 1/255 where it is looked at, in decibels where it is heard."""
    if len(names) != 1:
        return f"{255 * amplitude:.{digits}f}/255"
    decibels = 20 * math.log10(max(amplitude, 1e-30))
    return f"{decibels:.0f} dB" if decibels >= QUIETEST else f"below {QUIETEST:.0f} dB"


def levels_text(output: SeverityMeasures, names: Sequence[str]) -> str:
    """How much there is of either, where neither shows."""
    words = words_for(names)
    grid, steps = _levels(output, names)
    return f"{words.level} {grid}, {words.ragged} {steps}"


def artifact_text(
    output: SeverityMeasures,
    names: Sequence[str] = IMAGE,
    period: Sequence[float] | None = None,
    kind: Kind = "checkerboard",
) -> str:
    """The output's larger artifact and, if the other shows as well, both; of a lattice its period, where it is told.

    Args:
        output: what it shows.
        names: of its directions.
        period: of the lattice of the site that is accused.
        kind: the artifact that the site draws; the first to be named of a signal, see `_of_signal`.
    """
    words = words_for(names)
    grid, ragged = _levels(output, names)
    where = "" if period is None else f", period {period_text(period, names)}"
    lattice, follows = f"{words.lattice} ({grid}{where})", f"{words.steps} ({ragged})"
    if len(names) == 1:
        return _of_signal(output, lattice, follows, kind)
    # the rest is the grid: its amplitude alone does not say how visible it is
    steps = (output.edge_jaggedness / VISIBLE_STEPS) ** 2
    found = sorted([(output.severity - steps, lattice), (steps, follows)], reverse=True)
    visible = [name for size, name in found if size >= VISIBLE] or [found[0][1]]
    return " and ".join(visible)


def _of_signal(output: SeverityMeasures, lattice: str, follows: str, kind: Kind) -> str:
    """What was found in a signal: how loud it is against what is around it, its own units do not say."""
    found = [
        ("checkerboard", lattice, 20 * math.log10(max(output.lattice_amplitude, 1e-30)) >= QUIETEST),
        ("stair-step", follows, output.edge_jaggedness >= LEAST_COPIES),
    ]
    found.sort(key=lambda artifact: artifact[0] != kind)
    return " and ".join([name for _, name, is_there in found if is_there] or [found[0][1]])


def _levels(output: SeverityMeasures, names: Sequence[str]) -> tuple[str, str]:
    """How strong the lattice is, and how much there is of what follows the content."""
    return f"{amplitude_text(output.lattice_amplitude, names)} rms", steps_text(output.edge_jaggedness, names)


def steps_text(jaggedness: float, names: Sequence[str] = IMAGE) -> str:
    """How much there is of what follows the content: how far it displaces edges, or samples."""
    return f"{jaggedness:.2f} {words_for(names).pixel}"


def size_text(sides: Sequence[tuple[str, int]], names: Sequence[str] = IMAGE) -> str:
    """The size that outputs must have, given per direction: `48 frames and 272 pixels a side`."""
    units = {"t": "frames" if len(names) > 1 else "samples", "z": "slices"}
    wanted: dict[str, int] = {}
    for name, side in sides:
        unit = units.get(name, "pixels a side")
        wanted[unit] = max(side, wanted.get(unit, 0))
    return " and ".join(f"{side} {unit}" for unit, side in wanted.items())
