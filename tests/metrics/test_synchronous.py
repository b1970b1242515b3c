"""Sums of blocks whose power, chance, other frequencies, drift and agreement are known by construction."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from artifactlab.metrics.significance import MAX_DRIFT, confirmed, evidence, significant
from artifactlab.metrics.synchronous import SynchronousSums, as_spectrum, components_of
from artifactlab.metrics.synchronous_averaging import ROUNDING_VARIANCE, synchronous_sums

MULTIPLICITIES = (2, 1)
"""a complex frequency and a real one"""
SIDE = 12


def blocks_of(items, value, noise, seed=0, side=SIDE, channels=1):
    """`(items, channels, side, side, 2)` blocks that all have `value`, plus complex noise; the second one is real."""
    rng = np.random.default_rng(seed)
    shape = (items, channels, side, side)
    first = value + noise * (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / math.sqrt(2)
    second = np.real(value) + noise * rng.normal(size=shape)
    return torch.from_numpy(np.stack([first, second + 0j], -1))


def sums_of(blocks, squares=0.0):
    """Halves are every other block, each of weight 1."""
    rows, columns = np.indices(blocks.shape[2:4])
    odd = torch.from_numpy((rows + columns) % 2).double()
    halves = (blocks * (1 - odd)[..., None], blocks * odd[..., None])
    weights = tuple(half.expand(len(blocks), *half.shape) for half in (1 - odd, odd))
    return single(halves, weights, torch.full((len(blocks),), squares, dtype=torch.float64))


def single(halves, weights, squares):
    """Of one lattice."""
    first, second = weights
    (sums,) = synchronous_sums(halves, (first[..., None], second[..., None]), squares[:, None], [MULTIPLICITIES])
    return sums


def test_the_power_is_that_of_both_a_frequency_and_its_conjugate():
    sums = sums_of(blocks_of(1, 0.3 + 0.4j, 0))
    assert float(sums.power()) == pytest.approx(2 * 0.5**2 + 0.3**2)
    np.testing.assert_allclose(as_spectrum(sums.first + sums.second, MULTIPLICITIES)[0, 0] / SIDE**2, [0.3 + 0.4j, 0.3])


@pytest.mark.parametrize(("value", "least", "most"), [(0.0, 1.0, 1.5), (0.1, 0.9, 1.3), (0.5, 0.9, 1.1)])
def test_the_power_is_unbiased_and_its_error_is_what_it_varies_by(value, least, most):
    """Over 400 images; where there is no lattice the error is a third too careful, never too small."""
    sums = sums_of(blocks_of(400, value, 1.0))
    power = sums.power().numpy()
    assert abs(power.mean() - 3 * value**2) < 3 * power.std() / math.sqrt(len(power))
    assert least < float(sums.error().mean()) / power.std() < most


def test_chance_is_the_square_that_noise_adds_up_to_and_is_never_less_than_rounding():
    sums = sums_of(blocks_of(50, 0.0, 0.5))
    unsure = 1 + 8 / (SIDE**2 - 9)  # for the number of frequencies it is estimated from
    np.testing.assert_allclose(sums.chance.mean(0), [0.25 * SIDE**2 * unsure] * 3, rtol=0.1)
    assert float(evidence([sums]).mean()) == pytest.approx(1 / unsure, abs=0.2)
    silent = sums_of(blocks_of(1, 0.1, 0), squares=7.0)
    np.testing.assert_allclose(silent.chance, [[7.0 * ROUNDING_VARIANCE * unsure] * 3], rtol=1e-6)


def test_noise_is_accused_no_more_often_than_once_in_a_thousand_images_and_a_lattice_is_seen():
    noise, lattice = sums_of(blocks_of(3000, 0.0, 1.0)), sums_of(blocks_of(100, 0.8, 1.0))
    assert int(significant([noise]).sum()) <= 3
    assert int(confirmed([noise]).sum()) <= 3
    assert int(confirmed([lattice]).sum()) >= 99


def test_more_than_chance_is_needed_from_few_frequencies_than_from_many():
    sums = sums_of(blocks_of(1, 0.0, 1.0))._replace(chance=torch.ones(1, 3, dtype=torch.float64))
    once = sums._replace(first=torch.full((1, 1, 3), math.sqrt(3.5)), second=torch.zeros(1, 1, 3))
    assert float(evidence([once])) == pytest.approx(3.5)
    assert not significant([once])
    assert significant([once] * 10)
    assert significant([once], 1.0)


def test_however_many_frequencies_there_are_twice_chance_is_needed():
    """They are not quite independent."""
    sums = sums_of(blocks_of(1, 0.0, 1.0))._replace(chance=torch.ones(1, 3), second=torch.zeros(1, 1, 3))
    for squares, enough in ((1.9, False), (2.1, True)):
        one = sums._replace(first=torch.full((1, 1, 3), math.sqrt(squares)))
        assert bool(significant([one] * 60)) == enough


def test_relations_are_judged_together():
    """Two that prove nothing alone may do so together: evidence is averaged over all their frequencies."""
    weak = sums_of(blocks_of(200, 0.13, 1.0, seed=1)), sums_of(blocks_of(200, 0.13, 1.0, seed=2))
    alone, both = [int(confirmed([one]).sum()) for one in weak], int(confirmed(weak).sum())
    assert both > max(alone)


@pytest.mark.parametrize("cycles", [(2, 0), (0, 3), (2, 2), (5, 1)])
def test_a_pattern_of_a_spacing_beside_the_lattices_is_no_lattice(cycles):
    """Its phase turns by whole cycles over the image, so it is the best of the frequencies beside."""
    rows, columns = np.indices((SIDE, SIDE)) / SIDE
    turn = torch.from_numpy(np.exp(2j * math.pi * (cycles[0] * rows + cycles[1] * columns)))
    sums = sums_of(blocks_of(1, 0.5, 0.1) * torch.stack([turn, turn.real + 0j], -1))
    assert float(sums.best_neighbour / sums.weight) > 10
    assert not confirmed([sums])


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("cycles", [0.0, 0.08, 0.3, -0.3])
def test_a_phase_that_drifts_over_the_image_is_told_in_cycles(axis, cycles):
    """Of the complex frequency alone, as a real one has no phase."""
    place = (np.indices((SIDE, SIDE))[axis] + 0.5) / SIDE - 0.5
    turn = torch.from_numpy(np.exp(2j * math.pi * cycles * place))
    sums = sums_of(blocks_of(1, 1.0, 0.02) * torch.stack([turn, torch.ones_like(turn)], -1))
    drift = (sums.drift / sums.drift_weight)[0]
    assert float(drift[axis]) == pytest.approx(cycles**2, rel=0.2, abs=1e-4)
    assert abs(float(drift[1 - axis])) < 1e-3
    assert bool(confirmed([sums])) == (cycles**2 < MAX_DRIFT)


def test_the_drift_of_noise_is_none_on_average():
    """The blocks' noise alone would turn a phase; what it adds is taken off."""
    sums = sums_of(blocks_of(300, 0.3, 1.0))
    drift = (sums.drift / sums.drift_weight[:, None]).numpy()
    assert np.abs(drift.mean(0)).max() < 4 * drift.std() / math.sqrt(len(drift))


