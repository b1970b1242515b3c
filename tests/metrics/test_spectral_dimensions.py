"""The same measurement of signals, volumes and video: tones and steps along one axis, lattices of some axes alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from artifactlab.metrics import remove_spectral_images, spectral_images, spectral_images_map

PERIODS = [2, 3, 4, 8]


def sawtooth(period):
    return math.sqrt((period**2 - 1) / 12)


def signal(size=4096, seed=0):
    """A wandering tone over smooth noise."""
    t = np.arange(size)
    smooth = ndimage.gaussian_filter1d(np.random.default_rng(seed).normal(size=size), 8)
    return 0.5 + 0.15 * smooth / smooth.std() + 0.2 * np.sin(2 * np.pi * t / 97.3) + 0.1 * np.sin(2 * np.pi * t / 31.7)


def volume(shape=(40, 48, 48), seed=0, sigma=2.0):
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return 0.5 + 0.15 * smooth / smooth.std()


def clip(frames=24):
    """A photo-like picture that moves by .7 pixels from frame to frame."""
    picture = volume((64, 96), 3)
    return np.stack([ndimage.shift(picture, (0, 0.7 * t), order=3, mode="grid-wrap") for t in range(frames)])


def batch(*arrays):
    return torch.from_numpy(np.stack(arrays))[:, None]


# Signals


@pytest.mark.parametrize("period", PERIODS)
def test_a_signal_held_for_some_samples_is_displaced_by_the_sawtooth(period):
    held = np.repeat(signal()[: 4096 // period * period].reshape(-1, period).mean(1), period)
    found = spectral_images(batch(held))
    assert int(found.period) == period
    assert float(found.warp) == pytest.approx(sawtooth(period), rel=0.08)
    assert float(found.grid) < 1 / 255


@pytest.mark.parametrize("period", [2, 3, 4, 5, 8, 12, 16])
def test_a_tone_of_the_lattices_period_reads_its_rms(period):
    """`hum`, the sound of a transposed convolution."""
    tone = 0.01 * math.sqrt(2 if period > 2 else 1) * np.cos(2 * np.pi * np.arange(4096) / period)
    found = spectral_images(batch(signal() + tone))
    assert int(found.period) == period
    assert float(found.grid) == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("spacing", [2.37, 3.37, 7.7, 11.1])
def test_a_tone_of_no_whole_number_of_samples_is_no_lattice(spacing):
    found = spectral_images(batch(signal() + 0.05 * np.sin(2 * np.pi * np.arange(4096) / spacing)))
    assert int(found.period) == 0


def test_a_clean_signal_reads_nothing_and_is_told_and_a_short_one_is_not():
    found = spectral_images(batch(signal(), signal(seed=1)))
    assert found.period.tolist() == [0, 0]
    assert found.told.tolist() == [True, True]
    assert not bool(spectral_images(batch(signal(30))).told)


def test_a_held_signal_is_repaired_and_shown():
    held = batch(np.repeat(signal()[::4], 4))
    assert float(spectral_images(remove_spectral_images(held, 4), 4).explained) < 0.2 * float(
        spectral_images(held, 4).explained
    )
    half = held.clone()
    half[..., 2048:] = torch.from_numpy(signal()[2048:])
    shown = spectral_images_map(half, 4).warp
    assert shown.shape == half.shape
    assert float(shown[..., :2000].mean()) > 5 * float(shown[..., 2100:].mean())


# Volumes


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("period", [2, 4])
def test_steps_along_one_axis_of_a_volume_are_found_on_that_axis_alone(axis, period):
    content = volume((48, 48, 48), axis, sigma=2.5)
    held = np.repeat(np.take(content, range(0, 48, period), axis), period, axis)
    lattice = tuple(period if a == axis else 1 for a in range(3))
    found = spectral_images(batch(held), lattice)
    assert int(found.period) == period
    assert float(found.warp) == pytest.approx(sawtooth(period), rel=0.1)
    other = tuple(1 if a == axis else period for a in range(3))
    assert float(spectral_images(batch(held), other).warp) < 0.05


@pytest.mark.parametrize("period", [2, 4])
def test_a_volume_replicated_along_all_axes_reads_the_sawtooth_and_names_the_period(period):
    small = volume((48 // period,) * 3, sigma=1.2)
    found = spectral_images(batch(np.kron(small, np.ones((period,) * 3))))
    assert int(found.period) == period
    assert float(found.warp) == pytest.approx(sawtooth(period), rel=0.1)


@pytest.mark.parametrize("lattice", [(2, 1, 1), (1, 2, 2), (2, 2, 2), (1, 1, 4), (3, 1, 2)], ids=str)
def test_a_grid_of_a_volume_reads_its_rms(lattice, pattern, tiled):
    marked = volume() + tiled(pattern(lattice, 0.01, 1), 40, 48, 48)
    found = spectral_images(batch(marked), lattice)
    assert float(found.grid) == pytest.approx(0.01, rel=0.05)
    assert int(found.period) == math.lcm(*lattice)


@pytest.mark.parametrize("sigma", [0.0, 1.0, 2.0])
def test_volumes_of_noise_are_not_accused(sigma):
    """Also at the borders, which are a tenth of them."""
    noise = batch(*(volume((40, 40, 40), seed, sigma) for seed in range(8)))
    assert int((spectral_images(noise, 2).period > 0).sum()) <= 1


# Video


def test_a_clip_whose_frames_are_shown_twice_has_steps_in_time():
    frames = np.repeat(clip()[::2], 2, 0)
    found = spectral_images(batch(frames), (2, 1, 1))
    assert int(found.period) == 2
    assert float(found.warp) == pytest.approx(sawtooth(2), rel=0.1)
    assert float(spectral_images(batch(clip()), (2, 1, 1)).explained) < 0.5 / 255


def test_a_clip_whose_every_other_frame_is_brighter_flickers():
    frames = clip()
    frames[::2] += 0.01
    found = spectral_images(batch(frames), (2, 1, 1))
    assert int(found.period) == 2
    assert float(found.grid) == pytest.approx(0.005, rel=0.05)
    assert float(spectral_images(batch(frames), (1, 2, 2)).grid) == 0


def test_of_a_volume_of_one_slice_nothing_is_told():
    marked = volume((64, 64), 5, 1.5) + 0.02 * (np.indices((64, 64)).sum(0) % 2)
    found = spectral_images(batch(marked[None]), (1, 2, 2))
    assert (int(found.period), bool(found.told)) in [(0, False), (2, True)]
