"""Pages of TIFFs, each an image."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from artifactlab.inputs.images import Picture, decode_picture, most_bytes
from artifactlab.inputs.sources.files import ImageFile
from artifactlab.inputs.sources.kept import Kept
from artifactlab.inputs.sources.places import digest_of_part, open_place, read_place, reading, stamp
from artifactlab.inputs.sources.source import Entry, Selection
from artifactlab.inputs.tiff_headers import TIFF, order_of, page_offsets

ENDINGS = (".tif", ".tiff")


def is_tiff(start: bytes) -> bool:
    """Whether a file starts as a TIFF."""
    return start.startswith(TIFF)


@dataclass(frozen=True, slots=True)
class TiffPage:
    """A page of a TIFF that has several.

    >>> TiffPage("out/stack.tif", 3, 81920).name
    'out/stack.tif#3'
    """

    file: str
    """The file's path or URL."""
    page: int
    """Which page, from 0 on."""
    offset: int
    """Where its directory starts."""

    @property
    def name(self) -> str:
        """File and page."""
        return f"{self.file}#{self.page}"

    @property
    def stem(self) -> str:
        """The file's name without its ending, and the page."""
        return f"{os.path.splitext(os.path.basename(self.file))[0]}#{self.page}"

    @property
    def relative(self) -> str:
        """Likewise."""
        return self.stem

    def open(self, max_pixels: int) -> Picture:
        """Decode the page: the file, as if this page were its first."""
        at_most = most_bytes(max_pixels)
        make = partial(read_place, self.file, at_most)
        with reading(self.name), _FILE.opened((self.file, stamp(self.file), at_most), make) as data:
            start, size = (8, 8) if b"+" in data[:4] else (4, 4)
            offset = self.offset.to_bytes(size, order_of(data))
            picture = decode_picture(self.name, data[:start] + offset + data[start + size :], max_pixels)
            return replace(picture, note=None)  # that others follow

    def digest(self) -> str:
        """SHA-256 of the file and the number."""
        return digest_of_part(self.file, str(self.page))


_FILE: Kept[bytes] = Kept()
"""The next page is mostly of the same file."""


def entries_of_tiff(file: str, selection: Selection) -> Iterator[Entry]:
    """Every Nth page of a TIFF, by default all; a TIFF of one page is an image file. Only directories are read.

    Smaller copies of a page and its masks are no pages.
    """
    with open_place(file) as opened, reading(file):
        offsets = list(page_offsets(opened))
    if len(offsets) < 2:  # or damaged: reading it will say so
        yield Entry(ImageFile(file))
        return
    for page in range(0, len(offsets), selection.every or 1):
        yield Entry(TiffPage(file, page, offsets[page]))
