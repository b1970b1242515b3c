"""Where in an image a lattice of 2, 4 or 8 pixels may stand: phase means of windows, which cost next to nothing.

A grid in one corner is lost in the mean over a picture. So every window is looked at by itself: in each, the residual
is averaged at each phase of a lattice of 8 pixels, which a window holds 64 times, and what these 64 means hold at a
period's own frequencies is compared with what the scatter within the phases leaves by chance. For stair-steps the
residual is divided by the content's slope. It only says where to measure: texture passes here, and not there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.metrics.bands import baseband
from artifactlab.metrics.block_spectra import constant, own_frequencies
from artifactlab.metrics.visible import VISIBLE_STEPS, visible_grid

FOLD = 8
"""The lattice that holds those of 2, 4 and 8 pixels, by which decoders enlarge. Windows hold too little to tell others:
at a period of 3, a page of text was taken for a grid."""
WINDOW = 64
"""Pixels per side of a window: 8 spacings of 8 pixels. Of grids of 5/255 in 64 x 64 pixels of a photo, as many were
found with 48 and fewer with 96; of those in 128 x 128, windows of 48 missed one in eight, and called text a grid."""
STEP = 16
"""Pixels from a window to the next, so that one holds at least three quarters of any place of its size."""
BAND = 4
"""Period above whose baseband all are looked for, as in `spectral_search.GRID_BAND`."""
SUSPICIOUS = 2.0
"""Times chance from which on a window is worth measuring: photos have few such, and a lattice that shows, many times
that."""
STEADINESS = 0.65
"""Share of a grid that its medians must hold, see `grid_steadiness`. Of 74 windows of development photos with a planted
grid of 2/255 or 5/255 69 have .67 and more; of the windows of text that were taken for a grid, .01 to .62, and the one
of a photo, .56."""
FLAT = 1e-8
"""Squared slope, in squared data ranges per pixel, of what has no edges: nothing is displaced there."""


class Suspect(NamedTuple):
    """A window that may hold a lattice."""

    strength: float
    """Roughly its severity."""
    place: tuple[int, int]
    """Row and column of its first pixel."""


def suspicious_windows(luma: Tensor, most: int) -> list[Suspect]:
    """The windows of a `(1, 1, H, W)` image of data range 1 that may hold a lattice, at most so many.

    They are `WINDOW` pixels a side and overlap by less than a half; none where the image is smaller.

    >>> image = torch.full((1, 1, 160, 160), 0.5)
    >>> image[..., 32:96, 64:128] += 0.02 * (-1.0) ** (torch.arange(64)[:, None] + torch.arange(64))
    >>> suspicious_windows(image, 1)[0].place
    (32, 64)
    """
    if min(luma.shape[-2:]) < WINDOW:
        return []
    content = baseband(luma, BAND)
    residual = luma - content
    peaks = [_peaks(strengths, most) for strengths in (*_grids(residual), *_steps(residual, content))]
    # the first of each kind and period, then the second: texture is strong in one kind, and a faint grid in another
    return _apart([one for rank in itertools.zip_longest(*peaks) for one in rank if one is not None])[:most]


def grid_steadiness(windows: Tensor, period: int) -> Tensor:
    """The share of a grid of windows `(N, C, WINDOW, WINDOW)` that is in the medians of its phases, too, (N,).

    A decoder draws its grid everywhere, on the paper as on the letters: at each phase of the lattice the median of the
    residual is then about its mean. Strokes that keep step for a while are a few large values, which a median leaves
    out. 1 where both are the same; below 0 where they are opposite.

    >>> paper = torch.ones(1, 1, 64, 64)
    >>> paper[..., [1, 12, 23, 34, 45, 56], ::2] = 0.0  # dotted lines
    >>> columns = paper + 0.01 * (-1.0) ** torch.arange(64)
    >>> bool(grid_steadiness(paper, 2) < 0.3), bool(grid_steadiness(columns, 2) < 0.4)
    (True, True)
    """
    residual = windows - baseband(windows, BAND)
    cells = residual.unflatten(3, (-1, FOLD)).unflatten(2, (-1, FOLD)).movedim(4, 3).flatten(2, 3)
    own = _own(windows.device)[period]
    means, medians = (torch.fft.fft2(part)[..., own] for part in (cells.mean(2), cells.median(2).values))
    power = means.abs().square().sum((1, 2)).clamp_min(torch.finfo(cells.dtype).tiny)
    return (means.conj() * medians).real.sum((1, 2)) / power


def _grids(residual: Tensor) -> Iterator[Tensor]:
    """For each period, how strong a grid of every window is over what shows; 0 where it may be chance."""
    means, power = _phase_means(residual), _phase_means(residual.square()).mean((0, 1))
    repeats = (WINDOW // FOLD) ** 2
    scatter = (power - means.square().mean((0, 1))).clamp_min(0) * repeats / (repeats - 1)
    spectra = torch.fft.fft2(means.permute(2, 3, 0, 1), norm="forward").abs().square()
    for period, own in _own(residual.device).items():
        chance = scatter * own.sum() / FOLD**2 / repeats
        yield _beyond(spectra[..., own].sum(-1), chance) / visible_grid(period) ** 2


def _steps(residual: Tensor, content: Tensor) -> Iterator[Tensor]:
    """Likewise how far stair-steps of every window displace edges, along both axes."""
    powers, chances = [], []
    for axis in (0, 1):
        slope = torch.gradient(content, dim=2 + axis)[0]
        moved, steep, scatter = (
            _phase_means(part).mean(1 - axis)  # lines along the other axis have one phase
            for part in (residual * slope, slope.square(), (residual * slope).square())
        )
        steepness = steep.mean(0) + FLAT
        powers.append(torch.fft.fft(moved.permute(1, 2, 0), norm="forward").abs().square() / steepness[..., None] ** 2)
        chances.append(scatter.mean(0) / steepness**2 / WINDOW**2)
    for own in (own[0] for own in _own(residual.device).values()):
        yield _beyond(sum(powers)[..., own].sum(-1), sum(chances) * own.sum()) / VISIBLE_STEPS**2


def _beyond(power: Tensor, chance: Tensor) -> Tensor:
    """What is more than chance, where it is enough to be suspicious."""
    return torch.where(power > SUSPICIOUS * chance, power - chance, 0.0)


def _phase_means(values: Tensor) -> Tensor:
    """`(FOLD, FOLD, rows, columns)`: of every window, the mean at each phase of the lattice."""
    height, width = (size // FOLD * FOLD for size in values.shape[-2:])
    cells = values[0, 0, :height, :width].reshape(height // FOLD, FOLD, width // FOLD, FOLD)
    phases = cells.permute(1, 3, 0, 2).flatten(0, 1)[:, None]
    means = F.avg_pool2d(phases, WINDOW // FOLD, STEP // FOLD)
    return means.reshape(FOLD, FOLD, *means.shape[-2:])


@constant
def _own(device: torch.device) -> dict[int, Tensor]:
    """For each period, which frequencies of a spectrum of FOLD x FOLD are its own."""
    marks = {}
    for period in (2, 4, 8):
        mark = torch.zeros(FOLD, FOLD, dtype=torch.bool)
        for k in own_frequencies((FOLD, FOLD), period)[0]:
            mark[k] = mark[tuple(-i % FOLD for i in k)] = True
        marks[period] = mark.to(device)
    return marks


def _peaks(strengths: Tensor, most: int) -> list[Suspect]:
    """The strongest windows of one kind and period, before those that overlap are left out."""
    overlapping = (2 * WINDOW // STEP - 1) ** 2 // 4
    values, places = strengths.flatten().topk(min(most * overlapping, strengths.numel()))
    columns = strengths.shape[1]
    found = zip(values.tolist(), places.tolist(), strict=True)
    listed = [Suspect(value, (place // columns * STEP, place % columns * STEP)) for value, place in found if value > 0]
    return _apart(listed)[:most]


def _apart(suspects: list[Suspect]) -> list[Suspect]:
    """Those of which no stronger one covers half or more."""
    kept: list[Suspect] = []
    for one in suspects:
        if all(max(abs(a - b) for a, b in zip(one.place, other.place, strict=True)) > WINDOW // 2 for other in kept):
            kept.append(one)
    return kept
