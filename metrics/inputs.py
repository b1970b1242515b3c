"""What every metric asks of its input, and how per-item scores are reduced."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from artifactlab.errors import InputError

LARGEST = 1e6
"""Data ranges from zero that a value may have. Squares of squares are summed over windows; beyond this, float32 has no
room for them."""
LARGEST_PERIOD = 256
"""Samples of the largest period: a lattice of it has tens of thousands of frequencies in an image, more in a volume."""
REDUCTIONS = ("mean", "sum", "none")
"""What may become of the batch's scores."""


def as_images(x: Tensor, data_range: float, reduction: str = "none") -> Tensor:
    """Check one metric call's arguments and return `x / data_range` as float32 (float64 stays float64).

    The metrics measure and are not differentiable: gradients end here.

    Raises:
        InputError: if `x` is no real `(N, C, H, W)` tensor with at least one pixel, holds NaN or Inf, or if
            `data_range` or `reduction` is not usable.
    """
    return _checked(x, (4,), "(N, C, H, W)", data_range, reduction)


def as_signals(x: Tensor, data_range: float, reduction: str = "none") -> Tensor:
    """The same for signals `(N, C, L)`, images `(N, C, H, W)` and volumes `(N, C, D, H, W)`."""
    return _checked(x, (3, 4, 5), "(N, C, L), (N, C, H, W) or (N, C, D, H, W)", data_range, reduction)


def as_planes(x: Tensor, data_range: float, reduction: str = "none") -> Tensor:
    """The same for images `(N, C, H, W)` and volumes `(N, C, D, H, W)`: what has edges with a direction."""
    return _checked(x, (4, 5), "(N, C, H, W) or (N, C, D, H, W)", data_range, reduction)


def _checked(x: Tensor, axes: tuple[int, ...], shapes: str, data_range: float, reduction: str) -> Tensor:
    _check_shape(x, axes, shapes)
    if not (isinstance(data_range, (int, float)) and math.isfinite(data_range) and data_range > 0):
        raise InputError(f"data_range must be a positive number (1.0, 255, ...), got {data_range!r}")
    check_reduction(reduction)
    images = x.detach() if x.dtype == torch.float64 else x.detach().float()
    images = (images if data_range == 1 else images / data_range).contiguous()
    low, high = (float(bound) for bound in images.aminmax())
    if not (low > -LARGEST and high < LARGEST):  # false for NaN, too
        raise InputError(
            f"the images of shape {tuple(x.shape)} hold NaN, Inf or values beyond {LARGEST:g} data ranges;"
            " metrics need finite values of the stated range"
        )
    return images


def _check_shape(x: Tensor, axes: tuple[int, ...], shapes: str) -> None:
    if not isinstance(x, Tensor) or x.ndim not in axes or x.is_complex():
        given = f"shape {tuple(x.shape)}, {x.dtype}" if isinstance(x, Tensor) else type(x).__name__
        raise InputError(f"expected a real tensor of shape {shapes}, got {given}")
    if x.numel() == 0:
        raise InputError(f"expected at least one pixel, got shape {tuple(x.shape)}")


def check_reduction(reduction: str) -> None:
    """Raise an InputError if there is no such reduction."""
    if reduction not in REDUCTIONS:
        raise InputError(f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")


def reduce(scores: Tensor, reduction: str) -> Tensor:
    """Reduce per-item scores over the batch (the first dimension)."""
    if reduction == "mean":
        return scores.mean(0)
    return scores.sum(0) if reduction == "sum" else scores


def as_pair(value: int | tuple[int, int], name: str) -> tuple[int, int]:
    """`(vertical, horizontal)` from one number or a pair of positive integers."""
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(isinstance(v, int) and not isinstance(v, bool) and v >= 1 for v in pair):
        raise InputError(f"{name} must be a positive integer or a pair of them, got {value!r}")
    return pair[0], pair[1]


def as_lattice(period: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """A spacing along each of the axes, from one number or one per axis; some of them larger than 1."""
    lattice = tuple(period) if isinstance(period, (tuple, list)) else (period,) * axes
    valid = all(isinstance(p, int) and not isinstance(p, bool) and 1 <= p <= LARGEST_PERIOD for p in lattice)
    if len(lattice) != axes or not valid:
        raise InputError(
            f"period must be a positive integer up to {LARGEST_PERIOD}, or {axes} of them, one per axis; got {period!r}"
        )
    return lattice


F = TypeVar("F", bound=Callable[..., Any])


def in_full_precision(function: F) -> F:
    """Make a function of a tensor deaf to autocast, which would round products of matrices that metrics measure by."""

    @functools.wraps(function)
    def measured(images: Tensor, *args: Any, **kwargs: Any) -> Any:
        with torch.autocast(images.device.type, enabled=False):
            return function(images, *args, **kwargs)

    return cast(F, measured)


def product(a: Tensor, b: Tensor) -> Tensor:
    """`a @ b` in the precision of the two, which autocast would round."""
    with torch.autocast(a.device.type, enabled=False):
        return a @ b


def total(values: Iterable[Tensor], start: Tensor | float = 0.0) -> Tensor:
    """The sum of one or more tensors, or of none where `start` is a tensor."""
    return cast(Tensor, sum(values, start))


def accumulation_dtype(like: Tensor) -> torch.dtype:
    """The type that millions of edges and windows are summed in: float64, but for devices that have none."""
    return torch.float32 if like.device.type == "mps" else torch.float64
