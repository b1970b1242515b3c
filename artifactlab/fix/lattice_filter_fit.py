"""The taps of a filter that takes a lattice out of outputs, and as little else as a filter can.

The output of a filter differs from the output without spectral images by least squares as little as can be, among
filters that keep flat areas as they are and have zeros at all frequencies of the lattice, so that no constant grid is
left. The filter is symmetric about its middle, so that nothing moves. It is no product of filters along the axes: such
a one would take whole lines of frequencies that the lattice has only points of.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from artifactlab.metrics import remove_spectral_images

RIDGE = 1e-9
"""Share of the outputs' power that is added to every tap's: settles taps that no output needs."""


def fitted_taps(outputs: Sequence[Tensor], period: Sequence[int], sizes: Sequence[int], data_range: float) -> Tensor:
    """The filter, (*sizes) in float64.

    Args:
        outputs: what the model gives, (N, C, *space).
        period: of the lattice along each axis.
        sizes: taps along each axis, odd.
        data_range: of the outputs.

    >>> y = torch.rand(1, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    >>> taps = fitted_taps([y], (2, 2), (5, 5), 1.0)
    >>> phases = torch.nn.functional.pixel_unshuffle(torch.nn.functional.pad(taps, [0, 1, 0, 1])[None, None], 2)
    >>> (phases.sum((2, 3)) - 0.25).abs().max().item() < 1e-9
    True
    """
    pairs = _pairs(sizes)
    gram = torch.zeros(len(pairs), len(pairs), dtype=torch.float64)
    wanted = torch.zeros(len(pairs), dtype=torch.float64)
    for output in outputs:
        target = remove_spectral_images(output, tuple(period), data_range=data_range)
        own, cross = _correlations(output.double(), target.double(), sizes)
        gram += _within(own, pairs)
        wanted += torch.stack([(cross[sizes_at(one, sizes)] + cross[sizes_at(other, sizes)]) for one, other in pairs])
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    conditions, values = _conditions(pairs, period)
    count = len(conditions)
    scale = gram.diagonal().mean()
    system = torch.cat(
        [
            torch.cat([gram / scale, conditions.T], 1),
            torch.cat([conditions, torch.zeros(count, count, dtype=torch.float64)], 1),
        ]
    )
    solution = torch.linalg.lstsq(system, torch.cat([wanted / scale, values]), driver="gelsd").solution[: len(pairs)]
    taps = torch.zeros(*sizes, dtype=torch.float64)
    for weight, (one, other) in zip(solution, pairs, strict=True):
        taps[sizes_at(one, sizes)] = taps[sizes_at(other, sizes)] = weight
    return taps


Offset = tuple[int, ...]


def _pairs(sizes: Sequence[int]) -> list[tuple[Offset, Offset]]:
    """The offsets of taps that have one weight: each with its opposite."""
    offsets = list(itertools.product(*(range(-(size // 2), size // 2 + 1) for size in sizes)))
    return [(offset, tuple(-k for k in offset)) for offset in offsets if offset <= tuple(-k for k in offset)]


def sizes_at(offset: Offset, sizes: Sequence[int]) -> Offset:
    """Where in a filter the tap of an offset from its middle is."""
    return tuple(k + size // 2 for k, size in zip(offset, sizes, strict=True))


def _correlations(output: Tensor, target: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Sums over the output's products with itself, (*2 sizes - 1), and with the target, (*sizes), moved by each offset.

    The mean is taken off, as a filter that keeps flat areas keeps it.
    """
    axes = tuple(range(2, output.ndim))
    mean = output.mean(axes, keepdim=True)
    shape = [length + 2 * size for length, size in zip(output.shape[2:], sizes, strict=True)]
    spectrum, other = (torch.fft.rfftn(values - mean, shape, axes) for values in (output, target))
    own = torch.fft.irfftn((spectrum.abs() ** 2).sum((0, 1)), shape)
    cross = torch.fft.irfftn((other * spectrum.conj()).sum((0, 1)), shape)
    return _around_zero(own, [size - 1 for size in sizes]), _around_zero(cross, [size // 2 for size in sizes])


def _around_zero(values: Tensor, reach: Sequence[int]) -> Tensor:
    for axis, k in enumerate(reach):
        values = values.roll(k, axis).narrow(axis, 0, 2 * k + 1)
    return values


def _within(own: Tensor, pairs: Sequence[tuple[Offset, Offset]]) -> Tensor:
    """The products of the pairs of taps with each other, of both of their offsets."""
    middle = torch.tensor([size // 2 for size in own.shape])
    ones, others = (torch.tensor([pair[side] for pair in pairs]) for side in (0, 1))
    total = torch.zeros(len(pairs), len(pairs), dtype=torch.float64)
    strides = torch.tensor([math.prod(own.shape[axis + 1 :]) for axis in range(own.ndim)])
    flat = own.flatten()
    for first, second in itertools.product((ones, others), repeat=2):
        total += flat[((first[:, None] - second[None] + middle) * strides).sum(-1)]
    return total


def _conditions(pairs: Sequence[tuple[Offset, Offset]], period: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Rows of what the filter's answer is at the lattice's frequencies, and what it has to be there: 1 at zero."""
    frequencies = list(itertools.product(*(range(p) for p in period)))
    offsets = torch.tensor([one for one, _ in pairs], dtype=torch.float64)
    places = torch.tensor(frequencies, dtype=torch.float64) / torch.tensor(list(period), dtype=torch.float64)
    # both offsets of a pair; of the middle they are one
    rows = torch.cos(2 * math.pi * places @ offsets.T) * torch.tensor([1.0 if a == b else 2.0 for a, b in pairs])
    values = torch.zeros(len(frequencies), dtype=torch.float64)
    values[0] = 1
    return rows, values
