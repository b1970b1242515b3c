"""The lattices that a loss looks for, as users give them: one spacing for all axes, or one for each."""

from __future__ import annotations

from collections.abc import Sequence

from artifactlab.errors import InputError


def as_periods(periods: Sequence[int | tuple[int, ...]]) -> tuple[int | tuple[int, ...], ...]:
    if not isinstance(periods, Sequence) or isinstance(periods, str) or not periods:
        raise InputError(f"periods must be a sequence of lattice spacings, such as (2, 4), got {periods!r}")
    return tuple(dict.fromkeys(map(_as_period, periods)))


def _as_period(period: int | tuple[int, ...]) -> int | tuple[int, ...]:
    """One number for all axes, or one for each."""
    spacings = tuple(period) if isinstance(period, (tuple, list)) else (period,)
    whole = all(isinstance(p, int) and not isinstance(p, bool) and p >= 1 for p in spacings)
    if not whole or not 1 <= len(spacings) <= 3:
        raise InputError(f"each of periods must be a positive integer or one per axis, got {period!r}")
    if max(spacings) == 1:
        raise InputError("a period of 1 is no lattice; leave it out, or give the spacing in pixels of the output")
    return spacings if isinstance(period, (tuple, list)) else period


def along(periods: Sequence[int | tuple[int, ...]], axes: int) -> list[tuple[int, ...]]:
    """A spacing for each axis of the output, of every period once."""
    lattices = dict.fromkeys(period if isinstance(period, tuple) else (period,) * axes for period in periods)
    for lattice in lattices:
        if len(lattice) != axes:
            raise InputError(
                f"the period {lattice} has {len(lattice)} axes, and the output has {axes}; give one number, or one for"
                " each axis of (N, C, *space)"
            )
    return list(lattices)


def coarsest(lattices: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Those that divide no other: what keeps step with 2 keeps step with 4."""

    def within(fine: tuple[int, ...], coarse: tuple[int, ...]) -> bool:
        return fine != coarse and all(c % f == 0 for f, c in zip(fine, coarse, strict=True))

    return [lattice for lattice in lattices if not any(within(lattice, other) for other in lattices)]
