"""What the axes of a model's output are, by how it was made: its layout, and which direction each runs along."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from artifactlab.attribution.sites.axes import DIRECTIONS, Axes, direction_of, is_unknown, role_of
from artifactlab.models.layout import DIRECTIONS as LETTERS
from artifactlab.models.layout import Layout, layout_by_shape

VIDEO_CHANNELS = 3
"""Channels of a volume that is a film: volumes of scanners and simulations have one, or one per class."""


def layout_of(output: Tensor, axes: Axes | None) -> Layout:
    """The layout of an output; by its shape where its axes do not tell.

    Raises:
        InputError: if it has fewer than two axes, or more than five.
    """
    return told_layout(output, axes) or layout_by_shape(output.shape)


def told_layout(output: Tensor, axes: Axes | None) -> Layout | None:
    """The layout of an output by how it was made, None where that is not known.

    Frames that came through the net in the batch, or were stacked, are time.
    """
    if axes is None or is_unknown(axes) or not 2 <= output.ndim == len(axes) <= 2 + DIRECTIONS:
        return None
    letters = _letters(output, axes)
    is_whole = len(set(letters)) == len(letters) and set(letters) & set(LETTERS)
    return Layout(letters) if is_whole else None


def _letters(output: Tensor, axes: Axes) -> str:
    roles = [role_of(axis) if axis or k == 0 else "single" for k, axis in enumerate(axes)]
    places = sum(role == "places" for role in roles)
    letters = ["N" if k == 0 and role != "places" else "" for k, role in enumerate(roles)]
    if axes[0] and roles[0] == "features" not in roles[1:]:  # the first image of a batch
        letters[0] = "C"
    # stacked beside channels are frames; maps alone are channels
    channels = next((role for role in ("features", "single", "stacked") if role in roles[1:]), None)
    if channels and "C" not in letters:
        letters[roles.index(channels, 1)] = "C"
    count = output.shape[letters.index("C")] if "C" in letters else 1
    depth = "T" if count == VIDEO_CHANNELS else "D"
    for k, role in enumerate(roles):
        if role == "places":
            names = ("L",) if places == 1 else ("W", "H", depth)
            direction = direction_of(axes[k]) or 0
            letters[k] = names[0] if places == 1 else names[min(direction, DIRECTIONS - 1)]
        elif not letters[k]:
            letters[k] = "T"
    if places == 1 and "T" in letters:  # one direction of space, and frames
        letters = ["W" if letter == "L" else letter for letter in letters]
    if "H" in letters and letters.index("W") < letters.index("H"):  # what was turned is an image as it comes out
        letters = [{"W": "H", "H": "W"}.get(letter, letter) for letter in letters]
    return "".join(letters)


def of_scan(layout: Layout, output: Tensor, inputs: Iterable[Tensor]) -> Layout:
    """A layout of three channels in which depth is no time: a volume of as many voxels, but no colours, went in.

    Nets that tell three classes or regions apart in a scan have them; those that decode films enlarge their latents.
    """
    size = output.shape[2:]
    is_scan = any(tensor.shape[2:] == size and tensor.shape[1] != VIDEO_CHANNELS for tensor in inputs)
    return Layout("NCDHW") if layout.axes == "NCTHW" and is_scan else layout


def directions_of(layout: Layout, axes: Axes | None) -> tuple[int | None, ...]:
    """Which direction each axis of the output's images runs along; None for frames that came in the batch.

    Where that is not known they are the fastest directions.
    """
    letters = [letter for letter in "TDHWL" if letter in layout.axes]
    fastest = list(range(len(letters) - 1, -1, -1))
    if axes is None or len(axes) != len(layout.axes):
        return tuple(fastest)
    places = [axes[layout.axes.index(letter)] for letter in letters]
    known = {direction_of(axis) for axis in places}
    found: list[int | None] = []
    for axis, fast in zip(places, fastest, strict=True):
        direction = direction_of(axis)
        if direction is None and (role_of(axis) in ("unknown", "places") or not axis) and fast not in known:
            direction = fast  # nothing is known that speaks against it
        found.append(direction if direction is None or direction < DIRECTIONS else None)
    return tuple(found)
