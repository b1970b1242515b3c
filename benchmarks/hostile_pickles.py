"""Pickles that would run code, by every way in which a pickle calls something, and files that hold one."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator

import torch
from torch import nn

WITNESS = "ran"
"""the file that is there if anything hostile was executed"""
TOUCH = f"touch {WITNESS}"
PYTHON = f"open({WITNESS!r}, 'w').close()"


def called(name: str, *args: object) -> object:
    """What calls `module.name` with these arguments where it is unpickled."""
    return _Calls(name, args)


class _Calls:
    def __init__(self, name: str, args: tuple[object, ...]) -> None:
        module, _, attribute = name.rpartition(".")
        self.function, self.args = _Named(module, attribute), args

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.function, self.args


class _Named:
    """A global by its name, which need not be importable here."""

    def __init__(self, module: str, attribute: str) -> None:
        self.module, self.attribute = module, attribute

    def __call__(self) -> None:
        raise AssertionError("it is only written")


class Pickler(pickle._Pickler):
    """Python's own, which writes `_Named` as the global that it names."""

    def save(self, value: object, save_persistent_id: bool = True) -> None:
        if isinstance(value, _Named):
            if self.proto >= 4:
                super().save(value.module)
                super().save(value.attribute)
                self.write(pickle.STACK_GLOBAL)
            else:
                self.write(pickle.GLOBAL + f"{value.module}\n{value.attribute}\n".encode())
        else:
            super().save(value, save_persistent_id)


def pickled(value: object, protocol: int = 2) -> bytes:
    """As a pickle, in which names are written as they are."""
    file = io.BytesIO()
    Pickler(file, protocol).dump(value)
    return file.getvalue()


def _raw(*operations: bytes) -> bytes:
    return b"\x80\x02" + b"".join(operations) + b"."


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


