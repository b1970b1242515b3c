"""The arguments of forward passes, made of what a user gives as inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.models.batches import all_inputs_of, is_loader, refuse_batch
from artifactlab.models.conversions import conversion
from artifactlab.models.outputs import described, holds_itself, is_image, tensors


@dataclass(frozen=True)
class Call:
    """The arguments of one forward pass."""

    args: tuple[Any, ...] = ()
    """Arguments by position."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Arguments by name."""


def as_calls(inputs: Any) -> list[Call]:
    """The forward passes that `inputs` stand for.

    Args:
        inputs: a tensor is one call, as is a tuple (arguments by position), a dict (arguments by name), or a `Call`
            (both). A list has one call in each of its items. A DataLoader has one in each of its batches: of `[x, y]`
            the first, as what follows is labels or targets, and of a dict all. The batch `[x, y]` itself is refused
            where it can be told from a list of two inputs.

    Raises:
        InputError: if there are none, if one is of another kind, with what to write instead, or if a tensor among them
            is empty, NaN or Inf.
    """
    if is_loader(inputs):
        inputs = all_inputs_of(inputs)
    elif isinstance(inputs, list):
        refuse_batch(inputs)
    items = inputs if isinstance(inputs, list) else [inputs]
    calls = [_as_call(item, number) for number, item in enumerate(items)]
    if not calls:
        raise InputError("got no inputs: expected a tensor, a list of tensors, or a tuple or dict of arguments")
    for number, call in enumerate(calls):
        if holds_itself((call.args, dict(call.kwargs))):
            raise InputError(
                f"input {number} is nested without end: expected a tensor, or a tuple or dict of arguments"
            )
        for _, tensor in tensors((call.args, dict(call.kwargs))):
            _check(tensor, number)
    return calls


def with_images(call: Call, change: Callable[[Tensor], Tensor]) -> Call:
    """The same arguments with every image among them changed."""
    return with_tensors(call, lambda tensor: change(tensor) if is_image(tensor) else tensor)


def with_tensors(call: Call, change: Callable[[Tensor], Tensor]) -> Call:
    """The same arguments with every tensor among them changed."""
    return replace(call, args=_with_tensors(call.args, change), kwargs=_with_tensors(dict(call.kwargs), change))


def on_device(call: Call, device: torch.device | None) -> Call:
    """The same arguments on a device, cloned, as a model may write into its input; None leaves them where they are."""
    return with_tensors(call, lambda tensor: tensor.detach().clone().to(device))


def in_precision(call: Call, dtype: torch.dtype | None) -> Call:
    """The same arguments with their floating tensors in a precision; None leaves them as they are."""
    return with_tensors(call, lambda tensor: tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor)


def constant_call(call: Call, level: float) -> Call:
    """The call with its images at their mean, channel by channel, times a level; without images, all other tensors.

    Beside images, other arguments (times, prompts, labels) stay as they are.
    """
    floating = [tensor for _, tensor in tensors((call.args, dict(call.kwargs))) if tensor.is_floating_point()]
    images = any(map(is_image, floating))

    def flattened(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point() or (images and not is_image(tensor)) or tensor.ndim == 0:
            return tensor
        over = (0, 2, 3) if is_image(tensor) else tuple(range(tensor.ndim - 1))
        return (level * tensor.mean(over, keepdim=True)).expand_as(tensor).contiguous() if over else level * tensor

    return with_tensors(call, flattened)


def _with_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, (list, tuple)):
        items = [_with_tensors(item, change) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return {key: _with_tensors(item, change) for key, item in value.items()} if isinstance(value, dict) else value


def _as_call(item: Any, number: int) -> Call:
    if isinstance(item, Call):
        return item
    if isinstance(item, Tensor):
        return Call((item,))
    if isinstance(item, tuple):
        return Call(item)
    if isinstance(item, Mapping):
        return Call(kwargs=item)
    if isinstance(item, Iterator):
        raise InputError("inputs from an iterator may have no end: give a list, or until_sure=SECONDS to diagnose")
    if isinstance(item, list):
        raise InputError(
            f"input {number} is a list: give arguments as a tuple, and of a DataLoader's batch the input, batch[0]"
        )
    raise InputError(
        f"input {number} is {conversion(item)}"
        if conversion(item)
        else f"expected an input to be a tensor, a tuple of arguments or a dict of arguments, got {type(item).__name__}"
    )


def _check(tensor: Tensor, number: int) -> None:
    if tensor.is_nested or tensor.layout != torch.strided or tensor.is_meta:
        raise InputError(f"input {number} holds a tensor {described(tensor)}; give a dense one, with values")
    if tensor.numel() == 0:
        raise InputError(f"input {number} holds a tensor of shape {tuple(tensor.shape)}: it is empty")
    try:
        is_finite = not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())
    except NotImplementedError as error:  # of 8 bits and fewer
        raise InputError(f"input {number} holds a tensor {described(tensor)}; give it as x.float()") from error
    if not is_finite:
        raise InputError(f"input {number} holds NaN or Inf; fix the data before diagnosing the model")
