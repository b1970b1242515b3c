"""Where gradients point: a stair-stepped oblique edge has gradients along the pixel axes instead of its own normal."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.metrics.bands import SPATIAL
from artifactlab.metrics.edges import CELL, Core, EdgePoints, edge_points, runs
from artifactlab.metrics.gradients import gradient
from artifactlab.metrics.inputs import accumulation_dtype, as_images, as_planes, check_reduction, reduce

FINE_SIGMA = 0.7
"""Pixels of the Gaussian whose derivatives give directions. It is fine, as the smallest stairs are one pixel high."""
MIN_SLOPE = 0.02
"""Gradient, in data ranges per pixel, below which a direction does not count: five steps of 8-bit rounding, whose
directions prefer the axes."""
AXIS_ANGLE = math.radians(5)
"""Angle to an axis within which a gradient points along it: half of `edges.MIN_OBLIQUE`, so that no gradient across an
oblique edge's own path counts."""


def gradient_direction_histogram(
    x: Tensor, bins: int = 36, *, data_range: float = 1.0, reduction: str = "none"
) -> Tensor:
    """Histogram of gradient directions modulo 180 degrees, weighted by squared gradient magnitude.

    Use it to see whether edges prefer the pixel axes. Bin `k` is centred on `k * 180 / bins` degrees (0 is a
    horizontal gradient, 90 a vertical one, y down), so the axes lie in the middle of bins 0 and `bins / 2`.

    Args:
        x: `(N, C, H, W)` images or activations; channels are pooled.
        bins: number of bins over 180 degrees; even, so that both axes get a bin.
        data_range: distance between the darkest and the brightest possible value.
        reduction: "none" for `(N, bins)`; "mean" or "sum" over the batch for `(bins,)`.

    Returns:
        Shares in [0, 1] that sum to 1 per image; all zero for an image without gradients.

    Raises:
        InputError: if `x` is no finite `(N, C, H, W)` tensor or an argument is out of range.

    Source: squared-magnitude orientation histograms after W. Freeman, M. Roth, "Orientation histograms for hand
    gesture recognition", 1995; Gaussian derivatives of sigma 0.7 pixels.

    >>> import torch
    >>> ramp = torch.linspace(0, 1, 32).expand(1, 1, 32, 32)
    >>> gradient_direction_histogram(ramp, bins=4)
    tensor([[1., 0., 0., 0.]])
    """
    images = as_images(x, data_range, reduction)
    _check_bins(bins)
    return reduce(_shares(direction_counts(images, bins)).to(images), reduction)


def direction_counts(images: Tensor, bins: int = 36, core: Core | None = None) -> Tensor:
    """The histogram before it is normalised, `(N, bins)`; sums pool. Pixels outside of `core` are left out."""
    n = images.shape[0]
    gy, gx = gradient(images.flatten(0, 1).unsqueeze(1), FINE_SIGMA)
    if core is not None:
        top, bottom, left, right = core
        gy, gx = (g[..., top:bottom, left:right] for g in (gy, gx))
    weight = (gx.square() + gy.square()).reshape(n, -1)
    item, pixel = torch.nonzero(weight > MIN_SLOPE**2, as_tuple=True)
    angle = torch.atan2(gy.reshape(n, -1)[item, pixel], gx.reshape(n, -1)[item, pixel])
    index = torch.round(angle * (bins / math.pi)).long() % bins + item * bins
    counts = images.new_zeros(n * bins, dtype=accumulation_dtype(images))
    return counts.index_add_(0, index, weight[item, pixel].to(counts)).view(n, bins)


def axis_excess(x: Tensor, *, data_range: float = 1.0, reduction: str = "mean") -> Tensor:
    """How much of the gradient energy on *oblique* edges points along a pixel axis.

    0 means that oblique edges are as smooth as they look from afar, 1 that they consist of horizontal and vertical
    steps only. Edges that really are horizontal or vertical (buildings, text) are left out, unlike in a mere share
    of axis-parallel gradients.

    Args:
        x: `(N, C, H, W)` images or `(N, C, D, H, W)` volumes, or activations; channels are pooled. Of volumes it is the
            mean over the three directions in which they can be sliced.
        data_range: distance between the darkest and the brightest possible value.
        reduction: "mean", "sum" or "none" over the batch.

    Returns:
        A share in [0, 1]; 0 for an image without oblique edges.

    Raises:
        InputError: if `x` is no finite tensor of that kind or an argument is out of range.

    Source: our definition; gradients of 2 x 2 pixels within 5 degrees of an axis, around the points of coherent edges
    that are at least 10 degrees away from both axes (see `edges`).

    >>> import torch
    >>> stairs = torch.ones(40, 40).tril().repeat_interleave(4, 0).repeat_interleave(4, 1)[None, None]
    >>> bool(axis_excess(stairs) > 0.5)
    True
    """
    images = as_planes(x, data_range, reduction)
    shares = [pooled_axis_excess(_of_slices(images, along)) for along in slicings(images)]
    return reduce(torch.stack(shares).mean(0).to(images), reduction)


def slicings(images: Tensor) -> list[int | None]:
    """The axes across which slices are taken: None of images, which are one; of volumes the three of their space."""
    return [None] if images.ndim == SPATIAL + 2 else [SPATIAL, SPATIAL + 1, SPATIAL + 2]


