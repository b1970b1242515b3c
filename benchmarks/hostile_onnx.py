"""ONNX files in which something was changed, and what lies beside them."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from hostile_weights import HUGE
from onnx import TensorProto, helper, numpy_helper

FILE = "x.onnx"
Change = Callable[[Any], object]


@cache
def _model() -> Any:
    """A convolution and a transposed one."""
    rng = np.random.default_rng(0)
    weights = {"w": (4, 3, 3, 3), "v": (4, 3, 4, 4)}
    tensors = [numpy_helper.from_array(rng.normal(size=s).astype("f4"), n) for n, s in weights.items()]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "one", pads=[1] * 4, kernel_shape=[3, 3]),
        helper.make_node("Relu", ["a"], ["b"], "two"),
        helper.make_node("ConvTranspose", ["b", "v"], ["y"], "up", pads=[1] * 4, strides=[2, 2], kernel_shape=[4, 4]),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, s, s]) for n, s in (("x", 64), ("y", 128))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def onnx_file(change: Change = lambda model: None) -> bytes:
    """The net, changed."""
    model = onnx.ModelProto()
    model.CopyFrom(_model())
    change(model)
    content: bytes = model.SerializeToString()
    return content


def _between(*nodes: Any, constants: dict[str, Any] | None = None) -> Change:
    """Nodes from `a` to `b`, in the place of the activation."""

    def change(model: Any) -> None:
        rest = [node for node in model.graph.node if node.name != "two"]
        del model.graph.node[:]
        model.graph.node.extend([rest[0], *nodes, *rest[1:]])
        for name, value in (constants or {}).items():
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))

    return change


def _external(location: str, **more: object) -> Change:
    def change(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **more}.items():
            tensor.external_data.add(key=key, value=str(value))

    return change


def _loop(count: int, body: list[Any]) -> Change:
    """A loop that is told to go on."""
    value = helper.make_tensor_value_info
    taken = [value("i", TensorProto.INT64, []), value("c", TensorProto.BOOL, []), value("s", TensorProto.FLOAT, None)]
    given = [value("c2", TensorProto.BOOL, []), value("s2", TensorProto.FLOAT, None)]
    inner = helper.make_graph([helper.make_node("Identity", ["c"], ["c2"]), *body], "body", taken, given)
    node = helper.make_node("Loop", ["m", "t", "a"], ["b"], body=inner)
    return _between(node, constants={"m": np.int64(count), "t": np.bool_(True)})


def _nested(depth: int) -> Change:
    """Branches in branches, as deep as protocol buffers are read."""
    given = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    flat = helper.make_graph([helper.make_node("Identity", ["a"], ["z"])], "g", [], [given])
    inner = flat
    for _ in range(depth):
        other = inner if depth < 10 else flat  # twice as large with every step
        inner = helper.make_graph(
            [helper.make_node("If", ["t"], ["z"], then_branch=inner, else_branch=other)], "g", [], [given]
        )
    branch = helper.make_node("If", ["t"], ["b"], then_branch=inner, else_branch=inner)
    return _between(branch, constants={"t": np.bool_(True)})


def _function(node: Any, *others: Any) -> Change:
    """A function of the file's own, which is called."""

    def change(model: Any) -> None:
        _between(helper.make_node("F", ["a"], ["b"], domain="evil"))(model)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("evil", 1)]
        model.functions.append(helper.make_function("evil", "F", ["a"], ["b"], [node, *others], opsets))
        model.opset_import.append(helper.make_opsetid("evil", 1))

    return change


def _first(**values: object) -> Change:
    def change(model: Any) -> None:
        for name, value in values.items():
            setattr(model.graph.initializer[0], name, value)

    return change


def _dims(*dims: int) -> Change:
    return lambda model: model.graph.initializer[0].dims.__setitem__(slice(None), dims)


def _attribute(name: str, *values: int) -> Change:
    return lambda model: next(a for a in model.graph.node[2].attribute if a.name == name).ints.__setitem__(
        slice(None), values
    )


def _sides(*sides: int) -> Change:
    def change(model: Any) -> None:
        shape = model.graph.input[0].type.tensor_type.shape
        del shape.dim[:]
        for side in sides:
            shape.dim.add(dim_value=side)

    return change


def _doubled(operator: str, count: int) -> list[Any]:
    names = ["a", *(f"d{k}" for k in range(count - 1)), "b"]
    options = {"axis": 1} if operator == "Concat" else {}
    return [helper.make_node(operator, [names[k]] * 2, [names[k + 1]], **options) for k in range(count)]


