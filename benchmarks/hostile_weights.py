"""Files of weights that claim what they do not have: sizes, strides, records, and models of any size."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Mapping

import torch
from hostile_pickles import called, in_zip, pickled, saved, small, stored
from robustness_bombs import header
from torch import Tensor

HUGE = 1 << 40


def weights() -> dict[str, Tensor]:
    """Of a net that spandrel knows."""
    return dict(small().state_dict())


def changed(change: Callable[[dict[str, Tensor]], object]) -> bytes:
    """The same with something changed, saved by torch."""
    content = weights()
    change(content)
    return saved(content)


class Storage:
    """A tensor that says of its storage whatever it likes: classes of pickles are written by name alone."""

    def __init__(self, kind: str, count: int, size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> None:
        self.kind, self.count, self.size, self.stride, self.offset = kind, count, size, stride, offset

    def pickle(self, place: str = "0") -> bytes:
        """As torch.save writes it, under a name of the net."""
        storage = b"(" + _text("storage") + f"ctorch\n{self.kind}\n".encode()
        storage += _text(place) + _text("cpu") + _number(self.count) + b"tQ"
        sides = [b"(" + b"".join(map(_number, sides)) + b"t" for sides in (self.size, self.stride)]
        built = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + _number(self.offset) + sides[0] + sides[1]
        return b"\x80\x02}" + _text("body.0.weight") + built + b"\x89ccollections\nOrderedDict\n)RtRs."


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _number(value: int) -> bytes:
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


CLAIMS: dict[str, bytes] = {
    "more than the record has": in_zip(Storage("FloatStorage", 1000, (1000,), (1,)).pickle()),
    "a terabyte": in_zip(Storage("FloatStorage", HUGE, (HUGE,), (1,)).pickle()),
    "2^62 numbers": in_zip(Storage("FloatStorage", 1 << 62, (1 << 62,), (1,)).pickle()),
    "a negative number of them": in_zip(Storage("FloatStorage", -4, (4,), (1,)).pickle()),
    "sizes that overflow": in_zip(Storage("FloatStorage", 4, (1 << 33, 1 << 33), (0, 0)).pickle()),
    "strides that alias": in_zip(Storage("FloatStorage", 4, (1 << 20, 1 << 20, 3, 3), (0, 0, 0, 0)).pickle()),
    "strides beyond the end": in_zip(Storage("FloatStorage", 4, (2, 2), (1 << 40, 1)).pickle()),
    "negative strides": in_zip(Storage("FloatStorage", 4, (2, 2), (-1, 1)).pickle()),
    "an offset beyond the end": in_zip(Storage("FloatStorage", 4, (4,), (1,), 1 << 40).pickle()),
    "a negative offset": in_zip(Storage("FloatStorage", 4, (4,), (1,), -4).pickle()),
    "negative sizes": in_zip(Storage("FloatStorage", 4, (-1, -4), (1, 1)).pickle()),
    "a record outside": in_zip(Storage("FloatStorage", 4, (4,), (1,)).pickle("../../../../etc/passwd")),
    "a record that is not there": in_zip(Storage("FloatStorage", 4, (4,), (1,)).pickle("7")),
    "the pickle as its own weights": in_zip(Storage("FloatStorage", 4, (4,), (1,)).pickle("../data.pkl")),
    "no sides": in_zip(Storage("FloatStorage", 4, (), ()).pickle()),
    "sixty-five sides": in_zip(Storage("FloatStorage", 4, (1,) * 65, (1,) * 65).pickle()),
    "a sparse tensor": saved({"body.0.weight": torch.zeros(8, 8).to_sparse()}),
    "a meta tensor": saved({"body.0.weight": torch.zeros(1 << 20, 1 << 20, device="meta")}),
    "an expanded tensor": saved({"body.0.weight": torch.zeros(1).expand(1 << 20, 1 << 20)}),
    "numpy of objects": in_zip(pickled({"w": called("numpy._core.multiarray._reconstruct", (0,), "O8")})),
    "a bytearray of a terabyte": in_zip(pickled({"w": called("builtins.bytearray", HUGE)})),
    "a bytearray of old of a terabyte": pickled({"w": called("__builtin__.bytearray", HUGE)}),
    "torch.Size of lists": in_zip(pickled({"w": called("torch.Size", [[[1]]])})),
    "a counter": in_zip(pickled({"w": called("collections.Counter", "a" * 10_000)})),
}
"""torch's files whose pickle says more than the file has"""


