"""Intervals: for the change between two measurements of the same things, for means, and for shares.

Those of changes and means reach as far as the further of two: Student's t, which assumes no skew, and the resampling's
own, which is too short for few numbers. `benchmarks/compare.py` has what each of them covers alone.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 1000
"""Resamples of the bootstrap: ends of 90% intervals, widened for seven metrics, still have seven of them beyond."""
CHUNK = 2**20
"""Numbers that are resampled at a time: 8 MiB of float64."""
FURTHEST = 2.0
"""Multiple of Student's t up to which the bootstrap-t counts: of few differences in two heaps, say cured and untouched,
some resamples are nearly all of one heap, with next to no spread and a t without bounds. Without the limit eight images
were told in 66% of draws, with it in 83%, at the same coverage ("Intervals of `compare`" in docs/decisions.md)."""
Numbers = NDArray[np.float64]
Interval = tuple[float, float]


def bootstrap_interval(differences: ArrayLike, confidence: float, seed: int, resamples: int = RESAMPLES) -> Interval:
    """An interval for the mean behind paired differences: the wider of Student's t and the bootstrap-t at each end.

    The bootstrap-t (Efron 1979; Hall 1988, "Theoretical comparison of bootstrap confidence intervals") follows the skew
    of differences of which many are zero and a few are large, as scores of images have them.

    Args:
        differences: (n,), one per pair, n at least 2.
        confidence: between 0 and 1, two-sided.
        seed: of the resamples.
        resamples: how many there are.

    >>> low, high = bootstrap_interval([-0.3, -0.2, -0.4, -0.3, 0.0, -0.3], 0.9, seed=0)
    >>> low < -0.25 < high < 0
    True
    """
    values = np.asarray(differences, np.float64)
    mean, error = float(values.mean()), _standard_error(values)
    if error == 0:
        return mean, mean
    drawn, errors = _resampled(values, seed, resamples)
    return _wider(mean, error, values.size - 1, drawn - mean, errors, confidence)


def unpaired_interval(
    first: ArrayLike, second: ArrayLike, confidence: float, seed: int, resamples: int = RESAMPLES
) -> Interval:
    """An interval for the mean of a second group less that of a first one: the same, with Welch's error (1947).

    Args:
        first, second: (n,) and (m,), each at least 2.
        confidence: between 0 and 1, two-sided.
        seed: of the resamples, which are drawn from each group by itself.
        resamples: how many there are.

    >>> low, high = unpaired_interval([0.1, 0.2, 0.0, 0.1, 0.1], [0.5, 0.4, 0.6, 0.5], 0.9, seed=0)
    >>> 0.2 < low < 0.4 < high < 0.6
    True
    """
    groups = [np.asarray(values, np.float64) for values in (first, second)]
    change = float(groups[1].mean() - groups[0].mean())
    squares = [_standard_error(values) ** 2 for values in groups]
    error = math.hypot(*map(math.sqrt, squares))
    if error == 0:
        return change, change
    freedom = sum(squares) ** 2 / sum(s**2 / (g.size - 1) for s, g in zip(squares, groups, strict=True))
    (was, was_error), (now, now_error) = (_resampled(g, seed + n, resamples) for n, g in enumerate(groups))
    return _wider(change, error, freedom, now - was - change, np.hypot(was_error, now_error), confidence)


def half_sample_interval(change: float, halves: ArrayLike, crops: int, confidence: float) -> Interval:
    """An interval for a change of which that of random half-samples is known.

    McCarthy 1969, "Pseudo-replication: half samples". A number that is read off pooled sums, as jaggedness is, has no
    mean to bootstrap; its half-samples spread as its own error does.

    Args:
        change: of all crops.
        halves: (R,), of random halves of them, each the same half before and after.
        crops: how many there are, at least 2.
        confidence: between 0 and 1, two-sided.

    >>> half_sample_interval(-1.0, [-1.2, -0.8, -1.1, -0.9], 9, 0.9)[1] < 0
    True
    """
    values = np.asarray(halves, np.float64)
    drawn = crops // 2
    reach = _student(confidence, crops - 1) * float(values.std()) * math.sqrt(drawn / (crops - drawn))
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return min(change - reach, float(low)), max(change + reach, float(high))


def share_interval(count: int, images: int, confidence: float) -> Interval:
    """Clopper and Pearson's interval (1934) for a share of which `count` of `images` were seen: never too short.

    Args:
        count: how many it holds for.
        images: how many were looked at, at least 1.
        confidence: between 0 and 1, two-sided.

    >>> low, high = share_interval(0, 100, 0.9)
    >>> low, round(high, 4)
    (0.0, 0.0295)
    """
    from scipy.special import betaincinv  # lazy: half a second

    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, images - count + 1, tail))
    high = 1.0 if count == images else float(betaincinv(count + 1, images - count, 1 - tail))
    return low, high


def _wider(mean: float, error: float, freedom: float, changes: Numbers, errors: Numbers, confidence: float) -> Interval:
    """At each end, the further of Student's t and the resamples' own quantile of t, which counts up to `FURTHEST`."""
    resampled = changes / np.where(errors == 0, np.nan, errors)
    quantile = _student(confidence, freedom)
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(resampled, [tail, 1 - tail])
    below, above = (float(np.clip(reach, quantile, FURTHEST * quantile)) for reach in (high, -low))
    return mean - error * below, mean + error * above


def _resampled(values: Numbers, seed: int, resamples: int) -> tuple[Numbers, Numbers]:
    """Means of resamples, and their standard errors, exactly 0 where a resample is all of one value."""
    generator = np.random.default_rng(seed)
    count = values.size
    means, errors = [], []
    for rows in np.array_split(np.arange(resamples), math.ceil(resamples * count / CHUNK)):
        drawn = values[generator.integers(0, count, (rows.size, count))]
        error = drawn.std(1, ddof=1) / math.sqrt(count)
        flat = np.isclose(error, 0, atol=1e-9 * float(np.abs(values).max()))
        means.append(drawn.mean(1))
        errors.append(np.where(flat, 0.0, error))
    return np.concatenate(means), np.concatenate(errors)


def _standard_error(values: Numbers) -> float:
    """Of the mean; exactly 0 where all values are the same but for rounding."""
    error = float(values.std(ddof=1)) / math.sqrt(values.size)
    return error if error > 1e-9 * float(np.abs(values).max()) else 0.0


def _student(confidence: float, freedom: float) -> float:
    """The two-sided quantile of Student's t with so many degrees of freedom."""
    from scipy.special import stdtrit  # lazy: half a second

    return float(stdtrit(freedom, (1 + confidence) / 2))
