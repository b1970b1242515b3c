"""Pictures of several panels: a whole diagnosis, the maps of all sites. Nothing is shown or saved here."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.windows import busiest
from artifactlab.errors import InputError
from artifactlab.report.pictures import show, show_change
from artifactlab.report.plots import COLOURS, plot_sites

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ZOOM = 48
"""pixels per side of the output crop, drawn large enough to see single pixels"""
MOST_MAPS = 15
"""sites that are drawn at most"""


def plot_diagnosis(diagnosis: Diagnosis) -> Figure:
    """Input, output crop, where the top site acts, and bars per site.

    Raises:
        InputError: if the diagnosis carries no examples.
    """
    from matplotlib.figure import Figure

    if not diagnosis.examples:
        raise InputError("this diagnosis carries no example images to draw; use the object `diagnose` returned")
    example = diagnosis.examples[0]
    guilty = diagnosis.sites[0].site.key
    change = example.changes.get(guilty)  # a fast diagnosis has none
    top, left = busiest(_detail(example.output) if change is None else change, ZOOM)
    figure = Figure(figsize=(13, 7.5), layout="constrained")
    # two figures in one, so that long site names do not squeeze the images
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.5, 1])[:, 0]
    picture, crop, where = above.subplots(1, 3)
    bars = below.subplots()
    shown, title = (example.output, "output") if example.input is None else (example.input, "input")
    show(picture, shown, f"{title}; the crop is outlined")
    ratio = (shown.shape[1] / example.output.shape[1], shown.shape[2] / example.output.shape[2])
    _outline(picture, top * ratio[0], left * ratio[1], ZOOM * ratio[0], ZOOM * ratio[1])
    show(crop, example.output[:, top : top + ZOOM, left : left + ZOOM], f"output, {ZOOM}x{ZOOM} pixels")
    if change is None:
        where.set_axis_off()
    else:
        show_change(where, change, f"how far repairing\n{guilty} moves it")
    plot_sites(diagnosis, ax=bars)
    figure.suptitle(_wrapped(diagnosis.verdict), fontsize=12, fontweight="bold")
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
    rows = -(-(len(sites) + 1) // columns)
    figure = Figure(figsize=(3.6 * columns, 3.9 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    show(next(panels), diagnosis.examples[example].output, "output")
    for site, change in zip(sites, maps, strict=True):
        ax = next(panels)
        show_change(ax, change, "\n".join(textwrap.wrap(site.site.key, 34)) + f"\n{site.verdict}")
        ax.title.set_color(COLOURS[site.verdict])
    for unused in panels:
        unused.set_axis_off()
    return figure


def _outline(ax: Axes, top: float, left: float, height: float, width: float) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor="#D55E00", linewidth=1.5))


def _detail(image: Tensor) -> Tensor:
    """(H, W): how far pixels are from their upper left neighbours."""
    steps = (image[:, 1:, 1:] - image[:, :-1, :-1]).float().abs().mean(0)
    return torch.nn.functional.pad(steps, (1, 0, 1, 0))


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 110))
