"""Stands in for `onnx`, `onnx2pytorch` and `onnxruntime`: messages as plain objects, and layers as they are called."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from artifactlab.models.onnx_graph import SCOPES


class Repeated(list[Any]):
    """A repeated field of a message."""

    def add(self, **values: Any) -> Any:
        self.append(SimpleNamespace(**{"value": "", **values}))
        return self[-1]


class Weight(SimpleNamespace):
    """A `TensorProto`."""

    def CopyFrom(self, other: Any) -> None:
        self.__dict__.update(other.__dict__)


def node(op: str, given: Sequence[str], made: Sequence[str], scopes: str = "", name: str = "") -> Any:
    """A `NodeProto`, in the module of a path."""
    props = Repeated()
    if scopes:
        props.add(key=SCOPES, value=str(["", *scopes.split("/"), name or made[0]]))
    names = {"input": list(given), "output": list(made), "name": name or f"node_{made[0]}"}
    return SimpleNamespace(op_type=op, metadata_props=props, attribute=[], **names)


def model_of(nodes: Sequence[Any], weights: Mapping[str, Tensor] | None = None, version: int = 18) -> Any:
    """A `ModelProto`."""
    tensors = [Weight(name=name, values=value) for name, value in (weights or {}).items()]
    graph = SimpleNamespace(
        node=list(nodes),
        initializer=tensors,
        value_info=[],
        input=[SimpleNamespace(name="x")],
        output=[SimpleNamespace(name=nodes[-1].output[0])],
    )
    opset = [SimpleNamespace(domain="", version=version)]
    return SimpleNamespace(
        graph=graph, opset_import=opset, ByteSize=lambda: 1, SerializeToString=lambda: repr(len(graph.node)).encode()
    )


class Converted(nn.Module):
    """A `ConvertModel`: layers by the outputs of their nodes."""

    def __init__(self, proto: Any, layers: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.input_names, self.output_names = ["x"], [one.name for one in proto.graph.output]
        self.mapping = {name: f"layer_{name}" for name in layers}
        for name, layer in layers.items():
            setattr(self, f"layer_{name}", layer)
        self.weights = {tensor.name: tensor.values for tensor in proto.graph.initializer}


class DepthToSpace(nn.Module):
    """As pixel shuffles are converted."""

    mode, blocksize = "CRD", 2


class Resize(nn.Module):
    """As resizes are converted."""

    opset_version, mode, align_corners = 18, "nearest", None


class Operator(nn.Module):
    """Any other: its class's name says little of it."""

    dims = ()


class Split(nn.Module):
    """Of several outputs."""

    def forward(self, x: Tensor) -> Any:
        return x.chunk(2, 1)


class ConvTranspose(nn.Module):
    """A transposed convolution that cuts its own border off."""

    output_shape, auto_pad = None, "NOTSET"

    def __init__(self, conv: nn.ConvTranspose2d, pads: Sequence[int]) -> None:
        super().__init__()
        self.conv, self.pads = conv, list(pads)


def install(monkeypatch: pytest.MonkeyPatch, **packages: Any) -> None:
    """Put what is imported of the packages in their places, with more of them as they are given."""
    constants = {"STANDARD_LAYERS": (nn.Conv2d, nn.Linear), "COMPOSITE_LAYERS": (), "MULTIOUTPUT_LAYERS": (Split,)}
    modules: dict[str, Any] = {
        "onnx2pytorch": {},
        "onnx2pytorch.constants": constants,
        "onnx2pytorch.convert": {},
        "onnx2pytorch.convert.operations": {"get_init_parameter": lambda models, name: models[0].weights[name]},
        **{name: vars(package) for name, package in packages.items()},
    }
    for name, content in modules.items():
        module = ModuleType(name)
        module.__spec__, module.__path__ = ModuleSpec(name, None), []
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)


def shuffling() -> tuple[Any, dict[str, nn.Module]]:
    """Super-resolution by four, and what its nodes are converted to: a convolution, a pixel shuffle, a resize."""
    torch.manual_seed(0)
    up, leave = nn.Conv2d(3, 12, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
    weights = {
        "up.weight": up.weight.detach(),
        "up.bias": up.bias.detach(),
        "scales": torch.tensor([1.0, 1.0, 2.0, 2.0]),
        "leave.1.weight": leave.weight.detach(),
        "leave.1.bias": leave.bias.detach(),
    }
    nodes = [
        node("Conv", ["x", "up.weight", "up.bias"], ["a"], "up"),
        node("DepthToSpace", ["a"], ["b"]),
        node("Resize", ["b", "", "scales"], ["c"], "leave/leave.0"),
        node("Conv", ["c", "leave.1.weight", "leave.1.bias"], ["y"], "leave/leave.1"),
    ]
    return model_of(nodes, weights), {"a": up, "b": DepthToSpace(), "c": Resize(), "y": leave}
