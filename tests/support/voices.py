"""Signals to plant tones in: a voice, made of glottal pulses through formants, with pauses and breath."""

from __future__ import annotations

import numpy as np
import torch
from scipy import signal
from torch import Tensor

RATE = 16_000
"""Samples per second."""


def voice(seed: int = 0, seconds: float = 1.0, breath: float = 0.003) -> Tensor:
    """(1, 1, L) of peak .4: a syllable each quarter of a second, with a pitch that glides; one in four is a pause."""
    rng = np.random.default_rng(seed)
    size, syllable = int(seconds * RATE), RATE // 4
    t = np.arange(size) / RATE
    pitch = 110 * 2 ** (rng.uniform(0, 1) + 0.15 * np.sin(2 * np.pi * rng.uniform(1, 3) * t))
    pulses = signal.lfilter([1], [1, -0.97], np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0))
    spoken = np.zeros(size)
    for start in range(0, size, syllable):
        part = slice(start, start + syllable)
        sound = pulses[part] + 0.02 * rng.standard_normal(len(pulses[part]))
        formants = [(rng.uniform(300, 800), 80), (rng.uniform(900, 2200), 100), (rng.uniform(2300, 3500), 150)]
        for frequency, width in formants:
            radius = np.exp(-np.pi * width / RATE)
            poles = [1, -2 * radius * np.cos(2 * np.pi * frequency / RATE), radius**2]
            sound = signal.lfilter([sum(poles)], poles, sound)
        if rng.uniform() > 0.25:
            spoken[part] = np.hanning(len(sound)) ** 0.5 * sound / np.abs(sound).max()
    samples = 0.4 * spoken / np.abs(spoken).max() + breath * rng.standard_normal(size)
    return torch.from_numpy(samples).float()[None, None]


def enlarged(samples: Tensor, by: int) -> Tensor:
    """As a good resampler does it: by a long windowed sinc."""
    return torch.from_numpy(signal.resample_poly(samples.double().numpy(), by, 1, axis=-1)).float()
