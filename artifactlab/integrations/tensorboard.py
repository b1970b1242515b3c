"""Diagnoses and comparisons in TensorBoard, through any writer with `add_scalar` and `add_figure`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from artifactlab.attribution.diagnosis import OUTPUT_NAMES, Diagnosis
from artifactlab.errors import InputError
from artifactlab.metrics import checkerboard_map, edge_jaggedness_map
from artifactlab.metrics.visible import VISIBLE_GRID, VISIBLE_STEPS
from artifactlab.report.drawing import draw_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Writer", "log_comparison", "log_diagnosis", "plot_comparison"]

GRID_LABEL = "grid, 1/255 of the data range"
STEPS_LABEL = "stair-steps, pixels"
LEAST_GRID = 255 * VISIBLE_GRID
"""Least upper end of the scale of grids, in 1/255: what is invisible must not be drawn as if it were much."""
LEAST_STEPS = VISIBLE_STEPS
"""Least upper end of the scale of stair-steps, in pixels, for the same reason."""


class Writer(Protocol):
    """What is asked of a writer; `torch.utils.tensorboard.SummaryWriter` is one."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int, /) -> None:
        """Write a number, `scalar_value`, as `tag` at `global_step`."""

    def add_figure(self, tag: str, figure: Figure, global_step: int, /) -> None:
        """Write a matplotlib `figure` as `tag` at `global_step`."""


def log_diagnosis(writer: Writer, diagnosis: Diagnosis, step: int, tag: str = "artifactlab") -> None:
    """Write a diagnosis, so that one sees over training which site draws what.

    Scalars are `TAG/output/severity` and the output's other scores, and `TAG/effect/SITE` per site; figures
    `TAG/diagnosis` and, unless the diagnosis was a fast one, `TAG/maps`. Figures are left out where the diagnosis
    carries no examples.

    Args:
        writer: a `SummaryWriter`, or the `experiment` of Lightning's `TensorBoardLogger`.
        diagnosis: what `artifactlab.diagnose` returned.
        step: of the training.
        tag: what all names start with.

    Raises:
        InputError: if `writer` cannot write scalars and figures.

    >>> import torch
    >>> from artifactlab import diagnose
    >>> class Printer:
    ...     def add_scalar(self, tag, value, step): print(tag) if "severity" in tag else None
    ...     def add_figure(self, tag, figure, step): print(tag)
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.PixelShuffle(2))
    >>> log_diagnosis(Printer(), diagnose(model, torch.full((1, 1, 64, 64), 0.5), fast=True), step=100)
    artifactlab/output/severity
    artifactlab/diagnosis
    """
    _check_writer(writer)
    for name in OUTPUT_NAMES:
        value = getattr(diagnosis.output, name)
        if value is not None:
            writer.add_scalar(f"{tag}/output/{name}", value, step)
    for site in diagnosis.sites:
        writer.add_scalar(f"{tag}/effect/{site.site.key}", site.effect.value, step)
    if diagnosis.examples:
        # these figures are not pyplot's, so that nothing stays open
        writer.add_figure(f"{tag}/diagnosis", diagnosis.plot(), step)
        if not diagnosis.config.fast:
            writer.add_figure(f"{tag}/maps", diagnosis.plot_maps(), step)


def log_comparison(
    writer: Writer,
    output: Tensor,
    target: Tensor | None,
    step: int,
    *,
    period: int | tuple[int, int] = 2,
    data_range: float = 1.0,
    tag: str = "artifactlab/comparison",
) -> None:
    """Write a picture of the first output of a batch beside its target: both, and where grids and stair-steps are.

    Args:
        writer: a `SummaryWriter`, or the `experiment` of Lightning's `TensorBoardLogger`.
        output: `(N, C, H, W)`, what the model drew.
        target: `(N, C, H', W')`, what it should have drawn; None to see the output alone.
        step: of the training.
        period: lattice spacing in pixels of the grids to look for, one number or (vertical, horizontal).
        data_range: distance between the darkest and the brightest possible value of both.
        tag: name of the figure.

    Raises:
        InputError: if `writer` cannot write figures, if an image is no finite `(N, C, H, W)` tensor, or if an argument
            is out of range.

    >>> import torch
    >>> class Printer:
    ...     def add_scalar(self, tag, value, step): ...
    ...     def add_figure(self, tag, figure, step): print(tag, [ax.get_title() for ax in figure.axes[:6]])
    >>> log_comparison(Printer(), torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), step=100)
    artifactlab/comparison ['output', 'grid', 'stair-steps', 'target', 'grid', 'stair-steps']
    """
    _check_writer(writer)
    writer.add_figure(tag, plot_comparison(output, target, period=period, data_range=data_range), step)


def plot_comparison(
    output: Tensor, target: Tensor | None = None, *, period: int | tuple[int, int] = 2, data_range: float = 1.0
) -> Figure:
    """The picture that `log_comparison` writes, as a matplotlib figure. Maps of one kind share their scale.

    Args:
        output, target, period, data_range: as for `log_comparison`.

    Raises:
        InputError: if an image is no finite `(N, C, H, W)` tensor, or if an argument is out of range.

    >>> import torch
    >>> len(plot_comparison(torch.rand(1, 1, 64, 64)).axes)
    5
    """
    from matplotlib.figure import Figure

    pairs = [("output", output)]
    if target is not None:
        pairs.append(("target", target))
    grids = [255 * checkerboard_map(images[:1], period, data_range=data_range)[0, 0].cpu() for _, images in pairs]
    steps = [edge_jaggedness_map(images[:1], data_range=data_range)[0, 0].cpu() for _, images in pairs]
    figure = Figure(figsize=(12, 4 * len(pairs)), layout="constrained")
    panels = figure.subplots(len(pairs), 3, squeeze=False)
    for row, (title, images), grid, step in zip(panels, pairs, grids, steps, strict=True):
        draw_image(row[0], images[0].detach(), title)
        _draw_map(row[1], grid, "grid", most=_most(grids, LEAST_GRID))
        _draw_map(row[2], step, "stair-steps", most=_most(steps, LEAST_STEPS))
    for column, label in ((1, GRID_LABEL), (2, STEPS_LABEL)):
        figure.colorbar(panels[-1, column].images[0], ax=panels[:, column], location="bottom", shrink=0.8, label=label)
    return figure


def _most(maps: list[Tensor], least: float) -> float:
    """Upper end of the scale that maps share: nearly their largest value, as a few pixels may stand out."""
    return max([least, *(float(torch.quantile(values.float(), 0.995)) for values in maps)])


def _draw_map(ax: Axes, values: Tensor, title: str, most: float) -> None:
    ax.imshow(values.numpy(), cmap="magma", vmin=0, vmax=most, interpolation="nearest")
    ax.set_title(title, fontsize=10)
    ax.set_axis_off()


def _check_writer(writer: object) -> None:
    if not (hasattr(writer, "add_scalar") and hasattr(writer, "add_figure")):
        raise InputError(
            f"a writer needs add_scalar and add_figure, which {type(writer).__name__} has not; pass a"
            " torch.utils.tensorboard.SummaryWriter, such as the `experiment` of a TensorBoardLogger"
        )
