"""What a fixed ONNX model is written as: the old graph with other weights, or with a new layer in it.

The packages are stood in for; `benchmarks/model_files_back.py` writes real files.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from onnx_stand_in import Converted, Weight, install, model_of, node, shuffling
from torch import nn

import artifactlab
from artifactlab.fix.back import Source, Written
from artifactlab.fix.back_onnx import MOST_BYTES, onnx_back
from artifactlab.fix.onnx_surgery import OLDEST
from artifactlab.fix.replace import replace_upsampler
from artifactlab.lint.model_copy import full_copy
from artifactlab.models.calls import as_calls
from artifactlab.models.onnx_graph import as_graph, scope_of

IMAGE = artifactlab.make_probe("zone-plate", 64)[..., :32, :32].expand(1, 3, -1, -1).contiguous()


class Packages:
    """The three packages: the file's content, what the new layer is exported to, what onnxruntime makes of it all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        install(monkeypatch, onnxruntime=SimpleNamespace(InferenceSession=self.session))
        self.proto, layers = shuffling()
        self.model = as_graph(Converted(self.proto, layers), self.proto.graph)
        self.computes: nn.Module = nn.Identity()
        self.off = 0.0
        self.has_old_nodes = False
        self.converted_to: list[int] = []
        self.exported_for: list[int] = []
        onnx = SimpleNamespace(
            load=lambda path: self.proto,
            numpy_helper=SimpleNamespace(
                from_array=lambda values, name: Weight(name=name, values=torch.tensor(values))
            ),
            version_converter=SimpleNamespace(convert_version=self.convert),
            compose=SimpleNamespace(add_prefix=self.prefixed),
        )
        install(monkeypatch, onnx=onnx, onnxscript=SimpleNamespace())
        monkeypatch.setattr(torch.onnx, "export", self.export)

    def convert(self, proto: Any, version: int) -> Any:
        self.converted_to.append(version)
        proto.opset_import[0].version = version
        return proto

    def export(self, layer: nn.Module, given: Any, opset_version: int, **options: Any) -> Any:
        self.exported_for.append(opset_version)
        return SimpleNamespace(model_proto=None)

    def prefixed(self, proto: Any, prefix: str) -> Any:
        """A resize and a convolution, as torch would export them."""
        nodes = [
            node("Resize", ["x", "", "", f"{prefix}sizes"], [f"{prefix}r"], name=f"{prefix}resize"),
            node("Conv", [f"{prefix}r", f"{prefix}conv.weight"], [f"{prefix}y"], "conv", name=f"{prefix}node_conv"),
        ]
        return model_of(nodes, {f"{prefix}conv.weight": torch.ones(3, 3, 1, 1), f"{prefix}sizes": torch.tensor([2, 2])})

    def session(self, content: bytes, providers: Any) -> Any:
        net = self.as_written() if self.has_old_nodes else self.computes

        def run(names: None, given: dict[str, Any]) -> Any:
            with torch.no_grad():
                return [(net(torch.as_tensor(given["x"])) * (1 + self.off)).numpy()]

        return SimpleNamespace(get_inputs=lambda: [SimpleNamespace(name="x")], run=run)

    def as_written(self) -> nn.Module:
        """What the file's nodes compute with the weights that are in it."""
        proto, layers = shuffling()
        for name, path in (("a", "up"), ("y", "leave.1")):
            layers[name].load_state_dict({own: self.weights[f"{path}.{own}"] for own in ("weight", "bias")})
        return as_graph(Converted(proto, layers), proto.graph)

    def back(self, site: str, mode: str, path: Path, **options: Any) -> Written:
        """What is written of a fix, of which onnxruntime computes the same unless it is `off`."""
        fixed = full_copy(self.model)
        with torch.no_grad(), artifactlab.capture(self.model) as found:
            self.model(IMAGE)
        record = next(one.site for one in found.sites if one.site.key == site)
        swap = replace_upsampler(fixed, record, mode, **options)
        check = SimpleNamespace(sites=(site,), period=(2, 2), cured=False)
        before = SimpleNamespace(config=SimpleNamespace(data_range=1.0), sites=[SimpleNamespace(site=record)])
        self.computes = fixed
        new = [] if swap.replacement.is_refit else [swap.replacement]
        made: Any = SimpleNamespace(model=fixed, replacements=new, post=None, before=before, check=check)
        (written,) = onnx_back(made, Source(path / "net.onnx", self.model, as_calls(IMAGE)), path / "out.safetensors")
        return written

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return {tensor.name: tensor.values for tensor in self.proto.graph.initializer}


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> Packages:
    return Packages(monkeypatch)


