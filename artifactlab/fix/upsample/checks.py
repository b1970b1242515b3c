"""Arguments and features that cannot be used, said where they are given."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from artifactlab.errors import InputError


def integer_scale(scale: int) -> int:
    """A scale of a layer that enlarges by whole pixels; anything but an int of 2 or more is an InputError.

    >>> integer_scale(3)
    3
    """
    if not isinstance(scale, int) or isinstance(scale, bool) or scale < 2:
        raise InputError(f"scale is {scale!r}; expected an integer of 2 or more (mode 'meta' takes others)")
    return scale


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


def features(what: str, given: Tensor, channels: int) -> None:
    """Raise an InputError unless `given` is (N, channels, H, W)."""
    if given.ndim != 4 or given.shape[1] != channels:
        raise InputError(f"{what} has shape {tuple(given.shape)}; expected (N, {channels}, H, W)")
