"""A row of scores in words: what a person who reads no units is told of an image."""

from __future__ import annotations

from artifactlab.attribution.artifact_words import artifact_text
from artifactlab.attribution.records import SeverityMeasures
from artifactlab.attribution.verdict_text import strength_text
from artifactlab.printable import printable
from artifactlab.scoring.score_report import ImageScore
from artifactlab.scoring.severity import VISIBLE
from artifactlab.scoring.worst_window import Window

MUCH_MORE = 4
"""Times the severity of the whole image from which on the worst window's is told: twice as strong."""
NOTHING = "Neither a grid nor stair-steps show."


def score_words(image: ImageScore) -> str:
    """What shows, how strongly, and where it is worst; or why that cannot be told.

    >>> score_words(ImageScore("a.png", {"severity": 0.2, "worst_window": 0.0}, None))
    'Neither a grid nor stair-steps show.'
    >>> score_words(ImageScore("a.png", {"severity": 4.0, "worst_window": 0.0}, None))
    'What shows is 2.0 times as strong as what just shows.'
    """
    if image.error is not None:
        return f"Not scored: {printable(image.error)}."
    if image.verdict is None:
        return "Severity was not measured, so there is no verdict."
    if image.verdict == "cannot tell":
        return "Cannot tell: the image is too small, or has too little content to see a lattice in."
    return f"{_all_over(image)}{_in_a_window(image)}" if image.verdict == "shows" else NOTHING


def _all_over(image: ImageScore) -> str:
    """What shows of the image as a whole."""
    scores = image.scores
    severity = scores["severity"] or 0.0
    if severity <= VISIBLE:
        return "All over the image it hardly shows, in one place it does."
    grid, steps, period = (scores.get(name) for name in ("lattice_amplitude", "edge_jaggedness", "period"))
    if grid is None or steps is None:
        return f"What shows is {times_text(severity)}."
    found = artifact_text(SeverityMeasures(severity, grid, steps), period=[period] if period else None)
    return f"{found[0].upper()}{found[1:]}, {times_text(severity)}."


def _in_a_window(image: ImageScore) -> str:
    """What its worst window adds."""
    window, severity = image.window, image.scores["severity"] or 0.0
    if window is None or window.severity <= VISIBLE:
        return ""
    if severity > VISIBLE and window.severity < MUCH_MORE * severity:
        return f" It is worst in {place_text(window)}."
    return f" In {place_text(window)} a lattice of period {window.period} is {times_text(window.severity)}."


def place_text(window: Window) -> str:
    """Where a window is."""
    bottom, right = window.top + window.side, window.left + window.side
    return f"rows {window.top} to {bottom}, columns {window.left} to {right}"


def times_text(severity: float) -> str:
    """A severity as strength, of which it is the square."""
    return f"{strength_text(severity)} times as strong as what just shows"
