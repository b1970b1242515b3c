"""Pictures of several panels: a whole diagnosis, the maps of all sites. No window is opened and no file written."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from artifactlab.attribution.diagnosis import Diagnosis, Example
from artifactlab.attribution.windows import busiest
from artifactlab.errors import InputError
from artifactlab.report.pictures import draw_change, draw_image, literal_label
from artifactlab.report.plots import COLOURS, plot_sites

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 100
"""Of the pictures that are written: 1300 pixels for the width of a diagnosis."""
ZOOM = 48
"""Pixels per side of the output crop, which is drawn large enough to see single pixels."""
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
    from matplotlib.figure import Figure

    if not diagnosis.examples:
        raise InputError("this diagnosis carries no example images to draw; use the object `diagnose` returned")
    example = diagnosis.examples[0]
    largest = diagnosis.sites[0].site.key
    change = example.changes.get(largest)  # a fast diagnosis has none
    top, left = busiest(_detail(example.output) if change is None else change, ZOOM)
    figure = Figure(figsize=(13, 7.5), layout="constrained")
    # two figures in one, so that long site names do not squeeze the images
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.5, 1])[:, 0]
    picture, crop, where = above.subplots(1, 3)
    _draw_outlined(picture, example, top, left)
    draw_image(crop, example.output[:, top : top + ZOOM, left : left + ZOOM], f"output, {ZOOM}x{ZOOM} pixels")
    if change is None:
        where.set_axis_off()
    else:
        draw_change(where, change, f"how far repairing\n{largest} moves it")
    plot_sites(diagnosis, ax=below.subplots())
    figure.suptitle(literal_label(diagnosis.verdict, VERDICT), fontsize=12, fontweight="bold")
    return figure


def plot_maps(diagnosis: Diagnosis, example: int = 0) -> Figure:
    """One panel per site: where in the output it acts, each on its own scale, largest effect first.

    Raises:
        InputError: if the diagnosis has no such example.
    """
    from matplotlib.figure import Figure

    # a fast diagnosis has none, and says so
    sites = ([site for site in diagnosis.sites if site.verified] or list(diagnosis.sites))[:MOST_MAPS]
    maps = [diagnosis.artifact_map(site.site.key, example) for site in sites]
    columns = min(4, len(sites) + 1)
    rows = math.ceil((len(sites) + 1) / columns)
    figure = Figure(figsize=(3.6 * columns, 3.9 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    draw_image(next(panels), diagnosis.examples[example].output, "output")
    for site, change in zip(sites, maps, strict=True):
        ax = next(panels)
        draw_change(ax, change, f"{site.site.key}\n{site.verdict}", MAP_TITLE)
        ax.title.set_color(COLOURS[site.verdict])
    for unused in panels:
        unused.set_axis_off()
    return figure


def _draw_outlined(ax: Axes, example: Example, top: int, left: int) -> None:
    """The input, or the output where it was no image, with the place of the output crop, which is at (top, left)."""
    from matplotlib.patches import Rectangle

    image, title = (example.output, "output") if example.input is None else (example.input, "input")
    draw_image(ax, image, f"{title}; the crop is outlined")
    down = image.shape[1] / example.output.shape[1]
    right = image.shape[2] / example.output.shape[2]
    corner = (left * right - 0.5, top * down - 0.5)
    outline = Rectangle(corner, ZOOM * right, ZOOM * down, fill=False, edgecolor="#D55E00", linewidth=1.5)
    ax.add_patch(outline)


def _detail(image: Tensor) -> Tensor:
    """(H, W): how far pixels are from their upper left neighbours."""
    steps = (image[:, 1:, 1:] - image[:, :-1, :-1]).float().abs().mean(0)
    return torch.nn.functional.pad(steps, (1, 0, 1, 0))
