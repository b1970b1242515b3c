"""Keras models as modules of torch whose layers have their names: Keras calls its layers past torch's hooks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor, nn

from artifactlab.errors import ModelError
from artifactlab.models.image_needs import ImageNeeds, declare
from artifactlab.models.torch_internals import tree_map


class KerasLayer(nn.Module):
    """A layer, or a model inside one: its weights by their names, and its call, which Keras makes through this."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.own_call = layer.call
        _register(self, layer)
        object.__setattr__(layer, "call", self.__call__)  # Keras's own way of setting would make a layer of it

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer itself computes."""
        return self.own_call(*args, **kwargs)


def _register(module: nn.Module, layer: Any) -> None:
    """Give a module the layers inside a layer, or else its weights."""
    inner = list(getattr(layer, "layers", ()))
    for one in inner:
        module.add_module(_name(one), KerasLayer(one))
    for variable in () if inner else layer.weights:
        value = variable.value
        if isinstance(value, nn.Parameter):  # those that are not trained, too: only parameters are moved in place
            module.register_parameter(_name(variable), value)
        else:
            module.register_buffer(_name(variable), value.detach())


class KerasModel(nn.Module):
    """A whole model, which takes and returns (N, C, *space).

    Args:
        model: as Keras has opened it.
        device: `keras.device`; Keras moves what it is given to a place of its choice otherwise.
    """

    def __init__(self, model: Any, device: Callable[[str], AbstractContextManager[Any]]) -> None:
        layers = [layer for layer in model._flatten_layers() if hasattr(layer, "data_format")]
        super().__init__()
        _register(self, model)
        self.called, self.device = (model,), device  # in a tuple, lest its weights be registered twice
        self.channels_last = all(layer.data_format == "channels_last" for layer in layers)
        shapes = model.input_shape
        self.sides = tuple(shapes[1:-1] if self.channels_last else shapes[2:]) if isinstance(shapes, tuple) else ()
        if len(self.sides) == 2 and isinstance(channels := shapes[-1 if self.channels_last else 1], int):
            declare(self, ImageNeeds(model.name, channels))

    def forward(self, *inputs: Tensor) -> Any:
        """The output for images, or several where the model has several inputs.

        Raises:
            ModelError: if the model takes images of one size, and these have another.
        """
        self._refuse_size(inputs[0])
        given = [_to_last(one) if self.channels_last else one for one in inputs]
        with self.device(inputs[0].device.type):
            made = self.called[0](given[0] if len(given) == 1 else given, training=False)
        return tree_map(_to_first, made) if self.channels_last else made

    def __deepcopy__(self, memo: dict[int, Any]) -> KerasModel:
        """A copy by Keras's own means, whose layers compute with the weights of the copy."""
        with self.device(next(self.parameters()).device.type):
            return KerasModel(copy.deepcopy(self.called[0]), self.device).train(self.training)

    def _refuse_size(self, image: Tensor) -> None:
        fits = all(side in (None, given) for side, given in zip(self.sides, image.shape[2:], strict=False))
        if image.ndim == len(self.sides) + 2 and not fits:
            wanted = "x".join(str(side or given) for side, given in zip(self.sides, image.shape[2:], strict=True))
            raise ModelError(f"{self.called[0].name} takes images of {wanted} alone; give --size {wanted}")


def _name(thing: Any) -> str:
    """What a layer or a variable is called, as torch allows it."""
    return str(thing.name).replace(".", "_")


def _to_last(value: Tensor) -> Tensor:
    return value.movedim(1, -1) if value.ndim > 2 else value


def _to_first(value: Any) -> Any:
    return value.movedim(-1, 1) if isinstance(value, Tensor) and value.ndim > 2 else value
