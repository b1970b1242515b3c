"""How different a fixed net's outputs look from the healthy net's: FLIP, where `flip-evaluator` is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from statistics import mean

from content import Image
from torch import Tensor
from visibility_models import PIXELS_PER_DEGREE, flip

Number = Callable[[Image, Image], float]
"""takes a healthy and another image; grows with how different they look"""


def flip_or_none() -> Number | None:
    """FLIP at the benchmarks' viewing distance; None where it is not installed, so that a table can leave it out."""
    return flip(PIXELS_PER_DEGREE) if find_spec("flip_evaluator") else None


def looks_off(outputs: Sequence[Tensor], healthy: Sequence[Tensor], number: Number) -> float:
    """The mean over all images of two nets' outputs, (N, 1 or 3, H, W) in [0, 1]; .103 just shows."""
    pairs = [pair for both in zip(healthy, outputs, strict=True) for pair in zip(*map(_images, both), strict=True)]
    return mean(number(good, made) for good, made in pairs)


def _images(outputs: Tensor) -> list[Image]:
    """Gray as (H, W), colours as (H, W, 3)."""
    images = outputs.detach().movedim(1, -1).cpu().numpy()
    return list(images[..., 0] if images.shape[-1] == 1 else images)
