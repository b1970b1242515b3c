"""What pictures are made of, drawn by matplotlib or by the page: images, changes, spectra, directions."""

from __future__ import annotations

import math
import textwrap

import numpy as np
from torch import Tensor

from artifactlab.metrics import gradient_direction_histogram
from artifactlab.metrics.spectrum import SIDE, power_spectrum
from artifactlab.printable import printable_lines
from artifactlab.scoring.data_range import OVERSHOOT, TOO_LITTLE, spread

VERMILION = (213, 94, 0)
"""Okabe and Ito's vermilion in RGB, for what a repair changes."""
BINS = 36
"""Directions that are told apart over 180 degrees: 5 degrees each."""
TITLE = 50
"""Characters of a line that fit above one of three pictures beside each other."""
MOST_LINES = 8
"""Lines of a label that are drawn; more leave no room for the picture."""
DECIBELS = 60.0
"""Range of powers that are told apart; what is weaker is black, as nobody sees a thousandth of an amplitude."""


def literal_label(text: str, width: int) -> str:
    """A text as matplotlib draws it letter by letter, in lines of so many characters: names are no mathematics."""
    lines = [part for line in printable_lines(text).split("\n") for part in textwrap.wrap(line, width) or [""]]
    return "\n".join([*lines[:MOST_LINES], "..."] if len(lines) > MOST_LINES else lines).replace("$", r"\$")


def displayable(image: Tensor, like: Tensor | None = None) -> np.ndarray:
    """(H, W, 3) or (H, W) values in [0, 1]: as they are if those of `like` (the image itself) fit, else stretched.

    They fit where they lie in that range, and are neither all but black in it nor on both sides of zero, as what is no
    picture may be.
    """
    values = _colours_or_first(image)
    scale = values if like is None else _colours_or_first(like)
    least = -min(0.05, OVERSHOOT * float(scale.max()))
    if scale.min() < least or not TOO_LITTLE < scale.max() <= 1.05:
        low, high = scale.min(), scale.max()
        values = (values - low) / (high - low).clamp_min(1e-12)
    pixels: np.ndarray = values.clamp(0, 1).permute(1, 2, 0).numpy()
    return pixels if pixels.shape[2] == 3 else pixels[..., 0]


def _colours_or_first(image: Tensor) -> Tensor:
    """Three channels as red, green and blue; the first one where there are fewer."""
    return (image[:3] if image.shape[0] >= 3 else image[:1]).float().cpu()


def grey(image: Tensor, like: Tensor | None = None) -> np.ndarray:
    """(H, W) values in [0, 1], a ground for what is drawn over it; see `displayable`."""
    pixels = displayable(image, like)
    luma: np.ndarray = pixels if pixels.ndim == 2 else pixels @ np.array([0.299, 0.587, 0.114])
    return luma


def in_255ths(change: np.ndarray) -> tuple[np.ndarray, float]:
    """A change in 1/255 of the data range, and nearly its largest: a few pixels may stand out."""
    values = 255 * change
    return values, max(1.0, float(np.quantile(values, 0.995)))


def decibels(batch: Tensor, period: int | tuple[int, int], side: int = SIDE) -> np.ndarray:
    """Mean power spectrum of an (N, C, H, W) batch below its strongest frequency, down to -`DECIBELS`."""
    power = power_spectrum(batch, period, side=side, data_range=_size(batch), reduction="mean")
    share = power / power.max().clamp_min(1e-30)
    below: np.ndarray = 10 * share.clamp_min(10 ** (-DECIBELS / 10)).log10().cpu().numpy()
    return below


def direction_shares(batch: Tensor) -> np.ndarray:
    """Shares of the squared gradient by direction, both ends of each of the `BINS` directions."""
    shares = gradient_direction_histogram(batch, BINS, data_range=_size(batch), reduction="mean").cpu().numpy()
    return np.concatenate([shares, shares])


def _size(batch: Tensor) -> float:
    """The spread of an image, against which it is measured; of what is no image 1, as the metric then says so."""
    size = spread(batch) if isinstance(batch, Tensor) and batch.numel() else 1.0
    return size if math.isfinite(size) and size > 0 else 1.0
