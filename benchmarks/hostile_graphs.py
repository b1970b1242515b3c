"""Exported programs, TorchScript and ONNX in which something was changed."""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import torch
from hostile_pickles import TRICKS, called, pickled, saved
from torch import nn

Records = dict[str, bytes]
SHAPE = (1, 3, 64, 64)


@cache
def net() -> nn.Module:
    torch.manual_seed(0)
    parts = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(4, 3, 4, 2, 1)]
    return nn.Sequential(*parts).eval()


@cache
def exported() -> bytes:
    """The net as `.pt2`."""
    file = io.BytesIO()
    torch.export.save(torch.export.export(net(), (torch.rand(SHAPE),)), file)
    return file.getvalue()


@cache
def script() -> bytes:
    """The net as TorchScript."""
    file = io.BytesIO()
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(net(), torch.rand(SHAPE)), file)
    return file.getvalue()


def edited(content: bytes, *edits: tuple[str, Callable[[bytes], bytes]], packed: str = "") -> bytes:
    """An archive whose records of names that end so are changed; what is not there is added, made of nothing."""
    file, source = io.BytesIO(), zipfile.ZipFile(io.BytesIO(content))
    records: Records = {name: source.read(name) for name in source.namelist()}
    root = source.namelist()[0].partition("/")[0]
    for ending, edit in edits:
        name = next((name for name in records if name.endswith(ending)), f"{root}/{ending}")
        records[name] = edit(records.get(name, b""))
    with zipfile.ZipFile(file, "w") as target:
        for name, data in records.items():
            target.writestr(name, data, zipfile.ZIP_DEFLATED if packed and packed in name else zipfile.ZIP_STORED)
    return file.getvalue()


def by(content: bytes) -> Callable[[bytes], bytes]:
    """Puts this in a record's place."""
    return lambda _: content


def in_json(change: Callable[[Any], object]) -> Callable[[bytes], bytes]:
    def edit(content: bytes) -> bytes:
        parsed = json.loads(content)
        change(parsed)
        return json.dumps(parsed).encode()

    return edit


def _node(**values: object) -> Callable[[Any], None]:
    return lambda model: model["graph_module"]["graph"]["nodes"][1].update(values)


def _program(change: Callable[[Any], object]) -> Callable[[], bytes]:
    return lambda: edited(exported(), ("models/model.json", in_json(change)))


def _table(key: str, **values: object) -> Callable[[], bytes]:
    def change(table: Any) -> None:
        entry = table["config"]["0.weight"]
        (entry if key == "entry" else entry["tensor_meta"]).update(values)

    return lambda: edited(exported(), ("model_weights_config.json", in_json(change)))


def _int(value: int) -> list[dict[str, int]]:
    return [{"as_int": value}] * 4


