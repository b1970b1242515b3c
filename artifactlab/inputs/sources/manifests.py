"""Manifests: CSV, TSV and JSON lines that name an image per row."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from typing import IO

from artifactlab.errors import InputError
from artifactlab.inputs.sources.columns import LOOKED_AT, chosen_columns, looks_like_image, source_of
from artifactlab.inputs.sources.places import open_place, reading
from artifactlab.inputs.sources.source import Entry, Selection

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson")
MAX_LINE = 1 << 20
"""Characters of a line that are read at most: a row of paths and captions has a few hundred."""
Row = Mapping[str, object]


def entries_of_manifest(manifest: str, selection: Selection) -> Iterator[Entry]:
    """The images that a manifest names, in its order; the files themselves are not opened.

    Args:
        manifest: path or URL of a CSV or TSV file with a heading, or of a file with a JSON object per line.
        selection: the columns, see `chosen_columns`.

    Raises:
        InputError: if it cannot be read, is no such file, or it is not clear which column is meant.
    """
    with closing(_rows(manifest)) as rows:
        first = list(itertools.islice(rows, LOOKED_AT))
        if not first:
            raise InputError(f"{manifest!r} has no row")
        names = dict.fromkeys(name for row in first for name in row)
        likely = {name: all(looks_like_image(row.get(name)) for row in first if row.get(name)) for name in names}
        filled = {name: likely[name] and any(row.get(name) for row in first) for name in names}
        column, other = chosen_columns(manifest, filled, selection)
        for number, row in enumerate(itertools.chain(first, rows)):
            source = source_of(row.get(column), manifest, number)
            yield Entry(source, None if other is None else source_of(row.get(other), manifest, number))


def _rows(manifest: str) -> Generator[Row, None, None]:
    """Each row by its columns; of rows that are too short, the rest is None."""
    with open_place(manifest) as file, reading(manifest):
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        lines = _bounded_lines(text)
        name = manifest.lower()
        if name.endswith((".csv", ".tsv")):
            yield from csv.DictReader(lines, delimiter="\t" if name.endswith(".tsv") else ",")
        else:
            for number, line in enumerate(lines):
                if line.strip():
                    yield _parsed(line, number, manifest)


def _bounded_lines(text: IO[str]) -> Iterator[str]:
    while line := text.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise OSError(f"a line has more than {MAX_LINE} characters; expected a row of paths")
        yield line


def _parsed(line: str, number: int, manifest: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise InputError(f'line {number + 1} of {manifest!r} is no JSON object; expected {{"image": "a.png"}}')
    return row
