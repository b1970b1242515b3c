"""Parquet and Arrow files, part by part; read with pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from artifactlab.inputs.extras import extra
from artifactlab.inputs.sources.places import is_url, open_place

PARQUET, ARROW_FILE, ARROW_STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
MAX_PART = 1 << 31
"""Bytes of a table's part that are held at once (2 GB): 100 rows, as `datasets` writes them, of 20 MB."""


def is_table(start: bytes) -> bool:
    """Whether a file starts as Parquet or Arrow."""
    return start.startswith((PARQUET, ARROW_FILE, ARROW_STREAM))


class ArrowTable:
    """A table in the parts that are read at once: row groups, batches."""

    def __init__(self, table: str) -> None:
        arrow = extra("pyarrow", "tables", f"the table {table!r}")
        self._types = extra("pyarrow.types", "tables", f"the table {table!r}")
        self._parquet: Any = None
        self._batches: list[Any] = []
        self._file = open_place(table)
        try:
            self.schema = self._opened(arrow, table)
        except BaseException:
            self._file.close()
            raise

    def _opened(self, arrow: Any, table: str) -> Any:
        """The schema; the row groups or the batches are known from then on."""
        start = self._file.read(len(ARROW_FILE))
        self._file.seek(0)
        if start.startswith(PARQUET):
            self._parquet = extra("pyarrow.parquet", "tables", f"the table {table!r}").ParquetFile(self._file)
            return self._parquet.schema_arrow
        # mapped where it lies here: nothing is read but what is asked for
        mapped = self._file if is_url(table) else arrow.memory_map(table)
        if start == ARROW_FILE:
            opened = arrow.ipc.open_file(mapped)
            self._batches = [opened.get_batch(number) for number in range(opened.num_record_batches)]
        else:
            opened = arrow.ipc.open_stream(mapped)
            self._batches = list(opened)
        return opened.schema

    def __enter__(self) -> ArrowTable:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def rows(self) -> Iterator[tuple[int, int]]:
        """The part of each row, and its number in that."""
        for part in range(self._parts):
            count = self._parquet.metadata.row_group(part).num_rows if self._parquet else self._batches[part].num_rows
            for row in range(count):
                yield part, row

    def values(self, column: str) -> Iterator[Any]:
        """The values of a column, as Python has them."""
        for part in range(self._parts):
            yield from self.part(column, part).to_pylist()

    def part(self, column: str, part: int) -> Any:
        """A column of a part, checked, as nothing in a file is sure; an OSError where it is larger than is held."""
        if self._parquet:
            size = self._parquet.metadata.row_group(part).total_byte_size
            if size > MAX_PART:
                raise OSError(f"its row group {part} has {size} bytes, and {MAX_PART} are held; write smaller ones")
            found = self._parquet.read_row_group(part, columns=[column], use_threads=False)[column].combine_chunks()
        else:
            found = self._batches[part].column(column)
        found.validate(full=True)
        return found

    def holds_bytes(self, column: str) -> bool:
        """Whether a column is one of bytes, or of `{bytes, path}`, as `datasets` lays images down."""
        kind = self.schema.field(column).type
        if self._types.is_struct(kind):
            at = kind.get_field_index("bytes")
            # of a data set that only names files, nothing tells what the bytes would be
            return at >= 0 and (self._is_binary(kind.field(at).type) or self._types.is_null(kind.field(at).type))
        return self._is_binary(kind)

    def holds_text(self, column: str) -> bool:
        """Whether a column is one of text."""
        kind = self.schema.field(column).type
        kind = kind.value_type if self._types.is_dictionary(kind) else kind
        return any(getattr(self._types, f"is_{name}")(kind) for name in ("string", "large_string", "string_view"))

    @property
    def _parts(self) -> int:
        return self._parquet.num_row_groups if self._parquet else len(self._batches)

    def _is_binary(self, kind: Any) -> bool:
        return any(getattr(self._types, f"is_{name}")(kind) for name in ("binary", "large_binary", "binary_view"))
