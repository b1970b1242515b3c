"""Pictures that the tests of scores write to files, and the scores of the only one in a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from artifactlab.scoring import ScoreReport


def photo(seed: int = 0, height: int = 64, width: int = 80) -> np.ndarray:
    """Smooth coloured blobs, 8 bits."""
    noise = np.random.default_rng(seed).random((height, width, 3))
    blurred = cv2.GaussianBlur(noise, (0, 0), 4)
    return (255 * (blurred - blurred.min()) / np.ptp(blurred)).astype(np.uint8)


def stairs(step: int = 4, side: int = 96) -> np.ndarray:
    """A diagonal edge in steps of that many pixels."""
    return (np.tri(side // step, dtype=np.uint8) * 255).repeat(step, 0).repeat(step, 1)


Save = Callable[[str, np.ndarray], Path]


def only(report: ScoreReport) -> dict[str, float | None]:
    (row,) = report.images
    assert row.error is None
    return row.scores
