"""What `EdgeAwareLoss` promises whoever trains with it."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix import EdgeAwareLoss
from artifactlab.fix.gradient_watch import IneffectiveLossWarning
from artifactlab.fix.lattice_terms import LatticePower, lattice_power
from artifactlab.fix.loss import EDGES, SCALE, SILENT, WEIGHTS


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def pair(batch: int = 3, channels: int = 3, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Noise on an oblique edge, and the edge; each image with noise of its own strength."""
    t = torch.arange(32, dtype=dtype)
    edge = torch.sigmoid(t[:, None] - 0.4 * t - 10).expand(batch, channels, 32, 32)
    strength = torch.linspace(0.1, 0.4, batch, dtype=dtype)[:, None, None, None]
    return edge + strength * noise(batch, channels, 32, 32, dtype=dtype), edge


# --- what it returns ---


def edge_power(error: Tensor) -> float:
    """Written again in numpy, of one item."""
    return float(sum(np.mean(np.diff(error.detach().double().numpy(), axis=axis) ** 2) for axis in (2, 3)))


def root(power: Tensor | float) -> float:
    return (float(power) + SILENT**2) ** 0.5 - SILENT


def test_it_is_two_roots_of_weighted_powers_which_are_kept_unweighted_and_detached() -> None:
    output, target = pair(1)
    output.requires_grad_()
    loss = EdgeAwareLoss(loss_weight=0.5, periods=[2, (3, 1)], weights={"steps": 7.0, "edges": 0.3})
    value = loss(output, target)
    powers = [lattice_power(output - target, target, lattice) for lattice in ((2, 2), (3, 1))]
    grid, modulation, steps = (sum(parts).item() / 2 for parts in list(zip(*powers, strict=True))[:3])
    agreement = sum(power.agreement for power in powers).item() / 2
    edges = edge_power(output - target)
    roots = EDGES * root(0.3 * edges) + SCALE * root(grid + modulation + 7 * steps)
    assert value.item() == pytest.approx(0.5 * agreement * roots, rel=1e-5)
    expected = {"edges": edges, "grid": grid + modulation, "steps": steps}
    assert {name: term.item() for name, term in loss.terms.items()} == pytest.approx(
        {name: power**0.5 for name, power in expected.items()}, rel=1e-5
    )
    assert not any(term.requires_grad for term in loss.terms.values())
    assert min(loss.terms.values()) > 1e-4


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_weight_of_zero_switches_a_term_off(name: str) -> None:
    output, target = (part[:1] for part in pair())
    agreement = lattice_power(output - target, target, (4, 4)).agreement.item()
    rest, alone = EdgeAwareLoss(weights={name: 0}), EdgeAwareLoss(weights=dict.fromkeys(WEIGHTS, 0) | {name: 1})
    of_rest, of_one = (loss(output, target).item() / agreement for loss in (rest, alone))
    powers = {term: value.item() ** 2 for term, value in rest.terms.items()}
    parts = {term: (EDGES if term == "edges" else SCALE) * root(power) for term, power in powers.items()}
    assert of_one == pytest.approx(parts[name], rel=1e-4)
    lattice = SCALE * root(sum(power for term, power in powers.items() if term not in (name, "edges")))
    assert of_rest == pytest.approx(lattice + (parts["edges"] if name != "edges" else 0), rel=1e-4)


def test_reductions_agree() -> None:
    output, target = pair()
    each, mean, total = (EdgeAwareLoss(reduction=reduction)(output, target) for reduction in ("none", "mean", "sum"))
    assert each.shape == (3,)
    assert each.unique().numel() == 3
    torch.testing.assert_close(mean, each.mean())
    torch.testing.assert_close(total, each.sum())


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(4)))
def test_images_do_not_know_of_each_other(order: list[int]) -> None:
    output, target = pair(4)
    loss = EdgeAwareLoss(reduction="none")
    expected = torch.cat([loss(output[k : k + 1], target[k : k + 1]) for k in order])
    torch.testing.assert_close(loss(output[order], target[order]), expected)


