"""Signals as pictures: a spectrogram to look closely, the waveform to see where, a spectrum with a lattice's tones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from artifactlab.report.slices import Rectangle

FRAME = 512
"""Samples of a frame of the spectrogram, at most: at 24 kHz a row is 47 Hz, and syllables are apart."""
LEAST_FRAME = 64
"""Samples of a frame of a short signal; a lattice of period 8 has four frequencies in its 33 rows."""
COLUMNS = 512
"""Columns of a spectrogram or a waveform, at most: about as many as the page has pixels for it."""
ROWS = 96
"""Rows of a waveform."""
BAND = 16
"""Rows below it, where changes stand: over it they would hide it."""
LONG_FRAME = 2048
"""Samples of a frame of the spectrum, whose lines are to be narrow."""
DECIBELS = 80.0
"""Range of powers that are told apart; a tone so far below the loudest sound is heard in no pause."""
STEP = 2.0
"""Decibels that are told apart in pictures. Fewer shades make smaller files."""
INK = 0.35
"""Grey of a waveform on white: what is drawn over it stands out from both."""


@dataclass(frozen=True)
class Track:
    """A signal as pictures, with the methods of `artifactlab.report.slices.Slices`."""

    space: tuple[int]
    """Number of samples."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the waveform."""
        return ROWS + BAND, min(COLUMNS, self.space[0])

    def close_up(self, image: Tensor, like: Tensor) -> np.ndarray:
        """The spectrogram of a (C, L) signal, (frequencies, frames) in [0, 1], 1 for the loudest of `like`."""
        loudest = float(_powers(like).max())
        below = 10 * np.log10(np.maximum(_powers(image).numpy() / max(loudest, 1e-30), 10 ** (-DECIBELS / 10)))
        shades: np.ndarray = 1 + np.round(below / STEP) * STEP / DECIBELS
        return shades[::-1].clip(0, 1)

    def ground(self, image: Tensor) -> np.ndarray:
        """The waveform of a (C, L) signal, grey on white, (H, W)."""
        values = image.float().cpu()
        low, high = float(values.min()), float(values.max())
        scaled = (values - low) / max(high - low, 1e-12) * (ROWS - 1)
        least, most = -_columns(-scaled.amin(0)), _columns(scaled.amax(0))
        heights = np.arange(ROWS)[::-1, None]
        inked = (heights >= np.floor(least)[None]) & (heights <= np.ceil(most)[None])
        return np.pad(np.where(inked, INK, 1.0), ((0, BAND), (0, 0)), constant_values=1.0)

    def change(self, change: Tensor) -> np.ndarray:
        """The largest change in each column, (H, W), in a band below the waveform."""
        changed = np.zeros(self.size, np.float32)
        changed[ROWS:] = _columns(change.float())
        return changed

    def frames(self, corner: Sequence[float], size: Sequence[float]) -> list[Rectangle]:
        """Where a stretch of the signal is."""
        scale = self.size[1] / self.space[0]
        return [Rectangle(corner[0] * scale, 0, size[0] * scale, ROWS + BAND)]


def signal_spectrum(signal: Tensor, period: int = 1) -> np.ndarray:
    """Mean power of a (C, L) signal at 0 to 0.5 cycles per sample, in decibels below the strongest frequency.

    Frames are multiples of the period, so that each of its tones is one point. See `power_spectrum` of images.
    """
    length = min(LONG_FRAME, signal.shape[-1])
    frame = length // period * period or length
    power = _frames(signal, frame, max(1, frame // 2)).mean(0)
    below: np.ndarray = 10 * (power / power.max().clamp_min(1e-30)).clamp_min(10 ** (-DECIBELS / 10)).log10().numpy()
    return below


def tones(period: int) -> list[float]:
    """Frequencies at which a lattice of this period shows, in cycles per sample.

    >>> tones(4)
    [0.25, 0.5]
    """
    return [k / period for k in range(1, period // 2 + 1)]


def _powers(signal: Tensor) -> Tensor:
    """(frequencies, frames) of a spectrogram."""
    length = signal.shape[-1]
    # as wide as it is high
    frame = 2 ** round(math.log2(max(1.0, math.sqrt(2 * length))))
    frame = min(FRAME, length, max(LEAST_FRAME, frame))
    return _frames(signal, frame, max(1, math.ceil((length - frame) / COLUMNS))).T


def _frames(signal: Tensor, frame: int, hop: int) -> Tensor:
    """(frames, frequencies): powers of windowed frames, averaged over channels."""
    parts = signal.float().cpu().unfold(-1, frame, hop)
    taper = torch.sin(math.pi * (torch.arange(frame) + 0.5) / frame).square()
    parts = (parts - parts.mean(-1, keepdim=True)) * taper / taper.sum()
    power: Tensor = torch.fft.rfft(parts).abs().square().mean(0)
    return power


def _columns(values: Tensor) -> np.ndarray:
    """The largest of (L,) values in each of at most `COLUMNS` columns."""
    columns = min(COLUMNS, len(values))
    largest: np.ndarray = torch.nn.functional.adaptive_max_pool1d(values[None, None], columns)[0, 0].numpy()
    return largest
