"""`padding`: a transposed convolution whose kernel is large enough to draw no lattice, and the same layer otherwise.

A kernel that is no multiple of its stride (3 with 2) has phases of fewer taps than others, which cannot do what the
others do. Padded to three taps per phase and axis (6 with 2) it holds the closed form of `interpolate_conv` exactly: a
bilinear resize and a 3x3 convolution in one layer, of the same class, whose weights have the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from artifactlab.errors import FixError, InputError
from artifactlab.fix.flat_answers import smooth_copy
from artifactlab.fix.mimic import relative_difference
from artifactlab.fix.nearest_weights import nearest_weights, store
from artifactlab.fix.operator import SiteOperator, own_copy
from artifactlab.fix.replacement import PADDING, Replacement
from artifactlab.fix.response import impulse_response
from artifactlab.fix.upsample.spaces import TransposedConvolution

TAPS = 3
"""Per phase and axis: a bilinear resize by r and a 3x3 convolution reach 2 r + 2 pixels, which 3 r hold for any r."""


def padded(found: SiteOperator, old: Sequence[nn.Module], options: Mapping[str, Any]) -> Replacement:
    """The same transposed convolution with a larger kernel.

    Args:
        found: the operator at the site.
        old: its modules.
        options: `kernel_size`, a multiple of the stride, for another size than three taps per phase.

    Raises:
        FixError: if the layer is no transposed convolution, or has room enough.
        InputError: for another option or kernel.
    """
    (conv, *others) = old
    if others or not isinstance(conv, TransposedConvolution):
        raise FixError(
            f"{' and '.join(found.paths)} is no transposed convolution, whose kernel could be padded; --with weights"
            " needs no larger one"
        )
    if max(conv.dilation) > 1:
        raise FixError(f"{found.paths[0]} is dilated, and a padded kernel would be, too; use --with interpolate_conv")
    if unknown := set(options) - {"kernel_size"}:
        raise InputError(f"mode {PADDING!r} takes kernel_size alone, got {', '.join(sorted(unknown))}")
    given = options.get("kernel_size")
    axes = range(len(conv.stride))
    sizes = [given[axis] if isinstance(given, (list, tuple)) else given for axis in axes]
    fitted = [_fitted(conv, axis, found.response.more[axis], sizes[axis]) for axis in axes]
    kernel, padding, more = (list(values) for values in zip(*fitted, strict=True))
    if tuple(kernel) == tuple(conv.kernel_size):
        raise FixError(f"the kernel of {found.paths[0]}, {tuple(kernel)}, is large enough; use --with weights")
    return Replacement(
        site=found.site,
        paths=found.paths,
        mode=PADDING,
        in_channels=found.in_channels,
        out_channels=found.out_channels,
        scale=found.response.scale,
        more=found.response.more,
        options={
            "kernel_size": kernel,
            "padding": padding,
            "output_padding": more,
            "groups": conv.groups,
            "bias": conv.bias is not None,
        },
    )


def fill(new: nn.Module, found: SiteOperator) -> float:
    """Set its weights to the old one's copy without a lattice; how far that is from the old one."""
    assert isinstance(new, TransposedConvolution)
    store(new, nearest_weights([new], smooth_copy(found.response)))
    made = impulse_response(own_copy([new]), found.in_channels, found.response.axes)
    return relative_difference(made, found.response)


def _fitted(conv: TransposedConvolution, axis: int, more: int, given: int | None) -> tuple[int, int, int]:
    """Kernel size, padding and output padding along an axis, with which outputs have the size that they had."""
    stride, old = conv.stride[axis], conv.kernel_size[axis]
    least = max(TAPS * stride, old) if given is None else given
    if least < old or (given is not None and given % stride):
        raise InputError(f"kernel_size {given} is no multiple of the stride {stride} of {old} or more")
    reached = least // stride * stride
    for size in range(reached if reached == least else reached + stride, least + 4 * stride, stride):
        # of a size that was given, the first padding that fits; else one that leaves three taps to every phase
        for output_padding in range(stride):
            twice = size + output_padding - stride - more
            before = twice // 2
            if twice % 2 or before < 0:
                continue
            if given is not None or (before >= stride and size - before >= 2 * stride):
                return size, before, output_padding
    raise FixError(f"no padding gives a kernel of {least} or more the output size of {conv}; use --with deconv")