@pytest.mark.parametrize("channels", [2, 3, 7])
def test_any_number_of_equal_channels_counts_as_one(channels: int) -> None:
    output, target = pair(channels=1)
    many = EdgeAwareLoss()(output.expand(-1, channels, -1, -1), target.expand(-1, channels, -1, -1))
    torch.testing.assert_close(many, EdgeAwareLoss()(output, target))


def test_it_is_in_the_units_of_the_images_as_an_l1_is() -> None:
    output, target = pair()
    scaled, plain = EdgeAwareLoss(data_range=255), EdgeAwareLoss()
    torch.testing.assert_close(scaled(255 * output, 255 * target), 255 * plain(output, target))
    torch.testing.assert_close(scaled.terms, {name: 255 * term for name, term in plain.terms.items()})
    pixels = (255 * target).to(torch.uint8)
    torch.testing.assert_close(scaled(255 * output, pixels), scaled(255 * output, pixels.float()))


def test_a_period_that_divides_another_is_looked_for_with_it() -> None:
    output, target = pair()
    expected = EdgeAwareLoss(periods=[4])(output, target)
    assert EdgeAwareLoss(periods=[2, 4, (4, 4), (1, 2)])(output, target) == expected
    board = (0.1 * (-1.0) ** torch.arange(32)).expand(1, 1, 32, 32)
    loss = EdgeAwareLoss(periods=[4])
    loss(board, torch.zeros_like(board))
    assert loss.terms["grid"].item() == pytest.approx(0.1, rel=1e-4)


def strength(loss: EdgeAwareLoss, output: Tensor, target: Tensor) -> float:
    """The norm of its gradient on the output, in those of an L1's."""
    output = output.clone().requires_grad_()
    of_it, of_l1 = (torch.autograd.grad(part(output, target), output)[0].norm() for part in (loss, F.l1_loss))
    return float(of_it / of_l1)


@pytest.mark.parametrize("height", [0.05, 0.2, 0.5])
def test_the_gradients_of_both_roots_have_their_norms_whatever_the_height(height: float) -> None:
    t = torch.arange(64.0)
    target = 0.5 + 0.3 * torch.sin(t / 9) * torch.cos(t[:, None] / 7).expand(2, 3, 64, 64)
    stripes = target + height * (-1.0) ** t * noise(64, 64)
    static = target + height * (noise(2, 3, 64, 64) - 0.5)
    agreement = lattice_power(static - target, target, (4, 4)).agreement.mean().item()
    for weight in (1, 10, 90):
        lattice = EdgeAwareLoss(weight, weights={"edges": 0})
        assert strength(lattice, stripes, target) == pytest.approx(weight * SCALE, rel=0.15)
        edges = EdgeAwareLoss(weight, weights={"grid": 0, "steps": 0})
        white = 5**0.5  # norms of what the Laplacian leaves of noise, (1, 1, 1, 1, -4), over that of two (1, -1)
        assert strength(edges, static, target) == pytest.approx(agreement * weight * EDGES * white, rel=0.1)


def test_edges_of_a_checkerboard_have_the_largest_gradient_and_smooth_ones_a_small_one() -> None:
    t = torch.arange(64.0)
    target = (0.5 + 0.3 * torch.sin(t / 9) * torch.cos(t[:, None] / 7))[None, None]
    edges = EdgeAwareLoss(weights={"grid": 0, "steps": 0})
    board = 0.1 * (-1.0) ** (t + t[:, None])
    assert strength(edges, target + board, target) == pytest.approx(8**0.5 * EDGES, rel=0.02)
    assert strength(edges, target + 0.03 * torch.sin(t / 5), target) < EDGES


def test_an_image_that_shows_something_else_counts_for_nothing() -> None:
    """As its artifacts would follow its own content: a font's glyph in another place."""
    other, target = noise(2, 1, 32, 32)
    loss = EdgeAwareLoss()
    assert loss(F.avg_pool2d(4 * other[None], 1), target[None]) == 0
    assert loss(target[None] + 0.1 * (other[None] > 0.5), target[None]) > 0.01


