"""Labels that travel beside a tensor: the place that each of its elements belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NOWHERE = -1.0
"""place of what belongs to none: the zeros of a padding"""
LEAST_GROWTH = 1.2
"""elements per place from which on neighbours are features of one place and not a repeated border"""
MOST_UNEVEN = 1
"""by how much the numbers of elements per place differ in a resize by a factor that is no whole number; windows that
were padded, and masked tokens, leave any number of them"""

_given = 0
"""number of places that were given out so far"""


@dataclass(frozen=True)
class Labels:
    """Where the elements of a tensor belong."""

    place: Tensor
    """of the tensor's shape: a number for each place; features of one place have the same"""
    moved_in: str | None = None
    """the module in which neighbours were made to share a place, None where none do"""

    @classmethod
    def of_product(cls, left: Labels, right: Labels) -> Labels:
        """Of a batch of matrix products: the rows are places where the left one's are, the columns where the right
        one's are; where both are, as in attention, each element is a place.
        """
        rows, columns = left.place[..., :, :1], right.place[..., :1, :]
        shape = (*rows.shape[:-1], columns.shape[-1])
        by_rows, by_columns = bool((rows != rows[..., :1, :]).any()), bool((columns != columns[..., :1]).any())
        if by_rows and by_columns:
            return labels_by_role(torch.empty(shape), None)
        return cls((rows if by_rows else columns).expand(shape).clone())


def labels_by_role(tensor: Tensor, feature_axis: int | None) -> Labels:
    """A place of its own for each index but that of the feature axis; no two tensors have one in common."""
    global _given
    shape = list(tensor.shape)
    if tensor.ndim > 1 and tensor.numel() and feature_axis is not None:
        shape[feature_axis] = 1
    count = torch.Size(shape).numel()
    place = (_given + torch.arange(count, dtype=torch.float64)).reshape(shape)
    _given += count
    return Labels(place.expand(tensor.shape).clone())


def cells(place: Tensor, axis: int) -> int:
    """How many places lie along an axis whose neighbours share them; 0 where they do not, or all share one.

    The first and the last run are left out of the mean, as paddings lengthen them; where they are nearly all there are,
    each place has to be there equally often.
    """
    size = place.shape[axis]
    if size < 4 or place.numel() == 0:
        return 0
    line = place
    for other in reversed(range(place.ndim)):
        if other != axis:
            line = line.select(other, place.shape[other] // 2)
    runs = _runs([float(value) for value in line])
    if len(runs) < 4:
        return len(runs) if len(runs) > 1 and min(runs) == max(runs) > 1 else 0
    inner = runs[1:-1]
    even = max(inner) - min(inner) <= MOST_UNEVEN
    return len(runs) if even and sum(inner) >= LEAST_GROWTH * len(inner) else 0


def _runs(line: list[float]) -> list[int]:
    """Lengths of stretches of one place; zeros belong to the place before them."""
    lengths: list[int] = []
    last = None
    for value in line:
        if lengths and value in (last, NOWHERE):
            lengths[-1] += 1
        else:
            lengths.append(1)
            last = value
    return lengths
