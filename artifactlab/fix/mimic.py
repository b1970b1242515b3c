"""Start a replacement where the old upsampler left off, less its lattice: closed forms, no data, no training.

The old operator is a kernel per output phase, see `response`. First the convolution after a smooth resize is fitted to
it by least squares. What such a pair computes has no phase pattern on flat content whatever its weights are, so the
fit keeps the layer and loses the grid. Every mode can then begin as exactly that pair.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from artifactlab.errors import FixError
from artifactlab.fix.response import Response, impulse_response
from artifactlab.fix.upsample.carafe import CarafeUpsample
from artifactlab.fix.upsample.conv_only import ConvOnlyUpsample
from artifactlab.fix.upsample.deconv import TransposedConvUpsample
from artifactlab.fix.upsample.dysample import DySampleUpsample
from artifactlab.fix.upsample.hybrid import HybridUpsample
from artifactlab.fix.upsample.meta import MetaUpsample
from artifactlab.fix.upsample.resize import ResizeConvUpsample
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
        elif isinstance(new, HybridUpsample):
            mimic(new.resize, old)
            mimic(new.subpixel, old)
        else:
            smooth = ResizeConvUpsample(old.kernel.shape[1], old.kernel.shape[0], scale=old.scale)
            mimic(smooth, old)
            _copy(new, impulse_response(smooth, old.kernel.shape[1]))
        return _difference(impulse_response(new, old.kernel.shape[1]), old)


def _without_convolution(new: ResizeConvUpsample | CarafeUpsample | DySampleUpsample) -> Callable[[Tensor], Tensor]:
    """What stands before the convolution, on one channel; it treats all channels alike."""
    channels = new.conv.in_channels

    def enlarge(x: Tensor) -> Tensor:
        conv, new.conv = new.conv, nn.Identity()  # type: ignore[assignment]
        try:
            return new(x.expand(-1, channels, -1, -1))[:, :1]
        finally:
            new.conv = conv

    return enlarge


def _difference(new: Response, old: Response) -> float:
    """Relative rms difference of what two operators give on smooth inputs."""
    reach = max(new.reach, old.reach)
    root = _correlation_root(reach)
    before, after = _taps(old, reach) @ root, _taps(new, reach) @ root
    energy = float(before.square().sum())
    return float((after - before).square().sum() / energy) ** 0.5 if energy else 0.0


def _fit_convolution(conv: nn.Conv2d, enlarge: Callable[[Tensor], Tensor], old: Response) -> None:
    """Least squares, weighted by how a smooth feature map is correlated; one small system for all pairs of channels."""
    size = conv.kernel_size[0]
    deltas = torch.eye(size**2).view(size**2, 1, size, size)

    def basis(x: Tensor) -> Tensor:
        padded = nn.functional.pad(enlarge(x), [size // 2] * 4, mode="replicate")
        return nn.functional.conv2d(padded, deltas)

    able = impulse_response(basis, 1)
    reach = max(able.reach, old.reach)
    root = _correlation_root(reach)
    columns = (_taps(able, reach) @ root).flatten(1)
    wanted = (_taps(old, reach) @ root).flatten(1)
    gram = columns @ columns.T
    gram += RIDGE * torch.linalg.eigvalsh(gram)[-1] * torch.eye(len(gram), dtype=gram.dtype)
    weights = torch.linalg.solve(gram, columns @ wanted.T).T
    conv.weight.copy_(weights.view(conv.weight.shape))
    _set_bias(conv, old.bias.mean((1, 2)))


def _taps(response: Response, reach: int) -> Tensor:
    """(pairs of channels, phases, taps) of a kernel, padded to a reach."""
    more = reach - response.reach
    kernel = nn.functional.pad(response.kernel, [more] * 4)
    return kernel.flatten(4).flatten(2, 3).flatten(0, 1)


def _correlation_root(reach: int) -> Tensor:
    """Square root (taps, taps) of the correlation between the pixels that a kernel reads."""
    place = torch.arange(2 * reach + 1, dtype=torch.float64)
    along = CORRELATION ** (place[:, None] - place).abs()
    return torch.linalg.cholesky(torch.kron(along, along) + 1.0)  # 1: a mean as large as the spread, as after a ReLU


def _copy(new: nn.Module, response: Response) -> None:
    """Weights with which a mode that can do so computes exactly this response."""
    if isinstance(new, CopiesResponse):
        new.copy_response(response)
    elif isinstance(new, SubpixelUpsample):
        if new.blur:
            raise FixError(
                "a subpixel layer with blur displaces by half a pixel, so that it cannot be a copy; leave it out"
            )
        _copy_phases(new.conv, response.kernel, response.bias)
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


def _set_bias(conv: nn.Conv2d | nn.ConvTranspose2d, values: Tensor) -> None:
    """Every replacement's convolutions have a bias."""
    if conv.bias is None:
        raise FixError("the new layer has no bias to take the old one's")
    conv.bias.copy_(values)


