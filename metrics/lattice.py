"""What keeps step with a sampling lattice: phase-locked sums over windows.

An image with a grid of period p differs, on average, from one of the p x p pixel phases to another. Texture differs
too, but its phase drifts over the image, while a grid keeps step with the pixel lattice. So phase means are taken in
windows, and only what *different* windows agree on counts: products of two windows have zero mean for anything not
locked to the lattice, which makes the estimate unbiased instead of merely small.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.inputs import wide

WINDOW = 12
"""pixels per window side, rounded up to a multiple of the period"""
GRAY_LEVEL = (1 / 255) ** 2
"""variance of content that hides a grid no better than none does"""
DOUBTFUL, CERTAIN = 2.0, 4.0
"""standard errors up to which a grid's power counts as none, and from which on it counts in full"""
SEGMENT = 64
"""windows of a row or column that are taken to show one and the same texture, as lines of text and courses of bricks"""
CYCLES = (-3, -2, -1, 1, 2, 3)
"""over the image, by which texture is followed that nearly, but not quite, keeps step with the lattice"""


class LatticeStatistics(NamedTuple):
    """What windows of one image agree on; powers are in squared data ranges."""

    locked: Tensor
    """(N, ph, pw) power locked to each lattice frequency (i/ph, j/pw), unbiased, so it may be slightly negative"""
    residual: Tensor
    """(N,) variance of the high-pass image in the same windows, with the same weights"""
    noise: Tensor
    """(N, ph, pw) standard error of `locked`: what the windows' unlocked content would leave of itself"""

    def significant(self, frequencies: Tensor | float = 1.0) -> Tensor:
        """Power (N,) locked to all, or to a mask of the frequencies; 0 where it is within its error, as for texture."""
        locked = (self.locked * frequencies).sum((1, 2))
        # conjugate frequencies show the same, so their errors add up fully
        error = (2 * (self.noise * frequencies).square().sum((1, 2))).sqrt()
        certainty = ((locked / error.clamp_min(1e-12) - DOUBTFUL) / (CERTAIN - DOUBTFUL)).clamp(0, 1)
        return locked.clamp_min(0) * certainty


class LatticeSums(NamedTuple):
    """Weighted sums over windows; those of tiles that start at multiples of `SEGMENT` windows add up to the image's."""

    weight: Tensor
    """(N,) of the weights"""
    squared_weight: Tensor
    """(N,) of their squares"""
    spectrum: Tensor
    """(N, C, ph, pw) of the spectra of the phase means, complex"""
    squares: Tensor
    """(N, ph, pw) of the weighted spectra's squares, mean over channels"""
    variance: Tensor
    """(N,) of the variances of the high-pass image, mean over channels"""
    line_squares: Tensor
    """(N, 2 axes, ph, pw) of the squares of the spectra added up along window rows, and columns; mean over channels"""
    line_weight: Tensor
    """(N, 2 axes) of the squares of the weights added up likewise"""
    drifting: Tensor
    """(N, 2 axes, bands, C, ph, pw) of the spectra, turned by a few cycles over the image along an axis; complex"""
    drifting_weight: Tensor
    """(N, 2 axes, bands) of the weights, turned likewise"""

    def __add__(self, other: LatticeSums) -> LatticeSums:  # type: ignore[override]
        return LatticeSums(*(a + b for a, b in zip(self, other, strict=True)))


def lattice_statistics(images: Tensor, period: tuple[int, int]) -> LatticeStatistics:
    """What the windows of `(N, C, H, W)` images of data range 1 agree on, unbiased: what two images are compared by."""
    return LatticeStatistics(*(field.to(images) for field in pooled_lattice(lattice_sums(images, period))))


def pooled_lattice(sums: LatticeSums) -> LatticeStatistics:
    """What the windows agree on: products of two different windows, averaged with their weights."""
    pairs = _pairs(sums)[:, None, None]
    of_lattice = _mean_spectrum(sums).abs().square().mean(1)
    noise = (sums.line_squares - of_lattice[:, None] * sums.line_weight[..., None, None]).clamp_min(0).amax(1)
    return LatticeStatistics(
        (sums.spectrum.abs().square().mean(1) - sums.squares) / pairs,
        torch.where(pairs[:, 0, 0].isfinite(), sums.variance / sums.weight.clamp_min(1e-12), 0.0),
        noise / pairs,
    )


