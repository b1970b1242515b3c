"""Image files into tensors: what a viewer would show, or one clear line that says why not.

ICC profiles are ignored: values are taken as they are stored.
"""

from __future__ import annotations

import io
import math
import re
import zlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.inputs.decoding import Pixels, decode
from artifactlab.inputs.image_headers import JPEG, JPEG_MARKER, PNG, Header, read_header
from artifactlab.inputs.jpeg_scans import damage_of_scans
from artifactlab.inputs.regular_files import read_regular
from artifactlab.inputs.tiff_headers import TIFF, page_offsets

MIN_SIDE = 16
"""Pixels per side of the smallest image; in anything smaller there is nothing to measure."""
READABLE = "PNG, JPEG, TIFF, WebP or BMP of 8 or 16 bits, or a float32 TIFF"
MAX_PIXELS = 400_000_000
"""Largest image that is read, in pixels of 8-bit RGB or what takes as much memory to decode: 1.2 GB."""
BYTES_PER_PIXEL = 3
"""Of 8-bit RGB."""
SURELY_SMALL = 100_000_000
"""Pixels that do no harm whatever they are packed in: 0.3 GB of RGB."""
BEST_PACKING = 100_000
"""Pixels per byte that no image has but one of a single colour: a rectangle of 6000x4000 pixels takes a byte for 24,000
of them as lossless WebP or as a fax; the best that deflate does with bits is 8256."""
JPEG_END = b"\xd9"
PADDED_JPEG = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
"""What libjpeg says of bytes that it has no use for at the end of a picture."""
EXIF = re.compile(rb"(?s)(?:eXIf|EXIF.{4}(?:Exif\0\0)?)(II\*\0|MM\0\*)")
"""The EXIF block of a PNG or a WebP."""
EXIF_ORIENTATION = 0x0112
"""Tag of the orientation in an EXIF directory."""


def read_image(path: str | Path, gray: bool = False, max_pixels: int = MAX_PIXELS) -> Tensor:
    """Read one image file upright, at full depth, as it would look on white paper.

    EXIF rotation is applied, palettes are looked up, gray is spread over three channels, and what is transparent is
    composited over white: two outputs that look alike score alike, whatever lies hidden under their alpha.

    Args:
        path: an 8-bit or 16-bit image, or a float TIFF with values in [0, 1]; the content counts, not the suffix.
        gray: BT.601 luma instead of colour.
        max_pixels: larger images are refused by their headers, see `MAX_PIXELS`.

    Returns:
        float32 `(3, H, W)` RGB, or `(1, H, W)` if `gray`; values in [0, 1].

    Raises:
        InputError: if the file is missing, empty, cut off, damaged, too large or no image, if its depth is none of the
            above, or if it holds NaN, Inf or floats outside [0, 1].

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "red.png"
    >>> _ = path.write_bytes(cv2.imencode(".png", np.full((2, 2, 3), (0, 0, 255), np.uint8))[1])
    >>> read_image(path)[:, 0, 0]
    tensor([1., 0., 0.])
    """
    picture = open_picture(path, max_pixels)
    image = picture.pixels()
    return luma(image) if gray else image.expand(3, -1, -1).contiguous()


@dataclass(frozen=True)
class Picture:
    """A decoded image file at its own depth, a quarter of the memory of its floats; these are made part by part."""

    values: Pixels
    """Upright pixels (H, W, C): gray, BGR or BGRA; uint8, uint16 or float32."""
    premultiplied: bool
    """Whether colours are multiplied by alpha already."""
    jpeg: bool = False
    """Whether the file is a JPEG, whose blocks of 8 x 8 pixels are a lattice of their own."""
    note: str | None = None
    """What may be wrong with the file, though it can be read."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.values.shape[0], self.values.shape[1]

    def pixels(self, rows: slice = slice(None), columns: slice = slice(None)) -> Tensor:
        """A part as float32 `(3, h, w)` RGB, `(1, h, w)` where the file is gray; over white, values in [0, 1]."""
        part = self.values[rows, columns]
        white = 1 if part.dtype == np.float32 else np.iinfo(part.dtype).max
        # planes are split before they become floats: OpenCV does that many times faster than a strided copy
        planes = [plane.astype(np.int32) if white > 255 else plane for plane in cv2.split(part)]
        blue, *others = [torch.from_numpy(plane) / white for plane in planes]
        colours = torch.stack([*others[1::-1], blue])
        return colours if len(planes) < 4 else _over_white(colours, others[2], self.premultiplied)


def open_picture(path: str | Path, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read and decode an image file; takes and raises what `read_image` does."""
    return decode_picture(path, _read_bytes(path, max_pixels), max_pixels)


def most_bytes(max_pixels: int) -> int:
    """Size of the largest file that is read: that of the pixels as they are, and of what surely does no harm."""
    return BYTES_PER_PIXEL * max_pixels + SURELY_SMALL


