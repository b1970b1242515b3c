"""Kernels that answer flat features alike in every phase, made of a layer's own: what its weights can be set to.

Each is a `Response`; `nearest_weights` finds the weights of a layer that come nearest to it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.fix.mimic import mimic
from artifactlab.fix.response import Response, impulse_response
from artifactlab.fix.upsample.resize import ResizeConvUpsample


def smooth_copy(old: Response) -> Response:
    """What a bilinear resize and a 3x3 convolution make of it at best: the closed form of `interpolate_conv`."""
    channels, axes = old.kernel.shape[1], old.axes
    resize = ResizeConvUpsample(channels, old.kernel.shape[0], scale=old.scale, spatial_dims=axes)
    mimic(resize, old)
    return Response(impulse_response(resize, channels, axes).kernel, _alike(old.bias), old.more)


def mean_kernel(old: Response) -> Response:
    """The mean of the phases' kernels in each of them: sub-kernels that are alike, as ICNR starts them."""
    axes = old.axes
    mean = old.kernel.mean(tuple(range(2, 2 + axes)), keepdim=True)
    return Response(mean.expand(old.kernel.shape).clone(), _alike(old.bias), old.more)


def blurred(old: Response) -> Response:
    """The layer followed by a linear interpolator's filter, a box of the scale twice, whatever the phases were.

    A box has zeros at all multiples of one over the scale: no constant grid is left. The second makes them double, so
    that slopes are answered alike, too, and no stair-steps are left; and of an odd number of taps nothing is displaced.

    >>> nearest = impulse_response(torch.nn.Upsample(scale_factor=2), 1)
    >>> linear = torch.nn.Upsample(scale_factor=2, mode="bilinear")
    >>> smooth = blurred(nearest)
    >>> bool((smooth.kernel.sum((-2, -1)) - 1).abs().max() < 1e-6)
    True
    """
    kernel, scale, axes = old.kernel, old.scale, old.axes
    fine = _at_fine_rate(F.pad(kernel, [1] * 2 * axes), axes)
    for axis, factor in enumerate(scale, 2):
        ramp = factor - torch.arange(1 - factor, factor, dtype=fine.dtype).abs()
        fine = _along(fine, ramp / factor**2, axis)
    return Response(_by_phase(fine, scale), _alike(old.bias), old.more)


WANTED: dict[str, Callable[[Response], Response]] = {
    "weights": smooth_copy,
    "blur": blurred,
    "icnr": mean_kernel,
}
"""What a layer's own weights are to come near, by the mode of the fix."""


def _alike(bias: Tensor) -> Tensor:
    """The mean of the phases' constants in each of them, as a grid of constants is one, too."""
    return bias.mean(tuple(range(1, bias.ndim)), keepdim=True).expand(bias.shape).clone()


def _at_fine_rate(kernel: Tensor, axes: int) -> Tensor:
    """(C', C, *scale, *taps) as what an impulse is answered with, (C', C, *scale * taps); offsets run against it."""
    kernel = kernel.flip(list(range(2 + axes, 2 + 2 * axes)))
    order = [0, 1, *(place for axis in range(axes) for place in (2 + axes + axis, 2 + axis))]
    sizes = [kernel.shape[2 + axes + axis] * kernel.shape[2 + axis] for axis in range(axes)]
    return kernel.permute(order).reshape(*kernel.shape[:2], *sizes)


def _by_phase(fine: Tensor, scale: tuple[int, ...]) -> Tensor:
    """The inverse of `_at_fine_rate`."""
    axes = len(scale)
    for axis in reversed(range(axes)):
        fine = fine.unflatten(2 + axis, (-1, scale[axis]))
    order = [0, 1, *range(3, 3 + 2 * axes, 2), *range(2, 2 + 2 * axes, 2)]
    return fine.permute(order).flip(list(range(2 + axes, 2 + 2 * axes)))


def _along(values: Tensor, taps: Tensor, axis: int) -> Tensor:
    """Convolved with a symmetric filter along one axis, of the same size."""
    moved = values.movedim(axis, -1)
    lines = moved.reshape(-1, 1, moved.shape[-1])
    made = F.conv1d(lines, taps.view(1, 1, -1), padding=len(taps) // 2)
    return made.view(moved.shape).movedim(-1, axis)
