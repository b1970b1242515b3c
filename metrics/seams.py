"""Straight lines that repeat at a fixed spacing: where tiles of an image were computed apart and put together.

At a seam the image steps, or its texture breaks, along a whole straight line, and it does so at every line of a comb.
Natural content has straight lines, too, and brick even repeats them. So lines are compared with their neighbourhood,
every line counts up to a limit, different images (or else halves of one) must agree on the comb, and what the model's
input shows already is taken off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.metrics.inputs import as_images, as_pair

# Thresholds were chosen on the development split of `benchmarks/coarse.py`; what was tried beside them is in
# docs/decisions.md, "Seams against the same lines in another order".
SMALLEST_PERIOD = 5
"""Shortest period that is looked for, in pixels; a shorter comb is a grid, which `checkerboard_energy` measures."""
LARGEST_SHARE = 3
"""Number of lines that a comb must have room for. Two have only one spacing, which repeats nothing (docs/decisions.md,
"Seams against the same lines in another order")."""
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
BORDER = 3
"""Number of pixels at the image's start that count as no line; at its end they are one fewer. On either side that is
one more than have no step of their own (docs/decisions.md, "Seams against the same lines in another order")."""
MAX_DEVIATIONS = 6.0
"""Robust deviations of the profile up to which a line counts, so that no single one makes a comb: one of three lines
gives 3.5 standard errors then, less than `CERTAIN`."""
QUIETEST = 0.03
"""Smallest robust deviation of a profile that is believed, in octaves: 2% of a step. A smaller one, of images that are
nearly flat, would make lines of what is rounding."""
MIN_SOURCE_STRENGTH = 3.0
"""Standard errors from which on a comb that stands out half as much in the inputs is theirs; below, it may be chance
there."""
PRESENT = 0.7
"""Share of a comb's lines that must stand out: seams are all along the image, and content may hide some of them."""
SHUFFLES = 300
"""Number of orders of the same lines that a comb is compared with: enough to tell whether one in a hundred holds as
strong a comb (docs/decisions.md, "Seams against the same lines in another order")."""
MOST_BY_CHANCE = 0.01
"""Largest share of these orders that may hold a comb as strong. Three lines of 256 are as far apart from each other
once in 160 orders, so that less would miss tiles of a third of the image (docs/decisions.md, "Seams against the same
lines in another order")."""
CERTAIN = 5.2
"""Standard errors by which a comb must stand out in each half of the evidence, where the inputs have the outputs' size.
That is more than for one reading alone, as every phase of every period is tried."""
CERTAIN_ALONE = 8.0
"""The same without such inputs, as nothing then takes off what repeats in the content itself, such as bricks."""


class Comb(NamedTuple):
    """Lines at `phase`, `phase + period`, ... pixels from the image's start."""

    period: int
    """Distance between its lines in pixels."""
    phase: int
    """Index of the first pixel after the first line."""
    strength: float
    """Standard errors by which its lines stand out in the weaker half of the evidence."""


def find_seams(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor | None] = (),
    *,
    data_range: float = 1.0,
    explained: Sequence[tuple[int, int]] = (),
) -> tuple[Comb | None, Comb | None]:
    """The comb of straight lines that stands out most across rows, and across columns; None where there is none.

    Args:
        outputs: `(N, C, H, W)` images of one model, of any sizes, with different content. One alone, without
            an input of its size, cannot be told from a brick wall: nothing is found in it. Sides of 64 pixels at least.
        inputs: what the model made each of them from, of any size, or None; lines that these show are no seams.
        data_range: distance between black and white of the outputs; an input is brought to its output's contrast.
        explained: periods (vertical, horizontal) of lattices that are known of; what repeats with them is taken off.

    Returns:
        Combs of horizontal lines (a vertical period) and of vertical lines (a horizontal period). Periods are whole
        pixels, from 5 to a third of the side.

    Raises:
        InputError: if a tensor is no real `(N, C, H, W)`, or holds NaN or Inf; if `data_range` is not positive; if
            inputs are neither as many as outputs nor none; or if a period is no pair of positive integers.

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
    periods = [as_pair(period, "explained") for period in explained]
    images = [as_images(output, data_range) for output in outputs]
    given = inputs or [None] * len(images)
    sources = [None if x is None else _matched_source(x, image) for x, image in zip(given, images, strict=True)]
    # an input of another size is as sharp as the output nowhere: it explains some, not all
    comparable = all(x is not None and x.shape[2:] == image.shape[2:] for x, image in zip(given, images, strict=True))
    found = []
    for axis in (0, 1):
        halves = _halves(images, sources, axis, comparable)
        known = {period[axis] for period in periods if period[axis] > 1}
        certain = CERTAIN if comparable else CERTAIN_ALONE
        own = [line for x in sources if x is not None for line in _lines(x if axis else x.mT, None)]
        source_profile = _mean_profile(own) if own else None
        found.append(_best_comb(halves, known, certain, source_profile) if len(halves) == 2 else None)
    return found[0], found[1]


def _matched_source(source: Tensor, image: Tensor) -> Tensor | None:
    """The input at the output's size and contrast, in one channel; None where it is no batch of the same images."""
    size = float(source.detach().abs().amax()) if source.numel() else 1.0
    images = as_images(source, size if math.isfinite(size) and size > 0 else 1.0).mean(1, keepdim=True)
    if len(images) != len(image):
        return None
    if images.shape[2:] != image.shape[2:]:
        images = F.interpolate(images, image.shape[2:], mode="bicubic", align_corners=False)
    contrast = image.mean(1, keepdim=True).std((2, 3), keepdim=True, correction=0)
    own = images.std((2, 3), keepdim=True, correction=0)
    return images * torch.where(own > 1e-6, contrast / own.clamp_min(1e-6), 0.0).to(images)


