"""What an upsampling operator does, read off its answers to impulses: any way of writing it down becomes one kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from artifactlab.errors import InputError, first_line
from artifactlab.models.random_state import random_states_kept

SIDES = (9, 17, 33, 65)
"""Pixels a side of the probes, tried until an answer stays off the border; the largest holds kernels of 33 pixels."""
ROUNDING = 1e-6
"""Share of the largest weight below which a weight is rounding: ten times single precision's."""
IMPULSES = 64
"""Impulses at a time, which bounds the memory that the answers of wide layers take."""
MAX_DISTANCE = 1e-3
"""Distance from the kernel's answer, in units of its rms, up to which an operator counts as a convolution: a
thousand times rounding, and far less than any activation changes."""

Operator = Callable[[Tensor], Tensor]
"""A function of (N, C, H, W) that gives (N, C', scale * H + more, scale * W + more)."""


@dataclass(frozen=True)
class Response:
    """An affine upsampler: every output pixel is a weighted sum of the input pixels around, plus a constant.

    Output pixel `(scale * y + a, scale * x + b)` reads input pixel `(y + u - reach, x + v - reach)` with weight
    `kernel[..., a, b, u, v]`.
    """

    kernel: Tensor
    """The weights, (C', C, scale, scale, taps, taps) with taps = 2 * reach + 1; float64 on the CPU."""
    bias: Tensor
    """What is added in each phase, (C', scale, scale)."""
    more: tuple[int, int]
    """Rows and columns that the output has beyond `scale` times the input, or lacks where they are negative."""

    @property
    def scale(self) -> int:
        """Growth factor."""
        return self.kernel.shape[2]

    @property
    def reach(self) -> int:
        """How many input pixels away the kernel reaches."""
        return self.kernel.shape[-1] // 2


