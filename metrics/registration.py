"""How far one stack of features lies from another, to a fraction of a pixel.

The phase of the cross-spectrum of two displaced copies is a ramp, and its slope is the displacement (Foroosh, Zerubia
and Berthod, "Extension of phase correlation to subpixel registration", 2002). It is fitted to the low frequencies of
many small windows and all channels together, where neither aliasing nor a lattice of period 2 or 3 reaches.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.metrics.gradients import separable
from artifactlab.metrics.inputs import as_images, product

WINDOW = 16
"""Pixels per side of a window; windows overlap by half. It holds three cycles of the highest frequency that is read."""
MAX_FREQUENCY = 0.2
"""Cycles per pixel up to which the phase is read: the 1/3 of a lattice of period 3, less the 1/8 that windows smear.
Features alias little there, too."""
MAX_DISPLACEMENT = 6
"""Whole pixels up to which a displacement is looked for. Paddings, crops and resizes displace by less."""
MIN_COHERENCE = 0.5
"""Correlation of the two stacks, once registered, below which they are not the same features: less than half of their
power is common to both."""
BLOCKS = 3
"""Blocks per side of the image, left out in turn for the standard error (jackknife). Nine of them tell it within a
quarter, and each still holds windows of its own in the smallest image."""
NEWTON_STEPS = 4
"""Steps of Newton's method, which starts within half a pixel and converges quadratically."""
ROUNDS = 4
"""Times that one stack is moved by what was found and the rest is looked for; each hides a smaller part of it."""
MIN_SIDE = 2 * WINDOW
"""Pixels per side below which there are too few windows: it holds three along each axis, one per block."""


class Displacement(NamedTuple):
    """How far `a` lies from `b`, (vertical, horizontal)."""

    shift: tuple[float, float]
    """Pixels, positive where `a` lies further down, or to the right."""
    error: tuple[float, float]
    """Standard error of `shift`, from what the parts of the image say."""
    coherence: float
    """Correlation of the two once they are registered, at the frequencies that were read, 0 to 1."""


def displacement(a: Tensor, b: Tensor) -> Displacement | None:
    """Displacement of the features `a` from `b`: `a[..., y, x]` is about `b[..., y - dy, x - dx]`.

    Channel by channel the two may differ in contrast and sharpness. Beyond 6 pixels nothing is found.

    Args:
        a, b: `(N, C, H, W)` of the same shape and any value range; channel k of `a` shows what channel k of `b` does.

    Returns:
        The displacement, or None where it cannot be told: flat or incoherent features, sides below 32 pixels.

    Raises:
        InputError: if the two are no real tensors of one shape `(N, C, H, W)`, or hold NaN or Inf.

    >>> import torch
    >>> features = torch.rand(1, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> displacement(features.roll((1, -2), (2, 3)), features).shift
    (1.0, -2.0)
    """
    first, second = _normalised(a), _normalised(b)
    if a.shape != b.shape:
        raise InputError(
            f"expected two stacks of one shape, got {tuple(a.shape)} and {tuple(b.shape)}; give both the same channels"
        )
    if min(a.shape[2:]) < MIN_SIDE:
        return None
    lag = _whole_pixels(first, second)
    if min(size - abs(k) for size, k in zip(a.shape[2:], lag, strict=True)) < MIN_SIDE:
        return None
    first, second = (_overlap(x, lag, sign) for x, sign in ((first, 1), (second, -1)))
    read = _frequencies(first)
    waves, rest = _waves(read), first.new_zeros(2)
    still = _spectra(first, waves)
    for _ in range(ROUNDS):  # a window hides some of a displacement, but none of no displacement
        cross, power = _block_sums(still, _spectra(_moved(second, rest), waves), read)
        total = cross.sum(0, keepdim=True)
        more = _slopes(total, read)[0]
        if float(power.sum()) <= 0 or bool(more.isnan().any()):
            return None
        rest = (rest + more).clamp(-1, 1)
    coherence = float(total.real.sum() / power.sum(0).prod().sqrt())
    left_out = _slopes(total - cross, read)
    if coherence < MIN_COHERENCE or bool(left_out.isnan().any()):
        return None
    error = ((len(left_out) - 1) * left_out.var(0, correction=0)).sqrt()
    dy, dx = (round(k + float(r), 4) + 0.0 for k, r in zip(lag, rest, strict=True))
    return Displacement((dy, dx), (float(error[0]), float(error[1])), min(1.0, coherence))


def _normalised(x: Tensor) -> Tensor:
    """Each channel less its mean, over its deviation; a flat one is zero."""
    size = float(x.detach().abs().max()) if isinstance(x, Tensor) and x.numel() and not x.is_complex() else 1.0
    images = as_images(x, size if math.isfinite(size) and size > 0 else 1.0)
    images = images - images.mean((0, 2, 3), keepdim=True)
    deviation = images.square().mean((0, 2, 3), keepdim=True).sqrt()
    return torch.where(deviation > 1e-5, images / deviation.clamp_min(1e-5), 0.0)


