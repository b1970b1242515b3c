"""Signals as pictures: tones are lines at their frequencies, and the waveform is where it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from artifactlab.report.slices import Rectangle
from artifactlab.report.tracks import BAND, COLUMNS, ROWS, Track, signal_spectrum, tones


def tone(frequency: float, samples: int = 4096) -> Tensor:
    return torch.sin(2 * math.pi * frequency * torch.arange(samples))[None]


@pytest.mark.parametrize("frequency", [0.0625, 0.125, 0.3, 0.45])
def test_a_tone_is_a_bright_row_of_the_spectrogram_the_higher_the_further_up(frequency: float) -> None:
    signal = tone(frequency)
    shades = Track((4096,)).close_up(signal, signal)
    height = shades.shape[0] - 1
    bright = int(shades.mean(1).argmax())
    assert (height - bright) / height * 0.5 == pytest.approx(frequency, abs=0.5 / height)
    assert shades.shape[1] <= COLUMNS + 1
    assert shades[bright].min() > 0.95


def test_two_spectrograms_are_told_apart_by_loudness_of_one_of_them() -> None:
    loud, quiet = tone(0.1), 0.01 * tone(0.1)
    track = Track((4096,))
    assert track.close_up(quiet, loud).max() == pytest.approx(0.5, abs=0.03), "40 of 80 dB below"
    assert track.close_up(loud, loud).max() == 1.0
    assert track.close_up(torch.zeros(1, 4096), loud).max() == 0.0


def test_silence_and_a_few_samples_have_pictures_too() -> None:
    for samples in (1, 2, 5, 100):
        track, silence = Track((samples,)), torch.zeros(2, samples)
        for picture in (track.close_up(silence, silence), track.ground(silence), track.change(silence[0])):
            assert np.isfinite(picture).all()
            assert picture.size


def test_the_waveform_is_inked_between_its_least_and_its_most_in_every_column() -> None:
    signal = torch.zeros(1, 2048)
    signal[0, 1000:1100] = 1.0
    picture = Track((2048,)).ground(signal)
    assert picture.shape == (ROWS + BAND, COLUMNS)
    inked = picture < 1
    assert np.flatnonzero(inked[0]).tolist() == list(range(250, 275)), "the top is where it is 1"
    assert inked[ROWS - 1].sum() == COLUMNS - 25, "and the bottom where it is 0"
    assert not inked[ROWS:].any(), "below is room for changes"


def test_a_change_is_below_the_waveform_where_it_is_in_time() -> None:
    change = torch.zeros(2048)
    change[500] = 0.25
    drawn = Track((2048,)).change(change)
    assert np.argwhere(drawn).tolist() == [[ROWS + row, 125] for row in range(BAND)]
    assert drawn.max() == 0.25
    assert Track((2048,)).frames((1024,), (512,)) == [Rectangle(256, 0, 128, ROWS + BAND)]


@pytest.mark.parametrize("period", [2, 3, 8])
def test_a_lattice_has_peaks_at_its_tones_and_nowhere_else(period: int) -> None:
    pulses = (torch.arange(6000) % period == 0).float()[None]
    below = signal_spectrum(pulses, period)
    places = np.linspace(0, 0.5, len(below))
    peaks = [float(place) for place, power in zip(places, below, strict=True) if power > -20]
    for peak in peaks:
        assert min(abs(peak - frequency) for frequency in tones(period)) < 0.002
    for frequency in tones(period):
        assert min(abs(peak - frequency) for peak in peaks) < 0.002
