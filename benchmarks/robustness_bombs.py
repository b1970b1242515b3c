"""Small files that ask a reader for gigabytes, for hours, or for something that is not there."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from robustness_images import PNG, originals
from safetensors.torch import save

SPARSE = 3 << 30
"""bytes of a file that takes none on the disk"""
Maker = Callable[[], bytes]


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes | None, *extra: bytes, depth: int = 8, colours: int = 2) -> bytes:
    """A PNG of any size, whatever it holds."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0))
    body = b"" if data is None else chunk(b"IDAT", data)
    return PNG + header + b"".join(extra) + body + chunk(b"IEND", b"")


def zeros(size: int) -> bytes:
    """So many zeros, deflated."""
    packer, block = zlib.compressobj(1), bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(size >> 20)]
    return b"".join([*parts, packer.compress(bytes(size & 0xFFFFF)), packer.flush()])


def tiff(entries: dict[int, tuple[int, int, int]], data: bytes = b"", following: int = 0) -> bytes:
    """A TIFF of one directory: tag -> (type, count, value)."""
    fields = [struct.pack("<HHII", tag, *entry) for tag, entry in sorted(entries.items())]
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    return head + b"".join(fields) + struct.pack("<I", following) + data


def strip(width: int, height: int, data: bytes, **more: int) -> dict[int, tuple[int, int, int]]:
    """The tags of an 8-bit gray TIFF of one strip behind a directory of nine entries."""
    values = {
        256: width,
        257: height,
        258: 8,
        259: 8,
        262: 1,
        273: 8 + 2 + 12 * 9 + 4,
        277: 1,
        278: height,
        279: len(data),
    }
    return {tag: (4, 1, more.get(f"tag{tag}", value)) for tag, value in values.items()}


def tiff_bomb() -> bytes:
    """A gigapixel of nothing, and as much of it as OpenCV takes at all."""
    data = zeros(32000 * 32000)
    return tiff(strip(32000, 32000, data), data)


def webp_bomb() -> bytes:
    """The largest WebP."""
    file = io.BytesIO()
    Image.new("RGB", (16383, 16383)).save(file, "WEBP", lossless=True, quality=0, method=0)
    return file.getvalue()


def gif(side: int, frames: int = 1) -> bytes:
    """A large screen, and frames of one pixel on it."""
    frame = b"," + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<HH", side, side) + b"\xf0\0\0" + bytes(3) + b"\xff" * 3 + frame * frames + b";"


def bmp(side: int, compression: int, data: bytes) -> bytes:
    """A BMP with a palette, of any size, whatever it holds."""
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, compression, len(data), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(data), 0, 0, 1078) + header + bytes(1024) + data


def jpeg(side: int, scans: int = 0) -> bytes:
    """A JPEG of another size than its data, and any number of empty scans behind it."""
    data = originals()["progressive.jpg"] if scans else originals()["jpg"]
    at = data.index(b"\xff\xc2" if scans else b"\xff\xc0") + 5
    data = data[:at] + struct.pack(">HH", side, side) + data[at + 4 :]
    empty = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x10" + bytes(2)
    return data[:-2] + empty * scans + data[-2:]


IMAGES: dict[str, Maker] = {
    "IEND alone": lambda: PNG + chunk(b"IEND", b""),
    "PNG, no data": lambda: png(64, 64, None),
    "PNG, no size": lambda: png(0, 0, zlib.compress(b"")),
    "PNG, 2 gigapixels, no data": lambda: png(46000, 46000, b""),
    "PNG, half a gigapixel": lambda: png(16000, 32000, zeros(32000 * 48001)),
    "PNG, 16 bits": lambda: png(20000, 20000, zeros(20000 * 120001), depth=16),
    "PNG, palette that is not there": lambda: png(64, 64, zlib.compress(bytes(65 * 64)), colours=3),
    "PNG, profile of a gigabyte": lambda: png(
        64, 64, zlib.compress(bytes(64 * 193)), chunk(b"iCCP", b"x\0\0" + zeros(1 << 30))
    ),
    "PNG, text of a gigabyte": lambda: png(
        64, 64, zlib.compress(bytes(64 * 193)), chunk(b"zTXt", b"x\0\0" + zeros(1 << 30))
    ),
    "PNG, a hundred thousand chunks": lambda: png(
        64, 64, zlib.compress(bytes(64 * 193)), chunk(b"tEXt", b"a\0b") * 100_000
    ),
    "GIF": lambda: gif(20000),
    "GIF, largest": lambda: gif(65535),
    "GIF, many frames": lambda: gif(2000, 20_000),
    "WebP": webp_bomb,
    "WebP, header alone": lambda: (
        b"RIFF\x20\0\0\0WEBPVP8L\x10\0\0\0\x2f" + struct.pack("<I", (16383 << 14) | 16383) + bytes(16)
    ),
    "BMP, run lengths": lambda: bmp(30000, 1, b"\0\1"),
    "BMP, largest": lambda: bmp(0x7FFFFFFF, 0, b""),
    "BMP, smallest": lambda: bmp(-0x80000000, 0, b""),
    "TIFF": tiff_bomb,
    "TIFF, no data": lambda: tiff(strip(100_000, 100_000, b"")),
    "TIFF, a directory without end": lambda: tiff(strip(64, 64, bytes(8)), bytes(8), following=8),
    "TIFF, rows without end": lambda: tiff(strip(0xFFFFFFFF, 0xFFFFFFFF, bytes(8)), bytes(8)),
    "TIFF, samples without end": lambda: tiff(strip(4096, 4096, bytes(8), tag277=65535), bytes(8)),
    "JPEG, largest": lambda: jpeg(65500),
    "JPEG, large": lambda: jpeg(30000),
    "JPEG, scans without end": lambda: jpeg(4000, 100_000),
    "PPM": lambda: b"P6 60000 60000 255\n" + bytes(100),
    "PPM, digits without end": lambda: b"P6 " + b"9" * 100_000 + b" 9 255\n",
    "PFM": lambda: b"PF\n60000 60000\n-1.0\n" + bytes(100),
    "Radiance": lambda: b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 60000 +X 60000\n" + bytes(100),
    "JPEG 2000": lambda: originals()["jp2"].replace(struct.pack(">II", 32, 32), struct.pack(">II", 50000, 50000)),
    "nothing": lambda: b"",
    "one byte": lambda: b"\x89",
    "text": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>" * 1000,
}
"""what is called an image"""


