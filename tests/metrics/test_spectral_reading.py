"""From sums to numbers, on sums whose evidence, power and errors are set by hand."""

from __future__ import annotations

import math

import pytest
import torch

from artifactlab.metrics.period_reading import Forms, Reading, is_clean, read
from artifactlab.metrics.significance import evidence
from artifactlab.metrics.spectral_reading import together, too_small
from artifactlab.metrics.spectral_sums import spectral_sums
from artifactlab.metrics.visible import VISIBLE_GRID, VISIBLE_STEPS


@pytest.fixture(scope="module")
def replica(photo, nearest, tensor):
    """The sums of a replica of period 4."""
    return spectral_sums(tensor(nearest(photo("coffee", 128, 60, 150), 4), torch.float64), (4, 4), 4)


def of(power, error, found=True, count=1):
    """A reading whose forms all have the same power and error."""
    powers, errors = (Forms(*torch.full((3, count), value, dtype=torch.float64)) for value in (power, error))
    marks, all_of_it = Forms(*torch.full((3, count), found)), Forms(*torch.ones(3, count, dtype=torch.float64))
    return Reading(powers, errors, powers.warp, errors.warp, marks, marks, marks, all_of_it, all_of_it)


def beside(sums, ratio):
    """With evidence so many times that of the best frequency beside, on both axes."""
    warps = [one._replace(best_neighbour=evidence([one]) / ratio * one.weight) for one in sums.warp]
    return sums._replace(warp=tuple(warps))


@pytest.mark.parametrize(("ratio", "short", "long"), [(1.1, False, False), (1.5, True, False), (2.0, True, True)])
def test_long_periods_must_stand_out_more_from_the_frequencies_beside_them(ratio, short, long, replica):
    """Masonry and text do by a half."""
    sums = beside(replica, ratio)
    assert bool(read(sums, (), 8).found.warp) == short
    assert bool(read(sums, (), 9).found.warp) == long


def test_the_difference_that_steps_make_is_their_displacement_times_the_slopes(replica):
    reading = read(replica)
    slopes = replica.slopes / replica.samples
    by_axis = [float(slopes[0, axis] * one.power()) for axis, one in enumerate(replica.warp)]
    assert float(reading.moved) == pytest.approx(sum(by_axis), rel=1e-6)
    assert float(reading.power.warp) == pytest.approx(sum(by_axis) / float(slopes.sum()), rel=1e-6)


def test_powers_of_periods_add_up_and_values_are_their_roots():
    whole = together([of(0.0004, 0.0), of(0.0012, 0.0)], 4)
    assert int(whole.period) == 4
    for form in ("grid", "modulation", "warp"):
        assert float(getattr(whole, form)) == pytest.approx(0.04), form
    assert float(whole.explained) == pytest.approx(math.sqrt(3) * 0.04)


def test_errors_of_a_root_are_half_the_powers_over_it_and_its_own_root_where_there_is_none():
    """Several periods' errors add up in squares."""
    found = together([of(0.04, 3e-4), of(0.0, 4e-4)], 4)
    assert float(found.grid_error) == pytest.approx(5e-4 / (2 * 0.2), rel=0.01)
    nothing = together([of(0.0, 4e-4, found=False)], 4)
    assert float(nothing.grid) == 0
    assert float(nothing.grid_error) == pytest.approx(0.02)


def test_what_is_not_found_does_not_count_and_what_is_negative_is_none():
    mixed = together([of(0.0004, 0.0), of(0.5, 0.0, found=False)], 4)
    assert float(mixed.grid) == pytest.approx(0.02)
    assert float(together([of(-0.3, 0.1)], 4).grid) == 0
    assert int(together([of(0.5, 0.0, found=False)], 4).period) == 0


@pytest.mark.parametrize(
    ("grid", "warp", "moved", "clean"),
    [
        (0.7, 0.9, 2.0, True),
        (1.1, 0.9, 0.5, False),
        (0.7, 1.1, 2.0, False),
        (0.7, 5.0, 0.7, True),  # hardly an edge: steps of any height do not show
    ],
)
def test_an_image_is_clean_where_nothing_visible_could_hide_in_the_errors(grid, warp, moved, clean):
    """In multiples of what just shows."""
    one = of(0.0, 0.0, found=False)
    sizes = (grid * VISIBLE_GRID, 0.0, warp * VISIBLE_STEPS, moved * VISIBLE_GRID)
    *errors, difference = (torch.tensor([size**2]).double() for size in sizes)
    reading = one._replace(error=Forms(*errors), moved_error=difference)
    assert bool(is_clean(reading)) == clean
    assert bool(together([one, reading], 2).told) == clean


def test_where_nothing_is_found_what_is_possible_counts_less_the_part_that_chance_has():
    """So that weak steps still read more than none; where that would show, it cannot be told."""
    reading = of(0.04**2, 1e-9, found=False)
    yes, half = Forms(*torch.ones(3, 1).bool()), Forms(*torch.full((3, 1), 0.25).double())
    unsure = together([reading._replace(possible=yes, sure=half)], 4)
    assert float(unsure.warp) == pytest.approx(0.02)
    assert (int(unsure.period), bool(unsure.told)) == (0, False)
    faint = together([of(1e-8, 1e-9, found=False)._replace(possible=yes, sure=half)], 4)
    assert float(faint.grid) == pytest.approx(0.5e-4)
    assert (int(faint.period), bool(faint.told)) == (0, True)
    assert float(together([reading, of(1.0, 1e-9)], 4).warp) == pytest.approx(1.0), (
        "beside what is found, it is left out"
    )


def test_errors_are_never_more_than_the_whole_range_or_the_period():
    unsure = together([of(0.0, 1e9, found=False)], 8)
    assert (float(unsure.grid_error), float(unsure.warp_error), float(unsure.explained_error)) == (1, 8, 1)
    nothing = too_small(torch.zeros(3, 1, 4, 4))
    assert nothing.told.tolist() == [False] * 3
    assert nothing.period.tolist() == [0] * 3
    assert math.isfinite(sum(float(value.sum()) for value in nothing))
