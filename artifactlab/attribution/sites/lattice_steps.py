"""What a call does to the lattices in its arguments: which change their spacing, and which later layers can undo.

A site's lattice keeps its spacing through convolutions, crops, paddings and tiles, and changes it only where the result
passes another resize.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.attribution.sites.axes import DIRECTIONS, Axes, AxesOf, direction_of, source_of
from artifactlab.attribution.sites.axis_indices import NORMS, REDUCTIONS
from artifactlab.attribution.sites.lattice_paths import UNCHANGED, LatticeStep, Scale, product
from artifactlab.attribution.sites.upsampling import PADDING_SHARE, Growth
from artifactlab.models.torch_internals import without_function_modes

# Resizes are ratios of small whole numbers (3/2, 5/4); what needs a larger denominator is one of those, with a sample
# more or less at a border.
FINEST = 64
"""Largest denominator of a scale: sizes that differ by a sample or two are no resize."""


def no_axes(_: Any) -> None:
    """Nothing is known of any tensor's axes."""


def step_of(
    func: Any, args: Any, kwargs: Any, output: Any, growth: Growth | None, axes_of: AxesOf = no_axes
) -> LatticeStep:
    """What a call does to the lattices in its arguments."""
    kept = func in POINTWISE and sum(map(_varies, (*args, *kwargs.values()))) < 2
    scale = scale_of(growth) if growth else _shrinkage(func, args, kwargs, output, axes_of)
    return LatticeStep(scale, kept, func in BOUNDING)


def unseen_step(source: Tensor | None, image: Tensor | None) -> LatticeStep:
    """What a module does whose calls were not seen, by the sizes of the images that it takes and returns."""
    if source is None or image is None or source.ndim != image.ndim:
        return LatticeStep(UNCHANGED, pointwise=False)
    return LatticeStep(_size_ratio(source, image, no_axes), pointwise=False)


def own_lattice(growth: Growth) -> Scale:
    """A site's own scale; 0, and so for ever, along a direction that it does not grow."""
    x, y, z = (Fraction(0) if factor == 1 else factor for factor in scale_of(growth))
    return x, y, z


def scale_of(growth: Growth) -> Scale:
    """A growth's scale, of small whole numbers."""
    return exact(growth.by_direction(growth.scale))


@lru_cache(maxsize=256)  # a sampler runs the same few layers thousands of times
def exact(factors: tuple[float, ...]) -> Scale:
    """Factors as ratios of small whole numbers."""
    x, y, z = (Fraction(factor).limit_denominator(FINEST) for factor in factors)
    return x, y, z


def _varies(value: Any) -> bool:
    """Whether an operand differs from place to place, so that it may undo what another has."""
    if not isinstance(value, Tensor):
        return False
    with without_function_modes():
        return any(size > 1 for size in value.shape[-2:])


def _shrinkage(func: Any, args: Any, kwargs: Any, output: Any, axes_of: AxesOf) -> Scale:
    """What a call that is no site does to a lattice: strides and poolings shrink it, crops do not."""
    if func is Tensor.__getitem__:
        return _index_steps(args, axes_of)
    if func in REDUCTIONS or func in NORMS:
        return _pooled(source_of(args, kwargs), output, axes_of)
    shrink = SHRINKING.get(func)
    if shrink is None or not isinstance(output, Tensor):
        return UNCHANGED
    with without_function_modes():
        source = source_of(args, kwargs)
        if not isinstance(source, Tensor) or not 2 <= source.ndim == output.ndim <= 5:
            return UNCHANGED
        return product(shrink(args, kwargs, source, output, axes_of), _gathered(func, source, axes_of))


def _pooled(source: Any, output: Any, axes_of: AxesOf) -> Scale:
    """Of a sum or a mean over part of a direction's places, as pooling by hand makes it of an axis that was cut."""
    before, after = (_places(axes_of(x)) for x in (source, output if isinstance(output, Tensor) else output[0]))
    x, y, z = (Fraction(b, a) if b > 1 else Fraction(1) for a, b in zip(before, after, strict=True))
    return x, y, z


def _places(axes: Axes | None) -> list[int]:
    """How many places there are along each direction."""
    counts = [1] * DIRECTIONS
    for factor in (factor for axis in axes or () for factor in axis):
        if factor.role == "places" and factor.direction is not None and factor.direction < DIRECTIONS:
            counts[factor.direction] *= factor.size
    return counts


def _gathered(func: Any, source: Tensor, axes_of: AxesOf) -> Scale:
    """Places that a reshape has laid into the features, as space to depth by hand does: they are one place now."""
    axes = axes_of(source)
    if axes is None:
        return UNCHANGED
    factors = [Fraction(1)] * DIRECTIONS
    for factor in axes[-1 if func is F.linear else min(1, len(axes) - 1)]:
        if factor.role == "places":  # of those that were put together, the direction is not known
            for direction in range(DIRECTIONS):
                if factor.direction in (None, direction):
                    factors[direction] /= factor.size
    return factors[0], factors[1], factors[2]


