"""What new layers are trained on: random crops of large inputs, so that a step takes as long whatever their size.

A step on a photo of 12 megapixels takes as long as 180 on crops, and says no more of a layer than a few of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from artifactlab.errors import CaptureError, InputError, ModelError
from artifactlab.fix.common_period import common_period, holds
from artifactlab.fix.options import JudgingOptions
from artifactlab.fix.swap import Swap
from artifactlab.fix.teacher import Drawn, drawn_at
from artifactlab.models.calls import Call, with_tensors
from artifactlab.models.image_needs import needs_of
from artifactlab.models.outputs import tensors
from artifactlab.models.runner import Runner
from artifactlab.models.wrappers import unwrap
from artifactlab.scoring.periods import smallest_sides

SIDES = {1: 1 << 16, 2: 256, 3: 64}
"""Samples, pixels or voxels along each axis of a crop's output, by the number of axes: on the demo's net a pixel of 256
takes no longer than one of 192 and half as long as one of 128, and less of it is border, which is not compared."""
MULTIPLE = 32
"""What the sides of crops are multiples of where nothing says what a model takes: five halvings, as deep nets have."""
MOST = 256
"""Crops that are kept, with their targets; of images in colour half a gigabyte."""

Size = tuple[int, ...]


@dataclass(frozen=True)
class Crops:
    """What is trained on."""

    calls: list[Call]
    """Inputs that are small enough, and crops of those that are not; a first crop of each comes before any second."""
    images: list[int]
    """The number of the input that each of them is, or is cut from."""
    notes: tuple[str, ...] = ()
    """What was done with the inputs, in sentences."""


@dataclass(frozen=True)
class Shown:
    """An input, and the size of what can be cut from it."""

    number: int
    """Its place among the inputs."""
    call: Call
    """The input itself."""
    size: Size
    """The size of the images, volumes or signals in it; empty where there is no telling."""

    def is_within(self, sides: Sequence[int]) -> bool:
        """Whether it is no larger than a crop; of what cannot be cut, that is so."""
        return len(self.size) != len(sides) or self.box(sides) == self.size

    def box(self, sides: Sequence[int]) -> Size:
        """The size of a crop of it."""
        return tuple(map(min, zip(self.size, sides, strict=True)))

    def count(self, sides: Sequence[int]) -> int:
        """How many crops would cover it."""
        if self.is_within(sides):
            return 1
        return math.prod(math.ceil(a / b) for a, b in zip(self.size, sides, strict=True))

    def cropped(self, sides: Sequence[int], generator: torch.Generator | None = None) -> Call:
        """A crop of it, anywhere, or at its first corner."""
        box = self.box(sides)
        starts = [0] * len(box)
        if generator is not None:
            places = [a - b + 1 for a, b in zip(self.size, box, strict=True)]
            starts = [int(torch.randint(count, (), generator=generator)) for count in places]
        return part_of(self.call, starts, box)


def training_crops(old: nn.Module, swaps: Sequence[Swap], calls: Sequence[Call], judging: JudgingOptions) -> Crops:
    """Inputs without those that are too small for the sites' lattice, and large ones cut to crops, the same each time.

    Inputs stay whole where the model does not take a part of one, or where it cannot be seen what a part is.

    Args:
        old: the model before the sites were replaced.
        swaps: what was replaced.
        calls: the inputs.
        judging: which output is meant, and the seed of where crops lie.

    Raises:
        InputError: if none is large enough.
        FixError, ModelError: as `teacher_outputs`.
    """
    inputs = [Shown(number, call, input_size(call)) for number, call in enumerate(calls)]
    with Runner(unwrap(old), judging.output, judging.seed) as runner:
        drawn, size = _first_pass(runner, swaps, inputs[0])
        if len(drawn.size) != len(size):
            return Crops(list(calls), list(range(len(calls))))
        ratio = tuple(after / before for after, before in zip(drawn.size, size, strict=True))
        outputs = [_enlarged(shown.size or size, ratio) for shown in inputs]
        largest = tuple(map(max, zip(*outputs, strict=True)))
        period = common_period(drawn.periods, holds(largest))
        used = [shown for shown, output in zip(inputs, outputs, strict=True) if _is_large_enough(output, period)]
        if not used:
            widest = max(map(max, drawn.periods))
            raise InputError(
                f"the largest output is {_by(largest)}, too small to train a lattice of period {widest} away; give"
                " larger inputs"
            )
        notes = _skipped(len(calls) - len(used), len(calls), period)
        sides = _crop_sides(runner, used, ratio, period)
    if sides is None:
        return Crops([shown.call for shown in used], [shown.number for shown in used], notes)
    return _cut(used, sides, judging.seed, notes)


def part_of(call: Call, starts: Sequence[int], sides: Sequence[int]) -> Call:
    """A box of every image, volume or signal of a call, at the same place."""
    space = input_size(call)

    def cut(tensor: Tensor) -> Tensor:
        if tensor.shape[2:] != space:
            return tensor
        for axis, (first, side) in enumerate(zip(starts, sides, strict=True), 2):
            tensor = tensor.narrow(axis, first, side)
        return tensor.contiguous()

    return with_tensors(call, cut)


def input_size(call: Call) -> Size:
    """The size of the images, volumes or signals that a call brings; empty where it brings none, or of several sizes.

    Where images come with prompts, which have fewer axes, they are the images.
    """
    floating = [tensor for _, tensor in tensors((call.args, dict(call.kwargs))) if tensor.is_floating_point()]
    axes = max((tensor.ndim for tensor in floating), default=0)
    sizes = {tuple(tensor.shape[2:]) for tensor in floating if tensor.ndim == axes}
    return next(iter(sizes)) if 3 <= axes <= 5 and len(sizes) == 1 else ()


def _first_pass(runner: Runner, swaps: Sequence[Swap], first: Shown) -> tuple[Drawn, Size]:
    """What the old model draws, and the size of the input that it was shown: the smallest crop that it takes."""
    for divisor in (4, 1) if first.size else ():
        sides = (SIDES[len(first.size)] // divisor,) * len(first.size)
        if first.is_within(sides):
            break
        try:
            crop = first.cropped(sides)
            return drawn_at(runner, swaps, crop), first.box(sides)
        except (ModelError, CaptureError):
            continue
    return drawn_at(runner, swaps, first.call), first.size


def _crop_sides(runner: Runner, inputs: Sequence[Shown], ratio: Sequence[float], period: Size) -> Size | None:
    """How large crops of inputs are; None where none is larger, or the model does not take a part of one."""
    needs, axes = needs_of(runner.model), len(ratio)
    least = smallest_sides(period, (SIDES[axes],) * axes)
    sides = []
    for enlarged, smallest in zip(ratio, least, strict=True):
        side = max(1, int(SIDES[axes] / enlarged))
        multiple = needs.multiple_of if needs else min(MULTIPLE, 1 << (side.bit_length() - 1))
        sides.append(max(multiple, side // multiple * multiple, math.ceil(smallest / enlarged / multiple) * multiple))
    large = [shown for shown in inputs if not shown.is_within(sides)]
    if not large or (needs is not None and not needs.crops):
        return None
    try:
        output = runner.run(large[0].cropped(sides))
    except (ModelError, CaptureError):
        return None
    # of other sizes are those of a model that gives what it was made for, whatever comes
    return tuple(sides) if tuple(output.shape[2:]) == _enlarged(large[0].box(sides), ratio) else None


def _cut(inputs: Sequence[Shown], sides: Size, seed: int, notes: tuple[str, ...]) -> Crops:
    """As many crops of each input as would cover it, in turns, so that what there is time for is of all of them."""
    generator = torch.Generator().manual_seed(seed)
    made: list[Call] = []
    images: list[int] = []
    for turn in range(max(shown.count(sides) for shown in inputs)):
        for shown in inputs:
            if turn < shown.count(sides) and len(made) < max(MOST, len(inputs)):
                made.append(shown.call if shown.is_within(sides) else shown.cropped(sides, generator))
                images.append(shown.number)
    what = f"{len(made)} crops of at most {_by(sides)}, of {len(inputs)} input{'s' * (len(inputs) > 1)}"
    return Crops(made, images, (*notes, f"Trained on {what}."))


def _enlarged(space: Size, ratio: Sequence[float]) -> Size:
    return tuple(round(side * enlarged) for side, enlarged in zip(space, ratio, strict=True))


def _is_large_enough(size: Size, period: Size) -> bool:
    fits = holds(size)
    return max(period) > 1 and all(p == 1 or fits(axis, p) for axis, p in enumerate(period))


def _skipped(count: int, of: int, period: Size) -> tuple[str, ...]:
    if not count:
        return ()
    return (f"{count} of {of} inputs were left out of the training: too small for a lattice of period {max(period)}.",)


def _by(sides: Size) -> str:
    return "x".join(map(str, sides))
