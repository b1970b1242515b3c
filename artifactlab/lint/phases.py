"""How evenly a layer's weights serve the pixels it makes: one phase per output pixel of an input pixel."""

from __future__ import annotations

import torch
from torch import Tensor

Sizes = tuple[int, ...]
"""One number per direction: (t,) of signals, (y, x) of images, (t or z, y, x) of videos and volumes."""


def taps_per_phase(kernel: int, stride: int, dilation: int = 1) -> list[int]:
    """How many taps of a transposed convolution reach each of the `stride` phases, along one axis.

    >>> taps_per_phase(3, 2), taps_per_phase(4, 2)
    ([2, 1], [2, 2])
    """
    counts = [0] * stride
    for tap in range(kernel):
        counts[tap * dilation % stride] += 1
    return counts


def transposed_sums(weight: Tensor, stride: Sizes, dilation: Sizes | None = None) -> Tensor:
    """What each phase of a transposed convolution adds up.

    Padding only renames phases, `output_padding` only adds some at the border, and a group's pairs of channels are all
    there are, so none of the three matters.

    Args:
        weight: `(in, out / groups, *kernel)`, as in `nn.ConvTranspose2d`.
        stride: one per direction, e.g. (vertical, horizontal).
        dilation: one per direction; None is 1.

    Returns:
        `(in * out / groups, phases)`: the answer of one output channel to one input channel that is 1 everywhere. The
        last direction's phases run fastest.
    """
    sums = _values(weight)
    for size, s, d in zip(weight.shape[2:], stride, dilation or (1,) * len(stride), strict=True):
        reached = torch.nn.functional.one_hot(torch.arange(size) * d % s, s).to(sums)
        sums = torch.tensordot(sums, reached, dims=([2], [0]))  # the direction's taps become phases, put last
    return sums.flatten(2).flatten(0, 1)


def shuffled_sums(weight: Tensor, bias: Tensor | None, sources: Tensor) -> Tensor:
    """What each phase of a convolution that feeds a pixel shuffle adds up, and its biases.

    Args:
        weight: `(out * phases, in, *kernel)`, as in `nn.Conv2d`.
        bias: `(out * phases,)`; it answers to one more input that is always 1.
        sources: `(out, phases)`, the channel that each phase comes from, see `Shuffle.channels`.

    Returns:
        `(out * (in + 1), phases)`, or `(out * in, phases)` without a bias.
    """
    sums = _values(weight).flatten(2).sum(2)
    if bias is not None:
        sums = torch.cat([sums, _values(bias)[:, None]], 1)
    return sums[sources].movedim(1, -1).flatten(0, 1)


def subkernels(weight: Tensor, sources: Tensor) -> Tensor:
    """The weights of a convolution that feeds a pixel shuffle, `(weights of one phase, phases)`."""
    return _values(weight).flatten(1)[sources].movedim(1, -1).flatten(0, 1)


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


def shares_of_directions(sums: Tensor, stride: Sizes) -> tuple[float, ...]:
    """How much of the differences between phases (of their mean square) is between those of one direction alone.

    All directions' shares add up to at most 1; the rest is what only pairs of directions have.

    >>> rows = torch.tensor([[1.0, 1.0, 3.0, 3.0]])
    >>> shares_of_directions(rows, (2, 2))
    (1.0, 0.0)
    """
    grid = (sums - sums.mean(-1, keepdim=True)).unflatten(1, stride)
    total = float(grid.square().mean()) or 1.0
    axes = range(1, grid.ndim)
    others = [[other for other in axes if other != axis] for axis in axes]
    alone = [grid.mean(rest) if rest else grid for rest in others]
    return tuple(float(means.square().mean()) / total for means in alone)


def _values(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float64)