node = helper.make_node
BOMBS: dict[str, Change] = {
    "ConstantOfShape of a terabyte": _between(
        node("ConstantOfShape", ["s"], ["b"]), constants={"s": [1, 4, 1 << 18, 1 << 18]}
    ),
    "ConstantOfShape of 3 GB": _between(
        node("ConstantOfShape", ["s"], ["c"]),
        node("ReduceSum", ["c"], ["d"]),
        node("Add", ["a", "d"], ["b"]),
        constants={"s": [800, 1_000_000]},
    ),
    "Expand to a terabyte": _between(node("Expand", ["a", "s"], ["b"]), constants={"s": [1 << 20, 4, 64, 64]}),
    "Tile to a terabyte": _between(node("Tile", ["a", "s"], ["b"]), constants={"s": [1 << 20, 1, 1, 1]}),
    "Range of 10^12": _between(
        node("Range", ["s", "e", "d"], ["r"]),
        node("ReduceSum", ["r"], ["q"]),
        node("Add", ["a", "q"], ["b"]),
        constants={"s": np.float32(0), "e": np.float32(1e12), "d": np.float32(1)},
    ),
    "Resize by 10^5": _between(
        node("Resize", ["a", "", "s"], ["b"], mode="nearest"), constants={"s": np.array([1, 1, 1e5, 1e5], "f4")}
    ),
    "Resize by NaN": _between(
        node("Resize", ["a", "", "s"], ["b"], mode="nearest"), constants={"s": np.array([1, 1, np.nan, np.nan], "f4")}
    ),
    "Resize by a negative number": _between(
        node("Resize", ["a", "", "s"], ["b"], mode="nearest"), constants={"s": np.array([1, 1, -1, -1], "f4")}
    ),
    "Pad by 10^9": _between(node("Pad", ["a", "s"], ["b"]), constants={"s": [0, 0, 10**9, 10**9, 0, 0, 10**9, 10**9]}),
    "OneHot of 10^9": _between(
        node("Cast", ["a"], ["i"], to=TensorProto.INT64),
        node("OneHot", ["i", "n", "v2"], ["b"]),
        constants={"n": np.int64(10**9), "v2": np.array([0, 1], "f4")},
    ),
    "Concat, a hundred times twice": _between(*_doubled("Concat", 100)),
    "MatMul of a large outer product": _between(
        node("Reshape", ["a", "s"], ["c"]),
        node("Reshape", ["a", "r"], ["d"]),
        node("MatMul", ["c", "d"], ["b"]),
        constants={"s": [-1, 1], "r": [1, -1]},
    ),
    "a stride of 10^9": _attribute("strides", 10**9, 10**9),
    "pads of 10^9": _attribute("pads", 10**9, 10**9, 10**9, 10**9),
    "a kernel of 10^9": _attribute("kernel_shape", 10**9, 10**9),
    "an input of 10^6 pixels a side": _sides(1, 3, 10**6, 10**6),
    "an input of 10^9 channels": _sides(1, 10**9, 64, 64),
    "an input of negative sides": _sides(1, 3, -64, -64),
    "an operator of none": _between(node("Evil", ["a"], ["b"])),
}
LOOPS: dict[str, Change] = {
    "a loop without end": _loop(2**62, [node("Relu", ["s"], ["s2"])]),
    "a loop of 10^12": _loop(10**12, [node("Identity", ["s"], ["s2"])]),
    "a loop that doubles": _loop(100, [node("Concat", ["s", "s"], ["s2"], axis=1)]),
    "branches in branches, 8": _nested(8),
    "branches in branches, 25": _nested(25),
    "a function that calls itself": _function(node("F", ["a"], ["b"], domain="evil")),
    "a function of functions of itself": _function(
        node("F", ["a"], ["c"], domain="evil"), node("F", ["c"], ["b"], domain="evil")
    ),
    "an operator of another domain": _between(node("Evil", ["a"], ["b"], domain="evil")),
    "Python": _between(node("PythonOp", ["a"], ["b"], domain="com.microsoft", name_="os.system")),
    "a node of its own output": _between(node("Add", ["a", "b"], ["b"])),
    "nodes in a circle": _between(node("Add", ["a", "c"], ["b"]), node("Relu", ["b"], ["c"])),
    "no outputs": lambda model: model.graph.ClearField("output"),
    "no nodes": lambda model: model.graph.ClearField("node"),
    "names with control characters": _between(node("Evil\x1b[2J\r\n", ["a"], ["b"], "\x1b[2J")),
    "names of 10 MB": _between(node("E" * 10_000_000, ["a"], ["b"])),
    "a version of the future": lambda model: setattr(model, "ir_version", 10**9),
    "operators of the future": lambda model: setattr(model.opset_import[0], "version", 10**9),
}
WEIGHTS: dict[str, Change] = {
    "dims of a terabyte": _dims(1 << 20, 1 << 20, 3, 3),
    "dims that overflow": _dims(1 << 40, 1 << 40, 3, 3),
    "negative dims": _dims(-4, 3, 3, 3),
    "no numbers": _first(raw_data=b""),
    "an odd number of bytes": _first(raw_data=b"abc"),
    "a dtype of none": _first(data_type=999),
    "texts": _first(data_type=TensorProto.STRING, raw_data=b""),
    "of 4 bits": _first(data_type=TensorProto.INT4, raw_data=bytes(54)),
    "NaN": _first(raw_data=np.full((4, 3, 3, 3), np.nan, "f4").tobytes()),
    "twice": lambda model: model.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 1), "f4"), "w")),
    "missing": lambda model: model.graph.initializer.pop(0),
    "sparse of a terabyte": lambda model: model.graph.sparse_initializer.append(
        helper.make_sparse_tensor(
            helper.make_tensor("w2", TensorProto.FLOAT, [1], [1.0]),
            helper.make_tensor("w3", TensorProto.INT64, [1], [0]),
            [HUGE],
        )
    ),
}
PLACES: dict[str, tuple[Change, Callable[[Path], object]]] = {
    "outside, absolute": (_external("/etc/passwd", length=432), lambda folder: None),
    "outside, by ..": (_external("../../../../../../etc/passwd", length=432), lambda folder: None),
    "outside, by a link": (_external("w.bin", length=432), lambda folder: os.symlink("/etc/passwd", folder / "w.bin")),
    "outside, by a linked folder": (
        _external("etc/passwd", length=432),
        lambda folder: os.symlink("/etc", folder / "etc"),
    ),
    "a pipe": (_external("w.bin", length=432), lambda folder: os.mkfifo(folder / "w.bin")),
    "a link to /dev/zero": (_external("w.bin", length=432), lambda folder: os.symlink("/dev/zero", folder / "w.bin")),
    "nowhere": (_external(""), lambda folder: None),
    "the folder": (_external("."), lambda folder: None),
    "the file itself": (_external(FILE, offset=-4, length=432), lambda folder: None),
    "a NUL": (_external("w\0.bin"), lambda folder: None),
    "a file that is too short": (_external("w.bin", length=432), lambda folder: (folder / "w.bin").write_bytes(b"abc")),
    "a length of 10^12": (_external("w.bin", length=10**12), lambda folder: (folder / "w.bin").write_bytes(bytes(432))),
    "a negative length": (_external("w.bin", length=-1), lambda folder: (folder / "w.bin").write_bytes(bytes(432))),
    "a negative offset": (_external("w.bin", offset=-400), lambda folder: (folder / "w.bin").write_bytes(bytes(32))),
    "an offset that is no number": (
        _external("w.bin", offset="evil"),
        lambda folder: (folder / "w.bin").write_bytes(bytes(432)),
    ),
    "a sparse file of 3 GB": (
        _external("w.bin", length=3 << 30),
        lambda folder: os.truncate(_made(folder / "w.bin"), 3 << 30),
    ),
}
"""where weights are said to lie"""


