"""A vocoder of HiFi-GAN's shape, and the synthetic voices that it learns: mel spectrogram (N, 40, frames) -> 16 kHz.

Its strides are HiFi-GAN's, 8, 8, 2 and 2: one frame is 256 samples, 62.5 frames a second. The upsampler is the
transposed convolution of the paper (`deconv`, kernel twice the stride), or a resize and a convolution (`nearest`).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.signal import lfilter
from torch import Tensor, nn

RATE = 16_000
"""samples a second"""
STRIDES = (8, 8, 2, 2)
HOP = 256
"""samples a frame, the product of the strides"""
WIDTHS = (96, 48, 24, 12, 8)
MELS, WINDOW = 40, 1024
SLOPE = 0.1
"""of the leaky rectifiers, HiFi-GAN's"""
RESOLUTIONS = (256, 512, 1024, 2048)
"""windows of the loss's spectra; hops are a quarter of each"""
FORMANTS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""of the vowels in hod, heed, who'd, head and hawed, in Hz (Peterson and Barney, 1952)"""
BANDWIDTHS = (80, 100, 120)


class Resized(nn.Module):
    """The resize and the convolution that stand for a transposed one."""

    def __init__(self, inside: int, outside: int, stride: int, mode: str) -> None:
        super().__init__()
        self.stride, self.mode = stride, mode
        self.conv = nn.Conv1d(inside, outside, 2 * stride + 1, padding=stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=self.stride, mode=self.mode))


class Residual(nn.Module):
    """Dilated convolutions, each around a shortcut: HiFi-GAN's second kind of block."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        spread = [nn.Conv1d(width, width, kernel, padding=d * (kernel // 2), dilation=d) for d in (1, 3)]
        self.convs = nn.ModuleList(spread)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = x + conv(F.leaky_relu(x, SLOPE))
        return x


class Vocoder(nn.Module):
    """Mel spectrogram (N, 40, frames) to a waveform (N, 1, 256 * frames) in [-1, 1]."""

    def __init__(self, upsampler: str) -> None:
        super().__init__()
        self.conv_pre = nn.Conv1d(MELS, WIDTHS[0], 7, padding=3)
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(inside, outside, 2 * stride, stride, stride // 2)
            if upsampler == "deconv"
            else Resized(inside, outside, stride, upsampler)
            for inside, outside, stride in zip(WIDTHS, WIDTHS[1:], STRIDES, strict=False)
        )
        self.blocks = nn.ModuleList(nn.ModuleList(Residual(width, k) for k in (3, 7)) for width in WIDTHS[1:])
        self.conv_post = nn.Conv1d(WIDTHS[-1], 1, 7, padding=3)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.conv_pre(mel)
        for up, blocks in zip(self.ups, self.blocks, strict=True):
            x = up(F.leaky_relu(x, SLOPE))
            x = sum(block(x) for block in blocks) / len(blocks)
        return torch.tanh(self.conv_post(F.leaky_relu(x, SLOPE)))


def voice(rng: np.random.Generator, frames: int) -> Tensor:
    """Somebody who says vowels and hisses, (1, 1, 256 * frames): a pulse per period of the pitch, through formants."""
    samples = HOP * frames
    parts, length = [], 0
    while length < samples:
        count = int(rng.integers(RATE // 8, RATE // 3))
        parts.append(hiss(rng, count) if rng.random() < 0.2 else vowel(rng, count))
        length += count
    sound = np.concatenate(parts)[:samples]
    return torch.from_numpy(0.7 * sound / np.abs(sound).max()).float()[None, None]


def vowel(rng: np.random.Generator, count: int) -> np.ndarray:
    """Glottal pulses of a gliding pitch and a little breath through three formants, (count,)."""
    pitch = rng.uniform(90, 240) * np.linspace(1, rng.uniform(0.85, 1.15), count)
    phase = np.cumsum(pitch) / RATE + rng.random()
    pulses = np.diff(np.floor(phase), prepend=0.0).clip(0, 1)
    source = lfilter([1], [1, -0.95], pulses) + 0.02 * rng.standard_normal(count)
    for formant, bandwidth in zip(FORMANTS[int(rng.integers(len(FORMANTS)))], BANDWIDTHS, strict=True):
        radius = np.exp(-np.pi * bandwidth / RATE)
        poles = [1, -2 * radius * np.cos(2 * np.pi * formant * rng.uniform(0.95, 1.05) / RATE), radius**2]
        source = lfilter([sum(poles)], poles, source)
    return faded(source / np.abs(source).max() * rng.uniform(0.4, 1))


def hiss(rng: np.random.Generator, count: int) -> np.ndarray:
    """Noise that rises with frequency, as in an s, (count,)."""
    return faded(0.05 * rng.uniform(0.3, 1) * lfilter([1, -0.9], [1], rng.standard_normal(count)))


def faded(sound: np.ndarray) -> np.ndarray:
    """With 10 ms of fade at either end."""
    ramp = np.minimum(np.arange(len(sound)) / (0.01 * RATE), 1)
    return sound * ramp * ramp[::-1]


def spectrum(sound: Tensor, window: int, hop: int) -> Tensor:
    """Magnitudes (N, window / 2 + 1, frames) of signals (N, L)."""
    found = torch.stft(sound, window, hop, window=torch.hann_window(window), return_complex=True)
    return found.abs().clamp_min(1e-5)


def mel(sound: Tensor) -> Tensor:
    """Logarithms of the 40 mel bands of (N, 1, L), about between -1 and 1, as (N, 40, L / 256)."""
    bands = mel_filters() @ spectrum(sound[:, 0], WINDOW, HOP)[..., : sound.shape[-1] // HOP]
    return bands.clamp_min(1e-3).log() / 4


def mel_filters() -> Tensor:
    """Triangles, (40, bins), evenly spaced in mel."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, MELS + 2) / 2595) - 1)
    bins = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    rising, falling = (
        (bins - edges[:-2, None]) / np.diff(edges)[:-1, None],
        (edges[2:, None] - bins) / np.diff(edges)[1:, None],
    )
    return torch.from_numpy(np.minimum(rising, falling).clip(0)).float()


def spectral_loss(output: Tensor, target: Tensor) -> Tensor:
    """Spectral convergence and the distance of log magnitudes, at four resolutions (Yamamoto et al., 2020)."""
    total = torch.zeros(())
    for window in RESOLUTIONS:
        made, wanted = (spectrum(sound[:, 0], window, window // 4) for sound in (output, target))
        total = total + (made - wanted).norm() / wanted.norm() + (made.log() - wanted.log()).abs().mean()
    return total / len(RESOLUTIONS)


def pair(rng: np.random.Generator, frames: int = 32, count: int = 8) -> tuple[Tensor, Tensor]:
    """Mel spectrograms and the voices that they are of."""
    voices = torch.cat([voice(rng, frames) for _ in range(count)])
    return mel(voices), voices
