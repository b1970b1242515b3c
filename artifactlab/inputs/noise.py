"""Random inputs: what generators and decoders of latents are run on."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from artifactlab.errors import InputError, shown

MAX_VALUES = 1 << 28
"""Numbers in all inputs together: one GB."""
WRITTEN = re.compile(
    r"(?:(?P<name>[^\W\d]\w*)=)?(?:int(?P<below>[1-9]\d{0,8}):)?(?P<shape>[1-9]\d{0,8}(?:x[1-9]\d{0,8}){0,7})"
)


@dataclass(frozen=True)
class Noise:
    """One argument that is standard normal noise, or random whole numbers, as of tokens and classes.

    >>> parse_noise("text=1x77x768")
    Noise(shape=(1, 77, 768), name='text', below=None)
    >>> parse_noise("ids=int1000:1x77")
    Noise(shape=(1, 77), name='ids', below=1000)
    """

    shape: tuple[int, ...]
    """Of the tensor, the batch included."""
    name: str | None = None
    """Name of the argument; None for one by position."""
    below: int | None = None
    """What whole numbers, from 0 on, are less than; None for noise."""

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape))
        numbers = shape if self.below is None else f"int{self.below}:{shape}"
        return numbers if self.name is None else f"{self.name}={numbers}"

    def draw(self, generator: torch.Generator) -> Tensor:
        """The numbers."""
        if self.below is not None:
            return torch.randint(self.below, self.shape, generator=generator)
        return torch.randn(self.shape, generator=generator)


def parse_noise(text: str) -> Noise:
    """The noise that a text such as `1x4x64x64` or `text=1x77x768` stands for.

    Raises:
        InputError: if it is no such text.
    """
    found = WRITTEN.fullmatch(text)
    if found is None:
        raise InputError(
            "expected a shape such as 1x4x64x64, NAME=1x77x768, or for whole numbers below 1000 NAME=int1000:1x77, got"
            f" {shown(text)}"
        )
    shape, below = tuple(int(part) for part in found["shape"].split("x")), found["below"]
    return Noise(shape, found["name"], int(below) if below else None)


def draw_noise(
    noises: Sequence[Noise], count: int, seed: int
) -> Iterator[tuple[tuple[Tensor, ...], dict[str, Tensor]]]:
    """Arguments by position and by name of `count` calls; the same of each seed.

    Raises:
        InputError: if all together would hold more than `MAX_VALUES`.
    """
    values = count * sum(math.prod(noise.shape) for noise in noises)
    if values > MAX_VALUES:
        raise InputError(
            f"{count} times --noise {', '.join(map(str, noises))} are {values} numbers, and {MAX_VALUES} are drawn at"
            " most; give a smaller shape or a smaller --count"
        )
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        drawn = [(noise.name, noise.draw(generator)) for noise in noises]
        named = {name: tensor for name, tensor in drawn if name is not None}
        yield tuple(tensor for name, tensor in drawn if name is None), named
