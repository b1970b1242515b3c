"""One panel each, for papers and notebooks: what a diagnosis found, and what an image or an activation shows.

Each draws into the axes it is given, or into pyplot's current ones, and returns them. No window is opened and no file
written here, and matplotlib is imported when something is drawn. Colours are Okabe and Ito's, or have a lightness that
rises evenly, so that they are told apart by everybody and in print.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from artifactlab.attribution.artifact_words import period_text, words_for
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.records import SiteDiagnosis
from artifactlab.errors import InputError
from artifactlab.metrics.inputs import as_lattice, as_signals
from artifactlab.metrics.spectrum import lattice_frequencies
from artifactlab.report.flat import flat_for
from artifactlab.report.pictures import (
    BINS,
    DECIBELS,
    VERMILION,
    decibels,
    direction_shares,
    in_255ths,
    literal_label,
)
from artifactlab.report.slices import strongest
from artifactlab.report.tracks import signal_spectrum, tones

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "offender": "#D55E00",
    "suspect": "#CC79A7",
    "compensated": "#E69F00",
    "harmless": "#56B4E9",
    "clean": "#009E73",
}
"""Colours of the verdicts."""
IMAGE_COLOUR = "#D55E00"
REFERENCE_COLOUR = "#0072B2"
LABEL = 60
"""Characters of a line of a label; a site deep inside a model has a third of that."""
MOST_SITES = 12
"""Sites that get bars; more would have labels on top of each other."""


def plot_sites(diagnosis: Diagnosis, *, ax: Axes | None = None) -> Axes:
    """Two bars per site: what it does to the output (effect, with its interval), and what its activation shows.

    Args:
        diagnosis: what `artifactlab.diagnose` returned.
        ax: where to draw; default is pyplot's current axes.

    Returns:
        The axes. Effects in the colour of the verdict, relative to the largest, which the label names; evidence, the
        lattice share of the activation, in grey.

    >>> from artifactlab.demo.unet import broken
    >>> import artifactlab, torch
    >>> diagnosis = artifactlab.diagnose(broken(), torch.rand(1, 3, 64, 64), fast=True)
    >>> from matplotlib.figure import Figure
    >>> [label.get_text() for label in plot_sites(diagnosis, ax=Figure().subplots()).get_yticklabels()][0]
    'dec.up2/conv_transpose2d#0  (period 4)'
    """
    axes = _axes(ax)
    sites = diagnosis.sites[:MOST_SITES]
    rows = np.arange(len(sites))
    effects = np.array([site.effect.value for site in sites])
    size = max(1.0, np.abs(effects).max())
    colours = [COLOURS[site.verdict] for site in sites]
    axes.barh(rows - 0.2, effects / size, 0.38, color=colours)
    errors = _interval_lengths(sites) / size
    axes.errorbar(effects / size, rows - 0.2, xerr=errors, fmt="none", ecolor="0.25", elinewidth=1, capsize=2)
    axes.barh(rows + 0.2, [site.evidence.checkerboard_energy for site in sites], 0.3, color="0.8")
    beside = axes.get_yaxis_transform()
    for row, site in enumerate(sites):
        axes.text(1.02, row, site.verdict, va="center", color=colours[row], fontweight="bold", transform=beside)
    axes.set_yticks(rows, [_site_label(site, diagnosis) for site in sites])
    axes.invert_yaxis()
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set_xlabel(f"effect on the output in colour, 1.0 = severity {size:.3g}; evidence in grey")
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _site_label(site: SiteDiagnosis, diagnosis: Diagnosis) -> str:
    period = period_text(site.site.period)
    return literal_label(f"{diagnosis.handles[site.site.key]}  (period {period})", LABEL)


def _interval_lengths(sites: Sequence[SiteDiagnosis]) -> np.ndarray:
    """(2, sites): how far the interval of an effect reaches below and above it; NaN where there is none."""
    below, above = [], []
    for site in sites:
        effect = site.effect
        below.append(math.nan if effect.low is None else abs(effect.value - effect.low))
        above.append(math.nan if effect.high is None else abs(effect.high - effect.value))
    return np.array([below, above])


def plot_spectrum(image: Tensor, period: int | tuple[int, int] | None = None, *, ax: Axes | None = None) -> Axes:
    """The power spectrum of an image, an activation or a signal, with the frequencies of a lattice marked.

    Args:
        image: (C, H, W) or (N, C, H, W); powers of channels and images are averaged. Of a volume (C, D, H, W) give the
            slices that are to be seen, `volume.movedim(1, 0)` for those along the last two directions. A (C, L) signal
            is drawn as a line.
        period: lattice spacing in pixels, one number or (vertical, horizontal), whose frequencies are circled; in
            samples of a signal, where they are dashed.
        ax: where to draw; default is pyplot's current axes.

    Returns:
        The axes, in cycles per pixel; brightness is power in decibels below the strongest.

    Raises:
        InputError: if `image` is no finite image, or smaller than the period.

    Source: see `artifactlab.metrics.spectrum.power_spectrum`.

    >>> import torch
    >>> from matplotlib.figure import Figure
    >>> ax = plot_spectrum(torch.rand(3, 64, 64), period=2, ax=Figure().subplots())
    >>> len(ax.collections[0].get_offsets())
    3
    """
    if isinstance(image, Tensor) and image.ndim == 2:
        return _plot_tones(image, 1 if period is None else as_lattice(period, 1)[0], _axes(ax))
    below = decibels(_batch(image), 1 if period is None else period)
    axes = _axes(ax)
    height, width = below.shape
    left, right = _centred(width)
    top, bottom = _centred(height)
    extent = (left, right, bottom, top)
    drawn = axes.imshow(below, cmap="gray", extent=extent, vmin=-DECIBELS, vmax=0, interpolation="nearest")
    marks = [] if period is None else lattice_frequencies(period)
    if marks:
        vertical, horizontal = zip(*marks, strict=True)
        axes.scatter(horizontal, vertical, s=60, facecolors="none", edgecolors=IMAGE_COLOUR, clip_on=False, zorder=3)
    axes.set_xlabel("horizontal, cycles per pixel")
    axes.set_ylabel("vertical, cycles per pixel")
    axes.figure.colorbar(drawn, ax=axes, fraction=0.046, pad=0.06, label="power, dB")
    return axes


def _plot_tones(signal: Tensor, period: int, axes: Axes) -> Axes:
    """The spectrum of a (C, L) signal as a line."""
    as_signals(signal[None], 1.0)
    below = signal_spectrum(signal, period)
    axes.plot(np.linspace(0, 0.5, len(below)), below, color="0.2", linewidth=0.8)
    for frequency in tones(period):
        axes.axvline(frequency, color=IMAGE_COLOUR, linewidth=1, linestyle="--", zorder=0)
    axes.set_xlim(0, 0.505)
    axes.set_xlabel("cycles per sample")
    axes.set_ylabel("power, dB")
    return axes


def plot_directions(image: Tensor, reference: Tensor | None = None, *, ax: Axes | None = None) -> Axes:
    """Where the gradients of an image or an activation point, as a rose; a smooth reference as a line around it.

    Stair-steps turn the gradients of oblique edges onto the pixel axes, so that the rose grows a cross. What really is
    horizontal or vertical in the image does the same, which is what the reference is for.

    Args:
        image: (C, H, W) or (N, C, H, W); channels and images are pooled.
        reference: what the image should look like; any number of channels, any size.
        ax: polar axes to draw into; default is pyplot's current ones, or new ones if there are none.

    Returns:
        The axes. A petal's length is the share of the squared gradient within 5 degrees; 0 degrees is a horizontal
        gradient, that is, a vertical edge, and y is down, as in the image. Both ends of a direction are drawn.

    Raises:
        InputError: if an image is no finite image, or `ax` is not polar.

    Source: see `artifactlab.metrics.gradient_direction_histogram`.

    >>> import torch
    >>> from matplotlib.figure import Figure
    >>> ax = plot_directions(torch.rand(1, 64, 64), ax=Figure().subplots(subplot_kw={"projection": "polar"}))
    >>> len(ax.patches)
    72
    """
    shares = direction_shares(_batch(image))
    around = None if reference is None else direction_shares(_batch(reference))
    axes: Any = _axes(ax, projection="polar")
    if axes.name != "polar":
        raise InputError("directions need polar axes: plt.subplots(subplot_kw={'projection': 'polar'})")
    angles = np.arange(2 * BINS) * math.pi / BINS
    axes.bar(angles, shares, width=math.pi / BINS, color=IMAGE_COLOUR, alpha=0.75, label="image")
    if around is not None:
        closed_angles = np.append(angles, angles[0])
        closed_shares = np.append(around, around[0])
        axes.plot(closed_angles, closed_shares, color=REFERENCE_COLOUR, linewidth=1.5, label="reference")
        axes.legend(loc="upper left", bbox_to_anchor=(0.95, 1.1), frameon=False)
    axes.set_theta_direction(-1)
    axes.set_rlabel_position(112.5)
    axes.yaxis.set_major_formatter(_percent)
    axes.tick_params(axis="y", labelsize=8)
    return axes


def plot_artifact_map(
    diagnosis: Diagnosis, key: str | None = None, example: int = 0, *, ax: Axes | None = None
) -> Axes:
    """Where in the output a site acts: the output in grey, and in orange how far repairing that site moves each pixel.

    Of a volume three slices are drawn through where it acts most, of a video some frames and one row of them over time,
    of a signal its waveform.

    Args:
        diagnosis: what `artifactlab.diagnose` returned.
        key: of the site, e.g. `dec.up2/interpolate#0`; default is the one with the largest effect.
        example: which of the first inputs.
        ax: where to draw; default is pyplot's current axes.

    Returns:
        The axes.

    Raises:
        InputError: if there is no such site or example, or the diagnosis was a fast one, which has no maps.

    >>> from artifactlab.demo.unet import broken
    >>> import artifactlab, torch
    >>> diagnosis = artifactlab.diagnose(broken(), torch.rand(1, 3, 64, 64))
    >>> from matplotlib.figure import Figure
    >>> plot_artifact_map(diagnosis, ax=Figure().subplots()).get_title()
    'dec.up2/conv_transpose2d#0'
    """
    key = diagnosis.sites[0].site.key if key is None else key
    change = diagnosis.artifact_map(key, example)
    from matplotlib.colors import LinearSegmentedColormap

    output = diagnosis.examples[example].output
    flat = flat_for(output, diagnosis.directions, strongest(change))
    moved, most = in_255ths(flat.change(change))
    axes = _axes(ax)
    axes.imshow(flat.ground(output), cmap="gray", vmin=0, vmax=1.4)
    colour = [channel / 255 for channel in VERMILION]
    fading = LinearSegmentedColormap.from_list("fading", [(*colour, 0.0), (*colour, 1.0)])
    drawn = axes.imshow(moved, cmap=fading, vmin=0, vmax=most, interpolation="nearest")
    whole = words_for(diagnosis.directions).whole
    axes.figure.colorbar(drawn, ax=axes, fraction=0.046, pad=0.04, label=f"moved by, 1/255 of {whole}")
    axes.set_title(literal_label(diagnosis.handles[key], LABEL), fontsize=10)
    axes.set_axis_off()
    return axes


def _centred(pixels: int) -> tuple[float, float]:
    """From which to which frequency an axis goes whose pixels are centred on their frequencies."""
    half_a_pixel = 0.5 / pixels
    return -0.5 - half_a_pixel, 0.5 - half_a_pixel


def _percent(share: float, _: int | None) -> str:
    """A tick of the rose's axis."""
    return f"{100 * share:.3g}%"


def _axes(ax: Axes | None, **kind: Any) -> Axes:
    """The given axes, or pyplot's current ones, or, where it has none, new ones of this kind."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    figure = plt.gcf()
    return figure.gca() if figure.axes else figure.add_subplot(**kind)


def _batch(image: Tensor) -> Tensor:
    """A single image as a batch of one."""
    return image[None] if isinstance(image, Tensor) and image.ndim == 3 else image
