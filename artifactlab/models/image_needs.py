"""What images a model takes, where its file says so, and images made such: channels, and sides."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.inputs.crops import Size, cropped
from artifactlab.inputs.images import luma
from artifactlab.models.calls import Call
from artifactlab.models.completion import picture_channels
from artifactlab.models.outputs import is_image


@dataclass(frozen=True)
class ImageNeeds:
    """What images a model takes.

    >>> ImageNeeds("SwinIR 4x", channels=3, minimum=16, multiple_of=8).sides(100, 70)
    (96, 64)
    """

    name: str
    """What the model is, for messages."""
    channels: int
    """Of an image: 1 of gray, 3 of colour, 4 with `alpha`; others are given as tensors."""
    minimum: int = 1
    """Pixels that a side has at least."""
    multiple_of: int = 1
    """What both sides are a multiple of."""
    square: bool = False
    """Whether both sides are the same."""
    precisions: tuple[str, ...] = ("float32", "float64", "float16", "bfloat16")
    """Names of torch's types that the model was made for."""
    crops: bool = True
    """Whether a part of an image comes out as it does in the whole."""
    alpha: bool = False
    """Whether a fourth channel says how opaque each pixel is."""
    value_range: str | None = None
    """What black and white are, as --range has it, where they cannot be something else; None where nobody knows."""

    def sides(self, rows: int, columns: int) -> tuple[int, int]:
        """Rows and columns of the largest image within one of that size; one of them is 0 where there is none."""
        height, width = (side // self.multiple_of * self.multiple_of for side in (rows, columns))
        if self.square:
            height = width = min(height, width)
        return (height, width) if min(height, width) >= self.minimum else (0, 0)

    def with_those_of(self, other: ImageNeeds | None) -> ImageNeeds:
        """What suits two models that are run on the same images, in the channels of the first."""
        if other is None:
            return self
        multiple = math.lcm(self.multiple_of, other.multiple_of)
        minimum, square = max(self.minimum, other.minimum), self.square or other.square
        name = f"{self.name} and {other.name}"
        return replace(self, name=name, minimum=minimum, multiple_of=multiple, square=square)

    def __str__(self) -> str:
        """In words: `SwinIR 4x: 3 channels, sides of at least 16, multiples of 8`."""
        sides = [
            f"sides of at least {self.minimum}" if self.minimum > 1 else "",
            f"multiples of {self.multiple_of}" if self.multiple_of > 1 else "",
            "square" if self.square else "",
            "" if self.crops else "better whole than cropped",
        ]
        return ", ".join(filter(None, [f"{self.name}: {self.channels} channel{'s' * (self.channels > 1)}", *sides]))


_declared: WeakKeyDictionary[nn.Module, ImageNeeds] = WeakKeyDictionary()


def declare(model: nn.Module, needs: ImageNeeds) -> None:
    """Keep what images a model takes, for as long as there is the model."""
    _declared[model] = needs


def needs_of(model: nn.Module) -> ImageNeeds | None:
    """What images a model takes; None where nothing said so."""
    return _declared.get(model)


def guessed_needs(model: nn.Module) -> ImageNeeds | None:
    """Channels of the pictures that a model takes, by its first convolution, where nothing said so.

    >>> str(guessed_needs(nn.Sequential(nn.Conv2d(1, 8, 3))))
    "the model's first convolution: 1 channel"
    """
    channels = picture_channels(model)
    return None if channels is None else ImageNeeds("the model's first convolution", channels)


def suited(needs: ImageNeeds, calls: Sequence[Call], say: Callable[[str], None]) -> list[Call]:
    """The calls with their first arguments, where those are images, as a model takes them.

    Args:
        needs: of the model.
        calls: what it is to be run on.
        say: called once with each kind of change.

    Raises:
        InputError: if an image is too small.
    """
    made, said = [], dict[str, None]()
    for call in calls:
        if call.args and isinstance(call.args[0], Tensor) and is_image(call.args[0]):
            image, changes = _suited(needs, call.args[0])
            call = Call((image, *call.args[1:]), call.kwargs)
            said |= dict.fromkeys(changes)
        made.append(call)
    for change in said:
        say(change)
    return made


def _suited(needs: ImageNeeds, image: Tensor) -> tuple[Tensor, list[str]]:
    """An image in the channels and of the size that a model takes, and what was done to it."""
    changes = []
    if (image.shape[1], needs.channels) == (3, 1):
        image = luma(image)
        changes.append(f"images are made gray: {needs.name} takes one channel")
    elif (image.shape[1], needs.channels) == (1, 3):
        image = image.expand(-1, 3, -1, -1).contiguous()
        changes.append(f"gray images are given three equal channels, which {needs.name} takes")
    elif needs.alpha and needs.channels == 4 and image.shape[1] in (1, 3):
        colour = image.expand(-1, 3, -1, -1)
        image = torch.cat([colour, torch.ones_like(colour[:, :1])], 1)
        changes.append(f"images are given a fourth channel, opaque everywhere, which {needs.name} takes")
    rows, columns = image.shape[-2:]
    sides = needs.sides(rows, columns)
    if 0 in sides:
        raise InputError(
            f"an image is {rows}x{columns}, too small for {needs}; give larger ones, or --crop {_least(needs)}"
        )
    if sides != (rows, columns):
        image = cropped(image, Size(sides)).contiguous()
        what = "squares" if needs.square else "sides"
        changes.append(f"images are cropped to {what} of multiples of {needs.multiple_of}, as {needs.name} takes them")
    return image, changes


def _least(needs: ImageNeeds) -> int:
    """The side of the smallest image; of a probe, for instance, whose size --crop is."""
    return math.ceil(max(needs.minimum, 1) / needs.multiple_of) * needs.multiple_of