SYSTEM = b"cposix\nsystem\n"
NAME = _text("body.0.weight")
TRICKS: dict[str, bytes] = {
    **{f"os.system, protocol {k}": pickled({"w": called("os.system", TOUCH)}, k) for k in range(6)},
    "posix.system": pickled({"w": called("posix.system", TOUCH)}),
    "builtins.exec": pickled({"w": called("builtins.exec", PYTHON)}),
    "builtins.eval": pickled({"w": called("builtins.eval", PYTHON)}),
    "getattr chain": pickled(
        {"w": called("builtins.getattr", called("builtins.__import__", "os"), "system")},
    ),
    "getattr of a tensor's globals": pickled(
        {"w": called("builtins.getattr", called("torch._utils._rebuild_tensor"), "__globals__")}
    ),
    "dotted name": pickled({"w": called("torch.os.system", TOUCH)}),
    "dotted attribute, protocol 4": b"\x80\x04\x8c\x05torch\x8c\x09os.system\x93" + _text(TOUCH) + b"\x85R.",
    "subprocess.Popen": pickled({"w": called("subprocess.Popen", ["touch", WITNESS])}),
    "runpy": pickled({"w": called("runpy.run_path", "run_me.py")}),
    "operator.methodcaller": pickled({"w": called("operator.methodcaller", "system", TOUCH)}),
    "functools.partial": pickled({"w": called("functools.partial", called("os.system", TOUCH))}),
    "pathlib.touch": pickled({"w": called("pathlib.Path.touch", called("pathlib.Path", WITNESS))}),
    "numpy's loader": pickled({"w": called("numpy.load", "run_me.npy", None, True)}),
    "torch.load inside": pickled({"w": called("torch.load", "run_me.pt")}),
    "torch.hub": pickled({"w": called("torch.hub.load", ".", "run_me")}),
    "_load_from_bytes": pickled({"w": called("torch.storage._load_from_bytes", pickled(called("os.system", TOUCH)))}),
    "_rebuild_from_type_v2": pickled(
        {
            "w": called(
                "torch._tensor._rebuild_from_type_v2", _Named("os", "system"), _Named("builtins", "str"), (TOUCH,), {}
            )
        }
    ),
    "_rebuild_parameter_with_state": pickled(
        {"w": called("torch._utils._rebuild_parameter_with_state", TOUCH, False, {}, {})}
    ),
    "INST": _raw(b"(", _text(TOUCH), b"iposix\nsystem\n"),
    "OBJ": _raw(b"(", SYSTEM, _text(TOUCH), b"o"),
    "NEWOBJ": _raw(b"csubprocess\nPopen\n", _text(TOUCH), b"\x85\x81"),
    "NEWOBJ_EX": b"\x80\x04csubprocess\nPopen\n" + _text(TOUCH) + b"\x85}\x92.",
    "BUILD with __setstate__": _raw(
        b"}",
        NAME,
        b"ccollections\nOrderedDict\n)R",
        b"}",
        _text("__setstate__"),
        SYSTEM,
        b"sb",
        _text(TOUCH),
        b"b",
        b"s",
    ),
    "EXT1": _raw(b"\x82\x01", _text(TOUCH), b"\x85R"),
    "persistent id in a persistent id": _raw(
        b"}",
        NAME,
        b"((",
        _text("storage"),
        SYSTEM,
        _text("0"),
        _text("cpu"),
        b"K\x04tQ",
        SYSTEM,
        _text("0"),
        _text("cpu"),
        b"K\x04tQs",
    ),
    "os.system as a storage's class": _raw(
        b"}", NAME, b"(", _text("storage"), SYSTEM, _text(TOUCH), _text("cpu"), b"K\x04tQs"
    ),
    "text persistent id": b"(S'body.0.weight'\nPposix system touch ran\nd.",
    "a class as a weight": pickled({"w": _Named("os", "system")}),
    "a whole module": pickled({"model": called("torch.nn.modules.conv.Conv2d", 3, 3, 1)}),
    "DataLoader's worker": pickled(
        {"w": called("torch.utils.data._utils.collate.default_collate", [called("os.system", TOUCH)])}
    ),
    "after the weights": pickled({"a": 1}) + pickled(called("os.system", TOUCH)),
    "in a key": pickled({("k", called("os.system", TOUCH)): 1}),
    "2^31 memo": b"\x80\x02" + b"}r\xff\xff\xff\x7f.",
    "a text of 4 GB": b"\x80\x02X\xff\xff\xff\xff" + b"a" * 100 + b".",
    "a long of 2 GB": b"\x80\x02\x8b\xff\xff\xff\x7f" + b"\1" * 100 + b".",
    "ten thousand lists in lists": b"\x80\x02" + b"]" * 10_000 + b"a" * 9_999 + b".",
    "tuples of twice itself": b"\x80\x02" + b")" + b"".join(b"q%c" % k + b"h%c\x86" % k for k in range(64)) + b"}\x86.",
    "no end": b"\x80\x02" + b"]" * 100,
}
"""what a pickle does that is no state dict, by name"""


def in_zip(content: bytes, weights: bytes = bytes(16), name: str = "data.pkl") -> bytes:
    """A pickle as torch.save writes it since 1.6."""
    return stored(
        {
            f"archive/{name}": content,
            "archive/byteorder": b"little",
            "archive/data/0": weights,
            "archive/version": b"3\n",
        }
    )


def stored(records: dict[str, bytes]) -> bytes:
    """A zip of unpacked records."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        for name, data in records.items():
            target.writestr(name, data)
    return file.getvalue()


def of_old(content: bytes) -> bytes:
    """A pickle as torch.save wrote it before 1.6: three pickles before it, and one behind it."""
    number = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    return number + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2) + content + pickle.dumps([], 2)


WRAPPED: dict[str, Callable[[bytes], bytes]] = {"bare": lambda content: content, "old": of_old, "zip": in_zip}
"""how a pickle becomes a file of weights"""


def pickles() -> Iterator[tuple[str, bytes]]:
    """Files of weights by what is wrong with them."""
    for number, (name, content) in enumerate(TRICKS.items()):
        for how in list(WRAPPED) if number < 10 else [list(WRAPPED)[number % 3], "zip"][: 1 + (number % 3 != 2)]:
            yield f"{name}, {how}", WRAPPED[how](content)


def small() -> nn.Module:
    """A net that spandrel knows, of few weights."""
    from architectures_spandrel import ARCHITECTURES

    torch.manual_seed(0)
    return next(one for one in ARCHITECTURES if one.name.endswith("SRVGGNetCompact")).build()


def saved(content: object, zipped: bool = True) -> bytes:
    """As torch.save writes it."""
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()
