"""An ONNX graph is laid out under the names of the modules that it was exported from.

The packages are stood in for; `benchmarks/model_files_graphs.py` lays out real files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from onnx_stand_in import Converted, ConvTranspose, Operator, Resize, Split, install, model_of, node, shuffling
from torch import Tensor, nn

import artifactlab
from artifactlab.models.onnx_graph import OnnxGraph, as_graph, note_scope, scope_of


@pytest.fixture(autouse=True)
def _packages(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


def laid_out(proto: Any, layers: Mapping[str, nn.Module]) -> Any:
    return as_graph(Converted(proto, layers), proto.graph)


def test_layers_have_the_names_of_their_modules_and_compute_the_same() -> None:
    proto, layers = shuffling()
    model, x = laid_out(proto, layers), torch.rand(1, 3, 8, 8)
    kinds = {name: type(module) for name, module in model.named_modules() if name}
    assert kinds == {"up": nn.Conv2d, "leave": nn.Module, "leave.0": nn.Upsample, "leave.1": nn.Conv2d}
    with torch.no_grad():
        expected = layers["y"](F.interpolate(F.pixel_shuffle(layers["a"](x), 2), scale_factor=2.0))
        torch.testing.assert_close(model(x), expected)


def test_sites_are_called_by_them() -> None:
    model = laid_out(*shuffling())
    with torch.no_grad(), artifactlab.capture(model) as found:
        model(torch.rand(1, 3, 8, 8))
    assert [one.site.key for one in found.sites] == ["pixel_shuffle#0", "leave.0/interpolate#0"]


def test_it_is_noted_which_weight_of_the_file_each_of_the_model_is() -> None:
    names = ["up.weight", "up.bias", "leave.1.weight", "leave.1.bias"]
    assert laid_out(*shuffling()).initializers == {name: name for name in names}


def test_of_several_nodes_in_one_module_each_is_inside_it_by_its_operator() -> None:
    proto, layers = shuffling()
    proto.graph.node[2:3] = [
        node("Resize", ["b", "", "scales"], ["c0"], "leave/leave.0"),
        node("Gelu", ["c0"], ["c"], "leave/leave.0"),
    ]
    model = laid_out(proto, {**layers, "c0": Resize(), "c": nn.GELU()})
    assert isinstance(model.get_submodule("leave.0.Gelu"), nn.GELU)
    assert [node.target for node in model.graph.nodes if node.op == "call_function"] == [F.pixel_shuffle, F.interpolate]


@pytest.mark.parametrize(("pads", "kind"), [([1, 1, 1, 1], nn.ConvTranspose2d), ([0, 0, 1, 1], ConvTranspose)])
def test_a_transposed_convolution_that_pads_alike_on_all_sides_is_torchs(pads: list[int], kind: type) -> None:
    conv = nn.ConvTranspose2d(3, 3, 4, 2)
    proto = model_of([node("ConvTranspose", ["x", "up.weight"], ["y"], "up")], {"up.weight": conv.weight.detach()})
    assert type(laid_out(proto, {"y": ConvTranspose(conv, pads)}).get_submodule("up")) is kind


@pytest.mark.parametrize(
    ("op", "shape", "expected"),
    [
        ("Reshape", [1, 3, 4, 4], torch.reshape),
        ("Reshape", [0, 3, 4, 4], None),
        ("Div", [2], None),
        ("Mul", [2], torch.mul),
    ],
)
def test_what_computes_the_same_in_torch_is_a_call_of_torchs(op: str, shape: list[int], expected: Any) -> None:
    proto = model_of([node(op, ["x", "s"], ["y"])], {"s": torch.tensor(shape)})
    calls = [one.target for one in laid_out(proto, {"y": Operator()}).graph.nodes if one.op == "call_function"]
    assert calls == ([expected] if expected else [])


def test_the_outputs_of_one_node_are_told_apart() -> None:
    proto = model_of([node("Split", ["x"], ["a", "b"]), node("Sub", ["b", "a"], ["y"])])
    x = torch.rand(1, 4, 2, 2)
    made: Tensor = laid_out(proto, {"a": Split(), "y": Operator()})(x)
    assert made.equal(x[:, 2:] - x[:, :2])


def test_a_graph_with_branches_stays_as_it_was_converted() -> None:
    proto, layers = shuffling()
    proto.graph.node.append(node("If", ["y"], ["z"]))
    assert not isinstance(laid_out(proto, layers), OnnxGraph)


@pytest.mark.parametrize(
    ("name", "scope"),
    [("/up/up.0/Resize", "up.0"), ("/a/b/b.1/c/Conv", "a.b.1.c"), ("/Conv", ""), ("Conv_12", ""), ("", "")],
)
def test_where_nothing_is_noted_the_name_of_a_node_says_where_it_is(name: str, scope: str) -> None:
    assert scope_of(node("Conv", ["x"], ["y"], name=name)) == scope


@pytest.mark.parametrize(("inner", "scope"), [("", "up.0"), ("conv", "up.0.conv"), ("a/a.b", "up.0.a.b")])
def test_a_node_that_is_put_into_another_graph_is_in_the_module_there(inner: str, scope: str) -> None:
    moved = node("Conv", ["x"], ["y"], inner)
    note_scope(moved, "up.0")
    assert scope_of(moved) == scope
    assert len(moved.metadata_props) == 1
