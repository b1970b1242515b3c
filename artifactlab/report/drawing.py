"""Outputs and changes drawn by matplotlib: images, slices of volumes, film strips, spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from torch import Tensor

from artifactlab.attribution.artifact_words import IMAGE, words_for
from artifactlab.attribution.windows import busiest, part
from artifactlab.report.flat import Flat, flat_for
from artifactlab.report.pictures import TITLE, in_255ths, literal_label
from artifactlab.report.slices import strongest
from artifactlab.report.tracks import Track

if TYPE_CHECKING:
    from matplotlib.axes import Axes


ZOOM = 48
"""Pixels per side of an output crop, which is drawn large enough to see single pixels."""
CLOSE_SAMPLES = 8 * ZOOM
"""Samples of a signal that are drawn large enough to see single ones."""


class Crop(NamedTuple):
    """A part of an output that is drawn large."""

    place: tuple[int, ...]
    """Where most is to be seen in it, as a place in the output: slices of a volume meet there."""
    corner: tuple[int, ...]
    """Where it begins."""
    size: tuple[int, ...]
    """Pixels along each direction."""


def draw_image(
    ax: Axes, image: Tensor, title: str, names: Sequence[str] = IMAGE, place: Sequence[int] | None = None
) -> Flat:
    """An output as it is if its values fit [0, 1], else stretched to its own range; of a signal its spectrogram.

    Args:
        ax: where to draw.
        image: (C, *space).
        title: above it, in lines that fit.
        names: of the directions.
        place: where the slices of a volume meet.

    Returns:
        What laid it flat, by which parts of it are found in the picture.
    """
    flat = flat_for(image, names, place)
    pixels = flat.close_up(image, image)
    if isinstance(flat, Track):
        extent = (0.0, float(flat.space[0]), 0.0, 0.5)
        ax.imshow(pixels, cmap="gray", vmin=0, vmax=1, aspect="auto", extent=extent, interpolation="nearest")
        ax.set_xlabel("samples", fontsize=8)
        ax.set_ylabel("cycles per sample", fontsize=8)
    else:
        ax.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.set_axis_off()
    ax.set_title(literal_label(title, TITLE), fontsize=10)
    return flat


def crop_of(shown: Tensor) -> Crop:
    """The part to draw large, where what is shown, (*space), is largest."""
    side = CLOSE_SAMPLES if shown.ndim == 1 else ZOOM
    corner, size = busiest(shown, side), tuple(min(side, length) for length in shown.shape)
    ends = [(start, start + length - 1) for start, length in zip(corner, size, strict=True)]
    place = tuple(min(max(at, low), high) for at, (low, high) in zip(strongest(shown), ends, strict=True))
    return Crop(place, corner, size)


def draw_crop(ax: Axes, image: Tensor, crop: Crop, name: str, names: Sequence[str] = IMAGE) -> None:
    """A small part of an output, pixel by pixel; of a signal the samples themselves."""
    cut = part(image, crop.corner, crop.size)
    title = f"{name}, {'x'.join(map(str, crop.size))} {words_for(names).pixels}"
    if image.ndim > 2:
        draw_image(ax, cut, title, names, [at - start for at, start in zip(crop.place, crop.corner, strict=True)])
        return
    for channel in cut.float().cpu().numpy():
        ax.plot(np.arange(len(channel)) + crop.corner[0], channel, linewidth=0.8, marker=".", markersize=2)
    ax.set_xlabel("samples", fontsize=8)
    ax.set_title(literal_label(title, TITLE), fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)


def draw_change(
    ax: Axes,
    change: Tensor,
    title: str,
    width: int = TITLE,
    names: Sequence[str] = IMAGE,
    place: Sequence[int] | None = None,
) -> None:
    """How far a repair moves each pixel, in 1/255 of the data range, below a title in lines of so many characters."""
    flat = flat_for(change[None], names, place)
    values, most = in_255ths(flat.change(change))
    if isinstance(flat, Track):
        _draw_course(ax, values[-1], flat.space[0])
    else:
        image = ax.imshow(values, cmap="magma", vmin=0, vmax=most)
        ax.figure.colorbar(image, ax=ax, orientation="horizontal", shrink=0.8, label="1/255 of the data range")
        ax.set_axis_off()
    ax.set_title(literal_label(title, width), fontsize=10)


def _draw_course(ax: Axes, values: np.ndarray, samples: int) -> None:
    """The largest change along a signal."""
    places = (np.arange(len(values)) + 0.5) * samples / len(values)
    ax.fill_between(places, values, color="#D55E00", linewidth=0)
    ax.set_xlim(0, samples)
    ax.set_ylim(0, 1.05 * max(1.0, float(values.max())))
    ax.set_xlabel("samples", fontsize=8)
    ax.set_ylabel("1/255 of the data range", fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)
