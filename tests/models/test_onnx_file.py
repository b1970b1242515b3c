"""An ONNX file is known by its content, and a conversion is believed only where onnxruntime computes the same.

The packages are stood in for; `benchmarks/model_files_graphs.py` converts real files with real ones.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from artifactlab import InputError, ModelError, load_model
from artifactlab.models.onnx_file import is_onnx
from artifactlab.models.protobuf import fields_of

VERSION, NAME, GRAPH, OPERATORS = b"\x08\x0a", b"\x12\x05torch", b"\x3a\x03\x12\x01g", b"\x42\x02\x10\x12"
MODEL = VERSION + NAME + GRAPH + OPERATORS
"""ir_version 10, producer "torch", a graph that has but a name, operators of version 18."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.weights"
    path.write_bytes(MODEL)
    return path


def test_the_fields_of_a_message_are_read_without_what_is_in_them(file: Path) -> None:
    assert fields_of(file) == [(1, 0), (2, 2), (7, 2), (8, 2)]


@pytest.mark.parametrize(
    ("content", "is_one"),
    [
        (MODEL, True),
        (OPERATORS + GRAPH + VERSION, True),
        (VERSION + NAME + OPERATORS, False),
        (MODEL[:-1], False),
        (MODEL + b"\x4a\x00", False),
        (MODEL + b"\x3b", False),
        (b"\xff" * 64, False),
        (VERSION + b"\x3a\xff\xff\xff\xff\x7f" + OPERATORS, False),
        (b"import torch\n", False),
        (b"", False),
    ],
)
def test_a_file_is_a_model_by_all_its_fields(tmp_path: Path, content: bytes, is_one: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert is_onnx(path) is is_one


def test_without_its_packages_the_error_is_the_command_that_installs_them(file: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"not installed: pip install 'artifactlab\[onnx\]'"):
        load_model(str(file))


def tensor(location: str | None, shape: tuple[int, ...] = (2, 2), offset: int = 0) -> SimpleNamespace:
    place = {} if location is None else {"location": location, "offset": str(offset), "length": "16"}
    entries = [SimpleNamespace(key=key, value=value) for key, value in place.items()]
    return SimpleNamespace(name="up.weight", data_location=int(location is not None), dims=shape, external_data=entries)


def graph_of(*nodes: Any, weights: tuple[Any, ...] = ()) -> SimpleNamespace:
    return SimpleNamespace(initializer=weights, sparse_initializer=[], node=list(nodes))


def holder(weights: Any) -> SimpleNamespace:
    """A node that holds weights in a graph without nodes of its own, as the branch of a condition may be."""
    inner = SimpleNamespace(t=tensor(None), tensors=[], g=graph_of(weights=(weights,)), graphs=[])
    return SimpleNamespace(op_type="If", attribute=[inner])


class Planted:
    """Stands in for the packages: a graph of one image whose weights are a node's, its conversion, what it comes to."""

    def __init__(self, monkeypatch: Any) -> None:
        self.weights: list[Any] = [tensor(None)]
        self.in_branch: Any = None
        self.in_function: Any = None
        self.off = 0.0
        self.operator = "Constant"
        self.seen: list[tuple[int, ...]] = []
        runtime = SimpleNamespace(
            SessionOptions=SimpleNamespace,
            GraphOptimizationLevel=SimpleNamespace(ORT_DISABLE_ALL=0),
            InferenceSession=lambda path, options, providers: SimpleNamespace(run=self.run),
        )
        onnx = SimpleNamespace(load=self.load, load_external_data_for_model=lambda graph, folder: None)
        for name, package in {
            "onnx": onnx,
            "onnxruntime": runtime,
            "onnx2pytorch": SimpleNamespace(ConvertModel=lambda graph: nn.Upsample(scale_factor=2)),
        }.items():
            package.__spec__ = ModuleSpec(name, None)  # torch asks for it where it first meets a mode
            monkeypatch.setitem(sys.modules, name, package)
        monkeypatch.setattr("artifactlab.models.onnx_file.as_graph", lambda converted, graph: converted)

    def load(self, path: str, load_external_data: bool) -> Any:
        assert not load_external_data
        dims = [SimpleNamespace(dim_value=size) for size in (0, 3, 0, 16)]  # batch and height are open
        kind = SimpleNamespace(tensor_type=SimpleNamespace(shape=SimpleNamespace(dim=dims)))
        inputs = [SimpleNamespace(name="x", type=kind)]
        held = SimpleNamespace(t=self.weights[0], tensors=[], g=graph_of(), graphs=[])
        graph = graph_of(SimpleNamespace(op_type=self.operator, attribute=[held]))
        graph.input = inputs
        functions = [SimpleNamespace(node=[holder(self.in_function)])] if self.in_function else []
        graph.node += [holder(self.in_branch)] if self.in_branch else []
        return SimpleNamespace(graph=graph, functions=functions)

    def run(self, names: None, inputs: dict[str, Any]) -> list[Any]:
        x = torch.as_tensor(inputs["x"])
        self.seen.append(tuple(x.shape))
        return [(nn.functional.interpolate(x, scale_factor=2) * (1 + self.off)).numpy()]


@pytest.fixture
def planted(monkeypatch: Any) -> Planted:
    return Planted(monkeypatch)


def test_a_model_is_checked_on_an_input_of_the_graphs_size(file: Path, planted: Planted) -> None:
    model = load_model(str(file))
    y: Tensor = model(torch.rand(1, 3, 8, 8))
    assert y.shape == (1, 3, 16, 16)
    assert planted.seen == [(1, 3, 64, 16)]


def test_the_size_of_that_input_can_be_typed(file: Path, planted: Planted) -> None:
    load_model(str(file), {"shape": [2, 3, 24, 16]})
    assert planted.seen == [(2, 3, 24, 16)]


@pytest.mark.parametrize(("off", "is_refused"), [(1e-4, False), (2e-3, True), (float("nan"), True)])
def test_a_conversion_that_computes_something_else_is_refused(
    file: Path, planted: Planted, off: float, is_refused: bool
) -> None:
    planted.off = off
    if not is_refused:
        assert isinstance(load_model(str(file)), nn.Module)
        return
    with pytest.raises(ModelError, match="differs from what onnxruntime computes by"):
        load_model(str(file))


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "missing.bin", "link.bin", ""])
def test_weights_outside_the_folder_of_the_model_are_refused(file: Path, planted: Planted, location: str) -> None:
    (file.parent.parent / "weights.bin").write_bytes(bytes(16))
    (file.parent / "link.bin").symlink_to(file.parent.parent / "weights.bin")
    planted.weights = [tensor(location)]
    with pytest.raises(ModelError, match=r"'up\.weight' are said to lie in .*, which is no file in"):
        load_model(str(file))


