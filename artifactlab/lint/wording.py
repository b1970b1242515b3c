"""Directions and numbers in the words of findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from artifactlab.lint.phases import Sizes

DIRECTIONS = {1: ("t",), 2: ("y", "x"), 3: ("t/z", "y", "x")}
"""Names by how many there are, as in a diagnosis; weights do not tell a video's frames from a volume's slices."""
MOSTLY = 0.5
"""Share of the differences between phases from which one direction is named for them: more than all the rest."""


def by(numbers: Iterable[float]) -> str:
    """`2x2`."""
    return "x".join(f"{number:g}" for number in numbers)


def per_direction(words: Sequence[str]) -> str:
    """One word per direction, which are named where the words differ.

    >>> per_direction(["2:1", "2:1"]), per_direction(["2:2", "2:1", "2:1"])
    ('2:1 and 2:1', '2:2 (t/z) and 2:1 (y) and 2:1 (x)')
    """
    if len(set(words)) == 1:
        return " and ".join(words)
    return " and ".join(f"{word} ({name})" for word, name in zip(words, DIRECTIONS[len(words)], strict=True))


def along(factors: Sequence[float]) -> str:
    """Which directions are enlarged, where not all are.

    >>> along((1, 2, 2)), along((2, 2))
    (' along y and x', '')
    """
    enlarged = [name for name, factor in zip(DIRECTIONS[len(factors)], factors, strict=True) if factor > 1]
    return "" if len(enlarged) == len(factors) else f" along {' and '.join(enlarged)}"


def where_phases_differ(shares: Sequence[float], factors: Sizes) -> str:
    """What is special about a lattice: the direction that has most of it, or the tone that it is in a signal.

    >>> where_phases_differ((0.9, 0.05), (2, 2)), where_phases_differ((1.0,), (8,))
    (', mostly along y', ': a tone at 1/8 of the sampling rate behind it')
    """
    if len(factors) == 1:
        return f": a tone at 1/{factors[0]} of the sampling rate behind it"
    if sum(factor > 1 for factor in factors) == 1 or max(shares) <= MOSTLY:
        return ""
    return f", mostly along {DIRECTIONS[len(factors)][shares.index(max(shares))]}"
