"""Weights that are computed, by weight norm or spectral norm: what to store for them to come out as wanted."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from artifactlab.errors import FixError
from artifactlab.fix.upsample.spaces import AnyConvolution, Convolution
from artifactlab.models.torch_internals import forward_pre_hooks, own_buffers

EXACT = 1e-5
"""Share of the largest weight that a stored one may come out off by: a hundred times rounding."""


def make_plain(conv: AnyConvolution) -> None:
    """Make a copied convolution's weight one that can be written to; hooks that computed it are gone already.

    `parametrize.remove_parametrizations` would take the weight from the class, which copies share.
    """
    if not parametrize.is_parametrized(conv):
        return
    values = {name: getattr(conv, name).detach().clone() for name in conv.parametrizations}
    del conv.parametrizations
    conv.__class__ = type(conv).__bases__[0]
    for name, value in values.items():
        conv.register_parameter(name, nn.Parameter(value, requires_grad=False))


def store_weight(conv: AnyConvolution, weight: Tensor) -> None:
    """Set what a convolution stores so that in evaluation its weight is this one.

    Weight norm can be set to any weight. Spectral norm divides by u'Wv, where u and v are stored beside W: they are set
    so that this is 1. Its largest singular value need not be 1 then, and training on would scale it to that.

    Raises:
        FixError: if the weight is computed in another way, which cannot be turned round.
    """
    with torch.no_grad():
        made = _store(conv, weight)
    if not torch.allclose(made.float(), weight.to(made).float(), rtol=0, atol=EXACT * float(weight.abs().max())):
        raise _no_way_back(conv)


def _store(conv: Any, weight: Tensor) -> Tensor:
    """Store it as the convolution does; what comes out. `Any`, as hooks and parametrizations add attributes."""
    hook = next((one for one in forward_pre_hooks(conv).values() if isinstance(one, (WeightNorm, SpectralNorm))), None)
    made: Tensor
    if parametrize.is_parametrized(conv, "weight"):
        _store_parametrized(conv, weight)
        made = conv.weight
    elif isinstance(hook, WeightNorm):
        conv.weight_v.copy_(weight)
        conv.weight_g.copy_(torch.norm_except_dim(weight, 2, hook.dim))
        made = hook.compute_weight(conv)
    elif isinstance(hook, SpectralNorm):
        conv.weight_orig.copy_(weight)
        _set_divisor_to_one(conv.weight_u, conv.weight_v, hook.reshape_weight_to_matrix(conv.weight_orig))
        made = hook.compute_weight(conv, do_power_iteration=False)
    else:
        made = conv.weight.copy_(weight)
    return made


def _store_parametrized(conv: Any, weight: Tensor) -> None:
    try:
        conv.weight = weight.to(conv.weight)
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:  # whatever a user's class raises
        raise _no_way_back(conv) from error
    axis = 0 if isinstance(conv, Convolution) else 1
    for norm in conv.parametrizations["weight"]:
        vectors = own_buffers(norm)
        u, v = vectors.get("_u"), vectors.get("_v")
        if u is not None and v is not None:
            _set_divisor_to_one(u, v, weight.to(u).movedim(axis, 0).flatten(1))


def _set_divisor_to_one(u: Tensor, v: Tensor, matrix: Tensor) -> None:
    """Set `v` along the matrix' answer to `u`, as long as makes u'Wv 1."""
    answer = matrix.detach().T @ u
    v.copy_(answer / answer.square().sum())


def _no_way_back(conv: AnyConvolution) -> FixError:
    return FixError(f"the weight of {type(conv).__name__} is computed in a way that cannot be turned round")
