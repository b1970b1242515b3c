"""What of an artifact a fix may leave: what repairing the sites leaves, where that is nearly all of it."""

from __future__ import annotations

from artifactlab.scoring.severity import VISIBLE

MIN_DROP = 0.8
"""Share of an artifact's energy that must be gone: the aim of fixes, and how often it is reached is what
`benchmarks/fix.py` prints."""
MAX_GROWTH = 0.3
"""Severity by which an artifact may grow: what effects were off by in any case on development data (docs/decisions.md,
*Intervals are for these inputs*)."""

MAX_RISE = 1.5
"""Times what showed that may show with the sites repaired, for the repair to say anything: steps that others draw were
1.24 to 1.35 times as much without the grid over them, and two repairs that drew steps themselves made it 1.9 and 2."""

Change = tuple[float, float]
"""A number before and after the fix."""


def may_stay(before: float, repaired: float, of_others: bool = False) -> float:
    """Severity that the sites do not draw, and that a cure of them therefore leaves; 0 where they draw it.

    It is others that draw what stays when the sites are repaired, or the content itself. That is so where the repair
    takes less than a fifth; where it takes more, the sites draw it, and a repair that is weak, or draws its own,
    excuses nothing. A cure may leave a fifth more than the repair does, as healthy nets did (docs/decisions.md, *What
    shows must go, in places, too*).

    Args:
        before: severity of the old model's output.
        repaired: its severity with the sites repaired.
        of_others: of a part of the outputs, whether in all of them together it is others that draw it; what the part
            held before may stay as well then, as a repair is hardly told from none in a part.

    >>> may_stay(5.0, 4.0), may_stay(5.0, 2.0), may_stay(4.0, 2.0, of_others=True)
    (5.0, 0.0, 5.0)
    """
    if of_others:
        return max(before, repaired) / MIN_DROP
    return repaired / MIN_DROP if MIN_DROP * before <= repaired <= MAX_RISE * before else 0.0


def stays(after: float, excused: float) -> bool:
    """Whether what is left shows, beyond what may stay and what the measure is off by."""
    return after > max(VISIBLE, excused) + MAX_GROWTH


def came_up(before: float, after: float, excused: float) -> bool:
    """Whether what shows is more than before, and more than what may stay."""
    return after >= VISIBLE and after > max(before, excused) + MAX_GROWTH
