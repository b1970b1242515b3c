"""Which column of a table holds the images, and what its values are."""

from __future__ import annotations

import ntpath
import os
import posixpath
import re
from collections.abc import Mapping

from artifactlab.errors import InputError, shown
from artifactlab.inputs.image_files import SUFFIXES
from artifactlab.inputs.sources.files import ImageFile
from artifactlab.inputs.sources.places import is_url
from artifactlab.inputs.sources.source import Selection, Source, Unreadable

LOOKED_AT = 100
"""Rows by which a column is taken for one of images: enough that a first empty one says nothing."""
STORES = re.compile(r"(s3|gs|gcs|hf|az|abfs|abfss|http|https)://")
"""Where the images of a table may lie, beside its own folder: a table is data, and fsspec has kinds of URLs that log in
elsewhere, or follow a recipe."""


def looks_like_image(value: object) -> bool:
    """Whether a value is the name of an image.

    >>> looks_like_image("set/a.PNG"), looks_like_image("a cat")
    (True, False)
    """
    return isinstance(value, str) and value.lower().endswith(SUFFIXES)


def chosen_columns(table: str, columns: Mapping[str, bool], selection: Selection) -> tuple[str, str | None]:
    """The column of the images, and that of what they should look like.

    Args:
        table: what errors call it.
        columns: its columns by name, and whether each looks like one of images.
        selection: the columns that were asked for; without one, the only one that looks like it is taken.

    Raises:
        InputError: if there is no such column, or several could be meant; it lists them.

    >>> chosen_columns("all.csv", {"file": True, "caption": False}, Selection())
    ('file', None)
    """
    there = ", ".join(map(str, columns)) or "no column"
    for asked in (selection.column, selection.reference_column):
        if asked is not None and asked not in columns:
            raise InputError(f"{table!r} has no column {asked!r}; it has {there}")
    likely = [name for name, likely in columns.items() if likely and name != selection.reference_column]
    if selection.column is None and len(likely) != 1:
        several = f"{', '.join(likely)} look like columns of images" if likely else "no column looks like one of images"
        raise InputError(f"{several} in {table!r}, which has {there}; say which with --column / column=")
    return selection.column or likely[0], selection.reference_column


def source_of(value: object, table: str, number: int) -> Source:
    """The image that a row names: a path from the table's folder on, an absolute one, or a URL of a store."""
    row = f"{table}#{number}"
    if not isinstance(value, str) or not value.strip():
        return Unreadable(row, f"row {number} names no image, but has {shown(value)}")
    remote = is_url(table)
    if STORES.match(value) and "::" not in value:
        return ImageFile(value)
    if is_url(value):
        return Unreadable(
            row, f"tables may name files, and URLs of stores (s3, gs, hf, https, ...), not {shown(value)}"
        )
    if not remote:
        return ImageFile(os.path.join(os.path.dirname(table), value), "" if os.path.isabs(value) else _folder(table))
    if posixpath.isabs(value) or ntpath.isabs(value) or "::" in table:
        return Unreadable(row, f"a table at a URL may name files beside it, not {shown(value)}")
    return ImageFile(f"{_folder(table)}/{value}", _folder(table))


def _folder(table: str) -> str:
    return table.rpartition("/")[0] if is_url(table) else os.path.dirname(table)
