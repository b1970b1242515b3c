"""Intervals for paired changes, against slow references and populations that are known."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from artifactlab.comparing.changes import score_change
from artifactlab.comparing.intervals import bootstrap_interval, half_sample_interval


def test_the_interval_is_never_narrower_than_students_t() -> None:
    values = np.random.default_rng(0).exponential(size=12)
    low, high = bootstrap_interval(values, 0.9, seed=0)
    students = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert low == pytest.approx(students.low)
    assert high > students.high  # the tail that the sample has seen too little of


def test_the_bootstrap_t_is_that_of_a_slow_loop() -> None:
    values = np.random.default_rng(1).exponential(size=9)
    drawn = np.random.default_rng(5).integers(0, 9, (1000, 9))
    resampled = []
    for row in drawn:
        sample = [values[k] for k in row]
        if len(set(sample)) > 1:
            resampled.append((statistics.mean(sample) - values.mean()) / (statistics.stdev(sample) / 3))
    error = statistics.stdev(values) / 3
    ends = [values.mean() - np.quantile(resampled, q) * error for q in (0.95, 0.05)]
    students = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.9)
    reach = students.high - values.mean()
    assert reach < ends[1] - values.mean(), "skewed enough for the two to differ"
    expected = (min(ends[0], students.low), min(max(ends[1], students.high), values.mean() + 2 * reach))
    assert bootstrap_interval(values, 0.9, seed=5) == pytest.approx(expected)


def test_half_samples_of_a_mean_give_students_t() -> None:
    values = np.random.default_rng(0).normal(size=10)
    halves = [values[np.random.default_rng(k).permutation(10)[:5]].mean() for k in range(4000)]
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert half_sample_interval(values.mean(), halves, 10, 0.9) == pytest.approx(expected, abs=0.02)


numbers = st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 3)), min_size=2, max_size=30)


@settings(max_examples=40, deadline=None)
@given(numbers, st.floats(0.01, 100))
def test_intervals_hold_their_mean_scale_with_it_and_turn_with_the_sign(values: list[float], scale: float) -> None:
    low, high = bootstrap_interval(values, 0.9, seed=0)
    slack = 1e-6 * max(map(abs, values)) + 1e-12
    assert low - slack <= statistics.fmean(values) <= high + slack
    scaled = bootstrap_interval([value * scale for value in values], 0.9, seed=0)
    assert scaled == pytest.approx((low * scale, high * scale), rel=1e-6, abs=slack * scale)
    turned = bootstrap_interval([-value for value in values], 0.9, seed=0)
    assert turned == pytest.approx((-high, -low), rel=1e-6, abs=slack)


def test_labels_that_are_swapped_at_random_seldom_make_a_verdict() -> None:
    rng = np.random.default_rng(0)
    verdicts = []
    for _ in range(100):
        drops = rng.exponential(size=12) * (rng.random(12) < 0.6) * rng.choice([-1, 1], 12)
        pairs = [(1.0 + drop, 1.0) for drop in drops]
        verdicts.append(score_change("edge_jaggedness", pairs, 0.9, seed=0).verdict)
    assert verdicts.count("cannot tell") >= 85


def test_a_cure_that_leaves_two_of_eight_images_untouched_is_told() -> None:
    """Resamples that are nearly all of one heap must not stretch the interval without end."""
    changes = [-0.58, -0.61, -0.6, -0.63, -0.57, -0.6, 0.0, 0.0]
    for seed in range(10):
        low, high = bootstrap_interval(changes, 0.9, seed)
        assert low < -0.449 < high < 0


def test_half_samples_of_an_odd_number_are_scaled_by_what_they_leave_out() -> None:
    """Of nine, a half is four: its mean spreads wider than the error of the mean of all, by the root of 5/4."""
    values = np.random.default_rng(0).normal(size=9)
    halves = [values[list(half)].mean() for half in itertools.combinations(range(9), 4)]
    _, high = half_sample_interval(values.mean(), halves, 9, 0.9)
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert high == pytest.approx(expected.high)  # the lower end is a hair beyond: there the percentile reaches further


def test_half_samples_that_reach_further_than_their_spread_widen_the_interval() -> None:
    halves = [0.0] * 93 + [-10.0] * 7
    low, high = half_sample_interval(-0.7, halves, 10, 0.9)
    reach = scipy.stats.t.ppf(0.95, 9) * np.std(halves)
    assert low == -10.0 < -0.7 - reach
    assert high == pytest.approx(-0.7 + reach)
