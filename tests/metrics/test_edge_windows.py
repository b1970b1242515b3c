"""What edges are found with: block means and runs against numpy, and choices of points."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from artifactlab.metrics.edges import EdgePoints, runs, shrink


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**31),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20)),
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
)
def test_shrink_is_the_mean_over_blocks_and_drops_what_fills_none(seed, shape, rows, columns):
    planes = np.random.default_rng(seed).normal(size=shape)
    height, width = shape[1] // rows, shape[2] // columns
    expected = np.zeros((shape[0], height, width))
    for i in range(height):
        for j in range(width):
            block = planes[:, i * rows : (i + 1) * rows, j * columns : (j + 1) * columns]
            expected[:, i, j] = block.mean((1, 2))
    got = shrink(torch.from_numpy(planes), rows, columns).numpy()
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    length=st.integers(1, 9),
    axis=st.sampled_from([0, 1]),
)
def test_runs_are_numpys_sliding_windows(shape, length, axis):
    """Each run that lies inside a plane, looked up by the index of its first pixel."""
    planes = np.arange(math.prod(shape), dtype=np.float64).reshape(shape)
    got = runs(torch.from_numpy(planes), length, axis).numpy()
    if shape[1 + axis if axis else 1] < length:
        assert got.shape[1] == length
        return
    expected = sliding_window_view(planes, length, axis=2 if axis == 1 else 1)
    first = expected[..., 0].astype(int)  # pixels are numbered
    np.testing.assert_array_equal(got[first], expected)


def test_runs_take_no_memory_of_their_own():
    planes = torch.zeros(2, 30, 40)
    assert runs(planes, 9, 0).data_ptr() == planes.data_ptr()
    planes[1, 4, 5] = 1
    assert float(runs(planes, 9, 0)[30 * 40 + 40 + 5, 3]) == 1


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), box=st.lists(st.floats(0.0, 50.0), min_size=4, max_size=4))
def test_within_keeps_what_lies_in_the_rectangle_without_its_bottom_and_right(seed, box):
    rng = np.random.default_rng(seed)
    top, bottom, left, right = box
    rows, columns = rng.integers(0, 50, (2, 40)) + rng.choice([0.0, 0.5], (2, 40))
    rows[0], columns[0], rows[1], columns[1] = top, left, bottom, right
    fields = [torch.arange(40), *(torch.from_numpy(t) for t in (rows, columns, rng.normal(size=40)))]
    kept = [k for k in range(40) if top <= rows[k] < bottom and left <= columns[k] < right]
    part = EdgePoints(*fields).within(*box)
    assert part.plane.tolist() == kept
    assert part.row.tolist() == [rows[k] for k in kept]
    assert part.normal.tolist() == [float(fields[3][k]) for k in kept]
