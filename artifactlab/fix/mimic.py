"""Start a replacement where the old upsampler left off, less its lattice: closed forms, no data, no training.

The old operator is a kernel per output phase, see `response`. First the convolution after a smooth resize is fitted to
it by least squares. What such a pair computes has no phase pattern on flat content whatever its weights are, so the
fit keeps the layer and loses the grid. Every mode can then begin as exactly that pair.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from artifactlab.errors import FixError
from artifactlab.fix.response import Response, impulse_response
from artifactlab.fix.upsample.bilinear import BilinearUpsample
from artifactlab.fix.upsample.carafe import CarafeUpsample
from artifactlab.fix.upsample.conv_only import ConvOnlyUpsample
from artifactlab.fix.upsample.deconv import TransposedConvUpsample
from artifactlab.fix.upsample.dysample import DySampleUpsample
from artifactlab.fix.upsample.hybrid import HybridUpsample
from artifactlab.fix.upsample.meta import MetaUpsample
from artifactlab.fix.upsample.resize import ResizeConvUpsample
from artifactlab.fix.upsample.spaces import CONVOLVE, Convolution, TransposedConvolution
from artifactlab.fix.upsample.subpixel import SubpixelUpsample

CORRELATION = 0.9
"""Correlation of neighbouring pixels of the feature maps that the fit is made for: smooth ones, about as photos are."""
RIDGE = 1e-10
"""Share of the largest eigenvalue that is added to all: enough to settle weights that no input needs, and less than
single precision shows in any other."""


@runtime_checkable
class CopiesResponse(Protocol):
    """An upsampler, of an installed package say, that can set its own weights to begin as a replaced layer's copy.

    A class that derives from `ResizeConvUpsample` needs no such method: its convolution is fitted.
    """

    def copy_response(self, response: Response) -> None:
        """Set the weights so that it computes this response, whose kernel reaches one pixel and draws no lattice."""


def mimic(new: nn.Module, old: Response) -> float:
    """Set the weights of a fresh replacement, of any mode, so that it does what `old` does, less its lattice.

    Args:
        new: one of the classes of `artifactlab.fix.upsample`, of the same channels and scale.
        old: what it is to imitate.

    Returns:
        What is left between the two on smooth inputs, relative to the old one's rms: 0 is a perfect copy. It contains
        the lattice, which is meant to be left out.

    Raises:
        FixError: for a module that no closed form is known for, and that has no `copy_response`.
    """
    with torch.no_grad():
        if isinstance(new, (ResizeConvUpsample, CarafeUpsample, DySampleUpsample)):
            _fit_convolution(new.conv, _without_convolution(new), old)
        elif isinstance(new, BilinearUpsample):
            _take_mean(new.conv, old)
        elif isinstance(new, HybridUpsample):
            mimic(new.resize, old)
            mimic(new.subpixel, old)
        else:
            smooth = ResizeConvUpsample(
                old.kernel.shape[1], old.kernel.shape[0], scale=old.scale, spatial_dims=old.axes
            )
            mimic(smooth, old)
            _copy(new, impulse_response(smooth, old.kernel.shape[1], old.axes))
        return relative_difference(impulse_response(new, old.kernel.shape[1], old.axes), old)


def _take_mean(conv: Convolution, old: Response) -> None:
    """The mean of the phases' kernels, as nothing is fitted: the resize behind it tells no phases apart."""
    phases, size = tuple(range(2, 2 + old.axes)), conv.kernel_size[0]
    if 2 * old.reach + 1 > size:
        raise FixError(f"a kernel of {2 * old.reach + 1} does not fit one of {size}; leave kernel_size out")
    conv.weight.copy_(old.padded(size // 2).mean(phases))
    _set_bias(conv, old.bias.flatten(1).mean(1))


def _without_convolution(new: ResizeConvUpsample | CarafeUpsample | DySampleUpsample) -> Callable[[Tensor], Tensor]:
    """What stands before the convolution, on one channel; it treats all channels alike."""
    channels = new.conv.in_channels

    def enlarge(x: Tensor) -> Tensor:
        conv, new.conv = new.conv, nn.Identity()  # type: ignore[assignment]
        try:
            return new(x.expand(-1, channels, *[-1] * (x.ndim - 2)))[:, :1]
        finally:
            new.conv = conv

    return enlarge


def relative_difference(new: Response, old: Response) -> float:
    """Relative rms difference of what two operators give on smooth inputs."""
    reach = max(new.reach, old.reach)
    root = correlation_root(reach, old.axes)
    before, after = taps_of(old, reach) @ root, taps_of(new, reach) @ root
    energy = float(before.square().sum())
    return float((after - before).square().sum() / energy) ** 0.5 if energy else 0.0


def _fit_convolution(conv: Convolution, enlarge: Callable[[Tensor], Tensor], old: Response) -> None:
    """Least squares, weighted by how a smooth feature map is correlated; one small system for all pairs of channels."""
    size, axes = conv.kernel_size[0], old.axes
    deltas = torch.eye(size**axes).view(size**axes, 1, *[size] * axes)

    def basis(x: Tensor) -> Tensor:
        padded = nn.functional.pad(enlarge(x), [size // 2] * 2 * axes, mode="replicate")
        return CONVOLVE[axes](padded, deltas)

    able = impulse_response(basis, 1, axes)
    reach = max(able.reach, old.reach)
    root = correlation_root(reach, axes)
    columns = (taps_of(able, reach) @ root).flatten(1)
    wanted = (taps_of(old, reach) @ root).flatten(1)
    gram = columns @ columns.T
    gram += RIDGE * torch.linalg.eigvalsh(gram)[-1] * torch.eye(len(gram), dtype=gram.dtype)
    weights = torch.linalg.solve(gram, columns @ wanted.T).T
    conv.weight.copy_(weights.view(conv.weight.shape))
    _set_bias(conv, old.bias.flatten(1).mean(1))


def taps_of(response: Response, reach: int) -> Tensor:
    """(pairs of channels, phases, taps) of a kernel, padded to a reach."""
    kernel = response.padded(reach).flatten(2 + response.axes).flatten(2, 1 + response.axes)
    return kernel.flatten(0, 1)


def correlation_root(reach: int, axes: int) -> Tensor:
    """Square root (taps, taps) of the correlation between the pixels that a kernel reads."""
    place = torch.arange(2 * reach + 1, dtype=torch.float64)
    along = CORRELATION ** (place[:, None] - place).abs()
    together = functools.reduce(torch.kron, [along] * axes)
    return torch.linalg.cholesky(together + 1.0)  # 1: a mean as large as the spread, as after a ReLU


def _copy(new: nn.Module, response: Response) -> None:
    """Weights with which a mode that can do so computes exactly this response."""
    if isinstance(new, CopiesResponse):
        new.copy_response(response)
    elif isinstance(new, SubpixelUpsample):
        if new.blur:
            raise FixError(
                "a subpixel layer with blur displaces by half a pixel, so that it cannot be a copy; leave it out"
            )
        copy_phases(new.conv, response)
    elif isinstance(new, ConvOnlyUpsample):
        _copy_through_gelu(new, response)
    elif isinstance(new, TransposedConvUpsample):
        _copy_transposed(new, response)
    elif isinstance(new, MetaUpsample):
        _copy_predicted(new, response)
    else:
        raise FixError(
            f"no closed form is known that starts a {type(new).__name__}; derive it from ResizeConvUpsample, or give it"
            " a method copy_response(response), see artifactlab.fix.mimic.CopiesResponse"
        )


def _set_bias(conv: Convolution | TransposedConvolution, values: Tensor) -> None:
    """Every replacement's convolutions have a bias."""
    if conv.bias is None:
        raise FixError("the new layer has no bias to take the old one's")
    conv.bias.copy_(values)


def copy_phases(conv: Convolution, response: Response) -> None:
    """A convolution that feeds a pixel shuffle: one kernel per phase."""
    middle = conv.kernel_size[0] // 2
    if response.reach > middle:
        raise FixError(f"a kernel of {response.kernel.shape[-1]} does not fit one of {conv.kernel_size[0]}")
    padded = Response(response.padded(middle), response.bias, response.more)
    conv.weight.copy_(padded.by_phase().flatten(0, 1))
    _set_bias(conv, response.bias.flatten())


def _copy_through_gelu(new: ConvOnlyUpsample, response: Response) -> None:
    """Every channel and its negative: GELU(x) - GELU(-x) = x, so that the pair passes unbent."""
    out = response.kernel.shape[0]
    hidden = new.project.in_channels
    if hidden < 2 * out:
        raise FixError(f"a copy takes {2 * out} hidden channels, two for each of {out}, and there are {hidden}")
    spare = hidden - 2 * out
    kernel, bias = response.kernel, response.bias
    both = Response(
        torch.cat([kernel, -kernel, kernel.new_zeros(spare, *kernel.shape[1:])]),
        torch.cat([bias, -bias, bias.new_zeros(spare, *bias.shape[1:])]),
        response.more,
    )
    copy_phases(new.expand, both)
    middle = new.project.kernel_size[0] // 2
    new.project.weight.zero_()
    _set_bias(new.project, torch.zeros(out))
    for sign, start in ((1.0, 0), (-1.0, out)):
        channels = torch.arange(out)
        new.project.weight[channels, start + channels, middle, middle] = sign


def _copy_transposed(new: TransposedConvUpsample, response: Response) -> None:
    """Each weight of a transposed convolution is one tap of one phase; which one, a kernel of numbers shows."""
    sizes, count = new.conv.kernel_size, math.prod(new.conv.kernel_size)
    counted = TransposedConvUpsample(1, 1, scale=new.scale, kernel_size=sizes, spatial_dims=response.axes)
    counted.conv.weight.copy_(torch.arange(1.0, count + 1).view(1, 1, *sizes))
    _set_bias(counted.conv, torch.zeros(1))
    numbers = impulse_response(counted, 1, response.axes)
    reach = max(numbers.reach, response.reach)
    places = numbers.padded(reach)[0, 0].round().long()  # (*scale, *taps): number of the weight, or 0
    kernel = response.padded(reach)
    if (kernel[..., places == 0].abs() > 1e-9).any():
        raise FixError(
            f"a kernel of {_listed(sizes)} has fewer than the three weights per phase and axis that a copy takes;"
            f" use kernel_size={_listed([3 * factor for factor in new.scale])}"
        )
    flat = kernel.new_zeros(*kernel.shape[:2], count + 1)
    flat[..., places.flatten()] = kernel.flatten(2)
    new.conv.weight.copy_(flat[..., 1:].unflatten(2, sizes).transpose(0, 1))
    _set_bias(new.conv, response.bias.flatten(1).mean(1))


def _listed(sizes: Sequence[int]) -> str:
    """One number where they are equal."""
    return str(sizes[0] if len(set(sizes)) == 1 else tuple(sizes))


def _copy_predicted(new: MetaUpsample, response: Response) -> None:
    """The last layer's smallest change after which it predicts the wanted kernels at this scale's offsets."""
    r, taps = response.scale[0], response.kernel.shape[-1]
    offsets = torch.tensor([(phase + 0.5) / r - 0.5 for phase in range(r)])
    where = torch.stack([offsets.repeat_interleave(r), offsets.repeat(r), torch.full((r * r,), 1 / r)], 1)
    last: Any = new.mlp[-1]
    features = new.mlp[:-1](where).double()
    features = torch.cat([features, torch.ones(len(features), 1, dtype=torch.float64)], 1)
    wanted = response.kernel.permute(2, 3, 0, 1, 4, 5).reshape(r * r, -1)
    if taps != 3 or wanted.shape[1] != last.out_features:
        raise FixError(f"a kernel of {taps} does not fit the 3x3 kernels that mode 'meta' predicts")
    present = torch.cat([last.weight, last.bias[:, None]], 1).double()
    missing = wanted - features @ present.T
    present += (torch.linalg.pinv(features) @ missing).T
    last.weight.copy_(present[:, :-1])
    last.bias.copy_(present[:, -1])
    new.bias.copy_(response.bias.mean((1, 2)))
