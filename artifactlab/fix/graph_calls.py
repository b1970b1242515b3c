"""Calls in exported graphs that enlarge, each given a module of its own, so that there is one to replace.

Where a graph is all there is, nobody can move `F.interpolate` from a forward into a module by hand; in the graph it can
be moved, and nothing changes of what it computes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from torch import Tensor, fx, nn
from torch.export.unflatten import InterpreterModule, UnflattenedModule

from artifactlab.attribution.sites.records import Site
from artifactlab.lint.ops import grows, module_spec
from artifactlab.models.graph_layers import layer_of
from artifactlab.models.torch_internals import own_children
from artifactlab.models.wrappers import unwrap


@contextmanager
def call_as_module(model: nn.Module, site: Site | str) -> Iterator[Site | str]:
    """The site as it is called where its call has a module of its own, which is put into the model.

    Where what runs inside fails, the model is as it was before.

    Args:
        model: any model; one that is no graph is left alone.
        site: from `capture` or `diagnose`, or its key or module name.

    >>> import torch
    >>> from artifactlab.models.exported_program import as_modules
    >>> class Decoder(nn.Module):
    ...     def forward(self, x):
    ...         return nn.functional.interpolate(x, scale_factor=2)
    >>> model = as_modules(torch.export.export(Decoder(), (torch.zeros(1, 3, 8, 8),)))
    >>> with call_as_module(model, "interpolate#0") as site:
    ...     print(site, model.get_submodule(site))
    upsample_nearest2d Upsample(scale_factor=2.0, mode='nearest')
    """
    key = site.key if isinstance(site, Site) else site
    name, _, call = key.rpartition("/")
    owner, node = _call(model, name, call)
    if node is None:
        yield site
        return
    path = ".".join(filter(None, [name, node.name]))
    move_back = _move(node, owner)
    try:
        yield replace(site, name=path, call=0, calls=(0,)) if isinstance(site, Site) else path
    except Exception:
        move_back()
        raise


def move_call(model: nn.Module, path: str) -> None:
    """Give a call its module in another copy of a graph, at the path that it was given in the first one."""
    name, _, last = path.rpartition(".")
    owner, graph = _graph(model, name)
    if graph is None or last in own_children(owner):
        return
    for node in graph.nodes:
        if node.name == last and layer_of(node, owner) is not None:
            _move(node, owner)
            return


def with_calls(model: nn.Module, paths: Sequence[str]) -> nn.Module:
    """The model, or a copy in which calls of its graph have modules at these paths, as in a fixed one."""
    there = dict(unwrap(model).named_modules(remove_duplicate=False))
    if all(path in there for path in paths):
        return model
    model = copy.deepcopy(unwrap(model))
    for path in paths:
        move_call(model, path)
    return model


def _graph(model: nn.Module, name: str) -> tuple[nn.Module, fx.Graph | None]:
    """The module of that name, and its graph if it has one."""
    owner = dict(model.named_modules()).get(name, model)
    graph = getattr(owner, "graph", None)
    return owner, graph if isinstance(graph, fx.Graph) else None


def _call(model: nn.Module, name: str, call: str) -> tuple[nn.Module, fx.Node | None]:
    """The call of a graph that a site is: by its number among the growing ones of its function, as `capture` counts."""
    op, _, number = call.partition("#")
    owner, graph = _graph(model, name)
    if graph is None or not number.isdigit():
        return owner, None
    layers = {node: layer for node in graph.nodes if (layer := layer_of(node, owner)) is not None}
    found = [node for node, layer in layers.items() if _function(layer) == op and grows(module_spec(layer))]
    return owner, found[int(number)] if int(number) < len(found) else None


def _function(layer: nn.Module) -> str:
    """The op of a site that a layer would be."""
    if isinstance(layer, nn.Upsample):
        return "interpolate"
    return (
        "pixel_shuffle"
        if isinstance(layer, nn.PixelShuffle)
        else type(layer).__name__.replace("ConvTranspose", "conv_transpose")
    )


def _move(node: fx.Node, owner: nn.Module) -> Callable[[], None]:
    """Put a module in the place of a call, under the name of its node; returns what puts the call back."""
    owner.add_module(node.name, _by_factor(layer_of(node, owner), node))
    before = (node.op, node.target, node.args, node.kwargs)
    node.op, node.target, node.args, node.kwargs = "call_module", node.name, node.args[:1], {}
    _finalize(owner)

    def move_back() -> None:
        node.op, node.target, node.args, node.kwargs = before
        own_children(owner).pop(node.name)
        _finalize(owner)

    return move_back


def _finalize(owner: nn.Module) -> None:
    """Let torch note the modules of its own graphs anew: copies are made of what it noted."""
    if isinstance(owner, (InterpreterModule, UnflattenedModule)):
        owner.finalize()  # type: ignore[no-untyped-call]


def _by_factor(layer: nn.Module | None, node: fx.Node) -> nn.Module | None:
    """A resize to a size as one by a factor, where the graph is of one size alone and the factor is a whole number."""
    if not isinstance(layer, nn.Upsample) or layer.size is None or layer.align_corners:
        return layer
    before, after = (source.meta.get("val") for source in (node.args[0], node))  # type: ignore[union-attr]
    if not isinstance(before, Tensor) or not isinstance(after, Tensor):
        return layer
    sizes = list(zip(before.shape[2:], after.shape[2:], strict=True))
    if not all(isinstance(size, int) for pair in sizes for size in pair) or any(b % a for a, b in sizes):
        return layer
    factors = tuple(b // a for a, b in sizes)
    return nn.Upsample(scale_factor=factors, mode=layer.mode, align_corners=layer.align_corners)
