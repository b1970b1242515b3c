"""The user's own module inside what torch wraps around it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from artifactlab.errors import ModelError
from artifactlab.models.torch_internals import COMPILED_CHILD, own_children

GRAPHS = ("torch.export.unflatten", "artifactlab.models.onnx_graph")
"""Where the modules are from whose forward is a graph."""


def unwrap(model: nn.Module) -> nn.Module:
    """The user's own module inside DataParallel, DistributedDataParallel or `torch.compile`.

    Raises:
        ModelError: if it is no `nn.Module`, or one whose forward cannot be watched.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(f"expected a torch.nn.Module, got {type(model).__name__}; pass the model object itself")
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            "the model is a ScriptModule, whose forward cannot be watched; pass the Python module it was scripted from"
        )
    if any("FullyShardedDataParallel" in kind.__name__ for kind in type(model).__mro__):
        raise ModelError("the model is FSDP-wrapped; gather its weights into the plain module and pass that")
    wrapped = own_children(model).get(COMPILED_CHILD)
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        wrapped = model.module
    return model if wrapped is None else unwrap(wrapped)


def graph_inputs(model: nn.Module) -> tuple[str, ...] | None:
    """The names of the inputs of a model that is a graph, such as an exported program; None of any other.

    >>> program = torch.export.export(nn.Bilinear(4, 4, 2), (torch.zeros(1, 4), torch.zeros(1, 4)))
    >>> graph_inputs(torch.export.unflatten(program))
    ('input1', 'input2')
    """
    if type(model).__module__ not in GRAPHS:
        return None
    return tuple(node.name for node in _graph(model).nodes if node.op == "placeholder")


def graph_sizes(model: nn.Module) -> list[tuple[Any, ...]]:
    """The sizes of each input of an exported program, numbers where they are fixed; empty of what is no tensor."""
    values = [node.meta.get("val") for node in _graph(model).nodes if node.op == "placeholder"]
    return [tuple(value.shape) if isinstance(value, Tensor) else () for value in values]


def _graph(model: nn.Module) -> fx.Graph:
    graph = model.graph
    assert isinstance(graph, fx.Graph)
    return graph
