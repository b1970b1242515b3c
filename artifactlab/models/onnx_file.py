"""ONNX files, converted to modules that are named after the graph's nodes, and checked against onnxruntime."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.errors import ArtifactLabError, ModelError, first_line, shown
from artifactlab.inputs.extras import extra
from artifactlab.models.budget import LARGEST_RESULT, ResultLimit, largest_result
from artifactlab.models.exported_program import quietly
from artifactlab.models.formats import ModelFormat, refuse_arguments
from artifactlab.models.onnx_graph import as_graph
from artifactlab.models.protobuf import fields_of

FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
"""Fields of ONNX's `ModelProto`, and how each is written; see onnx.proto."""
VERSION, GRAPH, OPERATORS = 1, 7, 8
"""Those that every model has."""
SIDE = 64
"""Places along a direction whose size the graph leaves open, of the example on which the conversion is checked."""
LIKE = 1e-3
"""Largest difference between the outputs of the two, relative to the largest value: float32 summed in another order
differs by 1e-5 in deep nets, a wrong padding or alignment by 1e-2 at least."""
QUANTISED = {"QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger"}
"""Operators of models whose values are integers: no gradient and no small repair comes through them."""
LOOPS = {"Loop", "Scan"}
"""Operators that run a graph inside them any number of times."""
MOST_BYTES = 16
"""Of one number, a complex one of double precision."""
FATAL = 4
"""What onnxruntime calls the last of its levels of logging."""
EXTERNAL = 1
"""`TensorProto.EXTERNAL`, the place of weights that lie in a file beside the graph."""


def is_onnx(path: Path) -> bool:
    """Whether a file is a model of ONNX: its outermost fields are those of one, up to its last byte."""
    if not path.is_file():
        return False
    fields = fields_of(path)
    kinds = dict(fields or ())
    return {VERSION, GRAPH, OPERATORS} <= kinds.keys() and all(FIELDS.get(k) == kind for k, kind in fields or ())


def load_onnx(path: Path, kwargs: Mapping[str, Any]) -> nn.Module:
    """The graph in an ONNX file as a module, which computes what onnxruntime does.

    Args:
        path: the file.
        kwargs: `shape` of an input to check it on, where the graph leaves sizes open that cannot be any.

    Raises:
        InputError: if the packages of the extra `onnx` are missing.
        ModelError: if weights lie outside the file's folder, it cannot be converted, or comes out different.
    """
    refuse_arguments(path, kwargs, ("shape",))
    onnx, runtime, converter = (extra(name, "onnx", f"ONNX {path}") for name in ("onnx", "onnxruntime", "onnx2pytorch"))
    try:
        graph = onnx.load(str(path), load_external_data=False)
        _refuse_quantised(graph.graph, path)
        _refuse_loops(graph, path)
        _check_weights(graph, path.resolve().parent)
        onnx.load_external_data_for_model(graph, str(path.resolve().parent))
        with quietly():
            model = as_graph(_converted(converter, graph, path), graph.graph)
            example = _example(graph.graph, kwargs)
            found = _bounded_pass(model, example, path)
            session = runtime.InferenceSession(str(path), _options(runtime), providers=["CPUExecutionProvider"])
            _compare(found, session, example, path)
        return model
    except ArtifactLabError:
        raise
    except Exception as error:  # the three packages raise whatever comes of what they do not know
        raise ModelError(
            f"ONNX {path} cannot be converted: {type(error).__name__}: {first_line(error)}; give the shape of an input,"
            " as --kwargs '{\"shape\": [1, 3, 256, 256]}', or the Python model"
        ) from error


def _options(runtime: Any) -> Any:
    """Options of a session that computes nothing ahead, and logs nothing: names and sizes in the file, in colours."""
    options = runtime.SessionOptions()
    options.log_severity_level = FATAL
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def _refuse_quantised(graph: Any, path: Path) -> None:
    names = {node.op_type for node in graph.node} & QUANTISED
    if names:
        raise ModelError(f"ONNX {path} is quantised to integers ({min(names)}); give the model of before, in float32")


