"""Follow a forward with stand-ins for tensors: `torch.fx`, made to go on after what it cannot follow."""

from __future__ import annotations

import inspect
import math
import operator
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
from torch import fx, nn
from torch.fx.traceback import get_current_meta

from artifactlab.errors import first_line
from artifactlab.lint.moves import MOVING_MODULES, SIZES
from artifactlab.lint.ops import CONVOLUTIONS, Pointwise, is_known, module_spec
from artifactlab.lint.usual_sizes import UnknownSizeError, usual_shape, usual_value
from artifactlab.models.operators import as_function
from artifactlab.models.signatures import signature_of
from artifactlab.models.torch_internals import COMPILED_CHILD, operator_name, own_children
from artifactlab.models.wrappers import graph_inputs

UNREAD = ("aten::slice", "aten::convolution")
"""Operators whose functions depend on the sizes of what comes in, and a stand-in has none."""
CONVERSIONS = (torch.as_tensor, torch.asarray, torch.tensor)
"""What looks into a value, as into a time step that may be a number; stand-ins are handed through."""


class Sizes(fx.Proxy):
    """A stand-in that is asked for a number: a shape's length, a size."""

    def __getattr__(self, name: str) -> fx.proxy.Attribute:
        return _Attribute(self, name)

    def __len__(self) -> int:
        return len(self.tracer.usual(self))  # type: ignore[attr-defined]

    def __index__(self) -> int:
        return operator.index(self.tracer.usual(self))  # type: ignore[attr-defined]


class _Attribute(Sizes, fx.proxy.Attribute):
    """A shape, which is an attribute of a stand-in."""


class Tracer(fx.Tracer):
    """Goes on after a module that it cannot follow, and notes which module made each call.

    Where a forward branches on sizes, it takes the branch of an ordinary input, see `usual_value`.

    Args:
        directions: how many the model works on; None where nothing tells, and no size is known.
    """

    def __init__(self, directions: int | None = None) -> None:
        super().__init__(autowrap_modules=(math, *_einops()), autowrap_functions=CONVERSIONS)  # type: ignore[arg-type]
        # only modules' own functions are wrapped by default, and torch's whole is much
        self._autowrap_search.append(torch)
        self._directions = directions
        self.graph = fx.Graph()
        self.failures: dict[str, str] = {}
        """Why a module could not be followed, by its path, which is empty for the root."""
        self.owners: dict[fx.Node, str] = {}
        self._running = [""]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_leaf(m) or is_wrapper(m)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return Sizes(node, self)

    def to_bool(self, obj: fx.Proxy) -> bool:
        return bool(self.usual(obj))

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        entries: Any = obj
        return iter([entries[index] for index in range(len(self.usual(obj)))])

    def usual(self, obj: fx.Proxy) -> Any:
        """What a stand-in comes to for an ordinary input.

        Raises:
            TraceError: if its sizes alone do not tell.
        """
        try:
            return usual_value(obj.node, self._shape_of)
        except UnknownSizeError:
            raise fx.proxy.TraceError("it branches on values, which only data has") from None

    def _shape_of(self, tensor: fx.Node) -> tuple[Any, ...]:
        if self._directions is None:
            raise UnknownSizeError
        return usual_shape(self._directions, self._channels_of(tensor))

    def _channels_of(self, tensor: fx.Node) -> int | None:
        """As many as the last convolution made, where only modules that keep them came after it."""
        while tensor.op == "call_module":
            module = self.root.get_submodule(str(tensor.target))
            if isinstance(module, CONVOLUTIONS):
                return int(module.out_channels)
            if not isinstance(module_spec(module), Pointwise) or not isinstance(tensor.args[0], fx.Node):
                return None
            tensor = tensor.args[0]
        return None

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> Any:
        """One stand-in for each input of a graph, whose forward takes any number."""
        names = graph_inputs(self.root)
        if names is None:
            return super().create_args_for_root(root_fn, is_module, concrete_args)
        return root_fn, [self.root, *(self.create_proxy("placeholder", name, (), {}) for name in names)]

    def create_node(self, kind: str, target: Any, args: Any, kwargs: Any, *more: Any, **others: Any) -> fx.Node:
        if kind == "call_function" and operator_name(target) not in UNREAD:
            target, args, kwargs = as_function(target, args, kwargs)
        node = super().create_node(kind, target, args, kwargs, *more, **others)
        value = get_current_meta().get("val")  # of the node of a graph that is followed
        if isinstance(value, torch.Tensor):
            node.meta[SIZES] = tuple(value.shape)
        self.owners[node] = self._running[-1]
        return node

    def has_lost(self, path: str) -> bool:
        """Whether the module, or one that it is in, could not be followed."""
        return any(not lost or path == lost or path.startswith(f"{lost}.") for lost in self.failures)

    def call_module(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        path = self.path_of_module(m)

        def followed(*args: Any, **kwargs: Any) -> Any:
            depth = len(self.module_stack)
            self._running.append(path)
            try:
                return forward(*args, **kwargs)
            except Exception as error:
                self.failures[path] = reason(error)
                while len(self.module_stack) > depth:
                    self.module_stack.popitem()
            finally:
                self._running.pop()
            return self.create_proxy("call_module", path, args, kwargs)

        return super().call_module(m, followed, args, kwargs)


def _einops() -> list[ModuleType]:
    """`einops`, whose functions refuse stand-ins, if the model's code has imported it."""
    return [sys.modules["einops"]] if "einops" in sys.modules else []


def is_wrapper(module: nn.Module) -> bool:
    """Modules that hold others and have no forward of their own to follow; compiled ones refuse stand-ins."""
    if inspect.getattr_static(type(module), "forward") is nn.Module.forward:
        return True
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    return isinstance(module, wrappers) or COMPILED_CHILD in own_children(module)


def is_leaf(module: nn.Module) -> bool:
    """Modules that are not looked into: layers of torch, whose meaning is known or which hold no upsampler."""
    if is_known(module) or isinstance(module, torch.jit.ScriptModule):
        return True
    if type(module).__module__.startswith(MOVING_MODULES):
        return True
    return type(module).__module__.startswith(("torch.nn.", "torch.ao.nn.")) and not isinstance(module, nn.Sequential)


def defaults(module: nn.Module) -> dict[str, Any]:
    """Optional arguments at their defaults, so that `if skip is not None` takes the branch of an ordinary call."""
    constants = (bool, int, float, str, type(None))
    parameters = signature_of(module.forward).parameters.items()
    return {name: p.default for name, p in parameters if type(p.default) in constants}


def reason(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"[:160]
