"""What feeds what inside a model, without running it: `torch.fx` where it can follow, registration order elsewhere."""

from __future__ import annotations

import inspect
import operator
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from artifactlab.errors import first_line
from artifactlab.model_copy import eval_copy, no_trace_left
from artifactlab.module_ops import WEIGHTED, Convolution, Output, Pointwise, Spec, call_spec, is_known, module_spec

ROOT_NAME = "(model)"
"""what the model itself is called where it is the layer"""


@dataclass(eq=False)
class Op:
    """One call inside the model."""

    site: str
    """qualified module name, or `module/function#call` for a functional call"""
    spec: Spec
    """what it does; None where that is unknown"""
    inputs: list[Op]
    """whose outputs it takes"""
    users: list[Op] = field(default_factory=list)
    """who takes its output"""


@dataclass
class ModuleGraph:
    """Every call that could be seen."""

    ops: list[Op]
    """in the order they run; layers that no forward was seen to call come last and are linked to nothing"""
    untraced: dict[str, str]
    """module or call that could not be read -> why"""


def module_graph(model: nn.Module) -> ModuleGraph:
    """Follow the model's forward with stand-ins for tensors; nothing is computed and the model stays as it was.

    A module whose forward cannot be followed (it branches on values or sizes, say) is taken to run its children in the
    order they were registered, and is listed in `untraced`: the functional calls of its own forward may go unseen.
    While this runs, `torch.fx` patches `nn.Module`: no other thread may run a model.

    Args:
        model: the user's own module, without wrappers.

    Raises:
        ModelError: if the model cannot be copied.
    """
    duplicate = eval_copy(model)
    builder = _Builder()
    with no_trace_left(), torch.no_grad():
        last = builder.add_module("", duplicate, [])
        builder.op(ROOT_NAME, Output(), [last])
        builder.add_unseen_layers(duplicate)
    return ModuleGraph(builder.ops, builder.untraced)


class _Builder:
    """Collects the calls of one model."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.untraced: dict[str, str] = {}

    def op(self, site: str, spec: Spec, inputs: list[Op]) -> Op:
        made = Op(site, spec, inputs)
        for source in inputs:
            source.users.append(made)
        self.ops.append(made)
        return made

    def add_module(self, name: str, module: nn.Module, inputs: list[Op]) -> Op:
        """The calls of one module, linked to what feeds it; the last of them is its output."""
        if isinstance(module, torch.jit.ScriptModule):
            self.untraced[name or ROOT_NAME] = "it is a ScriptModule"
        if _is_wrapper(module):
            return self._add_in_order(name, module, inputs)
        if _is_leaf(module):
            return self.op(name or ROOT_NAME, module_spec(module), inputs)
        tracer = _Tracer()
        try:
            tracer.trace(module, _defaults(module))
        except Exception as error:
            tracer.failures[""] = _reason(error)
        last = self._add_nodes(name, tracer, module, inputs)
        if "" not in tracer.failures:
            return last
        self.untraced[name or ROOT_NAME] = tracer.failures[""]
        return self._add_in_order(name, module, inputs)

    def _add_in_order(self, name: str, module: nn.Module, inputs: list[Op]) -> Op:
        children = list(module.named_children())
        if not children:
            return self.op(name or ROOT_NAME, None, inputs)
        for child_name, child in children:
            inputs = [self.add_module(_join(name, child_name), child, inputs)]
        return inputs[0]

    def _add_nodes(self, name: str, tracer: _Tracer, root: nn.Module, inputs: list[Op]) -> Op:
        """The calls that the tracer saw, in a module that it lost up to there."""
        made: dict[fx.Node, Op] = {}
        fixed: set[fx.Node] = set()
        calls: Counter[tuple[str, str]] = Counter()
        last = Op(name, None, [])
        for node in tracer.graph.nodes:
            if _is_fixed(node, fixed):
                fixed.add(node)
            sources = [made[source] for source in node.all_input_nodes if source in made]
            if node.op == "placeholder":
                last = self.op(name, Pointwise(alike=True), inputs)
            elif node.op == "output":
                last = self.op(name, Pointwise(alike=len(sources) == 1), sources)
            elif node.op == "call_module":
                last = self._add_called(name, node, tracer, root, sources)
            elif node.op in ("call_function", "call_method"):
                owner = _join(name, tracer.owners[node])
                function = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "?")
                site = f"{function}#{calls[owner, function]}"
                calls[owner, function] += 1
                last = self._add_call(f"{owner}/{site}" if owner else site, node, root, fixed, sources)
            else:
                continue  # a parameter, which is no activation
            made[node] = last
        return last

    def _add_called(self, name: str, node: fx.Node, tracer: _Tracer, root: nn.Module, sources: list[Op]) -> Op:
        path, module = str(node.target), root.get_submodule(str(node.target))
        name = _join(name, path)
        if tracer.has_lost(tracer.owners[node]):  # whose children will all be added in order
            return self.op(name, module_spec(module), sources)
        if path in tracer.failures:
            self.untraced[name] = tracer.failures[path]
            return self._add_in_order(name, module, sources)
        return self.add_module(name, module, sources)

    def _add_call(self, site: str, node: fx.Node, root: nn.Module, fixed: set[fx.Node], sources: list[Op]) -> Op:
        args, kwargs = node.args, dict(node.kwargs)
        if node.target in WEIGHTED:  # what comes first is the activation, even where it is a learned constant
            image = {"input": kwargs.pop("input")} if "input" in kwargs else {}
            given = fx.node.map_arg((args[1:], kwargs), lambda source: _value(source, root, fixed))
            args, kwargs = (*args[:1], *given[0]), {**image, **given[1]}
        try:
            spec = call_spec(node.target, args, kwargs, len(node.all_input_nodes))
        except (TypeError, ValueError) as error:
            self.untraced[site] = _reason(error)
            spec = None
        return self.op(site, spec, sources)

    def add_unseen_layers(self, model: nn.Module) -> None:
        """Layers that no forward was seen to call: their weights can be read all the same."""
        seen = {op.site for op in self.ops}
        used = {id(op.spec.weight) for op in self.ops if isinstance(op.spec, Convolution)}
        for name, module in model.named_modules():
            if name not in seen and name and is_known(module) and id(getattr(module, "weight", None)) not in used:
                self.op(name, module_spec(module), [])


class _Tracer(fx.Tracer):
    """Goes on after a module that it cannot follow, and notes which module made each call."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = fx.Graph()
        self.failures: dict[str, str] = {}
        """path of a module that could not be followed, empty for the root -> why"""
        self.owners: dict[fx.Node, str] = {}
        self._running = [""]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return _is_leaf(m) or _is_wrapper(m)

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
                self.failures[path] = _reason(error)
                while len(self.module_stack) > depth:
                    self.module_stack.popitem()
            finally:
                self._running.pop()
            return self.create_proxy("call_module", path, args, kwargs)

        return super().call_module(m, followed, args, kwargs)


