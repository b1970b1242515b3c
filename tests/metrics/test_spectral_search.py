"""The search over many periods shares bands between them: it must miss nothing and read the same strengths."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from artifactlab.metrics import spectral_images
from artifactlab.metrics.period_reading import read
from artifactlab.metrics.spectral_search import PERIODS, measured, search_sums, suspects
from artifactlab.metrics.spectral_sums import spectral_sums


@pytest.mark.parametrize("period", [2, 3, 4, 5, 6, 7, 12])
def test_the_search_reads_a_grids_power_as_strong_as_its_own_period_does(period, photo, pattern, tiled, tensor):
    """The bands it shares take a known part of a grid, which is given back."""
    grid = tiled(pattern((period, period), 0.02, period), 192, 192)
    x = tensor(photo("camera", 192, 180, 200) + grid, torch.float64)
    searched = read(search_sums(x, (period,))[period]).power.grid
    exact = read(spectral_sums(x, (period, period), period)).power.grid
    assert float(searched) == pytest.approx(float(exact), rel=0.1)


@pytest.mark.parametrize("period", [2, 4, 8])
def test_the_bands_own_periods_lose_nothing(period, photo, nearest, tensor):
    x = tensor(nearest(photo("coffee", 128, 60, 150), period), torch.float64)
    searched, exact = search_sums(x, (period,))[period], spectral_sums(x, (period, period), period)
    for one, other in zip(searched.warp, exact.warp, strict=True):
        torch.testing.assert_close(one.first + one.second, other.first + other.second)
        torch.testing.assert_close(one.weight, other.weight)


@pytest.mark.parametrize("period", [2, 3, 8])
def test_measured_for_itself_a_period_reads_what_it_reads_alone_but_for_a_modulation_of_nothing(
    period, photo, nearest, pattern, tiled, tensor
):
    """All forms of it, although they are measured one by one, and the steps of a band's own period in the search."""
    grid = tiled(pattern((period, period), 0.02, period), 240, 240)[..., None]
    x = tensor(nearest(photo("coffee", 240, 60, 150), period) + grid)

    def exactly(periods, form):
        return [spectral_sums(x, (p, p), p, alone=form) for p in periods]

    sums, alone = measured(search_sums(x, PERIODS), exactly)[period], spectral_sums(x, (period, period), period)
    for one, other in zip(read(sums), read(alone), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("factor", [2, 3, 5, 8])
def test_the_search_suspects_a_replicas_period(factor, photo, nearest, tensor):
    found = suspects(search_sums(tensor(nearest(photo("coffee", 160, 60, 150), factor)), PERIODS))
    assert factor in found


def test_of_a_clean_photo_hardly_a_period_is_measured_and_the_others_are_read_off_the_search(photo, tensor):
    x = tensor(photo("coffee", 160, 60, 150))
    asked = set()

    def exactly(periods, form):
        asked.update(periods)
        return [spectral_sums(x, (p, p), p, alone=form) for p in periods]

    searched = search_sums(x, PERIODS)
    sums = measured(searched, exactly)
    assert list(sums) == list(PERIODS)
    assert len(asked) <= 2
    assert all((sums[p] is searched[p]) == (p not in asked) for p in PERIODS)
    assert not any(bool(read(s).found.any()) for p, s in sums.items() if p not in asked)


@pytest.mark.parametrize("kind", ["grid", "steps"])
@pytest.mark.parametrize("period", [2, 6])
def test_what_is_searched_for_reads_as_if_its_period_had_been_given(
    kind, period, photo, nearest, pattern, tiled, tensor
):
    image = photo("coffee", 160, 60, 150)
    grid = tiled(pattern((period, period), 0.02, period), 160, 160)[..., None]
    x = tensor(image + grid if kind == "grid" else nearest(image, period)[:160, :160])
    searched, given = spectral_images(x), spectral_images(x, period)
    assert int(searched.period) == int(given.period) == period
    for form in ("grid", "warp"):
        assert float(getattr(searched, form)) == pytest.approx(float(getattr(given, form)), rel=1e-5), form


def test_periods_that_do_not_fit_are_left_out(photo, board, tensor):
    marked = tensor(photo("camera", 48, 180, 200) + 0.05 * board((48, 48)))
    assert int(spectral_images(marked).period) == 2
    small = search_sums(marked, (2, 30))
    assert not bool(read(small[30]).found.any())
    assert float(small[30].grid.weight) == 0


def test_the_search_adds_up_over_tiles_that_know_their_origin(photo, nearest, tensor):
    x = tensor(nearest(photo("coffee", 192, 60, 150), 4), torch.float64)
    whole = search_sums(x, (4,))[4]
    tiles = search_sums(x[..., :101], (4,))[4] + search_sums(x[..., 101:], (4,), (0, 101))[4]
    got, expected = (float(read(sums).power.warp) for sums in (tiles, whole))
    assert got == pytest.approx(expected, rel=0.05)


def test_images_of_a_batch_are_searched_one_by_one():
    """Which periods are measured for one must not depend on the other."""
    noise = 0.5 + 0.1 * torch.randn(3, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    stairs = torch.from_numpy(np.kron(np.tril(np.ones((16, 16)), 2), np.ones((4, 4)))).float()[None, None]
    batch = spectral_images(torch.cat([noise, stairs]))
    for index, image in enumerate([*noise, *stairs]):
        for value, alone in zip(batch, spectral_images(image[None]), strict=True):
            assert torch.equal(value[index : index + 1], alone)


def test_a_grid_in_the_few_flat_places_of_a_photo_is_searched_in_small_blocks(photo, board, tensor):
    """With blocks that suit period 16 these places are a handful, and chance cannot be told."""
    marked = tensor(
        (photo("astronaut", 256, 128, 128).mean(2, keepdims=True) + 4 / 255 * board((256, 256, 1))).clip(0, 1)
    )
    assert 2 in suspects(search_sums(marked, PERIODS))
    assert int(spectral_images(marked).period) == 2
