"""The loss and its terms on signals and volumes: held to images, to slices, and to what a grid of voxels must cost."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from artifactlab.errors import FixError, InputError
from artifactlab.fix import EdgeAwareLoss
from artifactlab.fix.likeness import derivatives, inside
from artifactlab.fix.loss_terms import edge_distances, lattice_distance, phase_patterns
from artifactlab.fix.site_penalty import grid_share
from artifactlab.fix.verify import _measurable

PERIODS = [(2,), (4,), (5,), (2, 2, 2), (1, 2, 2), (3, 1, 2), (4, 1, 1)]
every_period = pytest.mark.parametrize("period", PERIODS, ids=str)


def grid(period: tuple[int, ...], shift: tuple[int, ...], side: int = 24) -> Tensor:
    """One voxel of each cell is brighter by one."""
    bright = torch.ones((), dtype=torch.bool)
    for s, p in zip(shift, period, strict=True):
        bright = bright[..., None] & ((torch.arange(side) + s) % p == 0)
    return bright.double()[None, None]


def zeros_like(image: Tensor) -> Tensor:
    return torch.zeros_like(image)


@every_period
def test_a_grid_costs_the_same_wherever_it_starts(period: tuple[int, ...]) -> None:
    cells = int(np.prod(period))
    expected = 2 * (cells - 1) / cells**2  # one voxel of a cell is brighter than its mean, the others darker
    for shift in itertools.product(*map(range, period)):
        image = grid(period, shift, side=40 if len(period) == 1 else 24)
        assert lattice_distance(image, zeros_like(image), [period]).item() == pytest.approx(expected)


@every_period
def test_ramps_cost_nothing(period: tuple[int, ...]) -> None:
    ramp = torch.zeros((), dtype=torch.float64)
    for slope, size in zip((0.3, -0.7, 0.2), (35, 33, 37)[: len(period)], strict=False):
        ramp = ramp[..., None] + slope * torch.arange(size, dtype=torch.float64)
    assert lattice_distance(ramp[None, None], zeros_like(ramp)[None, None], [period]) < 1e-12


def test_a_signal_costs_what_an_image_of_it_costs() -> None:
    signal, other = torch.rand(2, 3, 61), torch.rand(2, 3, 61)
    rows = [values[:, :, None].expand(-1, -1, 16, -1) for values in (signal, other)]
    for period in (2, 4, 5):
        torch.testing.assert_close(lattice_distance(signal, other, [(period,)]), lattice_distance(*rows, [(1, period)]))


@pytest.mark.parametrize("axis", [2, 3, 4])
def test_a_volume_that_is_the_same_along_an_axis_costs_what_its_slice_costs(axis: int) -> None:
    images = torch.rand(2, 2, 3, 32, 37).unbind(0)
    volumes = [image.unsqueeze(axis).repeat_interleave(16, axis) for image in images]
    for period in ((2, 2), (3, 4)):
        of_volume = list(period)
        of_volume.insert(axis - 2, 1)
        torch.testing.assert_close(
            lattice_distance(*volumes, [tuple(of_volume)]), lattice_distance(*images, [period]), rtol=1e-4, atol=1e-6
        )


def test_axes_may_be_swapped() -> None:
    volume, other = torch.rand(1, 1, 16, 24, 32), torch.rand(1, 1, 16, 24, 32)
    for order in itertools.permutations(range(3)):
        turned = [values.permute(0, 1, *(axis + 2 for axis in order)) for values in (volume, other)]
        period = tuple((2, 3, 4)[axis] for axis in order)
        torch.testing.assert_close(lattice_distance(*turned, [period]), lattice_distance(volume, other, [(2, 3, 4)]))


def test_sums_that_periods_share_are_those_of_each_alone() -> None:
    volume, periods = torch.rand(1, 2, 24, 25, 26), [(2, 2, 2), (4, 4, 4), (1, 2, 2), (1, 4, 4)]
    for period, pattern in zip(sorted(periods, reverse=True), phase_patterns(volume, periods), strict=True):
        torch.testing.assert_close(pattern, phase_patterns(volume, [period])[0])


def test_edges_of_a_volume_are_those_of_its_slices_along_each_axis() -> None:
    output, target = torch.rand(2, 2, 9, 10, 12), torch.rand(2, 2, 9, 10, 12)
    slow = torch.zeros(2, 2)
    for axis in (2, 3, 4):
        count = output.shape[axis]
        for k in range(count):
            of_slice = edge_distances(output.select(axis, k), target.select(axis, k))
            slow += torch.stack(of_slice) / (3 * count)
    torch.testing.assert_close(torch.stack(edge_distances(output, target)), slow)


def test_the_loss_of_a_volume_has_all_terms_and_a_gradient() -> None:
    loss, target = EdgeAwareLoss(reduction="none"), torch.rand(2, 1, 18, 17, 20)
    output = torch.rand(2, 1, 18, 17, 20, requires_grad=True)
    value = loss(output, target)
    assert value.shape == (2,)
    assert sorted(loss.terms) == ["direction", "lattice", "raggedness"]
    value.sum().backward()
    assert output.grad is not None
    assert output.grad.any()
    assert loss(target, target).abs().max() == 0


def test_the_lattice_term_alone_is_left_of_a_signal() -> None:
    loss, target = EdgeAwareLoss(), torch.linspace(0, 1, 64)[None, None]
    tone = 0.1 * (-1.0) ** torch.arange(64)
    assert loss(target + tone, target).item() == pytest.approx(0.5 * 0.1)  # as strong at a period of 2 as of 4
    assert sorted(loss.terms) == ["lattice"]
    assert loss(target, target) == 0
    with pytest.raises(InputError, match="of a signal, 'lattice' is the only term, and its weight is 0"):
        EdgeAwareLoss(weights={"lattice": 0})(target, target)


def test_periods_are_one_number_or_one_for_each_axis() -> None:
    volume, other = torch.rand(1, 1, 16, 16, 16), torch.rand(1, 1, 16, 16, 16)
    weights = {"direction": 0.0, "raggedness": 0.0, "lattice": 1.0}
    both = EdgeAwareLoss(periods=[2, (1, 4, 4)], weights=weights)(volume, other)
    torch.testing.assert_close(both, lattice_distance(volume, other, [(2, 2, 2), (1, 4, 4)])[0])
    with pytest.raises(InputError, match=r"period \(4, 4\) has 2 axes, and the output has 3; give one number"):
        EdgeAwareLoss(periods=[(4, 4)])(volume, other)


def test_it_compiles_on_volumes_in_one_graph() -> None:
    torch._dynamo.reset()
    output, target = torch.rand(1, 1, 16, 17, 18), torch.rand(1, 1, 16, 17, 18)
    loss = EdgeAwareLoss(weights={"direction": 0, "raggedness": 0})
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(output, target), loss(output, target))


@every_period
def test_the_share_of_a_grid_is_that_of_its_phases_in_the_variance(period: tuple[int, ...]) -> None:
    side = 40 if len(period) == 1 else 24
    cell = torch.rand(3, 1, *period, dtype=torch.float64)
    drawn = cell.repeat(1, 1, *[side // p for p in period])
    ramp = torch.linspace(0, 1, side, dtype=torch.float64).expand_as(drawn)  # a channel without a grid
    of_cell, of_ramp = (np.var(values.numpy(), axis=tuple(range(1, values.ndim))) for values in (cell, ramp))
    expected = (of_cell / (of_cell + of_ramp)).mean()
    assert grid_share(torch.cat([drawn, ramp], 1), period).item() == pytest.approx(expected, rel=1e-6)


def test_derivatives_run_along_each_axis() -> None:
    for axes in (1, 2, 3):
        slopes, ramp = (0.5, -0.2, 0.7)[:axes], torch.zeros(())
        for slope in slopes:
            ramp = ramp[..., None] + slope * torch.arange(20.0)
        found = derivatives(ramp[None, None])
        assert len(found) == axes
        means = sorted(part.flatten(2)[..., 4:-4].median().item() for part in found)
        assert means == pytest.approx(sorted(slopes), abs=1e-4)


def test_the_border_is_left_out_and_few_frames_stay() -> None:
    assert inside(torch.zeros(1, 1, 5, 64, 64), (1, 4, 8)).shape == (1, 1, 1, 48, 32)
    assert inside(torch.zeros(1, 1, 2, 64, 64), (1, 2, 2)).shape == (1, 1, 2, 56, 56)
    assert inside(torch.zeros(1, 1, 100), (8,)).shape == (1, 1, 68)


def test_a_fix_is_checked_along_the_axes_that_are_long_enough() -> None:
    video = [torch.zeros(1, 3, 9, 64, 64)]
    assert _measurable(video, video, (4, 8, 8)) == (1, 8, 8)
    assert _measurable([torch.zeros(1, 1, 400)], [torch.zeros(1, 1, 400)], (8,)) == (8,)
    with pytest.raises(FixError, match=r"outputs of \(1, 3, 9, 64, 64\) are too small to measure a grid of period 4"):
        _measurable(video, video, (4, 1, 1))
    with pytest.raises(FixError, match="lattice lies along 2 axes; name the output"):
        _measurable(video, video, (8, 8))
