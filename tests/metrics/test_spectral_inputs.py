"""Whatever goes in, numbers come out: constants, single samples, half precision, offsets; and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from artifactlab.errors import ArtifactLabError, InputError
from artifactlab.metrics import SpectralImages, remove_spectral_images, spectral_images, spectral_images_map
from artifactlab.metrics.inputs import LARGEST_PERIOD
from artifactlab.metrics.spectral_search import PERIODS, measurable_periods
from artifactlab.metrics.spectral_sums import periods_of

SHAPES = [(1,), (2,), (50,), (1, 1), (1, 50), (50, 1), (3, 7), (33, 40), (1, 1, 1), (4, 1, 40), (18, 17, 16)]


def assert_finite(found: SpectralImages, items: int = 1) -> None:
    assert found.period.dtype == torch.long
    assert found.told.dtype == torch.bool
    for name, value in found._asdict().items():
        assert value.shape == (items,), name
        assert bool(torch.isfinite(value).all()), name
        assert bool((value >= 0).all()), name


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("period", [None, 4])
def test_signals_images_and_volumes_of_any_size_give_finite_numbers(shape, period):
    generator = torch.Generator().manual_seed(0)
    for x in (torch.rand(2, 1, *shape, generator=generator), torch.ones(2, 1, *shape) / 3):
        assert_finite(spectral_images(x, period), 2)
        cleaned = remove_spectral_images(x, period)
        assert cleaned.shape == x.shape
        assert bool(torch.isfinite(cleaned).all())
        for shown in spectral_images_map(x, period):
            assert shown.shape == (2, 1, *shape)
            assert bool(torch.isfinite(shown).all())


@pytest.mark.parametrize("value", [0.0, 0.3, -200.0, 9e5])
@pytest.mark.parametrize("period", [None, 3])
def test_constants_have_no_lattice_whatever_their_value(value, period):
    """Up to what float32 can hold; their rounding is no lattice either."""
    x = torch.full((1, 1, 64, 64), value)
    found = spectral_images(x, period)
    assert_finite(found)
    assert int(found.period) == 0
    assert torch.equal(remove_spectral_images(x, period), x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.uint8, torch.bool], ids=str)
def test_constants_of_any_type_have_no_lattice(dtype):
    x = torch.full((1, 1, 64, 64), 0.7).to(dtype)
    assert int(spectral_images(x).period) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("factor", [2, 4])
def test_half_precision_reads_within_two_percent(dtype, factor, photo, nearest, pattern, tiled, tensor):
    image = nearest(photo("coffee", 192, 60, 150), factor)
    marked = tensor(image + tiled(pattern((factor, factor), 0.02, 1), 192, 192)[..., None])
    exact, rounded = spectral_images(marked, factor), spectral_images(marked.to(dtype), factor)
    assert int(rounded.period) == factor
    for form in ("grid", "warp", "explained"):
        assert float(getattr(rounded, form)) == pytest.approx(float(getattr(exact, form)), rel=0.02), form
        assert getattr(rounded, form).dtype == torch.float32


def test_float64_is_kept_and_agrees_with_float32(photo, nearest, tensor):
    image = nearest(photo("coffee", 128, 60, 150), 4)
    single, double = spectral_images(tensor(image), 4), spectral_images(tensor(image, torch.float64), 4)
    assert double.warp.dtype == torch.float64
    assert float(single.warp) == pytest.approx(float(double.warp), rel=1e-4)


@pytest.mark.parametrize("offset", [10.0, 1000.0])
def test_a_bright_image_reads_like_a_dark_one_as_far_as_float32_goes(offset, photo, nearest, tensor):
    x = tensor(nearest(photo("coffee", 128, 60, 150), 4))
    assert float(spectral_images(x + offset, 4).warp) == pytest.approx(float(spectral_images(x, 4).warp), rel=0.03)
    far = spectral_images(x + 9e5, 4)
    assert_finite(far)


def test_autocast_does_not_reach_the_search(photo, nearest, tensor):
    x = tensor(nearest(photo("coffee", 64, 60, 150), 4))
    plain = spectral_images(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for value, expected in zip(spectral_images(x), plain, strict=True):
            assert torch.equal(value, expected)


def test_gradients_end_at_the_public_measurement():
    x = torch.rand(1, 1, 64, 64, requires_grad=True)
    assert not any(value.requires_grad for value in spectral_images(x, 2))


@pytest.mark.parametrize("sizes", [(15,), (16, 200), (40, 40), (64, 200), (127, 128), (128, 4096)], ids=str)
def test_periods_of_which_eight_fit_are_looked_for(sizes):
    expected = tuple(p for p in range(2, 17) if all(8 * p <= size for size in sizes))
    assert measurable_periods(sizes) == expected
    assert PERIODS[0] == 2


@pytest.mark.parametrize("lattice", [(1, 1), (2,), (2, 3), (4, 4), (8, 1, 6), (12,)], ids=str)
def test_a_lattice_contains_the_periods_after_which_one_of_its_waves_repeats(lattice):
    """Brute force: a wave k / spacing along each axis comes back after as many steps as make it whole."""
    repeats = set()
    for k in np.ndindex(*lattice):
        steps = [i / n for i, n in zip(k, lattice, strict=True)]
        repeats.add(next(n for n in range(1, 1000) if all(abs(n * s - round(n * s)) < 1e-9 for s in steps)))
    assert periods_of(lattice) == tuple(sorted(repeats - {1}))


# What is refused


@pytest.mark.parametrize("function", [spectral_images, remove_spectral_images, spectral_images_map])
@pytest.mark.parametrize(
    ("x", "named"),
    [
        (np.zeros((1, 1, 8, 8)), "ndarray"),
        (None, "NoneType"),
        (torch.zeros(8, 8), "(8, 8)"),
        (torch.zeros(1, 1, 1, 1, 8, 8), "(1, 1, 1, 1, 8, 8)"),
        (torch.zeros(1, 1, 8, 8, dtype=torch.complex64), "complex64"),
        (torch.zeros(0, 3, 8, 8), "(0, 3, 8, 8)"),
        (torch.zeros(1, 3, 8, 0), "(1, 3, 8, 0)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_anything_but_filled_signals_images_or_volumes_is_refused_and_the_shapes_are_said(function, x, named):
    with pytest.raises(InputError, match=re.escape(named)) as caught:
        function(x)
    if "0" not in named or "8, 8)" in named[:7]:
        assert "(N, C, L), (N, C, H, W) or (N, C, D, H, W)" in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2e6])
def test_values_that_are_not_finite_or_far_out_of_range_are_refused(value):
    x = torch.zeros(1, 1, 40, 40)
    x[..., 3, 4] = value
    with pytest.raises(InputError, match="NaN, Inf or values beyond"):
        spectral_images(x)


@pytest.mark.parametrize(
    ("period", "axes", "wanted"), [(0, 2, "2 of them"), ((2, 2), 1, "1 of them"), ((2, 3), 3, "3 of them")]
)
def test_a_period_that_does_not_fit_the_axes_is_answered_with_what_to_type(period, axes, wanted):
    with pytest.raises(InputError, match=f"up to {LARGEST_PERIOD}, or {wanted}, one per axis") as caught:
        spectral_images(torch.zeros(1, 1, *(40,) * axes), period)
    assert repr(period) in str(caught.value)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), "255", None])
def test_a_data_range_that_is_no_positive_number_is_answered_with_examples(value):
    with pytest.raises(InputError, match=r"data_range must be a positive number \(1.0, 255, ...\)"):
        spectral_images(torch.zeros(1, 1, 40, 40), data_range=value)


def test_errors_are_the_packages_own_and_value_errors():
    for kind in (ArtifactLabError, ValueError):
        with pytest.raises(kind):
            spectral_images(torch.zeros(3, 3))
