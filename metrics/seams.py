"""Straight lines that repeat at a fixed spacing: where tiles of an image were computed apart and put together.

At a seam the image steps, or its texture breaks, along a whole straight line, and it does so at every line of a comb.
Natural content has straight lines, too, and brick even repeats them. So lines are compared with their neighbourhood,
every line counts up to a limit, different images (or else halves of one) must agree on the comb, and what the model's
input shows already is taken off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.metrics.bands import SPATIAL
from artifactlab.metrics.combs import LARGEST_SHARE, SMALLEST_PERIOD, Comb, best_comb
from artifactlab.metrics.inputs import as_signals

# Thresholds were chosen on the development split of `benchmarks/coarse.py`; what was tried beside them is in
# docs/decisions.md, "Seams against the same lines in another order".
ROWS = 16
"""Number of pixels along a line that are judged together, by their median, for which half of them must show the line;
fewer are noisier."""
MIN_BLOCKS = 4
"""Smallest number of blocks of `ROWS` pixels along a line. Fewer are too few to average, as of one image alone either
half of the evidence has half of them."""
NEIGHBOURS = 8
"""Number of pixels on either side that a line is compared with. Their median is that of 17 steps, which hardly changes
with the few that one line takes up."""
FAINTEST = 0.1 / 255
"""Step that is added to the usual one, as a fraction of the data range: a tenth of a level of 8 bits, below which steps
are rounding, so that no ratio to nothing is large."""
REACH = 2
"""Number of pixels on either side that a line must exceed. The filter of `_steps` answers beside a step as well, and a
line is to count where it is, and not beside."""
CERTAIN = 5.2
"""Standard errors by which a comb must stand out in each half of the evidence, where the inputs have the outputs' size.
That is more than for one reading alone, as every phase of every period is tried."""
CERTAIN_OF_ONE = 6.0
"""The same for a single image: its halves show one scene, whose own lines are common to both. See docs/decisions.md,
"Seams against the same lines in another order"."""
CERTAIN_ALONE = 8.0
"""The same without such inputs, as nothing then takes off what repeats in the content itself, such as bricks."""


def find_seams(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor | None] = (),
    *,
    data_range: float = 1.0,
    explained: Sequence[Sequence[float]] = (),
) -> tuple[Comb | None, ...]:
    """The comb of straight lines, or planes, that stands out most along each axis; None where there is none.

    Args:
        outputs: `(N, C, H, W)` images or `(N, C, D, H, W)` volumes of one model, of any sizes, with different content.
            One alone, without an input of its size, cannot be told from a brick wall: nothing is found in it. Sides of
            64 pixels at least. In signals `(N, C, L)`, which have no lines, nothing is found.
        inputs: what the model made each of them from, of any size, or None; lines that these show are no seams.
        data_range: distance between black and white of the outputs; an input is brought to its output's contrast.
        explained: spacings in pixels of lattices that are known of, one per axis (1: none); what repeats with them is
            taken off. A resize that keeps corners has one that is no whole number.

    Returns:
        One per axis: of images combs of horizontal lines (a vertical period) and of vertical lines (a horizontal
        period). Periods are whole pixels, from 5 to a third of the side.

    Raises:
        InputError: if a tensor is of another shape or complex, or holds NaN or Inf; if outputs differ in their number
            of axes; if `data_range` is not positive; if inputs are neither as many as outputs nor none; or if
            explained spacings are no positive numbers, one per axis.

    >>> import torch
    >>> blobs = torch.rand(2, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    >>> images = torch.nn.functional.interpolate(blobs, scale_factor=8, mode="bicubic")
    >>> tiles = torch.arange(16.0).sin().view(1, 1, 4, 4).repeat_interleave(48, 2).repeat_interleave(48, 3)
    >>> across_rows, across_columns = find_seams([images + 0.02 * tiles], [images])
    >>> across_rows.period, across_columns.period
    (48, 48)
    """
    if len(inputs) not in (0, len(outputs)):
        raise InputError(f"expected one input per output, or none, got {len(inputs)} for {len(outputs)}")
    images = [as_signals(output, data_range) for output in outputs]
    axes = _common_axes(images)
    _check_spacings(explained, axes)
    given = inputs or [None] * len(images)
    sources = [None if x is None else _matched_source(x, image) for x, image in zip(given, images, strict=True)]
    # an input of another size is as sharp as the output nowhere: it explains some, not all
    comparable = all(x is not None and x.shape[2:] == image.shape[2:] for x, image in zip(given, images, strict=True))
    alone = sum(map(len, images)) == 1
    found = []
    for axis in range(axes):
        halves = _halves(images, sources, axis, comparable)
        known = {float(spacing[axis]) for spacing in explained if spacing[axis] > 1}
        certain = (CERTAIN_OF_ONE if alone else CERTAIN) if comparable else CERTAIN_ALONE
        own = [line for x in sources if x is not None for line in _lines(_rows(x, axis), None)]
        source_profile = _mean_profile(own) if own else None
        found.append(best_comb(halves, known, certain, source_profile) if len(halves) == 2 else None)
    return tuple(found)


def _common_axes(images: Sequence[Tensor]) -> int:
    """Number of directions of all images; two where there are none."""
    found = {image.ndim - SPATIAL for image in images} or {2}
    if len(found) > 1:
        shapes = " and ".join(str(tuple(image.shape)) for image in images)
        raise InputError(f"expected outputs of one kind, all images or all volumes, got {shapes}")
    return found.pop()


def _check_spacings(explained: Sequence[Sequence[float]], axes: int) -> None:
    for spacing in explained:
        if len(spacing) != axes or not all(isinstance(s, (int, float)) and 1 <= s < math.inf for s in spacing):
            raise InputError(f"explained must be spacings from 1 on, {axes} each, one per axis; got {spacing!r}")


def _matched_source(source: Tensor, image: Tensor) -> Tensor | None:
    """The input at the output's size and contrast, in one channel; None where it is no batch of the same images."""
    size = float(source.detach().abs().amax()) if source.numel() else 1.0
    images = as_signals(source, size if math.isfinite(size) and size > 0 else 1.0).mean(1, keepdim=True)
    if len(images) != len(image) or images.ndim != image.ndim:
        return None
    if images.shape[2:] != image.shape[2:]:
        mode = ("linear", "bicubic", "trilinear")[image.ndim - SPATIAL - 1]
        images = F.interpolate(images, image.shape[2:], mode=mode, align_corners=False)
    space = tuple(range(SPATIAL, image.ndim))
    contrast = image.mean(1, keepdim=True).std(space, keepdim=True, correction=0)
    own = images.std(space, keepdim=True, correction=0)
    return images * torch.where(own > 1e-6, contrast / own.clamp_min(1e-6), 0.0).to(images)


def _rows(images: Tensor, axis: int) -> Tensor:
    """`(N, C, rows, size)`: all rows that run along an axis, neighbours beside each other."""
    return images.movedim(SPATIAL + axis, -1).flatten(SPATIAL, -2) if images.ndim > 3 else images.unsqueeze(SPATIAL)


def _halves(images: Sequence[Tensor], sources: Sequence[Tensor | None], axis: int, comparable: bool) -> list[Tensor]:
    """Two independent profiles of line strength along an axis: of every other image, or of the halves of one."""
    blocks: list[Tensor] = []  # per image, (blocks of rows, positions)
    for image, source in zip(images, sources, strict=True):
        blocks.extend(_lines(_rows(image, axis), None if source is None else _rows(source, axis)))
    if len(blocks) == 1 and comparable:  # what an input explains needs no second one
        blocks = [part for part in blocks[0].tensor_split(2) if len(part)]
    return [_mean_profile(group) for group in (blocks[::2], blocks[1::2]) if group]


def _mean_profile(blocks: Sequence[Tensor]) -> Tensor:
    """The mean over all blocks of all images, each as far as it reaches."""
    length = max(block.shape[1] for block in blocks)
    total = sum(F.pad(block.sum(0), (0, length - block.shape[1])) for block in blocks)
    count = sum(F.pad(torch.full_like(b[0], float(len(b))), (0, length - b.shape[1])) for b in blocks)
    return torch.as_tensor(total) / torch.as_tensor(count)


def _lines(images: Tensor, sources: Tensor | None) -> Sequence[Tensor]:
    """How strongly each block of rows breaks before each sample, over its neighbourhood: `(blocks, W)` per image.

    In octaves, less what the source shows there. Nothing for images without room for that.
    """
    if images.shape[2] < MIN_BLOCKS * ROWS or images.shape[3] < LARGEST_SHARE * SMALLEST_PERIOD + 3:
        return ()
    steps = _steps(images)
    flat = steps.flatten(0, 1)
    padded = F.pad(flat, (NEIGHBOURS, NEIGHBOURS), mode="replicate")
    usual = padded.unfold(-1, 2 * NEIGHBOURS + 1, 1).median(-1).values.view_as(steps) + FAINTEST
    peaks = F.max_pool1d(flat, 2 * REACH + 1, 1, REACH).view_as(steps)
    strength = torch.where(steps == peaks, (1 + steps / usual).log2(), 0.0)
    if sources is not None:
        own = F.max_pool1d(_steps(sources).flatten(0, 1), 3, 1, 1).view_as(steps[:, :1])
        strength = strength - (1 + own / usual).log2()
    return tuple(F.pad(strength.mean(1), (2, 1)))


def _steps(images: Tensor) -> Tensor:
    """Steps `(N, C, blocks, W - 3)` before each column but the first two and the last: medians over blocks of rows."""
    n, channels, height, _ = images.shape
    rows = images[:, :, : height // ROWS * ROWS]
    # a step, less what the slopes beside it explain
    breaks = 1.5 * (rows[..., 2:-1] - rows[..., 1:-2]) + 0.5 * (rows[..., :-3] - rows[..., 3:])
    return breaks.view(n, channels, height // ROWS, ROWS, -1).median(3).values.abs()
