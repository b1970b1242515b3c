"""Which fields a file of protocol buffers has at its outermost level, without reading what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import IO

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5
"""How a field is written; other ways are no longer in use."""
MOST_FIELDS = 10_000
"""Fields at the outermost level; models have some dozen, with one for each entry of their metadata."""


def fields_of(path: Path) -> list[tuple[int, int]] | None:
    """Number and kind of each field, in their order; None of a file that is no message up to its last byte."""
    size, found = path.stat().st_size, list[tuple[int, int]]()
    with path.open("rb") as file:
        while file.tell() < size:
            tag = _number(file)
            length = None if tag is None else _length(file, tag & 7)
            if tag is None or length is None or file.tell() + length > size or len(found) >= MOST_FIELDS:
                return None
            file.seek(length, 1)
            found.append((tag >> 3, tag & 7))
    return found


def _length(file: IO[bytes], kind: int) -> int | None:
    """Bytes of a field's content that are still ahead, None where the kind is unknown."""
    if kind == VARINT:
        return None if _number(file) is None else 0
    if kind == BYTES:
        return _number(file)
    return {FIXED_64: 8, FIXED_32: 4}.get(kind)


def _number(file: IO[bytes]) -> int | None:
    """A number of seven bits in a byte, ten of them at most."""
    value = 0
    for k in range(10):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 127) << 7 * k
        if byte[0] < 128:
            return value
    return None
