"""Image files into tensors: what a viewer would show, or one clear line that says why not.

ICC profiles are ignored: values are taken as they are stored.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artifactlab.errors import InputError

Pixels = NDArray[Any]

MIN_SIDE = 16
"""pixels per side; in anything smaller there is nothing to measure"""
READABLE = "PNG, JPEG, TIFF, WebP or BMP of 8 or 16 bits, or a float32 TIFF"
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
PNG_COLOUR_TYPE = 25
"""offset of that byte of the header; 4 and 6 hold alpha, any other may have a transparent colour"""
PNG_WITH_ALPHA = (4, 6)
TIFF = (b"II*\x00", b"MM\x00*")
JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""any but the stuffed zeros and restarts that stand inside compressed data"""
JPEG_END = b"\xd9"
EXIF = re.compile(rb"(?s)(?:eXIf|EXIF.{4}(?:Exif\0\0)?)(II\*\0|MM\0\*)")
"""the EXIF block of a PNG or a WebP"""
EXIF_ORIENTATION = 0x0112


def read_image(path: str | Path, gray: bool = False) -> Tensor:
    """Read one image file upright, at full depth, as it would look on white paper.

    EXIF rotation is applied, palettes are looked up, gray is spread over three channels, and what is transparent is
    composited over white: two outputs that look alike score alike, whatever lies hidden under their alpha.

    Args:
        path: an 8-bit or 16-bit image, or a float TIFF with values in [0, 1]; the content counts, not the suffix.
        gray: BT.601 luma instead of colour.

    Returns:
        float32 `(3, H, W)` RGB, or `(1, H, W)` if `gray`; values in [0, 1].

    Raises:
        InputError: if the file is missing, empty, cut off, damaged or no image, if its depth is none of the above, or
            if it holds NaN, Inf or floats outside [0, 1].

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "red.png"
    >>> _ = path.write_bytes(cv2.imencode(".png", np.full((2, 2, 3), (0, 0, 255), np.uint8))[1])
    >>> read_image(path)[:, 0, 0]
    tensor([1., 0., 0.])
    """
    picture = open_picture(path)
    image = picture.pixels()
    return luma(image) if gray else image.expand(3, -1, -1).contiguous()


@dataclass(frozen=True)
class Picture:
    """A decoded image file at its own depth, a quarter of the memory of its floats; these are made part by part."""

    values: Pixels
    """(H, W, C), upright: gray, BGR or BGRA; uint8, uint16 or float32"""
    premultiplied: bool
    """whether colours are multiplied by alpha already"""
    jpeg: bool = False
    """whether the file is a JPEG, whose blocks of 8 x 8 pixels are a lattice of their own"""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.values.shape[0], self.values.shape[1]

    def pixels(self, rows: slice = slice(None), columns: slice = slice(None)) -> Tensor:
        """A part as float32 `(3, h, w)` RGB, `(1, h, w)` where the file is gray; over white, values in [0, 1]."""
        part = self.values[rows, columns]
        whole = 1 if part.dtype == np.float32 else np.iinfo(part.dtype).max
        # planes are split before they become floats: OpenCV does that many times faster than a strided copy
        split = [plane.astype(np.int32) if whole > 255 else plane for plane in cv2.split(part)]
        blue, *others = [torch.from_numpy(plane) / whole for plane in split]
        colours = torch.stack([*others[1::-1], blue])
        return colours if len(split) < 4 else _over_white(colours, others[2], self.premultiplied)


def open_picture(path: str | Path) -> Picture:
    """Read and decode an image file; raises what `read_image` does."""
    data = _read_bytes(path)
    _refuse_damaged(path, data)
    pixels = _decode(path, data)
    # OpenCV reads an 8-bit TIFF with colours already multiplied by alpha, everything else with straight ones.
    premultiplied = data.startswith(TIFF) and pixels.dtype == np.uint8
    return Picture(_known_depth(path, pixels), premultiplied, data.startswith(JPEG))


def luma(image: Tensor) -> Tensor:
    """BT.601 luma `(..., 1, H, W)` of RGB or gray images `(..., C, H, W)`; gray stays exactly what it is.

    >>> luma(torch.full((3, 1, 1), 0.7)).item() == torch.tensor(0.7).item()
    True
    """
    if image.shape[-3] == 1:
        return image
    red, green, blue = image.split(1, dim=-3)
    return green + 0.299 * (red - green) + 0.114 * (blue - green)


