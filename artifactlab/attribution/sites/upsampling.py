"""One enlargement of an image, and how it is read off what went in and what came out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.models.outputs import first_image, is_image, tensors
from artifactlab.models.torch_internals import without_function_modes

# A padding seldom adds half of a size, and what a module enlarges by hand, it doubles.
MIN_MODULE_GROWTH = 1.5
"""Growth factor from which on a module in which no growing call was seen is a site."""
# 2h + 1 pixels, as an unpadded transposed convolution makes them of h, are 5 % off from h = 10 on; scales in
# use that are no whole number (1.25, 1.5) are a quarter off.
PADDING_SHARE = 0.05
"""Relative deviation up to which a ratio of sizes is taken for a whole number and padding."""


@dataclass(frozen=True)
class Growth:
    """One enlargement, as (N, C, H, W) tensors."""

    op: str
    """Name of the operation, as it appears in a site's key."""
    scale: tuple[float, float]
    """Growth factor, (vertical, horizontal)."""
    in_shape: tuple[int, ...]
    """Shape (N, C, H, W) before."""
    out_shape: tuple[int, ...]
    """Shape (N, C, H, W) after."""
    input: Tensor | None
    """What went in, where the operation takes one image."""
    output: Tensor
    """What came out."""
    nearest: bool = False
    """Whether the operation is a nearest-neighbour resize."""
    lattice: bool = True
    """False for growth that has no lattice, such as a stride-1 transposed convolution."""
    channels_last: bool = False
    """Whether the model sees the output as (N, H, W, C)."""

    @property
    def enlargement(self) -> tuple[float, float]:
        """How many times larger the output is, (vertical, horizontal), lattice or not."""
        if self.lattice:
            return self.scale
        (h, w), (oh, ow) = self.in_shape[-2:], self.out_shape[-2:]
        return oh / h, ow / w

    def restore(self, output: Tensor) -> Tensor:
        """An (N, C, H, W) replacement `output` in the layout the model expects."""
        return output.permute(0, 2, 3, 1).contiguous() if self.channels_last else output

    def without_tensors(self) -> Growth:
        """The same record, keeping no activation alive."""
        return replace(self, input=None, output=torch.empty(0))


def growth_between(
    op: str, source: Tensor, output: Tensor, *, nearest: bool = False, scale: tuple[float, float] | None = None
) -> Growth | None:
    """The growth from one image to another, None where there is none.

    Args:
        op: name of the operation.
        source: what went in.
        output: what came out.
        nearest: whether the operation is a nearest-neighbour resize.
        scale: growth factor, where the operation has one (a stride); the ratio of the sizes where it has none.

    >>> growth_between("double", torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 16, 24)).scale
    (2, 3)
    """
    if source.ndim != 4 or not is_image(output):
        return None
    (h, w), (oh, ow) = source.shape[-2:], output.shape[-2:]
    if oh < h or ow < w or (oh, ow) == (h, w) or 0 in (h, w):
        return None
    scale = scale or (nominal_scale(oh / h), nominal_scale(ow / w))
    return Growth(
        op=op,
        scale=scale,
        in_shape=tuple(source.shape),
        out_shape=tuple(output.shape),
        input=source,
        output=output,
        nearest=nearest,
        lattice=scale != (1, 1),
    )


def module_growth(module: nn.Module, inputs: Any, output: Any, seen: tuple[float, float] = (1.0, 1.0)) -> Growth | None:
    """The growth of a module that no call in it was seen to make: hand-made from slices, kernels in C++, or the like.

    Where only the last axis grows and a linear layer is at work, that axis holds the features of an (N, H, W, C). What
    windows of a batch are put together to is as large as they were. Where other growth was seen in the module, it is
    in doubt unless its arguments are images alone: others may have brought the size along.

    Args:
        module: the module.
        inputs: its arguments.
        output: what it returned.
        seen: growth that was seen in it, (vertical, horizontal).
    """
    with without_function_modes():  # every shape that is read would pass through the mode that watches calls
        source, image = first_image(inputs), first_image(output)
        if source is None or image is None or image is not output or not _outgrows(source, image, seen):
            return None
        if seen != (1, 1) and any(tensor.ndim == 3 for _, tensor in tensors(inputs)):
            return None
        growth = growth_between("module", source, image)
    if growth is None:
        return None
    scale = tuple(nominal_scale(max(1.0, whole / part)) for whole, part in zip(growth.scale, seen, strict=True))
    if max(scale) < MIN_MODULE_GROWTH:
        return None
    grows_features = scale[0] == 1 and any(isinstance(part, nn.Linear) for part in module.modules())
    return None if grows_features else replace(growth, scale=(scale[0], scale[1]))


def _outgrows(source: Tensor, image: Tensor, seen: tuple[float, float]) -> bool:
    """Whether all images of a batch together grew by more than was seen."""
    pixels = [batch.shape[0] * batch.shape[2] * batch.shape[3] for batch in (source, image)]
    return pixels[1] >= MIN_MODULE_GROWTH * pixels[0] * seen[0] * seen[1]


def nominal_scale(ratio: float) -> float:
    """A ratio of sizes as a whole number where it is one but for padding (2h+1 pixels from h), else to 3 decimals."""
    nearest = round(ratio)
    return nearest if nearest and abs(ratio - nearest) <= PADDING_SHARE * nearest else round(ratio, 3)
