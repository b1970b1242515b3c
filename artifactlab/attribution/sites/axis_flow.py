"""Which axes each tensor of a forward pass has, see `axes`, and what was made of weights alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.attribution.sites.axes import Axes, aligned, axes_of_input, is_unknown
from artifactlab.attribution.sites.axis_indices import written
from artifactlab.attribution.sites.axis_steps import HANDLERS
from artifactlab.models.outputs import tensors
from artifactlab.models.torch_internals import WeakTensorKeyDictionary, without_function_modes

# zeros are filled by parts, often through views of them
CONSTANTS = {torch.eye, torch.arange, torch.linspace, torch.ones, torch.full, torch.tensor}
"""Functions that make a tensor of no other, the same each time, which is seldom written into."""


class AxisFlow:
    """Follows the axes of tensors through the forward pass in progress, and what was made of weights alone."""

    def __init__(self) -> None:
        self._axes = WeakTensorKeyDictionary()
        self._constant = WeakTensorKeyDictionary()

    def start(self, inputs: Any) -> None:
        """Forget the pass before, and begin one with these arguments of the model."""
        self._axes.clear()
        self._constant.clear()
        with without_function_modes():
            for _, tensor in tensors(inputs):
                self._axes[tensor] = axes_of_input(tensor.shape)

    def of(self, tensor: Any) -> Axes | None:
        """The axes of a tensor; None where nothing is known of them."""
        return self._axes.get(tensor) if isinstance(tensor, Tensor) else None

    def is_constant(self, tensor: Tensor) -> bool:
        """Whether it was made of parameters alone, and so is the same whatever the input."""
        return isinstance(tensor, nn.Parameter) or tensor in self._constant

    def called(self, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        """A call made `output` of its arguments."""
        if isinstance(output, Tensor):
            self._note(func, args, kwargs, output)
        elif isinstance(output, (tuple, list)):
            for part in output:
                if isinstance(part, Tensor):
                    self._note(func, args, kwargs, part)
        elif func is Tensor.__setitem__ and isinstance(args[0], Tensor) and is_unknown(self.of(args[0])):
            axes = self.of(args[2])
            if axes and (whole := written(axes, args[1], args[0].shape)):
                self._axes[args[0]] = whole

    def replaced(self, old: Tensor, new: Tensor) -> None:
        """A tensor was put in the place of another."""
        if (axes := self.of(old)) is not None:
            self._axes[new] = axes

    def set(self, tensor: Tensor, axes: Axes) -> None:
        """Say what the axes of a tensor are."""
        self._axes[tensor] = axes

    def _note(self, func: Any, args: Any, kwargs: Any, output: Tensor) -> None:
        if output.is_nested:  # it has no shape
            return
        given = list(_flat((args, kwargs)))
        if all(map(self.is_constant, given)) if given else func in CONSTANTS:
            self._constant[output] = True
        elif output in self._constant:
            del self._constant[output]  # it was written into
        source = given[0] if given else None
        known = self.of(source)
        handler = HANDLERS.get(func)
        if handler is None:
            if known is not None and source is not None and source.shape == output.shape:
                axes: Axes | None = known
            else:
                axes = aligned([found for x in given if (found := self.of(x))], output.shape)
        else:
            axes = handler(args, kwargs, output, self.of)
        if axes is not None:
            self._axes[output] = axes


def _flat(value: Any, depth: int = 0) -> Iterator[Tensor]:
    """The tensors among arguments, and in lists of them."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)) and depth < 3:
        for item in value:
            yield from _flat(item, depth + 1)
    elif isinstance(value, Mapping) and depth < 3:
        for item in value.values():
            yield from _flat(item, depth + 1)
