"""An ONNX file's nodes as one graph of torch: layers with the names of the modules that they were exported from.

What each node computes is `onnx2pytorch`'s; here is what is named how, and which nodes are a module or a function of
torch outright, so that whatever reads, watches or replaces those does so in ONNX, too.
"""

from __future__ import annotations

import ast
import operator
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from artifactlab.models.torch_internals import own_children

SCOPES = "pkg.torch.onnx.name_scopes"
"""Under which torch's exporter of 2.5 on notes, in a node, the modules that it was made in, outermost first."""
NODE = "onnx"
"""In the `meta` of a call: the name of the first output of the node that it stands for."""
NESTED = {"If", "Loop", "Scan", "SequenceMap"}
"""Operators that have graphs of their own, which a graph of torch has no node for."""
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
"""What torch calls the mode of a resize that ONNX calls linear, by the number of directions."""


class OnnxGraph(nn.Module):
    """Runs the nodes one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = fx.Graph()
        self.initializers: dict[str, str] = {}
        """The name in the file of each weight that is there as it is here, by its name here."""

    def forward(self, *inputs: Any) -> Any:
        return fx.Interpreter(self, graph=self.graph).run(*inputs, enable_io_processing=False)


def as_graph(converted: Any, graph: Any) -> nn.Module:
    """What `onnx2pytorch` converted as an `OnnxGraph`, or as it is where it has loops or branches.

    Args:
        converted: the `ConvertModel`.
        graph: the `GraphProto` that it was converted of.
    """
    if any(node.op_type in NESTED for node in graph.node):
        return cast(nn.Module, converted)
    layers = {node.output[0]: getattr(converted, converted.mapping[node.output[0]]) for node in graph.node}
    return _Builder(converted, graph, layers).built()


class _Builder:
    """Lays out one model."""

    def __init__(self, converted: Any, graph: Any, layers: Mapping[str, Any]) -> None:
        self.model = OnnxGraph()
        self.nodes = graph.node
        self.outputs = converted.output_names
        self.inputs = converted.input_names
        self.layers = layers
        self.weights: dict[str, Tensor] = {tensor.name: _weight(converted, tensor.name) for tensor in graph.initializer}
        self.scopes = {node.output[0]: scope_of(node) for node in graph.node}
        self.shared = Counter(self.scopes.values())
        self.values: dict[str, fx.Node] = {}
        self.shapes = {value.name: _shape(value) for value in graph.value_info}

    def built(self) -> OnnxGraph:
        for name in self.inputs:
            self.values[name] = self.model.graph.placeholder(name)
        for node in self.nodes:
            self._add(node)
        outputs = [self.values[name] for name in self.outputs]
        self.model.graph.output(outputs[0] if len(outputs) == 1 else outputs)
        return self.model.eval()

    def _add(self, node: Any) -> None:
        layer = self.layers[node.output[0]]
        call = self._function(node, layer) or self._module(node, _of_torch(layer))
        call.meta[NODE] = node.output[0]
        if shape := self.shapes.get(node.output[0]):
            call.meta["val"] = torch.empty(shape, device="meta")  # as exported programs have it
        if not _returns_many(layer):
            self.values[node.output[0]] = call
            return
        for index, name in enumerate(node.output):
            self.values[name] = self.model.graph.call_function(operator.getitem, (call, index))

    def _module(self, node: Any, layer: Any) -> fx.Node:
        """The call of a layer that is a module, or of the function that it is."""
        given = self._given(node, layer)
        if isinstance(layer, partial) and layer.func is torch.cat:
            return self.model.graph.call_function(torch.cat, (given,), layer.keywords)
        if not isinstance(layer, nn.Module):
            return self.model.graph.call_function(layer, tuple(given))
        given = given[:1] if isinstance(layer, nn.Identity) else given
        path = self._path(node)
        _put(self.model, path, layer)
        if isinstance(layer, _CONVOLUTIONS):
            names = [name for name in node.input[1:] if name]
            self.model.initializers |= {
                f"{path}.{own}": name for own, name in zip(("weight", "bias"), names, strict=False)
            }
        return self.model.graph.create_node("call_module", path, tuple(given))

    def _function(self, node: Any, layer: Any) -> fx.Node | None:
        """The call of a function of torch's own, which whoever follows calls knows; None where the layer stays one."""
        found = _read(node, layer, self.weights)
        if found is None:
            return None
        func, args, kwargs = found
        scope = self.scopes[node.output[0]]
        sources = [self._value(name) for name in node.input[: len(node.input) if func in _BINARY else 1]]
        if func in _MODULES and scope and self.shared[scope] == 1:
            _put(self.model, scope, _MODULES[func](*args, **kwargs))
            return self.model.graph.create_node("call_module", scope, tuple(sources))
        return self.model.graph.call_function(func, (*sources, *args), kwargs)

    def _given(self, node: Any, layer: Any) -> list[Any]:
        """Arguments as `onnx2pytorch` hands them over: layers that hold their weights get none of them."""
        from onnx2pytorch.constants import STANDARD_LAYERS

        holds = isinstance(layer, (*STANDARD_LAYERS, *_CONVOLUTIONS))
        holds |= isinstance(layer, nn.Sequential) and any(isinstance(part, STANDARD_LAYERS) for part in layer.modules())
        names = [name for name in node.input if name in self.values] if holds else list(node.input)
        while names and not names[-1]:
            names.pop()
        return [self._value(name) if name else None for name in names]

    def _value(self, name: str) -> fx.Node:
        if name in self.values:
            return self.values[name]
        own = f"initializer_{len(self.model.initializers)}"
        self.model.register_buffer(own, self.weights[name])
        self.model.initializers[own] = name
        self.values[name] = self.model.graph.get_attr(own)
        return self.values[name]

    def _path(self, node: Any) -> str:
        """The path of the module that the node was exported from, or one inside it that is named after the operator."""
        weight = next((name for name in node.input if name in self.weights and name.endswith(".weight")), "")
        scope = weight.removesuffix(".weight") or self.scopes[node.output[0]]
        path = scope if weight or self.shared[scope] == 1 else ""
        if not path:
            path = f"{scope}.{node.op_type}" if scope else node.op_type
        taken = dict(self.model.named_modules())
        if path and path not in taken:
            return path
        return next(f"{path}_{k}" for k in range(1, len(taken) + 2) if f"{path}_{k}" not in taken)