def _is_wrapper(module: nn.Module) -> bool:
    """Modules that hold others and have no forward of their own to follow; compiled ones refuse stand-ins."""
    wrappers = (nn.ModuleList, nn.ModuleDict, nn.DataParallel, nn.parallel.DistributedDataParallel)
    return isinstance(module, wrappers) or "_orig_mod" in module._modules


def _is_leaf(module: nn.Module) -> bool:
    """Modules that are not looked into: layers of torch, whose meaning is known or which hold no upsampler."""
    if is_known(module) or isinstance(module, torch.jit.ScriptModule):
        return True
    return type(module).__module__.startswith(("torch.nn.", "torch.ao.nn.")) and not isinstance(module, nn.Sequential)


def _is_fixed(node: fx.Node, fixed: set[fx.Node]) -> bool:
    """Whether a node depends on parameters alone, such as a rescaled weight."""
    if node.op == "get_attr":
        return True
    in_place = isinstance(node.target, str) and node.op == "call_method" and node.target.endswith("_")
    if node.op not in ("call_function", "call_method", "call_module") or in_place:
        return False
    return all(source in fixed for source in node.all_input_nodes)


def _value(node: fx.Node, root: nn.Module, fixed: set[fx.Node]) -> Any:
    """What a fixed node holds; any other node, or one that cannot be computed, stands for itself."""
    if node not in fixed:
        return node
    if node.op == "get_attr":
        return operator.attrgetter(str(node.target))(root)
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda source: _value(source, root, fixed))
    try:
        if node.op == "call_module":
            return root.get_submodule(str(node.target))(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        return node.target(*args, **kwargs)  # type: ignore[operator]
    except Exception:
        return node  # nothing is concluded from a value that cannot be had


def _defaults(module: nn.Module) -> dict[str, Any]:
    """Optional arguments at their defaults, so that `if skip is not None` takes the branch of a plain call."""
    plain = (bool, int, float, str, type(None))
    parameters = inspect.signature(module.forward).parameters.items()
    return {name: p.default for name, p in parameters if type(p.default) in plain}


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"[:160]


def _join(name: str, child: Any) -> str:
    return f"{name}.{child}" if name and child else name or str(child)
