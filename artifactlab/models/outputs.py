"""Find the image in whatever a model takes or returns: a tensor, a tuple, a dict, a dataclass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from artifactlab.errors import ModelError


def tensors(value: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor inside `value`, with the path that leads to it."""
    if isinstance(value, Tensor):
        yield "", value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from ((f"[{key!r}]{path}", tensor) for path, tensor in tensors(item))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from ((f"[{index}]{path}", tensor) for path, tensor in tensors(item))
    elif is_dataclass(value) and not isinstance(value, type):
        for attribute in fields(value):
            for path, tensor in tensors(getattr(value, attribute.name)):
                yield f".{attribute.name}{path}", tensor


def is_image(tensor: Tensor) -> bool:
    """Whether a tensor looks like a batch of images: real (N, C, H, W) with more than one pixel."""
    return tensor.ndim == 4 and tensor.is_floating_point() and tensor.shape[2] * tensor.shape[3] > 1


def first_image(value: Any) -> Tensor | None:
    """The image-like tensor with the most pixels, the first of equals; None if there is none."""
    images = [tensor for _, tensor in tensors(value) if is_image(tensor)]
    return max(images, key=lambda image: image.shape[2] * image.shape[3], default=None)


def pick_output(output: Any, choice: str | int | None = None) -> Tensor:
    """The image a model returned: the one named by `choice` (key, attribute or index), or the largest image-like one.

    Raises:
        ModelError: if `choice` names nothing, or if what it names, or the whole output, is no image.
    """
    if choice is None:
        image = first_image(output)
        if image is None:
            found = ", ".join(f"{path or 'output'}: {tuple(t.shape)} {t.dtype}" for path, t in tensors(output))
            raise ModelError(
                "the model's output is no image: expected a real (N, C, H, W) tensor, got "
                f"{found or type(output).__name__}; name the right one with --output / output="
            )
        return image
    picked = _lookup(output, choice)
    if picked is None:
        names = [path for path, _ in tensors(output)]
        raise ModelError(f"the model's output has no {choice!r}; it has {', '.join(names) if names else 'no tensors'}")
    if not isinstance(picked, Tensor) or not is_image(picked):
        shape = tuple(picked.shape) if isinstance(picked, Tensor) else type(picked).__name__
        raise ModelError(f"output {choice!r} is no image: expected a real (N, C, H, W) tensor, got {shape}")
    return picked


def _lookup(output: Any, choice: str | int) -> Any:
    """`output[choice]` or `output.choice`; a string of digits may be an index."""
    keys = [choice, int(choice)] if isinstance(choice, str) and choice.lstrip("-").isdigit() else [choice]
    for key in keys:
        if isinstance(output, Mapping) and key in output:
            return output[key]
        if isinstance(output, (list, tuple)) and isinstance(key, int) and -len(output) <= key < len(output):
            return output[key]
        if isinstance(key, str) and is_dataclass(output) and hasattr(output, key):
            return getattr(output, key)
    return None