def test_a_new_layer_stands_where_the_old_nodes_were_under_the_name_of_the_module(
    packages: Packages, tmp_path: Path
) -> None:
    written = packages.back("leave.0/interpolate#0", "carafe", tmp_path)
    assert list(written.files) == [tmp_path / "out.onnx"]
    assert "with a new layer in it: its architecture changed at leave.0, which is carafe now" in written.sentence
    nodes = packages.proto.graph.node
    assert [one.op_type for one in nodes] == ["Conv", "DepthToSpace", "Resize", "Conv"]
    assert [scope_of(one) for one in nodes] == ["up", "", "leave.0", "leave.0.conv"]
    assert nodes[2].input == ["b", "", "", "leave.0.sizes"]
    assert nodes[3].input == [nodes[2].output[0], "leave.0.conv.weight"]
    assert nodes[3].output == ["y"]
    assert packages.weights.keys() == {"up.weight", "up.bias", "leave.0.sizes", "leave.0.conv.weight"}


def test_the_same_weights_of_a_second_fix_have_names_of_their_own(packages: Packages, tmp_path: Path) -> None:
    packages.proto.graph.initializer.append(Weight(name="leave.0.conv.weight", values=torch.ones(1)))
    packages.proto.graph.output.append(SimpleNamespace(name="leave.0.conv.weight"))
    packages.back("leave.0/interpolate#0", "carafe", tmp_path)
    assert {"leave.0.conv.weight", "artifactlab_0_conv.weight"} <= packages.weights.keys()


def test_what_the_old_layers_hold_is_the_old_graph_with_other_weights(packages: Packages, tmp_path: Path) -> None:
    before, nodes = packages.weights, list(packages.proto.graph.node)
    packages.has_old_nodes = True
    written = packages.back("pixel_shuffle#0", "interpolate_conv", tmp_path)
    assert "the original graph with other weights alone, the same; only the image's border differs" in written.sentence
    assert packages.proto.graph.node == nodes
    changed = {name for name, values in packages.weights.items() if not values.equal(before[name])}
    assert changed == {"up.weight", "up.bias"}


def test_other_weights_for_the_layer_itself_are_the_old_graph_with_them_in_it(
    packages: Packages, tmp_path: Path
) -> None:
    before, nodes = packages.weights, list(packages.proto.graph.node)
    packages.has_old_nodes = True
    written = packages.back("pixel_shuffle#0", "icnr", tmp_path)
    assert written.sentence == "out.onnx is the original graph with other weights alone, the same"
    assert packages.proto.graph.node == nodes
    changed = {name for name, values in packages.weights.items() if not values.equal(before[name])}
    assert changed == {"up.weight", "up.bias"}


def test_operators_of_old_are_converted_to_those_that_the_new_layer_has(packages: Packages, tmp_path: Path) -> None:
    packages.proto.opset_import[0].version = 11
    assert packages.back("leave.0/interpolate#0", "carafe", tmp_path).files
    assert packages.converted_to == packages.exported_for == [OLDEST]


def test_newer_operators_stay_as_they_are(packages: Packages, tmp_path: Path) -> None:
    packages.proto.opset_import[0].version = 20
    assert packages.back("leave.0/interpolate#0", "carafe", tmp_path).files
    assert (packages.converted_to, packages.exported_for) == ([], [20])


@pytest.mark.parametrize("off", [0.01, float("nan")])
def test_what_onnxruntime_computes_otherwise_is_not_written(packages: Packages, tmp_path: Path, off: float) -> None:
    packages.off = off
    written = packages.back("leave.0/interpolate#0", "carafe", tmp_path)
    assert not written.files
    assert "not written as a graph: onnxruntime computes another output from it, by" in written.sentence
    assert "this does: artifactlab.load_model(" in written.sentence


def test_nor_is_what_is_too_large_for_one_file(packages: Packages, tmp_path: Path) -> None:
    packages.proto.ByteSize = lambda: MOST_BYTES
    written = packages.back("leave.0/interpolate#0", "carafe", tmp_path)
    assert not written.files
    assert "its weights take more than the 2 GiB of one file" in written.sentence


def test_nor_is_a_model_that_has_branches(packages: Packages, tmp_path: Path) -> None:
    packages.model = nn.Sequential(nn.Upsample(scale_factor=2))
    written = packages.back("0/interpolate#0", "carafe", tmp_path)
    assert not written.files
    assert "it has loops or branches" in written.sentence
