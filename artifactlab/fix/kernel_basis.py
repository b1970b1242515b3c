"""What each weight of a convolution does to the kernel of the layer that it stands in, however that is written."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from artifactlab.errors import FixError
from artifactlab.fix.response import Response, impulse_response
from artifactlab.fix.upsample.spaces import AnyConvolution, Convolution


@dataclass(frozen=True)
class KernelBasis:
    """The kernels that a layer has by one weight of its convolution at a time, the same for all pairs of channels."""

    kernels: Response
    """One kernel for each weight of a pair of channels, as the channels of a response with one input channel."""
    biases: Tensor
    """What each of the biases that make one output channel adds in each phase, (biases, phases)."""


class PairedWeights:
    """A convolution's weights by the pairs of channels of its layer: (C', C / groups, weights of a pair).

    Before a pixel shuffle, as many channels of the convolution as there are phases make one channel of the layer.
    """

    def __init__(self, conv: AnyConvolution, out_channels: int) -> None:
        self.groups, self.kernel = conv.groups, tuple(conv.kernel_size)
        self.is_transposed = not isinstance(conv, Convolution)
        self.out_channels, self.each = out_channels, conv.out_channels // out_channels
        if conv.out_channels % out_channels or out_channels % conv.groups:
            raise FixError(
                f"a convolution of {conv.out_channels} channels in {conv.groups} groups cannot be told apart by"
                f" {out_channels} channels after it"
            )

    @property
    def count(self) -> int:
        """The weights of a pair of channels."""
        return self.each * math.prod(self.kernel)

    def joined(self, pairs: Tensor) -> Tensor:
        """The convolution's weight, as torch lays it out, of (C', C / groups, weights of a pair)."""
        weight = pairs.unflatten(2, (self.each, *self.kernel)).transpose(1, 2).flatten(0, 1)
        if not self.is_transposed:
            return weight
        return weight.unflatten(0, (self.groups, -1)).transpose(1, 2).flatten(0, 1)

    def apart(self, weight: Tensor) -> Tensor:
        """The inverse of `joined`, (C', C / groups, weights of a pair)."""
        if self.is_transposed:
            weight = weight.unflatten(0, (self.groups, -1)).transpose(1, 2).flatten(0, 1)
        return weight.unflatten(0, (-1, self.each)).transpose(1, 2).flatten(2)

    def within_groups(self, kernel: Tensor) -> Tensor:
        """Of a kernel (C', C, ...) the pairs that the convolution connects, (C', C / groups, ...)."""
        blocks = kernel.unflatten(1, (self.groups, -1)).unflatten(0, (self.groups, -1))
        return torch.cat([blocks[group, :, group] for group in range(self.groups)])


def kernel_basis(layer: nn.Module, conv: AnyConvolution, pairs: PairedWeights, axes: int) -> KernelBasis:
    """Read off what each weight does, by a layer that is the caller's to write to; its weights are zero afterwards.

    As many weights go together as there are output channels, a different one in each.

    Raises:
        InputError: if the layer is not affine in them.
    """
    channels = conv.in_channels
    weight, bias = conv.weight.detach(), None if conv.bias is None else conv.bias.detach()

    def from_one_channel(x: Tensor) -> Tensor:
        y: Tensor = layer(x.expand(-1, channels, *[-1] * axes))
        return y

    weight.zero_()
    biases = []
    for place in range(0 if bias is None else pairs.each):
        assert bias is not None
        bias.copy_(torch.arange(len(bias)) % pairs.each == place)
        biases.append(impulse_response(from_one_channel, 1, axes).bias.flatten(1)[0])
    if bias is not None:
        bias.zero_()
    found = []
    for start in range(0, pairs.count, pairs.out_channels):
        chosen = torch.arange(start, min(start + pairs.out_channels, pairs.count))
        one_each = torch.zeros(pairs.out_channels, channels // pairs.groups, pairs.count)
        one_each[torch.arange(len(chosen)), 0, chosen] = 1
        weight.copy_(pairs.joined(one_each))
        found.append(impulse_response(from_one_channel, 1, axes))
    weight.zero_()
    reach = max(response.reach for response in found)
    kernels = torch.cat([response.padded(reach) for response in found])[: pairs.count]
    return KernelBasis(
        Response(kernels, torch.zeros(len(kernels), *found[0].scale).double(), found[0].more),
        torch.stack(biases) if biases else torch.empty(0, math.prod(found[0].scale)).double(),
    )
