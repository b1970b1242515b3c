"""Kernels predicted from where an output pixel lies, for any scale."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix.upsample.checks import images_only

TAPS = 3
"""Pixels a side of the predicted kernels, as in the paper."""
AT_ONCE = 1 << 22
"""Predicted weights that are held at a time: 16 megabytes in single precision."""


class MetaUpsample(nn.Module):
    """Convolution whose kernels an MLP predicts from scale and sub-pixel offset (Hu et al., Meta-SR, CVPR 2019).

    Output pixel i reads 3x3 pixels around source pixel floor((i + .5) / scale) with a kernel that `mlp` predicts from
    (row offset, column offset, 1 / scale). Offsets are between the centres of both pixels, from -.5 to below .5 source
    pixels; the paper's are between corners, which displaces scales that are no integers. One set of weights serves
    every scale of 1 or more, `scale` being the default.

    It starts with one random kernel for all offsets, plus small ones per offset that sum to zero, so that constants
    stay constant at any scale. Training may undo that, and offsets then draw a lattice as those of a shuffle do.

    An integer scale is one convolution and a pixel shuffle. Others go by groups of rows of the same offset, and by as
    many columns as keep the predicted weights below 4 million at a time, though training keeps them all; the loop is
    unrolled in an export. `mlp` has 9 * hidden * in * out weights: this is for narrow layers.

    Args:
        in_channels, out_channels: of the features before and after.
        scale: 1 or more; what `forward` takes unless it is given another.
        hidden: width of the MLP.

    `forward(x, scale=None)`: (N, in, H, W) to (N, out, floor(scale * H), floor(scale * W)).

    Raises:
        InputError: for a scale below 1, or none.

    >>> up = MetaUpsample(8, 4, scale=2)
    >>> x = torch.rand(1, 8, 5, 6)
    >>> tuple(up(x).shape), tuple(up(x, scale=1.5).shape)
    ((1, 4, 10, 12), (1, 4, 7, 9))
    """

    def __init__(self, in_channels: int, out_channels: int, *, scale: float = 2, hidden: int = 64) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.scale = in_channels, out_channels, _checked(scale)
        kernels = in_channels * out_channels
        last = nn.Linear(hidden, kernels * TAPS**2)
        self.mlp = nn.Sequential(nn.Linear(3, hidden), nn.ReLU(), last)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        bound = (in_channels * TAPS**2) ** -0.5
        with torch.no_grad():
            by_tap = last.weight.normal_(0, 0.1 * bound * hidden**-0.5).view(kernels, TAPS**2, hidden)
            by_tap -= by_tap.mean(1, keepdim=True)
            last.bias.uniform_(-bound, bound)

    def forward(self, x: Tensor, scale: float | None = None) -> Tensor:
        images_only("meta", x)
        scale = self.scale if scale is None else _checked(scale)
        padded = F.pad(x, (TAPS // 2,) * 4, mode="replicate")
        return self._shuffled(padded, int(scale)) if scale == int(scale) else self._gathered(padded, scale)

    def kernels(self, rows: list[float], columns: list[float], scale: float) -> Tensor:
        """What the MLP predicts at a `scale`, (len(rows), len(columns), out, in, 3, 3): for every pair of an offset of
        `rows` and one of `columns`."""
        make = self.bias.new_tensor
        row, column = make(rows)[:, None, None], make(columns)[None, :, None]
        shape = (len(rows), len(columns), 1)
        where = torch.cat([row.expand(shape), column.expand(shape), self.bias.new_full(shape, 1 / scale)], -1)
        return self.mlp(where).unflatten(-1, (self.out_channels, self.in_channels, TAPS, TAPS))

    def _shuffled(self, padded: Tensor, scale: int) -> Tensor:
        offsets = [(phase + 0.5) / scale - 0.5 for phase in range(scale)]
        weight = self.kernels(offsets, offsets, scale).flatten(0, 1).transpose(0, 1).flatten(0, 1)
        return F.pixel_shuffle(F.conv2d(padded, weight, self.bias.repeat_interleave(scale**2)), scale)

    def _gathered(self, padded: Tensor, scale: float) -> Tensor:
        height, width = (size - TAPS + 1 for size in padded.shape[-2:])
        rows, columns = _sources(height, scale), _sources(width, scale)
        together = max(1, AT_ONCE // (self.in_channels * self.out_channels * TAPS**2))
        groups = [[i for i, row in enumerate(rows) if row[1] == offset] for offset in sorted({r[1] for r in rows})]
        parts = []
        for group in groups:
            lines = [
                self._lines(padded, [rows[i] for i in group], columns[start : start + together], scale)
                for start in range(0, len(columns), together)
            ]
            parts.append(torch.cat(lines, 3))
        order = [i for group in groups for i in group]
        back = torch.tensor(sorted(range(len(order)), key=order.__getitem__), device=padded.device)
        return torch.cat(parts, 2).index_select(2, back) + self.bias[:, None, None]

    def _lines(
        self, padded: Tensor, rows: list[tuple[int, float]], columns: list[tuple[int, float]], scale: float
    ) -> Tensor:
        """(N, out, rows, columns) of output pixels in rows of one offset."""
        kernels = self.kernels([rows[0][1]], [offset for _, offset in columns], scale)[0]
        down, across = (
            torch.tensor([[source + tap for source, _ in lines] for tap in range(TAPS)], device=padded.device)
            for lines in (rows, columns)
        )
        patches = padded[:, :, down[:, None, :, None], across[None, :, None, :]]
        return torch.einsum("ncijrw,wocij->norw", patches, kernels)


def _sources(size: int, scale: float) -> list[tuple[int, float]]:
    """For each output pixel, the source pixel that its centre is in, and how far it is from that one's centre."""
    places = [(i + 0.5) / scale for i in range(int(size * scale + 1e-9))]
    # what rounding leaves below a boundary belongs above it, and equal offsets are to compare equal
    sources = [min(int(place + 1e-9), size - 1) for place in places]
    return [(source, round(place - source - 0.5, 9)) for place, source in zip(places, sources, strict=True)]


def _checked(scale: float) -> float:
    number = isinstance(scale, (int, float)) and not isinstance(scale, bool)
    if not number or not math.isfinite(scale) or scale < 1:
        raise InputError(f"scale is {scale!r}; expected a number of 1 or more")
    return scale
