"""Find the image in whatever a model takes or returns: a tensor, a tuple, a dict, a dataclass."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from artifactlab.errors import ModelError
from artifactlab.models.layout import Layout, layout_by_shape

SHAPES = "(N, C, H, W), (N, C, D, H, W), (N, H, W), (N, C, L) or (N, L)"
"""What an output may be."""
DEEPEST = 100
"""Levels of containers that are looked into; Python itself gives up at a few hundred."""


def tensors(value: Any, _around: frozenset[int] = frozenset()) -> Iterator[tuple[str, Tensor]]:
    """Every tensor inside `value`, with the path that leads to it; what holds itself is not entered again."""
    if isinstance(value, Tensor):
        yield "", value
    elif id(value) not in _around and len(_around) < DEEPEST:
        for step, item in _items(value):
            yield from ((step + path, tensor) for path, tensor in tensors(item, _around | {id(value)}))


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """What a container holds, with the step that leads to it."""
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif is_dataclass(value) and not isinstance(value, type):
        yield from ((f".{attribute.name}", getattr(value, attribute.name)) for attribute in fields(value))


def holds_itself(value: Any, _around: frozenset[int] = frozenset()) -> bool:
    """Whether a container is somewhere inside itself, or holds more levels than anybody needs."""
    if isinstance(value, Tensor):
        return False
    return (
        id(value) in _around
        or len(_around) > DEEPEST
        or any(holds_itself(item, _around | {id(value)}) for _, item in _items(value))
    )


def is_image(tensor: Tensor) -> bool:
    """Whether a tensor looks like a batch of images: real (N, C, H, W) with more than one pixel, all of them there.

    Of an empty batch, of no channels, and of what has no values in memory (sparse, nested, meta) nothing can be seen.
    """
    if tensor.is_nested or tensor.layout != torch.strided or tensor.is_meta or not tensor.is_floating_point():
        return False
    return tensor.ndim == 4 and tensor.numel() > 0 and tensor.shape[2] * tensor.shape[3] > 1


def described(tensor: Tensor) -> str:
    """Shape and precision of a tensor, and what else keeps it from being an image."""
    if tensor.is_nested:
        return f"nested {tensor.dtype}"
    kinds = {
        "empty": 0 in tensor.shape,
        str(tensor.layout): tensor.layout != torch.strided,
        "without values, on the meta device": tensor.is_meta,
    }
    return ", ".join([f"{tuple(tensor.shape)} {tensor.dtype}", *(kind for kind, is_so in kinds.items() if is_so)])


def first_image(value: Any) -> Tensor | None:
    """The image-like tensor with the most pixels, the first of equals; None if there is none."""
    images = [tensor for _, tensor in tensors(value) if is_image(tensor)]
    return max(images, key=lambda image: image.shape[2] * image.shape[3], default=None)


def is_spatial(tensor: Tensor) -> bool:
    """Whether a tensor may hold images, volumes or signals: real, of two to five axes, with values, more than one."""
    if tensor.is_nested or tensor.layout != torch.strided or tensor.is_meta or not tensor.is_floating_point():
        return False
    return 2 <= tensor.ndim <= 5 and tensor.numel() > 1


def pick_tensor(output: Any, choice: str | int | None = None) -> Tensor:
    """The tensor that a model's output is judged by: the one named by `choice`, or the likeliest one.

    That is the largest of those with the most axes, images before volumes.

    Raises:
        ModelError: if `choice` names nothing, or if what it names, or the whole output, is no image.
    """
    if choice is None:
        found = [tensor for _, tensor in tensors(output) if is_spatial(tensor)]
        if not found:
            given = ", ".join(f"{path or 'output'}: {described(tensor)}" for path, tensor in tensors(output))
            raise ModelError(
                f"the model's output is no image: expected a real {SHAPES} tensor, got"
                f" {given or type(output).__name__}; name the right one with --output / output="
            )
        return max(found, key=_likelihood)
    picked = _lookup(output, choice)
    if picked is None:
        names = [path for path, _ in tensors(output)]
        raise ModelError(f"the model's output has no {choice!r}; it has {', '.join(names) if names else 'no tensors'}")
    if not isinstance(picked, Tensor) or not is_spatial(picked):
        shape = described(picked) if isinstance(picked, Tensor) else type(picked).__name__
        raise ModelError(f"output {choice!r} is no image: expected a real {SHAPES} tensor, got {shape}")
    return picked


def _likelihood(tensor: Tensor) -> tuple[int, int]:
    """Images first, then volumes, then what may be signals; the largest of each."""
    return (2, 3, 4, 6, 5)[tensor.ndim - 1], math.prod(tensor.shape[2:]) if tensor.ndim > 2 else tensor.shape[1]


def pick_output(output: Any, choice: str | int | None = None, layout: Layout | None = None) -> Tensor:
    """What a model returned as `(N, C, *space)`: images, volumes or signals.

    Args:
        output: all that it returned.
        choice: see `pick_tensor`.
        layout: what the axes of the tensor are; None where that is told by its shape.

    Raises:
        ModelError: as `pick_tensor`, and if the tensor is not of that layout.
    """
    picked = pick_tensor(output, choice)
    layout = layout or layout_by_shape(picked.shape)
    if layout is None or not layout.fits(picked):
        axes = "2 to 5" if layout is None else len(layout.axes)
        raise ModelError(f"the output {described(picked)} has {picked.ndim} axes; expected {axes}")
    return layout.images(picked)


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
