"""How a tensor of any layout is read as `(N, C, *space)`, and put back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from artifactlab.attribution.sites.axes import Axes, Role, direction_of, is_row, role_of


class ImageView(NamedTuple):
    """How a tensor is read as `(N, C, *space)`: its axes in that order, and how many of them make each."""

    order: tuple[int, ...]
    """The tensor's axes: of the batch, of features, of places."""
    batch: int
    """How many axes are the batch's."""
    features: int
    """How many axes are features."""
    split: tuple[int, ...] | None = None
    """Shape that it is brought into first, where one of its axes runs along several directions, as tokens do."""

    def images(self, tensor: Tensor) -> Tensor:
        """The tensor as `(N, C, *space)`."""
        if self.is_trivial:
            return tensor
        moved = (tensor if self.split is None else tensor.reshape(self.split)).permute(self.order)
        n, c = (math.prod(moved.shape[slice(*part)]) for part in ((0, self.batch), (self.batch, self._first_place)))
        return moved.reshape(n, c, *moved.shape[self._first_place :])

    def restore(self, images: Tensor, shape: Sequence[int]) -> Tensor:
        """`(N, C, *space)` as a tensor of `shape`, laid out as the model expects it."""
        if self.is_trivial:
            return images
        moved = images.reshape([(self.split or shape)[axis] for axis in self.order])
        tensor = moved.permute([self.order.index(axis) for axis in range(len(self.order))]).contiguous()
        return tensor if self.split is None else tensor.view(*shape)

    @property
    def is_trivial(self) -> bool:
        """Whether the tensor is `(N, C, *space)` already."""
        return self.split is None and self.batch == 1 == self.features and self.order == tuple(range(len(self.order)))

    @property
    def _first_place(self) -> int:
        return self.batch + self.features


def plain_view(rank: int) -> ImageView:
    """The view of a tensor that is `(N, C, *space)` already."""
    return ImageView(tuple(range(rank)), 1, 1)


def view_of(axes: Axes) -> ImageView:
    """How a tensor with these axes is read as images: axes of places last, slowest direction first."""
    roles = [role_of(axis) for axis in axes]
    # an axis of pixels in a row, as of tokens, is one of many rows, along which other axes run
    roles = ["batch" if role == "places" and not is_row(a) else role for role, a in zip(roles, axes, strict=True)]
    roles[:1] = ["batch" if role != "places" else role for role in roles[:1]]
    other: Role = "batch" if "features" in roles or "stacked" in roles else "features"  # frames, or the features
    roles = [other if role == "unknown" else role for role in roles]
    batch = [k for k, role in enumerate(roles) if role == "batch"]
    features = [k for k, role in enumerate(roles) if role in ("features", "stacked")]
    places = [k for k, role in enumerate(roles) if role == "places"]
    places.sort(key=lambda k: -(direction_of(axes[k]) or 0))
    return ImageView((*batch, *features, *places), len(batch), len(features))
