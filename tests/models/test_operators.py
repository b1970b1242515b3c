"""Operators of `torch.ops.aten` are followed as the functions that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

import artifactlab
from artifactlab.models.operators import as_function

aten = torch.ops.aten
X = torch.rand(2, 4, 6, 6)
KERNEL, ACROSS = torch.rand(8, 4, 3, 3), torch.rand(4, 8, 3, 3)
SAME: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "convolution": (aten.convolution.default, (X, KERNEL, None, [2, 1], [1, 1], [1, 1], False, [0, 0], 1)),
    "transposed": (aten.convolution.default, (X, ACROSS, None, [2, 2], [1, 1], [1, 1], True, [1, 0], 1)),
    "dilated": (aten.convolution.default, (X, ACROSS, None, [2, 2], [1, 1], [2, 1], True, [1, 0], 1)),
    "slice": (aten.slice.Tensor, (X, 2, 1, -1)),
    "slice from behind": (aten.slice.Tensor, (X, -1, 0, 9223372036854775807, 2)),
    "slice of the first": (aten.slice.Tensor, (X,)),
    "index": (aten.index.Tensor, (X, [None, None, torch.tensor([0, 0, 1])])),
    "addmm": (aten.addmm.default, (torch.rand(3), torch.rand(5, 4), torch.rand(4, 3))),
    "embedding": (aten.embedding.default, (torch.rand(5, 4), torch.tensor([[0, 3], [4, 3]]))),
    "permute": (aten.permute.default, (X, [0, 2, 3, 1])),
    "view": (aten.view.default, (X, [2, 4, 36])),
    "cat": (aten.cat.default, ([X, X], 1)),
    "add": (aten.add.Tensor, (X, X)),
    "mean": (aten.mean.dim, (X, [2, 3], True)),
    "pool": (aten.max_pool2d.default, (X, [2, 2])),
    "pad": (aten.reflection_pad2d.default, (X, [1, 1, 1, 1])),
    "shuffle": (aten.pixel_shuffle.default, (X, 2)),
    "softmax": (aten._softmax.default, (X, 1, False)),
}
"""Name -> an operator and its arguments, of which the function makes the same."""


@pytest.mark.parametrize("name", SAME)
def test_the_function_makes_what_the_operator_makes(name: str) -> None:
    operator, given = SAME[name]
    func, args, kwargs = as_function(operator, given, {})
    if name == "pad":
        kwargs = {"mode": "reflect"}  # frames of all kinds are one to whoever follows
    if name == "softmax":
        args = args[:2]
    if name == "addmm":
        args = (args[0], args[1].T, args[2])  # the weights are the operator's as they are
    assert not isinstance(func, torch._ops.OpOverload)
    torch.testing.assert_close(func(*args, **kwargs), operator(*given))


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
def test_resizes_of_all_modes_and_both_overloads_are_interpolation(mode: str) -> None:
    name = {"nearest-exact": "_upsample_nearest_exact2d"}.get(mode, f"upsample_{mode}2d")
    packet = getattr(aten, name)
    corners = [False] if "linear" in mode or "cubic" in mode else []
    for operator, given in {
        packet: (X, [12, 12], *corners),
        packet.default: (X, [12, 12], *corners, 2.0, 2.0),
        packet.vec: (X, None, *corners, [2.0, 2.0]),
    }.items():
        func, args, kwargs = as_function(operator, given, {})
        assert func is F.interpolate
        assert kwargs["mode"] == mode
        assert ("scale_factor" in kwargs) == (operator is not packet)
        torch.testing.assert_close(func(*args, **kwargs), operator(*given))


@pytest.mark.parametrize("call", [(F.conv2d, (X, KERNEL), {}), (torch.ops.prims.sin.default, (X,), {})])
def test_other_calls_are_what_they_are(call: Any) -> None:
    assert as_function(*call)[0] is call[0]


class ByOperators(nn.Module):
    """Enlarged by 2 through depth to space by hand, and by 2 in a transposed convolution, in operators alone."""

    def forward(self, x: Tensor) -> Tensor:
        y = aten.convolution.default(x, KERNEL, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1)
        y = aten.permute.default(aten.view.default(y, [1, 2, 2, 2, 16, 16]), [0, 1, 4, 2, 5, 3])
        y = aten._unsafe_view.default(aten.clone.default(y, memory_format=torch.contiguous_format), [1, 2, 32, 32])
        y = aten.slice.Tensor(y, 3, 0, 30)
        return aten.convolution.default(y, ACROSS[:2], None, [2, 2], [1, 1], [1, 1], True, [1, 1], 1)


class ByFunctions(nn.Module):
    """The same in functions."""

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(x, KERNEL, padding=1).view(1, 2, 2, 2, 16, 16).permute(0, 1, 4, 2, 5, 3)
        return F.conv_transpose2d(y.reshape(1, 2, 32, 32)[..., :30], ACROSS[:2], None, 2, 1, 1)


def sites_of(model: nn.Module, x: Tensor) -> list[Any]:
    with torch.no_grad(), artifactlab.capture(model) as captured:
        model(x)
    return [found.site for found in captured.layers]


def test_a_model_of_operators_has_the_sites_and_periods_of_one_of_functions() -> None:
    x = torch.rand(1, 4, 16, 16)
    sites = sites_of(ByOperators(), x)
    assert sites == sites_of(ByFunctions(), x)
    assert [(site.op, site.period) for site in sites] == [("reshape", (4, 4)), ("conv_transpose2d", (2, 2))]


def made_of(forward: Callable[[Tensor], Tensor], line: str | None) -> nn.Module:
    """A module whose graph runs node by node, as those of exported programs do; nodes say that they come of a line."""
    graph = fx.symbolic_trace(forward).graph
    for node in graph.nodes:
        node.stack_trace = line and f'File "net.py", line 3, in forward\n  File "{line}", line 7, in up\n    up(x)'

    class Interpreted(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return fx.Interpreter(self, graph=graph).run(x)

    return Interpreted()


def twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2) + F.interpolate(x + 1, scale_factor=2)


@pytest.mark.parametrize(("line", "count"), [("up.py", 1), (None, 2)])
def test_calls_in_a_graph_are_one_layer_where_they_were_made_of_one_line(line: str | None, count: int) -> None:
    sites = sites_of(made_of(twice, line), torch.rand(1, 3, 16, 16))
    assert len(sites) == count
