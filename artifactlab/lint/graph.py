"""What feeds what inside a model, without running it: `torch.fx` where it can follow, registration order elsewhere."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from artifactlab.lint.calls import GROWING, WEIGHTED, call_spec
from artifactlab.lint.model_copy import eval_copy, no_trace_left
from artifactlab.lint.moves import growth_by_moves, is_move, row_of
from artifactlab.lint.ops import Convolution, Output, Pointwise, Spec, grows, is_known, module_spec
from artifactlab.lint.tracer import Tracer, defaults, is_leaf, is_wrapper, reason
from artifactlab.lint.usual_sizes import directions_of

ROOT_NAME = "(model)"
"""What the model itself is called where it is the layer."""


@dataclass(eq=False)
class Op:
    """One call inside the model."""

    site: str
    """The qualified module name, or `module/function#call` for a functional call, numbered as `capture` does."""
    spec: Spec
    """What the call does; None where that is unknown."""
    inputs: list[Op]
    """The calls whose outputs it takes."""
    users: list[Op] = field(default_factory=list)
    """The calls that take its output."""


@dataclass
class ModuleGraph:
    """Every call that could be seen."""

    ops: list[Op]
    """The calls in the order they run; layers that no forward was seen to call come last and are linked to nothing."""
    untraced: dict[str, str]
    """Why a module or call could not be read, by its name."""


def module_graph(model: nn.Module) -> ModuleGraph:
    """Follow the model's forward with stand-ins for tensors; nothing is computed and the model stays as it was.

    A module whose forward cannot be followed (it branches on values, say) is taken to run its children in the
    order they were registered, and is listed in `untraced`: the functional calls of its own forward may go unseen.
    While this runs, `torch.fx` patches `nn.Module`: no other thread may run a model.

    Args:
        model: the user's own module, without wrappers.

    Raises:
        ModelError: if the model cannot be copied.
    """
    duplicate = eval_copy(model)
    builder = _Builder(directions_of(duplicate))
    with no_trace_left(), torch.no_grad():
        last = builder.add_module("", duplicate, [])
        builder.op(ROOT_NAME, Output(), [last])
        builder.add_unseen_layers(duplicate)
    return ModuleGraph(builder.ops, builder.untraced)


class _Builder:
    """Collects the calls of one model."""

    def __init__(self, directions: int | None) -> None:
        self.ops: list[Op] = []
        self.untraced: dict[str, str] = {}
        self._directions = directions
        self._read: set[str] = set()
        """Paths of the parameters that functional convolutions were seen to use."""

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
        if is_wrapper(module):
            return self._add_in_order(name, module, inputs)
        if is_leaf(module):
            return self.op(name or ROOT_NAME, module_spec(module), inputs)
        tracer = Tracer(self._directions)
        try:
            with fx.traceback.preserve_node_meta():
                tracer.trace(module, defaults(module))
        except Exception as error:
            tracer.failures[""] = reason(error)
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

    def _add_nodes(self, name: str, tracer: Tracer, root: nn.Module, inputs: list[Op]) -> Op:
        """The calls that the tracer saw, in a module that it lost up to there."""
        made: dict[fx.Node, Op] = {}
        fixed: set[fx.Node] = set()
        calls: Counter[str] = Counter()
        last = Op(name, None, [])
        for node in tracer.graph.nodes:
            if _is_fixed(node, fixed):
                fixed.add(node)
            sources = [made[source] for source in node.all_input_nodes if source in made]
            if node.op == "placeholder":
                last = self.op(name, Pointwise(alike=True), inputs)
            elif node.op == "output":
                last = self.op(name, Pointwise(alike=len(sources) == 1), sources)
            elif node.op == "call_module" and (move := _move(node, made, root)) and move[0]:
                last = self.op(_join(name, str(node.target)), move[0], [move[1]])
            elif node.op == "call_module":
                last = self._add_called(name, node, tracer, root, sources)
            elif node.op in ("call_function", "call_method"):
                if node.target in WEIGHTED:
                    self._read.update(_join(name, path) for path in _parameters(node, fixed))
                spec, error = _call_spec(node, root, fixed)
                if move := _move(node, made, root):
                    spec, sources = move[0], [move[1]] if grows(move[0]) else sources
                owner = _join(name, tracer.owners[node])
                function = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "?")
                site = f"{owner}/{function}" if owner else function
                if (node.target not in GROWING and not is_move(node, root)) or grows(spec) or error:
                    calls[site] += 1
                    site = f"{site}#{calls[site] - 1}"
                if error:
                    self.untraced[site] = error
                last = self.op(site, spec, sources)
            else:
                continue  # a parameter, which is no activation
            made[node] = last
        return last

    def _add_called(self, name: str, node: fx.Node, tracer: Tracer, root: nn.Module, sources: list[Op]) -> Op:
        path, module = str(node.target), root.get_submodule(str(node.target))
        name = _join(name, path)
        if tracer.has_lost(tracer.owners[node]):  # whose children will all be added in order
            return self.op(name, module_spec(module), sources)
        if path in tracer.failures:
            self.untraced[name] = tracer.failures[path]
            return self._add_in_order(name, module, sources)
        return self.add_module(name, module, sources)

    def add_unseen_layers(self, model: nn.Module) -> None:
        """Layers that no forward was seen to call: their weights can be read all the same."""
        called = {op.site for op in self.ops}
        for name, module in model.named_modules():
            used = name in called or any(path.startswith(f"{name}.") for path in self._read)
            if name and is_known(module) and not used:
                self.op(name, module_spec(module), [])


def _is_fixed(node: fx.Node, fixed: set[fx.Node]) -> bool:
    """Whether a node depends on parameters alone, such as a rescaled weight."""
    if node.op == "get_attr":
        return True
    in_place = isinstance(node.target, str) and node.op == "call_method" and node.target.endswith("_")
    if node.op not in ("call_function", "call_method", "call_module") or in_place:
        return False
    return all(source in fixed for source in node.all_input_nodes)


def _parameters(node: fx.Node, fixed: set[fx.Node]) -> Iterator[str]:
    """Paths of the parameters, and of the modules that compute some, behind a call's fixed arguments."""
    behind, visited = [node], set()
    while behind:
        for source in behind.pop().all_input_nodes:
            if source in fixed and source not in visited:
                visited.add(source)
                behind.append(source)
                if source.op in ("get_attr", "call_module"):
                    yield str(source.target)