def scope_of(node: Any) -> str:
    """The path of the module that an exporter made a node in, empty where it does not say or where that is the model.

    >>> from types import SimpleNamespace
    >>> scope_of(SimpleNamespace(name="/up/up.0/Resize", metadata_props=[]))
    'up.0'
    """
    noted = next((entry.value for entry in node.metadata_props if entry.key == SCOPES), None)
    if noted is not None:
        return str(([""] + [scope for scope in ast.literal_eval(noted) if scope])[-2])
    path: list[str] = []
    for scope in node.name.split("/")[1:-1]:
        if path and scope.startswith(f"{path[-1]}."):  # children of a Sequential are named after it
            path.pop()
        path.append(scope)
    return ".".join(path)


def note_scope(node: Any, path: str) -> None:
    """Note in a node of a graph that becomes a part of another one that it is inside the module at this path there."""
    noted = next((entry for entry in node.metadata_props if entry.key == SCOPES), None)
    noted = noted or node.metadata_props.add(key=SCOPES)
    inner = [scope for scope in ast.literal_eval(noted.value or "['']") if scope]
    parts = path.split(".")
    outer = ["", *(".".join(parts[:k]) for k in range(1, len(parts) + 1))]
    noted.value = str([*outer, *(f"{path}.{scope}" for scope in inner[:-1]), *(inner[-1:] or [node.name])])


