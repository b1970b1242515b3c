"""Histograms as SVG, with the gates drawn in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from artifactlab.comparing.changes import figures
from artifactlab.scoring.gates import Gate

BINS = 24
"""Bars of a histogram, each some ten pixels of the screen wide."""
TAIL = 0.99
"""Share of the scores that the bars but the last are spread over: one of a hundred would squeeze the others."""
ROOM = 4
"""Times the value of a gate that is shown at most: what matters is which side of it scores are on, and how near."""


@dataclass(frozen=True)
class Histogram:
    """How the scores of all images spread, in a drawing 240 wide and 100 high."""

    name: str
    """Name of the metric."""
    unit: str
    """What the scores are in."""
    bars: list[tuple[float, float, float]]
    """(left, height, height of those that a gate stops) of each bar; heights go with the logarithm of 1 + count."""
    width: float
    """Width of a bar."""
    gates: list[tuple[float, str]]
    """(place, text) of each gate."""
    low: str
    """Value at the left end."""
    high: str
    """Value at the right end; with more beyond it, what the largest is."""
    tallest: int
    """Images in the tallest bar."""
    count: int
    """Images that have this score."""


WIDTH, HEIGHT = 240, 100


def histogram(name: str, unit: str, scores: Sequence[float], gates: Sequence[Gate]) -> Histogram | None:
    """The histogram of a metric's scores; None where there are none.

    >>> found = histogram("severity", "1 shows", [0.0, 0.1, 2.0], [Gate("severity", ">", 1.0)])
    >>> [round(left) for left, height, fails in found.bars if height and fails], found.gates
    ([230], [(120.0, 'severity>1.0')])
    """
    if not scores:
        return None
    low, high = _ends(sorted(scores), [gate.value for gate in gates])
    step = (high - low) / BINS
    counts, stopped = [0] * BINS, [0] * BINS
    for score in scores:
        place = max(0, min(BINS - 1, int((score - low) / step)))
        counts[place] += 1
        stopped[place] += any(gate.fails(score) for gate in gates)
    tallest = max(counts)
    heights = [[HEIGHT * math.log1p(count) / math.log1p(tallest) for count in each] for each in (counts, stopped)]
    most = max(scores)
    return Histogram(
        name=name,
        unit=unit,
        bars=[(place * WIDTH / BINS, *pair) for place, pair in enumerate(zip(*heights, strict=True))],
        width=WIDTH / BINS,
        gates=[((gate.value - low) / (high - low) * WIDTH, str(gate)) for gate in gates],
        low=figures(low),
        high=figures(high) if most <= high else f"{figures(high)}, up to {figures(most)}",
        tallest=tallest,
        count=len(scores),
    )


def _ends(ordered: Sequence[float], gates: Sequence[float]) -> tuple[float, float]:
    """From where to where bars go: nearly all scores, the gates, and zero where nothing is below it."""
    low = min([0.0, ordered[0], *gates])
    high = ordered[math.ceil(TAIL * len(ordered)) - 1]
    if gates and max(gates) > 0:
        high = max(min(high, ROOM * max(gates)), 1.25 * max(gates))
    return low, high if high > low else low + 1.0
