"""What decoding an image file takes, read from its header before anything is allocated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from artifactlab.inputs.tiff_headers import TIFF, number, tiff_header

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers that a frame starts with: its size and components follow."""
JPEG_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
"""Frames whose coefficients are all held, of two bytes each."""
JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""Any marker of a JPEG but the stuffed zeros and restarts that stand inside compressed data."""
JPEG_WITHOUT_SEGMENT = (0x01, *range(0xD0, 0xD9))
"""Markers that no length follows."""
CHANNELS_OF_PNG = {0: 1, 2: 3, 3: 4, 4: 4, 6: 4}
"""Channels that a PNG of each colour type is decoded to, at most."""
CODESTREAM = b"\xff\x4f\xff\x51"
"""The first two markers of JPEG 2000."""
BOXES = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\0\0\0\x0cjP\x1a\x1a\r\n\x87\n")
"""The first box of a JPEG 2000 file."""


@dataclass(frozen=True)
class Header:
    """What the start of an image file says of it."""

    width: int
    height: int
    bytes_per_pixel: float
    """Memory that decoding takes, the decoder's own included."""
    may_have_alpha: bool = True
    """False only where the header rules it out."""

    @property
    def memory(self) -> float:
        """Bytes that decoding takes."""
        return self.width * self.height * self.bytes_per_pixel


def read_header(data: bytes) -> Header | None:
    """The header of any format that is decoded; None where the file is of no such format, or its header is broken."""
    for starts, read in READERS:
        if data.startswith(starts):
            try:
                found = read(data)
            except (LookupError, ValueError):
                return None
            return found if found is not None and found.width > 0 and found.height > 0 else None
    return None


def _png(data: bytes) -> Header | None:
    if data[len(PNG) : 16] != b"\0\0\0\rIHDR":
        return None
    colours, transparent = data[25], b"tRNS" in data[: data.find(b"IDAT")]
    channels = 4 if transparent else CHANNELS_OF_PNG[colours]
    alpha = transparent or colours in (4, 6)
    return Header(number(data, 16, 4), number(data, 20, 4), channels * max(1, data[24] // 8), alpha)


def _jpeg(data: bytes) -> Header | None:
    position = 2
    while True:
        while data[position := data.index(b"\xff", position) + 1] in (0, 0xFF):
            pass
        marker, position = data[position], position + 1
        if marker in JPEG_FRAMES:
            return _jpeg_frame(data, position, marker in JPEG_PROGRESSIVE)
        if marker in (0xD9, 0xDA):
            return None
        if marker not in JPEG_WITHOUT_SEGMENT:
            position += number(data, position, 2)


def _jpeg_frame(data: bytes, at: int, progressive: bool) -> Header:
    count = data[at + 7]
    sampling = [divmod(data[at + 9 + 3 * index], 16) for index in range(count)]
    full = max(h for h, _ in sampling) * max(v for _, v in sampling) or 1
    held = 2 * sum(h * v for h, v in sampling) / full if progressive else 0
    return Header(number(data, at + 5, 2), number(data, at + 3, 2), count + held, may_have_alpha=False)


def _webp(data: bytes) -> Header | None:
    if data[8:12] != b"WEBP":
        return None
    if data[12:16] == b"VP8X":
        flags, width, height = data[20], number(data, 24, 3, "little") + 1, number(data, 27, 3, "little") + 1
        # an animation keeps two canvases; what is lossless is decoded to four bytes first
        return Header(width, height, 12 if flags & 2 else 8, bool(flags & 0x10))
    if data[12:16] == b"VP8L":
        bits = number(data, 21, 4, "little")
        return Header((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 8, bool(bits >> 28 & 1))
    return Header(number(data, 26, 2, "little") & 0x3FFF, number(data, 28, 2, "little") & 0x3FFF, 3, False)


def _bmp(data: bytes) -> Header:
    if number(data, 14, 4, "little") == 12:  # OS/2
        return Header(number(data, 18, 2, "little"), number(data, 20, 2, "little"), 3, False)
    width, height = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
    return Header(abs(width), abs(height), 4 if data[28] > 24 else 3, data[28] > 24)


def _gif(data: bytes) -> Header:
    return Header(number(data, 6, 2, "little"), number(data, 8, 2, "little"), 8)


def _sun_raster(data: bytes) -> Header:
    return Header(number(data, 4, 4), number(data, 8, 4), 3)


def _jpeg_2000(data: bytes) -> Header | None:
    start = 0 if data.startswith(CODESTREAM) else next((at for kind, at in _boxes(data) if kind == b"jp2c"), -1)
    if start < 0 or data[start : start + 4] != CODESTREAM:
        return None
    right, bottom, left, top = (number(data, start + at, 4) for at in (8, 12, 16, 20))
    # four bytes a component within the decoder, and the image itself
    return Header(right - left, bottom - top, 5 * number(data, start + 40, 2))


def _boxes(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Type and first byte of what is in each box of an ISO file."""
    at = 0
    while at + 8 <= len(data):
        size, start = number(data, at, 4), at + 8
        if size == 1:
            size, start = number(data, start, 8), start + 8
        yield data[at + 4 : at + 8], start
        at = len(data) if size == 0 else at + max(size, 8)


def _avif(data: bytes) -> Header | None:
    """The largest of all sizes that it declares: tiles, thumbnails and alpha have theirs."""
    if data[4:8] != b"ftyp":
        return None
    places = [found.end() + 4 for found in re.finditer(b"ispe", data)]
    sizes = [(number(data, place, 4), number(data, place + 4, 4)) for place in places]
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return Header(width, height, 10)


def _pnm(data: bytes) -> Header:
    kind, words = data[1:2], re.sub(rb"#[^\n]*", b" ", data[2:4096]).split(None, 3)
    channels = {b"3": 3, b"6": 3, b"F": 3}.get(kind, 1)
    depth = 4 if kind in b"Ff" else 1 if kind in b"14" or int(words[2]) < 256 else 2
    return Header(int(words[0]), int(words[1]), channels * depth, False)


def _pam(data: bytes) -> Header:
    head = data[: data.index(b"ENDHDR")]
    fields = dict(re.findall(rb"(WIDTH|HEIGHT|DEPTH|MAXVAL)\s+(\d+)", head))
    depth = 1 if int(fields[b"MAXVAL"]) < 256 else 2
    return Header(int(fields[b"WIDTH"]), int(fields[b"HEIGHT"]), int(fields[b"DEPTH"]) * depth)


def _hdr(data: bytes) -> Header | None:
    found = re.search(rb"\n-Y\s+(\d{1,9})\s+\+X\s+(\d{1,9})", data[:65536])
    return Header(int(found[2]), int(found[1]), 12, False) if found else None


def _tiff(data: bytes) -> Header | None:
    found = tiff_header(data)
    if found is None:
        return None
    return Header(found.width, found.height, found.bytes_per_pixel, found.may_have_alpha)


READERS: tuple[tuple[bytes | tuple[bytes, ...], Callable[[bytes], Header | None]], ...] = (
    (PNG, _png),
    (JPEG, _jpeg),
    (TIFF, _tiff),
    (b"RIFF", _webp),
    (b"BM", _bmp),
    ((b"GIF87a", b"GIF89a"), _gif),
    ((CODESTREAM, *BOXES), _jpeg_2000),
    (b"\x59\xa6\x6a\x95", _sun_raster),
    ((b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"PF", b"Pf"), _pnm),
    (b"P7", _pam),
    ((b"#?RADIANCE", b"#?RGBE"), _hdr),
    (b"\0\0\0", _avif),
)
"""What files start with, and how the header of such a one is read."""