def without_drift(sums: LatticeSums) -> LatticeStatistics:
    """The same, less what texture of a spacing near the period leaves: what a single image is judged by.

    Such texture agrees over many windows, too, but drifts: turned by a few cycles over the image, its windows agree
    even better. What they agree on then is taken off, but for what a lattice whose strength varies leaves there.
    """
    turned = sums.drifting - _mean_spectrum(sums)[:, None, None] * sums.drifting_weight[..., None, None, None]
    followed = sums.drifting_weight.abs().sum(-1) > 0  # axes with enough windows
    drift = (turned.abs().square().mean(3) - sums.squares[:, None, None]).mean(2) * followed[..., None, None]
    axis = drift.sum((2, 3)).argmax(1)
    drift = drift[torch.arange(len(axis), device=axis.device), axis]
    drift = torch.where(drift.sum((1, 2), keepdim=True) > 0, drift, 0.0)
    statistics = pooled_lattice(sums)
    return statistics._replace(locked=statistics.locked - drift / _pairs(sums)[:, None, None])


def _pairs(sums: LatticeSums) -> Tensor:
    """The weights of all pairs of different windows (N,); infinite where there are none, so that nothing is locked."""
    pairs = sums.weight.square() - sums.squared_weight
    return torch.where(pairs > 1e-6 * sums.weight.square(), pairs, torch.inf)


def _mean_spectrum(sums: LatticeSums) -> Tensor:
    """What is locked to the lattice, `(N, C, ph, pw)`."""
    return sums.spectrum / sums.weight.clamp_min(1e-12)[:, None, None, None]


def lattice_sums(
    images: Tensor,
    period: tuple[int, int],
    origin: tuple[int, int] = (0, 0),
    size: tuple[int, int] | None = None,
) -> LatticeSums:
    """The sums over the windows of `(N, C, H, W)` images of data range 1; windows start at the first pixel.

    Windows are weighted by the inverse of their variance, less that of the phase means: a grid is seen, and measured,
    where the content is quiet. Content below one gray level hides nothing, so all such windows count alike.

    Args:
        images: whole images, or tiles that start at multiples of `SEGMENT` windows.
        period: vertical and horizontal lattice spacing.
        origin: row and column of a tile's first pixel in the whole image.
        size: height and width of the whole image; by default that of `images`.
    """
    (n, channels), (ph, pw), dtype = images.shape[:2], period, wide(images)
    means, variance, _ = phase_means(images, period)
    bands = images.new_zeros(n, 2, len(CYCLES), channels, ph, pw, dtype=dtype)
    if means.numel() == 0 or ph * pw == 1:
        none, nothing = bands[:, 0, 0, 0, 0, 0], bands[:, 0, 0]
        turned, lines = torch.complex(bands, bands), bands[:, :, 0, 0]
        turned_weight = turned[:, :, :, 0, 0, 0]
        return LatticeSums(
            none, none, turned[:, 0, 0], nothing[:, 0], none, lines, lines[..., 0, 0], turned, turned_weight
        )
    content = (variance - means.square().mean((4, 5))).mean(1, keepdim=True).clamp_min(0)
    weight = 1 / (content / GRAY_LEVEL + 1)
    weighted = means * (weight / (ph * pw))[..., None, None]
    turns = [
        _turns(count, p, start, whole, dtype, images.device)
        for count, p, start, whole in zip(weight.shape[2:], period, origin, size or images.shape[2:], strict=True)
    ]
    # what is linear is added up before it is transformed
    by_line = [torch.fft.fft2(weighted.sum(other).to(dtype)) for other in (3, 2)]
    along = [_line_squares(weighted, weight, axis) for axis in (3, 2)]
    return LatticeSums(
        weight.sum((1, 2, 3)).to(dtype),
        weight.square().sum((1, 2, 3)).to(dtype),
        by_line[0].sum(2),
        _summed_power(weighted, (2, 3)).mean(1).to(dtype),
        (variance * weight).sum((2, 3)).mean(1).to(dtype),
        torch.stack([squares for squares, _ in along], 1).to(dtype),
        torch.stack([squares for _, squares in along], 1).to(dtype),
        torch.stack([torch.einsum("kw,ncwij->nkcij", t, line) for t, line in zip(turns, by_line, strict=True)], 1),
        torch.stack([weight[:, 0].sum(2 - axis).to(turns[axis]) @ turns[axis].T for axis in (0, 1)], 1),
    )


