"""What every public metric promises about its arguments and its result, whatever it measures."""

from __future__ import annotations

import inspect
import itertools
import math
import re
from functools import cache

import numpy as np
import pytest
import torch

import artifactlab.metrics as metrics
from artifactlab.errors import ArtifactLabError, InputError
from artifactlab.metrics.inputs import LARGEST_PERIOD

RECORDS = ["SpectralImages"]
"""what is returned, and is no function"""
NAMES = sorted(set(metrics.__all__) - set(RECORDS))
MAPS = ["checkerboard_map", "edge_jaggedness_map", "remove_spectral_images", "spectral_images_map"]
SPECTRA = {"gradient_direction_histogram": 36, "lattice_spectrum": 2}
FACTORS = {"replication_factor": 2}
"""two per image, vertical and horizontal; they have no reduction, and 1 is what they read where there is nothing"""
READINGS = {"spectral_images": 4}
"""several per image, without a reduction"""
SCORES = [name for name in NAMES if name not in (*MAPS, *SPECTRA, *FACTORS, *READINGS)]
ANY_AXES = [
    "checkerboard_energy",
    "checkerboard_map",
    "lattice_amplitude",
    "remove_spectral_images",
    "spectral_images",
    "spectral_images_map",
]
"""that take signals and volumes, too"""
PLANES = ["axis_excess"]
"""that take volumes, but no signals"""
TINY = [(1, 1), (1, 50), (50, 1), (2, 2), (5, 7), (3, 200), (17, 17), (31, 33)]


def nothing(name):
    """What the metric reads where there is nothing to measure."""
    return 1.0 if name in FACTORS else 0.0


@cache
def having(parameter):
    return [name for name in NAMES if parameter in inspect.signature(getattr(metrics, name)).parameters]


def test_all_lists_every_public_function_once():
    kinds = [*SCORES, *MAPS, *SPECTRA, *FACTORS, *READINGS, *RECORDS]
    assert sorted(kinds) == sorted(metrics.__all__)
    assert len(set(kinds)) == len(kinds) == 14
    assert all(callable(getattr(metrics, name)) and getattr(metrics, name).__doc__ for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_specimen_of_these_tests_moves_every_metric_on_every_image(name, specimen, call):
    arguments = {"reduction": "none"} if "reduction" in inspect.signature(getattr(metrics, name)).parameters else {}
    result = call(name, specimen, **arguments)
    assert len(result) == 2
    assert bool((result.flatten(1) if result.ndim > 1 else result[:, None]).gt(nothing(name)).any(1).all())


# Arguments


WRONG = [
    (np.zeros((1, 1, 8, 8)), "ndarray"),
    (None, "NoneType"),
    ([[1.0]], "list"),
    (torch.zeros(8, 8), "(8, 8)"),
    (torch.zeros(()), "()"),
    (torch.zeros(1, 1, 8, 8, dtype=torch.complex64), "complex64"),
    (torch.zeros(0, 3, 8, 8), "(0, 3, 8, 8)"),
    (torch.zeros(1, 0, 8, 8), "(1, 0, 8, 8)"),
    (torch.zeros(1, 3, 8, 0), "(1, 3, 8, 0)"),
]
NO_IMAGES = [(torch.zeros(3, 8, 8), "(3, 8, 8)"), (torch.zeros(1, 1, 1, 8, 8), "(1, 1, 1, 8, 8)")]
"""a signal, and a volume"""


@pytest.mark.parametrize("name", NAMES)
def test_anything_but_a_filled_real_nchw_tensor_is_refused_and_named(name, call):
    others = [] if name in ANY_AXES else NO_IMAGES[:1] if name in PLANES else NO_IMAGES
    for x, named in WRONG + others:
        with pytest.raises(InputError, match=re.escape(named)):
            call(name, x)


@pytest.mark.parametrize("name", NAMES)
def test_a_single_nan_or_infinite_pixel_is_refused(name, call):
    for value, dtype in itertools.product((math.nan, math.inf, -math.inf), (torch.float32, torch.float64)):
        x = torch.zeros(2, 3, 40, 40, dtype=dtype)
        x[1, 2, 39, 0] = value
        with pytest.raises(InputError, match=r"\(2, 3, 40, 40\).*NaN.*Inf"):
            call(name, x)


@pytest.mark.parametrize("name", NAMES)
def test_values_so_large_that_float32_overflows_are_refused_not_turned_into_nan(name, call):
    """No measure may answer a finite image with NaN; a data range that fits makes the same image usable."""
    x = 1e20 * torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match=r"\(1, 1, 40, 40\)"):
        call(name, x)
    assert bool(torch.isfinite(call(name, x, data_range=1e20)).all())


@pytest.mark.parametrize("name", NAMES)
def test_a_data_range_that_is_no_positive_number_is_refused_and_named(name, call):
    for value in (0, -1.0, math.nan, math.inf, "255", None, torch.ones(2), (0, 1)):
        with pytest.raises(InputError, match="data_range") as caught:
            call(name, torch.zeros(1, 1, 8, 8), data_range=value)
        assert repr(value) in str(caught.value)


