"""The standard errors are right: intervals on a crop hold what much more of the same content gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from content import Image
from degradations import Degradation, blur, grid, nearest, then
from validity_content import SIDE, Split, crops_of, eight_bit, mosaic
from validity_readings import Reading, Row, percent, read, reading_of, spectral

PERIODS = (2, 3, 4, 8)
CROPS = 8
"""per side of the large image: 64 times the content of one"""
OVERLAP = 16
QUANTILE = 1.645
"""standard errors on either side of an interval of 90%"""
MOSAICS = 2


def intervals_hold_the_truth(split: Split) -> Iterator[Row]:
    """Of the same defect, drawn over a large image: each of its crops against the whole."""
    rng = np.random.default_rng(split.seed)
    squares = [image for image in split.photos.images if image.shape == (SIDE, SIDE)]
    tiles = -(-SIDE * CROPS // (SIDE - OVERLAP))
    large = [mosaic(squares, tiles, OVERLAP, rng)[: SIDE * CROPS, : SIDE * CROPS] for _ in range(MOSAICS)]
    grids = {f"{strength:.1%}": lambda p, s=strength: grid(p, s) for strength in (0.002, 0.005, 0.01)}
    steps = {"nearest": nearest, "blurred": lambda period: then(nearest(period), blur(period / 4))}
    for form, defects in (("grid", grids), ("warp", steps)):
        held = {
            f"{name}, {period}": np.mean([_held(image, defect(period), period, form, rng) for image in large])
            for name, defect in defects.items()
            for period in PERIODS
        }
        share = float(np.mean(list(held.values())))
        lowest, highest = min(held, key=held.get), max(held, key=held.get)
        extremes = f"from {percent(held[lowest])} ({lowest}) to {percent(held[highest])} ({highest})"
        count = len(held) * len(large) * CROPS**2
        claim, measured = f"intervals of 90% of {form}, crops of {SIDE}", f"{percent(share)} of {count}, {extremes}"
        yield Row(claim, "hold 85% to 95%", measured, 0.85 <= share <= 0.95)


def _held(image: Image, defect: Degradation, period: int, form: str, rng: np.random.Generator) -> float:
    """The share of crops whose interval holds the reading of the whole image."""
    whole = eight_bit(defect(image, rng))
    truth = getattr(_read([whole], period), form)
    crops = _read(crops_of(whole, SIDE), period)
    reach = QUANTILE * getattr(crops, f"{form}_error")
    return float((np.abs(getattr(crops, form) - truth) <= reach).mean())


def _read(images: list[Image], period: int) -> Reading:
    return reading_of(read(spectral(period), images))