def _halves(images: Sequence[Tensor], sources: Sequence[Tensor | None], axis: int, comparable: bool) -> list[Tensor]:
    """Two independent profiles of line strength along an axis: of every other image, or of the halves of one."""
    blocks: list[Tensor] = []  # per image, (blocks of rows, positions)
    for image, source in zip(images, sources, strict=True):
        own = source if axis or source is None else source.mT
        blocks.extend(_lines(image if axis else image.mT, own))
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
    """How strongly each block of rows breaks before each column, over its neighbourhood: `(blocks, W)` per image.

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


def _best_comb(halves: Sequence[Tensor], known: set[int], certain: float, source_profile: Tensor | None) -> Comb | None:
    """The comb that stands out most, by the weaker half; None if none does enough, or all that do are the source's."""
    length = min(len(half) for half in halves)
    profiles = torch.stack([_standardised(half[:length], known) for half in halves])
    source = None if source_profile is None else _standardised(source_profile, set())[:length]
    best: Comb | None = None
    for period in _periods(length, known):
        strength = _strengths(profiles, period)
        if source is not None:
            own = _stands_out(source, period)
            strength = torch.where(own < (strength / 2).clamp_min(MIN_SOURCE_STRENGTH), strength, 0.0)
        phase = int(strength.argmax())
        if float(strength[phase]) > (best.strength if best else certain):
            best = Comb(period, phase, float(strength[phase]))
    return best if best and _beyond_chance(best.strength, profiles, known) else None


def _beyond_chance(strength: float, profiles: Tensor, known: set[int]) -> bool:
    """Whether hardly any comb stands out as much among the same lines in another order.

    Masks and blocky frames break at few places and nowhere else, which no deviation describes: three such lines of a
    hundred are soon as far apart as three others.
    """
    length = profiles.shape[1]
    order = torch.rand(SHUFFLES, length, generator=torch.Generator().manual_seed(0)).argsort(1).to(profiles.device)
    shuffled = profiles[:, order].transpose(0, 1)
    strongest = torch.stack([_strengths(shuffled, period).amax(-1) for period in _periods(length, known)]).amax(0)
    return float((strongest >= strength).double().mean()) <= MOST_BY_CHANCE


def _periods(length: int, known: set[int]) -> list[int]:
    """Those that a profile has room for and no known lattice explains."""
    candidates = range(SMALLEST_PERIOD, length // LARGEST_SHARE + 1)
    return [period for period in candidates if not any(k % period == 0 for k in known)]


def _strengths(profiles: Tensor, period: int) -> Tensor:
    """`(..., period)`: how far each comb of a period stands out in the weaker of `(..., halves, positions)`."""
    strength = _stands_out(profiles, period).amin(-2)
    above = (profiles.sum(-2) > 1).to(profiles)
    present = _over_lines(above, period) / _lines_of(above, period)
    strength = torch.where(present >= PRESENT, strength, 0.0)
    strength[..., 0 if profiles.shape[-1] <= 2 * period else period :] = 0
    return strength


def _stands_out(profiles: Tensor, period: int) -> Tensor:
    """`(..., period)`: standard errors by which the mean of each comb's lines is above none."""
    return _over_lines(profiles, period) / _lines_of(profiles, period).sqrt()


def _lines_of(profiles: Tensor, period: int) -> Tensor:
    """How many lines each comb of a period has, `(period,)`."""
    return _over_lines(profiles.new_ones(profiles.shape[-1]), period)


def _over_lines(values: Tensor, period: int) -> Tensor:
    """Sums `(..., period)` over each comb's lines of `(..., positions)`; the image's own border is no line."""
    inside = F.pad(values[..., BORDER:], (BORDER, -values.shape[-1] % period))
    return inside.unflatten(-1, (-1, period)).sum(-2)


def _standardised(profile: Tensor, known: set[int]) -> Tensor:
    """The profile less what repeats with known lattices, in its own robust deviations; 0 at the border.

    No line counts more than `MAX_DEVIATIONS`.
    """
    for period in sorted(known):
        if len(profile) >= 2 * LARGEST_SHARE * period:
            lines = F.pad(profile, (0, -len(profile) % period), value=math.nan).view(-1, period)
            profile = profile - lines.nanmedian(0).values.repeat(len(lines))[: len(profile)]
    profile = profile - profile.median()
    deviation = 1.4826 * profile.abs().median()
    lines = (profile / deviation.clamp_min(QUIETEST)).clamp(-MAX_DEVIATIONS, MAX_DEVIATIONS)
    # nothing is measured at the border; less what inputs show, most lines are below that nothing
    return F.pad(lines[BORDER : 1 - BORDER], (BORDER, BORDER - 1))
