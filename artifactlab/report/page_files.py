"""A page where -o says: in a folder with the numbers beside it, or by itself in one file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from artifactlab.files import followed, refuse_unwritable, write_files
from artifactlab.report.folders import refuse_unwritable_names, write_folder

PAGE = "report.html"
"""The page in a folder."""
SUFFIXES = (".html", ".htm")


def asks_for_page(target: str) -> bool:
    """Whether -o asks for a page: a folder, that is to say one that exists or that is written so, or a file of HTML.

    >>> asks_for_page("report/"), asks_for_page("report.html"), asks_for_page("scores.csv")
    (True, True, False)
    """
    return _is_folder(target) or target.lower().endswith(SUFFIXES)


def refuse_unwritable_page(target: str, beside: tuple[str, ...]) -> None:
    """Raise an InputError, before any work is done, where `write_page` could not write; `beside` are other names."""
    if _is_folder(target):
        refuse_unwritable_names(Path(target), (PAGE, *beside))
    else:
        refuse_unwritable(followed(Path(target)))


def write_page(target: str, page: str, beside: Mapping[str, Callable[[], str]]) -> list[Path]:
    """Write a page into a folder, with files beside it, or into one file without them.

    Returns:
        The paths written.

    Raises:
        InputError: if that cannot be done; nothing is left behind then.
    """
    if not _is_folder(target):
        path = followed(Path(target))
        write_files({path: page.encode()})
        return [path]
    files = {PAGE: page, **{name: text() for name, text in beside.items()}}
    # file names need not be UTF-8
    return write_folder(Path(target), {name: text.encode("utf-8", "surrogateescape") for name, text in files.items()})


def _is_folder(target: str) -> bool:
    return target.endswith(("/", os.sep)) or os.path.isdir(target)