@pytest.mark.parametrize("name", having("reduction"))
def test_an_unknown_reduction_is_refused_and_named_beside_the_known_ones(name, call):
    for value in ("max", "", "MEAN", None, 0, ["mean"]):
        with pytest.raises(InputError, match="mean, sum, none") as caught:
            call(name, torch.zeros(1, 1, 8, 8), reduction=value)
        assert repr(value) in str(caught.value)


@pytest.mark.parametrize("name", having("bins"))
@pytest.mark.parametrize("value", [0, 1, 3, 35, -2, 36.0, "36", None, True])
def test_bins_that_are_no_even_integer_are_refused_and_named(name, value, call):
    with pytest.raises(InputError, match="bins must be an even integer") as caught:
        call(name, torch.zeros(1, 1, 8, 8), bins=value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("name", having("period"))
def test_a_period_that_is_no_positive_integer_or_pair_is_refused_and_named(name, call):
    wrong = [0, -1, 2.0, "2", True, (2,), (2, 3, 4), (2, 0), (2, 2.5), (2, None), LARGEST_PERIOD + 1]
    if inspect.signature(getattr(metrics, name)).parameters["period"].default is not None:
        wrong.append(None)  # for the others: to be looked for
    for value in wrong:
        with pytest.raises(InputError, match=r"period must be a positive integer up to .*, or 2 of them") as caught:
            call(name, torch.zeros(1, 1, 8, 8), period=value)
        assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", [(), (1,), (2, 1), (2, 0), (2, 2.5), (2, None), (True,), ((2, 3),), 2, None])
def test_periods_that_are_no_integers_of_at_least_two_are_refused_and_named(value):
    with pytest.raises(InputError, match="period") as caught:
        metrics.lattice_spectrum(torch.zeros(1, 1, 8, 8), value)
    named = [repr(value)] + ([repr(part) for part in value] if isinstance(value, tuple) else [])
    assert any(part in str(caught.value) for part in named)


def test_input_errors_can_be_caught_as_the_packages_own_and_as_value_errors():
    for kind in (ArtifactLabError, ValueError):
        with pytest.raises(kind):
            metrics.axis_excess(torch.zeros(3, 3))


@pytest.mark.parametrize("name", NAMES)
def test_options_after_the_subject_are_keyword_only(name):
    parameters = inspect.signature(getattr(metrics, name)).parameters
    assert parameters["data_range"].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["data_range"].default == 1.0
    if "reduction" in parameters:
        assert parameters["reduction"].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters["reduction"].default == ("none" if name in SPECTRA else "mean")


# Results


@pytest.mark.parametrize("name", NAMES)
def test_images_of_any_size_give_finite_numbers(name, call):
    for size in TINY:
        result = call(name, torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)))
        assert bool(torch.isfinite(result).all()), size
        assert result.min() >= 0, size


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_image_of_any_size_reads_nothing(name, call):
    """Up to the rounding of float32, which grows with the brightness."""
    for size, value in itertools.product([(1, 1), (1, 50), (50, 1), (5, 7), (40, 40)], (0.0, -5.0, 200.0)):
        result = call(name, torch.full((2, 3, *size), value))
        assert bool(torch.isfinite(result).all())
        assert float((result - nothing(name)).abs().max()) <= 1e-6 * max(1, abs(value))


@pytest.mark.parametrize("name", NAMES)
def test_a_single_pixel_reads_nothing(name, call):
    result = call(name, torch.rand(1, 3, 1, 1, generator=torch.Generator().manual_seed(0)))
    assert bool(result.eq(nothing(name)).all())


@pytest.mark.parametrize("name", SCORES)
def test_scores_have_one_number_per_image_and_reduce_by_mean_or_sum(name, specimen, call):
    each = call(name, specimen, reduction="none")
    assert each.shape == (2,)
    torch.testing.assert_close(call(name, specimen, reduction="mean"), each.mean())
    torch.testing.assert_close(call(name, specimen, reduction="sum"), each.sum())
    torch.testing.assert_close(call(name, specimen), each.mean())


@pytest.mark.parametrize(("name", "entries"), SPECTRA.items())
def test_spectra_have_one_row_per_image_and_reduce_over_the_batch_only(name, entries, specimen, call):
    each = call(name, specimen)
    assert each.shape == (2, entries)
    torch.testing.assert_close(call(name, specimen, reduction="none"), each)
    torch.testing.assert_close(call(name, specimen, reduction="mean"), each.mean(0))
    torch.testing.assert_close(call(name, specimen, reduction="sum"), each.sum(0))


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("size", [(72, 72), (64, 71), (1, 5)], ids=str)
def test_maps_have_one_plane_of_the_images_size(name, size, specimen, call):
    assert call(name, specimen[..., : size[0], : size[1]]).shape == (2, 1, *size)
