"""Pictures of a diagnosis. matplotlib is imported when one is drawn, and nothing is shown or saved here."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.records import Diagnosis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"offender": "#D55E00", "compensated": "#E69F00", "harmless": "#56B4E9", "clean": "#009E73"}
"""Okabe and Ito's colour-blind safe palette"""
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
    top, left = busiest(_detail(example.output) if change is None else change)
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
    plot_sites(diagnosis, bars)
    figure.suptitle(_wrapped(diagnosis.verdict), fontsize=12, fontweight="bold")
    return figure


def plot_maps(diagnosis: Diagnosis, example: int = 0) -> Figure:
    """One panel per site: where in the output it acts, each on its own scale, largest effect first.

    Raises:
        InputError: if the diagnosis has no such example.
    """
    from matplotlib.figure import Figure

    sites = diagnosis.sites[:MOST_MAPS]
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


def plot_sites(diagnosis: Diagnosis, ax: Axes) -> Axes:
    """Two bars per site: what its activation shows (evidence) and what it does to the output (effect)."""
    sites = diagnosis.sites[:12]
    rows = np.arange(len(sites))
    effects = np.array([site.effect.value for site in sites])
    size = max(1.0, np.abs(effects).max())
    colours = [COLOURS[site.verdict] for site in sites]
    ax.barh(rows - 0.2, effects / size, 0.38, color=colours)
    lows = np.array([np.nan if s.effect.low is None else s.effect.low for s in sites])
    highs = np.array([np.nan if s.effect.high is None else s.effect.high for s in sites])
    errors = np.abs(np.stack([effects - lows, highs - effects])) / size
    ax.errorbar(effects / size, rows - 0.2, xerr=errors, fmt="none", ecolor="0.25", elinewidth=1, capsize=2)
    evidence = [site.evidence.checkerboard_energy for site in sites]
    ax.barh(rows + 0.2, evidence, 0.3, color="0.8")
    for row, site in enumerate(sites):
        ax.text(
            1.02,
            row,
            site.verdict,
            va="center",
            color=colours[row],
            fontweight="bold",
            transform=ax.get_yaxis_transform(),
        )
    ax.set_yticks(rows, [f"{site.site.key}  (period {site.site.period[0]:g})" for site in sites])
    ax.invert_yaxis()
    ax.axvline(0, color="0.3", linewidth=0.8)
    ax.set_xlabel(f"effect on the output in colour, 1.0 = severity {size:.3g}; evidence in grey")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def show(ax: Axes, image: Tensor, title: str) -> None:
    """An image as it is if its values fit [0, 1], else stretched to its own range."""
    channels = image[:3] if image.shape[0] >= 3 else image[:1]
    values = channels.float().cpu()
    if values.min() < -0.05 or values.max() > 1.05:
        low, high = values.min(), values.max()
        values = (values - low) / (high - low).clamp_min(1e-12)
    pixels = values.clamp(0, 1).permute(1, 2, 0).numpy()
    ax.imshow(pixels if pixels.shape[2] == 3 else pixels[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_title(title, fontsize=10)
    ax.set_axis_off()


def show_change(ax: Axes, change: Tensor, title: str) -> None:
    """How far a repair moves each pixel, in 1/255 of the data range."""
    values = 255 * change.numpy()
    image = ax.imshow(values, cmap="magma", vmin=0, vmax=max(1.0, float(np.quantile(values, 0.995))))
    ax.figure.colorbar(image, ax=ax, orientation="horizontal", shrink=0.8, label="1/255 of the data range")
    ax.set_title(title, fontsize=10)
    ax.set_axis_off()


def _outline(ax: Axes, top: float, left: float, height: float, width: float) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor="#D55E00", linewidth=1.5))


def _detail(image: Tensor) -> Tensor:
    """(H, W): how far pixels are from their upper left neighbours."""
    steps = (image[:, 1:, 1:] - image[:, :-1, :-1]).float().abs().mean(0)
    return torch.nn.functional.pad(steps, (1, 0, 1, 0))


def busiest(change: Tensor) -> tuple[int, int]:
    """Corner of the ZOOM-sized window where the change is largest."""
    size = min(ZOOM, *change.shape)
    sums = torch.nn.functional.avg_pool2d(change[None, None].float(), size, stride=max(1, size // 4))[0, 0]
    row, column = divmod(int(sums.argmax()), sums.shape[1])
    return row * max(1, size // 4), column * max(1, size // 4)


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 110))
