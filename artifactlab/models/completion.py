"""What was read from files, made the calls that a model takes: positions, batch axes and the other arguments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.models.arguments import check_arguments, forward_parameters, takes_by_name
from artifactlab.models.calls import Call
from artifactlab.models.typed_arguments import TypedArgument

OF_PICTURES = (1, 3)
"""Channels of images from files; others are latents or features."""
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def from_file(model: nn.Module, call: Call, beside: Collection[str], say: Callable[[str], None]) -> Call:
    """The call that a file of tensors stands for in a model.

    A lone tensor is the input whatever it is named; several are arguments by their names. A batch axis is added where
    the tensor has one axis less than the model's first convolution takes, and that one's channels come first.

    Args:
        model: that it is for.
        call: as it was read.
        beside: names of arguments that do not come from the file.
        say: called where a batch axis was added.

    Raises:
        InputError: if it is one picture, and the model takes volumes.
    """
    parameters = forward_parameters(model) or {}
    names = [name for name in call.kwargs if name not in beside]
    if not call.args and len(names) == 1 and not takes_by_name(parameters, names[0]):
        others = {name: value for name, value in call.kwargs.items() if name != names[0]}
        call = Call((call.kwargs[names[0]],), others)
    if len(call.args) == 1 and isinstance(call.args[0], Tensor) and lacks_batch(model, call.args[0]):
        shape = tuple(call.args[0].shape)
        _refuse_picture(shape)
        say(f"an input {shape} has no batch axis, and was taken as {(1, *shape)}")
        call = replace(call, args=(call.args[0][None],))
    return call


def _refuse_picture(shape: tuple[int, ...]) -> None:
    """A picture (1, C, H, W) could be a volume of one channel without batch axis, but for its one or three slices."""
    if len(shape) == 4 and shape[1] in OF_PICTURES:
        raise InputError(
            f"the input {shape} is a picture, and the model's first convolution takes volumes or video (N, {shape[0]},"
            " T, H, W); give a NIfTI, a video or a tensor file of that shape, or --probe NAME --size TxHxW"
        )


def completed(model: nn.Module, calls: Sequence[Call], arguments: Sequence[TypedArgument]) -> list[Call]:
    """The calls with the arguments that were typed.

    Raises:
        InputError: if forward does not take one of them, or needs another one.
    """
    parameters = forward_parameters(model) or {}
    typed = {argument.name: argument.value_for(parameters.get(argument.name)) for argument in arguments}
    made = [replace(call, kwargs={**call.kwargs, **typed}) for call in calls]
    check_arguments(model, made)
    return made


def batch_axes(model: nn.Module) -> int | None:
    """Number of axes of a batch that the model's first convolution takes; None where it has none."""
    first = _first_convolution(model)
    return None if first is None else 2 + len(first.kernel_size)


def picture_channels(model: nn.Module) -> int | None:
    """Channels of the pictures that the model's first convolution takes, 1 or 3; None where it takes others, or none.

    Only where the layer that is registered first is that convolution: what comes behind others is given features.
    """
    first = _first_convolution(model)
    weighted = next((module for module in model.modules() if any(True for _ in module.parameters(recurse=False))), None)
    alike = isinstance(first, nn.Conv2d) and first is weighted and first.in_channels in OF_PICTURES
    return first.in_channels if alike and first is not None else None


def _first_convolution(model: nn.Module) -> nn.Conv1d | None:
    """The first in the order they were registered, of images or volumes as well."""
    return next((module for module in model.modules() if isinstance(module, CONVOLUTIONS)), None)  # type: ignore[return-value]


def lacks_batch(model: nn.Module, tensor: Tensor) -> bool:
    """Whether a tensor has the channels of the model's first convolution where a batch has its images."""
    first = _first_convolution(model)
    if first is None:
        return False
    return tensor.ndim == 1 + len(first.kernel_size) and tensor.shape[0] == first.in_channels
