"""Layers of exported graphs as modules of torch: a module whose graph is one call becomes the `nn` module of that call.

So whatever reads or replaces `nn.Conv2d` or `nn.Upsample` does so in exported programs, too. Weights are the graph's
own and keep their names.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.export.unflatten import InterpreterModule

from artifactlab.models.operators import as_function
from artifactlab.models.torch_internals import operator_name, own_children, own_parameters, tree_leaves

LAYERS = re.compile(r"aten::(convolution|conv(_transpose)?[123]d|linear|pixel_shuffle|_?upsample_(?!\w*_aa)\w+)")
"""Operators that become modules: those that hold weights which are read or trained, and those that enlarge."""
FUNCTIONS = (F.interpolate, F.pixel_shuffle)
"""Functions that do so in graphs that are no exported program's."""
ARGUMENTS = ("weight", "bias", "stride", "padding", "dilation", "groups")
TRANSPOSED_ARGUMENTS = ("weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
"""What follows the input, in the order that torch's functions take it."""


def with_layers(model: nn.Module) -> nn.Module:
    """The same model, with modules of torch in the place of those whose graph is a single call of a known kind.

    >>> import torch
    >>> program = torch.export.export(nn.Sequential(nn.Conv2d(3, 4, 3)), (torch.zeros(1, 3, 8, 8),))
    >>> next(with_layers(torch.export.unflatten(program)).children())
    Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))
    """
    made = {module: layer for module in model.modules() if (layer := _layer(module)) is not None}
    for parent in model.modules():
        children = own_children(parent)
        children.update({name: made[child] for name, child in children.items() if child in made})
    return model


def layer_of(node: fx.Node, owner: nn.Module) -> nn.Module | None:
    """The module of torch that does what a call in a graph does to its first argument, the only one that is computed.

    Args:
        node: the call.
        owner: the module that runs the graph, and whose weights it names.

    Returns:
        The module; None of a call of another kind, or whose sizes are computed from the input's.
    """
    is_known = node.target in FUNCTIONS or LAYERS.fullmatch(operator_name(node.target) or "")
    if node.op != "call_function" or not is_known:
        return None
    args, kwargs = cast("tuple[Any, Any]", fx.node.map_arg((node.args, node.kwargs), lambda node: _value(node, owner)))
    if any(isinstance(value, fx.Node) for value in tree_leaves((args[1:], kwargs))):
        return None
    func, args, kwargs = as_function(node.target, args, kwargs)
    if func is F.interpolate:
        return nn.Upsample(**{name: _alike(value) for name, value in kwargs.items()})
    if func is F.pixel_shuffle:
        return nn.PixelShuffle(*args[1:], **kwargs)
    if func is F.linear:
        return _weighted(nn.Linear, *args[1:], **kwargs)
    return _convolution(func.__name__, args[1:], kwargs)


def _layer(module: nn.Module) -> nn.Module | None:
    """What stands for a module whose graph hands its one input to a single call, and returns what comes out."""
    if type(module) is not InterpreterModule or any(own_children(module)):
        return None
    nodes = list(module.graph.nodes)
    calls = [node for node in nodes if node.op not in ("placeholder", "get_attr", "output")]
    inputs = [node for node in nodes if node.op == "placeholder"]
    if len(calls) != 1 or len(inputs) != 1 or calls[0].args[:1] != (inputs[0],) or nodes[-1].args != (calls[0],):
        return None
    layer = layer_of(calls[0], module)
    same = layer is not None and layer.state_dict().keys() == module.state_dict().keys()
    return layer.train(module.training) if layer is not None and same else None


def _value(node: fx.Node, owner: nn.Module) -> Any:
    """The tensor that a node names; any other node stands for itself."""
    return operator.attrgetter(str(node.target))(owner) if node.op == "get_attr" else node


def _alike(value: Any) -> Any:
    """A number of that which is the same along all directions."""
    if not isinstance(value, (list, tuple)):
        return value
    return value[0] if len(set(value)) == 1 else tuple(value)


def _convolution(name: str, given: Sequence[Any], kwargs: Mapping[str, Any]) -> nn.Module:
    """A convolution of the arguments that the function of this name takes after its input."""
    transposed, directions = "transpose" in name, name[-2]
    kind = getattr(nn, f"Conv{'Transpose' if transposed else ''}{directions}d")
    arguments = dict(zip(TRANSPOSED_ARGUMENTS if transposed else ARGUMENTS, given, strict=False)) | dict(kwargs)
    weight, bias = arguments.pop("weight"), arguments.pop("bias", None)
    sizes: dict[str, Any] = {
        key: value if isinstance(value, (int, str)) else tuple(value) for key, value in arguments.items()
    }
    groups = sizes.get("groups", 1)
    return _weighted(partial(kind, kernel_size=tuple(weight.shape[2:]), **sizes), weight, bias, transposed, groups)


def _weighted(
    kind: Callable[..., nn.Module],
    weight: Tensor,
    bias: Tensor | None = None,
    transposed: bool = False,
    groups: int = 1,
) -> nn.Module:
    """A layer that has these very weights, of which no others are made first."""
    rows, columns = weight.shape[:2]
    channels = (rows, columns * groups) if transposed else (columns * groups, rows)
    layer = kind(*channels, bias=bias is not None, device="meta")
    for name, value in {"weight": weight, "bias": bias}.items():
        own_parameters(layer)[name] = value if value is None or isinstance(value, nn.Parameter) else nn.Parameter(value)
    return layer
