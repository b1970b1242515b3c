"""Pictures of several panels: a whole diagnosis, the maps of all sites. No window is opened and no file written."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from artifactlab.attribution.diagnosis import Diagnosis, Example
from artifactlab.errors import InputError
from artifactlab.report.drawing import Crop, crop_of, draw_change, draw_crop, draw_image
from artifactlab.report.pictures import TITLE, literal_label
from artifactlab.report.plots import COLOURS, plot_sites
from artifactlab.report.slices import strongest
from artifactlab.report.tracks import Track

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 100
"""Of the pictures that are written: 1300 pixels for the width of a diagnosis."""
OUTLINE = "#D55E00"
"""Of the place of the output crop."""
VERDICT = 110
"""Characters of a line that fit above a figure."""
MAP_TITLE = 34
"""Characters of a line that fit above a map."""
MOST_MAPS = 15
"""Sites that are drawn at most: with the output they fill four rows of four."""


def png_of(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=DPI)
    return data.getvalue()


def plot_diagnosis(diagnosis: Diagnosis) -> Figure:
    """Input, output crop, where the top site acts, and bars per site.

    Raises:
        InputError: if the diagnosis carries no examples.
    """
    from artifactlab.report.notebook_figure import NotebookFigure

    if not diagnosis.examples:
        raise InputError("this diagnosis carries no example images to draw; use the object `diagnose` returned")
    example, names = diagnosis.examples[0], diagnosis.directions
    largest = diagnosis.sites[0].site.key
    change = example.changes.get(largest)  # a fast diagnosis has none
    crop = crop_of(_detail(example.output) if change is None else change)
    figure = NotebookFigure(figsize=(13, 7.5), layout="constrained")
    # two figures in one, so that long site names do not squeeze the images
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.5, 1])[:, 0]
    picture, close_up, where = above.subplots(1, 3)
    _draw_outlined(picture, example, names, crop)
    draw_crop(close_up, example.output, crop, "output", names)
    if change is None:
        where.set_axis_off()
    else:
        draw_change(
            where, change, f"how far repairing\n{diagnosis.handles[largest]} moves it", TITLE, names, crop.place
        )
    plot_sites(diagnosis, ax=below.subplots())
    finding = diagnosis.handles.shorten(diagnosis.heading)
    figure.suptitle(literal_label(finding, VERDICT), fontsize=12, fontweight="bold")
    return figure


def plot_maps(diagnosis: Diagnosis, example: int = 0) -> Figure:
    """One panel per site: where in the output it acts, each on its own scale, largest effect first.

    Raises:
        InputError: if the diagnosis has no such example.
    """
    from artifactlab.report.notebook_figure import NotebookFigure

    # a fast diagnosis has none, and says so
    sites = ([site for site in diagnosis.sites if site.verified] or list(diagnosis.sites))[:MOST_MAPS]
    maps = [diagnosis.artifact_map(site.site.key, example) for site in sites]
    columns = min(4, len(sites) + 1)
    rows = math.ceil((len(sites) + 1) / columns)
    figure = NotebookFigure(figsize=(3.6 * columns, 3.9 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    names, place, handles = diagnosis.directions, strongest(maps[0]), diagnosis.handles
    draw_image(next(panels), diagnosis.examples[example].output, "output", names, place)
    for site, change in zip(sites, maps, strict=True):
        ax = next(panels)
        draw_change(ax, change, f"{handles[site.site.key]}\n{site.verdict}", MAP_TITLE, names, place)
        ax.title.set_color(COLOURS[site.verdict])
    for unused in panels:
        unused.set_axis_off()
    return figure


def _draw_outlined(ax: Axes, example: Example, names: Sequence[str], crop: Crop) -> None:
    """The input, or the output where it was no image, with the place of the output crop."""
    from matplotlib.patches import Rectangle

    image, title = (example.output, "output") if example.input is None else (example.input, "input")
    scale = [mine / theirs for mine, theirs in zip(image.shape[1:], example.output.shape[1:], strict=True)]
    place, corner, size = ([value * by for value, by in zip(values, scale, strict=True)] for values in crop)
    flat = draw_image(ax, image, f"{title}; the crop is outlined", names, [int(at) for at in place])
    if isinstance(flat, Track):
        ax.axvspan(corner[0], corner[0] + size[0], color=OUTLINE, alpha=0.6)
        return
    for frame in flat.frames(corner, size):
        at = (frame.left - 0.5, frame.top - 0.5)
        ax.add_patch(Rectangle(at, frame.width, frame.height, fill=False, edgecolor=OUTLINE, linewidth=1.5))


def _detail(image: Tensor) -> Tensor:
    """(*space): how far pixels are from their neighbours before them, along all directions at once."""
    axes = range(1, image.ndim)
    steps = image.float()
    before = steps
    for axis in axes:
        length = image.shape[axis] - 1
        steps, before = steps.narrow(axis, 1, length), before.narrow(axis, 0, length)
    return torch.nn.functional.pad((steps - before).abs().mean(0), (1, 0) * len(axes))
