"""The inputs in what a DataLoader yields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from artifactlab.errors import InputError

MOST_BATCHES = 64
"""Batches of a loader that are taken at once: all are kept, and each takes two passes at least. Tens are enough for a
verdict; a training set has thousands."""


def is_loader(inputs: Any) -> bool:
    """Whether something is a DataLoader."""
    return isinstance(inputs, DataLoader)


def inputs_of(loader: Any) -> Iterator[Any]:
    """The input in each batch: the first of a list or tuple, as the others are labels, targets and the like.

    A tensor, and a dict, whose names are those of forward's arguments, are taken whole.
    """
    for batch in loader:
        yield batch[0] if isinstance(batch, (list, tuple)) and len(batch) > 0 else batch


def all_inputs_of(loader: Any) -> list[Any]:
    """The inputs of a loader with few batches.

    Raises:
        InputError: if it has more than `MOST_BATCHES`, or nobody knows how many.
    """
    try:
        count = len(loader)
    except TypeError:
        count = None
    if count is None or count > MOST_BATCHES:
        raise InputError(
            f"the DataLoader has {'an unknown number of' if count is None else count} batches, and all would be kept;"
            f" give until_sure=SECONDS to diagnose, or a list of the first: [next(batches)[0] for _ in range(8)] of"
            " batches = iter(loader)"
        )
    return list(inputs_of(loader))


def refuse_batch(inputs: list[Any]) -> None:
    """Raise an InputError for the batch `[x, y]` of a loader, which would be taken for two inputs.

    It is one where both have the same number of images and differ in all else, or where the second is no more than
    labels. Two images of a kind are two inputs.
    """
    if len(inputs) != 2 or not all(isinstance(item, Tensor) and item.ndim > 0 for item in inputs):
        return
    x, y = inputs
    same_batch = x.shape[0] == y.shape[0] and (x.shape[0] > 1 or y.ndim == 1)
    if x.ndim > 2 and same_batch and (x.shape[1:] != y.shape[1:] or x.dtype != y.dtype):
        raise InputError(
            f"a list of {tuple(x.shape)} and {tuple(y.shape)} looks like a batch [x, y] of a DataLoader, and would be"
            " two inputs; give x alone, the loader itself, or the tuple (x, y) if forward takes both"
        )