def decode_picture(path: str | Path, data: bytes, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode the bytes of an image file, wherever they come from; raises what `read_image` does.

    Args:
        path: what errors call it.
        data: the whole file.
        max_pixels: larger images are refused by their headers, see `MAX_PIXELS`.
    """
    if not data:
        raise _unreadable(path, "the file is empty")
    _refuse_damaged(path, data)
    header = read_header(data)
    if header is None:
        raise _unreadable(path, f"no image, or a damaged one; expected {READABLE}")
    _refuse_large(path, data, header, max_pixels)
    damage = damage_of_scans(data) if data.startswith(JPEG) else None
    if damage:
        raise _unreadable(path, f"the JPEG is damaged ({damage}); write or copy it again")
    pixels, complaint = _decode(path, data, header)
    # OpenCV reads an 8-bit TIFF with colours already multiplied by alpha, everything else with straight ones.
    premultiplied = data.startswith(TIFF) and pixels.dtype == np.uint8
    jpeg = data.startswith(JPEG)
    note = _jpeg_note(path, data, complaint) if jpeg else _pages_note(data)
    return Picture(_known_depth(path, pixels), premultiplied, jpeg, note)


def luma(image: Tensor) -> Tensor:
    """BT.601 luma `(..., 1, H, W)` of RGB or gray images `(..., C, H, W)`; gray stays exactly what it is.

    >>> luma(torch.full((3, 1, 1), 0.7)).item() == torch.tensor(0.7).item()
    True
    """
    if image.shape[-3] == 1:
        return image
    red, green, blue = image.split(1, dim=-3)
    return green + 0.299 * (red - green) + 0.114 * (blue - green)


def _read_bytes(path: str | Path, max_pixels: int) -> bytes:
    try:
        return read_regular(path, most_bytes(max_pixels))
    except (OSError, ValueError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or str(error)) from error


def _unreadable(path: str | Path, why: str) -> InputError:
    return InputError(f"cannot read image {str(path)!r}: {why}")


def _refuse_damaged(path: str | Path, data: bytes) -> None:
    """Some versions of OpenCV fill what is missing from a PNG or a JPEG with black or gray, and say nothing."""
    if data.startswith(PNG):
        _refuse_damaged_png(path, data)
    if data.startswith(JPEG) and _jpeg_end(data) < 0:
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


def _jpeg_end(data: bytes) -> int:
    """Where the end marker is, -1 without one. Segments are stepped over: a thumbnail inside one has its own."""
    position = len(JPEG) - 1
    while marker := JPEG_MARKER.search(data, position):
        if marker[1] == JPEG_END:
            return marker.start()
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return -1


def _refuse_large(path: str | Path, data: bytes, header: Header, max_pixels: int) -> None:
    """Before anything is allocated: a few bytes can say that they are gigabytes."""
    size, pixels = f"{header.width}x{header.height} pixels", header.width * header.height
    if pixels > max(SURELY_SMALL, BEST_PACKING * len(data)):
        raise _unreadable(
            path, f"its {len(data)} bytes would unpack to {size}, which only one colour does; give a crop"
        )
    takes = max(pixels, math.ceil(header.memory / BYTES_PER_PIXEL))
    if takes > max_pixels:
        as_rgb = f", which take as much memory to read as {takes} of 8-bit RGB," if takes > pixels else ""
        raise _unreadable(
            path,
            f"it has {size}{as_rgb} and at most {max_pixels} are read; if you trust it, score it with"
            f" --max-pixels {takes} / max_pixels={takes}",
        )


def _pages_note(data: bytes) -> str | None:
    """That a TIFF has more than what is read of it."""
    several = data.startswith(TIFF) and len(list(islice(page_offsets(io.BytesIO(data)), 2))) > 1
    return "the first of several pages: name the file itself, not its folder, to have all" if several else None


def _jpeg_note(path: str | Path, data: bytes, complaint: str) -> str | None:
    """What a decoder's complaint about a JPEG comes to; it fills what is missing with gray, and goes on.

    Raises:
        InputError: if part of the picture is missing or garbled.
    """
    if complaint and "extraneous" not in complaint:
        raise _unreadable(path, f"the JPEG is damaged ({complaint.rpartition(': ')[2]}); write or copy it again")
    padded = PADDED_JPEG.search(complaint)
    end = _jpeg_end(data)
    if not complaint or (padded and len(set(data[end - int(padded[1]) : end])) == 1):
        return None
    return f"it may be damaged: the JPEG has {complaint.rpartition(': ')[2]}"


def _decode(path: str | Path, data: bytes, header: Header) -> tuple[Pixels, str]:
    """Upright pixels (H, W, C) at the file's own depth: gray, BGR or BGRA; and what the decoder complained of."""
    if header.may_have_alpha:
        pixels, complaint = decode(data, cv2.IMREAD_UNCHANGED)
        if pixels is not None and pixels.ndim == 3 and pixels.shape[2] == 4:
            # The one flag that keeps alpha is also the one that does not turn the image, except a TIFF.
            return pixels if data.startswith(TIFF) else _upright(pixels, data), complaint
        del pixels  # not to be held while it is decoded anew
    pixels, complaint = decode(data, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    if pixels is None:
        raise _unreadable(path, f"no image, or a damaged one; expected {READABLE}")
    return pixels[..., None] if pixels.ndim == 2 else pixels, complaint


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
    weighted = colours if premultiplied else colours * alpha
    return (weighted + (1 - alpha)).clamp(0, 1)