def _shape(value: Any) -> list[int] | None:
    """The shape that the file notes of a value, None where a size is open."""
    sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    return sizes if all(sizes) else None


def _put(model: nn.Module, path: str, layer: nn.Module) -> None:
    """Put a layer into a model, inside modules that do nothing but hold it."""
    *parents, last = path.split(".")
    for name in parents:
        if name not in own_children(model):
            model.add_module(name, nn.Module())
        model = model.get_submodule(name)
    model.add_module(last, layer)


def _weight(converted: Any, name: str) -> Tensor:
    from onnx2pytorch.convert.operations import get_init_parameter

    weight: Tensor = get_init_parameter([converted], name)
    return weight


def _returns_many(layer: Any) -> bool:
    from onnx2pytorch.constants import COMPOSITE_LAYERS, MULTIOUTPUT_LAYERS

    inside = layer.modules() if isinstance(layer, COMPOSITE_LAYERS) else [layer]
    return any(isinstance(part, MULTIOUTPUT_LAYERS) for part in inside)


_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_BINARY = (torch.add, torch.sub, torch.mul, torch.div)
_MODULES: dict[Any, Callable[..., nn.Module]] = {F.interpolate: nn.Upsample, F.pixel_shuffle: nn.PixelShuffle}
"""Functions that are a module of torch where the model had one there."""
_Read = tuple[Any, tuple[Any, ...], dict[str, Any]]


def _of_torch(layer: Any) -> Any:
    """The transposed convolution of torch that one of `onnx2pytorch` is, which cuts its own border off."""
    conv, pads = getattr(layer, "conv", None), getattr(layer, "pads", None) or ()
    half = len(pads) // 2
    plain = getattr(layer, "output_shape", 0) is None and getattr(layer, "auto_pad", "") == "NOTSET"
    if not isinstance(conv, _CONVOLUTIONS) or not plain or pads[:half] != pads[half:]:
        return layer
    conv.padding = tuple(pads[:half]) if pads else (0,) * len(conv.stride)
    return conv


def _read(node: Any, layer: Any, weights: Mapping[str, Tensor]) -> _Read | None:
    """What a node does, as a function of torch and what it takes besides tensors that are computed."""
    constant = [weights.get(name) for name in node.input]
    if node.op_type in ("Add", "Sub", "Mul", "Div") and len(node.input) == 2 and not node.attribute:
        func = {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div}[node.op_type]
        floating = node.op_type != "Div"  # whole numbers are divided otherwise
        return (func, (), {}) if floating else None
    if node.op_type == "Transpose" and layer.dims:
        return torch.permute, (tuple(layer.dims),), {}
    if node.op_type == "Reshape" and len(constant) == 2 and constant[1] is not None and 0 not in constant[1].tolist():
        return torch.reshape, (tuple(constant[1].tolist()),), {}
    if node.op_type == "DepthToSpace" and layer.mode == "CRD":
        return F.pixel_shuffle, (layer.blocksize,), {}
    if node.op_type == "Resize" and layer.opset_version >= 11:
        return _resized(layer, [*constant[1:], None, None, None][:3])
    return None


def _resized(layer: Any, given: list[Tensor | None]) -> _Read | None:
    """A resize of images by factors, or to sizes, that the file has as numbers."""
    _, scales, sizes = (None if value is None or not value.numel() else value.tolist() for value in given)
    told = tuple((scales or sizes or [])[2:])
    if not told or (scales and scales[:2] != [1, 1]):
        return None
    alike = told[0] if len(set(told)) == 1 else told
    mode = {"linear": LINEAR.get(len(told)), "cubic": "bicubic"}.get(layer.mode, layer.mode)
    corners = {"align_corners": layer.align_corners} if layer.mode != "nearest" else {}
    return F.interpolate, (), {"scale_factor" if scales else "size": alike, "mode": mode, **corners}
