"""What a reading must not depend on: flips, transposes, brightness, units, the batch, copies of a channel; and what it
is proportional to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from artifactlab.metrics import spectral_images
from artifactlab.metrics.period_reading import read
from artifactlab.metrics.spectral_sums import spectral_sums

MEASURED = ("grid", "modulation", "warp", "explained")
SIDE = 96
"""whole blocks of periods 2, 4 and 8 fill it, so that nothing is left over at one end"""


@pytest.fixture(scope="module")
def specimen(pattern, tiled):
    """`specimen(seed, period)`: smooth content, replicated, with a random grid; `(1, 1, 96, 96)` in float64."""

    def make(seed, period, side=SIDE):
        small = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(side // period,) * 2), 1.5)
        steps = np.kron(0.5 + 0.2 * small / small.std(), np.ones((period, period)))
        return torch.from_numpy(steps + tiled(pattern((period,) * 2, 0.02, seed), *steps.shape))[None, None]

    return make


def powers(x, period):
    reading = read(spectral_sums(x, (period, period), period))
    return torch.stack([value for name, value in reading.power._asdict().items() if name in MEASURED])


def assert_same(got, expected, rel=1e-6, but=()):
    assert got.period.tolist() == expected.period.tolist()
    assert got.told.tolist() == expected.told.tolist()
    for name in MEASURED:
        if name not in but:
            torch.testing.assert_close(getattr(got, name), getattr(expected, name), rtol=rel, atol=1e-9, msg=name)
            error = f"{name}_error"
            torch.testing.assert_close(getattr(got, error), getattr(expected, error), rtol=rel, atol=1e-9, msg=error)


@settings(max_examples=4, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), period=st.sampled_from([2, 4, 8]))
def test_flips_and_turns_leave_every_reading_as_it_is(seed, period, specimen, symmetries):
    x = specimen(seed, period)
    upright = spectral_images(x, period)
    assert float(upright.grid) > 0.01
    for turn in symmetries.values():
        assert_same(spectral_images(turn(x), period), upright)


@pytest.mark.parametrize("size", [101, 127, 150])
def test_at_other_sizes_flips_and_turns_hardly_matter(size, photo, tensor, symmetries):
    image = np.kron(photo("coffee", 64, 100, 200), np.ones((3, 3, 1)))[:size, :size]
    upright = spectral_images(tensor(image), 3)
    for turn in symmetries.values():
        assert float(spectral_images(turn(tensor(image)), 3).warp) == pytest.approx(float(upright.warp), rel=0.02)


@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), scale=st.floats(0.01, 300.0), offset=st.floats(-3.0, 3.0), negative=st.booleans())
def test_brightness_contrast_and_units_do_not_matter_when_the_data_range_follows(
    seed, scale, offset, negative, specimen
):
    x = specimen(seed, 4)
    moved = scale * (offset - x if negative else offset + x)
    assert_same(spectral_images(moved, 4, data_range=scale), spectral_images(x, 4))


@settings(max_examples=5, deadline=None, derandomize=True)
@given(seeds=st.lists(st.integers(0, 2**31), min_size=2, max_size=4), period=st.sampled_from([2, 3, 4]))
def test_a_batch_reads_like_its_images_one_by_one(seeds, period, specimen):
    images = [specimen(seed, period) for seed in seeds] + [torch.rand(1, 1, SIDE, SIDE).double()]
    batch = spectral_images(torch.cat(images), period)
    alone = [spectral_images(image, period) for image in images]
    for name in batch._fields:
        expected = torch.cat([getattr(one, name) for one in alone])
        torch.testing.assert_close(getattr(batch, name), expected, rtol=1e-6, atol=1e-9, msg=name)


def test_a_batch_of_unlike_images_finds_the_period_of_each(specimen, photo, tensor):
    clean = tensor(photo("camera", SIDE, 180, 200), torch.float64)
    batch = torch.cat([specimen(0, 2), clean, specimen(1, 3), specimen(2, 8)])
    found = spectral_images(batch)
    assert found.period.tolist() == [2, 0, 3, 8]
    for index, image in enumerate(batch):
        alone = spectral_images(image[None])
        for name in ("period", "grid", "warp"):
            assert float(getattr(found, name)[index]) == pytest.approx(float(getattr(alone, name)), rel=1e-6), name


@pytest.mark.parametrize("copies", [2, 3, 8])
@pytest.mark.parametrize("period", [2, 4])
def test_copies_of_a_channel_read_like_one(copies, period, specimen):
    """Only the rounding that is assumed of every channel is averaged."""
    x = specimen(5, period)
    assert_same(spectral_images(x.expand(-1, copies, -1, -1), period), spectral_images(x, period), rel=1e-3)


def test_the_order_of_the_channels_does_not_matter(photo, nearest, tensor):
    x = tensor(nearest(photo("coffee", SIDE, 60, 150), 4), torch.float64)
    assert_same(spectral_images(x[:, [2, 0, 1]], 4), spectral_images(x, 4))


@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), height=st.floats(0.002, 0.02), period=st.sampled_from([2, 3, 4, 8]))
def test_the_grid_doubles_when_the_grid_does(seed, height, period, pattern, tiled):
    """On an image whose content the blocks' weights feel more than the grid."""
    content = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(SIDE, SIDE)), 3)
    content = 0.5 + 0.2 * content / content.std() + np.random.default_rng(seed).normal(0, 0.01, (SIDE, SIDE))
    grid = tiled(pattern((period, period), height, seed), SIDE, SIDE)
    single, double = (float(powers(torch.from_numpy(content + n * grid)[None, None], period)[0]) for n in (1, 2))
    error = float(read(spectral_sums(torch.from_numpy(content)[None, None], (period,) * 2, period)).error.grid)
    assert double == pytest.approx(4 * single, rel=0.05, abs=6 * error + 6 * (error * max(single, 0)) ** 0.5)


@pytest.mark.parametrize("period", [2, 3, 4])
def test_stair_steps_half_as_strong_displace_half_as_far(period, photo, nearest, tensor):
    """An image in the middle of its replica and the smooth one it was made from: linear in the steps."""
    steps = nearest(photo("coffee", 192, 60, 150)[..., 1], period)
    smooth = ndimage.zoom(steps[::period, ::period], period, order=3, mode="grid-mirror", grid_mode=True)
    half = spectral_images(tensor((steps + smooth) / 2, torch.float64), period)
    whole = spectral_images(tensor(steps, torch.float64), period)
    none = spectral_images(tensor(smooth, torch.float64), period)
    assert float(none.warp) < 0.1 * float(whole.warp)
    assert float(half.warp) == pytest.approx((float(whole.warp) + float(none.warp)) / 2, rel=0.1)