def _refuse_loops(model: Any, path: Path) -> None:
    """Nothing ends a loop that does not end: it runs in onnxruntime."""
    names = {node.op_type for node in _nodes(chain(model.graph.node, *(one.node for one in model.functions)))} & LOOPS
    if names:
        raise ModelError(
            f"ONNX {path} loops ({min(names)}), and a diagnosis is of a net that does not; export it traced"
        )


def _nodes(nodes: Iterable[Any]) -> Iterator[Any]:
    """These, and those of the graphs inside them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner.node)


def _check_weights(model: Any, folder: Path) -> None:
    """Refuse weights that are said to lie outside the model's folder, or to be longer than their file."""
    of_functions = (_tensors_of(function.node) for function in model.functions)
    for tensor in chain(_tensors(model.graph), *of_functions):
        if tensor.data_location != EXTERNAL:
            continue
        place = {entry.key: entry.value for entry in tensor.external_data}
        file = (folder / place.get("location", "")).resolve()
        if not file.is_relative_to(folder) or not file.is_file():
            where = shown(place.get("location"))
            raise ModelError(f"weights {shown(tensor.name)} are said to lie in {where}, which is no file in {folder}")
        offset, length, size = int(place.get("offset", 0)), int(place.get("length", 0)), file.stat().st_size
        count = math.prod(tensor.dims)
        if offset + max(length, count // 8) > size:
            raise ModelError(f"weights {shown(tensor.name)} are said to be longer than their file {file}")
        if (length or size - offset) > MOST_BYTES * count:
            raise ModelError(f"weights {shown(tensor.name)} are said to have more bytes than {count} numbers take")


def _tensors(graph: Any) -> Iterator[Any]:
    """All tensors of a graph and of those inside it."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of(graph.node)


def _tensors_of(nodes: Iterable[Any]) -> Iterator[Any]:
    """Those that nodes hold; a graph in one may have weights and no nodes."""
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def _example(graph: Any, kwargs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Random inputs by name, of the shapes that the graph gives; what it leaves open is one batch of `SIDE` places."""
    weights = {tensor.name for tensor in graph.initializer}
    taken = [value for value in graph.input if value.name not in weights]
    shapes = {
        value.name: [dim.dim_value or (SIDE if k else 1) for k, dim in enumerate(value.type.tensor_type.shape.dim)]
        for value in taken
    }
    if "shape" in kwargs and taken:
        shapes[taken[0].name] = kwargs["shape"]
    generator = torch.Generator().manual_seed(0)
    with ResultLimit("the input that the graph asks for is too large to try it on; export it for a smaller one"):
        return {name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}


def _converted(converter: Any, graph: Any, path: Path) -> nn.Module:
    """The graph as a module; constants that a formula makes are made here."""
    refusal = f"ONNX {path} holds constants that are far larger than the file"
    with ResultLimit(refusal, max(LARGEST_RESULT, path.stat().st_size)):
        model: nn.Module = converter.ConvertModel(graph).eval()
    return model


def _bounded_pass(model: nn.Module, example: Mapping[str, Tensor], path: Path) -> list[Any]:
    """What the module makes of the example, before anything without a bound does."""
    refusal = f"ONNX {path} makes far larger tensors of its input than nets do, and is not run"
    with torch.no_grad(), ResultLimit(refusal, largest_result(example.values()), of_views=True):  # onnxruntime has none
        found = model(*example.values())
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _compare(found: list[Any], session: Any, example: Mapping[str, Tensor], path: Path) -> None:
    """Refuse a conversion that computes something else."""
    expected = session.run(None, {name: value.numpy() for name, value in example.items()})
    for ours, theirs in zip(found, map(torch.as_tensor, expected), strict=True):
        off = float((ours - theirs).abs().max()) / max(float(theirs.abs().max()), torch.finfo(torch.float32).tiny)
        if ours.shape != theirs.shape or not off <= LIKE:
            raise ModelError(
                f"ONNX {path} as converted differs from what onnxruntime computes by {off:.1%}, so a diagnosis would be"
                " of another model; give the Python model"
            )


ONNX = ModelFormat(is_onnx, load_onnx)
"""What ONNX exporters write, `.onnx`."""
