"""A stand-in for a model that may be written to, at the cost of its buffers alone."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from artifactlab.errors import ModelError, first_line
from artifactlab.models.random_state import random_states_kept
from artifactlab.models.torch_internals import forward_hooks, forward_pre_hooks


def eval_copy(model: nn.Module) -> nn.Module:
    """The model in eval mode with its own buffers and no hooks, sharing the parameters: a forward may write to itself.

    Weight and spectral norm of the old kind set the weight in a hook, which is run here for the last time.

    Raises:
        ModelError: if an attribute of the model cannot be copied.
    """
    shared: dict[int, Any] = {id(parameter): parameter for parameter in model.parameters()}
    shared |= _computed(model)
    try:
        duplicate = copy.deepcopy(model, shared)
    except Exception as error:
        raise ModelError(
            f"the model cannot be copied, which reading it safely needs: {type(error).__name__}: {first_line(error)};"
            " make the attribute that cannot be copied when forward needs it"
        ) from error
    for module in duplicate.modules():
        if isinstance(module, torch.jit.ScriptModule):
            continue
        module.training = False
        with torch.no_grad():
            for hook in forward_pre_hooks(module).values():
                if isinstance(hook, (WeightNorm, SpectralNorm)):
                    hook(module, None)
        forward_pre_hooks(module).clear()
        forward_hooks(module).clear()
    return duplicate


def full_copy(model: nn.Module) -> nn.Module:
    """The model once more with all that it has, hooks included, and parameters of its own.

    >>> full_copy(nn.Sequential(nn.Conv2d(3, 3, 1)))[0].weight.shape
    torch.Size([3, 3, 1, 1])
    """
    duplicate: nn.Module = copy.deepcopy(model, _computed(model))
    return duplicate


def _computed(model: nn.Module) -> dict[int, Any]:
    """What tensors hold that were computed, by weight norm say, and kept, by their id: they cannot be deep-copied."""
    kept = (value for module in model.modules() for value in vars(module).values())
    return {id(one): one.detach().clone() for one in kept if isinstance(one, Tensor) and not one.is_leaf}


@contextmanager
def no_trace_left() -> Iterator[None]:
    """Random states as before, and no warnings: forwards may draw numbers and complain about stand-ins."""
    with random_states_kept(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
