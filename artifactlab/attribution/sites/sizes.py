"""Whether growth adds up from input to output: the size that a tensor should have by all that was seen to happen.

A padding, or tiles that are written into a whole, make an image larger and leave its lattices alone. So sizes are
followed beside lattices. Where an image is larger than it should be, something has enlarged it that no detector knows,
and that may be what draws the steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.attribution.sites.lattice_steps import SHRINKING
from artifactlab.attribution.sites.upsampling import MIN_MODULE_GROWTH, nominal_scale

# Feature maps of so few pixels are pooled values, spread over an image again, or what dense layers are given.
FEWEST = 4
"""Pixels by which an image must be larger than it should be, and more than which it should have a side."""


# Frames of a pixel before every convolution go again in each, and would add up.
FRAME = 1.1
"""Growth from which on a frame counts."""


class Extent(NamedTuple):
    """The size that an image should have, and what has made it so."""

    batch: float
    """Number of images: windows and tiles in the batch are put together to fewer, larger ones."""
    height: float
    """Rows."""
    width: float
    """Columns."""
    grown: tuple[float, ...] = (1.0, 1.0)
    """Growth that was seen on the way, (vertical, horizontal)."""
    since: str = "the input"
    """The site that it came through last."""

    def scaled(self, vertical: float, horizontal: float) -> Extent:
        """The same, its sides multiplied."""
        return self._replace(height=self.height * vertical, width=self.width * horizontal)


@dataclass(frozen=True)
class UnseenGrowth:
    """Growth that only sizes tell of."""

    since: str
    """Where it was last as it should be: a site, as its module and operation, or `the input`."""
    until: str
    """Where it was found: a site, or `the output`."""
    scale: tuple[float, ...]
    """How many times larger the image is than it should be, (vertical, horizontal)."""
    grown: tuple[float, ...]
    """Growth that was seen on the way to the output."""
    period: tuple[float, ...] = (1, 1)
    """Spacing of the lattice it may draw, in output pixels, along each direction of the output."""


def extent_of(image: Tensor) -> Extent:
    """The extent of an (N, C, H, W) input."""
    height, width = image.shape[-2:]
    return Extent(image.shape[0], height, width)


def unseen_between(expected: Extent | None, shape: tuple[int, ...], until: str) -> UnseenGrowth | None:
    """What has enlarged an image of this (N, C, H, W) shape beyond what was expected; None if nothing has.

    Both directions must have grown, as an image's do, and all images together: windows of a batch that are put
    together are no growth.
    """
    if expected is None or max(expected.height, expected.width) <= FEWEST:
        return None
    sides = (expected.height, expected.width)
    ratios = [after / max(before, 1e-9) for before, after in zip(sides, shape[-2:], strict=True)]
    beyond = [after - before for before, after in zip(sides, shape[-2:], strict=True)]
    batches = shape[0] / max(expected.batch, 1)
    if min(*ratios, ratios[0] * ratios[1] * batches) < MIN_MODULE_GROWTH or min(beyond) <= FEWEST:
        return None
    vertical, horizontal = map(nominal_scale, ratios)
    return UnseenGrowth(expected.since, until, (vertical, horizontal), expected.grown)


def joined(extents: Iterable[Extent | None]) -> Extent | None:
    """Of what is joined, what should be largest; None where nothing is known of any."""
    known = [extent for extent in extents if extent is not None]
    return max(known, key=lambda extent: extent.height * extent.width, default=None)


def placement(func: Any, args: Any, output: Any) -> tuple[float, float]:
    """How many times larger a call makes an image without giving it a lattice: frames, tiles, images side by side.

    Of convolutions and poolings it is how many times smaller they make it, but for what their strides do.
    """
    if func is Tensor.__setitem__:
        return _written(args)
    source = args[0] if args else None
    if func in JOINING and isinstance(source, (list, tuple)) and source:
        source = min(source, key=lambda part: part.numel() if isinstance(part, Tensor) else 0)
    return _ratio(source, output)


def framing(func: Any, args: Any, output: Any) -> tuple[float, float]:
    """How many times larger an image became by a frame around it, or by images beside it; 1 where it did not."""
    if any(isinstance(value, Tensor) and value.ndim == 4 and 1 in value.shape[-2:] for value in args):
        return 1, 1  # a value that is spread over an image
    vertical, horizontal = placement(func, args, output)
    return (vertical, horizontal) if max(vertical, horizontal) >= FRAME and min(vertical, horizontal) >= 1 else (1, 1)


def _written(args: Any) -> tuple[float, float]:
    """Of a tile that is written into a whole image; pixels that are written with gaps between them are growth."""
    whole, index, tile = args
    places = index if isinstance(index, tuple) else (index,)
    gaps = any(isinstance(p, Tensor) or (isinstance(p, slice) and p.step not in (None, 1)) for p in places)
    return (1.0, 1.0) if gaps else _ratio(tile, whole)


def _ratio(source: Any, output: Any) -> tuple[float, float]:
    if not (isinstance(source, Tensor) and isinstance(output, Tensor) and source.ndim >= 2 and output.ndim == 4):
        return 1.0, 1.0
    if source.is_complex():  # frequencies that are added to a spectrum are pixels that are added between others
        return 1.0, 1.0
    before, after = source.shape[-2:], output.shape[-2:]
    return after[0] / max(1, before[0]), after[1] / max(1, before[1])


def loses_place(func: Any, output: Any) -> bool:
    """Whether a call mixes all pixels, so that the size of what comes later says nothing."""
    if func in MIXING:
        return True
    return isinstance(output, Tensor) and output.ndim <= 2 and func not in FLATTENING


JOINING: set[Any] = {torch.cat, torch.concat, torch.concatenate}
FRAMING: set[Any] = JOINING | {F.pad, Tensor.repeat, torch.tile, Tensor.tile, Tensor.expand}
"""Functions that lay something around an image, or beside it."""
PLACING: set[Any] = FRAMING | {Tensor.__setitem__, *SHRINKING}
"""Functions that change an image's size as `placement` says."""
LOOKED_UP: set[Any] = {F.grid_sample, torch.grid_sampler}
"""Functions that take values of the first argument at places that the second one tells."""
MIXING: set[Any] = {F.scaled_dot_product_attention, F.multi_head_attention_forward}
PRODUCTS: set[Any] = {torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm, torch.einsum}
"""Products: of two tensors that both came from the input, as in attention, they mix all pixels."""
FLATTENING: set[Any] = {
    *PRODUCTS,
    *(Tensor.view, Tensor.reshape, torch.reshape, Tensor.flatten, torch.flatten, torch.mm, Tensor.mm),
    *(Tensor.t, torch.t, Tensor.transpose, torch.transpose, Tensor.permute, Tensor.contiguous, Tensor.__getitem__),
}
"""Functions whose result may hold an image's pixels in two axes, or in one."""
