"""What a call does to the lattices in its arguments: which change their spacing, and which later layers can undo.

A site's lattice keeps its spacing through convolutions, crops, paddings and tiles, and changes it only where the result
passes another resize.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.attribution.sites.lattice_paths import UNCHANGED, LatticeStep, Scale
from artifactlab.attribution.sites.upsampling import PADDING_SHARE, Growth
from artifactlab.models.outputs import first_image
from artifactlab.models.torch_internals import without_function_modes

# Resizes are ratios of small whole numbers (3/2, 5/4); what needs a larger denominator is one of those, with a sample
# more or less at a border.
FINEST = 64
"""Largest denominator of a scale: sizes that differ by a sample or two are no resize."""


def step_of(func: Any, args: Any, kwargs: Any, output: Any, growth: Growth | None) -> LatticeStep:
    """What a call does to the lattices in its arguments."""
    kept = func in POINTWISE and sum(map(_varies, (*args, *kwargs.values()))) < 2
    scale = _scale_of(growth) if growth else _shrinkage(func, args, kwargs, output)
    return LatticeStep(scale, kept, func in BOUNDING)


def unseen_step(inputs: Any, output: Any) -> LatticeStep:
    """What a module does whose calls were not seen, by the sizes of what it takes and returns."""
    source, image = first_image(inputs), first_image(output)
    scale = UNCHANGED if source is None or image is None else _size_ratio(source, image)
    return LatticeStep(scale, pointwise=False)


def own_lattice(growth: Growth) -> Scale:
    """A site's own scale; 0, and so for ever, along an axis that it does not grow."""
    vertical, horizontal = (Fraction(0) if scale == 1 else scale for scale in _scale_of(growth))
    return vertical, horizontal


def _scale_of(growth: Growth) -> Scale:
    vertical, horizontal = (Fraction(scale).limit_denominator(FINEST) for scale in growth.scale)
    return vertical, horizontal


def _varies(value: Any) -> bool:
    """Whether an operand differs from place to place, so that it may undo what another has."""
    if not isinstance(value, Tensor):
        return False
    with without_function_modes():
        return any(size > 1 for size in value.shape[-2:])


def _shrinkage(func: Any, args: Any, kwargs: Any, output: Any) -> Scale:
    """What a call that is no site does to a lattice: strides and poolings shrink it, crops do not."""
    if func is Tensor.__getitem__:
        return _index_steps(args)
    scale_of = SHRINKING.get(func)
    if scale_of is None or not isinstance(output, Tensor):
        return UNCHANGED
    with without_function_modes():
        source = args[0] if args else kwargs.get("input")
        if not isinstance(source, Tensor) or source.ndim != 4 or output.ndim != 4:
            return UNCHANGED
        return scale_of(args, kwargs, source, output)


def _index_steps(args: Any) -> Scale:
    """Of an index `[..., a:b:step, c:d:step]` into an image."""
    image, index = args[0], args[1] if isinstance(args[1], tuple) else (args[1],)
    if not isinstance(image, Tensor) or image.ndim != 4 or not any(isinstance(i, slice) and i.step for i in index):
        return UNCHANGED
    if any(not isinstance(i, slice) and i is not Ellipsis for i in index):
        return UNCHANGED
    if Ellipsis in index:
        place = index.index(Ellipsis)
        missing = image.ndim - len(index) + 1
        index = (*index[:place], *[slice(None)] * missing, *index[place + 1 :])
    index = (*index, *[slice(None)] * (image.ndim - len(index)))
    return Fraction(1, index[2].step or 1), Fraction(1, index[3].step or 1)


def _by_stride(position: int, name: str = "stride", default: tuple[int, str] | None = None) -> Callable[..., Scale]:
    """By an argument, by position or name; `default` is the argument that stands in for it where it is missing."""

    def scale_of(args: Any, kwargs: Any, source: Tensor, output: Tensor) -> Scale:
        stride = kwargs.get(name, args[position] if len(args) > position else None)
        if default and not stride:
            stride = kwargs.get(default[1], args[default[0]] if len(args) > default[0] else None)
        pair = (stride, stride) if isinstance(stride, int) else tuple(stride or (1, 1))
        if pair in ((1, 1), (1,)):
            return UNCHANGED
        return Fraction(1, pair[0]), Fraction(1, pair[-1])

    return scale_of


def _by_ratio(args: Any, kwargs: Any, source: Tensor, output: Tensor) -> Scale:
    return _size_ratio(source, output)


def _size_ratio(source: Tensor, output: Tensor) -> Scale:
    """How much larger the output is; a whole number, or one over it, where it is that but for padding."""
    scales = []
    for before, after in zip(source.shape[-2:], output.shape[-2:], strict=True):
        ratio = Fraction(after, max(1, before))
        near = Fraction(round(ratio)) if ratio >= 1 else Fraction(1, round(1 / max(ratio, Fraction(1, before))))
        is_near = abs(ratio / near - 1) <= PADDING_SHARE
        scales.append(near if is_near else ratio.limit_denominator(FINEST))
    return scales[0], scales[1]


SHRINKING: dict[Any, Callable[..., Scale]] = {
    F.conv2d: _by_stride(3),
    F.avg_pool2d: _by_stride(2, default=(1, "kernel_size")),
    F.max_pool2d: _by_stride(2, default=(1, "kernel_size")),
    torch.max_pool2d: _by_stride(2, default=(1, "kernel_size")),
    F.max_pool2d_with_indices: _by_stride(2, default=(1, "kernel_size")),
    F.lp_pool2d: _by_stride(3, default=(2, "kernel_size")),
    F.pixel_unshuffle: _by_stride(1, "downscale_factor"),
    F.interpolate: _by_ratio,
    F.adaptive_avg_pool2d: _by_ratio,
    F.adaptive_max_pool2d: _by_ratio,
}
"""What functions do to the spacing of a lattice."""

SIGMOIDS = {torch.sigmoid, Tensor.sigmoid, F.sigmoid}
TANHS = {torch.tanh, Tensor.tanh, F.tanh}
SOFTMAXES = {torch.softmax, Tensor.softmax, F.softmax}
BOUNDING: set[Any] = SIGMOIDS | TANHS | SOFTMAXES
"""Functions of single values that turn logits into probabilities or pixels."""

ACTIVATIONS = {
    F.log_softmax,
    torch.relu,
    Tensor.relu,
    F.relu,
    F.leaky_relu,
    F.hardtanh,
    F.silu,
    F.gelu,
}
ELEMENTWISE = {
    torch.clamp,
    Tensor.clamp,
    Tensor.clamp_,
    torch.clip,
    Tensor.clip,
    torch.exp,
    Tensor.exp,
    torch.abs,
    Tensor.abs,
}
ARITHMETIC = {
    torch.add,
    Tensor.add,
    Tensor.add_,
    Tensor.__add__,
    Tensor.__radd__,
    Tensor.__iadd__,
    torch.sub,
    Tensor.sub,
    Tensor.__sub__,
    Tensor.__rsub__,
    torch.mul,
    Tensor.mul,
    Tensor.mul_,
    Tensor.__mul__,
    Tensor.__rmul__,
    Tensor.__imul__,
    torch.div,
    Tensor.div,
    Tensor.__truediv__,
}
COPIES = {
    Tensor.__getitem__,
    Tensor.contiguous,
    Tensor.float,
    Tensor.to,
    Tensor.half,
    Tensor.type,
    Tensor.clone,
    F.pad,
}
POINTWISE: set[Any] = BOUNDING | ACTIVATIONS | ELEMENTWISE | ARITHMETIC | COPIES
"""Functions of single values, which no later layer undoes."""
