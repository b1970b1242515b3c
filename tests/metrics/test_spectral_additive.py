"""Sums add up: over tiles, images and choices of them."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest
import torch

from artifactlab.metrics.period_reading import read
from artifactlab.metrics.spectral_reading import read_lattice
from artifactlab.metrics.spectral_sums import joined, lattice_sums, spectral_sums


@pytest.fixture(scope="module")
def defective(photo, nearest, pattern, tiled, tensor):
    """`defective(period)`: a photo of 192 x 192, replicated, with a grid: all sums hold something."""

    def make(period, dtype=torch.float64):
        grid = tiled(pattern((period, period), 0.02, period), 192, 192)[..., None]
        return tensor(nearest(photo("coffee", 192, 60, 150), period) + grid, dtype)

    return make


def flat(sums):
    """All numbers of sums, as one list of (name, tensor)."""
    relations = [("grid", sums.grid), ("modulation", sums.modulation)]
    relations += [(f"warp {axis}", one) for axis, one in enumerate(sums.warp)]
    fields = [(f"{name}.{field}", value) for name, one in relations for field, value in one._asdict().items()]
    return fields + [(field, getattr(sums, field)) for field in ("contrast", "slopes", "residual", "samples")]


def assert_equal(got, expected):
    for (name, value), (_, other) in zip(flat(got), flat(expected), strict=True):
        torch.testing.assert_close(value, other, rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.parametrize("period", [2, 3, 4, 8])
@pytest.mark.parametrize("cuts", [((0, 96, 192), (0, 96, 192)), ((0, 72, 192), (0, 192))], ids=str)
def test_tiles_that_start_at_multiples_of_the_period_add_up_nearly_to_the_whole(period, cuts, defective):
    """Nearly, as the borders of tiles are mirrored; their chance is what each of them has."""
    x = defective(period)
    whole = spectral_sums(x, (period, period), period)
    tiles = [
        spectral_sums(x[..., top:bottom, left:right], (period, period), period)
        for top, bottom in zip(cuts[0], cuts[0][1:], strict=False)
        for left, right in zip(cuts[1], cuts[1][1:], strict=False)
    ]
    together = reduce(add, tiles)
    assert float(together.samples) == float(whole.samples)
    got, expected = read(together), read(whole)
    assert bool(got.found.grid & got.found.warp)
    for form in ("grid", "warp"):
        value, other = (float(getattr(reading.power, form)) ** 0.5 for reading in (got, expected))
        assert value == pytest.approx(other, rel=0.05), form
    for one, other in zip([together.grid, *together.warp], [whole.grid, *whole.warp], strict=True):
        coefficients, those = ((s.first + s.second) / s.weight[:, None, None] for s in (one, other))
        assert float((coefficients - those).norm() / those.norm()) < (0.15 if period == 8 else 0.08)


@pytest.mark.parametrize("start", [(0, 0), (1, 0), (5, 7), (16, 3)], ids=str)
@pytest.mark.parametrize("period", [2, 3, 8])
def test_a_tile_that_is_told_its_origin_has_the_phases_of_the_whole_and_one_that_is_not_has_not(
    start, period, defective
):
    x = defective(period)
    whole = spectral_sums(x, (period, period), period)
    tile = x[..., start[0] :, start[1] :]
    told = spectral_sums(tile, (period, period), period, start)
    for one, other in zip([told.grid, *told.warp], [whole.grid, *whole.warp], strict=True):
        coefficients, those = ((s.first + s.second) / s.weight[:, None, None] for s in (one, other))
        assert float((coefficients - those).norm() / those.norm()) < 0.12
    if any(place % period for place in start):
        untold = spectral_sums(tile, (period, period), period).grid
        coefficients, those = ((s.first + s.second) / s.weight[:, None, None] for s in (untold, whole.grid))
        assert float((coefficients - those).norm() / those.norm()) > 0.3


def test_a_tile_that_forgets_its_origin_is_out_of_step(defective):
    """Two halves of an image, the second of which starts one sample into a period of two: what they hold cancels."""
    x = defective(2)
    left, right = x[..., :96], x[..., 97:]
    told = spectral_sums(left, (2, 2), 2) + spectral_sums(right, (2, 2), 2, (0, 97))
    untold = spectral_sums(left, (2, 2), 2) + spectral_sums(right, (2, 2), 2)
    assert float(read(told).power.grid) == pytest.approx(float(read(spectral_sums(x, (2, 2), 2)).power.grid), rel=0.05)
    assert float(read(untold).power.grid) < 0.5 * float(read(told).power.grid)


@pytest.mark.parametrize("period", [2, 4])
def test_sums_of_choices_are_choices_of_sums(period, defective, tensor):
    """Joined and pooled by counts: as often as each item was chosen."""
    x = defective(period)
    crops = [x[..., :96, :96], x[..., 96:, :96], x[..., :96, 96:]]
    each = [spectral_sums(crop, (period, period), period) for crop in crops]
    together = joined(each)
    assert_equal(together, spectral_sums(torch.cat(crops), (period, period), period))
    counts = torch.tensor([[1, 1, 1], [2, 0, 1], [0, 3, 0]])
    chosen = together.pooled(counts)
    expected = [each[0] + each[1] + each[2], each[0] + each[0] + each[2], each[1] + each[1] + each[1]]
    assert_equal(chosen, joined(expected))


def test_the_same_image_twice_reads_the_same_and_is_surer(defective):
    once = {p: spectral_sums(defective(4), (4, 4), p) for p in (2, 4)}
    twice = read_lattice({p: sums + sums for p, sums in once.items()})
    single = read_lattice(once)
    for form in ("grid", "warp"):
        assert float(getattr(twice, form)) == pytest.approx(float(getattr(single, form)), rel=0.02), form
        assert float(getattr(twice, f"{form}_error")) < float(getattr(single, f"{form}_error")), form


def test_opposite_grids_of_two_images_cancel(photo, board, tensor):
    image = photo("camera", 96, 180, 200)
    marked, opposite = (
        spectral_sums(tensor(image + sign * 0.02 * board(image.shape), torch.float64), (2, 2), 2) for sign in (1, -1)
    )
    assert float(read(marked + opposite).power.grid) < 0.05 * float(read(marked).power.grid)


def test_the_sums_of_a_lattice_are_those_of_all_its_periods(defective):
    x = defective(2)
    sums = lattice_sums(x, (4, 6))
    assert list(sums) == [2, 3, 4, 6, 12]
    for period, one in sums.items():
        assert_equal(one, spectral_sums(x, (4, 6), period))
        assert len(one.warp) == (4 % period == 0) + (6 % period == 0)


def test_sums_of_relations_that_were_not_asked_for_add_up_without_them(defective):
    one = spectral_sums(defective(2), (2, 2), 2)
    without = one._replace(modulation=None)
    assert (without + without).modulation is None
    assert joined([without, without]).modulation is None
    assert without.pooled(torch.tensor([[2]])).modulation is None
    assert not bool(read(without).found.modulation)
    np.testing.assert_allclose((without + without).samples, 2 * one.samples)