# --- beside other losses ---


def test_beside_an_l1_balanced_is_the_plain_sum() -> None:
    output, target = pair()
    output.requires_grad_()
    main, loss = F.l1_loss(output, target), EdgeAwareLoss()
    torch.testing.assert_close(loss.balanced(main, output, target), main + loss(output, target))


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e4])
def test_balanced_does_not_depend_on_the_main_loss_scale(factor: float) -> None:
    output, target = pair()
    output.requires_grad_()
    grads = []
    for scale in (1.0, factor):
        main = scale * F.mse_loss(output, target)
        grads.append(torch.autograd.grad(EdgeAwareLoss().balanced(main, output, target), output)[0])
    torch.testing.assert_close(grads[1], factor * grads[0], rtol=1e-3, atol=1e-6 * factor * float(grads[0].abs().max()))
    error = (output - target).square().mean().sqrt()
    main = factor * F.mse_loss(output, target)
    value = EdgeAwareLoss().balanced(main, output, target)
    torch.testing.assert_close(value, main + factor * 2 * error * EdgeAwareLoss()(output, target))


def test_balanced_asks_for_a_main_loss_of_this_output() -> None:
    output, target = pair()
    output.requires_grad_()
    elsewhere = F.l1_loss(output.clone().detach().requires_grad_(), target)
    with pytest.raises(InputError, match="main does not depend on output; compute it from the very tensor"):
        EdgeAwareLoss().balanced(elsewhere, output, target)
    with pytest.raises(InputError, match="balanced needs the reduction 'mean', as main is a scalar, got 'none'"):
        EdgeAwareLoss(reduction="none").balanced(F.l1_loss(output, target), output, target)
    output = output.detach()
    validation = EdgeAwareLoss().balanced(F.l1_loss(output, target), output, target)
    assert validation > F.l1_loss(output, target)


# --- numbers ---


def test_autocast_changes_nothing_and_is_off_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    output, target = pair()
    casts = []

    def power(*arguments: Any) -> LatticePower:
        casts.append(torch.is_autocast_enabled("cpu"))
        return lattice_power(*arguments)

    monkeypatch.setattr("artifactlab.fix.loss.lattice_power", power)
    output.requires_grad_()
    grads = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = EdgeAwareLoss()(output, target)
        assert loss.dtype == torch.float32
        grads.append((loss.item(), *torch.autograd.grad(loss, output)))
    torch.testing.assert_close(grads[1], grads[0], rtol=0, atol=0)
    assert casts == [False, False]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_goes_in_and_single_precision_comes_out(dtype: torch.dtype) -> None:
    output, target = (part.to(dtype) for part in pair())
    output.requires_grad_()
    loss = EdgeAwareLoss()(output, target)
    assert loss == EdgeAwareLoss()(output.float(), target.float())
    assert loss.dtype == torch.float32
    loss.backward()
    assert output.grad.dtype == dtype
    assert output.grad.isfinite().all()


def test_double_precision_stays() -> None:
    output, target = pair(dtype=torch.float64)
    loss = EdgeAwareLoss()
    value = loss(output, target)
    assert {value.dtype, *(term.dtype for term in loss.terms.values())} == {torch.float64}
    assert 0 < abs(value - EdgeAwareLoss()(output.float(), target.float())) < 1e-6


def test_gradients_are_those_of_finite_differences() -> None:
    target = noise(1, 2, 20, 18, dtype=torch.float64)
    output = noise(1, 2, 20, 18, seed=1, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: EdgeAwareLoss()(x, target), output, fast_mode=True)


def test_no_gradient_reaches_the_target() -> None:
    output, target = (part.clone().requires_grad_() for part in pair())
    EdgeAwareLoss()(output, target).backward()
    assert output.grad.any()
    assert target.grad is None