def _layers(shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """A safetensors file of empty tensors, whose header alone makes a model."""
    entries = {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    return header(json.dumps(entries).encode())


def _ones(names: list[str]) -> bytes:
    entries = {name: {"dtype": "F32", "shape": [1], "data_offsets": [4 * k, 4 * k + 4]} for k, name in enumerate(names)}
    return header(json.dumps(entries).encode(), data=bytes(4 * len(names)))


def wide(first: tuple[int, ...], last: tuple[int, ...]) -> bytes:
    """A net that spandrel knows, with layers of these shapes and no numbers."""
    return _layers(
        {
            "body.0.weight": first,
            "body.0.bias": first[:1],
            "body.1.weight": first[:1],
            "body.2.weight": last,
            "body.2.bias": last[:1],
        }
    )


GIANTS: dict[str, bytes] = {
    "10^9 channels of no numbers": wide((10**9, 0, 3, 3), (10**9, 0, 3, 3)),
    "0 channels and 10^9 colours": wide((0, 10**9, 3, 3), (0, 10**9, 3, 3)),
    "an upscale of 10^4": wide((1, 3, 3, 3), (3 * 10**8, 0, 3, 3)),
    "a body that ends at 10^12": _ones(["body.0.weight", "body.1.weight", f"body.{10**12}.weight"]),
    "a body of 10^5 layers": _ones([f"body.{k}.{name}" for k in range(100_000) for name in ("weight", "bias")]),
    "ESRGAN of 10^4 blocks": _ones(
        [f"model.1.sub.{k}.RDB{j}.conv{i}.0.weight" for k in range(10_000) for j in (1, 2) for i in (1,)]
        + ["model.0.weight"]
    ),
    "SwinIR of 10^4 layers": _ones(
        [f"layers.{k}.residual_group.blocks.0.norm1.weight" for k in range(10_000)] + ["conv_first.weight"]
    ),
    "HAT of windows of 10^9": _layers(
        {
            "relative_position_index_SA": (10**9, 0),
            "conv_first.weight": (180, 0, 3, 3),
            "layers.0.residual_group.overlap_attn.relative_position_bias_table": (10**9, 0),
        }
    ),
    "one tensor, a name of 10 MB": _ones(["body.0.weight" + "x" * 10_000_000]),
    "names of nothing": _ones([""]),
    "names with control characters": _ones(["body.0.\x1b[2Jweight\r\n\x07"]),
    "names of directions": _ones(["\u202ebody.0.weight\u2028x"]),
}
"""safetensors whose names and shapes ask for a model of any size"""


def _entry(**more: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **more}


def _header(**tensors: object) -> bytes:
    return header(json.dumps(tensors).encode(), data=bytes(16))


HEADERS: dict[str, bytes] = {
    "as long as the largest number": header(b"{}", length=2**64 - 1),
    "longer than the file": header(b"{}", length=1 << 20),
    "no JSON": header(b"{" * 1000),
    "nested": header(b'{"a":' * 200_000),
    "no UTF-8": header(b'{"\xff\xfe": 1}'),
    "a list": header(b'{"a": []}'),
    "shape overflows": _header(w=_entry(shape=[2**40, 2**40])),
    "shape is negative": _header(w=_entry(shape=[-1])),
    "shape is a fraction": _header(w=_entry(shape=[0.5])),
    "shape is NaN": header(b'{"w": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 4]}}', data=bytes(4)),
    "offsets beyond the end": _header(w=_entry(data_offsets=[0, 2**62])),
    "offsets backwards": _header(w=_entry(data_offsets=[4, 0])),
    "offsets that overlap": _header(w=_entry(), v=_entry()),
    "offsets with a hole": _header(w=_entry(), v=_entry(data_offsets=[12, 16])),
    "a dtype of none": _header(w=_entry(dtype="I128")),
    "a dtype of 4 bits": _header(w=_entry(dtype="F4", shape=[8])),
    "one name twice": header(
        b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        data=bytes(8),
    ),
    "metadata of lists": header(b'{"__metadata__": {"a": [[1]]}}'),
    "metadata alone": header(b'{"__metadata__": {"a": "b"}}'),
    "nothing": header(b"{}"),
    "64 sides": _header(w=_entry(shape=[1] * 65)),
    "100 000 empty tensors": _layers({f"w{k}": (0,) for k in range(100_000)}),
    "a million empty tensors": _layers({f"{k:x}": (0,) for k in range(1_000_000)}),
}
"""safetensors whose header is wrong"""


def _directory(edit: Callable[[list[zipfile.ZipInfo]], object]) -> bytes:
    """A good file of weights whose directory is changed before it is written."""
    file = io.BytesIO(saved(weights()))
    with zipfile.ZipFile(file, "a") as records:
        edit(records.infolist())
        records._didModify = True  # type: ignore[attr-defined]
    return file.getvalue()


def _packed(level: int = 9, inside: bytes | None = None) -> bytes:
    """A good file of weights, deflated."""
    file, source = io.BytesIO(), zipfile.ZipFile(io.BytesIO(saved(weights())))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as target:
        for entry in source.infolist():
            target.writestr(
                entry.filename, inside if inside and entry.filename.endswith("data/0") else source.read(entry)
            )
    return file.getvalue()


def _with(more: dict[str, bytes]) -> bytes:
    """A good file of weights and other records."""
    with zipfile.ZipFile(io.BytesIO(saved(weights()))) as source:
        return stored({**{name: source.read(name) for name in source.namelist()}, **more})


def _twice() -> bytes:
    import warnings

    file = io.BytesIO(saved(weights()))
    with warnings.catch_warnings(), zipfile.ZipFile(file, "a") as records:
        warnings.simplefilter("ignore")
        records.writestr("archive/data.pkl", pickled({"w": called("os.system", "touch ran")}))
    return file.getvalue()


def _set(**values: int) -> Callable[[list[zipfile.ZipInfo]], None]:
    def edit(records: list[zipfile.ZipInfo]) -> None:
        for record in records:
            if record.filename.endswith("data/0"):
                for name, value in values.items():
                    setattr(record, name, value)

    return edit


ZIPS: dict[str, Callable[[], bytes]] = {
    "deflated": _packed,
    "deflated a thousandfold": lambda: _packed(inside=bytes(300 << 20)),
    "a zip in a zip": lambda: stored({"archive/data.pkl": _packed(), "archive/data/0": _packed()}),
    "a pickle twice": _twice,
    "two pickles in two folders": lambda: _with({"other/data.pkl": pickled({"w": called("os.system", "touch ran")})}),
    "names in another case": lambda: _with({"ARCHIVE/DATA.PKL": pickled({"w": called("os.system", "touch ran")})}),
    "entries that overlap": lambda: _directory(
        lambda records: [setattr(one, "header_offset", records[0].header_offset) for one in records]
    ),
    "zip64 of 2^62 bytes": lambda: _directory(_set(file_size=1 << 62, compress_size=1 << 62)),
    "longer than the file": lambda: _directory(_set(file_size=1 << 30, compress_size=1 << 30)),
    "longer unpacked than packed": lambda: _directory(_set(file_size=1 << 20)),
    "an offset beyond the end": lambda: _directory(_set(header_offset=1 << 40)),
    "a wrong checksum": lambda: _directory(_set(CRC=12345)),
    "encrypted": lambda: _directory(_set(flag_bits=1)),
    "packed in an unknown way": lambda: _directory(_set(compress_type=99)),
    "a program in front": lambda: b"#!/bin/sh\ntouch ran\n" + saved(weights()),
    "a zip behind a zip": lambda: saved(weights()) + in_zip(pickled({"w": called("os.system", "touch ran")})),
    "a comment behind": lambda: saved(weights())[:-2] + b"\x04\0evil",
    "60 000 records": lambda: stored({f"archive/x{k}": b"" for k in range(60_000)}),
    "names that lead out": lambda: stored({"../../archive/data.pkl": pickled({}), "/etc/data.pkl": b""}),
    "names with control characters": lambda: stored({"ar\x1b[2J\r\nchive/data.pkl": pickled({"w": 1})}),
    "directory alone": lambda: b"PK\x05\x06" + bytes(18),
    "header alone": lambda: b"PK\x03\x04" + bytes(100),
}
"""zips that are not what torch.save writes"""
