"""A resize and the convolution that reads it, as one operator at the input's size, for inference.

Every phase of the output, the pixels `(scale * y + a, scale * x + b)`, is a small convolution of the input, with the
resize's weights folded into the kernel (the phases of Shi et al. 2016, "Is the deconvolution layer the same as a
convolutional layer?"). After nearest x2, a 3x3 kernel has 2x2 weights a phase: 16 products an input pixel and pair of
channels instead of 36; and phases that read alike are computed once. After bilinear x2 it keeps 3x3, so that only the
enlarged input is saved, not products.

Why phase by phase: in CPU time over the pair's (medians of five runs of `benchmarks/fuse.py`: one thread of a shared
x86 with AVX2, float32, 64 channels, 64x64, zero padding; about a tenth is noise):

                                           nearest x2   nearest x4   bilinear x2   bilinear x4
    a convolution per phase, interleaved   .76          .45          1.38          1.17
    phases as channels, pixel shuffle      1.02         .78          .99           .99
    one transposed convolution             .62          .67          1.01          1.01

The shuffled one gives all phases the widest one's window, zeros included, and the transposed one computes equal phases
again; on 128x128, nearest x2, it takes .71 where phases take .47. After bilinear no way is faster on maps this small.
On 128x128, 64 channels or more, padded by replicate, phases take .8 to 1 (x2) and .5 to .7 (x4); with 16 channels they
may be a third slower. Beside the output they hold one phase only: half (x2) or a third (x4) of the pair's memory.

Borders: what the convolution's padding gives is mostly what the same padding of the small input gives: zeros and
replicate after nearest, replicate after bilinear, reflect where it stays within a replicated block. Elsewhere (zeros
after bilinear, wide reflect) the outermost rows and columns, as many as are padded, are computed by the pair itself, on
strips.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.fix.pairs import PAD_MODES, Pair
from artifactlab.fix.upsample.checks import features


@dataclass(frozen=True)
class _Taps:
    """Phases of one axis that read the input with the same weights."""

    phases: tuple[int, ...]
    """The phases, counted from the first output pixel of an input pixel."""
    first: int
    """The position of the first input pixel that they read, relative to their own."""
    matrix: tuple[tuple[float, ...], ...]
    """How the kernel's weights add up on each of the input pixels, (input pixels read, kernel size)."""