def slices(images: Tensor, across: int | None, start: int = 0, step: int = 1) -> Tensor:
    """`(N * slices, C, H, W)` images of all slices of a volume across an axis, or of every so many."""
    if across is None:
        return images
    return images.movedim(across, 1)[:, start::step].flatten(0, 1)


def _of_slices(images: Tensor, across: int | None) -> Tensor:
    """`axis_statistics` (N, 2) of all slices together."""
    return axis_statistics(slices(images, across)).view(len(images), -1, 2).sum(1)


def axis_statistics(images: Tensor, core: Core | None = None, points: EdgePoints | None = None) -> Tensor:
    """Gradient energy on oblique edges that points along an axis, and all of it, `(N, 2)`; sums pool.

    Edge points outside of `core`, `(top, bottom, left, right)` in pixels, are left out. `points` are those of the
    planes at level 0 where they are known already.
    """
    planes = images.flatten(0, 1)
    height, width = planes.shape[1:]
    reach = CELL / 2 + 0.5  # points lie between pixels, so their surroundings have an even number of rows
    points = (edge_points(planes) if points is None else points).within(reach, height - reach, reach, width - reach)
    if core is not None:
        points = points.within(*core)
    gy, gx = _gradients_around(planes, points, reach)
    energy = gx.square() + gy.square()
    energy = torch.where(energy > MIN_SLOPE**2, energy, 0.0)
    along = torch.where(
        torch.minimum(gx.abs(), gy.abs()) < math.tan(AXIS_ANGLE) * torch.maximum(gx.abs(), gy.abs()), energy, 0.0
    )
    item = torch.div(points.plane, images.shape[1], rounding_mode="floor")
    dtype = accumulation_dtype(images)
    sums = torch.stack([along.sum((1, 2)), energy.sum((1, 2))], 1).to(dtype)
    return images.new_zeros(images.shape[0], 2, dtype=dtype).index_add_(0, item, sums)


def _gradients_around(planes: Tensor, points: EdgePoints, reach: float) -> tuple[Tensor, Tensor]:
    """Gradients `(d/dy, d/dx)` of 2 x 2 pixels in the surroundings of each point, `(points, rows, columns)`."""
    height, width = planes.shape[1:]
    top = (points.row - reach).round().long()[:, None]
    left = (points.column - reach).round().long()[:, None]
    rows = top + torch.arange(CELL + 2, device=planes.device)
    first = (points.plane[:, None] * height + rows) * width + left
    patch = runs(planes, CELL + 2).index_select(0, first.flatten()).unflatten(0, first.shape)
    down, right = patch.diff(dim=1), patch.diff(dim=2)
    return (down[:, :, 1:] + down[:, :, :-1]) / 2, (right[:, 1:] + right[:, :-1]) / 2


def pooled_axis_excess(statistics: Tensor) -> Tensor:
    """The share of `(..., 2)` sums; 0 where there are none."""
    along, total = statistics.unbind(-1)
    return along / total.clamp_min(torch.finfo(total.dtype).tiny)


def direction_divergence(
    x: Tensor, reference: Tensor, bins: int = 36, *, data_range: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """Jensen-Shannon divergence, in bits, between the direction histograms of an image and of its reference.

    Args:
        x: `(N, C, H, W)` images.
        reference: what `x` should look like; same N, any size.
        bins, data_range: as in `gradient_direction_histogram`.
        reduction: "mean", "sum" or "none" over the batch.

    Returns:
        0 (same directions) to 1 (no direction in common). An image without gradients is at 1 from one with, and at 0
        from another without.

    Raises:
        InputError: if the batches differ in length, or as `gradient_direction_histogram`.

    Source: J. Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37(1), 1991.

    >>> import torch
    >>> ramp = torch.linspace(0, 1, 32).expand(1, 1, 32, 32)
    >>> direction_divergence(ramp, ramp.transpose(2, 3))
    tensor(1.)
    """
    check_reduction(reduction)
    images, references = as_images(x, data_range), as_images(reference, data_range)
    if len(images) != len(references):
        raise InputError(f"got {len(images)} images and {len(references)} references; they are compared one to one")
    _check_bins(bins)
    divergence = pooled_divergence(direction_counts(images, bins), direction_counts(references, bins))
    return reduce(divergence.to(images), reduction)


def pooled_divergence(counts: Tensor, reference: Tensor) -> Tensor:
    """Jensen-Shannon divergence (N,) of two `(N, bins)` counts."""
    p, q = _shares(counts), _shares(reference)
    divergence = _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2
    one_empty = (p.sum(1) > 0) != (q.sum(1) > 0)
    return torch.where(one_empty, torch.ones_like(divergence), divergence.clamp(0, 1))


def _check_bins(bins: int) -> None:
    if not isinstance(bins, int) or bins < 2 or bins % 2:
        raise InputError(f"bins must be an even integer of at least 2, got {bins!r}")


def _shares(counts: Tensor) -> Tensor:
    """Counts `(N, bins)` over their sum; 0 where there are none."""
    total = counts.sum(1, keepdim=True)
    return torch.where(total > 0, counts / total.clamp_min(torch.finfo(counts.dtype).tiny), 0.0)


def _entropy(p: Tensor) -> Tensor:
    """Shannon entropy of each row, in bits."""
    return -torch.special.xlogy(p, p).sum(1) / math.log(2)