def _call_spec(node: fx.Node, root: nn.Module, fixed: set[fx.Node]) -> tuple[Spec, str]:
    """What a function or method call does, and why that could not be read, which is empty where it could."""
    args, kwargs = node.args, dict(node.kwargs)
    if node.target in WEIGHTED:  # what comes first is the activation, even where it is a learned constant
        image = {"input": kwargs.pop("input")} if "input" in kwargs else {}
        given = fx.node.map_arg((args[1:], kwargs), lambda source: _value(source, root, fixed))
        args, kwargs = (*args[:1], *given[0]), {**image, **given[1]}
    try:
        return call_spec(node.target, args, kwargs, len(node.all_input_nodes)), ""
    except (TypeError, ValueError) as error:
        return None, reason(error)


def _move(node: fx.Node, made: dict[fx.Node, Op], root: nn.Module) -> tuple[Spec, Op] | None:
    """What a call does as the last of some reshapes, permutations and repeats, and what feeds them; mostly None."""
    if not is_move(node, root):
        return None
    row = row_of(node, root, lambda one: one in made and grows(made[one].spec))
    found = _convolution_behind(made[row[0]]) if row and row[0] in made else None
    if found is None:
        return None
    conv, between = found
    return growth_by_moves(row, conv, [one for one, op in made.items() if op in between], root), made[row[0]]


def _convolution_behind(op: Op) -> tuple[Convolution, set[Op]] | None:
    """The convolution whose output a call's is, but for pointwise treatment, and all calls in between."""
    behind, visited = [op], {op}
    while behind:
        near = behind.pop()
        if isinstance(near.spec, Convolution):
            return near.spec, visited
        if isinstance(near.spec, Pointwise):
            behind.extend(source for source in near.inputs if source not in visited)
            visited.update(near.inputs)
    return None


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


def _join(name: str, child: Any) -> str:
    return f"{name}.{child}" if name and child else name or str(child)