class FusedUpsample(nn.Module):
    """What `fuse` makes: a resize and a convolution as one convolution per phase; for inference.

    Its parameters take no gradient (its input may), and cannot be turned back into the pair's. They are loaded strictly
    into what `fuse` makes of a module of the same kind. Layout (channels_last), precision and autocast are the
    convolution's. It can be exported, with sizes left open from a kernel's up.

    Args:
        pair: the resize and the convolution, as `fuse` found them.

    `forward(x)`: (N, in, H, W) to what the pair gives: (N, out, scale * H, scale * W), less what the convolution is not
    padded by.

    Raises:
        InputError: for an input of another shape.

    >>> import torch
    >>> from artifactlab.fix import fuse
    >>> fused = fuse(nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 4, 3, padding=1)))
    >>> type(fused).__name__, tuple(fused(torch.rand(1, 3, 5, 6)).shape)
    ('FusedUpsample', (1, 4, 10, 12))
    """

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        conv, scale = pair.conv, pair.scale
        self.resample, self.scale = pair.resample, scale
        self.border, self.pads = pair.border, pair.pads
        self.in_channels, self.out_channels = conv.in_channels, conv.out_channels
        self.groups = conv.groups
        self.kernel_size = (conv.kernel_size[0], conv.kernel_size[1])
        self._rows, self._columns = (_taps(pair.resample, scale, size) for size in self.kernel_size)
        self._pad_mode = _small_pad_mode(pair)
        weight = conv.weight.detach()
        self.kernels = nn.ParameterList(
            _fixed(_composed(weight, rows, columns)) for rows in self._rows for columns in self._columns
        )
        self.bias = None if conv.bias is None else _fixed(conv.bias.detach().clone())
        self.weight = None if self._pad_mode else _fixed(weight.clone())
        """The convolution's own weights, for strips along the border, where they are needed."""

    def forward(self, x: Tensor) -> Tensor:
        features("x", x, self.in_channels)
        if self.weight is None:
            return self._cropped(self._phases(x, self._pad_mode))
        height, width = self.kernel_size
        if any(
            size - 1 > self.scale and size - 1 > self.scale * x.shape[axis] for size, axis in ((height, 2), (width, 3))
        ):
            return self._by_pair(x, self.pads, self.weight)  # smaller than the kernel: all of it is border
        out = self._cropped(self._phases(x, "replicate"))
        left, right, top, bottom = self.pads
        if top:
            out[:, :, :top] = self._by_pair(x, (left, right, top, 0), self.weight, 2, from_end=False)
        if bottom:
            out[:, :, -bottom:] = self._by_pair(x, (left, right, 0, bottom), self.weight, 2, from_end=True)
        if left:
            out[..., :left] = self._by_pair(x, (left, 0, top, bottom), self.weight, 3, from_end=False)
        if right:
            out[..., -right:] = self._by_pair(x, (0, right, top, bottom), self.weight, 3, from_end=True)
        return out

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, scale={self.scale}, resample={self.resample!r},"
            f" kernel_size={self.kernel_size}, border={self.border!r}, pads={self.pads}, groups={self.groups}"
        )

    def _phases(self, x: Tensor, pad_mode: str) -> Tensor:
        """(N, out, scale * H, scale * W): every output whose middle tap is inside, phase by phase."""
        height, width = x.shape[2:]
        top, bottom = _margins(self._rows)
        left, right = _margins(self._columns)
        padded = F.pad(x, (left, right, top, bottom), mode=pad_mode)
        out: Tensor | None = None
        kernels = iter(self.kernels)
        for rows in self._rows:
            start = top + rows.first
            band = padded[:, :, start : start + height + len(rows.matrix) - 1]
            for columns in self._columns:
                start = left + columns.first
                window = band[..., start : start + width + len(columns.matrix) - 1]
                part = F.conv2d(window, next(kernels), self.bias, groups=self.groups)
                if out is None:
                    out = _enlarged(part, self.scale)
                for a in rows.phases:
                    for b in columns.phases:
                        out[:, :, a :: self.scale, b :: self.scale] = part
        assert out is not None
        return out

    def _cropped(self, out: Tensor) -> Tensor:
        """Without the rows and columns that a convolution with less padding than half its kernel does not give."""
        left, right, top, bottom = self.pads
        rows, columns = (size // 2 for size in self.kernel_size)
        if (left, right, top, bottom) == (columns, columns, rows, rows):
            return out
        inside = out[:, :, rows - top : out.shape[2] - rows + bottom, columns - left : out.shape[3] - columns + right]
        return inside.contiguous(memory_format=_layout(out))

    def _by_pair(
        self,
        x: Tensor,
        pads: tuple[int, int, int, int],
        weight: Tensor,
        axis: int | None = None,
        *,
        from_end: bool = False,
    ) -> Tensor:
        """The pair's own output: all of it, or the strip along the border that reads the padding."""
        if axis is not None:
            needed = self.kernel_size[axis - 2] - 1  # enlarged pixels that the strip reads beside the padding
            source = math.floor((needed - 0.5) / self.scale - 0.5) + 2
            x = _end(x, axis, source, from_end)
        mode = None if self.resample == "nearest" else False
        size = (self.scale * x.shape[2], self.scale * x.shape[3])
        large = F.interpolate(x, size, mode=self.resample, align_corners=mode)
        if axis is not None:
            large = _end(large, axis, needed, from_end)
        return F.conv2d(F.pad(large, pads, mode=PAD_MODES[self.border]), weight, self.bias, groups=self.groups)


def _small_pad_mode(pair: Pair) -> str:
    """The padding of the small input that gives what the pair's padding gives; none if there is none."""
    widest = max(pair.pads)
    if widest == 0 or pair.border == "replicate":
        return "replicate"
    if pair.border == "zeros":
        return "constant" if pair.resample == "nearest" else ""
    # reflected pixels, those beside the outermost one, that are all equal to it
    equal = pair.scale - 1 if pair.resample == "nearest" else (pair.scale - 1) // 2
    return "replicate" if widest <= equal else ""


def _taps(resample: str, scale: int, size: int) -> tuple[_Taps, ...]:
    """How the phases of an axis read the input through a resize and a kernel of `size`.

    >>> _taps("nearest", 2, 3)[0]
    _Taps(phases=(0,), first=-1, matrix=((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)))
    """
    found: dict[tuple[int, tuple[tuple[float, ...], ...]], list[int]] = {}
    for phase in range(scale):
        weights: dict[tuple[int, int], float] = {}
        for tap in range(size):
            pixel = phase + tap - size // 2
            near, share = pixel // scale, 0.0
            if resample == "bilinear":  # in halves of a pixel, so that whole positions are whole numbers
                near, rest = divmod(2 * pixel + 1 - scale, 2 * scale)
                share = rest / (2 * scale)
            weights[near, tap] = 1 - share
            if share:
                weights[near + 1, tap] = share
        first, last = min(weights)[0], max(weights)[0]
        matrix = tuple(tuple(weights.get((row, tap), 0.0) for tap in range(size)) for row in range(first, last + 1))
        found.setdefault((first, matrix), []).append(phase)
    return tuple(_Taps(tuple(phases), first, matrix) for (first, matrix), phases in found.items())


def _margins(taps: Sequence[_Taps]) -> tuple[int, int]:
    """How many pixels before and after its own the phases read."""
    return max(0, *(-tap.first for tap in taps)), max(0, *(tap.first + len(tap.matrix) - 1 for tap in taps))


def _composed(weight: Tensor, rows: _Taps, columns: _Taps) -> Tensor:
    """(out, in, k, k) -> (out, in, rows read, columns read)."""
    vertical, horizontal = (torch.tensor(t.matrix, dtype=torch.float64, device="cpu") for t in (rows, columns))
    kernel = torch.einsum("ut,octs,vs->ocuv", vertical, weight.cpu().double(), horizontal)
    return kernel.to(weight.device, weight.dtype).contiguous()


def _fixed(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)


def _layout(x: Tensor) -> torch.memory_format:
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


def _enlarged(part: Tensor, scale: int) -> Tensor:
    """Room for all phases, in the layout of one."""
    n, channels, height, width = part.shape
    size = (n, channels, scale * height, scale * width)
    return torch.empty(size, dtype=part.dtype, device=part.device, memory_format=_layout(part))


def _end(x: Tensor, axis: int, count: int, from_end: bool) -> Tensor:
    """The first or last `count` rows (axis 2) or columns (axis 3), or all if there are fewer."""
    inside = slice(-count, None) if from_end else slice(count)
    return x[:, :, inside] if axis == 2 else x[..., inside]