def _spec(layout: object) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        model["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json.dumps([1, layout])

    return change


def _doubled(model: Any) -> None:
    """A hundred concatenations of what there is with itself."""
    graph = model["graph_module"]["graph"]
    last, old = graph["nodes"][1], "conv2d"
    for k in range(100):
        name = f"cat_{k}"
        arguments = [{"name": "tensors", "arg": {"as_tensors": [{"name": old}, {"name": old}]}, "kind": 1}]
        node = {**last, "target": "torch.ops.aten.cat.default", "inputs": arguments, "name": name}
        graph["nodes"].insert(1 + k, {**node, "outputs": [{"as_tensor": {"name": name}}]})
        graph["tensor_values"][name], old = graph["tensor_values"]["conv2d"], name
    last["inputs"][0]["arg"]["as_tensor"]["name"] = old


OPERATORS = (
    *("torch.os.system", "torch.ops.aten.from_file.default", "torch.ops.aten.__class__.default", "builtins.exec"),
    *("torch.ops.loaded_libraries.add", "os.system", "torch.load", "torch.ops.aten.save.x", "torch.hub.load.x"),
    *("torch.ops.aten.conv2d.default.__globals__", "torch.ops.higher_order.cond", "torch.ops.prim.Print.x"),
)
PROGRAMS: dict[str, Callable[[], bytes]] = {
    **{f"calls {name}": _program(_node(target=name)) for name in OPERATORS},
    "a size that is code": _program(
        lambda m: m["range_constraints"].update({"__import__('os').system('touch ran')": {"min_val": 1, "max_val": 2}})
    ),
    "a size of towers": _program(lambda m: m["range_constraints"].update({"9**9**9**9": {"min_val": 1, "max_val": 2}})),
    "a layout with a class": _program(
        _spec({"type": "collections.defaultdict", "context": '{"default_factory_module": "os"}'})
    ),
    "a layout with an enum": _program(
        _spec({"type": "builtins.dict", "context": '{"__enum__": true, "fqn": "os.system"}'})
    ),
    "a layout of unknown type": _program(_spec({"type": "os.system", "context": "null", "children_spec": []})),
    "a layout nested": _program(
        lambda m: m["graph_module"]["module_call_graph"][0]["signature"].update(in_spec="[" * 100_000)
    ),
    "an object of a class": _program(
        lambda m: m["graph_module"]["graph"]["inputs"].append(
            {"as_custom_obj": {"name": "x", "class_fqn": "os.system"}}
        )
    ),
    "no nodes": _program(lambda m: m["graph_module"]["graph"].update(nodes=[])),
    "nodes that are no list": _program(lambda m: m["graph_module"]["graph"].update(nodes=7)),
    "a node of itself": _program(
        lambda m: m["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"]["as_tensor"].update(name="conv2d")
    ),
    "a node twice": _program(
        lambda m: m["graph_module"]["graph"]["nodes"].append(m["graph_module"]["graph"]["nodes"][0])
    ),
    "a version of the future": _program(lambda m: m["schema_version"].update(major=10**6)),
    "NaN as a version": _program(lambda m: m["schema_version"].update(major=float("nan"))),
    "sizes of 10^12": _program(
        lambda m: m["graph_module"]["graph"]["tensor_values"]["relu"].update(sizes=_int(10**12))
    ),
    "a stride of 10^9": _program(
        lambda m: m["graph_module"]["graph"]["nodes"][2]["inputs"][3]["arg"].update(as_ints=[10**9, 10**9])
    ),
    "doubled a hundred times": _program(_doubled),
    "graph nested": lambda: edited(exported(), ("models/model.json", by(b'{"a":' * 200_000))),
    "graph of another kind": lambda: edited(exported(), ("models/model.json", by(b"[]"))),
    "graph no UTF-8": lambda: edited(exported(), ("models/model.json", by(b'"\xff"'))),
    "weights pickled": _table("entry", use_pickle=True),
    "weights elsewhere": _table("entry", path_name="../../../../../etc/passwd"),
    "weights of 10^12": _table("meta", sizes=_int(10**12)),
    "weights of negative sizes": _table("meta", sizes=_int(-4)),
    "weights that alias": _table("meta", sizes=_int(1 << 15), strides=_int(0)),
    "weights whose strides lead out": _table("meta", strides=_int(1 << 40)),
    "weights whose offset leads out": _table("meta", storage_offset={"as_int": 1 << 40}),
    "weights whose offset is negative": _table("meta", storage_offset={"as_int": -4096}),
    "weights of an unknown dtype": _table("meta", dtype=10**6),
    "weights on another device": _table("meta", device={"type": "evil", "index": 0}),
    "weights cut": lambda: edited(exported(), ("weight_0", by(b"abc"))),
    **{
        f"inputs with {name}": (
            lambda name=name: edited(
                exported(), ("sample_inputs/model.pt", by(saved({"a": 1}) if not name else _zip_of(TRICKS[name])))
            )
        )
        for name in ("os.system, protocol 2", "getattr chain", "persistent id in a persistent id", "_load_from_bytes")
    },
    "an opaque object": lambda: edited(
        exported(), ("data/constants/opaque_obj_0", by(pickled(called("os.system", "touch ran"))))
    ),
    "a custom object": lambda: edited(
        exported(), ("data/constants/custom_obj_0", by(pickled(called("os.system", "touch ran"))))
    ),
    "compiled code": lambda: edited(exported(), ("data/aotinductor/model/model.so", by(b"\x7fELF"))),
    "a program beside it": lambda: edited(exported(), ("code/run.py", by(b"import os; os.system('touch ran')"))),
    "graph packed": lambda: edited(exported(), ("extra/zeros", by(bytes(64 << 20))), packed="extra"),
    "the format of torch 2.5": lambda: edited(exported(), ("serialized_exported_program.json", by(b"{}"))),
}
"""`.pt2` by what is wrong with it"""


def _zip_of(content: bytes) -> bytes:
    from hostile_pickles import in_zip

    return in_zip(content)


def beside() -> bytes:
    """The net as TorchScript, and a file of Python beside it."""
    return edited(script(), ("extra/run.py", by(b"import os; os.system('touch ran')")))


RETURN = b"    return (_2)"


def _zeros(*sides: int) -> str:
    return f"torch.zeros({list(sides)}, dtype=None, layout=None, device=None, pin_memory=None)"


def _code(*lines: str) -> Callable[[], bytes]:
    """With lines before the result."""
    text = "".join(f"    {line}\n" for line in lines).encode()
    return lambda: edited(script(), ("container.py", lambda code: code.replace(RETURN, text + RETURN)))


def _outwards(pickle: bytes) -> bytes:
    """The first tensor's strides, which begin with 27, with 270 in its place."""
    return pickle.replace(b"(K\x1bK\x09K\x03K\x01t", b"(M\x0e\x01K\x09K\x03K\x01t", 1)


SCRIPTS: dict[str, Callable[[], bytes]] = {
    **{
        f"data.pkl: {name}": (lambda content=TRICKS[name]: edited(script(), ("/data.pkl", by(content))))
        for name in (
            "os.system, protocol 2",
            "builtins.exec",
            "getattr chain",
            "NEWOBJ",
            "BUILD with __setstate__",
            "persistent id in a persistent id",
            "tuples of twice itself",
            "ten thousand lists in lists",
        )
    },
    **{
        f"constants.pkl: {name}": (lambda content=TRICKS[name]: edited(script(), ("/constants.pkl", by(content))))
        for name in ("os.system, protocol 2", "_load_from_bytes", "a text of 4 GB", "no end")
    },
    "torch.save": _code('torch.save(_3, "ran")'),
    "torch.from_file": _code('_9 = torch.from_file("/etc/passwd", False, 9)'),
    "aten::from_file": _code('_9 = ops.aten.from_file("/etc/passwd", False, 9)'),
    "another library's operator": _code('_9 = ops.image.read_file("/etc/passwd")'),
    "a class of another library": _code("_9 = __torch__.torch.classes.evil.Evil()"),
    "raises": _code('ops.prim.RaiseException("no\\nsense", "builtins.RuntimeError")'),
    "raises control characters": _code('ops.prim.RaiseException("\\x1b[2J\\r\\n", "builtins.RuntimeError")'),
    "prints": _code('print("x")', 'ops.prim.RaiseException("no", "builtins.RuntimeError")'),
    "a loop without end": _code("_8 = True", "while _8:", "  _8 = True", "  _3 = torch.relu(_3)"),
    "a loop of 10^15": _code("for _7 in range(1000000000000000):", "  _3 = torch.relu(_3)"),
    "a loop of numbers without end": _code(
        "_8 = 1", "while bool(_8):", "  _8 = torch.add(_8, 1)", "_3 = torch.add(_3, _8)"
    ),
    "loops in loops": _code(
        *("  " * k + f"for _7{k} in range(1000000):" for k in range(50)), "  " * 50 + "_3 = torch.relu(_3)"
    ),
    "calls itself": _code("_3 = (self).forward(input, )"),
    "a terabyte": _code(f"_9 = {_zeros(1_000_000, 1_000_000)}", "_3 = torch.add(_3, torch.sum(_9))"),
    "three gigabytes": _code(f"_9 = {_zeros(800, 1_000_000)}", "_3 = torch.add(_3, torch.sum(_9))"),
    "doubled a hundred times": _code(*["_3 = torch.cat([_3, _3], 1)"] * 100),
    "a list doubled": _code("_8 = [1]", *["_8 = torch.add(_8, _8)"] * 40, "_3 = torch.add(_3, torch.len(_8))"),
    "a text doubled": _code('_8 = "aaaa"', *["_8 = torch.add(_8, _8)"] * 40, "_3 = torch.add(_3, torch.len(_8))"),
    "no Python": lambda: edited(script(), ("container.py", by(b"(" * 100_000))),
    "a line of a megabyte": lambda: edited(script(), ("container.py", by(b"x" * 1_000_000))),
    "nested a hundred thousand times": _code("_9 = " + "(" * 100_000 + "1" + ")" * 100_000),
    "NUL in it": _code("_9 = \x00"),
    "no UTF-8": lambda: edited(script(), ("container.py", by(b"\xff\xfe"))),
    "code packed a thousandfold": lambda: edited(script(), ("container.py", by(b"#" * (1 << 28))), packed="/code/"),
    "weights packed": lambda: edited(script(), ("/data/0", by(bytes(1 << 22))), packed="/data/"),
    "weights cut": lambda: edited(script(), ("/data/0", by(b"abc"))),
    "weights whose strides lead out": lambda: edited(script(), ("/data.pkl", _outwards)),
    "a version of the future": lambda: edited(script(), ("/version", by(b"99999999999999999999\n"))),
    "a version that is none": lambda: edited(script(), ("/version", by(b"evil"))),
    "no code": lambda: edited(script(), ("container.py", by(b""))),
    "debug pickles with code": lambda: edited(
        script(), ("container.py.debug_pkl", by(TRICKS["os.system, protocol 2"])), ("/data.pkl", by(b"\x80\x02}."))
    ),
}
"""TorchScript by what is wrong with it"""


def link_out(folder: Path) -> None:
    """Weights beside the file that are a link to somebody else's."""
    os.symlink("/etc/passwd", folder / "w.bin")
