"""From severities to effects with intervals."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from artifactlab.attribution.repair.effects import (
    REPAIR_ERROR_LEAST,
    REPAIR_ERROR_OF_EFFECT,
    REPAIR_ERROR_OF_SEVERITY,
    effect_of,
    effect_of_first_order,
)
from artifactlab.metrics.spectral_sums import SpectralSums
from artifactlab.metrics.synchronous import SynchronousSums
from artifactlab.metrics.visible import visible_grid
from artifactlab.scoring.severity import Severity


def severity(grid: list[float] | Tensor) -> Severity:
    """Of grids alone, crop by crop, beyond all doubt. Crops in step add up in amplitude."""
    root = torch.as_tensor(grid, dtype=torch.float64).sqrt() * visible_grid(2)
    one, none = torch.ones_like(root), torch.zeros_like(root)
    sums, little = root[:, None, None], torch.full_like(root, 1e-12)[:, None]
    relation = SynchronousSums(sums, sums, one, one, little, none, none[:, None], one)
    return Severity(len(root), {2: SpectralSums(relation, None, (), none, none[:, None][:, :0], none, one)})


def together(grid: list[float]) -> float:
    """Severity of crops whose grids are in step."""
    return sum(value**0.5 for value in grid) ** 2 / len(grid) ** 2


def test_the_effect_is_the_drop_and_its_share() -> None:
    effect = effect_of(severity([8.0, 12.0]), severity([1.0, 3.0]), seed=0)
    drop = together([8.0, 12.0]) - together([1.0, 3.0])
    assert effect.value == pytest.approx(drop)
    assert effect.share == pytest.approx(drop / together([8.0, 12.0]))
    assert effect.kind == "checkerboard"


def test_crops_that_agree_leave_only_what_repairs_are_off_by() -> None:
    effect = effect_of(severity([10.0] * 6), severity([4.0] * 6), seed=0)
    error = ((REPAIR_ERROR_OF_EFFECT * 6) ** 2 + (REPAIR_ERROR_OF_SEVERITY * 10) ** 2 + REPAIR_ERROR_LEAST**2) ** 0.5
    assert (effect.low, effect.high) == (pytest.approx(6 - error), pytest.approx(6 + error))


def test_crops_that_disagree_widen_the_interval() -> None:
    before, after = [18.0, 2.0] * 4, [6.0, 2.0] * 4
    alike = effect_of(severity([together(before)] * 8), severity([together(after)] * 8), seed=0)
    mixed = effect_of(severity(before), severity(after), seed=0)
    assert mixed.value == pytest.approx(alike.value)
    assert mixed.low < alike.low
    assert mixed.high > alike.high


def test_nothing_changed_is_no_effect_and_no_certainty() -> None:
    same = severity([5.0, 7.0, 6.0])
    effect = effect_of(same, same, seed=0)
    assert effect.value == 0
    assert effect.low < 0 < effect.high


def test_a_single_crop_has_no_interval() -> None:
    effect = effect_of(severity([5.0]), severity([1.0]), seed=0)
    assert (effect.low, effect.high) == (None, None)


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1000), min_size=2, max_size=12), st.floats(0, 1.5), st.integers(0, 9))
def test_the_interval_holds_the_value_and_follows_the_seed_alone(grid: list[float], left: float, seed: int) -> None:
    before, after = severity(grid), severity(left * torch.tensor(grid, dtype=torch.float64))
    effect = effect_of(before, after, seed)
    assert effect.low <= effect.value <= effect.high
    assert effect_of(before, after, seed) == effect


@settings(max_examples=30)
@given(st.floats(0, 1))
def test_first_order_is_exact_where_a_repair_takes_a_share_of_the_artifact(share: float) -> None:
    """An artifact of amplitude a reads a^2; to first order, taking a share of it takes 2 share a^2."""
    before = severity([4.0, 4.0, 4.0])
    effect = effect_of_first_order(before, torch.full((3,), 2 * share * 4.0), seed=0)
    assert effect.value == pytest.approx(4.0 * (1 - (1 - share) ** 2), abs=1e-6)


def test_a_first_order_beyond_all_of_it_takes_all_of_it() -> None:
    assert effect_of_first_order(severity([4.0, 4.0]), torch.tensor([20.0, 20.0]), seed=0).value == pytest.approx(4.0)


def with_steps(grid: float, moved: float, slopes: float) -> Severity:
    """One choice of crops with a grid and with steps, in squared data ranges; weak slopes make them many pixels."""
    plain = severity([1.0] * 4)
    one = plain.sums[2].grid

    def relation(power: float) -> SynchronousSums:
        sums = torch.full_like(one.first, power**0.5)
        return one._replace(first=sums, second=sums)

    steps = (relation(moved / slopes),)
    sums = plain.sums[2]._replace(grid=relation(grid), warp=steps, slopes=torch.full((4, 1), slopes).double())
    return Severity(4, {2: sums})


def test_displacing_faint_edges_by_pixels_does_not_outweigh_a_grid_of_more_energy() -> None:
    everything = with_steps(grid=9e-5, moved=1e-5, slopes=1e-4)
    shown = everything.of(torch.ones(1, 4))
    assert float(shown.steps) > float(shown.grid)  # as a viewer counts
    without_grid, without_steps = with_steps(1e-12, 1e-5, 1e-4), with_steps(9e-5, 1e-12, 1e-4)
    by_grid, by_steps = (effect_of(everything, left, seed=0).value for left in (without_grid, without_steps))
    assert by_grid > by_steps


@settings(max_examples=30)
@given(st.floats(0.1, 1000))
def test_an_effect_turns_its_sign_where_before_and_after_are_exchanged(grid: float) -> None:
    one, other = severity([grid] * 3), severity([4.0] * 3)
    assert effect_of(one, other, seed=0).value == pytest.approx(-effect_of(other, one, seed=0).value)
