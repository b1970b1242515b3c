"""The header of a TIFF: its first directory, in either byte order, with offsets of four or eight bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal

TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
SIZES = {1: 1, 3: 2, 4: 4, 16: 8}
"""Bytes of a value by its type, of the types of whole numbers."""
WIDTH, HEIGHT, BITS, PHOTOMETRIC, SAMPLES, ROWS_PER_STRIP, TILE_WIDTH, TILE_HEIGHT = (
    *(256, 257, 258, 262, 277, 278),
    *(322, 323),
)
"""Tags."""
GRAY = (0, 1)
"""Photometric interpretations without colour: white is zero, black is zero."""

MAX_PAGES = 1 << 16
"""Pages that are looked for: more than any microscope's stack that fits into a file of 4 GB has."""
SUBFILE = 254
"""Tag of what a page is: bit 0 a smaller copy of another, bit 2 a mask of one (TIFF 6.0, section 8)."""
NOT_A_PAGE = 0b101


@dataclass(frozen=True)
class TiffHeader:
    """What a TIFF says of its first image."""

    width: int
    height: int
    bytes_per_pixel: float
    """Memory that decoding takes, strip or tile included."""
    may_have_alpha: bool


def tiff_header(data: bytes) -> TiffHeader | None:
    """The header of the first image; None where there is no directory."""
    tags = _tags(data)
    width, height = tags.get(WIDTH, 0), tags.get(HEIGHT, 0)
    if width <= 0 or height <= 0:
        return None
    samples, sample = tags.get(SAMPLES, 1), max(1, tags.get(BITS, 1) // 8)
    channels = samples if tags.get(PHOTOMETRIC, 0) in GRAY else max(3, samples)
    strip = width * min(height, tags.get(ROWS_PER_STRIP, height))
    part = tags.get(TILE_WIDTH, 0) * tags.get(TILE_HEIGHT, 0) or strip
    # strips and tiles of bytes are read as RGBA
    memory = width * height * channels * sample + part * max(4, channels * sample)
    return TiffHeader(width, height, memory / (width * height), samples not in (1, 3))


def number(data: bytes, at: int, size: int, order: Literal["little", "big"] = "big") -> int:
    """An unsigned integer of a file; an IndexError past its end."""
    part = data[at : at + size]
    if len(part) < size:
        raise IndexError("the header is cut off")
    return int.from_bytes(part, order)


def page_offsets(file: IO[bytes]) -> Iterator[int]:
    """Where the directory of each page starts; smaller copies of a page and its masks are no pages."""
    start = file.read(16)
    order, big = order_of(start), b"+" in start[:4]
    word, counts, size = (8, 8, 20) if big else (4, 2, 12)
    seen: set[int] = set()
    try:
        offset = number(start, 8 if big else 4, word, order)
        while offset and offset not in seen and len(seen) < MAX_PAGES:  # directories may lead in circles
            seen.add(offset)
            file.seek(offset)
            entries = number(file.read(counts), 0, counts, order)
            if entries > 4096:
                return
            directory = file.read(entries * size + word)
            following = number(directory, entries * size, word, order)
            if len(seen) == 1 or not _is_part(directory[:-word], word, size, order):
                yield offset
            offset = following
    except (IndexError, OverflowError):  # cut off, which reading the file says
        return


def _is_part(directory: bytes, word: int, size: int, order: Literal["little", "big"]) -> bool:
    """Whether a directory is that of a smaller copy or a mask."""
    places = [at for at in range(0, len(directory), size) if number(directory, at, 2, order) == SUBFILE]
    return any(number(directory, at + 4 + word, 4, order) & NOT_A_PAGE for at in places)


def order_of(data: bytes) -> Literal["little", "big"]:
    """The order of bytes in a TIFF."""
    return "little" if data.startswith(b"II") else "big"


def _tags(data: bytes) -> dict[int, int]:
    """The first value of each tag, the largest where a tag is there twice."""
    order = order_of(data)
    big = b"+" in data[:4]
    word, counts, entry = (8, 8, 20) if big else (4, 2, 12)
    directory = number(data, 8 if big else 4, word, order)
    first = directory + counts
    found: dict[int, int] = {}
    for at in range(first, first + entry * min(number(data, directory, counts, order), 4096), entry):
        tag, kind = number(data, at, 2, order), number(data, at + 2, 2, order)
        size, count = SIZES.get(kind), number(data, at + 4, word, order)
        if size and count:
            value = at + 4 + word
            value = value if size * count <= word else number(data, value, word, order)
            found[tag] = max(found.get(tag, 0), number(data, value, size, order))
    return found