def test_halves_that_contradict_each_other_are_no_lattice():
    """As of a pattern that stands still beside edges, which rise and fall."""
    blocks = blocks_of(1, 1.0, 0.02)
    rows, columns = np.indices((SIDE, SIDE))
    odd = torch.from_numpy(((rows + columns) % 2).astype(float))
    halves = (blocks * (1 - odd)[..., None], -0.5 * blocks * odd[..., None])
    weights = ((1 - odd)[None], odd[None])
    sums = single(halves, weights, torch.zeros(1, dtype=torch.float64))
    agreed, whole = sums.agreement()
    assert agreed < 0 < whole
    assert float(sums.power()) == pytest.approx(-0.5 * 3, rel=0.01)
    assert not confirmed([sums])
    assert confirmed([sums_of(blocks)])


def test_where_one_half_has_hardly_any_weight_the_whole_is_taken_less_chance():
    blocks = blocks_of(1, 1.0, 0.1)
    everything, nothing = torch.ones(1, SIDE, SIDE).double(), torch.full((1, SIDE, SIDE), 1e-3).double()
    sums = single((blocks, 1e-3 * blocks), (everything, nothing), torch.zeros(1).double())
    squares = (sums.first + sums.second).square().sum()
    expected = float((squares - sums.chance.sum()) / sums.weight**2)
    assert float(sums.power()) == pytest.approx(expected)
    assert confirmed([sums])


@pytest.mark.parametrize("side", [1, 2, 3])
def test_of_too_few_blocks_nothing_is_told(side):
    sums = sums_of(blocks_of(1, 1.0, 0.01, side=side))
    assert not confirmed([sums])
    assert float(evidence([sums])) <= side**2 / 4 + 1e-6, "as much as all of them in step"


def test_content_on_one_line_cannot_tell_the_frequencies_along_it_from_none():
    """A single edge: cycles across the line beat with nothing, so they are no chance."""
    weight = torch.zeros(1, SIDE, SIDE, dtype=torch.float64)
    weight[:, 4] = 1
    blocks = blocks_of(1, 1.0, 0.05) * weight[0, ..., None]
    halves = (blocks * 0.5, blocks * 0.5)
    sums = single(halves, (weight / 2, weight / 2), torch.zeros(1).double())
    assert float(sums.chance.max()) < 0.1 * float((sums.first + sums.second).square().max())
    assert confirmed([sums])


def test_channels_are_averaged_in_power():
    loud, silent = blocks_of(1, 1.0, 0.1), blocks_of(1, 0.0, 0.1, seed=1)
    both = sums_of(torch.cat([loud, silent], 1))
    expected = (sums_of(loud).power() + sums_of(silent).power()) / 2
    assert float(both.power()) == pytest.approx(float(expected))


def test_a_choice_of_frequencies_has_their_power_and_both_their_numbers():
    sums = sums_of(blocks_of(1, 0.3 + 0.4j, 0))
    both, real = components_of([True, False], MULTIPLICITIES), components_of([False, True], MULTIPLICITIES)
    assert (both.tolist(), real.tolist()) == ([True, True, False], [False, False, True])
    assert float(sums.selected(both).power()) == pytest.approx(2 * 0.5**2)
    assert float(sums.selected(real).power()) == pytest.approx(0.3**2)


def test_a_coefficient_is_nothing_and_may_be_anything_where_the_halves_weights_cancel() -> None:
    first = torch.full((3, 1, 2), 0.1)
    sums = SynchronousSums(
        *(first, first, torch.tensor([2.0, 1.0, 0.0]), torch.tensor([2.0, -0.999, 0.0])),
        *(torch.full((3, 2), 4.0), torch.zeros(3), torch.zeros(3, 1), torch.zeros(3)),
    )
    coefficients, chance = sums.coefficients()
    assert coefficients[:, 0, 0].tolist() == pytest.approx([0.05, 0, 0])
    assert chance[:, 0].tolist() == [0.25, 1, 1]
