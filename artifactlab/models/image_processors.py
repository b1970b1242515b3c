"""What a `preprocessor_config.json` asks for before a model sees an image, in torch, so that gradients pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from artifactlab.errors import ModelError, shown

MAX_SIDE = 1 << 13
"""Pixels per side that an image is enlarged to at most; processors of published models stay below 2000."""


@dataclass(frozen=True)
class Processor:
    """Size and normalisation of pixels that run from 0 to 1."""

    mean: tuple[float, ...] = (0.0,)
    """Taken off each channel, or all alike."""
    std: tuple[float, ...] = (1.0,)
    """What each channel is divided by, or all alike."""
    scale: float = 1.0
    """Of pixels before that; 255 where the model takes bytes."""
    size: tuple[int, int] | None = None
    """Height and width that images are resized to; None where they keep their own."""
    shortest: int | None = None
    """Length that the shorter side is resized to, if there is no `size`."""
    keeps_aspect: bool = False
    """Whether images are resized to `size` by one factor, the one that changes them less."""
    multiple: int = 1
    """What sides are rounded to a multiple of."""

    def __call__(self, pixels: Tensor) -> Tensor:
        """Pixels (N, C, H, W) as the model takes them."""
        sides = self.sides(int(pixels.shape[-2]), int(pixels.shape[-1]))
        if sides != tuple(pixels.shape[-2:]):
            pixels = F.interpolate(pixels, sides, mode="bilinear", antialias=True)
        mean, std = (torch.tensor(values, dtype=pixels.dtype, device=pixels.device) for values in (self.mean, self.std))
        return (self.scale * pixels - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)

    def sides(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what an image of such becomes."""
        if self.size is None and self.shortest is None:
            down, across = 1.0, 1.0
        elif self.size is None:
            down = across = (self.shortest or 1) / min(height, width)
        else:
            down, across = self.size[0] / height, self.size[1] / width
            if self.keeps_aspect:
                down = across = min(down, across, key=lambda factor: abs(1 - factor))
        return self._rounded(height * down), self._rounded(width * across)

    def _rounded(self, side: float) -> int:
        return max(1, round(side / self.multiple)) * self.multiple

    @property
    def words(self) -> str:
        """What becomes of pixels, for the user."""
        steps = []
        if self.size or self.shortest or self.multiple > 1:
            one = "x".join(map(str, self.size)) if self.size else f"{self.shortest} along the shorter side"
            steps.append(f"resized to {one if self.size or self.shortest else f'multiples of {self.multiple}'}")
        if (self.mean, self.std, self.scale) != ((0.0,), (1.0,), 1.0):
            steps.append("normalised")
        return (" and ".join(steps) or "taken as they are") + (", as its processor does" if steps else "")


def processor_of(config: Mapping[str, Any] | None) -> Processor:
    """The processor that a description asks for; one that does nothing where there is none.

    Raises:
        ModelError: if a number in it is none, or absurd.
    """
    if config is None:
        return Processor()
    try:
        return Processor(**_normalisation(config), **_sizes(config))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(
            f"its preprocessor_config.json cannot be read: {shown(str(error))}; repair or remove it"
        ) from error


def _normalisation(config: Mapping[str, Any]) -> dict[str, Any]:
    scale = 1.0 if config.get("do_rescale", True) else 255.0
    if not config.get("do_normalize", "image_mean" in config):
        return {"scale": scale}
    mean, std = (tuple(map(float, _list(config[name]))) for name in ("image_mean", "image_std"))
    if not all(std) or not all(map(math.isfinite, mean + std)):
        raise ValueError("image_mean and image_std are to be numbers, and the latter none of zero")
    return {"mean": mean, "std": std, "scale": scale}


def _sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a processor about sizes; `size` is a number, or height and width, or the shorter side."""
    multiple = _side(config.get("ensure_multiple_of") or config.get("size_divisor") or 1)
    if not config.get("do_resize", "size" in config):
        return {}
    found = {"multiple": multiple, "keeps_aspect": bool(config.get("keep_aspect_ratio", False))}
    size = config.get("size")
    if isinstance(size, int):
        return {**found, "size": (_side(size), _side(size))}
    if isinstance(size, Mapping) and "shortest_edge" in size:
        return {**found, "shortest": _side(size["shortest_edge"])}
    return {**found, "size": (_side(size["height"]), _side(size["width"]))} if size else found


def _side(value: Any) -> int:
    if not isinstance(value, int) or not 0 < value <= MAX_SIDE:
        raise ValueError(f"{shown(value)} is no side of an image")
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
