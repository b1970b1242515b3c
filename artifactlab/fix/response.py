"""What an upsampling operator does, read off its answers to impulses: any way of writing it down becomes one kernel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from artifactlab.errors import InputError, first_line
from artifactlab.fix.upsample.spaces import CONVOLVE, shuffled
from artifactlab.models.random_state import random_states_kept

SIDES = {1: (9, 17, 33, 65), 2: (9, 17, 33, 65), 3: (5, 9, 17, 33)}
"""Pixels a side of the probes by the number of spatial axes, tried until an answer stays off the border; the largest
holds kernels of 33 pixels, of 17 in volumes, which cost their cube."""
CHECKED = {1: 12, 2: 12, 3: 6}
"""Pixels a side in which a kernel is compared with its operator, beyond what it reaches: a few hundred values."""
ROUNDING = 1e-6
"""Share of the largest weight below which a weight is rounding: ten times single precision's."""
AT_ONCE = 1 << 24
"""Values of answers held at a time, 64 megabytes: as many impulses go together as fit in."""
MAX_DISTANCE = 1e-3
"""Distance from the kernel's answer, in units of its rms, up to which an operator counts as a convolution: a
thousand times rounding, and far less than any activation changes."""

Operator = Callable[[Tensor], Tensor]
"""A function of (N, C, *space) that gives (N, C', scale * space + more)."""


@dataclass(frozen=True)
class Response:
    """An affine upsampler: every output pixel is a weighted sum of the input pixels around, plus a constant.

    Output pixel `(r * y + a, s * x + b)` of an image, enlarged by a scale of (r, s), reads input pixel
    `(y + u - reach, x + v - reach)` with weight `kernel[..., a, b, u, v]`; signals have one axis and volumes three.
    """

    kernel: Tensor
    """The weights, (C', C, *scale, *taps) with taps = 2 * reach + 1 along each axis; float64 on the CPU."""
    bias: Tensor
    """What is added in each phase, (C', *scale)."""
    more: tuple[int, ...]
    """What the output has along each axis beyond `scale` times the input, or lacks where it is negative."""

    @property
    def axes(self) -> int:
        """The number of spatial axes: 1 of signals, 2 of images, 3 of volumes."""
        return len(self.more)

    @property
    def scale(self) -> tuple[int, ...]:
        """Growth factor along each axis, 1 where it does not grow."""
        return tuple(self.kernel.shape[2 : 2 + self.axes])

    @property
    def reach(self) -> int:
        """How many input pixels away the kernel reaches."""
        return self.kernel.shape[-1] // 2

    def padded(self, reach: int) -> Tensor:
        """The kernel with zeros around, up to a larger reach."""
        return torch.nn.functional.pad(self.kernel, [reach - self.reach] * 2 * self.axes)

    def by_phase(self) -> Tensor:
        """The kernel as (C', phases, C, *taps): what a convolution before a shuffle holds."""
        axes = self.axes
        order = [0, *range(2, 2 + axes), 1, *range(2 + axes, 2 + 2 * axes)]
        return self.kernel.permute(order).flatten(1, axes)


def impulse_response(operator: Operator, in_channels: int, axes: int = 2) -> Response:
    """The kernel of an affine, shift-equivariant upsampler.

    Whether it is a transposed convolution, a convolution and a pixel shuffle, or a reshape by hand, is all the same:
    one impulse per input channel shows every weight (Shi et al. 2016, "Is the deconvolution layer the same as a
    convolutional layer?").

    Args:
        operator: takes (N, in_channels, *space); is run on the CPU in the precision it has.
        in_channels: of its input.
        axes: spatial axes of its input: 1 of signals, 2 of images, 3 of volumes.

    Raises:
        InputError: if it fails on such inputs, does not grow each axis by a whole number, or is no convolution (an
            activation or a normalisation inside, say).

    >>> up = torch.nn.Upsample(scale_factor=2, mode="bilinear")
    >>> impulse_response(up, 1).kernel[0, 0, 0, 0]
    tensor([[0.0625, 0.1875, 0.0000],
            [0.1875, 0.5625, 0.0000],
            [0.0000, 0.0000, 0.0000]], dtype=torch.float64)
    """
    with torch.inference_mode(False), torch.no_grad(), torch.autocast("cpu", enabled=False), random_states_kept():
        for side in SIDES[axes]:
            flat = _answer(operator, _zeros(1, in_channels, side, axes))
            scale, more = _growth(operator, in_channels, side, flat)
            kernel, is_complete = _kernel(operator, in_channels, side, flat, scale)
            if is_complete:
                response = Response(_trimmed(kernel, axes).double(), _bias(flat, side, scale), more)
                _refuse_other(operator, response, in_channels)
                return response
    reach = SIDES[axes][-1] // 4
    raise InputError(f"an impulse spreads over more than {reach} pixels; this is no convolution with a kernel")


def apply_response(response: Response, x: Tensor) -> Tensor:
    """What an operator with this response gives inside, with zeros beyond the border, less `more`."""
    weight = response.by_phase().flatten(0, 1)
    y = CONVOLVE[response.axes](x.double(), weight, response.bias.flatten(), padding=response.reach)
    return shuffled(y, response.scale)


def _answer(operator: Operator, x: Tensor) -> Tensor:
    try:
        y = operator(x)
    except Exception as error:
        shape = tuple(x.shape)
        raise InputError(f"the operator failed on an input of {shape}: {first_line(error)}") from error
    if not isinstance(y, Tensor) or y.ndim != x.ndim:
        raise InputError("the operator gives no tensor of as many axes as its input, but something else")
    return y.double()


