"""One enlargement of an image, a volume or a signal, and how it is read off what went in and what came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from artifactlab.attribution.sites.axes import DIRECTIONS
from artifactlab.attribution.sites.image_views import ImageView

# A padding seldom adds half of a size, and what a module enlarges by hand, it doubles.
MIN_MODULE_GROWTH = 1.5
"""Growth factor from which on a module in which no growing call was seen is a site."""
# 2h + 1 pixels, as an unpadded transposed convolution makes them of h, are 5 % off from h = 10 on; scales in
# use that are no whole number (1.25, 1.5) are a quarter off.
PADDING_SHARE = 0.05
"""Relative deviation up to which a ratio of sizes is taken for a whole number and padding."""

ByDirection = tuple[float, float, float]
"""A factor for each direction, the fastest first: along rows, along columns, along depth or time."""
ALIKE: ByDirection = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Growth:
    """One enlargement, as (N, C, *space) tensors."""

    op: str
    """Name of the operation, as it appears in a site's key."""
    scale: tuple[float, ...]
    """Growth factor along each axis of space: (vertical, horizontal) of images."""
    in_shape: tuple[int, ...]
    """Shape (N, C, *space) before."""
    out_shape: tuple[int, ...]
    """Shape (N, C, *space) after."""
    input: Tensor | None
    """What went in, where the operation takes one image."""
    output: Tensor
    """What came out."""
    nearest: bool = False
    """Whether the operation is a nearest-neighbour resize."""
    lattice: bool = True
    """False for growth that has no lattice, such as a stride-1 transposed convolution."""
    directions: tuple[int, ...] = ()
    """Which direction each axis of space runs along, see `axes.DIRECTIONS`; the fastest ones where it is empty."""
    view: ImageView | None = None
    """How the tensor that the model sees is read as `output`; None where it is the same tensor."""
    seen_shape: tuple[int, ...] = ()
    """Shape of the tensor that the model sees, where there is a view of it."""

    @property
    def enlargement(self) -> ByDirection:
        """How many times larger the output is along each direction, lattice or not."""
        before, after = self.in_shape[2:], self.out_shape[2:]
        ratios = self.scale if self.lattice else [b / max(1, a) for a, b in zip(before, after, strict=True)]
        return self.by_direction(ratios)

    def by_direction(self, factors: Sequence[float]) -> ByDirection:
        """One factor for each direction, 1 for those that it does not have.

        Args:
            factors: one for each axis of space.
        """
        directions = self.directions or tuple(range(len(factors) - 1, -1, -1))
        along = dict(zip(directions, factors, strict=True))
        return (along.get(0, 1), along.get(1, 1), along.get(2, 1))

    def restore(self, output: Tensor) -> Tensor:
        """A replacement in the layout the model expects.

        Args:
            output: as (N, C, *space).
        """
        return output if self.view is None else self.view.restore(output, self.seen_shape)

    def without_tensors(self) -> Growth:
        """The same record, keeping no activation alive."""
        return replace(self, input=None, output=torch.empty(0))


def has_values(tensor: Tensor) -> bool:
    """Whether anything can be seen of a tensor: real numbers in memory, at least one."""
    if tensor.is_nested or tensor.layout != torch.strided or tensor.is_meta or not tensor.is_floating_point():
        return False
    return tensor.numel() > 0


def growth_between(
    op: str,
    source: Tensor,
    output: Tensor,
    *,
    nearest: bool = False,
    scale: tuple[float, ...] | None = None,
) -> Growth | None:
    """The growth from one image, volume or signal to another, None where there is none.

    What comes of a single value has no lattice: it is the same everywhere.

    Args:
        op: name of the operation.
        source: what went in, (N, C, *space).
        output: what came out.
        nearest: whether the operation is a nearest-neighbour resize.
        scale: growth factor, where the operation has one (a stride); the ratio of the sizes where it has none.

    >>> growth_between("double", torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 16, 24)).scale
    (2, 3)
    >>> growth_between("causal", torch.zeros(1, 3, 5, 8, 8), torch.zeros(1, 3, 17, 8, 8)).scale
    (4, 1, 1)
    """
    if not 3 <= source.ndim == output.ndim <= 2 + DIRECTIONS or not has_values(output):
        return None
    sizes = list(zip(source.shape[2:], output.shape[2:], strict=True))
    if any(after < before for before, after in sizes) or all(after == before for before, after in sizes):
        return None
    if any(before == 0 for before, _ in sizes):
        return None
    is_spread = scale is None and all(before == 1 for before, after in sizes if after > before)
    factors = tuple(scale or (_factor(axis, before, after, sizes) for axis, (before, after) in enumerate(sizes)))
    return Growth(
        op=op,
        scale=factors,
        in_shape=tuple(source.shape),
        out_shape=tuple(output.shape),
        input=source,
        output=output,
        nearest=nearest,
        lattice=any(factor != 1 for factor in factors) and not is_spread,
    )


def _factor(axis: int, before: int, after: int, sizes: Sequence[tuple[int, int]]) -> float:
    """The growth along an axis; of time, the first frame may be causal and stay one: 1 + 4 (T - 1) of T frames."""
    if axis == 0 and len(sizes) == DIRECTIONS and 1 < before < after and after % before:
        steps, rest = divmod(after - 1, before - 1)
        if rest == 0:
            return steps
    return nominal_scale(after / before)


def module_growth(
    module: nn.Module, source: Tensor | None, image: Tensor | None, seen: ByDirection, tokens: bool
) -> Growth | None:
    """The growth of a module that no call in it was seen to make: hand-made from slices, kernels in C++, or the like.

    Where only the last axis grows and a linear layer is at work, that axis holds the features of an (N, H, W, C). What
    windows of a batch are put together to is as large as they were. Where other growth was seen in the module, it is
    in doubt unless its arguments are images alone: others may have brought the size along.

    Args:
        module: the module.
        source: the image among its arguments, (N, C, *space).
        image: what it returned, if that is an image.
        seen: growth that was seen in it.
        tokens: whether its arguments hold tokens, too.
    """
    if source is None or image is None or (tokens and seen != ALIKE) or source.ndim != image.ndim:
        return None
    growth = growth_between("module", source, image)
    if growth is None or not _outgrows(source, image, seen):
        return None
    unseen = seen[: len(growth.scale)][::-1]
    scale = tuple(nominal_scale(max(1.0, whole / part)) for whole, part in zip(growth.scale, unseen, strict=True))
    if max(scale) < MIN_MODULE_GROWTH:
        return None
    grows_features = set(scale[:-1]) == {1} and any(isinstance(part, nn.Linear) for part in module.modules())
    return None if grows_features else replace(growth, scale=scale)


def _outgrows(source: Tensor, image: Tensor, seen: ByDirection) -> bool:
    """Whether all images of a batch together grew by more than was seen."""
    before, after = (batch.numel() / batch.shape[1] for batch in (source, image))
    return after >= MIN_MODULE_GROWTH * before * seen[0] * seen[1] * seen[2]


def nominal_scale(ratio: float) -> float:
    """A ratio of sizes as a whole number where it is one but for padding (2h+1 pixels from h), else to 3 decimals."""
    nearest = round(ratio)
    return nearest if nearest and abs(ratio - nearest) <= PADDING_SHARE * nearest else round(ratio, 3)