def _copy_phases(conv: nn.Conv2d, kernel: Tensor, bias: Tensor) -> None:
    """A convolution that feeds a pixel shuffle: one kernel per phase."""
    reach, middle = kernel.shape[-1] // 2, conv.kernel_size[0] // 2
    if reach > middle:
        raise FixError(f"a kernel of {kernel.shape[-1]} does not fit one of {conv.kernel_size[0]}")
    weight = nn.functional.pad(kernel, [middle - reach] * 4).permute(0, 2, 3, 1, 4, 5)
    conv.weight.copy_(weight.reshape(conv.weight.shape))
    _set_bias(conv, bias.flatten())


def _copy_through_gelu(new: ConvOnlyUpsample, response: Response) -> None:
    """Every channel and its negative: GELU(x) - GELU(-x) = x, so that the pair passes unbent."""
    out = response.kernel.shape[0]
    hidden = new.project.in_channels
    if hidden < 2 * out:
        raise FixError(f"a copy takes {2 * out} hidden channels, two for each of {out}, and there are {hidden}")
    spare = hidden - 2 * out
    kernel, bias = response.kernel, response.bias
    _copy_phases(
        new.expand,
        torch.cat([kernel, -kernel, kernel.new_zeros(spare, *kernel.shape[1:])]),
        torch.cat([bias, -bias, bias.new_zeros(spare, *bias.shape[1:])]),
    )
    middle = new.project.kernel_size[0] // 2
    new.project.weight.zero_()
    _set_bias(new.project, torch.zeros(out))
    for sign, start in ((1.0, 0), (-1.0, out)):
        channels = torch.arange(out)
        new.project.weight[channels, start + channels, middle, middle] = sign


def _copy_transposed(new: TransposedConvUpsample, response: Response) -> None:
    """Each weight of a transposed convolution is one tap of one phase; which one, a kernel of numbers shows."""
    size = new.conv.kernel_size[0]
    counted = TransposedConvUpsample(1, 1, scale=new.scale, kernel_size=size)
    counted.conv.weight.copy_(torch.arange(1.0, size**2 + 1).view(1, 1, size, size))
    _set_bias(counted.conv, torch.zeros(1))
    places = impulse_response(counted, 1).kernel[0, 0].round().long()  # (r, r, taps, taps): number of the weight, or 0
    reach = max(places.shape[-1], response.kernel.shape[-1]) // 2
    places = nn.functional.pad(places, [reach - places.shape[-1] // 2] * 4)
    kernel = nn.functional.pad(response.kernel, [reach - response.reach] * 4)
    if (kernel[..., places == 0].abs() > 1e-9).any():
        raise FixError(
            f"a kernel of {size} has fewer than the three weights per phase and axis that a copy takes;"
            f" use kernel_size={3 * new.scale}"
        )
    flat = kernel.new_zeros(*kernel.shape[:2], size**2 + 1)
    flat[..., places.flatten()] = kernel.flatten(2)
    new.conv.weight.copy_(flat[..., 1:].unflatten(2, (size, size)).transpose(0, 1))
    _set_bias(new.conv, response.bias.mean((1, 2)))


def _copy_predicted(new: MetaUpsample, response: Response) -> None:
    """The last layer's smallest change after which it predicts the wanted kernels at this scale's offsets."""
    r, taps = response.scale, response.kernel.shape[-1]
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
