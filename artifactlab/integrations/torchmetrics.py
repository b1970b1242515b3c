"""Our metrics as `torchmetrics.Metric`s: accumulated over batches and processes, read at the end.

Their flags are those of all torchmetrics: `is_differentiable` and `full_state_update` are False, and `higher_is_better`
is, too, as less is better; values begin at `plot_lower_bound`, 0, and shares end at `plot_upper_bound`, 1. The one to
watch is `Severity`, as of it is known from where on it shows: 1.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.metrics import axis_excess, checkerboard_energy, edge_jaggedness, lattice_amplitude
from artifactlab.metrics.inputs import LARGEST_PERIOD
from artifactlab.scoring.objective import severity
from artifactlab.scoring.periods import smallest_side

try:
    from torchmetrics import Metric
    from torchmetrics.utilities import dim_zero_cat
except ModuleNotFoundError as error:
    raise ImportError(
        "artifactlab's metrics for torchmetrics need it: pip install artifactlab[torchmetrics]"
    ) from error


__all__ = ["AxisExcess", "CheckerboardEnergy", "EdgeJaggedness", "LatticeAmplitude", "Severity"]


REDUCTIONS = ("mean", "none")
"""What can become of the values per image."""


class _ScorePerImage(Metric):
    """One score per image: their sum and count, which batches and processes add to, or all of them, one by one."""

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    plot_lower_bound = 0.0
    _large = 8
    """Pixels a side that hold whatever the arguments ask for."""

    images: Tensor

    def __init__(self, data_range: float, reduction: str = "mean", settings: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if reduction not in REDUCTIONS:
            raise InputError(f"reduction must be 'mean', or 'none' for a value per image, got {reduction!r}")
        self.data_range, self.reduction = data_range, reduction
        self._scores(
            torch.zeros(1, 1, self._large, self._large)
        )  # what the metric has against the arguments, it says here
        # A MetricCollection updates only one of several metrics whose states have the same names and, in the first
        # batch, the same values. On clean images all of these read 0; so each setting has a name of its own.
        setting = f"{type(self).__name__}_{data_range:g}{settings}"
        if reduction == "none":
            self._kept = f"values_{setting}"
            self.add_state(self._kept, [], dist_reduce_fx="cat")
            return
        self._kept = f"total_{setting}"
        # states move along with the metric, and MPS has no float64
        dtype = torch.float32 if torch.backends.mps.is_available() else torch.float64
        self.add_state(self._kept, torch.zeros((), dtype=dtype), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, images: Tensor) -> None:
        """Add the scores of a batch of images.

        Args:
            images: `(N, C, H, W)` of the data range given at construction.

        Raises:
            InputError: if `images` is no finite `(N, C, H, W)` tensor.
        """
        if not isinstance(images, Tensor) or images.ndim != 4:
            raise InputError(f"expected images of shape (N, C, H, W), got {getattr(images, 'shape', type(images))}")
        kept, scores = getattr(self, self._kept), self._scores(images)
        if self.reduction == "none":
            kept.append(scores.float())
        else:
            setattr(self, self._kept, kept + scores.to(kept).sum())
            self.images = self.images + len(scores)

    def compute(self) -> Tensor:
        """The mean over all images so far, a float32 scalar; 0 where there are none, with torchmetrics' warning.

        For reduction "none" the values (N,), in the order of the images, of which those of each process stand together.
        """
        kept: Any = getattr(self, self._kept)
        if self.reduction == "none":
            return dim_zero_cat(kept) if len(kept) else torch.zeros(0, device=self.device)
        return (kept / self.images.clamp_min(1)).float()

    def plot(self, val: Tensor | Sequence[Tensor] | None = None, ax: Any = None) -> Any:
        """Draw one value or several, as every torchmetrics metric does.

        Args:
            val: what `compute` or `forward` returned, or a list of that; default is what `compute` returns now.
            ax: matplotlib axes to draw on; default is a new figure's.

        Returns:
            The figure and its axes.
        """
        return self._plot(val, ax)

    @abstractmethod
    def _scores(self, images: Tensor) -> Tensor:
        """One score per image, (N,)."""


class EdgeJaggedness(_ScorePerImage):
    """Stair-steps over a set of images: the mean of `artifactlab.metrics.edge_jaggedness`.

    Equal to the function's `reduction="mean"` over all images at once, whatever the batches and processes they came
    in. Sums are kept in float64 (float32 on machines with MPS), and autocast does not reach them.

    Args:
        data_range: distance between the darkest and the brightest possible value.
        reduction: "mean", or "none" for a value per image, (N,), which torchmetrics squeezes for a single one.
        kwargs: as for every `torchmetrics.Metric`.

    Returns:
        Pixels, at least 0; 0 before the first image. Not differentiable.

    Raises:
        InputError: if `data_range` or `reduction` is not usable.

    >>> import torch
    >>> metric = EdgeJaggedness()
    >>> metric.update(torch.ones(48, 48).tril(3).repeat_interleave(4, 0).repeat_interleave(4, 1)[None, None])
    >>> bool(metric.compute() > 0.5)
    True
    """

    def __init__(self, data_range: float = 1.0, reduction: str = "mean", **kwargs: Any) -> None:
        super().__init__(data_range, reduction, **kwargs)

    def _scores(self, images: Tensor) -> Tensor:
        return edge_jaggedness(images, data_range=self.data_range, reduction="none")


class _ScoreAtPeriod(_ScorePerImage):
    """A score of a lattice of one period, a share or a fraction."""

    plot_upper_bound = 1.0

    def __init__(
        self, period: int | tuple[int, int] = 2, data_range: float = 1.0, reduction: str = "mean", **kwargs: Any
    ) -> None:
        self.period = period
        super().__init__(data_range, reduction, f"_{period}", **kwargs)


class CheckerboardEnergy(_ScoreAtPeriod):
    """Grids over a set of images: the mean of `artifactlab.metrics.checkerboard_energy`.

    Equal to the function's `reduction="mean"` over all images at once, as for `EdgeJaggedness`.

    Args:
        period: lattice spacing in pixels, one number or (vertical, horizontal).
        data_range, reduction, kwargs: as for `EdgeJaggedness`.

    Returns:
        A share in [0, 1]; 0 before the first image. Not differentiable.

    Raises:
        InputError: if `period`, `data_range` or `reduction` is not usable.

    >>> import torch
    >>> y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    >>> metric = CheckerboardEnergy(period=2)
    >>> metric.update(0.5 + 0.02 * (-1.0) ** (x + y)[None, None])
    >>> bool(metric.compute() > 0.99)
    True
    """

    def _scores(self, images: Tensor) -> Tensor:
        return checkerboard_energy(images, self.period, data_range=self.data_range, reduction="none")


class AxisExcess(_ScorePerImage):
    """Axis-parallel gradients on oblique edges over a set of images: the mean of `artifactlab.metrics.axis_excess`.

    Equal to the function's mean over all images at once, as for `EdgeJaggedness`.

    Args:
        data_range, reduction, kwargs: as for `EdgeJaggedness`.

    Returns:
        A share in [0, 1]; 0 before the first image. Not differentiable.

    Raises:
        InputError: if `data_range` or `reduction` is not usable.

    >>> import torch
    >>> metric = AxisExcess()
    >>> metric.update(torch.ones(40, 40).tril().repeat_interleave(4, 0).repeat_interleave(4, 1)[None, None])
    >>> bool(metric.compute() > 0.5)
    True
    """

    plot_upper_bound = 1.0

    def __init__(self, data_range: float = 1.0, reduction: str = "mean", **kwargs: Any) -> None:
        super().__init__(data_range, reduction, **kwargs)

    def _scores(self, images: Tensor) -> Tensor:
        return axis_excess(images, data_range=self.data_range, reduction="none")


def _meet_every(periods: Any) -> int:
    """Pixels after which all periods meet, or the most that can be measured; what is no period is refused elsewhere."""
    listed = periods if isinstance(periods, list) else [periods]
    flat = list(chain.from_iterable(one if isinstance(one, tuple) else (one,) for one in listed))
    usable = all(isinstance(number, int) and number > 0 for number in flat)
    return min(math.lcm(*flat), LARGEST_PERIOD) if usable else 2


class LatticeAmplitude(_ScoreAtPeriod):
    """How strong grids are over a set of images: the mean of `artifactlab.metrics.lattice_amplitude`.

    Equal to the function's mean, as for `EdgeJaggedness`. Of period 2 2.1/255 just shows, of 4 1.2/255, of 8 .7/255.

    Args:
        period: lattice spacing in pixels, one number or (vertical, horizontal).
        data_range, reduction, kwargs: as for `EdgeJaggedness`.

    Returns:
        A fraction of the data range; 0 before the first image. Not differentiable.

    Raises:
        InputError: if `period`, `data_range` or `reduction` is not usable.

    >>> import torch
    >>> y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    >>> metric = LatticeAmplitude(period=2)
    >>> metric.update(0.5 + 0.02 * (-1.0) ** (x + y)[None, None])
    >>> round(float(metric.compute()), 3)
    0.02
    """

    def _scores(self, images: Tensor) -> Tensor:
        return lattice_amplitude(images, self.period, data_range=self.data_range, reduction="none")


class Severity(_ScorePerImage):
    """How bad grids and stair-steps are over a set of images: the mean of `artifactlab.severity`; 1 just shows.

    Equal to the function's mean over all images, each by itself, as for `EdgeJaggedness`.

    Args:
        periods: lattice spacings in pixels, whose divisors count, too, as for the function; a site's period says it of
            a layer. Images need 4 periods and 16 pixels a side.
        data_range: distance between the darkest and the brightest possible value.
        reduction: "mean", or "none" for a value per image, (N,), which torchmetrics squeezes for a single one.
        kwargs: as for every `torchmetrics.Metric`.

    Returns:
        At least 0; 0 before the first image. Not differentiable; for training there is the function.

    Raises:
        InputError: if `periods`, `data_range` or `reduction` is not usable; from `update`, if images are too small.

    >>> import torch
    >>> y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    >>> metric = Severity(periods=2)
    >>> metric.update(0.5 + 0.02 * (-1.0) ** (x + y)[None, None])
    >>> round(float(metric.compute()))
    6
    """

    def __init__(
        self,
        periods: int | tuple[int, int] | list[int | tuple[int, ...]] = 8,
        data_range: float = 1.0,
        reduction: str = "mean",
        **kwargs: Any,
    ) -> None:
        self.periods, self._large = periods, smallest_side(_meet_every(periods))
        super().__init__(data_range, reduction, f"_{periods}", **kwargs)

    def _scores(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return severity(images, self.periods, self.data_range).detach()
