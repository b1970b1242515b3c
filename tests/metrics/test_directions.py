"""Direction histogram and divergence, against numpy and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.distance import jensenshannon

from artifactlab.errors import InputError
from artifactlab.metrics import direction_divergence, gradient_direction_histogram


def slow_histogram(image, bins, derive):
    """numpy's histogram of scipy's gradient directions over all channels of an (H, W, C) image."""
    angles, weights = [], []
    for channel in np.moveaxis(np.atleast_3d(image), 2, 0):
        gy, gx = derive(channel, 0.7)
        power = gx**2 + gy**2
        angles.append(np.degrees(np.arctan2(gy, gx)).ravel())
        weights.append(np.where(np.sqrt(power) > 0.02, power, 0).ravel())
    width = 180 / bins
    shifted = (np.concatenate(angles) + width / 2) % 180
    counts, _ = np.histogram(shifted, bins=bins, range=(0, 180), weights=np.concatenate(weights))
    return counts / counts.sum() if counts.sum() else counts


def ramp(degrees, size=40, slope=0.05):
    rows, columns = np.indices((size, size), dtype=np.float64)
    angle = math.radians(degrees)
    return slope * (columns * math.cos(angle) + rows * math.sin(angle))


# The direction histogram


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**31),
    shape=st.tuples(st.integers(2, 20), st.integers(2, 20), st.sampled_from([1, 3])),
    bins=st.sampled_from([2, 4, 36, 90]),
)
def test_histogram_is_numpys(seed, shape, bins, reference_gradient, tensor):
    image = np.random.default_rng(seed).uniform(size=shape)
    got = gradient_direction_histogram(tensor(image, torch.float64), bins)[0].numpy()
    np.testing.assert_allclose(got, slow_histogram(image, bins, reference_gradient), atol=1e-5)


def test_histogram_is_numpys_on_a_photo(photo, reference_gradient, tensor):
    image = photo("coffee", 128, 100, 200)
    got = gradient_direction_histogram(tensor(image, torch.float64))[0].numpy()
    np.testing.assert_allclose(got, slow_histogram(image, 36, reference_gradient), atol=1e-4)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(k=st.integers(0, 35), within=st.floats(-0.4, 0.4))
def test_bin_k_is_centred_on_k_times_180_over_bins(k, within, tensor):
    histogram = gradient_direction_histogram(tensor(ramp((k + within) * 5, size=120)))[0]
    assert int(histogram.argmax()) == k
    assert histogram[k] > 0.85  # the rest lies in the replicated border


def test_opposite_gradients_are_one_direction(tensor):
    rising = tensor(ramp(30))
    torch.testing.assert_close(
        gradient_direction_histogram(-rising), gradient_direction_histogram(rising), rtol=0, atol=1e-6
    )


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), size=st.integers(1, 24))
def test_shares_are_never_negative_and_sum_to_one_or_zero(seed, size):
    x = torch.from_numpy(np.random.default_rng(seed).uniform(size=(3, 2, size, size)))
    histogram = gradient_direction_histogram(x)
    assert histogram.shape == (3, 36)
    assert histogram.min() >= 0
    sums = histogram.sum(1)
    assert bool(((sums - 1).abs().lt(1e-6) | sums.eq(0)).all())


def test_gradients_too_weak_to_have_a_direction_are_not_counted(tensor):
    columns = np.tile(np.arange(40.0), (40, 1))
    assert gradient_direction_histogram(tensor(0.019 * columns)).sum() == 0
    assert gradient_direction_histogram(tensor(0.021 * columns)).sum() == pytest.approx(1)


def test_flips_and_turns_permute_the_bins_and_nothing_else(photo, tensor, symmetries):
    x = tensor(photo("coffee", 128, 100, 200))
    upright = gradient_direction_histogram(x)
    k = torch.arange(36)
    came_from = {
        "left-right": -k,
        "upside-down": -k,
        "half turn": k,
        "transpose": 18 - k,
        "anti-transpose": 18 - k,
        "quarter turn": k + 18,
        "three quarters": k + 18,
    }
    for name, turn in symmetries.items():
        torch.testing.assert_close(
            gradient_direction_histogram(turn(x)), upright[:, came_from[name] % 36], rtol=0, atol=1e-5, msg=name
        )


# Divergence


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), bins=st.sampled_from([4, 36]), blur=st.floats(0.0, 1.0))
def test_divergence_is_scipys_jensen_shannon_squared(seed, bins, blur, tensor):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(size=(16, 20)), ndimage.gaussian_filter(rng.uniform(size=(24, 18)), (blur, 0))
    p = gradient_direction_histogram(tensor(a, torch.float64), bins)[0].numpy()
    q = gradient_direction_histogram(tensor(b, torch.float64), bins)[0].numpy()
    got = float(direction_divergence(tensor(a, torch.float64), tensor(b, torch.float64), bins))
    assert got == pytest.approx(jensenshannon(p, q, base=2) ** 2, abs=1e-9)


def test_divergence_is_symmetric_and_zero_only_for_equal_directions(photo, nearest, tensor):
    sharp, stepped = (tensor(photo("coffee", 128, 100, 200)), tensor(nearest(photo("coffee", 128, 100, 200), 4)))
    assert float(direction_divergence(sharp, sharp)) == pytest.approx(0, abs=1e-6)
    there, back = float(direction_divergence(sharp, stepped)), float(direction_divergence(stepped, sharp))
    assert there == pytest.approx(back, abs=1e-6)
    assert 0.02 < there <= 1


def test_divergence_from_the_original_grows_with_the_nearest_scale(photo, nearest, tensor):
    image = photo()
    scores = [float(direction_divergence(tensor(nearest(image, s)), tensor(image))) for s in (2, 4, 8)]
    assert scores[0] < scores[1] < scores[2]


def test_perpendicular_gradients_have_no_direction_in_common(tensor):
    assert float(direction_divergence(tensor(ramp(0)), tensor(ramp(90)))) == pytest.approx(1)


def test_an_image_without_gradients_is_at_one_from_one_with_and_at_zero_from_another_without(tensor):
    flat, other, edge = tensor(np.full((20, 20), 0.3)), tensor(np.zeros((9, 30))), tensor(ramp(20))
    assert float(direction_divergence(flat, edge)) == 1
    assert float(direction_divergence(edge, flat)) == 1
    assert float(direction_divergence(flat, other)) == 0


def test_divergence_compares_any_sizes_but_only_equally_many_images():
    x = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    assert direction_divergence(x, x[..., :13, :9], reduction="none").shape == (2,)
    with pytest.raises(InputError, match=r"2 images and 1 references"):
        direction_divergence(x, x[:1])
    with pytest.raises(InputError, match=r"\(3, 20, 20\)"):
        direction_divergence(x, x[0])
