"""Effective weights are read from a copy, and the model is left as it was."""

from __future__ import annotations

import copy
import random
import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from artifactlab import ModelError, lint


@pytest.mark.parametrize("norm", ["parametrized", "hook", "spectral", "spectral hook"])
def test_effective_weights_are_read(norm: str, number: Any, flat_answer: Any, rms_share: Any) -> None:
    layer = nn.ConvTranspose2d(4, 4, 4, 2, 1)
    if norm == "parametrized":
        layer = nn.utils.parametrizations.weight_norm(layer)
        scale = layer.parametrizations.weight.original0
    elif norm == "hook":
        with pytest.warns(FutureWarning):
            layer = nn.utils.weight_norm(layer)
        scale = layer.weight_g
    elif norm == "spectral":
        layer = nn.utils.parametrizations.spectral_norm(layer)
        scale = layer.parametrizations.weight.original
    else:
        layer = nn.utils.spectral_norm(layer)
        scale = layer.weight_orig
    with torch.no_grad():
        scale[0] *= 50  # an input channel, so the weights are other ones than before
    before = copy.deepcopy(layer.state_dict())
    (share,) = number(layer, "unequal-sums")
    assert layer.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())
    answer = flat_answer(layer.eval(), 4, (2, 2))
    assert share == pytest.approx(rms_share(answer), rel=1e-4)


def test_a_model_that_cannot_be_copied_is_refused(net: Any) -> None:
    model = net(lambda self, x: x)
    model.lock = threading.Lock()
    with pytest.raises(ModelError, match="cannot be copied"):
        lint(model, trained=True)


def test_the_model_and_the_random_states_are_left_as_they_were(found: Any) -> None:
    class Untidy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.utils.parametrizations.spectral_norm(nn.ConvTranspose2d(4, 4, 4, 2, 1))
            self.norm = nn.BatchNorm2d(4)
            self.register_buffer("count", torch.zeros(1))
            self.seen: list[Any] = []

        def forward(self, x: Tensor) -> Tensor:
            self.count += 1
            self.seen.append(x)
            self.last = x
            noise = torch.rand(1) + random.random() + np.random.rand()
            return self.norm(self.up(x)) + noise

    model = Untidy().train()
    model.norm.eval()
    called = []
    model.up.register_forward_hook(lambda *_: called.append(1))
    hooks = dict(model.up._forward_hooks)
    state = copy.deepcopy(model.state_dict())
    flags = [module.training for module in model.modules()]
    parameters = [id(parameter) for parameter in model.parameters()]
    randoms = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())
    assert found(model, "unequal-sums") == ["up"]
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == flags
    assert [id(parameter) for parameter in model.parameters()] == parameters
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert (model.seen, hasattr(model, "last"), called, dict(model.up._forward_hooks)) == ([], False, [], hooks)
    assert torch.equal(torch.get_rng_state(), randoms[0])
    assert random.getstate() == randoms[1]
    assert (np.random.get_state()[1] == randoms[2]).all()
