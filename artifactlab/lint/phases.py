"""How evenly a layer's weights serve the pixels it makes: one phase per output pixel of an input pixel."""

from __future__ import annotations

import torch
from torch import Tensor

Pair = tuple[int, int]


def taps_per_phase(kernel: int, stride: int, dilation: int = 1) -> list[int]:
    """How many taps of a transposed convolution reach each of the `stride` phases, along one axis.

    >>> taps_per_phase(3, 2), taps_per_phase(4, 2)
    ([2, 1], [2, 2])
    """
    counts = [0] * stride
    for tap in range(kernel):
        counts[tap * dilation % stride] += 1
    return counts


def transposed_sums(weight: Tensor, stride: Pair, dilation: Pair = (1, 1)) -> Tensor:
    """What each phase of a transposed convolution adds up.

    Padding only renames phases, `output_padding` only adds some at the border, and a group's pairs of channels are all
    there are, so none of the three matters.

    Args:
        weight: `(in, out / groups, kH, kW)`, as in `nn.ConvTranspose2d`.
        stride: (vertical, horizontal).
        dilation: (vertical, horizontal).

    Returns:
        `(in * out / groups, phases)`: the answer of one output channel to one input channel that is 1 everywhere.
    """
    weight = _values(weight)
    rows, columns = (
        torch.nn.functional.one_hot(torch.arange(size) * d % s, s).to(weight)
        for size, s, d in zip(weight.shape[2:], stride, dilation, strict=True)
    )
    return torch.einsum("iohw,hp,wq->iopq", weight, rows, columns).flatten(2).flatten(0, 1)


def shuffled_sums(weight: Tensor, bias: Tensor | None, factor: int) -> Tensor:
    """What each phase of a convolution that feeds a pixel shuffle adds up, and its biases.

    Args:
        weight: `(out * factor**2, in, kH, kW)`, as in `nn.Conv2d`.
        bias: `(out * factor**2,)`; it answers to one more input that is always 1.
        factor: of the pixel shuffle.

    Returns:
        `(out * (in + 1), phases)`, or `(out * in, phases)` without a bias.
    """
    sums = _values(weight).sum((2, 3))
    if bias is not None:
        sums = torch.cat([sums, _values(bias)[:, None]], 1)
    return sums.unflatten(0, (-1, factor**2)).movedim(1, -1).flatten(0, 1)


def subkernels(weight: Tensor, factor: int) -> Tensor:
    """The weights of a convolution that feeds a pixel shuffle, `(weights of one phase, phases)`."""
    return _values(weight).flatten(1).unflatten(0, (-1, factor**2)).movedim(1, -1).flatten(0, 1)


def unequal_share(sums: Tensor) -> float:
    """Relative rms difference between phases: 0 where all are equal, at most 1, free of scale.

    `sqrt(sum (S - mean of S over phases)^2 / sum S^2)` for `S` of shape `(pairs of channels, phases)`. It is how much
    of a layer's answer to flat inputs is grid: feed every input channel its own random constant, all of one variance,
    and the share of the answer's rms that changes from pixel to pixel is this number. Independent random weights of
    `P` phases read `sqrt(1 - 1/P)`: 0.87 at a scale of 2. All zeros read 0.

    >>> unequal_share(torch.tensor([[1.0, 1.0, 1.0, 1.0]])), unequal_share(torch.tensor([[1.0, -1.0]]))
    (0.0, 1.0)
    """
    peak = sums.abs().max().item()
    if peak == 0:
        return 0.0
    sums = sums / peak  # lest squares of tiny weights underflow
    difference = sums - sums.mean(-1, keepdim=True)
    return float((difference.square().sum() / sums.square().sum()).sqrt())


def _values(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float64)