def _index_steps(args: Any, axes_of: AxesOf) -> Scale:
    """Of an index `[..., a:b:step, c:d:step]` into an image."""
    image, index = args[0], args[1] if isinstance(args[1], tuple) else (args[1],)
    if not isinstance(image, Tensor) or not any(isinstance(i, slice) and i.step for i in index):
        return UNCHANGED
    if any(not isinstance(i, slice) and i is not Ellipsis for i in index):
        return UNCHANGED
    if Ellipsis in index:
        place = index.index(Ellipsis)
        missing = image.ndim - len(index) + 1
        index = (*index[:place], *[slice(None)] * missing, *index[place + 1 :])
    index = (*index, *[slice(None)] * (image.ndim - len(index)))
    steps = [Fraction(1, abs(part.step or 1)) for part in index]
    return _by_axis(steps, axes_of(image))


def _by_axis(factors: Sequence[Fraction], axes: Axes | None) -> Scale:
    """Factors of a tensor's axes, by the directions that they run along; the last axes' where that is not known."""
    along = [Fraction(1)] * DIRECTIONS
    rank = len(factors)
    if axes is not None and len(axes) == rank:
        directions = [direction_of(axis) for axis in axes]
    else:
        directions = [None, None, *range(rank - 3, -1, -1)]
    for direction, factor in zip(directions, factors, strict=False):
        if direction is not None and direction < DIRECTIONS:
            along[direction] *= factor
    return along[0], along[1], along[2]


Shrink = Callable[[Any, Any, Tensor, Tensor, AxesOf], Scale]


def _by_stride(position: int, name: str = "stride", default: tuple[int, str] | None = None) -> Shrink:
    """By an argument, by position or name; `default` is the argument that stands in for it where it is missing."""

    def scale_of(args: Any, kwargs: Any, source: Tensor, output: Tensor, axes_of: AxesOf) -> Scale:
        stride = kwargs.get(name, args[position] if len(args) > position else None)
        if default and not stride:
            stride = kwargs.get(default[1], args[default[0]] if len(args) > default[0] else None)
        steps = (stride,) if isinstance(stride, int) else tuple(stride or (1,))
        if set(steps) == {1}:
            return UNCHANGED
        space = source.ndim - 2
        steps = steps if len(steps) == space else (steps[0],) * space
        return _by_axis([Fraction(1)] * 2 + [Fraction(1, step) for step in steps], axes_of(output))

    return scale_of


def _unchanged(args: Any, kwargs: Any, source: Tensor, output: Tensor, axes_of: AxesOf) -> Scale:
    return UNCHANGED


def _by_ratio(args: Any, kwargs: Any, source: Tensor, output: Tensor, axes_of: AxesOf) -> Scale:
    return _size_ratio(source, output, axes_of)


def _size_ratio(source: Tensor, output: Tensor, axes_of: AxesOf) -> Scale:
    """How much larger the output is; a whole number, or one over it, where it is that but for padding."""
    scales = []
    for before, after in zip(source.shape[2:], output.shape[2:], strict=True):
        ratio = Fraction(after, max(1, before))
        near = Fraction(round(ratio)) if ratio >= 1 else Fraction(1, round(1 / max(ratio, Fraction(1, before))))
        is_near = abs(ratio / near - 1) <= PADDING_SHARE
        scales.append(near if is_near else ratio.limit_denominator(FINEST))
    return _by_axis([Fraction(1)] * 2 + scales, axes_of(output))


_POOLED = _by_stride(2, default=(1, "kernel_size"))
SHRINKING: dict[Any, Shrink] = {
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), _by_stride(3)),
    **dict.fromkeys((F.avg_pool1d, F.avg_pool2d, F.avg_pool3d), _POOLED),
    **dict.fromkeys((F.max_pool1d, F.max_pool2d, F.max_pool3d), _POOLED),
    **dict.fromkeys((torch.max_pool1d, torch.max_pool2d, torch.max_pool3d), _POOLED),
    **dict.fromkeys((F.max_pool1d_with_indices, F.max_pool2d_with_indices, F.max_pool3d_with_indices), _POOLED),
    **dict.fromkeys((F.lp_pool1d, F.lp_pool2d), _by_stride(3, default=(2, "kernel_size"))),
    F.pixel_unshuffle: _by_stride(1, "downscale_factor"),
    F.interpolate: _by_ratio,
    **dict.fromkeys((F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d), _by_ratio),
    **dict.fromkeys((F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d), _by_ratio),
    F.linear: _unchanged,
}
"""What functions do to the spacing of a lattice."""

SIGMOIDS = {torch.sigmoid, Tensor.sigmoid, F.sigmoid}
TANHS = {torch.tanh, Tensor.tanh, F.tanh}
SOFTMAXES = {torch.softmax, Tensor.softmax, F.softmax}
BOUNDING: set[Any] = SIGMOIDS | TANHS | SOFTMAXES
"""Functions of single values that turn logits into probabilities or pixels."""

ACTIVATIONS = {
    F.log_softmax,
    Tensor.log_softmax,
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
