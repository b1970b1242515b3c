"""Checkerboards, and the grids of upsamplers with uneven phases: how strong, of which period, and where.

What keeps step with the pixel lattice is found in `lattice`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.metrics.inputs import as_images, as_pair, reduce
from artifactlab.metrics.lattice import LatticeSums, lattice_sums, phase_means, without_drift

QUANTISATION = (1 / 255) ** 2 / 12
"""variance of 8-bit rounding: a grid far below it is not called a grid, however flat the image"""


def checkerboard_energy(
    x: Tensor, period: int | tuple[int, int] = 2, *, data_range: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """Share of an image's fine structure that is locked to a lattice of the given period.

    0 for content that does not keep step with the pixel lattice (photos, noise, texture), 1 for a flat image that
    carries nothing but a grid. Regular texture keeps step, too, where its own spacing is the period to within a cycle
    over the image, and so does a smooth slope replicated in blocks, which is a sawtooth. The fine structure is what a
    (2p-1)-pixel triangle filter leaves over; the variance of 8-bit rounding is added to it, so that invisible grids on
    flat images do not count.

    Args:
        x: `(N, C, H, W)` images or activations; channels are pooled.
        period: lattice spacing in pixels, one number or (vertical, horizontal); 1 means no lattice in that direction.
        data_range: distance between the darkest and the brightest possible value.
        reduction: "mean", "sum" or "none" over the batch.

    Returns:
        A share in [0, 1]; 0 where the image holds fewer than two windows (see `WINDOW` in `lattice`).

    Raises:
        InputError: if `x` is no finite `(N, C, H, W)` tensor or an argument is out of range.

    Source: phase-locked (synchronous) averaging over windows; the artifact is described in A. Odena, V. Dumoulin,
    C. Olah, "Deconvolution and checkerboard artifacts", Distill 2016.

    >>> import torch
    >>> y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    >>> board = 0.5 + 0.02 * (-1.0) ** (x + y)[None, None]
    >>> bool(checkerboard_energy(board, 2) > 0.99)
    True
    """
    images = as_images(x, data_range, reduction)
    return reduce(locked_share(lattice_sums(images, as_pair(period, "period"))).to(images), reduction)


def lattice_amplitude(
    x: Tensor, period: int | tuple[int, int] = 2, *, data_range: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """Root-mean-square amplitude of the grid of the given period, as a fraction of the data range.

    Use it to say how strong a grid is: 1/255 is the least an 8-bit image can show everywhere. It is measured where the
    content is quiet, and averaged over there: a grid on half of a flat image reads as half or a little less, on a third
    as a third to a fifth. `checkerboard_energy` says how much of the fine structure it makes up.

    Args:
        x, period, data_range, reduction: as for `checkerboard_energy`.

    Returns:
        A fraction of the data range, at least 0.

    Raises:
        InputError: as `checkerboard_energy`.

    >>> import torch
    >>> y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    >>> board = 0.5 + 0.02 * (-1.0) ** (x + y)[None, None]
    >>> round(float(lattice_amplitude(board, 2)), 4)
    0.02
    """
    images = as_images(x, data_range, reduction)
    return reduce(locked_amplitude(lattice_sums(images, as_pair(period, "period"))).to(images), reduction)


def lattice_spectrum(
    x: Tensor, periods: tuple[int, ...] = (2, 3, 4, 8), *, data_range: float = 1.0, reduction: str = "none"
) -> Tensor:
    """Power locked to each period's own lattice frequencies, those it does not share with its divisors.

    A period-2 grid also repeats every 4 pixels. Here it counts for 2 only, so the largest entry names the period.

    Args:
        x: `(N, C, H, W)` images or activations; channels are pooled.
        periods: lattice spacings in pixels, each at least 2.
        data_range: distance between the darkest and the brightest possible value.
        reduction: "none" for `(N, len(periods))`; "mean" or "sum" over the batch for `(len(periods),)`.

    Returns:
        Power in squared data ranges, at least 0.

    Raises:
        InputError: if a period is below 2, or as `checkerboard_energy`.

    >>> import torch
    >>> stripes = torch.tensor([0.5, 0.6, 0.5, 0.5]).repeat(16).expand(1, 1, 64, 64)
    >>> periods = (2, 4, 8)
    >>> periods[int(lattice_spectrum(stripes, periods).argmax())]
    4
    """
    images = as_images(x, data_range, reduction)
    whole = isinstance(periods, (tuple, list)) and all(isinstance(p, int) and p >= 2 for p in periods)
    if not whole or not periods:
        raise InputError(f"periods must be a tuple of integers of at least 2, got {periods!r}")
    powers = []
    for period in periods:
        statistics = without_drift(lattice_sums(images, (period, period)))
        powers.append(statistics.significant(_own_frequencies(period, images)).to(images))
    return reduce(torch.stack(powers, 1), reduction)


def checkerboard_map(x: Tensor, period: int | tuple[int, int] = 2, *, data_range: float = 1.0) -> Tensor:
    """Where the grid is: local rms amplitude of the period's phase pattern, as a fraction of the data range.

    Unlike `lattice_amplitude` it looks at each window alone, so texture of the same spacing shows as well.

    Args:
        x, period, data_range: as for `checkerboard_energy`.

    Returns:
        `(N, 1, H, W)`, the rms over channels.

    Raises:
        InputError: as `checkerboard_energy`.

    >>> import torch
    >>> checkerboard_map(torch.zeros(1, 3, 32, 32), 2).shape
    torch.Size([1, 1, 32, 32])
    """
    images = as_images(x, data_range)
    ph, pw = as_pair(period, "period")
    height, width = images.shape[2:]
    means, _, (wh, ww) = phase_means(images, (ph, pw))
    if means.numel() == 0:
        return images.new_zeros(images.shape[0], 1, height, width)
    amplitude = means.square().mean((4, 5)).mean(1, keepdim=True).sqrt()
    inside = amplitude.repeat_interleave(wh, 2).repeat_interleave(ww, 3)
    bottom, right = height - inside.shape[2] - (ph - 1), width - inside.shape[3] - (pw - 1)
    return F.pad(inside, (pw - 1, right, ph - 1, bottom), mode="replicate")


def locked_share(sums: LatticeSums) -> Tensor:
    """`checkerboard_energy` (N,) of sums over windows."""
    statistics = without_drift(sums)
    return (statistics.significant() / (statistics.residual + QUANTISATION)).clamp(0, 1)


def locked_amplitude(sums: LatticeSums) -> Tensor:
    """`lattice_amplitude` (N,) of sums over windows."""
    return without_drift(sums).significant().sqrt()


def _own_frequencies(period: int, like: Tensor) -> Tensor:
    """Mask of the frequencies (i/p, j/p) that no proper divisor of p has."""
    i = torch.arange(period, device=like.device)
    common = torch.gcd(torch.gcd(i[:, None], i[None, :]), torch.full_like(i[:, None], period))
    return (common == 1).to(like.dtype)
