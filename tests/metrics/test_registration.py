"""Displacement of feature stacks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.registration import phase_cross_correlation
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.metrics.registration import displacement


def moved(x: Tensor, dy: float, dx: float) -> Tensor:
    """Displaced content, by scipy's splines."""
    planes = [ndimage.shift(plane, (dy, dx), order=5, mode="reflect") for plane in x.flatten(0, 1).numpy()]
    return torch.from_numpy(np.stack(planes)).view(x.shape)


@pytest.fixture(scope="session")
def features(photo, tensor):
    """Four channels of a photo: as it is, blurred, and two derivatives."""
    image = tensor(photo("astronaut", 160, 20, 150)).mean(1, keepdim=True)
    slope = image.diff(dim=3, prepend=image[..., :1])
    return torch.cat([image, F.avg_pool2d(image, 3, 1, 1), slope, slope.abs()], 1)


@settings(max_examples=15, deadline=None)
@given(dy=st.floats(-3, 3), dx=st.floats(-3, 3))
def test_any_displacement_is_found_within_a_twentieth_of_a_pixel(features, dy, dx):
    found = displacement(moved(features, dy, dx)[..., 8:-8, 8:-8], features[..., 8:-8, 8:-8])
    assert found.shift == pytest.approx((dy, dx), abs=0.05)
    assert found.coherence > 0.95


def test_it_agrees_with_scikit_images_upsampled_phase_correlation(features):
    a, b = moved(features, 0.7, -1.4)[..., 8:-8, 8:-8], features[..., 8:-8, 8:-8]
    window = np.outer(np.hanning(144), np.hanning(144))
    reference, _, _ = phase_cross_correlation(
        b[0, 0].numpy() * window, a[0, 0].numpy() * window, upsample_factor=50, normalization=None
    )
    assert displacement(a, b).shift == pytest.approx(tuple(-reference), abs=0.15)


def test_contrast_sign_offset_and_sharpness_of_channels_do_not_matter(features):
    a = F.avg_pool2d(moved(features, 0.5, -0.25), 3, 1, 1) * torch.tensor([3, 0.01, 1, 100.0])[:, None, None] + 7
    assert displacement(a[..., 8:-8, 8:-8], features[..., 8:-8, 8:-8]).shift == pytest.approx((0.5, -0.25), abs=0.05)


def test_autocast_does_not_reach_the_measurement(features):
    a, b = moved(features, 0.5, -0.25)[..., 8:-8, 8:-8], features[..., 8:-8, 8:-8]
    expected = displacement(a, b)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert displacement(a, b) == expected


def test_swapping_the_two_turns_the_displacement_round(features):
    a, b = moved(features, 1.5, 0.5)[..., 8:-8, 8:-8], features[..., 8:-8, 8:-8]
    assert displacement(b, a).shift == pytest.approx(tuple(-v for v in displacement(a, b).shift), abs=0.02)


def test_a_checkerboard_in_one_of_them_does_not_matter(features):
    board = (torch.arange(160)[:, None] + torch.arange(160)) % 2 * 0.5
    a = moved(features, 0.5, 0.5) + board
    assert displacement(a[..., 8:-8, 8:-8], features[..., 8:-8, 8:-8]).shift == pytest.approx((0.5, 0.5), abs=0.05)


def test_identical_features_are_not_displaced_at_all(features):
    found = displacement(features, features)
    assert found.shift == (0, 0)
    assert found.error == pytest.approx((0, 0), abs=1e-4)
    assert found.coherence == pytest.approx(1, abs=1e-4)


def test_a_batch_is_measured_together(features):
    both = torch.cat([features, features.flip(3)])
    found = displacement(moved(both, 0, 0.5)[..., 8:-8, 8:-8], both[..., 8:-8, 8:-8])
    assert found.shift == pytest.approx((0, 0.5), abs=0.05)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_read_the_same(features, dtype):
    a, b = moved(features, 0.5, 1)[..., 8:-8, 8:-8].to(dtype), features[..., 8:-8, 8:-8].to(dtype)
    assert displacement(a, b).shift == pytest.approx((0.5, 1), abs=0.05)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 1, 31, 200), (2, 3, 5, 7)])
def test_too_small_features_cannot_be_told(shape):
    x = torch.rand(shape)
    assert displacement(x, x) is None


def test_flat_or_incoherent_features_cannot_be_told(features):
    assert displacement(torch.ones(1, 4, 160, 160), features) is None
    assert displacement(torch.ones(1, 4, 160, 160), torch.zeros(1, 4, 160, 160)) is None
    assert displacement(torch.rand(1, 4, 160, 160), torch.rand(1, 4, 160, 160)) is None


def test_the_standard_error_grows_with_noise(features):
    noise = features.std() * torch.randn(features.shape, generator=torch.Generator().manual_seed(1))
    clean, rough = (displacement(moved(x, 0.5, 0), features) for x in (features, features + 0.5 * noise))
    assert max(rough.error) > 2 * max(clean.error)
    assert rough.shift == pytest.approx((0.5, 0), abs=max(0.05, 4 * max(rough.error)))


def test_the_standard_error_is_as_large_as_what_noise_displaces():
    texture = F.avg_pool2d(torch.rand(1, 4, 100, 100), 3, 1)
    off, errors = [], []
    for _ in range(12):
        first, second = (
            x + 0.1 * torch.randn(1, 4, 96, 96) for x in (texture[..., 1:97, 1:97], texture[..., :96, :96])
        )
        found = displacement(first, second)
        off += [shift + 1 for shift in found.shift]
        errors += found.error
    assert 0.6 < np.sqrt(np.mean(np.square(errors)) / np.mean(np.square(off))) < 1.6


def test_different_shapes_nan_and_complex_features_are_refused(features):
    with pytest.raises(InputError, match=r"one shape, got \(1, 4, 160, 160\) and \(1, 3, 160, 160\)"):
        displacement(features, features[:, :3])
    with pytest.raises(InputError, match="NaN"):
        displacement(torch.full((1, 1, 40, 40), float("nan")), torch.ones(1, 1, 40, 40))
    with pytest.raises(InputError, match="complex"):
        displacement(features + 0j, features)
    with pytest.raises(InputError, match=r"\(N, C, H, W\)"):
        displacement(features[0], features[0])
