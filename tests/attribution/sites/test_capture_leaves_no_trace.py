"""Capture and diagnose leave weights, buffers, flags, hooks, gradients and random numbers as they were."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab import ModelError

IMAGE = torch.rand(1, 4, 32, 32, generator=torch.Generator().manual_seed(1))


class Stateful(nn.Module):
    """Batch norm, dropout, an in-place ReLU after the site, mixed train flags."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.ReLU(inplace=True)
        )
        self.drop = nn.Dropout(0.5)
        self.frozen = nn.BatchNorm2d(4).eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.frozen(self.drop(self.body(x)))


def everything(model: nn.Module) -> dict[str, Any]:
    """What must not change: weights, buffers, flags, hooks, gradients."""
    return {
        "state": {key: value.clone() for key, value in model.state_dict().items()},
        "flags": [module.training for module in model.modules()],
        "hooks": [
            [len(m._forward_hooks), len(m._forward_pre_hooks), len(m._forward_hooks_with_kwargs)]
            for m in model.modules()
        ],
        "grads": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
    }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def random_state() -> tuple[Any, ...]:
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()


def test_a_captured_training_step_is_bit_identical_to_a_plain_one() -> None:
    def step(model: nn.Module, watched: bool) -> tuple[Tensor, dict[str, Any], Any]:
        torch.manual_seed(7)
        if watched:
            with artifactlab.capture(model) as cap:
                out = model(IMAGE)
            assert len(cap.sites) == 1
        else:
            out = model(IMAGE)
        out.square().mean().backward()
        return out, everything(model), random_state()

    model = Stateful().train()
    model.frozen.eval()
    twin = copy.deepcopy(model)
    plain, watched = step(model, watched=False), step(twin, watched=True)
    assert torch.equal(plain[0], watched[0])
    assert same(plain[1], watched[1])
    assert plain[2] == watched[2]


def test_diagnose_leaves_no_trace_on_the_model_or_the_random_state() -> None:
    model = Stateful().train()
    model.frozen.eval()
    model(IMAGE).mean().backward()
    before, state = everything(model), random_state()
    artifactlab.diagnose(model, IMAGE)
    assert same(before, everything(model))
    assert state == random_state()


def test_an_exception_in_the_middle_leaves_no_trace() -> None:
    model = Stateful().train()
    features = torch.rand(1, 8, 8, 8)
    before, state = everything(model), random_state()

    def explode(module: nn.Module, args: Any, output: Tensor) -> None:
        raise ValueError("in the middle")

    handle = model.body[2].register_forward_hook(explode)
    with pytest.raises(ModelError, match="in the middle"):
        artifactlab.diagnose(model, IMAGE)
    with pytest.raises(ValueError, match="in the middle"), artifactlab.capture(model):
        model.body[2](features)
    handle.remove()
    assert same(before, everything(model))
    assert state == random_state()


def test_parameters_that_a_model_writes_to_are_put_back_and_passes_do_not_drift() -> None:
    class PowerIteration(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.u = nn.Parameter(torch.ones(1), requires_grad=False)

        def forward(self, x: Tensor) -> Tensor:
            self.u.mul_(1.5)
            grid = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(32, 32) * 0.1 / self.u
            smooth = F.interpolate(x, scale_factor=2, mode="bilinear")
            return smooth + grid

    model = PowerIteration()
    diagnosis = artifactlab.diagnose(model, torch.full((1, 1, 32, 32), 0.5), data_range=1.0)
    assert model.u.item() == 1
    assert diagnosis.sites[0].effect.value == pytest.approx(0, abs=1e-3)


def test_buffers_that_a_model_counts_in_are_put_back() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("steps", torch.zeros(1))
            self.register_buffer("last", None)

        def forward(self, x: Tensor) -> Tensor:
            self.steps += 1
            self.last = x.mean()
            return F.interpolate(x, scale_factor=2)

    model = Counting()
    artifactlab.diagnose(model, IMAGE)
    assert model.steps.item() == 0
    assert model.last is None