def _read_bytes(path: str | Path) -> bytes:
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or str(error)) from error
    if not data:
        raise _unreadable(path, "the file is empty")
    return data


def _unreadable(path: str | Path, why: str) -> InputError:
    return InputError(f"cannot read image {str(path)!r}: {why}")


def _refuse_damaged(path: str | Path, data: bytes) -> None:
    """Some versions of OpenCV fill what is missing from a PNG or a JPEG with black or gray, and say nothing."""
    if data.startswith(PNG):
        _refuse_damaged_png(path, data)
    if data.startswith(JPEG) and not _jpeg_is_whole(data):
        raise _unreadable(path, "the JPEG is cut off before its end marker; write or copy it again")


def _refuse_damaged_png(path: str | Path, data: bytes) -> None:
    position, kind = len(PNG), b""
    while kind != b"IEND":
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        if end + 4 > len(data):
            raise _unreadable(path, "the PNG is cut off before its end; write or copy it again")
        kind = data[position + 4 : position + 8]
        if zlib.crc32(data[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise _unreadable(path, "the PNG is damaged (a checksum does not match); write or copy it again")
        position = end + 4


def _jpeg_is_whole(data: bytes) -> bool:
    """Whether the end marker is there. Segments are stepped over: a thumbnail inside one has an end marker, too."""
    position = len(JPEG) - 1
    while marker := JPEG_MARKER.search(data, position):
        if marker[1] == JPEG_END:
            return True
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return False


def _decode(path: str | Path, data: bytes) -> Pixels:
    """Upright pixels (H, W, C) at the file's own depth; gray, BGR or BGRA."""
    if _may_have_alpha(data):
        pixels = _imdecode(data, cv2.IMREAD_UNCHANGED)
        if pixels is not None and pixels.ndim == 3 and pixels.shape[2] == 4:
            # The one flag that keeps alpha is also the one that does not turn the image, except a TIFF.
            return pixels if data.startswith(TIFF) else _upright(pixels, data)
    pixels = _imdecode(data, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    if pixels is None:
        raise _unreadable(path, f"no image, or a damaged one; expected {READABLE}")
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _may_have_alpha(data: bytes) -> bool:
    """False only where the format or the header rules it out, which saves decoding twice."""
    if data.startswith(PNG):
        return data[PNG_COLOUR_TYPE] in PNG_WITH_ALPHA or b"tRNS" in data[: data.find(b"IDAT")]
    return not data.startswith(JPEG)


def _imdecode(data: bytes, flags: int) -> Pixels | None:
    try:
        with _quiet_opencv():
            return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # e.g. more pixels than OpenCV allows
        return None


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Our one line says it; OpenCV's log would repeat it in C++."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _upright(pixels: Pixels, data: bytes) -> Pixels:
    """Turn and flip as the EXIF orientation asks: 1 as it is, 2 mirrored, ..., 8 a quarter turn to the left."""
    orientation = _exif_orientation(data)
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _exif_orientation(data: bytes) -> int:
    """The orientation in the EXIF block of a PNG or a WebP; 1 if there is none."""
    found = EXIF.search(data)
    if found is None:
        return 1
    block = data[found.start(1) :]

    def number(at: int, size: int) -> int:
        return int.from_bytes(block[at : at + size], "little" if block.startswith(b"II") else "big")

    directory = number(4, 4)
    for entry in range(directory + 2, directory + 2 + 12 * number(directory, 2), 12):
        if number(entry, 2) == EXIF_ORIENTATION:
            return number(entry + 8, 2)
    return 1


def _known_depth(path: str | Path, pixels: Pixels) -> Pixels:
    """uint8 and uint16 as they are; floats as float32 if they lie in [0, 1]."""
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels
    if pixels.dtype not in (np.float32, np.float64):
        raise _unreadable(path, f"its depth is {pixels.dtype}; expected {READABLE}")
    if not np.isfinite(pixels).all():
        raise _unreadable(path, "it holds NaN or Inf")
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > 1:
        raise _unreadable(path, f"its values run from {low:g} to {high:g}; floats must lie in [0, 1], scale them first")
    return pixels.astype(np.float32)


def _over_white(colours: Tensor, alpha: Tensor, premultiplied: bool) -> Tensor:
    """What `(3, h, w)` colours under `(h, w)` alpha look like on white paper."""
    seen = colours if premultiplied else colours * alpha
    return (seen + (1 - alpha)).clamp(0, 1)
