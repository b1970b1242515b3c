"""The range of values: as given, told by pixels, or read off the quantiles of what is no picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

RangeFrom = Literal["given", "pixels", "quantiles"]
FEW_CHANNELS = (1, 3, 4)
"""Channels of pictures: gray, colour, and colour with transparency."""
OVERSHOOT = 0.2
"""Part of its range by which a picture may go beyond black and white: nets whose last layer is a convolution overshoot
at edges, by a few percent, and more where they draw a strong grid."""
TOO_FAR = 1.25
"""Times the given range that the output may cover before the range is doubted: more than pictures overshoot at either
end together. Severity is then at least one and a half times what it should be."""
TOO_LITTLE = 1 / 16
"""Part of the given range that the output must cover: less is a picture that is all but black, or 0..1 called 0..255.
Severity is then less than a two hundredth of what it should be."""


class Pixels(NamedTuple):
    """A range that pictures have."""

    low: float
    high: float
    least: float
    """How much of it the values must cover, zero included, to be taken for pixels. Of 0 to 1 a quarter, which dim
    photos do. Of the others half, as what are no pixels lies there, too: logits and flow about 0, depths in metres."""

    @property
    def text(self) -> str:
        """As people write it."""
        return f"{self.low:g} to {self.high:g}"

    @property
    def size(self) -> float:
        """Distance between black and white."""
        return self.high - self.low


PIXELS = (Pixels(0.0, 1.0, 0.25), Pixels(-1.0, 1.0, 1.0), Pixels(0.0, 255.0, 128.0))
"""The ranges that pictures have, the likeliest first."""


@dataclass(frozen=True)
class DataRange:
    """The distance between the darkest and the brightest value, and how it is known."""

    size: float
    """That distance."""
    source: RangeFrom
    """`given`; `pixels`: the values run as those of pictures do; `quantiles`: else, and it is their own spread."""
    text: str = ""
    """What a reader should know of it, as a sentence; empty where nothing is unusual."""
    doubt: str = ""
    """Why a given one is likely to be wrong, as a sentence; empty where it is not."""


def data_range_of(outputs: Sequence[Tensor], given: float | None = None, known: float | None = None) -> DataRange:
    """The range that outputs are measured against, the same rule wherever outputs are judged.

    Args:
        outputs: (N, C, *space) each.
        given: what the caller says; used in any case, and doubted where the outputs run far beyond it or in a small
            part of it.
        known: what the type of the values says, as of 8-bit pixels and masks.
    """
    size, (low, high) = max(map(spread, outputs)), extent_of(outputs)
    likely = pixels_of(outputs)
    if given:
        return DataRange(given, "given", doubt=_doubt(given, size, low, high, likely))
    if known:
        return DataRange(known, "pixels")
    if likely:
        return DataRange(likely.size, "pixels", _said(likely))
    if size == 0:
        return DataRange(1.0, "quantiles")
    return DataRange(
        size,
        "quantiles",
        f" The data range, {size:.3g}, was read off the output's own quantiles; give data_range=/--data-range if it is"
        " known.",
    )


def spread(values: Tensor, most: int = 100_000) -> float:
    """Range of values between the 0.5% and 99.5% quantiles and zero: what a checkerboard is measured against.

    Zero counts as a value, so that a flat activation with a faint grid is a flat activation with a faint grid. At most
    about so many values are looked at.
    """
    low, high = extent(values, most)
    return max(high, 0.0) - min(low, 0.0)


def extent(values: Tensor, most: int = 100_000) -> tuple[float, float]:
    """The 0.5% and 99.5% quantiles of values; see `spread`."""
    flat = values.detach().float().reshape(-1)
    sample = flat[:: max(1, flat.numel() // most) | 1]  # an odd stride visits every phase of a x2 lattice
    beyond = round(0.005 * (sample.numel() - 1)) + 1
    low, high = (float(sample.topk(beyond, largest=top).values[-1]) for top in (False, True))
    return low, high


def extent_of(outputs: Sequence[Tensor]) -> tuple[float, float]:
    """From the darkest to the brightest of several outputs."""
    lows, highs = zip(*map(extent, outputs), strict=True)
    return min(lows), max(highs)


def pixels_of(outputs: Sequence[Tensor]) -> Pixels | None:
    """The range of pictures that outputs have; None where they look like something else."""
    low, high = extent_of(outputs)
    reach = max(high, 0.0) - min(low, 0.0)
    for pixels in PIXELS:
        over = OVERSHOOT * pixels.size
        signed = min(low, 0.0) <= pixels.low / 4  # what hardly goes below zero is not signed
        if pixels.low - over <= low and high <= pixels.high + over and signed and reach >= pixels.least:
            return pixels if all(image.shape[1] in FEW_CHANNELS for image in outputs) or _is_share(outputs) else None
    return None


def _is_share(outputs: Sequence[Tensor]) -> bool:
    """Whether nothing lies outside of 0 to 1, as probabilities never do, however many classes there are."""
    ends = [torch.aminmax(image) for image in outputs]
    return all(float(end.min) >= 0 and float(end.max) <= 1 for end in ends)


def _said(pixels: Pixels) -> str:
    """A guess that is not the usual one."""
    if pixels == PIXELS[0]:
        return ""
    return f" Its values were taken for pixels from {pixels.text}; give data_range=/--data-range if they are none."


def _doubt(given: float, size: float, low: float, high: float, likely: Pixels | None) -> str:
    """Why a given range is likely to be wrong."""
    if size == 0 or TOO_LITTLE * given <= size <= TOO_FAR * given:
        return ""
    other, why = (f"{likely.size:g}", f", as of pixels from {likely.text}") if likely else (f"{size:.3g}", "")
    return (
        f"Check the data range first: the output runs from {low:.3g} to {high:.3g}, and its range is said to be"
        f" {given:g}. Is it {other}{why} (data_range={other}, --data-range {other})? As given: "
    )
