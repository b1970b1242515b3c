"""The power spectrum, and the frequencies at which a lattice shows in it: to look at, as phases are not in it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.metrics.inputs import as_images, as_pair, reduce

SIDE = 256
"""Most pixels per side of the pieces whose spectra are averaged: a picture of that size shows each frequency, and of
larger images it is smoother instead of finer."""


def power_spectrum(
    x: Tensor,
    period: int | tuple[int, int] = 1,
    *,
    side: int = SIDE,
    data_range: float = 1.0,
    reduction: str = "none",
) -> Tensor:
    """Power at every frequency, averaged over channels and overlapping pieces of the image; zero frequency centred.

    Use it to look at grids: one of period p is a set of points at multiples of 1/p cycles per pixel. Fine texture has
    power there, too; `checkerboard_energy` tells the two apart, a spectrum does not.

    Args:
        x: `(N, C, H, W)` images or activations.
        period: lattice spacing in pixels, one number or (vertical, horizontal). The pieces' sides are multiples of it,
            so that each of its frequencies is one point of the spectrum.
        side: pixels per side of the pieces, at most; shorter ones are coarser in frequency, and smoother.
        data_range: distance between the darkest and the brightest possible value.
        reduction: "none" for `(N, h, w)`; "mean" or "sum" over the batch for `(h, w)`.

    Returns:
        At `[..., h // 2 + i, w // 2 + j]` the power, in squared data ranges, at i/h and j/w cycles per pixel; h and w
        are at most `side`. A cosine of amplitude a has a^2 / 4 at either of its two points, and some beside them.

    Raises:
        InputError: if `x` is no finite `(N, C, H, W)` tensor, or smaller than the period.

    Source: P. Welch, "The use of fast Fourier transform for the estimation of power spectra", IEEE Trans. Audio
    Electroacoust. 15(2), 1967; Hann windows, overlapping by half.

    >>> import torch
    >>> stripes = torch.tensor([0.4, 0.6]).repeat(32).expand(1, 1, 64, 64)
    >>> power = power_spectrum(stripes, 2)[0]
    >>> divmod(int(power.argmax()), power.shape[1])
    (32, 0)
    """
    images = as_images(x, data_range, reduction)
    pair = as_pair(period, "period")
    sides = [min(side, length) // p * p for length, p in zip(images.shape[2:], pair, strict=True)]
    if min(sides) <= 0:
        size = f"{images.shape[2]}x{images.shape[3]}"
        raise InputError(f"a period of {pair} needs pieces that hold it; got images of {size} pixels and side={side}")
    pieces = images - images.mean((2, 3), keepdim=True)
    for axis, length in zip((2, 3), sides, strict=True):
        pieces = pieces.unfold(axis, length, max(1, length // 2))  # (N, C, rows, columns, h, w) after both
    taper = _hann(sides[0], images)[:, None] * _hann(sides[1], images)
    transform = torch.fft.fft2((pieces - pieces.mean((-2, -1), keepdim=True)) * taper / taper.sum())
    power = transform.abs().square().mean((1, 2, 3))
    return reduce(torch.fft.fftshift(power, (-2, -1)), reduction)


def lattice_frequencies(period: int | tuple[int, int]) -> list[tuple[float, float]]:
    """The (vertical, horizontal) frequencies in [-0.5, 0.5) at which a grid of this period shows, zero left out.

    >>> lattice_frequencies(2)
    [(-0.5, -0.5), (-0.5, 0.0), (0.0, -0.5)]
    """
    steps = [[(k - p // 2) / p for k in range(p)] for p in as_pair(period, "period")]
    return [(v, h) for v in steps[0] for h in steps[1] if (v, h) != (0, 0)]


def _hann(side: int, like: Tensor) -> Tensor:
    """A window without zeros, so that a side of one or two pixels has one, too."""
    return torch.sin(math.pi * (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / side).square()
