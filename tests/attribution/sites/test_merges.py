"""Merges in running models: every spelling is found, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.attribution.sites.capture import watch
from artifactlab.attribution.sites.merges import Merge

SkipNet = Callable[[Any], nn.Module]


def in_place(a: Tensor, b: Tensor) -> Tensor:
    a += b
    return a


def merges(model: nn.Module, x: Tensor) -> list[tuple[tuple[str, str, int], Tensor, Tensor]]:
    seen: list[tuple[tuple[str, str, int], Tensor, Tensor]] = []

    def collect(merge: Merge) -> None:
        seen.append((merge.key, merge.upsampled.clone(), merge.skipped.clone()))

    with watch(model, lambda visit: None, merged=collect), torch.no_grad():
        model(x)
    return seen


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (lambda a, b: torch.cat([a, b], 1), "cat"),
        (lambda a, b: torch.cat((b, a), dim=1), "cat"),
        (lambda a, b: torch.cat(tensors=[b, a], dim=-3), "cat"),
        (lambda a, b: torch.concat([a, b], dim=1), "cat"),
        (lambda a, b: torch.concatenate([a, b], 1), "cat"),
        (lambda a, b: a + b, "add"),
        (lambda a, b: b + a, "add"),
        (lambda a, b: a.add(b), "add"),
        (torch.add, "add"),
        (lambda a, b: torch.add(input=b, other=a), "add"),
        (lambda a, b: a.add_(b), "add"),
        (lambda a, b: b.add_(a), "add"),
        (in_place, "add"),
        (lambda a, b: F.relu(a.clone()) + F.relu(b), "add"),
        (lambda a, b: sum([a, b]), "add"),
    ],
)
def test_every_spelling_of_a_merge_is_found_with_its_operands(
    skip_net: SkipNet, function: Any, op: str, image: Tensor
) -> None:
    model = skip_net(function)
    ((key, upsampled, skipped),) = merges(model, image)
    assert key == ("dec", op, 0)
    double = image + image
    with torch.no_grad():
        skip = model.dec.fine(double)
        up = F.interpolate(model.dec.coarse(F.avg_pool2d(double, 2)), scale_factor=2, mode="bilinear")
    relu = function(up.clone(), skip.clone()).min() >= 0 and op == "add"  # the one case that changes its operands first
    assert torch.equal(upsampled, F.relu(up) if relu else up)
    assert torch.equal(skipped, F.relu(skip) if relu else skip)


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: torch.cat([a, b], 0)[:1],
        lambda a, b: torch.cat([a, b], 3),
        lambda a, b: a + a.tanh(),
        lambda a, b: (a + 1) + torch.ones(6, 1, 1),
        lambda a, b: a + F.conv2d(a, torch.ones(6, 6, 1, 1)),
        lambda a, b: a * b,
    ],
    ids=["batch", "width", "residual", "constants", "residual conv", "product"],
)
def test_what_joins_no_two_ways_is_no_merge(skip_net: SkipNet, function: Any, image: Tensor) -> None:
    assert merges(skip_net(function), image) == []


def test_nothing_is_seen_in_an_encoder_or_in_a_net_without_upsampling(image: Tensor) -> None:
    class Encoder(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x + x.tanh(), x], 1)

    assert merges(Encoder(), image) == []


def test_two_upsampled_branches_that_meet_are_a_merge_and_keys_count_up(skip_net: SkipNet, image: Tensor) -> None:
    def both(a: Tensor, b: Tensor) -> Tensor:
        other = F.interpolate(b[..., ::2, ::2], scale_factor=2)
        return (a + other) + b

    keys = [key for key, _, _ in merges(skip_net(both), image)]
    assert keys == [("dec", "add", 0), ("dec", "add", 1)]


def test_small_merges_are_counted_but_not_visited(skip_net: SkipNet, image: Tensor) -> None:
    def twice(a: Tensor, b: Tensor) -> Tensor:
        small = a[..., :16, :16] + b[..., :16, :16]
        return (
            torch.cat([a, b], 1)
            + F.pad(small, (0, a.shape[3] - 16, 0, a.shape[2] - 16)).repeat(1, 2, 1, 1)
            + (torch.cat([b, b], 1))
        )

    assert [key for key, _, _ in merges(skip_net(twice), image)] == [("dec", "cat", 0), ("dec", "add", 1)]


def test_a_skip_that_passes_through_a_module_unchanged_stays_a_skip(skip_net: SkipNet, image: Tensor) -> None:
    class Pass(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
            return a, b

    carry = Pass()
    model = skip_net(lambda a, b: torch.cat(carry(a, b), 1))
    model.carry = carry
    assert len(merges(model, image)) == 1


def test_watching_merges_leaves_outputs_bit_identical(skip_net: SkipNet, image: Tensor) -> None:
    model = skip_net(in_place)
    state = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        plain = model(image)
        with watch(model, lambda visit: None, merged=lambda merge: None):
            watched = model(image)
    assert torch.equal(plain, watched)
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
