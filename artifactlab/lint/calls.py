"""What a function or method call does to a lattice, read off its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.lint.ops import Pointwise, Resize, Shuffle, Spec, convolution, resize

_ALIKE_NAMES = """
relu relu6 leaky_relu elu selu celu gelu silu mish hardswish hardtanh hardsigmoid softplus softsign sigmoid logsigmoid
tanh dropout dropout1d dropout2d dropout3d alpha_dropout clamp clip clamp_min clamp_max neg abs exp square sqrt pow sin
cos add sub rsub mul div truediv contiguous clone detach float half double to type_as
"""
"""Functions and methods that treat all channels alike, if they take one tensor."""
_UNLIKE_NAMES = """
cat concat where maximum minimum lerp prelu softmax log_softmax batch_norm instance_norm group_norm layer_norm normalize
"""
"""Functions and methods that do not treat all channels alike, but leave every pixel where it is."""
_ALIKE = frozenset(_ALIKE_NAMES.split())
_POINTWISE = _ALIKE | frozenset(_UNLIKE_NAMES.split())


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
    return resize(mode, scale_factor, align_corners)


def _repeat_interleave(input: Any, repeats: Any, dim: Any = None, **_others: Any) -> Spec:
    """Pixels repeated along one axis; batches and channels, or so often as the input says, are no lattice."""
    if not isinstance(repeats, int) or not isinstance(dim, int) or dim in (0, 1):
        return None
    return Resize(nearest=True, align_corners=False, scale=(float(repeats),), axis=dim)


def _pixel_shuffle(input: Any, upscale_factor: int) -> Spec:
    return Shuffle((int(upscale_factor), int(upscale_factor)))


def _conv(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Spec:
    _require_values(weight, bias)
    return convolution(weight, bias, stride, padding, dilation, groups, False, 0)


def _conv_transpose(
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
    return convolution(weight, bias, stride, padding, dilation, groups, True, output_padding)


def _require_values(weight: Any, bias: Any) -> None:
    if not isinstance(weight, Tensor) or not (bias is None or isinstance(bias, Tensor)):
        raise TypeError("its weight is computed from the input")


_ORDINARY = (F.conv1d, F.conv2d, F.conv3d)
_TRANSPOSED = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
_REPEATS = (torch.repeat_interleave, "repeat_interleave")
WEIGHTED = (*_ORDINARY, *_TRANSPOSED)
"""Functions whose arguments after the first hold weights."""
GROWING = (F.interpolate, *_TRANSPOSED, F.pixel_shuffle, *_REPEATS)
"""Functions that may grow; `capture` counts those of their calls that do."""
_CALLS: dict[Any, Callable[..., Spec]] = {
    F.interpolate: _interpolate,
    F.pixel_shuffle: _pixel_shuffle,
    **dict.fromkeys(_REPEATS, _repeat_interleave),
    **dict.fromkeys(_ORDINARY, _conv),
    **dict.fromkeys(_TRANSPOSED, _conv_transpose),
}
