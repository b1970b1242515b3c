"""Weights of a layer's own convolution with which the layer comes nearest to another kernel, and draws no grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from artifactlab.errors import FixError
from artifactlab.fix.computed_weights import make_plain, store_weight
from artifactlab.fix.kernel_basis import KernelBasis, PairedWeights, kernel_basis
from artifactlab.fix.mimic import correlation_root, taps_of
from artifactlab.fix.operator import own_copy
from artifactlab.fix.response import Response
from artifactlab.fix.upsample.spaces import AnyConvolution

STRAIGHTNESS = 0.1
"""How much a bent slope counts beside a weight that is off, where slopes are to stay straight: on development cases no
blurred layer drew steps that show any more, and k3 s2 came 1 dB nearer to the old output; at 1 it was 2 dB further off
(docs/decisions.md, *A layer can be cured in its own kernel*)."""


def only_convolution(modules: Sequence[nn.Module], what: str) -> AnyConvolution:
    """The one convolution inside some modules; a FixError, which begins with `what`, where there is another number."""
    found = [part for module in modules for part in module.modules() if isinstance(part, AnyConvolution)]
    if len(found) != 1:
        raise FixError(f"{what} has {len(found) or 'no'} convolutions, and one can hold the new layer")
    return found[0]


def nearest_weights(old: Sequence[nn.Module], wanted: Response, straight: bool = False) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of the old layer's convolution with which it comes nearest to a response.

    Args:
        old: the layer's modules in running order; they are only read.
        wanted: answers flat features alike in every phase, as the layer then does, too.
        straight: whether bent slopes count, too, by `STRAIGHTNESS`: they are stair-steps.

    Raises:
        FixError: if the layer has not exactly one convolution, or enlarges by another factor.
        InputError: if it is not affine.
    """
    layer = own_copy(old)
    conv = only_convolution([layer], "the layer")
    make_plain(conv)
    pairs = PairedWeights(conv, wanted.kernel.shape[0])
    basis = kernel_basis(layer, conv, pairs, wanted.axes)
    if basis.kernels.scale != wanted.scale:
        raise FixError(f"the old layer enlarges by {basis.kernels.scale}, the new one by {wanted.scale}")
    kernel = pairs.within_groups(wanted.kernel)
    weights = _fitted(basis, Response(kernel, wanted.bias, wanted.more), STRAIGHTNESS if straight else 0.0)
    bias = None
    if len(basis.biases):
        bias = torch.linalg.lstsq(basis.biases.T, wanted.bias.flatten(1).T).solution.T.flatten()
    return pairs.joined(weights.unflatten(0, kernel.shape[:2])), bias


def store(conv: AnyConvolution, weights: tuple[Tensor, Tensor | None]) -> None:
    """Give a convolution these weights, and the bias where it has one; a FixError where its own cannot be set."""
    weight, bias = weights
    store_weight(conv, weight.to(conv.weight))
    if conv.bias is not None and bias is not None:
        conv.bias.detach().copy_(bias)


def _fitted(basis: KernelBasis, wanted: Response, straightness: float) -> Tensor:
    """(pairs, weights) by least squares, the answer to flat features kept: one small system for all pairs."""
    able = basis.kernels
    reach = max(able.reach, wanted.reach)
    root = correlation_root(reach, able.axes)
    columns, target = ((taps_of(response, reach) @ root).flatten(1) for response in (able, wanted))
    flat, flat_target = (taps_of(response, reach).sum(-1) for response in (able, wanted))
    gram = columns @ columns.T
    size = gram.diagonal().mean()  # so that rounding counts alike in both kinds of rows
    bent = bends(able)
    gram = gram + straightness * size * (bent @ bent.T)
    phases = flat.shape[1]
    system = torch.cat(
        [
            torch.cat([gram / size, flat], 1),
            torch.cat([flat.T, torch.zeros(phases, phases, dtype=torch.float64)], 1),
        ]
    )
    sides = torch.cat([columns @ target.T / size, flat_target.T])
    # a resize answers flat features alike in all phases, so that their conditions are one: no inverse, but this
    return (torch.linalg.pinv(system, hermitian=True) @ sides)[: len(gram)].T


def bends(able: Response) -> Tensor:
    """How far each kernel's answers to a unit slope are off the straight line in each phase, (weights, phases * axes).

    A straight line may be displaced as a whole; what differs from phase to phase is what makes stair-steps.

    >>> from artifactlab.fix.response import impulse_response
    >>> linear, nearest = (nn.Upsample(scale_factor=2, mode=mode) for mode in ("bilinear", "nearest"))
    >>> [bool(bends(impulse_response(up, 1)).abs().max() > 1e-6) for up in (linear, nearest)]
    [False, True]
    """
    axes, found = able.axes, []
    sums = taps_of(able, able.reach).sum(-1)
    for axis in range(axes):
        places = torch.arange(-able.reach, able.reach + 1).double().view(-1, *[1] * (axes - 1 - axis))
        moved = (able.kernel * places).flatten(2 + axes).sum(-1).flatten(0, 1).flatten(1)
        phases = torch.arange(able.scale[axis]).double().view(-1, *[1] * (axes - 1 - axis)) / able.scale[axis]
        line = sums * phases.expand(able.scale).flatten()
        found.append((moved - line) - (moved - line).mean(1, keepdim=True))
    return torch.cat(found, 1)
