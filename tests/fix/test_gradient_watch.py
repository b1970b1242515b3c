"""A loss that does nothing says so, once, and only then."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.fix import EdgeAwareLoss, IneffectiveLossWarning
from artifactlab.fix.loss import CHECK_EVERY, PATIENCE


def pair(side: int = 32) -> tuple[Tensor, Tensor]:
    noise, target = torch.rand(2, 2, 1, side, side, generator=torch.Generator().manual_seed(0))
    return (target + 0.2 * noise).requires_grad_(), target


def test_a_weight_too_small_is_told_once_with_the_share_of_the_gradient() -> None:
    output, target = pair()
    loss = EdgeAwareLoss(1e-3)
    with pytest.warns(IneffectiveLossWarning, match=r"gradient is 0\.00\d+ of that of the other losses; raise"):
        (F.l1_loss(output, target) + loss(output, target)).backward()
    for _ in range(2 * CHECK_EVERY):
        value = F.l1_loss(output, target) + loss(output, target)
    value.backward()  # warnings are errors here


def test_a_sum_of_errors_drowns_it_and_balanced_does_not() -> None:
    output, target = pair()
    with pytest.warns(IneffectiveLossWarning, match="balanced"):
        (F.l1_loss(output, target, reduction="sum") + EdgeAwareLoss()(output, target)).backward()
    EdgeAwareLoss().balanced(F.l1_loss(output, target, reduction="sum"), output, target).backward()


def test_it_is_looked_at_again_and_again_as_the_other_losses_may_grow() -> None:
    output, target = pair()
    loss = EdgeAwareLoss()
    for step in range(CHECK_EVERY):
        (10 ** min(4, step) * F.l1_loss(output, target) + loss(output, target)).backward()
    with pytest.warns(IneffectiveLossWarning):
        (1e4 * F.l1_loss(output, target) + loss(output, target)).backward()


@pytest.mark.parametrize("case", ["alone", "elsewhere", "no gradients", "clean", "other content", "off", "overflow"])
def test_where_nothing_is_wrong_nothing_is_said(case: str) -> None:
    output, target = pair()
    loss, main = EdgeAwareLoss(0.0 if case == "off" else 1.0), 1e4 * F.l1_loss(output, target)
    if case == "clean":
        output = target.clone().requires_grad_()
        main = output.sum()
    if case == "other content":
        output = output.flip(3).detach().requires_grad_()
        main = 1e4 * F.l1_loss(output, target)
    if case == "no gradients":
        output = output.detach()
    value = loss(output, target)
    if case == "overflow":
        value = float("inf") * value
    (main if case in ("elsewhere", "no gradients") else value if case == "alone" else main + value).backward()


def test_pairs_that_never_agree_are_told_after_some_patience() -> None:
    output, target = pair()
    output, loss = output.flip(3).detach().requires_grad_(), EdgeAwareLoss()
    loss._passes = PATIENCE  # as after so many
    value = F.l1_loss(output, target) + loss(output, target)
    with pytest.warns(IneffectiveLossWarning, match="after 1000 passes, .* are the pairs registered?"):
        value.backward()


def test_an_output_without_two_periods_is_told_as_the_loss_of_it_is_always_nothing() -> None:
    output, target = pair(7)
    loss = EdgeAwareLoss()
    with pytest.warns(IneffectiveLossWarning, match=r"output of \(7, 7\) has no two periods of \(4, 4\): it is"):
        assert loss(output, target) == 0
    assert loss(output, target) == 0


def test_watching_changes_no_gradient() -> None:
    output, target = pair()
    loss, grads = EdgeAwareLoss(), []
    for _ in range(2):  # the first pass is watched, the second is not
        value = F.l1_loss(output, target) + loss(output, target)
        grads.append(torch.autograd.grad(value, output)[0])
    assert torch.equal(*grads)


def test_a_scaler_s_factor_does_not_matter() -> None:
    output, target = pair()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (2.0**16 * (F.l1_loss(output, target) + EdgeAwareLoss(0.1)(output, target))).backward()
