"""A layer that keeps its kernel, trained so that no grid comes back: flat features are answered alike at each step.

A convolution behind a resize cannot draw a constant grid, whatever its weights are. A transposed convolution or one
that feeds a shuffle can, and training on a few images would find the old grid again. So what is trained is projected:
the layer's weights are the nearest to it that answer flat features alike in every phase.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from artifactlab.fix.kernel_basis import KernelBasis, PairedWeights, kernel_basis
from artifactlab.fix.mimic import taps_of
from artifactlab.fix.nearest_weights import only_convolution
from artifactlab.fix.operator import own_copy
from artifactlab.fix.replacement import PADDING
from artifactlab.fix.swap import Swap
from artifactlab.fix.upsample.spaces import AnyConvolution
from artifactlab.models.torch_internals import forward_pre_hooks


class FlatWeights(nn.Module):
    """The nearest weights of a convolution whose layer answers flat features alike in every phase."""

    projection: Tensor

    def __init__(self, pairs: PairedWeights, basis: KernelBasis) -> None:
        super().__init__()
        self.pairs = pairs
        self.register_buffer("projection", _onto_alike(taps_of(basis.kernels, basis.kernels.reach).sum(-1)))

    def forward(self, weight: Tensor) -> Tensor:
        return self.pairs.joined(self.pairs.apart(weight) @ self.projection.to(weight))


class FlatBias(nn.Module):
    """The nearest bias of a convolution that its layer adds alike in every phase."""

    projection: Tensor

    def __init__(self, basis: KernelBasis) -> None:
        super().__init__()
        self.register_buffer("projection", _onto_alike(basis.biases))

    def forward(self, bias: Tensor) -> Tensor:
        return (bias.unflatten(0, (-1, len(self.projection))) @ self.projection.to(bias)).flatten()


def _onto_alike(answers: Tensor) -> Tensor:
    """The orthogonal projection, from the right, onto the weights whose answers (weights, phases) are alike."""
    unlike = answers - answers.mean(1, keepdim=True)
    return torch.eye(len(answers), dtype=answers.dtype) - unlike @ torch.linalg.pinv(unlike)


@contextmanager
def flat_phases_kept(model: nn.Module, swaps: Sequence[Swap]) -> Iterator[None]:
    """Hold the layers that kept their kernel, or a larger one, to flat answers as long as this runs.

    One whose weight is computed, by weight norm say, is left to the loss, which counts what keeps step with a lattice.

    Args:
        model: the fixed one; its weights are plain parameters again afterwards.
        swaps: what was done to it.
    """
    with ExitStack() as ends:
        for swap in swaps:
            if swap.replacement.is_refit or swap.replacement.mode == PADDING:
                ends.enter_context(_held_flat(model, swap))
        yield


@contextmanager
def _held_flat(model: nn.Module, swap: Swap) -> Iterator[None]:
    made = swap.replacement
    # in running order, which that of a refit's paths is not
    paths = [line.partition(": ")[0] for line in swap.removed] if made.is_refit else list(made.paths)
    modules = [model.get_submodule(path) for path in paths]
    conv = only_convolution(modules, " and ".join(paths))
    if parametrize.is_parametrized(conv) or forward_pre_hooks(conv):
        yield
        return
    layer = own_copy(modules)
    inner = only_convolution([layer], "the layer")
    pairs = PairedWeights(inner, made.out_channels)
    basis = kernel_basis(layer, inner, pairs, len(made.more))
    kept = {"weight": FlatWeights(pairs, basis)} | ({} if conv.bias is None else {"bias": FlatBias(basis)})
    for name, projection in kept.items():
        parametrize.register_parametrization(conv, name, projection.to(conv.weight.device))
    try:
        yield
    finally:
        _plain_again(conv, list(kept))


def _plain_again(conv: AnyConvolution, names: Sequence[str]) -> None:
    trainable = any(parameter.requires_grad for parameter in conv.parameters())
    for name in names:
        parametrize.remove_parametrizations(conv, name, leave_parametrized=True)
    conv.requires_grad_(trainable)
