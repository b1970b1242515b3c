"""Everything of torch that the package uses although torch promises nothing about it, each with what it does.

Whoever moves to a newer torch looks here first: nothing else in the package touches a name that torch keeps to itself
(`tests/models/test_torch_internals.py`). Each comment names the version in which the behaviour was seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

__all__ = [
    "COMPILED_CHILD",
    "HOOK_TABLES",
    "TorchDispatchMode",
    "forward_hooks",
    "forward_pre_hooks",
    "hook_tables",
    "is_compiled_in_place",
    "is_in_backward",
    "is_in_vmap",
    "operator_name",
    "operator_schema",
    "own_buffers",
    "own_children",
    "own_parameters",
    "program_of_script",
    "tree_leaves",
    "tree_map",
    "usual_size",
    "view_base",
    "without_dispatch_modes",
    "without_function_modes",
]

# torch.utils._python_dispatch.TorchDispatchMode, seen in 2.13.0: a context in which every call is handed to
# `__torch_dispatch__` on its way to its kernel, those that backward makes, too.

# torch.utils._pytree.tree_leaves and tree_map, seen in 2.13.0: all values in nested lists and dicts; the same, changed.

without_function_modes = torch._C.DisableTorchFunction
"""A context in which neither modes nor subclasses see torch functions, and reading a shape costs what it should.

Seen in 2.13.0. `torch.overrides` documents a way to leave out subclasses only.
"""

without_dispatch_modes = torch._C._DisableTorchDispatch
"""A context in which calls go straight to their kernels, past every `TorchDispatchMode`. Seen in 2.13.0."""

_transforms = torch._C._functorch.get_interpreter_stack  # likewise
_VMAP = torch._C._functorch.TransformType.Vmap
_graph_task_id = torch._C._current_graph_task_id  # is asked for at every call that a model makes

COMPILED_CHILD = "_orig_mod"
"""The name under which what `torch.compile(module)` returns holds the module, and a part of every path into it.

Seen in 2.13.0; it is in the keys of saved weights, too.
"""


def is_in_backward() -> bool:
    """Whether this thread runs a part of a backward pass, as checkpointed parts of a model do once more.

    `torch._C._current_graph_task_id`, seen in 2.13.0: -1 outside of backward.
    """
    return _graph_task_id() != -1


def is_in_vmap() -> bool:
    """Whether what runs is mapped by `torch.vmap`: its tensors have no values that could be read.

    `torch._C._functorch.get_interpreter_stack`, seen in 2.13.0: None outside of all transforms.
    """
    stack = _transforms()
    return stack is not None and any(transform.key() == _VMAP for transform in stack)


def is_compiled_in_place(module: nn.Module) -> bool:
    """Whether `module.compile()` was called. `_compiled_call_impl`, seen in 2.13.0: None where it was not."""
    return module._compiled_call_impl is not None


def view_base(tensor: Tensor) -> Tensor | None:
    """The tensor that this one is a view of, None where it is none. `Tensor._base`, seen in 2.13.0."""
    return tensor._base


def operator_schema(operator: Any) -> Any:
    """The name and the arguments of what `__torch_dispatch__` is handed, with those that are written to marked.

    `OpOverload._schema`, seen in 2.13.0.
    """
    return operator._schema


_OPERATORS = (torch._ops.OpOverload, torch._ops.OpOverloadPacket)


def operator_name(func: Any) -> str | None:
    """`aten::slice` of `torch.ops.aten.slice` and each of its overloads; None of what is none of `torch.ops`.

    `torch._ops.OpOverload` and `OpOverloadPacket`, and their names, seen in 2.13.0.
    """
    if not isinstance(func, _OPERATORS):  # is asked of every call that a model makes
        return None
    packet: Any = getattr(func, "overloadpacket", func)
    return str(packet._qualified_op_name)


def program_of_script(scripted: torch.jit.ScriptModule, example: tuple[Tensor, ...]) -> torch.export.ExportedProgram:
    """TorchScript as an exported program, made with an example input; the sizes of others may differ where they can.

    `torch._export.converter.TS2EPConverter`, seen in 2.13.0. It is imported when it is used: that takes a second.
    """
    from torch._export.converter import TS2EPConverter

    return TS2EPConverter(scripted, example).convert()


def usual_size(size: int | torch.SymInt) -> int:
    """A size of a graph, or the one that it was made with where it may be any. `SymInt.node.hint`, seen in 2.13.0."""
    return size if isinstance(size, int) else int(size.node.hint)


def own_parameters(module: nn.Module) -> dict[str, nn.Parameter | None]:
    """The parameters of this very module, to read and to replace, under every name and where there is none, too.

    `Module._parameters`, seen in 2.13.0; `named_parameters` leaves out second names and None, and replaces nothing.
    """
    return module._parameters


def own_buffers(module: nn.Module) -> dict[str, Tensor | None]:
    """The buffers of this very module, as `own_parameters`. `Module._buffers`, seen in 2.13.0."""
    return module._buffers


def own_children(module: nn.Module) -> dict[str, nn.Module | None]:
    """The modules right below this one, under every name; `named_children` leaves out second names.

    `Module._modules`, seen in 2.13.0.
    """
    return module._modules


HOOK_TABLES = frozenset(
    name for name, value in vars(nn.Module()).items() if "hooks" in name and isinstance(value, dict)
)
"""The attributes of a module that hold its hooks of all kinds by number. Seen in 2.13.0."""


def hook_tables(module: nn.Module) -> list[dict[int, Any]]:
    """The hooks of a module, of each kind by number, as `forward_hooks`."""
    return [value for name, value in vars(module).items() if name in HOOK_TABLES and isinstance(value, dict)]


def forward_hooks(module: nn.Module) -> dict[int, Callable[..., Any]]:
    """The hooks that run after a module's forward, by number; clearing it removes them.

    `Module._forward_hooks`, seen in 2.13.0.
    """
    return module._forward_hooks


def forward_pre_hooks(module: nn.Module) -> dict[int, Callable[..., Any]]:
    """The hooks that run before a module's forward, as `forward_hooks`. `_forward_pre_hooks`, seen in 2.13.0."""
    return module._forward_pre_hooks
