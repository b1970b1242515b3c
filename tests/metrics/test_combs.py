"""Known spacings are taken off a profile of lines, whole or not."""

from __future__ import annotations

import statistics

import pytest
import torch

from artifactlab.metrics.combs import _keeps_step, _repeating, best_comb


def test_what_repeats_with_whole_pixels_is_the_median_of_each_phase() -> None:
    profile = torch.rand(61, generator=torch.Generator().manual_seed(0))
    slow = [statistics.median_low(profile[n % 7 :: 7].tolist()) for n in range(61)]
    assert torch.equal(_repeating(profile, 7), torch.tensor(slow))


@pytest.mark.parametrize("spacing", [5.3, 127 / 15, 16.652])
def test_three_quarters_of_lines_at_any_spacing_are_taken_off(spacing: float) -> None:
    """A line between two pixels is fainter at either, and differs within a phase, which is a pixel wide."""
    position = torch.arange(400)
    away = (position % spacing).minimum(spacing - position % spacing)
    profile = (1 - away).clamp_min(0)
    rest = profile - _repeating(profile, spacing)
    assert rest.square().sum() < 0.25 * profile.square().sum()


def test_which_combs_keep_step() -> None:
    assert [_keeps_step(period, 8, 128) for period in (4, 8, 16, 17)] == [True, True, False, False]
    assert [_keeps_step(period, 127 / 15, 128) for period in (8, 17, 34, 24, 48)] == [False, True, True, False, False]
    assert _keeps_step(5, 10.03, 100)
    assert not _keeps_step(5, 10.3, 400)


def test_a_comb_is_found_unless_its_spacing_is_known() -> None:
    noise = torch.rand(2, 240, generator=torch.Generator().manual_seed(1))
    halves = list(noise + 4 * (torch.arange(240) % 20 == 7))
    comb = best_comb(halves, (), 5.0)
    assert comb is not None
    assert comb[:2] == (20, 7)
    assert best_comb(halves, (20.0,), 5.0) is None
    assert best_comb(halves, (), 5.0, source_profile=halves[0]) is None
