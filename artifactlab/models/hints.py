"""What to try where a model failed on an input: only what the failure speaks for."""

from __future__ import annotations

import re

from torch import Tensor, nn

from artifactlab.errors import first_line
from artifactlab.models.arguments import forward_parameters, misfit
from artifactlab.models.calls import Call
from artifactlab.models.completion import OF_PICTURES, batch_axes
from artifactlab.models.conversions import advice_for
from artifactlab.models.outputs import is_image, tensors

CHANNELS = re.compile(r"expected input\[[^\]]*\] to have (\d+) channels, but got (\d+) channels")
"""What torch says of a convolution that gets others than its own."""
UNEQUAL = re.compile(r"tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at non-singleton dimension 1\b")
"""What torch says of a sum of tensors with other channels."""
EXPORTED = re.compile(r"Expected input at \S+ to be equal to \d+, but got \d+")
"""What an exported graph says of an input of another shape than it was made for."""
LINEAR = re.compile(r"mat1 and mat2 shapes cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)")
"""What torch says of a linear layer that gets other features than its own."""
SIZES = re.compile(r"(?i)\b(?:sizes?|shapes?|divisible|multiple of|height|width|resolution|spatial)\b")
"""Words of errors that a size can be the reason of."""
STRIDE = 16
"""What sides are made a multiple of: four levels of stride 2, as U-Nets of volumes have."""


def hint(model: nn.Module, call: Call, error: BaseException) -> str:
    """What to try, in parentheses behind the model's own words; empty where nothing is known."""
    inputs = [tensor for _, tensor in tensors((call.args, dict(call.kwargs)))]
    parameters = forward_parameters(model) if isinstance(error, TypeError) else None
    found = (
        (misfit(parameters, call) if parameters is not None else "")
        or _exported(model, error)
        or _precision(model, inputs)
        or _frames(model, error, inputs[:1])
        or next(filter(None, (advice_for(tensor, batch_axes(model)) for tensor in inputs[:1])), "")
        or _channels(error)
        or _features(error)
        or _size(error, inputs)
    )
    return f" ({found})" if found else ""


def _frames(model: nn.Module, error: BaseException, inputs: list[Tensor]) -> str:
    """What a net of images takes of a video (N, C, T, H, W), which is what video files are read as."""
    if batch_axes(model) != 4 or not inputs or inputs[0].ndim != 5:
        return ""
    found = CHANNELS.search(first_line(error))
    frames = found and (int(found[1]), int(found[2])) == tuple(inputs[0].shape[1:3])
    steps = "x.transpose(1, 2), (N, T, C, H, W)" if frames else "x[0].transpose(0, 1), a batch of its frames"
    layout = "NTCHW" if frames else "NCHW, its frames one by one"
    return (
        f"its convolutions take images, and this is video (N, C, T, H, W); give {steps}; of files"
        f" --input-layout {layout}"
    )


def _precision(model: nn.Module, inputs: list[Tensor]) -> str:
    parameter = next((parameter for parameter in model.parameters() if not parameter.is_meta), None)
    given = sorted({str(tensor.dtype) for tensor in inputs if tensor.is_floating_point()})
    if parameter is None or not parameter.is_floating_point() or not given or str(parameter.dtype) in given:
        return ""
    wanted = parameter.dtype
    return f"its parameters are {wanted}, the input is {' and '.join(given)}; give the input as x.to({wanted})"


def _exported(model: nn.Module, error: BaseException) -> str:
    graph = getattr(model, "graph", None)
    if graph is None or not EXPORTED.search(first_line(error)):
        return ""
    taken = next(node.meta["val"].shape for node in graph.nodes if node.op == "placeholder")
    shape, sides = ("x".join(map(str, part)) for part in (taken, taken[2:]))
    return (
        f"the graph takes inputs of shape {shape} alone: crop them, --size {sides}, one at a time, or export it with"
        " dynamic_shapes"
    )


def _channels(error: BaseException) -> str:
    found = CHANNELS.search(first_line(error))
    if found is None:
        unequal = UNEQUAL.search(first_line(error))
        return f"the input has other channels than the model takes: {unequal[1]} and {unequal[2]}" if unequal else ""
    wanted, given = found.groups()
    if (wanted, given) == ("1", "3"):
        return "it takes one channel: --gray, or x.mean(1, keepdim=True)"
    if (wanted, given) == ("3", "1"):
        return "it takes three channels: leave out --gray, or x.expand(-1, 3, -1, -1)"
    return f"it takes {wanted} channels; give latents or features as --input FILE.safetensors or --noise 1x{wanted}x..."


def _features(error: BaseException) -> str:
    """What a first linear layer takes, as those of generators do that are given codes."""
    found = LINEAR.search(first_line(error))
    if found is None:
        return ""
    return (
        f"its first linear layer takes {found[2]} features and was given {found[1]}: latents are --noise 1x{found[2]}"
    )


def _size(error: BaseException, inputs: list[Tensor]) -> str:
    """Only of pictures, volumes and video: latents and noise have the size that they were given."""
    if not isinstance(error, (RuntimeError, ValueError, AssertionError)) or not SIZES.search(first_line(error)):
        return ""
    if any(is_image(tensor) and tensor.shape[1] in OF_PICTURES for tensor in inputs):
        return "if the size is the reason, crop: --size 256x256, or x[..., :256, :256]"
    volumes = [tensor.shape[2:] for tensor in inputs if tensor.ndim == 5 and tensor.shape[1] in OF_PICTURES]
    if not volumes or min(volumes[0]) < STRIDE:
        return ""
    sides = [size // STRIDE * STRIDE for size in volumes[0]]
    cut = ", ".join(f":{side}" for side in sides)
    return f"if the size is the reason, crop: --size {'x'.join(map(str, sides))}, or x[..., {cut}]"
