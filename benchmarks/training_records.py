"""What a task of `training.py` is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from content import Image
from numpy.typing import NDArray
from torch import Tensor, nn
from training_objectives import Objective

SIDE, BATCH = 48, 4
"""of a step: pixels a side of the targets, and how many"""


class Pairs(NamedTuple):
    """Inputs and targets, (N, 1, h, w) in [0, 1]."""

    given: Tensor
    wanted: Tensor


class Task(NamedTuple):
    """What is trained, on what."""

    title: str
    period: int
    """of the coarsest lattice that is scored"""
    steps: int
    net: Callable[[], nn.Module]
    objective: Callable[[], Objective]
    """makes what a net is trained by beside L1 and the loss that is compared"""
    batch: Callable[[np.random.Generator], Pairs]
    degrade: Callable[[Tensor], Tensor] | None
    """what the task gives a net instead of clean images (N, 1, H, W); None where it is no loss of anything"""
    outlines: Mapping[str, Sequence[Sequence[NDArray[np.float64]]]]
    """split -> of each target, where they are known, the closed outlines of what it shows: places (x, y) in pixels"""
    validation: Pairs
    test: Pairs
    diagnosed: Tensor
    """inputs of the validation split that a net is diagnosed on"""


def as_batch(images: Sequence[Image]) -> Tensor:
    """(N, 1, H, W) of N images."""
    return torch.from_numpy(np.stack(images))[:, None]
