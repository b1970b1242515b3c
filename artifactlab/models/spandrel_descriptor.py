"""A model and what spandrel says of it: the module as it is meant to be called, and what images it takes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.models.image_needs import ImageNeeds, declare
from artifactlab.models.model_folders import say


def is_descriptor(value: object) -> bool:
    """Whether a value is a model descriptor of spandrel's, told without importing it."""
    return any(
        (kind.__module__.partition(".")[0], kind.__name__) == ("spandrel", "ModelBase") for kind in type(value).__mro__
    )


def described_model(descriptor: Any) -> nn.Module:
    """The module in a descriptor, which takes images from 0 to 1 whatever its own code takes, in evaluation mode."""
    model: nn.Module = descriptor.model
    call = getattr(descriptor, "_call_fn", None)
    if _takes_mask(descriptor):
        model.__class__ = _with_mask(type(model), call)
        say(f"{descriptor.architecture.name} fills in what a mask covers, here the middle; another: --arg mask=@FILE")
    elif call is not None and call.__module__ != type(descriptor).__module__:  # the one there hands the image on
        model.__class__ = _called_by(type(model), call)
    declare(model, _needs(descriptor))
    return model.eval()


def _needs(descriptor: Any) -> ImageNeeds:
    sizes = descriptor.size_requirements
    half = (("float16", descriptor.supports_half), ("bfloat16", descriptor.supports_bfloat16))
    return ImageNeeds(
        f"{descriptor.architecture.name} {descriptor.scale}x",
        channels=descriptor.input_channels,
        minimum=max(1, sizes.minimum),
        multiple_of=sizes.multiple_of,
        square=sizes.square,
        precisions=("float32", "float64", *(name for name, is_taken in half if is_taken)),
        crops=descriptor.tiling.name == "SUPPORTED",
        alpha=descriptor.input_channels == 4,
        value_range="0,1",
    )


def _called_by(kind: type[nn.Module], call: Any) -> type[nn.Module]:
    """A class whose forward is what a descriptor calls its model with: a noise map is added, a range is changed.

    It is the class that changes, and not the instance: so names of weights stay, and copies are called alike.
    """

    def forward(self: nn.Module, image: Any) -> Any:
        return call(_Plain(self, kind), image)

    return type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})


def _takes_mask(descriptor: object) -> bool:
    """Whether a descriptor is of a model that fills in holes."""
    return any(kind.__name__ == "MaskedImageModelDescriptor" for kind in type(descriptor).__mro__)


def _with_mask(kind: type[nn.Module], call: Any) -> type[nn.Module]:
    """The same for a model that takes a mask (N, 1, H, W), 1 where it is to fill in; by default the middle."""

    def forward(self: nn.Module, image: Tensor, mask: Tensor | None = None) -> Any:
        return call(_Plain(self, kind), image, _middle(image) if mask is None else mask)

    return type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})


def _middle(image: Tensor) -> Tensor:
    """A mask of half the rows and half the columns: content all around it, and sides of more than one period."""
    mask = torch.zeros_like(image[:, :1])
    rows, columns = (side // 4 for side in image.shape[-2:])
    mask[..., rows : image.shape[-2] - rows, columns : image.shape[-1] - columns] = 1
    return mask


class _Plain:
    """A model whose call is that of its own class."""

    def __init__(self, model: nn.Module, kind: type[nn.Module]) -> None:
        self._model, self._kind = model, kind

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._kind.forward(self._model, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)
