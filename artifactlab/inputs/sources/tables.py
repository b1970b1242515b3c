"""Parquet and Arrow tables, as data sets come in: images as bytes in a column, or named by it. Read with pyarrow."""

from __future__ import annotations

import hashlib
import itertools
import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from artifactlab.inputs.images import Picture, decode_picture, most_bytes
from artifactlab.inputs.sources.arrow_tables import MAX_PART, ArrowTable
from artifactlab.inputs.sources.columns import LOOKED_AT, chosen_columns, looks_like_image, source_of
from artifactlab.inputs.sources.kept import Kept
from artifactlab.inputs.sources.places import reading, stamp
from artifactlab.inputs.sources.source import Entry, Selection, Source


@dataclass(frozen=True, slots=True)
class CellImage:
    """An image whose bytes stand in a table.

    >>> CellImage("data/train-0.parquet", "image", 0, 3, 3).name
    'data/train-0.parquet#3'
    """

    table: str
    """The table's path or URL."""
    column: str
    """The column."""
    part: int
    """Which part of the table, see `ArrowTable`."""
    row: int
    """The row in that part."""
    number: int
    """The row in the whole table."""
    folder: str = ""
    """Where the file lies below the folder that was typed."""

    @property
    def name(self) -> str:
        """Table and row."""
        return f"{self.table}#{self.number}"

    @property
    def stem(self) -> str:
        """The table's name without its ending, and the row."""
        return f"{os.path.splitext(os.path.basename(self.table))[0]}#{self.number}"

    @property
    def relative(self) -> str:
        """Folder and stem."""
        return posixpath.join(self.folder, self.stem)

    def open(self, max_pixels: int) -> Picture:
        """Read and decode the cell."""
        content = self._content(most_bytes(max_pixels))
        if isinstance(content, bytes):
            return decode_picture(self.name, content, max_pixels)
        return content.open(max_pixels)

    def digest(self) -> str:
        """SHA-256 of the cell's bytes."""
        content = self._content(MAX_PART)
        return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else content.digest()

    def _content(self, at_most: int) -> bytes | Source:
        """The bytes, or the file that the cell names instead."""
        key = (self.table, stamp(self.table), self.column, self.part)
        with reading(self.name), _PART.opened(key, partial(_part, self.table, self.column, self.part)) as part:
            cell = part[self.row]
            named = None
            if cell.is_valid and hasattr(cell, "keys"):  # {bytes, path}, as `datasets` lays images down
                named = cell["path"].as_py() if "path" in cell else None
                cell = cell["bytes"]
            if not cell.is_valid:
                return source_of(named, self.table, self.number)
            content = cell.as_buffer()
            if content.size > at_most:
                raise OSError(f"it has {content.size} bytes, and no more than {at_most} are read")
            return bytes(content.to_pybytes())


_PART: Kept[Any] = Kept()
"""The column's part that was read last: tables are packed in parts."""


def entries_of_table(table: str, selection: Selection) -> Iterator[Entry]:
    """The images of a table in its order; of images as bytes, none is read.

    Args:
        table: path or URL of a Parquet or Arrow file.
        selection: the columns, see `chosen_columns`: bytes, `{bytes, path}`, or paths from the table's folder on.

    Raises:
        InputError: if pyarrow is not installed, the table is damaged, or it is not clear which column is meant.
    """
    with reading(table), ArrowTable(table) as opened:
        likely = {name: opened.holds_bytes(name) or _names_images(opened, name) for name in opened.schema.names}
        column, other = chosen_columns(table, likely, selection)
        sources = _sources(opened, table, column)
        if other is None:
            yield from map(Entry, sources)
        else:
            yield from map(Entry, sources, _sources(opened, table, other))


def _names_images(opened: ArrowTable, column: str) -> bool:
    if not opened.holds_text(column):
        return False
    values = [value for value in itertools.islice(opened.values(column), LOOKED_AT) if value]
    return bool(values) and all(map(looks_like_image, values))


def _sources(opened: ArrowTable, table: str, column: str) -> Iterator[Source]:
    if opened.holds_bytes(column):
        for number, (part, row) in enumerate(opened.rows()):
            yield CellImage(table, column, part, row, number)
    else:
        for number, value in enumerate(opened.values(column)):
            yield source_of(value, table, number)


def _part(table: str, column: str, part: int) -> Any:
    with ArrowTable(table) as opened:
        return opened.part(column, part)
