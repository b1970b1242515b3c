"""What a module or a function call does to a lattice, read off its arguments: the vocabulary of `ModuleGraph`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.lint.phases import Pair


@dataclass(frozen=True, eq=False)
class Convolution:
    """A two-dimensional convolution, ordinary or transposed. Pairs are (vertical, horizontal)."""

    weight: Tensor
    """The effective weight, as in `nn.Conv2d` or `nn.ConvTranspose2d`."""
    bias: Tensor | None
    """The bias of each output channel; None where the layer has none."""
    stride: Pair
    """The stride; of a transposed convolution, the factor by which it enlarges."""
    padding: Pair
    """How many zeros are put (transposed: pixels are cut) at the side with more; 0 where the padding is no zeros."""
    dilation: Pair
    """The distance in pixels between neighbouring weights of the kernel."""
    groups: int
    """The number of groups that channels are divided into; no output channel reads another group's input."""
    transposed: bool = False
    """Whether the convolution is transposed."""
    output_padding: Pair = (0, 0)
    """How many rows and columns a transposed convolution adds at the end; 0 for an ordinary one."""

    @property
    def extent(self) -> Pair:
        """Pixels that the kernel spans."""
        height, width = (d * (k - 1) + 1 for k, d in zip(self.weight.shape[2:], self.dilation, strict=True))
        return height, width


@dataclass(frozen=True)
class Resize:
    """`F.interpolate` and `nn.Upsample` of images."""

    nearest: bool
    """Whether it repeats the nearest pixel instead of interpolating between several."""
    align_corners: bool
    """Whether the centres of the corner pixels coincide before and after, as `F.interpolate` defines it."""
    scale: tuple[float, float] | None
    """The vertical and horizontal factor; None where it depends on the input's size."""


@dataclass(frozen=True)
class Shuffle:
    """A pixel shuffle."""

    factor: int
    """The factor by which it enlarges both sides."""


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
    """Whether it enlarges an image and so lays a lattice on it, as far as its arguments say."""
    if isinstance(spec, Convolution):
        return spec.transposed and max(spec.stride) > 1
    if isinstance(spec, Resize):
        return spec.scale is None or (min(spec.scale) >= 1 and max(spec.scale) > 1)
    return isinstance(spec, Shuffle) and spec.factor > 1


_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_KNOWN = (*_CONVOLUTIONS, nn.PixelShuffle, nn.Upsample)
_ALIKE_NAMES = """
relu relu6 leaky_relu elu selu celu gelu silu mish hardswish hardtanh hardsigmoid softplus softsign sigmoid logsigmoid
tanh dropout dropout2d alpha_dropout clamp clip clamp_min clamp_max neg abs exp square sqrt pow sin cos add sub rsub mul
div truediv contiguous clone detach float half double to type_as
"""
"""Functions and methods that treat all channels alike, if they take one tensor."""
_UNLIKE_NAMES = """
cat concat where maximum minimum lerp prelu softmax log_softmax batch_norm instance_norm group_norm layer_norm normalize
"""
"""Functions and methods that do not treat all channels alike, but leave every pixel where it is."""
_ALIKE = frozenset(_ALIKE_NAMES.split())
_POINTWISE = _ALIKE | frozenset(_UNLIKE_NAMES.split())
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
        return _resize(module.mode, module.scale_factor, module.align_corners)
    if isinstance(module, nn.PixelShuffle):
        return Shuffle(module.upscale_factor)
    if not isinstance(module, _CONVOLUTIONS) or not module.weight.is_floating_point():
        return None
    transposed = isinstance(module, nn.ConvTranspose2d)
    zeros = module.padding_mode == "zeros"
    return Convolution(
        weight=module.weight,
        bias=module.bias,
        stride=pair(module.stride),
        padding=_padding(module.padding, module.weight, pair(module.dilation)) if zeros else (0, 0),
        dilation=pair(module.dilation),
        groups=module.groups,
        transposed=transposed,
        output_padding=pair(module.output_padding) if transposed else (0, 0),
    )


def call_spec(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], sources: int) -> Spec:
    """What a function or method call does; `sources` counts the tensors among its arguments.

    Raises:
        TypeError, ValueError: if an argument that has to be known is computed from data.
    """
    read = _CALLS.get(target)
    if read is not None:
        return read(*args, **kwargs)
    name = target if isinstance(target, str) else getattr(target, "__name__", "")
    name = name.removesuffix("_")
    if name in _POINTWISE:
        return Pointwise(alike=name in _ALIKE and sources == 1)
    return None


def _interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    *_more: Any,
    **_others: Any,
) -> Spec:
    return _resize(mode, scale_factor, align_corners)


def _resize(mode: str, scale_factor: Any, align_corners: bool | None) -> Spec:
    scale = None
    if isinstance(scale_factor, (int, float)):
        scale = (float(scale_factor), float(scale_factor))
    elif isinstance(scale_factor, (tuple, list)) and all(isinstance(s, (int, float)) for s in scale_factor):
        if len(scale_factor) != 2:
            return None  # a signal or a volume
        scale = (float(scale_factor[0]), float(scale_factor[1]))
    if mode in ("linear", "trilinear"):
        return None
    return Resize(mode in ("nearest", "nearest-exact"), bool(align_corners), scale)


def _pixel_shuffle(input: Any, upscale_factor: int) -> Spec:
    return Shuffle(int(upscale_factor))


def _conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Spec:
    _require_values(weight, bias)
    spread = pair(dilation)
    return Convolution(weight, bias, pair(stride), _padding(padding, weight, spread), spread, groups)


def _conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Spec:
    _require_values(weight, bias)
    return Convolution(weight, bias, pair(stride), pair(padding), pair(dilation), groups, True, pair(output_padding))


def _require_values(weight: Any, bias: Any) -> None:
    if not isinstance(weight, Tensor) or not (bias is None or isinstance(bias, Tensor)):
        raise TypeError("its weight is computed from the input")


def _padding(padding: Any, weight: Tensor, dilation: Pair) -> Pair:
    if padding == "valid":
        return 0, 0
    if padding == "same":
        height, width = (d * (k - 1) for k, d in zip(weight.shape[2:], dilation, strict=True))
        return height - height // 2, width - width // 2
    return pair(padding)


def pair(value: Any) -> Pair:
    """(vertical, horizontal) of an argument that may be one number.

    Raises:
        TypeError: if it is computed from data.
    """
    values = (value, value) if isinstance(value, int) else tuple(value)
    if not all(isinstance(item, int) for item in values):
        raise TypeError("its stride, padding or dilation is computed from the input")
    return values[0], values[-1]


WEIGHTED = (F.conv2d, F.conv_transpose2d)
"""Functions whose arguments after the first hold weights."""
GROWING = (F.interpolate, F.conv_transpose2d, F.pixel_shuffle)
"""Functions that may grow; `capture` counts those of their calls that do."""
_CALLS: dict[Any, Callable[..., Spec]] = {
    F.interpolate: _interpolate,
    F.pixel_shuffle: _pixel_shuffle,
    F.conv2d: _conv2d,
    F.conv_transpose2d: _conv_transpose2d,
}
