"""A model with a small linear filter behind its output: what is left where no layer can be changed."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix.upsample.spaces import CONVOLVE, extended
from artifactlab.models.image_needs import declare, needs_of
from artifactlab.models.outputs import pick_tensor


class LatticeFilter(nn.Module):
    """One filter for all channels, of an odd number of taps along each axis; what lies beyond the border is repeated.

    Args:
        sizes: taps along each axis: of signals one number, of images two, of volumes three.

    `forward(y)`: (N, C, *space) or (N, *space), to the same shape and precision. It starts as no filter at all.

    >>> y = torch.rand(2, 3, 8, 9)
    >>> bool((LatticeFilter((5, 5))(y) == y).all())
    True
    """

    taps: Tensor
    """The weights, (1, 1, *sizes): a buffer, as nothing trains them."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        taps = torch.zeros(1, 1, *sizes)
        taps[(0, 0, *(size // 2 for size in sizes))] = 1
        self.register_buffer("taps", taps)

    def forward(self, y: Tensor) -> Tensor:
        axes = self.taps.ndim - 2
        if y.ndim not in (axes + 1, axes + 2) or not y.is_floating_point():
            shape = tuple(y.shape)
            raise InputError(
                f"the output is {shape} {y.dtype}; the filter takes real numbers with {axes} axes of space"
            )
        fields = y.reshape(-1, 1, *y.shape[-axes:])
        reach = [size // 2 for size in self.taps.shape[2:]]
        filtered = CONVOLVE[axes](extended(fields, reach, reach), self.taps.to(y.dtype))
        return filtered.reshape(y.shape)


class PostFiltered(nn.Module):
    """A model whose output goes through a filter; it takes and returns what the model does.

    Args:
        model: the model, under whose name its own modules are found: `model.dec.up2`.
        filter: what its output goes through.
        output: which of the tensors that it returns, as `--output` has it.
    """

    def __init__(self, model: nn.Module, filter: nn.Module, output: str) -> None:
        super().__init__()
        self.model = model
        self.filter = filter
        self.output = output
        self.train(model.training)
        needs = needs_of(model)
        if needs is not None:
            declare(self, needs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        returned = self.model(*args, **kwargs)
        picked = pick_tensor(returned, self.output)
        return with_tensor(returned, picked, self.filter(picked))


def with_tensor(value: Any, old: Tensor, new: Tensor) -> Any:
    """What a model returned, with another tensor in one's place.

    >>> from collections import namedtuple
    >>> Made = namedtuple("Made", "image depth")
    >>> a, b, c = torch.zeros(3)
    >>> with_tensor({"made": Made(a, [b])}, b, c)["made"].depth[0] is c
    True
    """
    if value is old:
        return new
    if isinstance(value, Mapping):
        made: Any = copy.copy(value)
        for key, item in value.items():
            if (changed := with_tensor(item, old, new)) is not item:
                made[key] = changed
        return made
    if isinstance(value, (list, tuple)):
        items = [with_tensor(item, old, new) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: with_tensor(item, old, new) for name, item in found.items()})
    return value
