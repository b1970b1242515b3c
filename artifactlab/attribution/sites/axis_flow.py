"""Which axes each tensor of a forward pass has, see `axes`, and what was made of weights alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.attribution.sites.axes import Axes, aligned, axes_of_input, is_unknown, unknown_axes
from artifactlab.attribution.sites.axis_indices import written
from artifactlab.attribution.sites.axis_steps import HANDLERS
from artifactlab.models.outputs import tensors
from artifactlab.models.tensor_table import TensorTable
from artifactlab.models.torch_internals import without_function_modes

# zeros are filled by parts, often through views of them
CONSTANTS = {torch.eye, torch.arange, torch.linspace, torch.ones, torch.full, torch.tensor}
"""Functions that make a tensor of no other, the same each time, which is seldom written into."""


class AxisFlow:
    """Follows the axes of tensors through the forward pass in progress, and what was made of weights alone."""

    def __init__(self) -> None:
        self._axes: TensorTable[Axes] = TensorTable()
        self._constant: TensorTable[bool] = TensorTable()

    def start(self, inputs: Any) -> None:
        """Forget the pass before, and begin one with these arguments of the model."""
        self._axes.clear()
        self._constant.clear()
        with without_function_modes():
            for _, tensor in tensors(inputs):
                is_codes = not tensor.is_floating_point()  # and no tokens, whose last axis is features
                self._axes[tensor] = (unknown_axes if is_codes else axes_of_input)(tensor.shape)

    def of(self, tensor: Any) -> Axes | None:
        """The axes of a tensor; None where nothing is known of them."""
        return self._axes.get(tensor) if isinstance(tensor, Tensor) else None

    def is_constant(self, tensor: Tensor) -> bool:
        """Whether it was made of parameters alone, and so is the same whatever the input."""
        # what is a plain tensor is no parameter, and asking torch is slow
        return tensor in self._constant or (type(tensor) is not Tensor and isinstance(tensor, nn.Parameter))

    def called(self, func: Any, args: Any, kwargs: Any, given: Sequence[Tensor], output: Any) -> None:
        """A call made `output` of its arguments, which hold the tensors `given`."""
        if isinstance(output, Tensor):
            self._note(func, args, kwargs, given, output)
        elif isinstance(output, (tuple, list)):
            for part in output:
                if isinstance(part, Tensor):
                    self._note(func, args, kwargs, given, part)
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

    def _note(self, func: Any, args: Any, kwargs: Any, given: Sequence[Tensor], output: Tensor) -> None:
        if output.is_nested:  # it has no shape
            return
        if all(map(self.is_constant, given)) if given else func in CONSTANTS:
            self._constant[output] = True
        elif output in self._constant:
            del self._constant[output]  # it was written into
        source = given[0] if given else None
        known = None if source is None else self._axes.get(source)
        handler = HANDLERS.get(func)
        if handler is None:
            if known is not None and source is not None and source.shape == output.shape:
                axes: Axes | None = known
            else:
                axes = aligned([found for x in given if (found := self._axes.get(x))], output.shape)
        else:
            axes = handler(args, kwargs, output, self.of)
        if axes is not None:
            self._axes[output] = axes
