"""The loss's lattice term: which grids it sees, how much of them, and what it does not see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from slanted import edge, noise
from torch import Tensor

from artifactlab.fix.loss_terms import lattice_distance, phase_patterns

seeds = st.integers(0, 2**31)


def grid(period: tuple[int, int], shift: tuple[int, int] = (0, 0), side: int = 48) -> Tensor:
    """One pixel of each cell is brighter by one."""
    rows, columns = ((torch.arange(side) + s) % p == 0 for s, p in zip(shift, period, strict=True))
    return (rows[:, None] & columns).double()[None, None]


@settings(max_examples=25, deadline=None)
@given(st.floats(-1, 1), st.floats(-1, 1), st.sampled_from([(2, 2), (3, 3), (4, 4), (2, 1), (1, 3), (5, 2)]))
def test_ramps_cost_nothing(down: float, across: float, period: tuple[int, int]) -> None:
    t = torch.arange(41, dtype=torch.float64)
    ramp = (down * t[:, None] + across * t + 7)[None, None]
    assert lattice_distance(ramp, torch.zeros_like(ramp), [period]) < 1e-12


@pytest.mark.parametrize("size", [(32, 32), (37, 51), (8, 16), (16, 9)])
@pytest.mark.parametrize("amplitude", [0.02, 3.0])
def test_a_checkerboard_costs_its_amplitude_on_any_image(size: tuple[int, int], amplitude: float) -> None:
    target = noise(1, 3, *size)
    board = amplitude * (-1.0) ** (torch.arange(size[0])[:, None] + torch.arange(size[1]))
    assert lattice_distance(target + board, target, [(2, 2)]).item() == pytest.approx(amplitude)
    assert lattice_distance(target, target + board, [(2, 2)]).item() == pytest.approx(amplitude)


@pytest.mark.parametrize("period", [(2, 2), (3, 3), (4, 4), (2, 1), (1, 3), (4, 2)])
def test_a_grid_costs_the_same_wherever_it_starts(period: tuple[int, int]) -> None:
    cells = period[0] * period[1]
    expected = 2 * (cells - 1) / cells**2  # one pixel of a cell is brighter than its mean, the others darker
    for shift in np.ndindex(*period):
        image = grid(period, shift)
        assert lattice_distance(image, torch.zeros_like(image), [period]).item() == pytest.approx(expected)


def test_a_grid_of_one_direction_is_seen_by_periods_of_that_direction() -> None:
    rows = grid((2, 1))
    flat = torch.zeros_like(rows)
    assert lattice_distance(rows, flat, [(2, 1)]).item() == pytest.approx(0.5)
    assert lattice_distance(rows, flat, [(1, 2)]) < 1e-12
    assert lattice_distance(rows, flat, [(1, 3)]) < 1e-12


def test_what_falls_out_of_step_costs_little() -> None:
    image = grid((3, 3))
    out_of_step, in_step = (lattice_distance(image, torch.zeros_like(image), [(p, p)]) for p in (2, 3))
    assert out_of_step < 0.15 * in_step


def test_texture_of_both_costs_nothing_however_regular() -> None:
    texture = grid((2, 2)) + 0.5 * grid((4, 4))
    target = texture + edge(30)
    assert lattice_distance(target + 0.2, target, [(2, 2), (4, 4)]) < 1e-12


def test_each_window_counts_for_itself() -> None:
    half = grid((2, 2))
    half[..., 24:] *= -1  # the opposite grid cancels only where the two meet
    whole = lattice_distance(grid((2, 2)), torch.zeros_like(half), [(2, 2)])
    assert 0.75 * whole < lattice_distance(half, torch.zeros_like(half), [(2, 2)]) < whole


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=2, max_size=4, unique=True),
    st.integers(1, 50),
    st.integers(1, 50),
    seeds,
)
def test_sums_that_periods_share_are_those_of_each_alone(
    periods: list[tuple[int, int]], height: int, width: int, seed: int
) -> None:
    image = noise(1, 2, height, width, seed=seed)
    for period, pattern in zip(sorted(periods, reverse=True), phase_patterns(image, periods), strict=True):
        torch.testing.assert_close(pattern, phase_patterns(image, [period])[0])
    flat = torch.zeros_like(image)
    alone = sum(lattice_distance(image, flat, [period]) for period in periods)
    torch.testing.assert_close(lattice_distance(image, flat, periods), alone / len(periods))


def test_2_is_summed_from_4(monkeypatch: pytest.MonkeyPatch) -> None:
    from artifactlab.fix import loss_terms

    image, summed, folded = noise(1, 1, 32, 32), [], loss_terms._folded
    monkeypatch.setattr(loss_terms, "_folded", lambda x, period: summed.append(period) or folded(x, period))
    phase_patterns(image, [(2, 2), (4, 4), (3, 3), (2, 1)])
    assert summed == [(4, 4), (3, 3)]
