"""A model in which nothing but some weights can change, for the time of a training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from artifactlab.models.torch_internals import own_buffers


@contextmanager
def only_trainable(model: nn.Module, weights: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """Eval mode, and gradients for these weights alone; all flags, gradients and buffers as they were afterwards."""
    trained = {id(parameter) for parameter in weights.values()}
    with _flags_kept(model), _gradients_kept(model), _buffers_kept(model):
        for module in model.modules():
            module.training = False
        for parameter in model.parameters():
            parameter.requires_grad_(id(parameter) in trained)
            parameter.grad = None
        with torch.inference_mode(False), torch.enable_grad():
            yield


@contextmanager
def _flags_kept(model: nn.Module) -> Iterator[None]:
    flags = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in flags:
            module.training = training


@contextmanager
def _gradients_kept(model: nn.Module) -> Iterator[None]:
    before = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    try:
        yield
    finally:
        for parameter, requires_grad, grad in before:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    """Buffers that a forward replaces are put back, and those that it writes into have their values again."""
    before: list[tuple[dict[str, Tensor | None], str, Tensor | None, Tensor | None]] = []
    for module in model.modules():
        for name, buffer in own_buffers(module).items():
            before.append((own_buffers(module), name, buffer, None if buffer is None else buffer.detach().clone()))
    try:
        yield
    finally:
        with torch.no_grad():
            for owner, name, buffer, values in before:
                owner[name] = buffer
                if buffer is not None and values is not None:
                    buffer.copy_(values)