def _whole_pixels(a: Tensor, b: Tensor) -> tuple[int, int]:
    """The peak of the cross-correlation, in whole pixels, with the spectrum of natural content flattened."""
    height, width = a.shape[2:]
    taper = _hann(height, a)[:, None] * _hann(width, a)
    frequency = (
        torch.fft.fftfreq(height, device=a.device)[:, None].square()
        + torch.fft.rfftfreq(width, device=a.device).square()
    )
    weight = torch.where(frequency <= MAX_FREQUENCY**2, frequency, 0.0)
    spectra = [torch.fft.rfft2(x * taper) for x in (a, b)]
    correlation = torch.fft.irfft2((spectra[0] * spectra[1].conj()).sum((0, 1)) * weight, s=(height, width))
    reach = [min(MAX_DISPLACEMENT, size - MIN_SIDE) for size in (height, width)]
    near = correlation.roll(reach, (0, 1))[: 2 * reach[0] + 1, : 2 * reach[1] + 1]
    row, column = divmod(int(near.argmax()), near.shape[1])
    return row - reach[0], column - reach[1]


def _overlap(x: Tensor, lag: tuple[int, int], sign: int) -> Tensor:
    """The part of one stack that the other shows, too, when it is moved by the lag."""
    for axis, k in zip((2, 3), lag, strict=True):
        x = x.narrow(axis, max(0, sign * k), x.shape[axis] - abs(k))
    return x


def _moved(x: Tensor, shift: Tensor) -> Tensor:
    """The stack moved by up to a pixel, with Keys' cubic convolution (1981)."""
    kernels = []
    for s in shift.tolist():
        t = (torch.arange(-2, 3, dtype=x.dtype, device=x.device) + s).abs()
        near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
        kernels.append(torch.where(t <= 1, near, torch.where(t < 2, far, 0.0)))
    return separable(x, kernels[0], kernels[1])


def _hann(size: int, like: Tensor) -> Tensor:
    return torch.hann_window(size, periodic=False, dtype=like.dtype, device=like.device)


def _frequencies(like: Tensor) -> Tensor:
    """(2, F) vertical and horizontal cycles per pixel that are read: half of the low ones, the others mirror them."""
    steps = int(MAX_FREQUENCY * WINDOW)
    line = torch.arange(-steps, steps + 1, device=like.device, dtype=like.dtype) / WINDOW
    v, h = torch.meshgrid(line, line, indexing="ij")
    kept = ((h > 0) | ((h == 0) & (v > 0))) & (v**2 + h**2 <= MAX_FREQUENCY**2)
    return torch.stack([v[kept], h[kept]])


def _waves(frequencies: Tensor) -> Tensor:
    """(2F, pixels) cosines and sines of the frequencies (2, F) over a window, tapered at its borders."""
    t = torch.arange(WINDOW, dtype=frequencies.dtype, device=frequencies.device)
    taper = _hann(WINDOW, frequencies)[:, None] * _hann(WINDOW, frequencies)
    phase = -2 * math.pi * (frequencies[0, :, None, None] * t[:, None] + frequencies[1, :, None, None] * t)
    waves = torch.cat([phase.cos(), phase.sin()]) * taper
    waves = waves - waves.mean((1, 2), keepdim=True)  # blind to a window's mean
    return waves.flatten(1)


def _spectra(x: Tensor, waves: Tensor) -> Tensor:
    """Spectra (N, C, rows, columns, F) of the windows, at the frequencies of the waves."""
    windows = x.unfold(2, WINDOW, WINDOW // 2).unfold(3, WINDOW, WINDOW // 2)
    real, imaginary = product(windows.flatten(4), waves.T).chunk(2, -1)
    return torch.complex(real, imaginary)


def _block_sums(a: Tensor, b: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-spectra (blocks, F) of the windows in each block of the image, and the powers (blocks, 2) of both."""
    weight = frequencies.square().sum(0).sqrt()  # natural spectra fall with frequency
    rows, columns = a.shape[2:4]
    cross = (a * b.conj()).sum((0, 1)) * weight
    powers = [(s.abs().square() * weight).sum((0, 1, 4)) for s in (a, b)]
    row = torch.arange(rows, device=a.device) * BLOCKS // rows
    column = torch.arange(columns, device=a.device) * BLOCKS // columns
    block = (row[:, None] * BLOCKS + column).flatten()
    each = cross.flatten(0, 1), torch.stack(powers, -1).flatten(0, 1)
    sums, power = (part.new_zeros(BLOCKS**2, part.shape[1]).index_add(0, block, part) for part in each)
    return sums, power


def _slopes(cross: Tensor, frequencies: Tensor) -> Tensor:
    """The displacements (N, 2) whose ramps the phases (N, F) follow best, by Newton's method; NaN where they do not."""
    frequencies = 2 * math.pi * frequencies
    shift = cross.real.new_zeros(len(cross), 2)
    for _ in range(NEWTON_STEPS):
        ramp = (shift[:, :, None] * frequencies).sum(1)
        aligned = cross * torch.polar(torch.ones_like(ramp), ramp)
        slope = -(aligned.imag[:, None] * frequencies).sum(2)
        bend = product(aligned.real.clamp_min(0)[:, None] * frequencies, frequencies.T)  # never negative: it climbs
        size = bend.diagonal(dim1=1, dim2=2).mean(1)
        follows = (torch.linalg.det(bend) > 1e-6 * size.square()) & (size > 0)
        step = torch.linalg.solve_ex(bend, slope)[0].clamp(-0.5, 0.5)
        shift = torch.where(follows[:, None], shift + step, math.nan)
    return shift
