"""What a module does to a lattice, read off its attributes: the vocabulary of `ModuleGraph`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.lint.phases import Sizes


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution, ordinary or transposed, of signals, images or volumes. Tuples have one entry per direction."""

    weight: Tensor
    """The effective weight, as in `nn.Conv2d` or `nn.ConvTranspose2d`."""
    bias: Tensor | None
    """The bias of each output channel; None where the layer has none."""
    stride: Sizes
    """The stride; of a transposed convolution, the factor by which it enlarges."""
    padding: Sizes
    """How many zeros are put (transposed: pixels are cut) at the side with more; 0 where the padding is no zeros."""
    dilation: Sizes
    """The distance in pixels between neighbouring weights of the kernel."""
    groups: int
    """The number of groups that channels are divided into; no output channel reads another group's input."""
    transposed: bool
    """Whether the convolution is transposed."""
    output_padding: Sizes
    """How many pixels a transposed convolution adds at the end; 0 for an ordinary one."""

    @property
    def kernel(self) -> Sizes:
        """Taps along each direction."""
        return tuple(self.weight.shape[2:])

    @property
    def extent(self) -> Sizes:
        """Pixels that the kernel spans."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def channels(self) -> int:
        """How many channels come out."""
        return self.weight.shape[1] * self.groups if self.transposed else self.weight.shape[0]


@dataclass(frozen=True)
class Resize:
    """`F.interpolate`, `nn.Upsample` and `repeat_interleave`."""

    nearest: bool
    """Whether it repeats the nearest pixel instead of interpolating between several."""
    align_corners: bool
    """Whether the centres of the corner pixels coincide before and after, as `F.interpolate` defines it."""
    scale: tuple[float, ...] | None
    """The factor of each direction, or one for all where their number is not told; None where it depends on the input's
    size."""
    directions: int | None = None
    """1 for signals, 2 for images, 3 for volumes; None where its arguments do not tell."""
    axis: int | None = None
    """The tensor's axis that alone is enlarged; None where all directions are."""


@dataclass(frozen=True, eq=False)
class Shuffle:
    """A pixel shuffle, of torch or made by hand from reshapes."""

    factor: Sizes
    """The factor by which it enlarges each direction."""
    sources: Tensor | None = None
    """(channels out, phases): the channel that each pixel of a block comes from; None for torch's order."""

    @property
    def phases(self) -> int:
        """How many channels become the pixels of one block."""
        return math.prod(self.factor)

    def channels(self, count: int) -> Tensor:
        """`sources` for an input of so many channels."""
        return torch.arange(count).view(-1, self.phases) if self.sources is None else self.sources


@dataclass(frozen=True)
class Pointwise:
    """Something that leaves every pixel where it is and mixes none with its neighbours."""

    alike: bool
    """Whether it treats all channels alike, as an activation does and a norm layer does not."""


@dataclass(frozen=True)
class Output:
    """What the model returns."""


Spec = Convolution | Resize | Shuffle | Pointwise | Output | None
"""What a call does; None is unknown, and nothing is concluded across it."""


def grows(spec: Spec) -> bool:
    """Whether it enlarges its input and so lays a lattice on it, as far as its arguments say."""
    if isinstance(spec, Convolution):
        return spec.transposed and max(spec.stride) > 1
    if isinstance(spec, Resize):
        return spec.scale is None or (min(spec.scale) >= 1 and max(spec.scale) > 1)
    return isinstance(spec, Shuffle) and spec.phases > 1


_ORDINARY = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = (*_ORDINARY, *_TRANSPOSED)
_KNOWN = (*CONVOLUTIONS, nn.PixelShuffle, nn.Upsample)
DIRECTIONS_OF_MODES = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
"""How many directions a mode of `F.interpolate` works on; the nearest ones take any number."""
_ACTIVATIONS_THAT_MIX = (nn.MultiheadAttention, nn.GLU)
_ACTIVATIONS_PER_CHANNEL = (nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.Softmin)


def is_known(module: nn.Module) -> bool:
    """Whether the module runs torch's own forward of a kind that `module_spec` reads."""
    kinds = [kind for kind in _KNOWN if isinstance(module, kind)]
    names = ("forward", "_conv_forward")
    return bool(kinds) and all(getattr(type(module), name, 0) is getattr(kinds[0], name, 0) for name in names)


def module_spec(module: nn.Module) -> Spec:
    """What a module that is not looked into does."""
    if is_known(module):
        return _known_spec(module)
    home = type(module).__module__
    if isinstance(module, nn.Identity) or home == "torch.nn.modules.dropout":
        return Pointwise(alike=True)
    if home == "torch.nn.modules.activation" and not isinstance(module, _ACTIVATIONS_THAT_MIX):
        shared = not isinstance(module, nn.PReLU) or module.num_parameters == 1
        return Pointwise(alike=shared and not isinstance(module, _ACTIVATIONS_PER_CHANNEL))
    if home in ("torch.nn.modules.batchnorm", "torch.nn.modules.instancenorm", "torch.nn.modules.normalization"):
        return Pointwise(alike=False)
    return None


def _known_spec(module: nn.Module) -> Spec:
    if isinstance(module, nn.Upsample):
        return resize(module.mode, module.scale_factor, module.align_corners)
    if isinstance(module, nn.PixelShuffle):
        return Shuffle((module.upscale_factor, module.upscale_factor))
    if not isinstance(module, CONVOLUTIONS) or not module.weight.is_floating_point():
        return None
    return convolution(
        weight=module.weight,
        bias=module.bias,
        stride=module.stride,
        padding=module.padding if module.padding_mode == "zeros" else 0,
        dilation=module.dilation,
        groups=module.groups,
        transposed=isinstance(module, _TRANSPOSED),
        output_padding=module.output_padding,
    )


def convolution(
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    transposed: bool,
    output_padding: Any,
) -> Convolution:
    """A convolution from arguments as torch takes them.

    Raises:
        TypeError: if one of them is computed from data.
    """
    directions = weight.ndim - 2
    spread = sizes(dilation, directions)
    return Convolution(
        weight=weight,
        bias=bias,
        stride=sizes(stride, directions),
        padding=_padding(padding, weight, spread),
        dilation=spread,
        groups=groups,
        transposed=transposed,
        output_padding=sizes(output_padding, directions),
    )


def resize(mode: str, scale_factor: Any, align_corners: bool | None) -> Resize:
    """A resize from arguments as `F.interpolate` takes them."""
    scale, directions = None, DIRECTIONS_OF_MODES.get(mode)
    if isinstance(scale_factor, (int, float)):
        scale = (float(scale_factor),) * (directions or 1)
    elif isinstance(scale_factor, (tuple, list)) and all(isinstance(s, (int, float)) for s in scale_factor):
        scale, directions = tuple(map(float, scale_factor)), len(scale_factor)
    return Resize(mode in ("nearest", "nearest-exact"), bool(align_corners), scale, directions)


def _padding(padding: Any, weight: Tensor, dilation: Sizes) -> Sizes:
    if padding == "valid":
        padding = 0
    if padding == "same":
        missing = [d * (k - 1) for k, d in zip(weight.shape[2:], dilation, strict=True)]
        return tuple(total - total // 2 for total in missing)
    return sizes(padding, len(dilation))


def sizes(value: Any, directions: int) -> Sizes:
    """One entry per direction of an argument that may be one number.

    Raises:
        TypeError: if it is computed from data.
    """
    values = (value,) if isinstance(value, int) else tuple(value)
    if not all(isinstance(item, int) for item in values):
        raise TypeError("its stride, padding or dilation is computed from the input")
    return values * directions if len(values) == 1 else values