NOISE, PHOTO = pair(1)
EXTREMES = {
    "two black": (torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32)),
    "two gray": (torch.full((1, 3, 32, 32), 0.5), torch.full((1, 3, 32, 32), 0.1)),
    "flat output": (torch.full((1, 3, 32, 32), 0.5), PHOTO),
    "flat target": (PHOTO, torch.full((1, 3, 32, 32), 0.5)),
    "equal": (PHOTO, PHOTO),
    "faint": (1e-20 * PHOTO, 1e-20 * NOISE),
    "loud": (1e4 * PHOTO - 5e3, -1e4 * NOISE),
    "tiny": (PHOTO[..., :3, :3], NOISE[..., :3, :3]),
    "narrow": (PHOTO[..., :1], NOISE[..., :1]),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_loss_and_gradients_are_finite_whatever_the_values(name: str) -> None:
    output, target = EXTREMES[name]
    output = output.clone().requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IneffectiveLossWarning)  # of those too small
        loss = EdgeAwareLoss()(output, target)
    loss.backward()
    assert loss.isfinite()
    assert output.grad.isfinite().all()
    if name in ("equal", "two black", "tiny", "narrow"):
        assert loss == 0
        assert not output.grad.any()


# --- as a module ---


def test_it_compiles_in_one_graph_and_keeps_its_terms() -> None:
    """As it is by default it is compiled beside a `SitePenalty`, in `test_losses_in_parallel.py`."""
    torch._dynamo.reset()
    arguments: dict[str, Any] = {"reduction": "none", "periods": [(4, 4), (1, 3)], "weights": {"grid": 0}}
    output, target = pair()
    output.requires_grad_()
    plain = EdgeAwareLoss(**arguments)
    compiled = torch.compile(EdgeAwareLoss(**arguments), fullgraph=True, backend="aot_eager")
    values = [loss(output, target) for loss in (plain, compiled)]
    torch.testing.assert_close(values[1], values[0])
    torch.testing.assert_close(compiled.terms, plain.terms)
    grads = [torch.autograd.grad(value.sum(), output)[0] for value in values]
    torch.testing.assert_close(grads[1], grads[0])


def test_it_has_no_state_and_survives_copies_and_pickles() -> None:
    output, target = pair()
    loss = EdgeAwareLoss(periods=[3], weights={"grid": 9.0}, data_range=2.0)
    expected = loss(output.requires_grad_(), target)
    assert not loss.state_dict()
    assert not [*loss.parameters(), *loss.buffers()]
    for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss)), loss.half()):
        assert twin.terms == loss.terms
        assert twin(output, target) == expected
    assert "periods=(3,)" in repr(loss)
    assert "data_range=2.0" in repr(loss)


# --- what it is for ---


def trained(loss: nn.Module | None) -> float:
    """The power of the grid that is left of one of 30% when a decoder is trained on noisy images with L1 and `loss`."""
    up = nn.ConvTranspose2d(1, 1, 3, 2, 1, output_padding=1)
    ramp = torch.tensor([0.5, 1.0, 0.5])
    with torch.no_grad():
        up.weight.copy_(torch.outer(ramp, ramp))
        up.weight[..., 1, 1] *= 1.3  # reaches one pixel of four
        up.bias.zero_()
    optimiser = torch.optim.Adam(up.parameters(), 0.003)
    clean = F.interpolate(noise(4, 1, 6, 6), (48, 48), mode="bicubic")
    noisy = clean + 0.4 * (noise(4, 1, 48, 48, seed=1) - 0.5)
    inside = (..., slice(4, 44), slice(4, 44))  # a transposed convolution reads zeros beyond the border
    for _ in range(40):
        output = up(F.avg_pool2d(noisy, 2))[inside]
        total = F.l1_loss(output, noisy[inside]) + (loss(output, noisy[inside]) if loss else 0)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
    return lattice_power(up(F.avg_pool2d(clean, 2))[inside] - clean[inside], clean[inside], (2, 2)).grid.mean().item()


def test_training_with_it_leaves_less_of_a_grid_than_without() -> None:
    assert trained(EdgeAwareLoss(periods=[2])) < 0.25 * trained(None)
