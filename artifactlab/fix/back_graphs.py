"""Fixed graphs back as files of graphs: `.pt2` of exported programs and TorchScript."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from artifactlab.errors import FixError, InputError, first_line
from artifactlab.files import followed, refuse_unwritable
from artifactlab.fix.back import Source, Written, elsewhere
from artifactlab.fix.pipeline import Fix
from artifactlab.fix.post_filtered import PostFiltered
from artifactlab.models.calls import Call
from artifactlab.models.exported_program import quietly
from artifactlab.models.formats import format_of
from artifactlab.models.outputs import tensors
from artifactlab.models.torch_internals import tree_map, usual_size
from artifactlab.models.wrappers import graph_sizes

SUFFIXES = {"exported": ".pt2", "torchscript": ".pt2", "onnx": ".onnx"}
"""How graphs that are written back end, by the format that they came in."""
LIKE = 1e-3
"""Largest difference between the outputs of the file and of the fixed model, relative to the largest value: float32
that is added up in another order differs by 1e-5 in deep nets, a graph made for other sizes by 1e-2 at least."""


def exported_back(made: Fix, source: Source, out: Path) -> tuple[Written, ...]:
    """The fixed model as an exported program, for inputs of the sizes that the original took, see `Writer`."""
    path = graph_file(source, out, ".pt2")
    try:
        graph = made.model.model if isinstance(made.model, PostFiltered) else made.model
        program = _exported(made.model, graph, source.calls[0])
        with quietly():
            run = program.module()  # copies layouts of arguments, and warns of how
        off = max(difference(run, made.model, call) for call in source.calls)
    except FixError as error:
        return (not_written(error, source, out),)
    if not off <= LIKE:
        return (not_written(FixError(f"as exported it differs from the fixed model by {off:.1%}"), source, out),)
    stream = io.BytesIO()
    with quietly():
        torch.export.save(program, stream)
    sentence = f"{path.name} is the fixed model as an exported program, for torch.export.load: {layers(made)}"
    return (Written(sentence, {followed(path): stream.getvalue()}),)


def torchscript_back(made: Fix, source: Source, out: Path) -> tuple[Written, ...]:
    """The same of TorchScript, whose program was converted to a graph when it was read."""
    (written,) = exported_back(made, source, out)
    return (Written(f"TorchScript is not written, but what it was read as: {written.sentence}", written.files),)


def beside_graph(out: Path, target: str) -> Path:
    """Where artifactlab's own weights go: beside the graph where one was typed, or to what was typed.

    Args:
        out: what was typed.
        target: the model, of whose format a graph has to be.

    Raises:
        FixError: if the graph would be of another format, or is the model itself.

    >>> beside_graph(Path("fixed.safetensors"), "models.py:make")
    PosixPath('fixed.safetensors')
    """
    if out.suffix not in SUFFIXES.values():
        return out
    path = Path(target)
    suffix = SUFFIXES.get((format_of(path) if path.exists() else None) or "")
    if suffix != out.suffix:
        what = f"written back as {suffix}" if suffix else "no graph, and is written as .safetensors"
        raise FixError(f"{out}: {target} is {what}; give another name for -o")
    if out.exists() and out.samefile(path):
        raise FixError(f"{out} is the model itself, which is left as it is; give another name for -o")
    refuse_unwritable_graph(out)
    return out.with_suffix(".safetensors")


def refuse_unwritable_graph(out: Path) -> None:
    """Raise a FixError, before any work is done, where the graph cannot be written."""
    try:
        refuse_unwritable(followed(out))
    except InputError as error:
        raise FixError(str(error)) from error


def graph_file(source: Source, out: Path, suffix: str) -> Path:
    """Where the graph goes: beside artifactlab's own weights, and never over the original."""
    path = out.with_suffix(suffix)
    is_original = path.exists() and path.samefile(source.path)
    return elsewhere(path, out) if is_original else path


def not_written(error: FixError, source: Source, out: Path) -> Written:
    """That there is no graph of the fixed model, why, and what loads it."""
    return Written(f"the fixed model was not written as a graph: {error}; this does: {source.with_weights(out)}")


def layers(made: Fix) -> str:
    """In words, what of the architecture has changed."""
    if made.post:
        return "it has a filter behind its output"
    if not made.replacements:
        return "its architecture is the same, and weights changed alone"
    paths = [one.paths[0] for one in made.replacements]
    are = "which is" if len(paths) == 1 else "which are"
    return f"its architecture changed at {' and '.join(paths)}, {are} {made.replacements[0].mode} now"


def difference(one: Any, other: nn.Module, call: Call) -> float:
    """The largest difference between the outputs of two models, relative to the largest value."""
    with torch.no_grad():
        ours, theirs = ([t.float() for _, t in tensors(run(*call.args, **call.kwargs))] for run in (one, other))
    pairs = list(zip(ours, theirs, strict=True))
    largest = max(float(b.abs().max()) for _, b in pairs)
    tiny = torch.finfo(torch.float32).tiny
    return max(float((a - b).abs().max()) for a, b in pairs) / max(largest, tiny)


def _exported(model: nn.Module, graph: nn.Module, call: Call) -> ExportedProgram:
    """The model as a program whose inputs may differ in the same sizes as those of its graph.

    Raises:
        FixError: if torch cannot, or some of them would be fixed.
    """
    sizes = graph_sizes(graph)
    given = call.args, dict(call.kwargs)
    (args, kwargs), dynamic = _like(given, sizes, _example), _like(given, sizes, _dynamic)
    try:
        with quietly(), torch.no_grad():
            shapes = {"args": dynamic[0], **dynamic[1]}
            program = torch.export.export(model, args, kwargs, dynamic_shapes=shapes, strict=False)
            for node in program.graph.nodes:  # they tell of lines that run graphs, and sites are told apart by lines
                node.meta.pop("stack_trace", None)
    except Exception as error:  # torch raises whatever comes of tracing a model
        raise FixError(f"torch cannot export it: {first_line(error)}") from error
    with quietly():
        opened = torch.export.unflatten(program)
    for before, after in zip(sizes, graph_sizes(opened), strict=True):
        if any(isinstance(b, int) and not isinstance(a, int) for a, b in zip(before, after, strict=True)):
            raise FixError(f"as exported it takes inputs of {tuple(after)} alone, and the original those of {before}")
    return program


def _like(given: Any, sizes: Sequence[Sequence[Any]], make: Callable[[Any, Sequence[Any]], Any]) -> Any:
    """Nested arguments, each made anew from itself and from the sizes that the graph has for it, in their order."""
    remaining = iter(sizes)
    return tree_map(lambda value: make(value, next(remaining)), given)


def _example(value: Any, sizes: Sequence[Any]) -> Any:
    """A tensor of the sizes that the graph was made with; they meet all that it asks of them."""
    return value.new_zeros([usual_size(size) for size in sizes]) if isinstance(value, Tensor) else value


def _dynamic(value: Any, sizes: Sequence[Any]) -> Any:
    """Which of a tensor's sizes may differ."""
    if not isinstance(value, Tensor):
        return None
    return {axis: Dim.AUTO for axis, size in enumerate(sizes) if not isinstance(size, int)}