def _made(path: Path) -> Path:
    path.touch()
    return path


def _varint(value: int) -> bytes:
    return bytes([value & 127 | 128]) + _varint(value >> 7) if value > 127 else bytes([value])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _inside(content: bytes, depth: int) -> bytes:
    for _ in range(depth):
        content = _field(5, _field(6, _field(1, content)))  # of a node, an attribute, a graph
    return content


VERSIONS = b"\x08\x0a", b"\x42\x02\x10\x12"
MESSAGES: dict[str, bytes] = {
    "a length of 2^62": VERSIONS[0] + b"\x3a" + _varint(1 << 62) + VERSIONS[1],
    "a graph of noise": VERSIONS[0] + _field(7, bytes(range(256)) * 10) + VERSIONS[1],
    "an empty graph": VERSIONS[0] + _field(7, b"") + VERSIONS[1],
    "groups": VERSIONS[0] + b"\x3b" * 10_000 + VERSIONS[1],
    "nested ten thousand times": VERSIONS[0] + _field(7, _inside(b"", 10_000)) + VERSIONS[1],
    "a million empty nodes": VERSIONS[0] + _field(7, _field(1, b"") * 1_000_000) + VERSIONS[1],
    "ten million empty numbers": VERSIONS[0] + _field(7, _field(5, _field(4, bytes(4 * 2_000_000)))) + VERSIONS[1],
    "20 000 outer fields": VERSIONS[0] + _field(14, b"") * 20_000 + _field(7, b"") + VERSIONS[1],
    "no UTF-8": VERSIONS[0] + _field(7, _field(2, b"\xff\xfe")) + VERSIONS[1],
}
"""protocol buffers that are no net"""