def _zeros(count: int, channels: int, side: int, axes: int) -> Tensor:
    return torch.zeros(count, channels, *[side] * axes, dtype=torch.float32)


def _growth(operator: Operator, channels: int, side: int, answer: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The scale, by how the output grows with the input, and what it has beyond it."""
    sizes = answer.shape[2:]
    longer = _answer(operator, _zeros(1, channels, side + 1, len(sizes))).shape[2:]
    scale = tuple(large - small for large, small in zip(longer, sizes, strict=True))
    if min(scale) < 1 or max(scale) < 2:
        made = ["x".join(map(str, size)) for size in (sizes, [side] * len(sizes), longer, [side + 1] * len(sizes))]
        raise InputError(
            f"the operator makes {made[0]} pixels of {made[1]}, and {made[2]} of {made[3]}; expected growth by a whole"
            " number along each axis, 2 or more along some"
        )
    return scale, tuple(size - factor * side for size, factor in zip(sizes, scale, strict=True))


def _kernel(operator: Operator, channels: int, side: int, flat: Tensor, scale: Sequence[int]) -> tuple[Tensor, bool]:
    """(C', C, *scale, *taps) within side // 4 of the middle, and whether nothing lies beyond that."""
    axes, reach, middle = len(scale), side // 4, side // 2
    inside = _around(middle, reach, axes)
    kernel = torch.empty(flat.shape[1], channels, *scale, *[2 * reach + 1] * axes, dtype=torch.float32)
    largest = beyond = 0.0
    together = max(1, AT_ONCE // flat.numel())  # a few at a time, as their answers are many times the kernel
    for start in range(0, channels, together):
        count = min(together, channels - start)
        x = _zeros(count, channels, side, axes)
        places: tuple[Any, ...] = (torch.arange(count), torch.arange(start, start + count), *[middle] * axes)
        x[places] = 1
        weights = _by_phase(_answer(operator, x) - flat, scale, side)
        kernel[:, start : start + count] = weights[inside].transpose(0, 1)
        largest = max(largest, float(weights.abs().max()))
        weights[inside] = 0
        beyond = max(beyond, float(weights.abs().max()))
    return kernel, beyond <= ROUNDING * largest


def _by_phase(answers: Tensor, scale: Sequence[int], side: int) -> Tensor:
    """(C, C', *sizes) answers to a middle impulse -> (C, C', *scale, *sides) weights by phase and offset."""
    axes = len(scale)
    short = [factor * side - size for factor, size in zip(scale, answers.shape[2:], strict=True)]
    pads = [amount for missing in reversed(short) for amount in (0, missing)]  # negative: cropped
    blocks = torch.nn.functional.pad(answers, pads)
    for axis in reversed(range(axes)):
        blocks = blocks.unflatten(2 + axis, (side, scale[axis]))  # C, C', Y, a, X, b
    phases, places = range(3, 3 + 2 * axes, 2), range(2, 2 + 2 * axes, 2)
    # the impulse lies at offset middle - Y from output block Y: offsets run against positions
    return blocks.permute(0, 1, *phases, *places).flip(list(range(2 + axes, 2 + 2 * axes)))


def _around(middle: int, reach: int, axes: int) -> tuple[Any, ...]:
    """The index of what lies so near to the middle, along the last axes."""
    return (..., *[slice(middle - reach, middle + reach + 1)] * axes)


def _trimmed(kernel: Tensor, axes: int) -> Tensor:
    """The kernel up to the largest offset from the middle with a weight that is not rounding."""
    size = kernel.abs().amax(tuple(range(2 + axes)))
    middle = kernel.shape[-1] // 2
    used = (size > ROUNDING * size.max()).nonzero()
    reach = int((used - middle).abs().max()) if len(used) else 0
    return kernel[_around(middle, reach, axes)]


def _bias(flat: Tensor, side: int, scale: Sequence[int]) -> Tensor:
    """What zeros are answered with, in each phase of the middle."""
    bias = flat[0]
    for axis, factor in enumerate(scale, 1):
        bias = bias.narrow(axis, side // 2 * factor, factor)
    return bias.clone()


def _refuse_other(operator: Operator, response: Response, in_channels: int) -> None:
    """Random inputs of two sizes must be answered as the kernel says, away from the border."""
    generator = torch.Generator().manual_seed(0)
    missing = max(math.ceil(-more / factor) for more, factor in zip(response.more, response.scale, strict=True))
    side = 4 * response.reach + CHECKED[response.axes] + max(0, missing)
    for size in (1.0, 30.0):
        x = size * torch.randn(1, in_channels, *[side] * response.axes, generator=generator, dtype=torch.float32)
        given, expected = _off_border(_answer(operator, x), apply_response(response, x), response)
        if (given - expected).square().mean().sqrt() > MAX_DISTANCE * expected.square().mean().sqrt().clamp_min(1e-12):
            raise InputError(
                "it is no convolution with one kernel everywhere: look for an activation or a norm inside, for a resize"
                " to a fixed size, and for align_corners=True"
            )


def _off_border(given: Tensor, expected: Tensor, response: Response) -> tuple[Tensor, Tensor]:
    """Two answers where neither reads beyond the border."""
    for axis, factor in enumerate(response.scale, 2):
        margin = (response.reach + 1) * factor
        count = min(given.shape[axis], expected.shape[axis]) - 2 * margin
        given, expected = given.narrow(axis, margin, count), expected.narrow(axis, margin, count)
    return given, expected
