"""Follow a forward with stand-ins for tensors: `torch.fx`, made to go on after what it cannot follow."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn

from artifactlab.errors import first_line
from artifactlab.lint.ops import is_known
from artifactlab.lint.usual_sizes import UnknownSizeError, usual_value
from artifactlab.models.torch_internals import COMPILED_CHILD, own_children


class Sizes(fx.Proxy):
    """A stand-in whose length is asked for: a shape's, mostly."""

    def __len__(self) -> int:
        return len(self.tracer.usual(self))  # type: ignore[attr-defined]


class Tracer(fx.Tracer):
    """Goes on after a module that it cannot follow, and notes which module made each call.

    Where a forward branches on sizes, it takes the branch of `USUAL_SIZES`.

    Args:
        directions: how many the model works on; None where nothing tells, and no size is known.
    """

    def __init__(self, directions: int | None = None) -> None:
        super().__init__()
        self.trace_asserts = True  # what a forward asserts is taken to be so
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
        return iter([obj[index] for index in range(len(self.usual(obj)))])

    def usual(self, obj: fx.Proxy) -> Any:
        """What a stand-in comes to for an ordinary input.

        Raises:
            TraceError: if its sizes alone do not tell.
        """
        try:
            if self._directions is None:
                raise UnknownSizeError
            return usual_value(obj.node, self._directions)
        except UnknownSizeError:
            raise fx.proxy.TraceError("it branches on values, which only data has") from None

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
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


def is_wrapper(module: nn.Module) -> bool:
    """Modules that hold others and have no forward of their own to follow; compiled ones refuse stand-ins."""
    wrappers = (nn.ModuleList, nn.ModuleDict, nn.DataParallel, nn.parallel.DistributedDataParallel)
    return isinstance(module, wrappers) or COMPILED_CHILD in own_children(module)


def is_leaf(module: nn.Module) -> bool:
    """Modules that are not looked into: layers of torch, whose meaning is known or which hold no upsampler."""
    if is_known(module) or isinstance(module, torch.jit.ScriptModule):
        return True
    return type(module).__module__.startswith(("torch.nn.", "torch.ao.nn.")) and not isinstance(module, nn.Sequential)


def defaults(module: nn.Module) -> dict[str, Any]:
    """Optional arguments at their defaults, so that `if skip is not None` takes the branch of an ordinary call."""
    constants = (bool, int, float, str, type(None))
    parameters = inspect.signature(module.forward).parameters.items()
    return {name: p.default for name, p in parameters if type(p.default) in constants}


def reason(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"[:160]
