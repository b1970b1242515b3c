"""The content of an image below a lattice's spectral images, what is left above it, and blocks that keep its phase.

Everything works along any number of axes: signals `(N, C, L)`, images `(N, C, H, W)`, volumes `(N, C, D, H, W)`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

SPATIAL = 2
"""The first axis that is neither batch nor channel."""
STRIP = 1 << 18
"""Samples that are filtered at a time: a megabyte of float32, which a processor's own cache holds beside its sums. A
megapixel in one go takes three times as long, as each of twenty sums is written to memory that the kernel gives anew.
See docs/decisions.md, "What scoring costs"."""


def baseband(images: Tensor, period: int, decimation: Sequence[int] = ()) -> Tensor:
    """The content that an enlargement by `period` can have had: the images under a triangle of two periods, each axis.

    The triangle is 0 at all multiples of 1 / period, so that no grid of that period passes. An axis of less than four
    periods is left as it is. Borders are mirrored. `decimation` says over how many samples an axis was averaged before.
    """
    return _joined([content for _, content in basebands(images, period, decimation=decimation)])


def residual_above(images: Tensor, period: int) -> Tensor:
    """What the baseband leaves over; gradients end here."""
    images = images.detach()
    residual = torch.empty_like(images)
    start = 0
    for part, content in basebands(images, period):
        torch.sub(part, content, out=residual.narrow(SPATIAL, start, part.shape[SPATIAL]))
        start += part.shape[SPATIAL]
    return residual


def basebands(
    images: Tensor, period: int, multiple: int = 1, decimation: Sequence[int] = ()
) -> Iterator[tuple[Tensor, Tensor]]:
    """Strip by strip, see `strips`, the images and their `baseband`: what is made of a strip stays in the cache."""
    lengths = [max(1, period // factor) for factor in decimation or [1] * (images.ndim - SPATIAL)]
    lengths = [n if size >= 4 * n else 1 for n, size in zip(lengths, images.shape[SPATIAL:], strict=True)]
    first = lengths[0]
    for start, part in strips(images, multiple):
        content = _between(images, start - first + 1, start + part.shape[SPATIAL] + first - 1)
        for axis, length in enumerate(lengths, SPATIAL):
            if length > 1:
                around = content if axis == SPATIAL else mirrored(content, length - 1, axis)
                content = running_sum(running_sum(around, length, axis), length, axis)
        divisor = math.prod(lengths) ** 2
        yield part, content if divisor == 1 else content / divisor


def strips(images: Tensor, multiple: int = 1) -> Iterator[tuple[int, Tensor]]:
    """Parts of the first axis, each with its start: so many rows, or a multiple of them, that a cache holds them."""
    size = images.shape[SPATIAL]
    samples_per_row = max(1, images[:, :, :1].numel())
    rows = multiple * max(1, round(STRIP / (samples_per_row * multiple)))
    for start in range(0, size, rows):
        yield start, images.narrow(SPATIAL, start, min(rows, size - start))


def _between(images: Tensor, start: int, stop: int) -> Tensor:
    """A part of the first axis, mirrored where it runs beyond the images."""
    size = images.shape[SPATIAL]
    inner = images.narrow(SPATIAL, max(0, start), min(size, stop) - max(0, start))
    if start >= 0 and stop <= size:
        return inner
    before = images.narrow(SPATIAL, 1, max(0, -start)).flip(SPATIAL)
    beyond = max(0, stop - size)
    return torch.cat([before, inner, images.narrow(SPATIAL, size - 1 - beyond, beyond).flip(SPATIAL)], SPATIAL)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """The strips of an image as one."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), SPATIAL)


def slope(images: Tensor, axis: int) -> Tensor:
    """Central differences along an axis, per sample; 0 across a border, which is mirrored."""
    around = mirrored(images, 1, axis)
    size = images.shape[axis]
    return (around.narrow(axis, 2, size) - around.narrow(axis, 0, size)) / 2


def mirrored(images: Tensor, by: int, axis: int) -> Tensor:
    """The images with `by` more samples on both ends of an axis."""
    size = images.shape[axis]
    before = images.narrow(axis, 1, by).flip(axis)
    after = images.narrow(axis, size - 1 - by, by).flip(axis)
    return torch.cat([before, images, after], axis)


def running_sum(images: Tensor, length: int, axis: int) -> Tensor:
    """Sums of `length` neighbours along an axis, doubling the length with each addition."""
    if length == 1:
        return images
    half = running_sum(images, length // 2, axis)
    size = images.shape[axis] - length + 1
    total = half.narrow(axis, 0, size) + half.narrow(axis, length // 2, size)
    return total if length % 2 == 0 else total + images.narrow(axis, length - 1, size)


def blocks(images: Tensor, sides: Sequence[int]) -> Tensor:
    """`(N, C, blocks, side, blocks, side, ...)` of images; blocks start at the first sample, a rest is left out."""
    shape = list(images.shape[:SPATIAL])
    for axis, side in enumerate(sides, SPATIAL):
        count = images.shape[axis] // side
        images = images.narrow(axis, 0, count * side)
        shape += [count, side]
    return images.reshape(shape)


def inside(sides: Sequence[int]) -> list[int]:
    """The axes of `blocks` that run inside a block."""
    return [SPATIAL + 1 + 2 * axis for axis in range(len(sides))]


def folded(parts: Tensor, folds: Sequence[int]) -> Tensor:
    """Sums `(N, C, *blocks, *phases)` over all samples of one phase in each of `blocks`."""
    for axis, fold in enumerate(folds):
        parts = parts.unflatten(SPATIAL + 1 + 2 * axis, (-1, fold)).sum(SPATIAL + 1 + 2 * axis)
    block_axes = [SPATIAL + 2 * axis for axis in range(len(folds))]
    return parts.permute([*range(SPATIAL), *block_axes, *inside(folds)])


def spread_over(values: Tensor, sides: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Values of blocks as images of `shape`; the rest that no block covers continues the last one."""
    for axis, (side, size) in enumerate(zip(sides, shape, strict=True), SPATIAL):
        index = torch.div(torch.arange(size, device=values.device), side, rounding_mode="floor")
        values = values.index_select(axis, index.clamp_max(values.shape[axis] - 1))
    return values
