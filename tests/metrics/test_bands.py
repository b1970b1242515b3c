"""The triangle below a lattice's images, slopes and blocks, against sums written out sample by sample."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from artifactlab.metrics.bands import baseband, blocks, folded, running_sum, slope, spread_over

SHAPES = [(40,), (24, 33), (16, 18, 20)]


def at(line, place):
    """The sample at a place of a line that is mirrored about its first and last sample."""
    place = abs(place)
    return line[place] if place < len(line) else line[2 * (len(line) - 1) - place]


def under_a_triangle(line, period):
    """Weights period - |offset|, which add up to the period's square."""
    if len(line) < 4 * period:
        return line
    reach = range(1 - period, period)
    return np.array([sum((period - abs(d)) * at(line, x + d) for d in reach) / period**2 for x in range(len(line))])


def slow_baseband(values, periods):
    for axis, period in enumerate(periods):
        values = np.apply_along_axis(under_a_triangle, axis, values, period)
    return values


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("period", [2, 3, 4, 5, 8])
def test_the_baseband_is_what_a_triangle_of_two_periods_leaves_along_each_axis_of_four_periods(shape, period):
    values = np.random.default_rng(period).normal(size=shape)
    got = baseband(torch.from_numpy(values)[None, None], period)[0, 0].numpy()
    np.testing.assert_allclose(got, slow_baseband(values, (period,) * len(shape)), rtol=0, atol=1e-12)


def test_an_axis_that_was_averaged_before_needs_a_shorter_triangle():
    values = np.random.default_rng(0).normal(size=(40, 36))
    got = baseband(torch.from_numpy(values)[None, None], 8, [1, 4])[0, 0].numpy()
    np.testing.assert_allclose(got, slow_baseband(values, (8, 2)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("period", [2, 3, 4, 8])
def test_no_grid_of_the_period_passes_inside_the_border_and_a_ramp_does_whole(period, pattern, tiled):
    grid = torch.from_numpy(tiled(pattern((period, period)), 48, 48))[None, None]
    ramp = torch.arange(48.0, dtype=torch.float64).expand(1, 1, 48, 48)
    inner = (..., slice(period, -period), slice(period, -period))
    assert float(baseband(grid, period)[inner].abs().max()) < 1e-12
    torch.testing.assert_close(baseband(ramp, period)[inner], ramp[inner])


@settings(max_examples=20, deadline=None, derandomize=True)
@given(length=st.integers(1, 17), size=st.integers(17, 40), seed=st.integers(0, 2**31))
def test_a_running_sum_is_the_sum_of_each_run(length, size, seed):
    line = np.random.default_rng(seed).normal(size=size)
    expected = [sum(line[start : start + length]) for start in range(size - length + 1)]
    got = running_sum(torch.from_numpy(line)[None, None], length, 2)[0, 0]
    np.testing.assert_allclose(got.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_slope_is_half_the_difference_of_both_neighbours_and_none_at_the_ends(shape):
    values = np.random.default_rng(0).normal(size=shape)
    for axis in range(len(shape)):
        expected = np.zeros(shape)
        for place in np.ndindex(*shape):
            if 0 < place[axis] < shape[axis] - 1:
                step = np.eye(len(shape), dtype=int)[axis]
                expected[place] = (values[tuple(place + step)] - values[tuple(place - step)]) / 2
        got = slope(torch.from_numpy(values)[None, None], axis + 2)[0, 0].numpy()
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("shape", "sides", "folds"), [((23,), (6,), (3,)), ((17, 20), (8, 6), (4, 2))], ids=str)
def test_folding_adds_up_all_samples_of_a_phase_in_each_block_and_leaves_the_rest_out(shape, sides, folds):
    values = np.random.default_rng(0).normal(size=shape)
    counts = [size // side for size, side in zip(shape, sides, strict=True)]
    expected = np.zeros((*counts, *folds))
    for place in np.ndindex(*(count * side for count, side in zip(counts, sides, strict=True))):
        block = tuple(x // side for x, side in zip(place, sides, strict=True))
        expected[(*block, *(x % fold for x, fold in zip(place, folds, strict=True)))] += values[place]
    got = folded(blocks(torch.from_numpy(values)[None, None], sides), folds)[0, 0]
    np.testing.assert_allclose(got.numpy(), expected, rtol=0, atol=1e-12)


def test_what_blocks_are_worth_is_spread_over_them_and_the_last_one_continues():
    values = torch.arange(6.0).view(1, 1, 2, 3)
    image = spread_over(values, (4, 5), (11, 17))
    assert image.shape == (1, 1, 11, 17)
    for row in range(11):
        for column in range(17):
            assert image[0, 0, row, column] == values[0, 0, min(row // 4, 1), min(math.floor(column / 5), 2)]
