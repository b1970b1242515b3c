"""Grids are told from everything that draws none, and their period is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from degradations import SMOOTH, Degradation, content_grid, grid
from validity_content import Content, Split
from validity_readings import Array, Measure, Row, amplitude, hardest, percent, reading_of, spectral, worst_pair

PERIODS = (2, 3, 4, 5, 6, 7, 8, 12, 16)
STRENGTH = 0.005
"""rms as a fraction of the range: 1.3 of 255"""


def grids_are_told(split: Split) -> Iterator[Row]:
    """Constant grids by their amplitude, grids that follow the content by both of their parts."""
    for content in (split.photos, split.rendered):
        yield from _rows(content, "constant grids", grid, amplitude, _itself)
        yield from _rows(content, "grids that follow the content", content_grid, spectral, _with_modulation)


def _rows(
    content: Content,
    what: str,
    draw: Callable[[int, float], Degradation],
    measure_of: Callable[[int], Measure],
    score: Callable[[Array], Array],
) -> Iterator[Row]:
    clean = content.read_all([measure_of(period) for period in PERIODS], SMOOTH)
    scores, named = {}, []
    for period in PERIODS:
        family = draw(period, STRENGTH)
        negatives = {name: score(read) for name, read in clean[measure_of(period)].items()}
        scores[period] = hardest(score(content.read(measure_of(period), family)), negatives)
        named.append(reading_of(content.read(spectral(), family)).period == period)
    measured = ", ".join(f"{period}: {worst_pair(value, name)}" for period, (value, name) in scores.items())
    reached = min(value for value, _ in scores.values()) >= 0.99
    yield Row(f"{what} of {STRENGTH:.1%}, {content.name}", "AUC >= .99 each pair", measured, reached)
    share, worst = float(np.mean(named)), min(zip((hit.mean() for hit in named), PERIODS, strict=True))
    measured = f"{percent(share)} of {np.size(named)} (worst: {worst[1]}, {percent(worst[0])})"
    yield Row("... period named right", ">= 99%", measured, share >= 0.99)


def _itself(readings: Array) -> Array:
    return readings


def _with_modulation(readings: Array) -> Array:
    """Both parts of such a grid; all that is explained would hold what smooth resizing leaves, too."""
    reading = reading_of(readings)
    return np.hypot(reading.grid, reading.modulation)
