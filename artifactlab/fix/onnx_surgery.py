"""New layers in an ONNX graph: exported, put where nodes stood, or behind an output. All else in the graph stays."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from artifactlab.errors import FixError, first_line
from artifactlab.inputs.extras import extra
from artifactlab.models.exported_program import quietly
from artifactlab.models.onnx_graph import note_scope
from artifactlab.models.output_paths import steps_of

OLDEST = 18
"""The oldest version of ONNX's operators that torch 2.13 exports to."""
PREFIX = "artifactlab_"
"""What the names of the new layer's nodes and weights start with, which no exporter gives."""
NUMBERED = f"^{PREFIX}[0-9]+_"
"""The same with the number of the fix, of which there may be several."""


def in_version_for_layers(onnx: Any, proto: Any) -> Any:
    """The model in the oldest version of the operators that torch writes a new layer in, if it is older."""
    if _version(proto) >= OLDEST:
        return proto
    try:
        return onnx.version_converter.convert_version(proto, OLDEST)
    except Exception as error:  # onnx raises whatever comes of an operator that it cannot convert
        raise FixError(f"its operators, older than {OLDEST}, cannot be converted: {first_line(error)}") from error


def _version(proto: Any) -> int:
    return max(int(used.version) for used in proto.opset_import if used.domain in ("", "ai.onnx"))


def exported_layer(onnx: Any, layer: nn.Module, shape: Sequence[int], proto: Any) -> Any:
    """A new layer as ONNX of the original's operators, for any size, under names that are nobody else's.

    Args:
        onnx: the package.
        layer: what is exported; it stays as it is.
        shape: channels and sides of an input; sides and batch may be others then.
        proto: the original.

    Raises:
        FixError: if torch cannot export it.
    """
    extra("onnxscript", "onnx", "a new layer for ONNX")
    name, layer = type(layer).__name__, copy.deepcopy(layer).cpu().float().eval()
    example = torch.rand(2, *shape)
    open_axes = {axis: Dim.DYNAMIC for axis in range(example.ndim) if axis != 1}
    try:
        with quietly(), torch.no_grad():
            program = torch.onnx.export(
                layer,
                (example,),
                dynamo=True,
                dynamic_shapes=(open_axes,),
                opset_version=_version(proto),
                verbose=False,
            )
    except Exception as error:  # torch raises whatever comes of exporting a model
        raise FixError(f"torch cannot export the new {name} to ONNX: {first_line(error)}") from error
    assert program is not None  # which is what it returns where it wrote a file
    taken = {name for node in proto.graph.node for name in node.output}
    prefix = next(p for k in range(len(taken) + 1) if not any(t.startswith(p := f"{PREFIX}{k}_") for t in taken))
    return onnx.compose.add_prefix(program.model_proto, prefix)


def put_in(proto: Any, replaced: Sequence[str], path: str, layer: Any) -> None:
    """Put a layer's nodes where those stood whose outputs are given, from the input of the first to the last output.

    Its nodes and weights are noted to be in the module at that path, as an exporter does.
    """
    graph, new = proto.graph, layer.graph
    first = next(k for k, node in enumerate(graph.node) if node.output[0] == replaced[0])
    names = {new.input[0].name: graph.node[first].input[0], new.output[0].name: replaced[-1]}
    taken = {tensor.name for tensor in graph.initializer}
    for tensor in new.initializer:
        inside = f"{path}.{re.sub(NUMBERED, '', tensor.name)}"
        names[tensor.name] = tensor.name = tensor.name if inside in taken else inside
    for node in new.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        note_scope(node, path)
    before, after = (
        [n for n in part if n.output[0] not in replaced] for part in (graph.node[:first], graph.node[first:])
    )
    kept = [*before, *new.node, *after]
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(new.initializer)
    read = {name for node in kept for name in node.input} | {output.name for output in graph.output}
    for tensor in [one for one in graph.initializer if one.name not in read]:
        graph.initializer.remove(tensor)


def append(proto: Any, layer: Any, output: str) -> None:
    """Put a layer's nodes behind one of a graph's outputs, which is called as it was.

    Args:
        proto: the original, which is written to.
        layer: what `exported_layer` made, of one input and one output.
        output: which of the outputs, as `--output` has it: `output`, or `output[1]` of several.

    Raises:
        FixError: if it is none of them.
    """
    graph = proto.graph
    steps = (steps_of(output) or [])[1:] or ["0"]
    if len(steps) > 1 or not steps[0].isdigit() or int(steps[0]) >= len(graph.output):
        raise FixError(f"{output} is none of the graph's {len(graph.output)} outputs")
    name = graph.output[int(steps[0])].name
    inner = f"{layer.graph.output[0].name}_before"
    for node in graph.node:
        node.input[:] = [inner if given == name else given for given in node.input]
        node.output[:] = [inner if made == name else made for made in node.output]
    names = {layer.graph.input[0].name: inner, layer.graph.output[0].name: name}
    for node in layer.graph.node:
        node.input[:] = [names.get(given, given) for given in node.input]
        node.output[:] = [names.get(made, made) for made in node.output]
    graph.node.extend(layer.graph.node)
    graph.initializer.extend(layer.graph.initializer)