def impulse_response(operator: Operator, in_channels: int) -> Response:
    """The kernel of an affine, shift-equivariant upsampler.

    Whether it is a transposed convolution, a convolution and a pixel shuffle, or a reshape by hand, is all the same:
    one impulse per input channel shows every weight (Shi et al. 2016, "Is the deconvolution layer the same as a
    convolutional layer?").

    Args:
        operator: takes (N, in_channels, H, W); is run on the CPU in the precision it has.
        in_channels: of its input.

    Raises:
        InputError: if it fails on such inputs, does not grow both axes by the same whole number, or is no convolution
            (an activation or a normalisation inside, say).

    >>> up = torch.nn.Upsample(scale_factor=2, mode="bilinear")
    >>> impulse_response(up, 1).kernel[0, 0, 0, 0]
    tensor([[0.0625, 0.1875, 0.0000],
            [0.1875, 0.5625, 0.0000],
            [0.0000, 0.0000, 0.0000]], dtype=torch.float64)
    """
    with torch.inference_mode(False), torch.no_grad(), torch.autocast("cpu", enabled=False), random_states_kept():
        for side in SIDES:
            flat = _answer(operator, _zeros(1, in_channels, side))
            scale, more = _growth(operator, in_channels, side, flat)
            kernel, is_complete = _kernel(operator, in_channels, side, flat, scale)
            if is_complete:
                reach = _reach(kernel)
                inside = slice(side // 4 - reach, side // 4 + reach + 1)
                middle = slice(side // 2 * scale, (side // 2 + 1) * scale)
                response = Response(kernel[..., inside, inside].double(), flat[0, :, middle, middle].clone(), more)
                _refuse_other(operator, response, in_channels)
                return response
    raise InputError(f"an impulse spreads over more than {SIDES[-1] // 4} pixels; this is no convolution with a kernel")


def apply_response(response: Response, x: Tensor) -> Tensor:
    """What an operator with this response gives inside, with zeros beyond the border, less `more`."""
    out, inside, r, _, taps, _ = response.kernel.shape
    weight = response.kernel.permute(0, 2, 3, 1, 4, 5).reshape(out * r * r, inside, taps, taps)
    y = torch.nn.functional.conv2d(x.double(), weight, response.bias.flatten(), padding=response.reach)
    return torch.nn.functional.pixel_shuffle(y, r)


def _answer(operator: Operator, x: Tensor) -> Tensor:
    try:
        y = operator(x)
    except Exception as error:
        shape = tuple(x.shape)
        raise InputError(f"the operator failed on an input of {shape}: {first_line(error)}") from error
    if not isinstance(y, Tensor) or y.ndim != 4:
        raise InputError("the operator gives no (N, C, H, W) tensor, but something else")
    return y.double()


def _zeros(count: int, channels: int, side: int) -> Tensor:
    return torch.zeros(count, channels, side, side, dtype=torch.float32)


def _growth(operator: Operator, channels: int, side: int, answer: Tensor) -> tuple[int, tuple[int, int]]:
    """The scale, by how the output grows with the input, and what it has beyond it."""
    sizes, longer = answer.shape[-2:], _answer(operator, _zeros(1, channels, side + 1)).shape[-2:]
    scale = longer[0] - sizes[0]
    if longer[1] - sizes[1] != scale or scale < 2:
        raise InputError(
            f"the operator makes {sizes[0]}x{sizes[1]} pixels of {side}x{side}, and {longer[0]}x{longer[1]} of"
            f" {side + 1}x{side + 1}; expected growth by the same whole number, 2 or more, in both directions"
        )
    return scale, (sizes[0] - scale * side, sizes[1] - scale * side)


def _kernel(operator: Operator, channels: int, side: int, flat: Tensor, scale: int) -> tuple[Tensor, bool]:
    """(C', C, scale, scale, taps, taps) within side // 4 of the middle, and whether nothing lies beyond that."""
    reach, middle = side // 4, side // 2
    inside = slice(middle - reach, middle + reach + 1)
    kernel = torch.empty(flat.shape[1], channels, scale, scale, 2 * reach + 1, 2 * reach + 1, dtype=torch.float32)
    largest = beyond = 0.0
    for start in range(0, channels, IMPULSES):  # a few at a time, as their answers are many times the kernel
        count = min(IMPULSES, channels - start)
        x = _zeros(count, channels, side)
        x[torch.arange(count), torch.arange(start, start + count), middle, middle] = 1
        weights = _by_phase(_answer(operator, x) - flat, scale, side)
        kernel[:, start : start + count] = weights[..., inside, inside].transpose(0, 1)
        largest = max(largest, float(weights.abs().max()))
        weights[..., inside, inside] = 0
        beyond = max(beyond, float(weights.abs().max()))
    return kernel, beyond <= ROUNDING * largest


def _by_phase(answers: Tensor, scale: int, side: int) -> Tensor:
    """(C, C', H', W') answers to a middle impulse -> (C, C', scale, scale, side, side) weights by phase and offset."""
    size = scale * side
    short = [size - answers.shape[-1], size - answers.shape[-2]]
    padded = torch.nn.functional.pad(answers, (0, short[0], 0, short[1]))  # negative: cropped
    blocks = padded.unflatten(3, (side, scale)).unflatten(2, (side, scale))  # C, C', Y, a, X, b
    # the impulse lies at offset middle - Y from output block Y: offsets run against positions
    return blocks.permute(0, 1, 3, 5, 2, 4).flip(-2, -1)


def _reach(kernel: Tensor) -> int:
    """The largest offset from the middle with a weight that is not rounding."""
    size = kernel.abs().amax((0, 1, 2, 3))
    middle = kernel.shape[-1] // 2
    used = (size > ROUNDING * size.max()).nonzero()
    return int((used - middle).abs().max()) if len(used) else 0


def _refuse_other(operator: Operator, response: Response, in_channels: int) -> None:
    """Random inputs of two sizes must be answered as the kernel says, away from the border."""
    generator = torch.Generator().manual_seed(0)
    side, margin = 4 * response.reach + 12, response.reach * response.scale + abs(min(response.more))
    for size in (1.0, 30.0):
        x = size * torch.randn(1, in_channels, side, side, generator=generator, dtype=torch.float32)
        given, expected = _answer(operator, x), apply_response(response, x)
        rows, columns = (min(a, b) for a, b in zip(given.shape[2:], expected.shape[2:], strict=True))
        inside = (..., slice(margin, rows - margin), slice(margin, columns - margin))
        given, expected = given[inside], expected[inside]
        if (given - expected).square().mean().sqrt() > MAX_DISTANCE * expected.square().mean().sqrt().clamp_min(1e-12):
            raise InputError(
                "it is no convolution with one kernel everywhere: look for an activation or a norm inside, for a resize"
                " to a fixed size, and for align_corners=True"
            )
