"""A fixed ONNX model as ONNX: new weights in the old graph where they can hold the fix, or else a new layer in it.

Whatever else is in the file stays: other nodes, names, axes that may differ, metadata.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from artifactlab.errors import FixError, InputError, ModelError, first_line
from artifactlab.files import followed
from artifactlab.fix.back import Source, Written
from artifactlab.fix.back_graphs import LIKE, difference, graph_file, layers, not_written
from artifactlab.fix.graph_calls import with_calls
from artifactlab.fix.held import held
from artifactlab.fix.pipeline import Fix
from artifactlab.fix.replacement import Replacement
from artifactlab.inputs.extras import extra
from artifactlab.models.exported_program import quietly
from artifactlab.models.onnx_graph import NODE, OnnxGraph, note_scope

SIDE = 16
"""Places along a direction of the features that the new layer is exported with; any number fits it then."""
OLDEST = 18
"""The oldest version of ONNX's operators that torch 2.13 exports to."""
PREFIX = "artifactlab_"
"""What the names of the new layer's nodes and weights start with, which no exporter gives."""
NUMBERED = f"^{PREFIX}[0-9]+_"
"""The same with the number of the fix, of which there may be several."""
MOST_BYTES = 1 << 31
"""Of a protobuf message; weights beyond lie in files of their own."""


def onnx_back(made: Fix, source: Source, out: Path) -> tuple[Written, ...]:
    """The fixed model as ONNX, see `Writer`."""
    onnx = extra("onnx", "onnx", "ONNX")
    source = replace(source, model=with_calls(source.model, [path for one in made.replacements for path in one.paths]))
    try:
        proto, sentence, fixed = _written(onnx, made, source)
        if proto.ByteSize() >= MOST_BYTES:
            raise FixError(f"its weights take more than the {MOST_BYTES >> 30} GiB of one file")
        content = proto.SerializeToString()
        off = max(difference(_runtime(content), fixed, call) for call in source.calls)
        if not off <= LIKE:
            raise FixError(f"onnxruntime computes another output from it, by {off:.1%}")
    except FixError as error:
        return (not_written(error, source, out),)
    path = graph_file(source, out, ".onnx")
    return (Written(f"{path.name} is {sentence}", {followed(path): content}),)


def _written(onnx: Any, made: Fix, source: Source) -> tuple[Any, str, nn.Module]:
    """The file's content, what it is in words, and the model that it has to compute the same as.

    Weights that are only the nearest are taken where no new layer can be put in.
    """
    try:
        found = held(made, source)
    except (FixError, ModelError):
        return _with_layer(onnx, made, source)
    if not found.is_exact:
        try:
            return _with_layer(onnx, made, source)
        except (FixError, InputError):
            pass  # of onnxscript, which nothing else needs
    proto = onnx.load(str(source.path))
    _replace_weights(onnx, proto, source.model, found.model.state_dict())
    return proto, f"the original graph with other weights alone, {found.likeness}", found.model


def _with_layer(onnx: Any, made: Fix, source: Source) -> tuple[Any, str, nn.Module]:
    """The original with the new layers in it."""
    proto = _of_version(onnx, onnx.load(str(source.path)))
    before = source.model.state_dict()
    new = {name: value for name, value in made.model.state_dict().items() if name in before}
    new = {name: value for name, value in new.items() if value.shape == before[name].shape}
    _replace_weights(onnx, proto, source.model, new)
    for one in made.replacements:
        layer = _exported_layer(onnx, made.model, one, proto)
        _put_in(onnx, proto, _nodes_at(source.model, one.paths), one.paths[0], layer)
    new_layers = "a new layer" if len(made.replacements) == 1 else "new layers"
    return proto, f"the original graph with {new_layers} in it: {layers(made)}", made.model


def _replace_weights(onnx: Any, proto: Any, model: nn.Module, new: Mapping[str, Tensor]) -> None:
    """Write those weights that changed over the file's own.

    Raises:
        FixError: if one of them is not in the file as it is in the model.
    """
    names = _graph(model).initializers
    held_there = {tensor.name: tensor for tensor in proto.graph.initializer}
    for name, before in model.state_dict().items():
        if name not in new or torch.equal(before, new[name]):
            continue
        if name not in names:
            raise FixError(f"{name} was trained, and is not in the file as it is in the model")
        tensor = held_there[names[name]]
        values = new[name].detach().cpu().to(before.dtype).numpy()
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def _of_version(onnx: Any, proto: Any) -> Any:
    """The model in the oldest version of the operators that torch writes a new layer in, if it is older."""
    if _version(proto) >= OLDEST:
        return proto
    try:
        return onnx.version_converter.convert_version(proto, OLDEST)
    except Exception as error:  # onnx raises whatever comes of an operator that it cannot convert
        raise FixError(f"its operators, older than {OLDEST}, cannot be converted: {first_line(error)}") from error


def _version(proto: Any) -> int:
    return max(int(used.version) for used in proto.opset_import if used.domain in ("", "ai.onnx"))


def _exported_layer(onnx: Any, model: nn.Module, replacement: Replacement, proto: Any) -> Any:
    """The new layer as ONNX of the original's operators, for any size, under names that are nobody else's.

    Raises:
        FixError: if torch cannot export it.
    """
    extra("onnxscript", "onnx", "a new layer for ONNX")
    layer = copy.deepcopy(model.get_submodule(replacement.paths[0])).cpu().float().eval()
    example = torch.rand(2, replacement.in_channels, *[SIDE + k for k in range(len(replacement.scale))])
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
        raise FixError(f"torch cannot export {replacement.mode} to ONNX: {first_line(error)}") from error
    assert program is not None  # which is what it returns where it wrote a file
    taken = {name for node in proto.graph.node for name in node.output}
    prefix = next(p for k in range(len(taken) + 1) if not any(t.startswith(p := f"{PREFIX}{k}_") for t in taken))
    return onnx.compose.add_prefix(program.model_proto, prefix)


def _graph(model: nn.Module) -> OnnxGraph:
    """The model as it was opened.

    Raises:
        FixError: if its graph has others inside, which cannot be written back.
    """
    if not isinstance(model, OnnxGraph):
        raise FixError("it has loops or branches")
    return model


def _nodes_at(model: nn.Module, paths: Sequence[str]) -> list[str]:
    """The first output of each node that was replaced, in running order."""
    made_of = {node.target: node.meta[NODE] for node in _graph(model).graph.nodes if node.op == "call_module"}
    return [made_of[path] for path in paths]


def _put_in(onnx: Any, proto: Any, replaced: Sequence[str], path: str, layer: Any) -> None:
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


def _runtime(content: bytes) -> Callable[..., list[Tensor]]:
    """What onnxruntime computes of a file's content, from arguments by position."""
    runtime = extra("onnxruntime", "onnx", "ONNX")
    try:
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # a class of its own for every reason
        raise FixError(f"onnxruntime refuses it: {first_line(error)}") from error
    names = [given.name for given in session.get_inputs()]

    def run(*args: Tensor) -> list[Tensor]:
        given = {name: value.detach().cpu().numpy() for name, value in zip(names, args, strict=True)}
        return [torch.as_tensor(value) for value in session.run(None, given)]

    return run
