"""The user's own module inside what torch wraps around it."""

from __future__ import annotations

import torch
from torch import nn

from artifactlab.errors import ModelError
from artifactlab.models.torch_internals import COMPILED_CHILD, own_children


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


def refuse_graph(model: nn.Module, instead: str) -> None:
    """Raise a ModelError for an exported program, whose layers are calls in a graph and no modules of known kinds.

    Args:
        model: any module.
        instead: what to do, for the message.
    """
    if type(model).__module__ == "torch.export.unflatten":
        raise ModelError(f"the model is an exported graph, of which no layer can be read or replaced; {instead}")
