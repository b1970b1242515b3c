"""Image files in ten formats, damaged in every way that a disk, a download or an attacker damages them."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import tifffile
from PIL import Image

SIDE = 32
"""pixels per side, so that a hundred thousand take minutes"""
PNG = b"\x89PNG\r\n\x1a\n"
JPEG_END = b"\xff\xd9"
WHOLE = 0.9
"""A file cut to less than this share has lost pixels, whatever its format keeps at its end."""
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""what lengths and offsets overflow at"""


@dataclass(frozen=True)
class Mutant:
    """One damaged file."""

    name: str
    data: bytes
    lost: bool
    """whether pixels are missing for certain, so that whoever scores it as a whole image is wrong"""


def picture() -> np.ndarray:
    """Stairs by 4 over a gradient, with a little noise: something in every bit plane and every coefficient."""
    rng = np.random.default_rng(0)
    stairs = np.kron(np.tri(SIDE // 4), np.ones((4, 4)))[..., None] * (120, 90, 60)
    ramp = np.linspace(0, 100, SIDE)[:, None, None]
    return (stairs + ramp + rng.integers(0, 20, (SIDE, SIDE, 3))).astype(np.uint8)


@cache
def originals() -> dict[str, bytes]:
    """Suffix -> the undamaged file; two kinds of JPEG and of TIFF have suffixes of two parts."""
    rgb = picture()
    return {
        "png": _by_opencv(".png", rgb),
        "jpg": _by_opencv(".jpg", rgb),
        "progressive.jpg": _by_opencv(".jpg", rgb, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "webp": _by_opencv(".webp", rgb),
        "bmp": _by_opencv(".bmp", rgb),
        "deflate.tif": _by_pillow("TIFF", rgb, compression="tiff_adobe_deflate"),
        "tiled.tif": _tiled(rgb),
        "gif": _by_pillow("GIF", rgb),
        "ppm": _by_opencv(".ppm", rgb),
        "jp2": _by_pillow("JPEG2000", rgb),
    }


READABLE = ("png", "jpg", "progressive.jpg", "webp", "bmp", "deflate.tif", "tiled.tif")
"""what must be scored where it is whole; of the others it is only asked that they break nothing"""


def _by_opencv(suffix: str, rgb: np.ndarray, *flags: int) -> bytes:
    return cv2.imencode(suffix, np.ascontiguousarray(rgb[..., ::-1]), flags)[1].tobytes()


def _by_pillow(form: str, rgb: np.ndarray, **options: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, form, **options)
    return file.getvalue()


def _tiled(rgb: np.ndarray) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, rgb, photometric="rgb", tile=(16, 16), compression="zlib")
    return file.getvalue()


def mutant(number: int) -> Mutant:
    """The file of that number, always the same."""
    rng = random.Random(number)
    suffix = list(originals())[number % len(originals())]
    data = originals()[suffix]
    name = f"{number:06d}.{suffix}"
    if rng.random() < 0.2:
        at = rng.randrange(1, len(data))
        ended = suffix.endswith("jpg") and rng.random() < 0.5
        return Mutant(name, data[:at] + (JPEG_END if ended else b""), at < WHOLE * len(data))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(DAMAGES)(data, rng)
    # a decoder behind a checksum is only reached where the checksum is right
    return Mutant(name, with_checksums(data) if suffix == "png" and rng.random() < 0.7 else data, False)


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(data: bytes, rng: random.Random) -> bytes:
    at, length = rng.randrange(len(data)), rng.randint(1, 64)
    filling = rng.choice((b"\0" * length, b"\xff" * length, rng.randbytes(length)))
    return data[:at] + filling + data[at + length :]


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(rng.randint(1, 64)) + data[at:]


def _leave_out(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.randint(1, 64) :] or data


def _repeat(data: bytes, rng: random.Random) -> bytes:
    at, length = rng.randrange(len(data)), rng.randint(1, 256)
    return data[: at + length] + data[at:]


def _number(data: bytes, rng: random.Random) -> bytes:
    """A length, a size or an offset, in the header three times of four."""
    width, order = rng.choice(("B", "H", "I")), rng.choice("<>")
    size = struct.calcsize(order + width)
    at = rng.randrange(min(64, len(data)) if rng.random() < 0.75 else len(data))
    value = rng.choice(NUMBERS) & ((1 << 8 * size) - 1)
    return data[:at] + struct.pack(order + width, value) + data[at + size :]


def _splice(data: bytes, rng: random.Random) -> bytes:
    other = rng.choice(list(originals().values()))
    return data[: rng.randint(1, len(data))] + other[rng.randrange(len(other)) :]


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_flip, _overwrite, _insert, _leave_out, _repeat, _number, _number, _splice),
)


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what they hold now, as far as they can be walked."""
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        parts += [data[at:end], struct.pack(">I", zlib.crc32(data[at + 4 : end]))]
        at = end + 4
    return b"".join(parts) + data[at:]
