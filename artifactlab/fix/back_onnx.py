"""A fixed ONNX model as ONNX: new weights in the old graph where they can hold the fix, or else a new layer in it.

Whatever else is in the file stays: other nodes, names, axes that may differ, metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.errors import FixError, InputError, ModelError, first_line
from artifactlab.files import followed
from artifactlab.fix.back import Source, Written
from artifactlab.fix.back_graphs import LIKE, difference, graph_file, layers, not_written
from artifactlab.fix.graph_calls import with_calls
from artifactlab.fix.held import held
from artifactlab.fix.onnx_surgery import append, exported_layer, in_version_for_layers, put_in
from artifactlab.fix.pipeline import Fix
from artifactlab.inputs.extras import extra
from artifactlab.models.onnx_graph import NODE, OnnxGraph

SIDE = 16
"""Places along a direction of the features that the new layer is exported with; any number fits it then."""
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
    proto = in_version_for_layers(onnx, onnx.load(str(source.path)))
    before = source.model.state_dict()
    new = {name: value for name, value in made.model.state_dict().items() if name in before}
    new = {name: value for name, value in new.items() if value.shape == before[name].shape}
    _replace_weights(onnx, proto, source.model, new)
    if made.post:
        filter_, space = made.model.get_submodule("filter"), len(made.post.sizes)
        append(proto, exported_layer(onnx, filter_, (1, *[SIDE + k for k in range(space)]), proto), made.post.output)
        return proto, "the original graph with a filter behind its output", made.model
    for one in made.replacements:
        shape = (one.in_channels, *[SIDE + k for k in range(len(one.scale))])
        layer = exported_layer(onnx, made.model.get_submodule(one.paths[0]), shape, proto)
        put_in(proto, _nodes_at(source.model, one.paths), one.paths[0], layer)
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
