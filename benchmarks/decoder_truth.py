"""What a lattice draws, read plainly: numpy's FFT of the error, the same with a site's output box-filtered, and steps.

None of it is this package's. A period p shows in the spectrum near multiples of 1/p, as lines where it is the same
everywhere, and beside them where it follows the content; further away is what else is wrong. A mean over p samples is
blind to exactly these multiples, so a site that runs through one draws nothing. And what is made of bricks steps
between them and not inside, which no line tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

NEAR, BESIDE = 2.3, (3.0, 8.0)
"""in bins of the transform, whose window blurs a line to two at either side: what belongs to a line, and what it is to
stand above"""


def lattice_rms(error: np.ndarray, period: Sequence[int], finer: Sequence[int]) -> float:
    """Root mean square of what stands near the lines of `period` that are none of `finer`, above what is beside them.

    Args:
        error: (N, *space), output minus target.
        period: of the lattice, for each axis; 1 where there is none.
        finer: of the next finer lattice of the net, whose lines are left to it; ones where there is none.

    Returns:
        It, in the unit of `error`; NaN where lines are too close together to have anything beside them.
    """
    space = error.shape[1:]
    if min(size / p for size, p in zip(space, period, strict=True) if p > 1) < 2 * BESIDE[0]:
        return float("nan")
    windowed = error
    for axis, size in enumerate(space):
        line = np.hanning(size + 2)[1:-1] / np.sqrt((np.hanning(size + 2)[1:-1] ** 2).mean())
        windowed = windowed * line.reshape([-1 if k == axis else 1 for k in range(len(space))])
    power = (np.abs(np.fft.fftn(windowed, axes=range(1, error.ndim))) ** 2).mean(0) / np.prod(space) ** 2
    lines, away = places(space, period)
    own = (lines != 0).any(0)
    if any(p > 1 for p in finer):
        steps = [p // f for p, f in zip(period, finer, strict=True)]
        own &= np.stack([line % step != 0 for line, step in zip(lines, steps, strict=True)]).any(0)
    near, beside = own & (away < NEAR), own & (away > BESIDE[0]) & (away < BESIDE[1])
    return float(np.sqrt(max(0.0, power[near].sum() - near.sum() * power[beside].mean())))


def places(space: Sequence[int], period: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Of each frequency the nearest line (axes, *space), modulo the period, and the bins to it (*space)."""
    nearest, squares = [], np.zeros(space)
    for axis, (size, p) in enumerate(zip(space, period, strict=True)):
        place = np.fft.fftfreq(size) * p if p > 1 else np.zeros(size)
        place = place.reshape([-1 if k == axis else 1 for k in range(len(space))])
        nearest.append(np.broadcast_to(np.round(place) % p, space))
        squares = squares + ((place - np.round(place)) * size / p) ** 2
    return np.stack(nearest), np.sqrt(squares)


def step_ratio(images: np.ndarray, period: Sequence[int]) -> float:
    """Root mean square of the steps between neighbours at one place of the period, over that at all others.

    1 where no place is special; what is made of bricks has all its steps in one. The place and the axis of `images`
    (N, *space) are those with the largest ratio, as frames that were cut off may have moved it.
    """
    ratios = [1.0]
    for axis, p in enumerate(period):
        if p == 1:
            continue
        squares = np.diff(np.moveaxis(images, axis + 1, 0), axis=0).reshape(images.shape[axis + 1] - 1, -1) ** 2
        phases = np.array([squares[phase::p].mean() for phase in range(p)])
        largest = phases.max()
        ratios.append(float(np.sqrt(largest / max((phases.sum() - largest) / (p - 1), 1e-12))))
    return max(ratios)


def box_filtered(y: Tensor, scale: Sequence[int]) -> Tensor:
    """The mean over `scale` samples along each axis, centred: between the two that an even number can be centred on."""
    for axis, size in enumerate(scale):
        if size == 1:
            continue
        weights = torch.full((1, 1, size + 1), 1.0 / size, dtype=y.dtype)
        weights[..., [0, -1]] /= 2
        moved = y.movedim(axis + 2, -1)
        rows = F.pad(moved.reshape(-1, 1, moved.shape[-1]), (size // 2, size - size // 2), mode="replicate")
        smooth = F.conv1d(rows, weights)
        y = smooth.reshape(moved.shape).movedim(-1, axis + 2)
    return y


def without(module: nn.Module, scale: Sequence[int], run: Callable[[], Tensor]) -> Tensor:
    """What `run` gives while the output of `module` passes a box filter."""
    handle = module.register_forward_hook(lambda module, inputs, output: box_filtered(output, scale))
    try:
        return run()
    finally:
        handle.remove()
