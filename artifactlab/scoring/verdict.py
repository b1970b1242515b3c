"""One word for an image, and the gates that it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from artifactlab.scoring.gates import Gate
from artifactlab.scoring.severity import VISIBLE

Verdict = Literal["clean", "shows", "cannot tell"]
"""What a score report says of an image."""
MADE_OF = ("severity", "worst_window")
"""Metrics that the word is made of."""
DEFAULT_GATES = tuple(Gate(metric, ">", VISIBLE, MADE_OF) for metric in MADE_OF)
"""The gates of an image that shows what it should not, all over or in one place; `--fail-on shows` sets both."""


def verdict_of(scores: Mapping[str, float | None]) -> Verdict | None:
    """The word for an image's scores; None where severity was not measured.

    >>> verdict_of({"severity": 0.2, "worst_window": 3.0})
    'shows'
    >>> verdict_of({"severity": None, "worst_window": None})
    'cannot tell'
    """
    if "severity" not in scores:
        return None
    if any(gate.fails(scores.get(gate.metric)) for gate in DEFAULT_GATES):
        return "shows"
    return "cannot tell" if scores["severity"] is None else "clean"
