"""What the page calls things: of images, of volumes and video, of signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from artifactlab.attribution.artifact_words import amplitude_text, words_for
from artifactlab.attribution.records import SeverityMeasures

SIDES = {"z": "depth", "y": "height", "x": "width"}
"""What directions are called as sides."""


@dataclass(frozen=True)
class PageWords:
    """Captions that depend on what outputs are."""

    pixel: str
    """The unit of displacements."""
    beside: str
    """The same where there is room for two letters only, which others than pixels have none of."""
    cycle: str
    """What frequencies are counted per."""
    whole: str
    """What changes are counted in 1/255 of."""
    laid: str
    """How an output is laid flat, as the end of a caption."""


def page_words(names: Sequence[str]) -> PageWords:
    """The captions for outputs whose directions have these names."""
    words = words_for(names)
    beside = words.pixel if words.pixel == "px" else ""
    return PageWords(
        words.pixel,
        beside,
        words.pixels.removesuffix("s"),
        words.whole,
        _laid(names),
    )


def _laid(names: Sequence[str]) -> str:
    if len(names) == 1:
        return ": its spectrogram, higher frequencies above"
    if len(names) == 2:
        return ""
    across, down, first = names[2], names[1], names[0]
    if first == "t":
        return f": frames, and below them one row ({across}) and one column ({down}) over time, which goes down"
    return f": slices {down}-{across}, {down}-{first} on the right and {first}-{across} below"


def level_numbers(output: SeverityMeasures, names: Sequence[str]) -> list[tuple[str, str, str]]:
    """(name, value, unit) of the two artifacts."""
    words = words_for(names)
    if len(names) == 1:
        tones = amplitude_text(output.lattice_amplitude, names)
        return [(words.level, tones, "rms"), (words.steps, f"{output.edge_jaggedness:.2f}", words.pixels)]
    unit = {"px": "pixels"}.get(words.pixel, words.pixel)
    grid = amplitude_text(output.lattice_amplitude, names, digits=2).removesuffix("/255")
    return [(words.level, grid, "1/255 rms"), (words.steps, f"{output.edge_jaggedness:.2f}", unit)]


def sides_text(names: Sequence[str]) -> str:
    """What the numbers of a shape are: `channels, height, width`."""
    time = "samples" if len(names) == 1 else "frames"
    return ", ".join(["channels", *(SIDES.get(name, time) for name in names)])
