"""Arguments and features that cannot be used, said where they are given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from artifactlab.errors import InputError

KINDS = {1: "signals", 2: "images", 3: "volumes"}
"""What has so many spatial axes."""
AXES = {1: "L", 2: "H, W", 3: "D, H, W"}
"""How these axes are called."""


def integer_scale(scale: int) -> int:
    """A scale of a layer that enlarges by whole pixels; anything but an int of 2 or more is an InputError.

    >>> integer_scale(3)
    3
    """
    if not isinstance(scale, int) or isinstance(scale, bool) or scale < 2:
        raise InputError(f"scale is {scale!r}; expected an integer of 2 or more (mode 'meta' takes others)")
    return scale


def integer_scales(scale: int | Sequence[int], spatial_dims: int) -> tuple[int, ...]:
    """The scale along each of the axes, from one for all or from one per axis, 1 where it does not grow.

    Raises:
        InputError: for what is no such scale, and for other than 1, 2 or 3 axes.

    >>> integer_scales(2, 3), integer_scales((1, 2, 2), 3)
    ((2, 2, 2), (1, 2, 2))
    """
    one_of("spatial_dims", spatial_dims, KINDS)
    scales = per_axis(scale, spatial_dims)
    whole = all(isinstance(factor, int) and not isinstance(factor, bool) and factor >= 1 for factor in scales)
    if len(scales) != spatial_dims or not whole or max(scales) < 2:
        raise InputError(
            f"scale is {scale!r}; expected an integer of 2 or more, or one per axis of {KINDS[spatial_dims]}, 1 where"
            " it does not grow (mode 'meta' takes others)"
        )
    return scales


def per_axis(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """One number for each axis, from those or from one for all."""
    listed: Any = value
    return tuple(listed) if isinstance(value, (tuple, list)) else (listed,) * axes


def images_only(mode: str, given: Tensor) -> None:
    """Raise an InputError that names the way around where `given` is a signal or a volume."""
    if given.ndim != 4:
        axes = min(max(given.ndim - 2, 1), 3)
        way = only_for_images(mode, KINDS[axes])
        raise InputError(f"{way} (spatial_dims={axes}); got {tuple(given.shape)}")


def only_for_images(mode: str, what: str) -> str:
    """The words of this refusal; `what` is one of `KINDS`."""
    return f"{mode} works on images only; for {what} use interpolate_conv"


def one_of(what: str, given: object, options: Iterable[object]) -> None:
    """Raise an InputError that lists the options unless `given` is one of them."""
    options = tuple(options)
    if given not in options:
        raise InputError(f"{what} is {given!r}; expected one of {', '.join(map(repr, options))}")


def odd(what: str, size: int) -> int:
    """A kernel size with a centre; an even one is an InputError, as it would displace the features."""
    if size < 1 or size % 2 == 0:
        raise InputError(f"{what} is {size!r}; expected an odd size: an even one displaces features by half a pixel")
    return size


def features(what: str, given: Tensor, channels: int, spatial_dims: int | None = None) -> None:
    """Raise an InputError unless `given` is (N, channels, *space): of images where a layer takes no `spatial_dims`."""
    axes = spatial_dims or 2
    if given.ndim != axes + 2 or given.shape[1] != channels:
        raise InputError(
            f"{what} has shape {tuple(given.shape)}; expected (N, {channels}, {AXES[axes]})"
            + _way_for(given.ndim - 2, axes, spatial_dims is not None)
        )


def _way_for(given: int, axes: int, adjustable: bool) -> str:
    """What to use for features of another number of axes."""
    if given == axes or given not in KINDS:
        return ""
    layer = "make it with" if adjustable else "use ResizeConvUpsample, SubpixelUpsample or TransposedConvUpsample with"
    return f"; for {KINDS[given]}, {layer} spatial_dims={given}"