def header(text: bytes, length: int | None = None, data: bytes = b"") -> bytes:
    """A safetensors file with any header."""
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(**entry: object) -> bytes:
    """A safetensors file of one tensor that its header tells anything about."""
    return header(
        json.dumps({"0.weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **entry}}).encode(),
        data=bytes(4),
    )


def fix_header(value: object) -> bytes:
    """The weights of a model, and a list of replacements that asks for something else."""
    text = value if isinstance(value, str) else json.dumps(value)
    return save({"0.weight": torch.zeros(8, 3, 3, 3)}, metadata={"artifactlab.fix": text})


def replacement(**more: object) -> list[dict[str, object]]:
    """One replacement, as `fix` notes it."""
    known = {"site": "1", "paths": ["1"], "mode": "interpolate_conv", "in_channels": 8, "out_channels": 3, "scale": 2}
    return [{**known, "more": [0, 0], "options": {}, **more}]


def saved(content: object) -> bytes:
    """As torch.save writes it."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def cyclic() -> bytes:
    """A state dict inside itself."""
    content: dict[str, object] = {}
    content["state_dict"] = content
    return saved(content)


def inflated() -> bytes:
    """Weights whose record is deflated from 3 GiB."""
    file, source = io.BytesIO(), zipfile.ZipFile(io.BytesIO(saved({"w": torch.zeros(4)})))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for entry in source.infolist():
            with target.open(entry.filename, "w", force_zip64=True) as record:
                for block in _blocks(3 << 30) if entry.filename.endswith("data/0") else [source.read(entry)]:
                    record.write(block)
    return file.getvalue()


def _blocks(size: int) -> Iterator[bytes]:
    block = bytes(1 << 20)
    return (block for _ in range(size >> 20))


class Runs:
    """What runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (Path("ran"),)


def weights(change: Callable[[torch.Tensor], object] = lambda weight: weight) -> bytes:
    """The weights of the model that OWN_MODEL makes, each changed."""
    shapes = {"0.weight": (8, 3, 3, 3), "0.bias": (8,), "1.weight": (8, 3, 3, 3), "1.bias": (3,)}
    return saved({name: change(torch.zeros(shape)) for name, shape in shapes.items()})


CHECKPOINTS: dict[str, Maker] = {
    "longest.safetensors": lambda: header(b"{}", length=2**64 - 1),
    "longer.safetensors": lambda: header(b"{}", length=1 << 20),
    "nojson.safetensors": lambda: header(b"{" * 100),
    "nested.safetensors": lambda: header(b'{"a":' * 200_000),
    "list.safetensors": lambda: header(b"[]"),
    "shape.safetensors": lambda: tensor(shape=[2**40, 2**40]),
    "offsets.safetensors": lambda: tensor(data_offsets=[0, 2**62]),
    "dtype.safetensors": lambda: tensor(dtype="I128"),
    "channels.safetensors": lambda: fix_header(replacement(in_channels=12000, out_channels=12000)),
    "scale.safetensors": lambda: fix_header(replacement(scale=10**30)),
    "place.safetensors": lambda: fix_header(replacement(paths=["1", 3, None])),
    "deep.safetensors": lambda: fix_header("[" * 100_000),
    "inflated.pt": inflated,
    "cyclic.pt": cyclic,
    "sparse.pt": lambda: weights(lambda weight: weight.to_sparse()),
    "float8.pt": lambda: weights(lambda weight: weight.to(torch.float8_e4m3fn)),
    "quantised.pt": lambda: weights(lambda weight: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8)),
    "meta.pt": lambda: weights(lambda weight: weight.to("meta")),
    "expanded.pt": lambda: weights(lambda weight: torch.zeros(1).expand(1 << 20, 1 << 20)),
    "objects.pt": lambda: weights(lambda weight: np.array([{}], dtype=object)),
    "runs.pt": lambda: saved({"0.weight": Runs()}),
    "runs_bare.pt": lambda: pickle.dumps(Runs()),
    "byte.pt": lambda: b"\x80",
    "short.pt": lambda: b"\x80\x02X",
    "tar.pt": lambda: b"PK\x03\x04" + bytes(100),
}
"""what is called a checkpoint"""
