"""The loss on signals and volumes, and what else of `artifactlab.fix` works along any number of axes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from artifactlab.errors import FixError, InputError
from artifactlab.fix import EdgeAwareLoss
from artifactlab.fix.lattice_terms import lattice_power
from artifactlab.fix.likeness import derivatives, inside
from artifactlab.fix.loss import EDGES, SILENT
from artifactlab.fix.verify import _measurable


def test_the_loss_of_a_volume_has_all_terms_and_a_gradient() -> None:
    loss, target = EdgeAwareLoss(reduction="none"), torch.rand(2, 1, 18, 17, 20)
    output = (target + 0.2 * torch.rand(2, 1, 18, 17, 20)).requires_grad_()
    value = loss(output, target)
    assert value.shape == (2,)
    assert min(loss.terms.values()) > 1e-3
    value.sum().backward()
    assert output.grad is not None
    assert output.grad.any()
    assert loss(target, target).abs().max() == 0


def test_a_signal_that_is_delayed_in_step_with_the_lattice_has_steps() -> None:
    place, loss = torch.arange(256.0), EdgeAwareLoss(periods=[4])

    def tone(at: Tensor) -> Tensor:
        return 0.5 + 0.3 * torch.sin(at / 7)[None, None]

    jitter = (place % 4 - 1.5) / 4
    loss(tone(place + jitter), tone(place))
    slopes = 0.3 / 7 / 2**0.5
    assert loss.terms["steps"].item() == pytest.approx(slopes * jitter.square().mean().sqrt().item(), rel=0.1)
    assert loss.terms["grid"] < 0.2 * loss.terms["steps"]


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_edges_are_the_root_mean_squares_of_differences_along_each_axis(axes: int) -> None:
    target = torch.rand(1, 2, *(12, 11, 9)[:axes], generator=torch.Generator().manual_seed(axes))
    output = target + 0.2 * torch.rand(target.shape, generator=torch.Generator().manual_seed(0))
    loss = EdgeAwareLoss(weights={"grid": 0, "steps": 0})
    value = loss(output, target)
    error = (output - target).double().numpy()
    power = sum(np.mean(np.diff(error, axis=axis) ** 2) for axis in range(2, 2 + axes))
    agreement = lattice_power(output - target, target, (4,) * axes).agreement.item()
    assert agreement > 0.3
    assert loss.terms["edges"].item() == pytest.approx(np.sqrt(power), rel=1e-5)
    assert value.item() == pytest.approx(EDGES * agreement * (np.sqrt(power + SILENT**2) - SILENT), rel=1e-5)


def test_periods_are_one_number_or_one_for_each_axis() -> None:
    volume, other = torch.rand(1, 1, 16, 16, 16), torch.rand(1, 1, 16, 16, 16)
    loss = EdgeAwareLoss(periods=[2, (1, 3, 3)], weights={"edges": 0, "steps": 0})
    loss(volume, other)
    powers = [lattice_power(volume - other, other, lattice) for lattice in ((2, 2, 2), (1, 3, 3))]
    grids = [power.grid + power.modulation for power in powers]
    torch.testing.assert_close(loss.terms["grid"], (sum(grids) / 2).sqrt()[0])
    with pytest.raises(InputError, match=r"period \(4, 4\) has 2 axes, and the output has 3; give one number"):
        EdgeAwareLoss(periods=[(4, 4)])(volume, other)


def test_it_compiles_on_volumes_in_one_graph() -> None:
    torch._dynamo.reset()
    output, target = torch.rand(1, 1, 16, 17, 18), torch.rand(1, 1, 16, 17, 18)
    loss = EdgeAwareLoss()
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(output, target), loss(output, target))


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
    assert _measurable(video, video, [(4, 8, 8)]) == (1, 8, 8)
    assert _measurable([torch.zeros(1, 1, 400)], [torch.zeros(1, 1, 400)], [(8,)]) == (8,)
    with pytest.raises(FixError, match=r"outputs of \(1, 3, 9, 64, 64\) are too small to measure a grid of period 4"):
        _measurable(video, video, [(4, 1, 1)])
    with pytest.raises(FixError, match="lattice lies along 2 axes; name the output"):
        _measurable(video, video, [(8, 8)])