def _summed_power(phases: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Power at each frequency of real `(..., ph, pw)` phase means, added up over `dims`."""
    width = phases.shape[-1]
    spectra = torch.view_as_real(torch.fft.rfft2(phases))
    half = spectra.square_().sum(dims).sum(-1)
    mirrored = half[..., 1 : (width + 1) // 2].flip(-1)  # of column j at column -j, where rows are mirrored, too
    mirrored = torch.cat([mirrored[..., :1, :], mirrored[..., 1:, :].flip(-2)], -2)
    return torch.cat([half, mirrored], -1)


def _line_squares(weighted: Tensor, weight: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Squares `(N, ph, pw)` of the spectra, and `(N,)` of the weights, added up along an axis in segments."""
    spectra = [_summed_power(part.sum(axis), (2,)).mean(1) for part in weighted.split(SEGMENT, axis)]
    weights = [part.sum(axis).square_().sum((1, 2)) for part in weight.split(SEGMENT, axis)]
    return sum(spectra[1:], spectra[0]), sum(weights[1:], weights[0])


def _turns(count: int, period: int, start: int, whole: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Unit phasors `(bands, windows)` that turn by `CYCLES` over the whole image; 0 where it has too few windows."""
    window = window_size(period)
    windows = (whole - 2 * (period - 1)) // window
    index = torch.arange(count, dtype=dtype, device=device) + start // window + 0.5
    phase = 2 * math.pi * torch.tensor(CYCLES, dtype=dtype, device=device)[:, None] * index / max(1, windows)
    return torch.polar(torch.full_like(phase, float(windows > 2 * max(CYCLES))), phase)


def window_size(period: int) -> int:
    """Pixels per window side."""
    return math.ceil(WINDOW / period) * period


def phase_means(images: Tensor, period: tuple[int, int]) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Phase means `(N, C, WH, WW, ph, pw)` of each window's high-pass, its variance `(N, C, WH, WW)`, and its size."""
    if images.shape[1] > 1:  # one channel at a time: their temporaries fit the cache
        each = [phase_means(channel, period) for channel in images.split(1, 1)]
        return torch.cat([means for means, _, _ in each], 1), torch.cat([var for _, var, _ in each], 1), each[0][2]
    (ph, pw), (n, c, height, width) = period, images.shape
    wh, ww = window_size(ph), window_size(pw)
    rows, columns = (height - 2 * (ph - 1)) // wh, (width - 2 * (pw - 1)) // ww
    if rows < 1 or columns < 1:
        return images.new_zeros(n, c, 0, 0, ph, pw), images.new_zeros(n, c, 0, 0), (wh, ww)
    detail = _high_pass(images[..., : rows * wh + 2 * (ph - 1), : columns * ww + 2 * (pw - 1)], period)
    # rows are added first: adding long rows is what a CPU does best
    variance = detail.square().view(n, c, rows, wh, -1).sum(3).view(n, c, rows, columns, ww).sum(4) / (wh * ww)
    folded = detail.view(n, c, rows, wh // ph, ph, -1).sum(3).view(n, c, rows, ph, columns, ww // pw, pw)
    first, *others = folded.unbind(5)
    means = sum(others, first).transpose(3, 4) / (wh // ph * (ww // pw))
    return means - means.mean((4, 5), keepdim=True), variance, (wh, ww)


def _high_pass(images: Tensor, period: tuple[int, int]) -> Tensor:
    """The images minus their triangle-filtered selves, without the border the filter cannot reach.

    A triangle of length 2p-1 passes ramps and nulls every lattice frequency of p, so the grid stays whole.
    """
    (ph, pw), (height, width) = period, images.shape[-2:]
    smooth = images
    for axis, p in ((2, ph), (3, pw)):
        smooth = running_sum(running_sum(smooth, p, axis), p, axis)
    return images[..., ph - 1 : height - ph + 1, pw - 1 : width - pw + 1] - smooth / (ph * pw) ** 2


def running_sum(images: Tensor, length: int, axis: int) -> Tensor:
    """Sums of `length` neighbours along an axis, doubling the length with each addition."""
    if length == 1:
        return images
    half = running_sum(images, length // 2, axis)
    size = images.shape[axis] - length + 1
    total = half.narrow(axis, 0, size) + half.narrow(axis, length // 2, size)
    return total if length % 2 == 0 else total + images.narrow(axis, length - 1, size)
