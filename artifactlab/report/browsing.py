"""What pages of many images have in common: rows for the script, and how much fits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from artifactlab.printable import printable

MOST_PICTURED = 200
"""Images with pictures: 17 screens full of them, and two minutes of arithmetic."""
PICTURE_BYTES = 14_000_000
"""Of the pictures of a page, at most; with the rows, the page stays below 20 MB, which mail and browsers take."""
ROW_BYTES = 5_000_000
"""Of the rows of a page, at most: some 50,000 images. Files have all."""
SHOTS, ROWS = 12, 50
"""Images with pictures, and rows of the table, that are shown at a time; without scripts they are all there is."""

Cells = list[float | None]


@dataclass(frozen=True)
class Column:
    """A column of numbers."""

    name: str
    """What it is called."""
    sign: int
    """1 where higher is worse, -1 where lower is."""


@dataclass(frozen=True)
class Rows:
    """A table that a page filters, sorts and shows in parts."""

    columns: list[Column]
    """The columns of numbers."""
    folders: list[str]
    """Folders of the images."""
    words: list[str]
    """What can be said of an image."""
    rows: list[list[Any]]
    """Name, number of the folder, number of the word, and numbers, of each image; the worst first."""
    left_out: int
    """Images that there is no room for."""

    @property
    def data(self) -> dict[str, Any]:
        """It as the script takes it."""
        columns = [{"name": column.name, "sign": column.sign} for column in self.columns]
        return {
            "columns": columns,
            "rows": self.rows,
            "folders": self.folders,
            "words": self.words,
            "sizes": [SHOTS, ROWS],
        }


def rows_of(images: Iterable[tuple[str, str, Cells]], columns: list[Column], words: Sequence[str]) -> Rows:
    """The rows of (path, word, numbers) as far as there is room."""
    listed = list(images)
    known = {word: number for number, word in enumerate(words)}
    folders: dict[str, int] = {}
    rows: list[list[Any]] = []
    spent = 0
    common = common_folder([path for path, _, _ in listed])
    for path, word, numbers in listed:
        folder, name = os.path.split(os.path.relpath(path, common) if common else path)
        row = [printable(name), folders.setdefault(folder, len(folders)), known[word], *map(_short, numbers)]
        spent += len(str(row))
        if spent > ROW_BYTES:
            break
        rows.append(row)
    names = [printable(os.path.join(common, folder)) or "." for folder in folders]
    return Rows(columns, names, list(words), rows, len(listed) - len(rows))


def common_folder(paths: Sequence[str]) -> str:
    """The folder all files are in; empty if there is none to name."""
    try:
        return os.path.commonpath([os.path.dirname(path) for path in paths])
    except ValueError:  # absolute and relative paths, two drives, or no paths
        return ""


def _short(value: float | None) -> float | None:
    """Four figures, which is more than is measured."""
    return None if value is None else float(f"{value:.4g}")


def first_rows(table: Rows) -> list[tuple[str, str, str, list[str]]]:
    """What a table shows before any script has run: name, folder, word, numbers."""
    return [
        (name, table.folders[folder], table.words[word], ["?" if x is None else f"{x:.4g}" for x in numbers])
        for name, folder, word, *numbers in table.rows[:ROWS]
    ]
