"""What hides a tone in a signal: the power of the signal itself beside a lattice's frequencies, and above its baseband.

A signal has no scale on which a tone of so much just shows: loud passages hide what silence does not. So a tone is
measured against the noise in the critical band around it, and copies of the content against all else in their band.
Each crop's powers are kept as sums, so that they can be pooled over any choice of crops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.block_spectra import own_frequencies
from artifactlab.metrics.synchronous import divisor, pooled_field

FRAME = 512
"""Samples of a frame, of which spectra are averaged, where the lattice does not take more: 20 to 30 ms of speech, in
which it hardly changes."""
SPACINGS = 4
"""Lattice spacings that a frame holds at least: its bins are then a quarter of 1 / period apart, and the one in the
middle between two frequencies of the lattice sees neither, as a Hann window is zero from two bins on."""
CRITICAL_BAND = 0.108
"""Width of the ear's filter as a part of the frequency it is centred on, far above 230 Hz: the equivalent rectangular
bandwidth of B. Glasberg, B. Moore, "Derivation of auditory filter shapes from notched-noise data", Hearing Research 47,
1990. So it is known without the sampling rate. Below, the ear's filters are wider, and hide more."""


class Surroundings(NamedTuple):
    """What N signals have around a period's own frequencies, as sums over their samples."""

    noise: Tensor
    """Power of the noise in the critical band around the frequency of each real component, (N, K)."""
    above: Tensor
    """Power, tones and all, of the bands in which copies of the content stand, (N,)."""
    samples: Tensor
    """How many samples that was, (N,)."""

    def pooled(self, counts: Tensor) -> Surroundings:
        """Sums over choices of the N signals, given as counts (R, N)."""
        return Surroundings(*(pooled_field(field, counts) for field in self))

    def per_sample(self) -> tuple[Tensor, Tensor]:
        """Noise (N, K) and power above (N,) of a sample."""
        samples = divisor(self.samples)
        return self.noise / samples[:, None], self.above / samples


def joined_surroundings(parts: Sequence[Surroundings]) -> Surroundings:
    """Those of several choices of signals, one behind the other."""
    return Surroundings(*(torch.cat(fields) for fields in zip(*parts, strict=True)))


def surroundings(signals: Tensor, lattice: int, periods: Sequence[int]) -> dict[int, Surroundings]:
    """Those of (N, C, L) signals at each period that a lattice contains; channels are averaged."""
    density = _spectral_density(signals, lattice)
    return {period: _around(density, signals.shape[-1], lattice, period) for period in periods}


def _spectral_density(signals: Tensor, lattice: int) -> Tensor:
    """(N, C, frames, bins) power per cycle and sample, on either side of 0; lattice frequencies are bins."""
    side = SPACINGS * lattice * max(1, round(FRAME / (SPACINGS * lattice)))
    side = min(side, signals.shape[-1] // (SPACINGS * lattice) * SPACINGS * lattice)
    window = torch.hann_window(side, device=signals.device, dtype=signals.dtype)
    frames = signals.unfold(-1, side, side // 2)
    spectrum: Tensor = torch.fft.rfft(frames * window)
    return spectrum.abs().square() / window.square().sum()


def _around(density: Tensor, samples: int, lattice: int, period: int) -> Surroundings:
    """What is around one period's own frequencies."""
    indices, multiplicities = own_frequencies((period,), period)
    bins = density.shape[-1]
    at = torch.arange(bins, device=density.device) / (2 * (bins - 1))
    own = [min(k, period - k) / period for (k,) in indices]
    noise = [count * _noise(density, at, f, lattice) for f, count in zip(own, multiplicities, strict=True)]
    pairs = [one for one, count in zip(noise, multiplicities, strict=True) if count == 2]
    real = [one for one, count in zip(noise, multiplicities, strict=True) if count == 1]
    band = torch.stack([(at - f).abs() <= 1 / (2 * period) for f in own]).any(0)
    sides = torch.full_like(at, 2.0)  # of 0 and of half a cycle there is one side only
    sides[0] = sides[-1] = 1.0
    above = (density.mean((1, 2)) * band * sides).sum(-1) / (2 * (bins - 1))
    count = torch.full_like(above, samples)
    return Surroundings(torch.stack([*pairs, *pairs, *real], -1) * samples, above * samples, count)


def _noise(density: Tensor, at: Tensor, frequency: float, lattice: int) -> Tensor:
    """(N,) power in the critical band around a frequency, on one side of 0, as if there were no lines in it.

    The median over bins and frames hears neither the harmonics of a voice nor what lasts for a moment.
    """
    width = CRITICAL_BAND * frequency
    bin_width = float(at[1])
    off_lattice = (at * lattice - (at * lattice).round()).abs() / lattice > 1.5 * bin_width
    beside = off_lattice & ((at - frequency).abs() <= max(width, 1 / lattice))
    median = density[..., beside].flatten(2).median(-1).values
    return (median / math.log(2) * width).mean(1)  # the powers of noise have a mean of their median over log 2
