"""The frequencies of lattices, against brute force."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest

from artifactlab.metrics.block_spectra import own_frequencies


@pytest.mark.parametrize("folds", [(2,), (12,), (2, 2), (4, 4), (6, 4), (3, 1), (1, 8), (2, 2, 2), (2, 3, 4)], ids=str)
def test_own_frequencies_of_all_periods_are_all_but_none_once_each(folds):
    """Brute force: the smallest number of steps after which a wave of frequency k / folds has every phase again."""
    whole = math.lcm(*folds)
    seen = []
    for period in range(2, whole + 1):
        if whole % period:
            continue
        own, multiplicities = own_frequencies(tuple(math.gcd(f, period) for f in folds), period)
        for k, number in zip(own, multiplicities, strict=True):
            inside = [math.gcd(f, period) for f in folds]
            steps = [Fraction(i, f) for i, f in zip(k, inside, strict=True)]
            repeats = next(n for n in range(1, whole + 1) if all((n * step).denominator == 1 for step in steps))
            assert repeats == period
            opposite = [(-step) % 1 for step in steps]
            assert number == (1 if opposite == steps else 2)
            seen += [tuple(steps)] if number == 1 else [tuple(steps), tuple(opposite)]
    expected = itertools.product(*([Fraction(i, f) for i in range(f)] for f in folds))
    assert sorted(seen) == sorted(k for k in expected if any(k))