@pytest.mark.parametrize("place", ["in_branch", "in_function"])
def test_nor_are_those_read_that_a_branch_or_a_function_names(file: Path, planted: Planted, place: str) -> None:
    setattr(planted, place, tensor("../weights.bin"))
    with pytest.raises(ModelError, match=r"'up\.weight' are said to lie in .*, which is no file in"):
        load_model(str(file))


def test_weights_beside_the_model_are_read_where_the_file_is_as_long_as_they_are(file: Path, planted: Planted) -> None:
    (file.parent / "weights.bin").write_bytes(bytes(16))
    planted.weights = [tensor("weights.bin")]
    assert isinstance(load_model(str(file)), nn.Module)
    for larger in (tensor("weights.bin", offset=1), tensor("weights.bin", shape=(10**6, 10**6))):
        planted.weights = [larger]
        with pytest.raises(ModelError, match="said to be longer than their file"):
            load_model(str(file))


def test_weights_of_more_bytes_than_their_numbers_take_are_not_read(file: Path, planted: Planted) -> None:
    (file.parent / "weights.bin").write_bytes(bytes(16))
    planted.weights = [tensor("weights.bin", shape=(0,))]
    with pytest.raises(ModelError, match="said to have more bytes than 0 numbers take"):
        load_model(str(file))


def test_a_loop_is_refused_before_it_runs(file: Path, planted: Planted) -> None:
    planted.operator = "Loop"
    with pytest.raises(
        ModelError, match=r"loops \(Loop\), and a diagnosis is of a net that does not; export it traced"
    ):
        load_model(str(file))
    assert not planted.seen


def test_tensors_far_larger_than_the_input_are_refused_before_they_are_made(
    file: Path, planted: Planted, monkeypatch: Any
) -> None:
    giant = SimpleNamespace(ConvertModel=lambda graph: nn.Upsample(scale_factor=4096))
    monkeypatch.setitem(sys.modules, "onnx2pytorch", giant)
    with pytest.raises(ModelError, match="makes far larger tensors of its input than nets do, and is not run"):
        load_model(str(file))
    assert not planted.seen


def test_a_quantised_model_is_refused(file: Path, planted: Planted) -> None:
    planted.operator = "QuantizeLinear"
    with pytest.raises(ModelError, match=r"is quantised to integers \(QuantizeLinear\); give the model of before"):
        load_model(str(file))


def test_other_arguments_than_a_shape_are_refused(file: Path) -> None:
    with pytest.raises(ModelError, match="takes only shape in --kwargs, got 'width'"):
        load_model(str(file), {"width": 3})
